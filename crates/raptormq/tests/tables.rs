//! The tables below `config` in any state: the reader answers with a value or an error, never with a panic, an endless
//! loop or a stack that overflows; a broker's directory with such tables is still looked into.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::{Duration, Instant};

use raptormq_wire::json;
use serde_json::Value;

#[allow(dead_code)]
#[path = "../../store/tests/damage/change.rs"]
mod change;
#[allow(dead_code)]
#[path = "../../store/tests/golden/load.rs"]
mod load;

use change::Random;

/// Changed tables of one run.
const CASES: usize = 5_000;

/// Every table of Java's directories, once.
fn tables() -> Vec<(String, Vec<u8>)> {
    let mut tables = Vec::new();
    for case in [
        "java-4.9.7/basic",
        "java-5.5.0/basic",
        "java-5.5.0/cqext",
        "java-5.5.0/lmq",
        "java-5.5.0/sched",
        "java-5.5.0/timerpop",
    ] {
        let unpacked = load::unpack(case);
        for name in load::files(&unpacked.root.join("config")) {
            let text = name.to_string_lossy();
            if text.ends_with(".json") || text.ends_with("Metrics") || text.ends_with("metrics") {
                let bytes = std::fs::read(unpacked.root.join("config").join(&name)).unwrap();
                tables.push((format!("{case}/{text}"), bytes));
            }
        }
    }
    assert!(tables.len() > 30, "{}", tables.len());
    tables
}

#[test]
fn damaged_tables_are_read_or_refused() {
    let tables = tables();
    for (name, bytes) in &tables {
        assert!(json::from_slice::<Value>(bytes).is_ok(), "{name}");
    }
    let pieces: [&[u8]; 12] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b":",
        b",",
        b"\\u",
        b"-",
        b"1e999",
        b"\xff\xfe",
        b"9223372036854775808",
    ];
    let (mut read, mut refused) = (0, 0);
    for seed in 0..CASES as u64 {
        let mut random = Random::new(seed);
        let (name, bytes) = &tables[random.below(tables.len())];
        let mut bytes = bytes.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            let end = (at + 1 + random.below(40)).min(bytes.len());
            match random.below(6) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes.truncate(at.max(1)),
                2 => bytes[at..end].fill(0),
                3 => drop(bytes.drain(at..end)),
                4 => {
                    let part = bytes[at..end].to_vec();
                    let to = random.below(bytes.len());
                    drop(bytes.splice(to..to, part));
                }
                _ => drop(bytes.splice(at..at, pieces[random.below(pieces.len())].iter().copied())),
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
        let begin = Instant::now();
        match json::from_slice::<Value>(&bytes) {
            Ok(_) => read += 1,
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "seed {seed}, {name}");
    }
    println!("seeds 0 to {}: {read} read, {refused} refused", CASES - 1);
    assert!(read > CASES / 20 && refused > CASES / 2, "{read} {refused}");
}

#[test]
fn a_table_that_is_nested_without_end_is_refused() {
    for text in ["[", "{\"a\":", "{'a':[", "{[", "{{", "[{\"a\":"] {
        let bytes = text.repeat(300_000);
        assert!(json::from_slice::<Value>(bytes.as_bytes()).is_err(), "{text}");
    }
    let unpacked = load::unpack("java-5.5.0/sched");
    std::fs::write(unpacked.root.join("config/topics.json"), "{\"a\":".repeat(300_000)).unwrap();
    std::fs::write(unpacked.root.join("config/delayOffset.json"), "").unwrap();
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_raptormq"));
    let output = inspect.args(["store", "inspect"]).arg(&unpacked.root).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("topics.json  1500000 bytes, not readable: "), "{text}");
    assert!(text.contains("delayOffset.json  0 bytes, empty"), "{text}");
}
