//! Retention beside readers: what somebody holds stays what it is, whatever happens to the file.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use raptormq_base::clock::SystemClock;
use raptormq_message::{Checks, Decoded, NewMessage, decode};
use raptormq_store::{GetRequest, GetStatus, Store, StoreConfig};

const MESSAGES: u64 = 600;

fn body(n: u64) -> Bytes {
    (0..700).map(|at| (n * 31 + at) as u8).collect::<Vec<u8>>().into()
}

fn message(n: u64) -> NewMessage {
    NewMessage {
        topic: "T".into(),
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        born_host: "10.0.0.1:5".parse().unwrap(),
        store_host: "10.0.0.2:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: body(n),
        properties: Bytes::new(),
    }
}

fn get(store: &Store, offset: i64) -> raptormq_store::GetResult {
    store.get_blocking(&GetRequest {
        topic: "T",
        queue_id: 0,
        offset,
        max_nums: 1,
        max_bytes: None,
        filter: None,
    })
}

fn is_whole(record: &Bytes, n: u64) -> bool {
    matches!(decode(record, Checks::BodyCrc), Ok(Decoded::Record(record)) if record.body == &body(n)[..])
}

fn log_files(root: &Path) -> usize {
    std::fs::read_dir(root.join("commitlog")).unwrap().count()
}

#[test]
fn what_readers_hold_stays_readable_after_its_file_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = StoreConfig::at(dir.path());
    config.commit_log_file_size = 32 << 10;
    config.consume_queue_file_size = 20 * 50;
    (config.index_slots, config.index_items) = (100, 1_000);
    (config.file_reserved_hours, config.delete_commit_log_files_interval_ms) = (0, 0);
    config.delete_when = "99".to_owned();
    let store = Store::open(config, Arc::new(SystemClock::new()), |_| {}).unwrap();
    for n in 0..MESSAGES {
        store.append(&message(n)).unwrap();
    }
    let held: Vec<Bytes> = (0..MESSAGES as i64).map(|n| get(&store, n).messages.remove(0)).collect();
    let before = log_files(dir.path());
    assert!(before > 10, "{before} files");

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Readers of everything, while files go.
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut found, mut gone) = (0, 0);
                    while !done.load(Ordering::SeqCst) {
                        for n in 0..MESSAGES {
                            let result = get(&store, n as i64);
                            match result.status {
                                GetStatus::Found => {
                                    let at = result.queue_offsets[0];
                                    assert!(
                                        at >= n as i64 && is_whole(&result.messages[0], at as u64),
                                        "{n}: {at}"
                                    );
                                    found += 1;
                                }
                                GetStatus::OffsetTooSmall
                                | GetStatus::MessageWasRemoving
                                | GetStatus::NoMatchedMessage
                                | GetStatus::OffsetFoundNull => gone += 1,
                                other => panic!("{n}: {other:?}"),
                            }
                        }
                    }
                    (found, gone)
                })
            })
            .collect();
        let begin = Instant::now();
        while store.commit_log_min() == 0 || log_files(dir.path()) > 3 {
            assert!(begin.elapsed() < Duration::from_secs(20), "files do not go");
            store.delete_expired_files();
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(50));
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            let (found, gone) = reader.join().unwrap();
            assert!(found > 0 && gone > 0, "{found} found, {gone} gone");
        }
    });
    println!("{before} files before, {} after, {} records held", log_files(dir.path()), held.len());
    assert_eq!(get(&store, 0).status, GetStatus::OffsetTooSmall);
    for (n, record) in held.iter().enumerate() {
        assert!(is_whole(record, n as u64), "message {n} was held");
    }
    store.stop().unwrap();
    drop(store);
    // Also when the store is gone.
    assert!(held.iter().enumerate().all(|(n, record)| is_whole(record, n as u64)));
}
