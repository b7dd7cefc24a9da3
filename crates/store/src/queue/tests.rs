use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::one::{ConsumeQueue, Wait};
use super::table::{Queues, is_dir_name};
use super::unit::{PRE_BLANK, UNIT, Unit};
use crate::fs::Fs;

/// Five units per file.
const FILE: u64 = 5 * UNIT;

fn queue(dir: &Path) -> ConsumeQueue {
    let queue = ConsumeQueue::new(Fs::default(), Arc::from("T"), 0, dir.join("T/0"), FILE);
    queue.load().unwrap();
    queue
}

/// The unit of message `n`: records of 100 bytes, one after the other.
fn unit(n: i64) -> Unit {
    Unit { log_offset: n * 100, size: 100, tags_code: n }
}

fn push(queue: &ConsumeQueue, range: std::ops::Range<i64>) {
    for n in range {
        assert!(queue.push(unit(n), n).unwrap());
    }
}

fn read_all(queue: &ConsumeQueue, from: i64) -> Vec<Unit> {
    let mut buf = [0; 3 * UNIT as usize];
    let (mut at, mut units) = (from, Vec::new());
    while let Ok(Some(count)) = queue.read(at, &mut buf, Wait::Yes) {
        assert!(count > 0);
        units.extend(buf[..count * UNIT as usize].chunks(UNIT as usize).filter_map(Unit::decode));
        at += count as i64;
    }
    units
}

#[test]
fn units_are_found_in_memory_and_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path());
    assert_eq!(queue.range(), (0, 0));
    push(&queue, 0..7);
    queue.write().unwrap();
    push(&queue, 7..12);
    let want: Vec<Unit> = (0..12).map(unit).collect();
    assert_eq!(read_all(&queue, 0), want);
    assert!(queue.trim(false), "what is not written stays");
    assert_eq!(read_all(&queue, 0), want);
    assert_eq!(read_all(&queue, 9), want[9..]);
    queue.write().unwrap();
    assert!(!queue.trim(false));
    assert_eq!(read_all(&queue, 0), want);
    assert_eq!(queue.unsynced(), 12 * UNIT);
    queue.sync().unwrap();
    assert_eq!(queue.unsynced(), 0);
    let mut buf = [0; 400];
    assert_eq!(queue.read(3, &mut buf, Wait::Yes), Ok(Some(2)), "an answer ends with its file");
    assert_eq!(queue.read(12, &mut buf, Wait::Yes), Ok(None));
    assert_eq!(queue.read(-1, &mut buf, Wait::Yes), Ok(None));
    assert_eq!(queue.file_starts(), (vec![0, 5, 10], 5));
    assert_eq!(queue.next_file(7), 10);

    let again = self::queue(dir.path());
    assert_eq!((again.range(), again.max_log_end()), ((0, 12), 1_200));
    assert_eq!(read_all(&again, 0), want);
}

#[test]
fn what_is_there_already_is_not_added_again() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path());
    push(&queue, 0..3);
    assert!(!queue.push(unit(1), 1).unwrap(), "by its place in the log");
    assert!(!queue.push(Unit { log_offset: 900, ..unit(1) }, 1).unwrap(), "by its place in the queue");
    assert_eq!(queue.range(), (0, 3));
}

#[test]
fn a_queue_that_does_not_begin_at_0_is_filled_up() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path());
    push(&queue, 7..9);
    assert_eq!(queue.range(), (7, 9));
    assert_eq!(read_all(&queue, 7), [unit(7), unit(8)]);
    assert_eq!(queue.unit(6), None);
    queue.write().unwrap();
    let bytes = std::fs::read(dir.path().join("T/0/00000000000000000100")).unwrap();
    assert_eq!(bytes[..20], PRE_BLANK.encode());
    assert_eq!(bytes[20..40], PRE_BLANK.encode());
    assert_eq!(bytes[40..60], unit(7).encode());
    assert_eq!(bytes[80..], [0; 20]);

    let again = self::queue(dir.path());
    again.correct_min(0);
    assert_eq!(again.range(), (7, 9));
    assert_eq!(again.max_log_end(), 900);
}

#[test]
fn truncation_drops_units_and_zeroes_their_bytes() {
    for (log_end, left) in [(1_200, 12), (1_150, 12), (1_100, 11), (500, 5), (400, 4), (1, 1), (0, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let queue = queue(dir.path());
        push(&queue, 0..9);
        queue.write().unwrap();
        push(&queue, 9..12);
        queue.truncate(log_end).unwrap();
        assert_eq!(queue.range(), (0, left), "{log_end}");
        assert_eq!(read_all(&queue, 0), (0..left).map(unit).collect::<Vec<_>>());
        push(&queue, left..left + 2);
        queue.write().unwrap();
        let again = self::queue(dir.path());
        assert_eq!(again.range(), (0, left + 2), "{log_end}: nothing old reappears");
    }
}

#[test]
fn the_minimum_follows_the_log() {
    for (log_min, min) in [(0, 0), (50, 1), (100, 1), (450, 5), (1_100, 11), (1_101, 12), (9_000, 12)] {
        let dir = tempfile::tempdir().unwrap();
        let queue = queue(dir.path());
        push(&queue, 0..12);
        queue.write().unwrap();
        let files = queue.delete_expired(log_min).unwrap();
        assert_eq!(files as i64, (min / 5).min(2), "{log_min}");
        queue.correct_min(log_min);
        assert_eq!(queue.range(), (min, 12), "{log_min}");
        let again = self::queue(dir.path());
        again.correct_min(log_min);
        assert_eq!(again.range(), (min, 12), "{log_min} after a restart");
    }
}

#[test]
fn garbage_after_the_end_is_removed_at_load() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path());
    push(&queue, 0..7);
    queue.write().unwrap();
    let path = dir.path().join("T/0/00000000000000000100");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60..80].copy_from_slice(&unit(77).encode());
    std::fs::write(&path, bytes).unwrap();
    let later = dir.path().join("T/0/00000000000000000200");
    std::fs::write(&later, unit(78).encode().repeat(5)).unwrap();
    let again = self::queue(dir.path());
    assert_eq!(again.range(), (0, 7));
    assert!(!later.exists());
    assert_eq!(std::fs::read(&path).unwrap()[40..], [0; 60]);
}

#[test]
fn topics_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let queues = Queues::new(Fs::default(), dir.path().to_owned(), FILE);
    let queue = queues.get_or_create("A", 3);
    queues.get_or_create("A", -1);
    push(&queue, 0..2);
    queue.write().unwrap();
    assert!(Arc::ptr_eq(&queue, &queues.get_or_create("A", 3)));
    assert_eq!((queues.ids("A"), queues.max_log_end()), (vec![-1, 3], 200));
    std::fs::create_dir_all(dir.path().join("A/not-a-number")).unwrap();
    let loaded = Queues::new(Fs::default(), dir.path().to_owned(), FILE);
    loaded.load().unwrap();
    assert_eq!((loaded.topics(), loaded.ids("A")), (vec!["A".to_owned()], vec![3]));
    assert!(queues.remove("A").unwrap().is_ok());
    assert!(queue.deleted.load(Ordering::Acquire));
    queue.push(unit(2), 2).unwrap();
    queue.write().unwrap();
    assert!(!dir.path().join("A/3").exists(), "a deleted queue writes nothing");
    assert!(queues.remove("A").is_none());
    for bad in ["", ".", "..", "a/b", "a\0", &"x".repeat(256)] {
        assert!(!is_dir_name(bad), "{bad}");
    }
    assert!(is_dir_name("%RETRY%group"));
}

#[test]
fn a_reader_passes_from_the_files_to_the_memory_that_a_busy_queue_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let queue = ConsumeQueue::new(Fs::default(), Arc::from("T"), 0, dir.path().join("T/0"), 10_000 * UNIT);
    push(&queue, 0..4_000);
    queue.write().unwrap();
    assert!(queue.trim(true));
    assert_eq!(read_all(&queue, 0).len(), 4_000);
}
