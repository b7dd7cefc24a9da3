//! Rules that only show from inside: retention, refusals, the checkpoint while the store runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use raptormq_base::clock::{Clock, ManualClock, SystemClock};

use crate::queue::one::Wait;
use crate::*;

const FILE: u64 = 16 << 10;
const HOUR_MS: i64 = 3_600_000;

fn config(root: &Path) -> StoreConfig {
    let mut config = StoreConfig::at(root);
    config.commit_log_file_size = FILE;
    config.consume_queue_file_size = 10 * 20;
    config.index_slots = 10;
    config.index_items = 20;
    config.delete_commit_log_files_interval_ms = 0;
    config.delete_file_batch_max = 3;
    // Passes of the queue flusher happen where a test asks for them.
    config.consume_queue_flush_interval_ms = 3_600_000;
    // No hour, unless a test names one.
    config.delete_when = "99".to_owned();
    config
}

fn message(n: usize) -> NewMessage {
    NewMessage {
        topic: "T".into(),
        queue_id: (n % 2) as i32,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        born_host: "10.0.0.1:5".parse().unwrap(),
        store_host: "10.0.0.2:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: Bytes::from(vec![n as u8; 1_000]),
        properties: Bytes::from(format!("KEYS\u{1}k{n}\u{2}")),
    }
}

fn open_at(config: StoreConfig, clock: &Arc<ManualClock>) -> Store {
    Store::open(config, clock.clone(), |_| {}).unwrap()
}

fn now_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(SystemClock::new().wall_ms()))
}

fn fill(store: &Store, range: std::ops::Range<usize>) {
    for n in range {
        store.append(&message(n)).unwrap();
    }
}

fn starts(store: &Store) -> Vec<u64> {
    store.0.shared.segments.all().iter().map(|segment| segment.start / FILE).collect()
}

#[test]
fn old_files_go_by_their_age_and_never_the_last_one() {
    let dir = tempfile::tempdir().unwrap();
    let clock = now_clock();
    let store = open_at(config(dir.path()), &clock);
    fill(&store, 0..96);
    assert_eq!(starts(&store), [0, 1, 2, 3, 4, 5, 6]);
    let shared = &store.0.shared;
    let age = |index: usize, hours: i64| {
        let ms = (clock.wall_ms() - hours * HOUR_MS) as u64;
        let file = std::fs::File::open(shared.segments.all()[index].path()).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_millis(ms)).unwrap();
    };
    age(0, 73);
    age(1, 100);
    age(2, 71);
    age(3, 80);
    shared.retain(0.1, 0.1).unwrap();
    assert_eq!(starts(&store).len(), 7, "neither the hour nor the space asks for it");
    shared.flush_queues(false).unwrap();
    shared.manual_deletes.store(retention::MANUAL_RUNS, Ordering::SeqCst);
    shared.retain(0.1, 0.1).unwrap();
    assert_eq!(starts(&store), [2, 3, 4, 5, 6], "stops at the first file that is young enough");
    assert_eq!(shared.manual_deletes.load(Ordering::SeqCst), retention::MANUAL_RUNS - 1);
    assert_eq!(store.commit_log_min(), 2 * FILE);
    let min = store.queue_min("T", 0);
    assert_eq!(store.physical_offset_of("T", 0, min).unwrap(), 2 * FILE);
    assert!(!dir.path().join("consumequeue/T/0/00000000000000000000").exists());
    assert_eq!(
        store
            .get_blocking(&GetRequest {
                topic: "T",
                queue_id: 0,
                offset: 0,
                max_nums: 1,
                max_bytes: None,
                filter: None
            })
            .status,
        GetStatus::OffsetTooSmall
    );
    assert!(store.query("T", "k0", 9, 0, i64::MAX).messages.is_empty());
    assert_eq!(store.query("T", "k95", 9, 0, i64::MAX).messages.len(), 1);

    shared.retain(0.8, 0.1).unwrap();
    assert_eq!(starts(&store), [2, 3, 4, 5, 6], "short of space, but nothing is old enough");
    shared.retain(0.86, 0.1).unwrap();
    assert_eq!(starts(&store), [5, 6], "three files a run, whatever their age");
    assert!(store.writable().is_ok());
    let held = store.record_at(5 * FILE).unwrap();
    shared.retain(0.1, 0.91).unwrap();
    assert_eq!(starts(&store), [6], "the last file stays");
    assert_eq!(held.len(), store.record_at(6 * FILE).unwrap().len(), "a reader keeps what it has");
    assert!(matches!(store.append(&message(0)), Err(AppendError::Full(_))));
    assert!(store.writable().is_err());
    shared.retain(0.5, 0.5).unwrap();
    store.append(&message(100)).unwrap();
    store.stop().unwrap();

    let store = open_at(config(dir.path()), &clock);
    assert_eq!((store.commit_log_min(), store.queue_next("T", 0)), (6 * FILE, 49));
    assert_eq!(store.physical_offset_of("T", 0, store.queue_min("T", 0)).unwrap() / FILE, 6);
    assert_eq!(store.append(&message(102)).unwrap().queue_offset, 49);
}

#[test]
fn the_hour_is_local_and_one_of_a_list() {
    use chrono::Timelike;
    let dir = tempfile::tempdir().unwrap();
    let clock = now_clock();
    let hour = chrono::DateTime::from_timestamp_millis(clock.wall_ms())
        .unwrap()
        .with_timezone(&chrono::Local)
        .hour();
    let mut config = config(dir.path());
    config.delete_when = format!("77;{hour:02}");
    config.file_reserved_hours = 0;
    let store = open_at(config, &clock);
    fill(&store, 0..40);
    clock.advance_ms(1);
    clock.set_wall_ms(SystemClock::new().wall_ms() + 1);
    store.0.shared.retain(0.1, 0.1).unwrap();
    assert_eq!(starts(&store), [2]);
}

#[test]
fn without_a_next_file_the_log_goes_on_to_its_end_and_then_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_at(config(dir.path()), &now_clock());
    // A directory in the place of the next file: it cannot be created.
    let obstacle = dir.path().join(format!("commitlog/{FILE:020}"));
    std::fs::create_dir(&obstacle).unwrap();
    let mut count = 0;
    let refused = loop {
        match store.append(&message(count)) {
            Ok(_) => count += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::Full(_)), "{refused:?}");
    assert_eq!(count, 14);
    assert!(store.writable().is_err());
    let mut small = message(0);
    small.body = Bytes::new();
    assert!(store.append(&small).is_ok(), "something shorter still fits");
    assert_eq!(store.queue_max("T", 0), 8);
    std::fs::remove_dir(&obstacle).unwrap();
    let begin = std::time::Instant::now();
    while store.append(&message(count)).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(10), "space is back");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(starts(&store), [0, 1]);
    store.stop().unwrap();
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.flush = FlushMode::Sync { timeout_ms: 60_000 };
    let store = open_at(config, &now_clock());
    let first = store.append(&message(0)).unwrap();
    assert_eq!(store.flushed(first.next_offset, true).await, FlushOutcome::Done);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.flushed(first.next_offset + 1, true).await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    store.0.shared.fail("disk on fire".to_owned());
    store.0.shared.fail("and then some".to_owned());
    assert_eq!(waiting.await.unwrap(), FlushOutcome::Failed("disk on fire".to_owned()));
    assert_eq!(store.append(&message(1)), Err(AppendError::Poisoned("disk on fire".to_owned())));
    assert!(store.writable().unwrap_err().contains("disk on fire"));
    assert!(store.record_at(0).is_some(), "reads go on");
    let StopError::Unclean(reason) = store.stop().unwrap_err();
    assert_eq!(reason, "disk on fire");
    assert!(dir.path().join("abort").exists());
}

#[test]
fn the_checkpoint_vouches_for_what_is_on_disk_and_recovery_believes_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = now_clock();
    let store = open_at(config(dir.path()), &clock);
    let mut last = None;
    (0..60).for_each(|n| last = Some(store.append(&message(n)).unwrap()));
    let fields = || store.0.shared.sinks.checkpoint.get();
    assert_eq!(fields().logics_physical_offset, 0, "nothing is vouched for yet");
    store.0.shared.flush_queues(false).unwrap();
    assert_eq!(fields().logics_physical_offset, 0);
    store.0.shared.flush_queues(true).unwrap();
    assert_eq!(fields().logics_physical_offset, last.unwrap().log_offset as i64);
    assert_eq!(store.flushed_offset(), store.commit_log_max());
    // These units stay in memory and are lost with the process.
    (60..75).for_each(|n| last = Some(store.append(&message(n)).unwrap()));
    drop(store);
    assert!(!dir.path().join("consumequeue/T/0/00000000000000000600").exists());
    // The walk begins in the file of the checkpoint: damage before it goes unnoticed, as in Java.
    let first = dir.path().join(format!("commitlog/{:020}", 0));
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    let store = open_at(config(dir.path()), &clock);
    assert_eq!(store.commit_log_max(), last.unwrap().next_offset);
    assert_eq!((store.queue_max("T", 0), store.queue_max("T", 1)), (38, 37));
    drop(store);
    // Without the checkpoint everything is walked, and the log ends at the damage.
    std::fs::remove_file(dir.path().join("checkpoint")).unwrap();
    let store = open_at(config(dir.path()), &clock);
    assert_eq!((store.commit_log_max(), store.queue_max("T", 0)), (0, 0));
    assert_eq!(starts(&store), [0]);
    let bytes = std::fs::read(&first).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0), "nothing old is left behind the end");
}

#[test]
fn a_queue_that_must_be_read_from_disk_makes_the_read_cold_or_answers_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_at(config(dir.path()), &now_clock());
    fill(&store, 0..60);
    store.0.shared.flush_queues(true).unwrap();
    store.0.shared.flush_queues(true).unwrap();
    let queue = store.0.shared.sinks.queues.get("T", 0).unwrap();
    let mut buf = [0; 20];
    // The page cache has it; whether the file system can tell is its own affair.
    assert!(matches!(queue.read(0, &mut buf, Wait::No), Ok(Some(1)) | Err(_)));
    assert_eq!(queue.read(0, &mut buf, Wait::Yes), Ok(Some(1)));
    let request =
        GetRequest { topic: "T", queue_id: 0, offset: 3, max_nums: 2, max_bytes: None, filter: None };
    let result = match store.get(&request) {
        Get::Ready(result) => result,
        Get::Cold(cold) => cold.run(),
    };
    assert_eq!(result.queue_offsets, [3, 4]);
}

#[test]
fn messages_are_refused_while_an_append_does_not_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig { append_busy_ms: 30, ..config(dir.path()) };
    let store = open_at(config, &now_clock());
    fill(&store, 0..1);
    let hanging = store.0.shared.appender.lock();
    assert_eq!(store.append(&message(1)), Err(AppendError::Busy { waited_ms: 30 }));
    let begin = std::time::Instant::now();
    for n in 2..50 {
        assert_eq!(store.append(&message(n)), Err(AppendError::Busy { waited_ms: 0 }));
    }
    assert!(begin.elapsed() < Duration::from_millis(30), "one has waited for all");
    drop(hanging);
    let last = store.append(&message(50)).unwrap();

    let hanging = store.0.shared.appender.lock();
    let waiting = {
        let store = store.clone();
        std::thread::spawn(move || store.append(&message(3)))
    };
    std::thread::sleep(Duration::from_millis(10));
    drop(hanging);
    assert_eq!(waiting.join().unwrap().unwrap().log_offset, last.next_offset);
}
