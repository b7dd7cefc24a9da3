//! The recorded Java facts, for tests.

use bytes::Bytes;
use serde_json::Value;

fn load(name: &str) -> Value {
    let path = format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap()
}

/// One group of the codec vectors.
pub fn vectors(group: &str) -> Value {
    load("codec_vectors.json")["vectors"][group].take()
}

/// The bytes of a hexadecimal text.
pub fn hex(text: &str) -> Bytes {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

/// Every header class with its fields.
pub fn header_facts() -> Value {
    load("headers.json")["headers"].take()
}

/// Every body class with the texts Java wrote for it.
pub fn body_facts() -> Value {
    load("bodies.json")["bodies"].take()
}

/// Every request and response code.
pub fn code_facts() -> Value {
    load("codes.json")
}
