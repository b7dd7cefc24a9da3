//! Store directories written by real Java brokers, some of them broken on purpose: what we read from them must be
//! what the Java broker of that version reads. `testdata/java-<version>/<case>` holds the directory, the settings it
//! was written with, and the manifest that Java produced.

#![allow(clippy::unwrap_used)]

mod cases;
mod load;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raptormq_base::clock::SystemClock;
use raptormq_message::{Checks, Decoded, decode, props};
use raptormq_store::{FlushMode, GetRequest, GetStatus, OpenError, Store, StoreConfig};
use serde_json::Value;
use sha2::{Digest, Sha256};

struct Golden {
    _dir: tempfile::TempDir,
    root: PathBuf,
    manifest: Value,
    config: StoreConfig,
}

fn golden(case: &str) -> Golden {
    let load::Unpacked { dir, root, manifest, conf } = load::unpack(case);
    let mut config = StoreConfig::at(&root);
    config.flush = FlushMode::default();
    for line in conf.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        match key {
            "fileReservedTime" => config.file_reserved_hours = value.parse().unwrap(),
            "mappedFileSizeCommitLog" => config.commit_log_file_size = value.parse().unwrap(),
            "mappedFileSizeConsumeQueue" => config.consume_queue_file_size = value.parse().unwrap(),
            "maxHashSlotNum" => config.index_slots = value.parse().unwrap(),
            "maxIndexNum" => config.index_items = value.parse().unwrap(),
            "enableLmq" => config.enable_lmq = value == "true",
            "enableMultiDispatch" => config.enable_multi_dispatch = value == "true",
            "enableConsumeQueueExt" => config.enable_consume_queue_ext = value == "true",
            "mappedFileSizeConsumeQueueExt" => config.consume_queue_ext_file_size = value.parse().unwrap(),
            "messageDelayLevel" => config.delay_levels = value.split(' ').map(delay_ms).collect(),
            _ => {}
        }
    }
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
    try_open(golden).unwrap()
}

fn try_open(golden: &Golden) -> Result<Store, OpenError> {
    let open = || Store::open(golden.config.clone(), Arc::new(SystemClock::new()), |_| {});
    for _ in 0..100 {
        match open() {
            // Another test is starting `tar`: until that runs, it holds every file that is open here, and so the lock.
            Err(OpenError::Locked { .. }) => std::thread::sleep(Duration::from_millis(20)),
            opened => return opened,
        }
    }
    open()
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap()
}

/// Everything the manifest says.
fn check(store: &Store, manifest: &Value) {
    let runtime = &manifest["runtime"];
    assert_eq!(store.commit_log_min() as i64, number(&runtime["commitLogMinOffset"]));
    assert_eq!(store.commit_log_max() as i64, number(&runtime["commitLogMaxOffset"]));
    // The manifest lists the messages of a queue in the order of their pulls.
    let mut by_queue: BTreeMap<(&str, i32), Vec<&Value>> = BTreeMap::new();
    for message in manifest["messages"].as_array().unwrap() {
        let topic = message.get("cqTopic").unwrap_or(&message["topic"]).as_str().unwrap();
        let id = message.get("cqQueueId").unwrap_or(&message["queueId"]);
        by_queue.entry((topic, number(id) as i32)).or_default().push(message);
    }
    assert!(!by_queue.is_empty());
    for queue in manifest["queues"].as_array().unwrap() {
        let (topic, id) = (queue["topic"].as_str().unwrap(), number(&queue["queueId"]) as i32);
        let (mut min, mut max) = (number(&queue["minOffset"]), number(&queue["maxOffset"]));
        if topic == "GoldenStatic" && id == 2 {
            // The broker answered logical offsets; topicQueueMapping.json moves this queue by 1000.
            (min, max) = (min - 1000, max - 1000);
        }
        let range = (store.queue_min(topic, id), store.queue_max(topic, id));
        assert_eq!(range, (min, max), "{topic} {id}");
        assert_eq!(store.queue_next(topic, id), max, "{topic} {id}");
        let messages = by_queue.remove(&(topic, id)).unwrap_or_default();
        assert_eq!(messages.len() as i64, number(&queue["readable"]), "{topic} {id}");
        let mut offset = min;
        for message in messages {
            offset = check_message(store, (topic, id), offset, message);
        }
        assert_eq!(offset, max, "{topic} {id}");
    }
    assert_eq!(by_queue.keys().collect::<Vec<_>>(), Vec::<&(&str, i32)>::new());
    for query in manifest["indexQueries"].as_array().unwrap() {
        let (topic, key) = (query["topic"].as_str().unwrap(), query["key"].as_str().unwrap());
        let wanted: Vec<i64> = query["commitLogOffsets"].as_array().unwrap().iter().map(number).collect();
        assert_eq!(by_key(store, topic, key), wanted, "{topic} {key}");
    }
}

/// The message at `offset` of a queue, by all ways to it; the offset of the next one.
fn check_message(store: &Store, (topic, id): (&str, i32), offset: i64, message: &Value) -> i64 {
    let log_offset = number(&message["commitLogOffset"]) as u64;
    let wanted = message["recordSha256"].as_str().unwrap();
    // A record with inner messages takes as many offsets.
    let next = offset + message["innerNum"].as_i64().unwrap_or(1);
    let request = GetRequest { topic, queue_id: id, offset, max_nums: 1, max_bytes: None, filter: None };
    let result = store.get_blocking(&request);
    assert_eq!(result.status, GetStatus::Found, "{topic} {id} {offset}");
    assert_eq!((result.messages.len(), result.next_begin_offset), (1, next), "{topic} {id} {offset}");
    if topic == "GoldenCompact" {
        // Java reads this topic from its compaction log, whose copies of the records tell their position there.
        let mut copy = result.messages[0].to_vec();
        copy[28..36].copy_from_slice(&log_offset.to_be_bytes());
        assert_eq!(sha256(&copy), wanted, "{topic} {id} {offset}");
        return next;
    }
    assert_eq!(sha256(&result.messages[0]), wanted, "{topic} {id} {offset}");
    assert_eq!(store.physical_offset_of(topic, id, offset), Some(log_offset), "{topic} {id} {offset}");
    assert_eq!(sha256(&store.record_at(log_offset).unwrap()), wanted);
    assert_eq!(store.store_time(topic, id, offset), number(&message["storeTimestamp"]));
    let Ok(Decoded::Record(record)) = decode(&result.messages[0], Checks::BodyCrc) else {
        panic!("{topic} {id} {offset}: not a record");
    };
    if message["cqTopic"].is_null() {
        // In a light queue the record's own offset is that in its topic.
        assert_eq!(record.queue_offset, offset);
    }
    next
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
