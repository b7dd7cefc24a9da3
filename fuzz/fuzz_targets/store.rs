//! Any bytes as the files of a store: it opens or is refused, serves, takes an append, and opens again with it.
//!
//! The input is cut into a commit log file, a consume queue file, an index file and a checkpoint. Magic numbers are put
//! where the input says, so that records are met often.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use raptormq_base::clock::SystemClock;
use raptormq_message::NewMessage;
use raptormq_store::offline::{Directory, Options, Verification};
use raptormq_store::{GetRequest, Store, StoreConfig};

const LOG: usize = 4_096;
const QUEUE: usize = 160;
const INDEX: usize = 40 + 4 * 4 + 16 * 20;

fn config(root: &Path) -> StoreConfig {
    let mut config = StoreConfig::at(root);
    config.commit_log_file_size = LOG as u64;
    config.consume_queue_file_size = QUEUE as u64;
    (config.index_slots, config.index_items) = (4, 16);
    config
}

fn put(root: &Path, name: &str, bytes: &[u8], len: usize) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().expect("it has a directory")).expect("a directory in memory");
    let mut bytes = bytes[..bytes.len().min(len)].to_vec();
    bytes.resize(len, 0);
    std::fs::write(path, bytes).expect("a file in memory");
}

fn open(root: &Path) -> Option<Store> {
    Store::open(config(root), Arc::new(SystemClock::new()), |_| {}).ok()
}

fn use_it(store: &Store) {
    for topic in store.topics() {
        for queue_id in store.queues(&topic) {
            let request =
                GetRequest { topic: &topic, queue_id, offset: 0, max_nums: 32, max_bytes: None, filter: None };
            store.get_blocking(&request);
        }
        store.query(&topic, "k", 64, 0, i64::MAX);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [flags, magic_1, magic_2, rest @ ..] = bytes else { return };
    let dir = tempfile::Builder::new().tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let root = dir.path();
    let (log, rest) = rest.split_at(rest.len().min(LOG));
    let (queue, rest) = rest.split_at(rest.len().min(QUEUE));
    let (index, rest) = rest.split_at(rest.len().min(INDEX));
    let mut log = log.to_vec();
    for at in [4, 4 * usize::from(*magic_1), 4 * usize::from(*magic_2)] {
        if let Some(place) = log.get_mut(at..at + 4) {
            place.copy_from_slice(&raptormq_message::layout::MAGIC_V1.to_be_bytes());
        }
    }
    put(root, "commitlog/00000000000000000000", &log, LOG);
    if flags & 1 != 0 {
        put(root, "consumequeue/T/0/00000000000000000000", queue, QUEUE);
    }
    if flags & 2 != 0 {
        put(root, "index/20240101000000000", index, INDEX);
    }
    if flags & 4 != 0 {
        put(root, "checkpoint", rest, 4_096);
    }
    if flags & 8 != 0 {
        put(root, "abort", b"1", 1);
    }
    if let Ok(directory) = Directory::open(root, Options { index: Some((4, 16)), ..Options::default() }) {
        directory.inspect().expect("it can be read");
        directory.verify(&Verification { for_4_9_7: true }, &|_| {}, &mut |_| {}).expect("it can be read");
    }
    let Some(store) = open(root) else { return };
    use_it(&store);
    let message = NewMessage {
        topic: "T".into(),
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        born_host: ([10, 0, 0, 1], 5).into(),
        store_host: ([10, 0, 0, 2], 6).into(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: vec![1; 20].into(),
        properties: "KEYS\u{1}k\u{2}".into(),
    };
    let appended = store.append(&message).expect("there is space");
    assert!(store.record_at(appended.log_offset).is_some());
    let end = store.commit_log_max();
    store.stop().expect("it can be written");
    drop(store);
    let store = open(root).expect("what was closed cleanly opens");
    assert_eq!(store.commit_log_max(), end);
    use_it(&store);
});
