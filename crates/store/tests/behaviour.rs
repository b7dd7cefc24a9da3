//! What a caller of the store can rely on: positions, rolling, batches, reading, searching, stopping, crashing.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use raptormq_base::clock::{Clock, ManualClock, SystemClock};
use raptormq_message::{Checks, Decoded, NewMessage, decode, flags};
use raptormq_store::{
    AppendError, Appended, Boundary, Filter, FlushMode, FlushOutcome, Get, GetRequest, GetStatus, OpenError,
    Store, StoreConfig,
};

const FILE: u64 = 64 << 10;

fn config(root: &Path) -> StoreConfig {
    let mut config = StoreConfig::at(root);
    config.commit_log_file_size = FILE;
    config.consume_queue_file_size = 50 * 20;
    config.index_slots = 50;
    config.index_items = 100;
    config
}

fn open_with(config: StoreConfig) -> Store {
    Store::open(config, Arc::new(SystemClock::new()), |_| {}).unwrap()
}

fn open(root: &Path) -> Store {
    open_with(config(root))
}

fn message(topic: &str, queue_id: i32, body: &[u8]) -> NewMessage {
    NewMessage {
        topic: topic.into(),
        queue_id,
        flag: 7,
        sys_flag: 0,
        born_timestamp: 1,
        born_host: "10.0.0.1:5".parse().unwrap(),
        store_host: "10.0.0.2:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: Bytes::copy_from_slice(body),
        properties: Bytes::new(),
    }
}

fn with_properties(mut message: NewMessage, properties: &[(&str, &str)]) -> NewMessage {
    let text: String = properties.iter().map(|(key, value)| format!("{key}\u{1}{value}\u{2}")).collect();
    message.properties = Bytes::from(text);
    message
}

fn request(topic: &str, queue_id: i32, offset: i64, max_nums: i32) -> GetRequest<'_> {
    GetRequest { topic, queue_id, offset, max_nums, max_bytes: None, filter: None }
}

/// Bodies of all messages of a queue, with their positions checked.
fn bodies(store: &Store, topic: &str, queue_id: i32) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut at = store.queue_min(topic, queue_id);
    loop {
        let result = store.get_blocking(&request(topic, queue_id, at, 32));
        if result.status != GetStatus::Found {
            return found;
        }
        for (bytes, offset) in result.messages.iter().zip(&result.queue_offsets) {
            let Ok(Decoded::Record(record)) = decode(bytes, Checks::BodyCrc) else { panic!("not a record") };
            assert_eq!((record.queue_offset, record.queue_id, &*record.topic), (*offset, queue_id, topic));
            found.push(record.body.to_vec());
        }
        at = result.next_begin_offset;
    }
}

/// What `i` messages over three queues look like, for comparisons after a restart.
fn write_many(store: &Store, range: std::ops::Range<u32>) -> Vec<Appended> {
    range
        .map(|n| {
            let body = vec![n as u8; (n as usize * 37) % 900];
            let key = format!("k{n}");
            let message =
                with_properties(message("T", (n % 3) as i32, &body), &[("KEYS", &key), ("TAGS", "a")]);
            store.append(&message).unwrap()
        })
        .collect()
}

fn expect_many(store: &Store, count: u32) {
    let mut wanted: BTreeMap<i32, Vec<Vec<u8>>> = BTreeMap::new();
    for n in 0..count {
        wanted.entry((n % 3) as i32).or_default().push(vec![n as u8; (n as usize * 37) % 900]);
    }
    for (queue_id, wanted) in wanted {
        assert_eq!(bodies(store, "T", queue_id), wanted, "queue {queue_id}");
        assert_eq!(store.queue_next("T", queue_id), wanted.len() as i64);
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy_dir(&path, &target) } else { assert!(std::fs::copy(&path, &target).is_ok()) }
    }
}

fn log_files(root: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root.join("commitlog")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn positions_are_consecutive_and_messages_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = store.append(&message("A", 0, b"one")).unwrap();
    assert_eq!((first.log_offset, first.queue_offset, first.next_offset), (0, 0, u64::from(first.len)));
    let second = store.append(&message("A", 0, b"two")).unwrap();
    assert_eq!((second.log_offset, second.queue_offset), (first.next_offset, 1));
    let other = store.append(&message("B", 5, b"three")).unwrap();
    assert_eq!((other.log_offset, other.queue_offset), (second.next_offset, 0));
    assert_eq!(bodies(&store, "A", 0), [b"one", b"two"]);
    assert_eq!(bodies(&store, "B", 5), [b"three"]);
    assert_eq!((store.queue_min("A", 0), store.queue_max("A", 0), store.queue_next("A", 0)), (0, 2, 2));
    assert_eq!((store.queue_min("no", 0), store.queue_max("no", 0)), (0, 0));
    assert_eq!(store.physical_offset_of("A", 0, 1), Some(second.log_offset));
    assert_eq!(store.physical_offset_of("A", 0, 2), None);
    assert_eq!(store.record_at(first.log_offset).unwrap().len(), first.len as usize);
    assert_eq!(store.record_at(1), None);
    assert_eq!(store.record_at(other.next_offset), None);
    assert_eq!(store.store_time("A", 0, 1), second.store_timestamp);
    assert_eq!(store.earliest_time("A", 0), first.store_timestamp);
    assert_eq!((store.earliest_time("no", 0), store.earliest_log_time()), (-1, first.store_timestamp));
    assert_eq!((store.commit_log_min(), store.commit_log_max()), (0, other.next_offset));
    assert_eq!(store.dispatch_behind(), 0);
    let mut topics = store.topics();
    topics.sort();
    assert_eq!((topics, store.queues("B")), (vec!["A".to_owned(), "B".to_owned()], vec![5]));
    store.stop().unwrap();
    assert_eq!(store.append(&message("A", 0, b"late")), Err(AppendError::Closed));
    store.stop().unwrap();
}

#[test]
fn files_roll_with_a_blank_record_and_exact_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let written = write_many(&store, 0..600);
    expect_many(&store, 600);
    let max = store.commit_log_max();
    assert!(max > 3 * FILE);
    // A record never crosses a file and leaves room for the blank one.
    for one in &written {
        let left = FILE - one.log_offset % FILE;
        assert!(u64::from(one.len) + 8 <= left, "{one:?}");
    }
    store.stop().unwrap();
    let files = log_files(dir.path());
    for (index, file) in files.iter().enumerate() {
        assert_eq!(file.file_name().unwrap().to_str().unwrap(), format!("{:020}", index as u64 * FILE));
        let bytes = std::fs::read(file).unwrap();
        assert_eq!(bytes.len() as u64, FILE);
        let start = index as u64 * FILE;
        let end = written
            .iter()
            .filter(|one| one.log_offset / FILE == index as u64)
            .map(|one| one.next_offset)
            .max();
        let used = (end.unwrap_or(start) - start) as usize;
        if start + FILE <= max {
            assert_eq!(bytes[used..used + 4], (FILE as u32 - used as u32).to_be_bytes());
            assert_eq!(bytes[used + 4..used + 8], 0xCBD4_3194u32.to_be_bytes());
            assert!(bytes[used + 8..].iter().all(|byte| *byte == 0));
        } else {
            assert!(bytes[used..].iter().all(|byte| *byte == 0), "{}", file.display());
        }
    }
    let store = open(dir.path());
    expect_many(&store, 600);
    write_many(&store, 600..700);
    expect_many(&store, 700);
    store.stop().unwrap();
}

#[test]
fn a_batch_is_stored_whole_in_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(&message("B", 1, &[0; 60_000])).unwrap();
    let batch: Vec<NewMessage> = (0..10u8).map(|n| message("B", 1, &[n; 1_000])).collect();
    let places = store.append_batch(&batch).unwrap();
    assert_eq!(places[0].log_offset, FILE, "did not fit behind the first message");
    assert!(places.windows(2).all(|two| two[0].next_offset == two[1].log_offset));
    assert_eq!(places.iter().map(|it| it.queue_offset).collect::<Vec<_>>(), (1..=10).collect::<Vec<i64>>());
    assert_eq!(bodies(&store, "B", 1).len(), 11);
    // What no file can hold changes nothing.
    let max = store.commit_log_max();
    let large: Vec<NewMessage> = (0..7).map(|_| message("B", 1, &[0; 10_000])).collect();
    assert!(matches!(store.append_batch(&large), Err(AppendError::MessageTooLarge { .. })));
    assert!(matches!(store.append_batch(&[]), Err(AppendError::IllegalBatch(_))));
    assert!(matches!(
        store.append_batch(&[message("B", 1, b""), message("B", 2, b"")]),
        Err(AppendError::IllegalBatch(_))
    ));
    assert_eq!((store.commit_log_max(), store.queue_next("B", 1)), (max, 11));
    assert_eq!(store.append(&message("B", 1, b"x")).unwrap().queue_offset, 11);
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = config(dir.path());
    small.max_message_size = 1_000;
    let store = open_with(small);
    let refused = |message: NewMessage| store.append(&message).unwrap_err();
    assert_eq!(
        refused(message("T", 0, &[0; 1_001])),
        AppendError::MessageTooLarge { bytes: 1_001, max: 1_000 }
    );
    assert!(store.append(&message("T", 0, &[0; 1_000])).is_ok());
    assert!(matches!(refused(message("a/b", 0, b"")), AppendError::IllegalTopic(_)));
    assert!(matches!(refused(message("..", 0, b"")), AppendError::IllegalTopic(_)));
    assert!(matches!(refused(message(&"t".repeat(256), 0, b"")), AppendError::TopicTooLong { bytes: 256 }));
    let mut long = message("T", 0, b"");
    long.properties = Bytes::from(vec![b'p'; 32_768]);
    assert_eq!(refused(long), AppendError::PropertiesTooLarge { bytes: 32_768 });
    assert_eq!(store.queue_next("T", 0), 1);
}

struct Tags(Vec<i64>);

impl Filter for Tags {
    fn matches_queue(&self, tags_code: i64) -> bool {
        self.0.contains(&tags_code)
    }

    fn matches_record(&self, record: &[u8]) -> bool {
        !record.ends_with(b"TAGS\x01skip\x02")
    }
}

#[test]
fn reading_keeps_the_limits_and_corrects_offsets_as_java() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.consume_queue_file_size = 300_000 * 20;
    config.commit_log_file_size = 4 << 20;
    let store = open_with(config);
    let get = |offset, max| store.get_blocking(&request("T", 0, offset, max));
    let result = get(5, 32);
    assert_eq!((result.status, result.next_begin_offset), (GetStatus::NoMessageInQueue, 0));
    for n in 0..1_200u32 {
        let tag = if n % 100 == 99 { "rare" } else { "often" };
        store.append(&with_properties(message("T", 0, &[1; 1_000]), &[("TAGS", tag)])).unwrap();
    }
    let len = store.record_at(0).unwrap().len();
    for (offset, status, next) in [
        (-1, GetStatus::OffsetTooSmall, 0),
        (1_200, GetStatus::OffsetOverflowOne, 1_200),
        (1_201, GetStatus::OffsetOverflowBadly, 1_200),
    ] {
        let result = get(offset, 32);
        assert_eq!(
            (result.status, result.next_begin_offset, result.messages.len()),
            (status, next, 0),
            "{offset}"
        );
        assert_eq!((result.min_offset, result.max_offset), (0, 1_200));
    }
    assert_eq!(get(0, 10).messages.len(), 10);
    assert_eq!(get(0, 1_000).messages.len(), 32, "count limit in memory");
    assert_eq!(get(1_195, 32).messages.len(), 5);
    let bounded = store.get_blocking(&GetRequest { max_bytes: Some(3 * len), ..request("T", 0, 0, 32) });
    assert_eq!((bounded.messages.len(), bounded.bytes, bounded.next_begin_offset), (3, 3 * len, 3));
    let tiny = store.get_blocking(&GetRequest { max_bytes: Some(1), ..request("T", 0, 0, 32) });
    assert_eq!(tiny.messages.len(), 1, "one message always");

    // 16,000 bytes of units are 800 messages: a filter may skip that many.
    let filter = |tags: &[&str]| -> Option<Arc<dyn Filter>> {
        Some(Arc::new(Tags(tags.iter().map(|tag| raptormq_message::tags_code(Some(tag))).collect())))
    };
    let rare = store.get_blocking(&GetRequest { filter: filter(&["rare"]), ..request("T", 0, 0, 32) });
    assert_eq!((rare.status, rare.next_begin_offset), (GetStatus::Found, 800));
    assert_eq!(rare.queue_offsets, (0..8).map(|n| n * 100 + 99).collect::<Vec<i64>>());
    let none = store.get_blocking(&GetRequest { filter: filter(&["none"]), ..request("T", 0, 0, 32) });
    assert_eq!((none.status, none.next_begin_offset), (GetStatus::NoMatchedMessage, 800));
    store.append(&with_properties(message("T", 0, b""), &[("TAGS", "skip")])).unwrap();
    let skipped = store.get_blocking(&GetRequest { filter: filter(&["skip"]), ..request("T", 0, 1_200, 32) });
    assert_eq!((skipped.status, skipped.next_begin_offset), (GetStatus::NoMatchedMessage, 1_201));
    assert!(matches!(store.get(&request("T", 0, 0, 32)), Get::Ready(result) if result.messages.len() == 32));
}

#[test]
fn one_answer_never_crosses_queue_files_and_cold_reads_have_their_own_limits() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.access_message_in_memory_max_ratio = 0;
    let store = open_with(config);
    for _ in 0..100 {
        store.append(&message("T", 0, &[1; 10])).unwrap();
    }
    let Get::Cold(cold) = store.get(&request("T", 0, 45, 32)) else { panic!("nothing counts as in memory") };
    let result = cold.run();
    assert_eq!(result.queue_offsets, [45, 46, 47, 48, 49], "fifty units per file");
    assert_eq!(store.get_blocking(&request("T", 0, 50, 32)).messages.len(), 8, "count limit on disk");
    assert!(result.suggest_slave);
}

#[test]
fn search_by_time_finds_both_boundaries() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_000));
    let store = Store::open(config(dir.path()), clock.clone(), |_| {}).unwrap();
    let mut times = Vec::new();
    for n in 0..130 {
        store.append(&message("T", 0, b"x")).unwrap();
        times.push(clock.wall_ms());
        if n % 3 == 2 {
            clock.advance_ms(10);
        }
    }
    for time in 990..1_450 {
        let lower = times.iter().position(|it| *it >= time).unwrap_or(times.len()) as i64;
        assert_eq!(store.offset_by_time("T", 0, time, Boundary::Lower), lower, "lower {time}");
        let upper = times.iter().rposition(|it| *it <= time).unwrap_or(0) as i64;
        let found = store.offset_by_time("T", 0, time, Boundary::Upper);
        // An equal run can go on in the next queue file; Java stops at the file's end.
        let file_end = |at: i64| at / 50 * 50 + 49;
        assert!(
            found == upper || (found == file_end(found) && times[found as usize] == time),
            "upper {time}: {found}"
        );
    }
    assert_eq!(store.offset_by_time("no", 0, 5, Boundary::Lower), 0);
}

#[test]
fn messages_are_found_by_key_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_000_000));
    let store = Store::open(config(dir.path()), clock.clone(), |_| {}).unwrap();
    let mut places = Vec::new();
    for n in 0..300 {
        let (unique, keys) = (format!("U{n}"), format!("k{} shared", n % 10));
        let message = with_properties(message("T", 0, b"x"), &[("UNIQ_KEY", &unique), ("KEYS", &keys)]);
        places.push(store.append(&message).unwrap().log_offset);
        clock.advance_ms(1_000);
    }
    let offsets = |key: &str, max, begin, end| -> Vec<u64> {
        let found = store.query("T", key, max, begin, end);
        found
            .messages
            .iter()
            .map(|bytes| match decode(bytes, Checks::BodyCrc) {
                Ok(Decoded::Record(record)) => record.log_offset as u64,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    for n in [0, 1, 150, 299] {
        assert_eq!(offsets(&format!("U{n}"), 32, 0, i64::MAX), [places[n]]);
    }
    let wanted: Vec<u64> = places.iter().skip(7).step_by(10).copied().collect();
    assert_eq!(offsets("k7", 64, 0, i64::MAX), wanted);
    assert_eq!(offsets("k7", 2, 0, i64::MAX), wanted[28..], "the newest ones");
    assert_eq!(offsets("shared", 1_000, 0, i64::MAX).len(), 64);
    let (begin, end) = (1_000_000 + 17_000, 1_000_000 + 38_000);
    assert_eq!(offsets("k7", 64, begin, end), wanted[1..4]);
    assert!(offsets("k7", 64, 0, 999).is_empty() && offsets("other", 9, 0, i64::MAX).is_empty());
    assert!(store.query("Other", "k7", 9, 0, i64::MAX).messages.is_empty());
    let last = store.query("T", "U299", 1, 0, i64::MAX);
    assert_eq!(last.index_last_update_phyoffset as u64, places[299]);
    store.stop().unwrap();
    let files = std::fs::read_dir(dir.path().join("index")).unwrap().count();
    assert_eq!(files, 10, "900 keys, 99 per file");
    let store = open(dir.path());
    assert_eq!(store.query("T", "k7", 64, 0, i64::MAX).messages.len(), 30);
}

#[test]
fn half_messages_are_stored_but_in_no_queue_and_delayed_ones_carry_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let clock = Arc::new(ManualClock::new(5_000));
    let store = Store::open(config(dir.path()), clock, {
        let arrived = arrived.clone();
        move |it| {
            arrived.lock().unwrap().push((
                it.topic.to_owned(),
                it.queue_id,
                it.queue_offset,
                it.tags_code,
                it.log_offset,
            ));
        }
    })
    .unwrap();
    for (sys_flag, queue_offset) in [
        (flags::TRANSACTION_PREPARED, 0),
        (flags::TRANSACTION_ROLLBACK, 0),
        (flags::TRANSACTION_COMMIT, 0),
        (flags::TRANSACTION_NOT, 1),
        (flags::TRANSACTION_PREPARED, 0),
    ] {
        let mut message = message("T", 0, b"x");
        message.sys_flag = sys_flag;
        assert_eq!(store.append(&message).unwrap().queue_offset, queue_offset);
    }
    assert_eq!(store.queue_max("T", 0), 2);
    for (level, tags_code) in
        [("3", 15_000), ("18", 7_205_000), ("99", 7_205_000), ("0", 2_598_919), ("x", 2_598_919)]
    {
        let delayed =
            with_properties(message("SCHEDULE_TOPIC_XXXX", 2, b"x"), &[("DELAY", level), ("TAGS", "TagA")]);
        store.append(&delayed).unwrap();
        assert_eq!(arrived.lock().unwrap().last().unwrap().3, tags_code, "level {level}");
    }
    let arrived = arrived.lock().unwrap();
    assert_eq!(arrived.len(), 7);
    assert_eq!((&*arrived[0].0, arrived[0].1, arrived[0].2), ("T", 0, 0));
    assert_eq!(arrived[0].4, store.physical_offset_of("T", 0, 0).unwrap());
}

#[test]
fn concurrent_appends_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let arrivals = Arc::new(Mutex::new(BTreeMap::<i32, Vec<i64>>::new()));
    let store = Store::open(config(dir.path()), Arc::new(SystemClock::new()), {
        let arrivals = arrivals.clone();
        move |it| arrivals.lock().unwrap().entry(it.queue_id).or_default().push(it.queue_offset)
    })
    .unwrap();
    let workers: Vec<_> = (0..4)
        .map(|worker: u8| {
            let store = store.clone();
            std::thread::spawn(move || {
                for n in 0..500u32 {
                    let appended = store.append(&message("T", (n % 2) as i32, &[worker; 100])).unwrap();
                    // Visible at once, or as soon as whoever dispatches has got there.
                    while store.queue_max("T", (n % 2) as i32) <= appended.queue_offset {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(store.dispatch_behind(), 0);
    for queue in 0..2 {
        let bodies = bodies(&store, "T", queue);
        for worker in 0..4 {
            assert_eq!(bodies.iter().filter(|body| body[..] == [worker; 100]).count(), 250);
        }
        assert_eq!(arrivals.lock().unwrap()[&queue], (0..1_000).collect::<Vec<i64>>(), "in order, each once");
    }
}

#[test]
fn a_store_is_opened_once_and_only_with_its_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write_many(&store, 0..10);
    let again = Store::open(config(dir.path()), Arc::new(SystemClock::new()), |_| {});
    assert!(matches!(again, Err(OpenError::Locked { .. })));
    store.stop().unwrap();
    let mut other = config(dir.path());
    other.commit_log_file_size = 2 * FILE;
    let refused = Store::open(other, Arc::new(SystemClock::new()), |_| {}).err().unwrap();
    assert!(refused.to_string().contains("not matched message store config value"), "{refused}");
    let mut other = config(dir.path());
    other.consume_queue_file_size = 20;
    assert!(matches!(
        Store::open(other, Arc::new(SystemClock::new()), |_| {}),
        Err(OpenError::FileLength { expected: 20, .. })
    ));
    let mut none = config(dir.path());
    none.commit_log_file_size = 0;
    assert!(matches!(Store::open(none, Arc::new(SystemClock::new()), |_| {}), Err(OpenError::Config { .. })));
    expect_many(&open(dir.path()), 10);
}

#[test]
fn stop_leaves_the_files_that_java_expects() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(
        std::fs::read_to_string(dir.path().join("abort")).unwrap(),
        std::process::id().to_string(),
        "while it runs"
    );
    let written = write_many(&store, 0..100);
    store.stop().unwrap();
    assert!(!dir.path().join("abort").exists());
    let checkpoint = std::fs::read(dir.path().join("checkpoint")).unwrap();
    let field = |at: usize| i64::from_be_bytes(checkpoint[at..at + 8].try_into().unwrap());
    let last = written.last().unwrap();
    assert_eq!(checkpoint.len(), 4_096);
    assert_eq!((field(0), field(8)), (last.store_timestamp, last.store_timestamp));
    assert_eq!((field(32), field(40)), (last.log_offset as i64, last.log_offset as i64));
    let queue = std::fs::read(dir.path().join("consumequeue/T/1/00000000000000000000")).unwrap();
    assert_eq!(queue.len(), 1_000);
    let units = (1..100).step_by(3).count();
    assert_eq!(queue[(units - 1) * 20 + 8..(units - 1) * 20 + 12], written[97].len.to_be_bytes());
    assert!(queue[units * 20..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_crash_loses_no_written_record_and_recovery_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("live");
    let store = open(&root);
    write_many(&store, 0..400);
    // The process lives on; the copy is what a killed one would have left.
    let copy = dir.path().join("copy");
    copy_dir(&root, &copy);
    write_many(&store, 400..500);
    drop(store);
    for (root, count) in [(&copy, 400), (&root, 500)] {
        for round in 0..3 {
            let store = open(root);
            expect_many(&store, count);
            for key in ["k0", "k398", "k399"] {
                assert_eq!(store.query("T", key, 9, 0, i64::MAX).messages.len(), 1, "{key}, round {round}");
            }
        }
        let store = open(root);
        write_many(&store, count..count + 50);
        expect_many(&store, count + 50);
        store.stop().unwrap();
        expect_many(&open(root), count + 50);
    }
}

#[test]
fn the_queues_of_a_deleted_topic_are_gone_and_begin_again_at_0() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write_many(&store, 0..30);
    store.append(&message("Other", 0, b"stays")).unwrap();
    assert!(store.delete_topic("T"));
    assert!(!store.delete_topic("T"));
    assert!(!dir.path().join("consumequeue/T").exists());
    assert_eq!((store.queue_max("T", 0), store.topics()), (0, vec!["Other".to_owned()]));
    assert_eq!(store.append(&message("T", 0, b"new")).unwrap().queue_offset, 0);
    assert_eq!(bodies(&store, "T", 0), [b"new"]);
    store.stop().unwrap();
    let store = open(dir.path());
    assert_eq!(bodies(&store, "T", 0), [b"new"]);
    assert_eq!(bodies(&store, "Other", 0), [b"stays"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_store_answers_when_it_is_on_disk_and_shows_nothing_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.flush = FlushMode::Sync { timeout_ms: 5_000 };
    let early = Arc::new(AtomicBool::new(false));
    let store_cell = Arc::new(Mutex::new(None::<Store>));
    let store = Store::open(config, Arc::new(SystemClock::new()), {
        let (early, store_cell) = (early.clone(), store_cell.clone());
        move |it| {
            let shown_early = store_cell
                .lock()
                .unwrap()
                .as_ref()
                .is_some_and(|store| store.flushed_offset() <= it.log_offset);
            early.fetch_or(shown_early, Ordering::SeqCst);
        }
    })
    .unwrap();
    *store_cell.lock().unwrap() = Some(store.clone());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..30 {
                    let appended = store.append(&message("T", 0, &[3; 500])).unwrap();
                    assert_eq!(store.flushed(appended.next_offset, true).await, FlushOutcome::Done);
                    assert!(store.flushed_offset() >= appended.next_offset);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let unasked = store.append(&message("T", 0, b"x")).unwrap();
    assert_eq!(store.flushed(unasked.next_offset, false).await, FlushOutcome::Done);
    while store.queue_max("T", 0) < 241 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!early.load(Ordering::SeqCst), "a consumer saw a message that was not on disk");
    store_cell.lock().unwrap().take();
    store.stop().unwrap();
    assert_eq!(store.flushed(u64::MAX, true).await, FlushOutcome::Failed("store is closed".to_owned()));
}

#[tokio::test]
async fn an_asynchronous_store_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let appended = store.append(&message("T", 0, b"x")).unwrap();
    assert_eq!(store.flushed(appended.next_offset + 1_000_000, true).await, FlushOutcome::Done);
}

#[test]
fn what_the_queues_lack_after_a_clean_stop_is_dispatched_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write_many(&store, 0..100);
    store.stop().unwrap();
    // The unit of message 99, the last one of the log, which begins exactly where the queues end.
    let path = dir.path().join("consumequeue/T/0/00000000000000000000");
    let mut bytes = std::fs::read(&path).unwrap();
    assert_ne!(bytes[33 * 20..34 * 20], [0; 20]);
    bytes[33 * 20..34 * 20].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let store = open(dir.path());
    expect_many(&store, 100);
    store.stop().unwrap();
    // All of them, over several files.
    std::fs::remove_dir_all(dir.path().join("consumequeue")).unwrap();
    expect_many(&open(dir.path()), 100);
}

#[test]
fn units_with_the_address_of_an_extension_pass_the_tag_filter() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write_many(&store, 0..3);
    store.stop().unwrap();
    let path = dir.path().join("consumequeue/T/0/00000000000000000000");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[12..20].copy_from_slice(&(i64::MIN + 34).to_be_bytes());
    std::fs::write(&path, bytes).unwrap();
    let store = open(dir.path());
    let filter: Option<Arc<dyn Filter>> = Some(Arc::new(Tags(vec![1])));
    let result = store.get_blocking(&GetRequest { filter: filter.clone(), ..request("T", 0, 0, 32) });
    assert_eq!(result.status, GetStatus::Found);
    let result = store.get_blocking(&GetRequest { filter, ..request("T", 1, 0, 32) });
    assert_eq!(result.status, GetStatus::NoMatchedMessage);
}
