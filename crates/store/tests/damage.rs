//! No content of a store directory may make us panic, hang or refuse what can be served: random damage, bounded and
//! seeded.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use raptormq_base::clock::SystemClock;
use raptormq_message::{Checks, NewMessage, decode};
use raptormq_store::{Boundary, GetRequest, OpenError, Store, StoreConfig};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn config(root: &Path) -> StoreConfig {
    let mut config = StoreConfig::at(root);
    config.commit_log_file_size = 4 << 10;
    config.consume_queue_file_size = 8 * 20;
    config.index_slots = 4;
    config.index_items = 16;
    config
}

fn open(root: &Path) -> Result<Store, OpenError> {
    Store::open(config(root), Arc::new(SystemClock::new()), |_| {})
}

fn message(n: usize) -> NewMessage {
    NewMessage {
        topic: if n.is_multiple_of(3) { "SCHEDULE_TOPIC_XXXX".into() } else { "T".into() },
        queue_id: (n % 2) as i32,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        born_host: "10.0.0.1:5".parse().unwrap(),
        store_host: "[::1]:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: Bytes::from(vec![n as u8; n % 97 * 3]),
        properties: Bytes::from(format!(
            "UNIQ_KEY\u{1}U{n}\u{2}KEYS\u{1}k{n}\u{2}DELAY\u{1}3\u{2}TAGS\u{1}a\u{2}"
        )),
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("lock") {
            found.push(path);
        }
    }
    found
}

/// Every reading call, with arguments that do not fit either.
fn read_everything(store: &Store) {
    for topic in store.topics().iter().map(String::as_str).chain(["none"]) {
        for queue_id in [-1, 0, 1, 2] {
            for offset in [-5, 0, 1, 7, 8, 15, 1_000, i64::MAX] {
                let request =
                    GetRequest { topic, queue_id, offset, max_nums: 32, max_bytes: None, filter: None };
                let result = store.get_blocking(&request);
                assert_eq!(result.messages.len(), result.queue_offsets.len());
                store.store_time(topic, queue_id, offset);
                store.physical_offset_of(topic, queue_id, offset);
            }
            for time in [i64::MIN, 0, i64::MAX] {
                store.offset_by_time(topic, queue_id, time, Boundary::Lower);
                store.offset_by_time(topic, queue_id, time, Boundary::Upper);
            }
            store.earliest_time(topic, queue_id);
        }
        for key in ["U1", "k2", "k60", ""] {
            store.query(topic, key, 64, 0, i64::MAX);
        }
    }
    for offset in [0, 1, 100, 4_096, 9_999, u64::MAX] {
        if let Some(record) = store.record_at(offset) {
            assert!(decode(&record, Checks::Sizes).is_ok());
        }
    }
}

fn damage(random: &mut Random, files: &[PathBuf]) {
    let path = &files[random.below(files.len())];
    let mut bytes = std::fs::read(path).unwrap();
    if bytes.is_empty() {
        return;
    }
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(24)).min(bytes.len());
        match random.below(5) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at..end].fill(0),
            2 => bytes[at..end].fill(0xFF),
            3 => (at..end).for_each(|at| bytes[at] = random.next() as u8),
            _ => {
                let from = random.below(bytes.len() - (end - at));
                bytes.copy_within(from..from + (end - at), at);
            }
        }
    }
    match random.below(30) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => bytes.extend([0; 7]),
        _ => {}
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_directories_open_or_are_refused_and_then_work() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    let store = open(&original).unwrap();
    for n in 0..60 {
        store.append(&message(n)).unwrap();
    }
    store.stop().unwrap();
    // More rounds, or others: DAMAGE_ROUNDS=5000 DAMAGE_SEED=7.
    let number = |name, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let rounds = number("DAMAGE_ROUNDS", 100);
    let mut random = Random(number("DAMAGE_SEED", 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let (mut opened, mut refused) = (0, 0);
    for round in 0..rounds {
        let root = dir.path().join(format!("r{round}"));
        for file in files(&original) {
            let to = root.join(file.strip_prefix(&original).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&file, &to).unwrap();
        }
        if round % 2 == 0 {
            std::fs::write(root.join("abort"), "1").unwrap();
        }
        let all = files(&root);
        for _ in 0..=random.below(3) {
            damage(&mut random, &all);
        }
        match open(&root) {
            Ok(store) => {
                opened += 1;
                read_everything(&store);
                let before = store.queue_next("T", 0);
                let appended = store.append(&message(2)).unwrap();
                assert_eq!(appended.queue_offset, before);
                assert!(store.record_at(appended.log_offset).is_some());
                read_everything(&store);
                let max = store.commit_log_max();
                store.stop().unwrap();
                let store = open(&root).unwrap();
                assert_eq!(
                    store.commit_log_max(),
                    max,
                    "round {round}: what is appended after damage is found again"
                );
                read_everything(&store);
            }
            Err(OpenError::FileLength { .. }) => refused += 1,
            Err(other) => panic!("round {round}: {other}"),
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
    assert!(opened > rounds * 3 / 4 && refused > 0, "{opened} {refused}");
}

/// The log is cut anywhere, as a crash of the machine does: every record before the cut is there, none after it.
/// Only a record that lacks nothing but property text stays, as in Java: no checksum covers it.
#[test]
fn a_torn_tail_ends_the_log_at_the_last_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    let store = open(&original).unwrap();
    let places: Vec<_> = (0..12).map(|n| store.append(&message(n)).unwrap()).collect();
    drop(store);
    let end = places[11].next_offset;
    assert!(end < 4_096);
    for cut in (0..=end).step_by(17).chain([end]) {
        let root = dir.path().join(format!("c{cut}"));
        std::fs::create_dir_all(root.join("commitlog")).unwrap();
        let mut bytes = std::fs::read(original.join("commitlog/00000000000000000000")).unwrap();
        bytes[cut as usize..].fill(0);
        std::fs::write(root.join("commitlog/00000000000000000000"), bytes).unwrap();
        std::fs::write(root.join("abort"), "1").unwrap();
        let store = open(&root).unwrap();
        let properties = |n: usize| message(n).properties.len() as u64;
        let whole = (0..12).filter(|n| places[*n].next_offset - properties(*n) <= cut).count();
        assert_eq!(
            store.commit_log_max(),
            if whole == 0 { 0 } else { places[whole - 1].next_offset },
            "cut at {cut}"
        );
        let in_queues: i64 = ["T", "SCHEDULE_TOPIC_XXXX"]
            .iter()
            .flat_map(|topic| [0, 1].map(|queue_id| store.queue_max(topic, queue_id)))
            .sum();
        assert_eq!(in_queues, whole as i64);
        drop(store);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
