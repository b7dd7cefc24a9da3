//! Any bytes as a file below `config`: what is read is written as Java writes it, and read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use raptormq_wire::json;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = json::from_slice::<Value>(bytes) {
        let text = json::to_vec(&value);
        assert!(json::from_slice::<Value>(&text).is_ok());
    }
});
