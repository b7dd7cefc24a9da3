//! Store directories written by real Java brokers, some of them broken on purpose: what we read from them must be
//! what the Java broker of that version reads. `testdata/java-<version>/<case>` holds the directory, the settings it
//! was written with, and the manifest that Java produced.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use raptormq_base::clock::SystemClock;
use raptormq_message::{Checks, Decoded, decode, props};
use raptormq_store::{FlushMode, GetRequest, GetStatus, Store, StoreConfig};
use serde_json::Value;
use sha2::{Digest, Sha256};

struct Golden {
    _dir: tempfile::TempDir,
    root: PathBuf,
    manifest: Value,
    config: StoreConfig,
}

fn golden(case: &str) -> Golden {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(case);
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("tar")
        .args(["-xSf".as_ref(), from.join("store.tar.xz").as_os_str(), "-C".as_ref(), dir.path().as_os_str()])
        .status()
        .unwrap();
    assert!(status.success(), "unpacking {case}");
    let root = dir.path().join("store");
    let mut config = StoreConfig::at(&root);
    config.flush = FlushMode::default();
    config.file_reserved_hours = 876_000;
    for line in std::fs::read_to_string(from.join("broker.conf")).unwrap().lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        match key {
            "mappedFileSizeCommitLog" => config.commit_log_file_size = value.parse().unwrap(),
            "mappedFileSizeConsumeQueue" => config.consume_queue_file_size = value.parse().unwrap(),
            "maxHashSlotNum" => config.index_slots = value.parse().unwrap(),
            "maxIndexNum" => config.index_items = value.parse().unwrap(),
            "messageDelayLevel" => config.delay_levels = value.split(' ').map(delay_ms).collect(),
            _ => {}
        }
    }
    let manifest =
        serde_json::from_str(&std::fs::read_to_string(from.join("manifest.json")).unwrap()).unwrap();
    Golden { _dir: dir, root, manifest, config }
}

fn delay_ms(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => panic!("{text}"),
    };
    number.parse::<i64>().unwrap() * seconds * 1_000
}

fn open(golden: &Golden) -> Store {
    Store::open(golden.config.clone(), Arc::new(SystemClock::new()), |_| {}).unwrap()
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap()
}

/// Everything the manifest says.
fn check(store: &Store, manifest: &Value) {
    let runtime = &manifest["runtime"];
    assert_eq!(store.commit_log_min() as i64, number(&runtime["commitLogMinOffset"]));
    assert_eq!(store.commit_log_max() as i64, number(&runtime["commitLogMaxOffset"]));
    for queue in manifest["queues"].as_array().unwrap() {
        let (topic, id) = (queue["topic"].as_str().unwrap(), number(&queue["queueId"]) as i32);
        let range = (store.queue_min(topic, id), store.queue_max(topic, id));
        assert_eq!(range, (number(&queue["minOffset"]), number(&queue["maxOffset"])), "{topic} {id}");
        assert_eq!(store.queue_next(topic, id), range.1, "{topic} {id}");
    }
    let messages = manifest["messages"].as_array().unwrap();
    assert!(!messages.is_empty());
    for message in messages {
        let topic = message.get("cqTopic").unwrap_or(&message["topic"]).as_str().unwrap();
        let (id, offset) = (number(&message["queueId"]) as i32, number(&message["queueOffset"]));
        let log_offset = number(&message["commitLogOffset"]) as u64;
        let wanted = message["recordSha256"].as_str().unwrap();
        let request = GetRequest { topic, queue_id: id, offset, max_nums: 1, max_bytes: None, filter: None };
        let result = store.get_blocking(&request);
        assert_eq!(result.status, GetStatus::Found, "{topic} {id} {offset}");
        assert_eq!((result.messages.len(), result.next_begin_offset), (1, offset + 1));
        assert_eq!(sha256(&result.messages[0]), wanted, "{topic} {id} {offset}");
        assert_eq!(store.physical_offset_of(topic, id, offset), Some(log_offset));
        assert_eq!(sha256(&store.record_at(log_offset).unwrap()), wanted);
        assert_eq!(store.store_time(topic, id, offset), number(&message["storeTimestamp"]));
        // A queue whose file is new or rebuilt answers from the same unit as one that Java wrote.
        if let Ok(Decoded::Record(record)) = decode(&result.messages[0], Checks::BodyCrc) {
            assert_eq!(record.queue_offset, offset);
        } else {
            panic!("{topic} {id} {offset}: not a record");
        }
    }
    for query in manifest["indexQueries"].as_array().unwrap() {
        let (topic, key) = (query["topic"].as_str().unwrap(), query["key"].as_str().unwrap());
        let wanted: Vec<i64> = query["commitLogOffsets"].as_array().unwrap().iter().map(number).collect();
        assert_eq!(by_key(store, topic, key), wanted, "{topic} {key}");
    }
}

/// Offsets of the messages that really have the key: hashes of different keys can be equal.
fn by_key(store: &Store, topic: &str, key: &str) -> Vec<i64> {
    let found = store.query(topic, key, 64, 0, i64::MAX);
    let mut offsets: Vec<i64> = found
        .messages
        .iter()
        .filter_map(|bytes| match decode(bytes, Checks::BodyCrc) {
            Ok(Decoded::Record(record)) => {
                let words = props::get(&record.properties, props::keys::KEYS).unwrap_or_default();
                let unique = props::get(&record.properties, props::keys::UNIQ_KEY);
                (words.split(' ').any(|word| word == key) || unique == Some(key)).then_some(record.log_offset)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    offsets.dedup();
    offsets
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_case(case: &str) {
    let golden = golden(case);
    let clean = !golden.root.join("abort").exists();
    assert_eq!(clean, !case.contains("crash"), "{case}");
    let store = open(&golden);
    check(&store, &golden.manifest);
    assert!(golden.root.join("abort").exists());
    store.stop().unwrap();
    assert!(!golden.root.join("abort").exists());
    // What the stop left is as good as what Java left.
    let store = open(&golden);
    check(&store, &golden.manifest);
    // And a crash right after the start changes nothing, however often.
    drop(store);
    for _ in 0..2 {
        assert!(golden.root.join("abort").exists());
        let store = open(&golden);
        check_queues_and_messages(&store, &golden.manifest);
        drop(store);
    }
}

/// After a crash the index restarts where recovery did, in Java as well; everything else must be there.
fn check_queues_and_messages(store: &Store, manifest: &Value) {
    let mut without = manifest.clone();
    without["indexQueries"] = Value::Array(Vec::new());
    check(store, &without);
}

#[test]
fn basic_store_of_5_5_0() {
    check_case("java-5.5.0/basic");
}

#[test]
fn basic_store_of_4_9_7() {
    check_case("java-4.9.7/basic");
}

#[test]
fn store_with_delayed_messages_of_5_5_0() {
    check_case("java-5.5.0/sched");
}

#[test]
fn killed_broker_of_5_5_0() {
    check_case("java-5.5.0/crash-kill9");
}

#[test]
fn torn_last_record_of_4_9_7() {
    check_case("java-4.9.7/crash-torn-tail");
}

#[test]
fn lost_consume_queues_of_5_5_0() {
    check_case("java-5.5.0/crash-no-cq");
}

/// The queue files that we rebuild from Java's log equal, byte for byte, those that Java wrote.
#[test]
fn rebuilt_queue_files_equal_those_of_java() {
    for case in ["java-5.5.0/basic", "java-4.9.7/basic", "java-5.5.0/sched"] {
        let golden = golden(case);
        let queues = golden.root.join("consumequeue");
        let of_java = golden.root.with_file_name("of-java");
        std::fs::rename(&queues, &of_java).unwrap();
        let store = open(&golden);
        check(&store, &golden.manifest);
        store.stop().unwrap();
        let mut compared = 0;
        for file in files(&of_java) {
            let ours = queues.join(file.strip_prefix(&of_java).unwrap());
            assert!(
                std::fs::read(&file).unwrap() == std::fs::read(&ours).unwrap_or_default(),
                "{}",
                ours.display()
            );
            compared += 1;
        }
        assert_eq!(files(&queues).len(), compared, "{case}");
        assert!(compared > 5);
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
