//! What damage and crashes leave: nothing intact is destroyed, nothing old comes back.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use raptormq_base::clock::SystemClock;
use raptormq_message::{Checks, Decoded, NewMessage, decode, props};
use raptormq_store::{Appended, GetRequest, GetStatus, OpenError, Store, StoreConfig};

const FILE: u64 = 8 << 10;

fn config(root: &Path) -> StoreConfig {
    let mut config = StoreConfig::at(root);
    config.commit_log_file_size = FILE;
    config.consume_queue_file_size = 10 * 20;
    (config.index_slots, config.index_items) = (10, 1_000);
    config
}

fn open(config: StoreConfig) -> Result<Store, OpenError> {
    Store::open(config, Arc::new(SystemClock::new()), |_| {})
}

fn message(topic: &str, body: &[u8], properties: &str) -> NewMessage {
    NewMessage {
        topic: topic.into(),
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1,
        born_host: "10.0.0.1:5".parse().unwrap(),
        store_host: "10.0.0.2:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: Bytes::copy_from_slice(body),
        properties: Bytes::copy_from_slice(properties.as_bytes()),
    }
}

fn fill(store: &Store, range: std::ops::Range<u32>) -> Vec<Appended> {
    let append = |n: u32| store.append(&message("T", format!("{n:0>1000}").as_bytes(), "")).unwrap();
    range.map(append).collect()
}

fn bodies(store: &Store, topic: &str) -> Vec<Bytes> {
    let (min, max) = (store.queue_min(topic, 0), store.queue_max(topic, 0));
    let mut found = Vec::new();
    for offset in min..max {
        let request = GetRequest { topic, queue_id: 0, offset, max_nums: 1, max_bytes: None, filter: None };
        let result = store.get_blocking(&request);
        assert_eq!(result.status, GetStatus::Found, "{offset}");
        let Ok(Decoded::Record(record)) = decode(&result.messages[0], Checks::BodyCrc) else { panic!() };
        assert_eq!(record.queue_offset, offset);
        found.push(Bytes::copy_from_slice(record.body));
    }
    found
}

fn numbers(store: &Store) -> Vec<u32> {
    bodies(store, "T").iter().map(|body| std::str::from_utf8(body).unwrap().parse().unwrap()).collect()
}

fn log_file(root: &Path, start: u64) -> PathBuf {
    root.join("commitlog").join(format!("{start:020}"))
}

fn flip(path: &Path, at: u64) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(snapshot(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// A store of 20 messages in three files, killed, with a flipped byte in the body of number 3.
fn damaged(root: &Path) -> Vec<Appended> {
    let store = open(config(root)).unwrap();
    let appended = fill(&store, 0..20);
    drop(store);
    assert!(appended[19].log_offset > 2 * FILE && root.join("abort").exists());
    flip(&log_file(root, 0), appended[3].log_offset + 200);
    appended
}

#[test]
fn intact_records_behind_damage_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let appended = damaged(dir.path());
    let whole: Vec<Vec<u8>> = appended[4..]
        .iter()
        .map(|it| {
            let file = std::fs::read(log_file(dir.path(), it.log_offset / FILE * FILE)).unwrap();
            let at = (it.log_offset % FILE) as usize;
            file[at..at + it.len as usize].to_vec()
        })
        .collect();
    let store = open(config(dir.path())).unwrap();
    assert_eq!(numbers(&store), [0, 1, 2], "as Java serves it");
    assert_eq!(store.commit_log_max(), appended[3].log_offset);
    let kept = dir.path().join("cutoff").join(format!("{:020}", appended[3].log_offset));
    assert_eq!(std::fs::read(&kept).unwrap(), whole.concat());
    assert!(!log_file(dir.path(), FILE).exists());
    // Everything behind the cut is zero, and stays the end of what is appended now.
    fill(&store, 50..51);
    drop(store);
    let store = open(config(dir.path())).unwrap();
    assert_eq!(numbers(&store), [0, 1, 2, 50]);
    assert_eq!(std::fs::read(&kept).unwrap(), whole.concat());
    assert_eq!(std::fs::read_dir(dir.path().join("cutoff")).unwrap().count(), 1);
}

#[test]
fn records_behind_damage_stay_in_place_if_told() {
    let dir = tempfile::tempdir().unwrap();
    let appended = damaged(dir.path());
    let before = snapshot(&dir.path().join("commitlog"));
    let mut keep = config(dir.path());
    keep.move_records_behind_damage = false;
    let error = open(keep).err().unwrap();
    let OpenError::Damaged { path, offset, count, first, last, .. } = &error else { panic!("{error}") };
    assert_eq!((*path == log_file(dir.path(), 0), *offset, *count), (true, appended[3].log_offset, 16));
    assert_eq!((*first, *last), (appended[4].log_offset, appended[19].log_offset));
    assert!(error.to_string().contains("moveRecordsBehindDamage"), "{error}");
    assert!(snapshot(&dir.path().join("commitlog")) == before);
    assert!(!dir.path().join("cutoff").exists());
    // A torn tail with nothing behind it is cut all the same.
    let torn = tempfile::tempdir().unwrap();
    let store = open(config(torn.path())).unwrap();
    let last = fill(&store, 0..2)[1];
    drop(store);
    flip(&log_file(torn.path(), 0), last.log_offset + 200);
    let mut keep = config(torn.path());
    keep.move_records_behind_damage = false;
    assert_eq!(numbers(&open(keep).unwrap()), [0]);
}

#[test]
fn a_record_whose_properties_miss_a_sector_ends_the_log_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).unwrap();
    fill(&store, 0..1);
    let long = format!("KEYS\u{1}k\u{2}filler\u{1}{}\u{2}", "p".repeat(3_000));
    let last = store.append(&message("T", b"1", &long)).unwrap();
    drop(store);
    let file = std::fs::File::options().write(true).open(log_file(dir.path(), 0)).unwrap();
    let sector = (last.log_offset + 1_500) / 512 * 512;
    file.write_all_at(&[0; 512], sector).unwrap();
    let store = open(config(dir.path())).unwrap();
    assert_eq!(numbers(&store), [0]);
    assert_eq!(store.commit_log_max(), last.log_offset);
}

#[test]
fn a_topic_made_anew_keeps_its_messages_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).unwrap();
    fill(&store, 0..3);
    assert!(store.delete_topic("T"));
    fill(&store, 7..9);
    drop(store);
    let store = open(config(dir.path())).unwrap();
    assert_eq!(numbers(&store), [7, 8]);
}

/// 5.5.0 indexes tags under `T#`; Java's own count of entries is the witness.
#[test]
fn tags_are_indexed_as_java_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).unwrap();
    let tagged = store.append(&message("T", b"1", "TAGS\u{1}red\u{2}")).unwrap();
    store.append(&message("T", b"2", "TAGS\u{1}blue\u{2}KEYS\u{1}k\u{2}")).unwrap();
    store.append(&message("T", b"3", "TAGS\u{1}\u{2}")).unwrap();
    let found = store.query("T", "T#red", 9, 0, i64::MAX).messages;
    assert_eq!(found, [store.record_at(tagged.log_offset).unwrap()]);
    store.stop().unwrap();
    let index = std::fs::read_dir(dir.path().join("index")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read(index).unwrap()[36..40], 4i32.to_be_bytes(), "two tags, a key, and item 0");
}

/// A queue that Java shifted once (it goes on after a gap at the next free position) keeps its units after a crash.
#[test]
fn units_of_a_shifted_queue_are_kept() {
    let shifted = tempfile::tempdir().unwrap();
    let store = open(config(shifted.path())).unwrap();
    let first = fill(&store, 0..8);
    let other = |n: usize| store.append(&message("Other", &vec![n as u8 | 1; 1_000], "")).unwrap();
    let others: Vec<Appended> = (0..12).map(other).collect();
    store.stop().unwrap();
    assert!(others[11].log_offset / FILE > first[7].log_offset / FILE);
    let queue = shifted.path().join("consumequeue/T/0/00000000000000000000");
    let mut units = std::fs::read(&queue).unwrap();
    units.drain(60..80);
    units.extend([0; 20]);
    std::fs::write(&queue, units).unwrap();
    std::fs::write(shifted.path().join("abort"), "1").unwrap();
    // The walk begins behind the queue's last record.
    let store = open(config(shifted.path())).unwrap();
    assert_eq!(store.queue_max("T", 0), 7, "nothing is dropped");
}

#[test]
fn files_take_turns_among_several_directories() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mut several = config(&path("store"));
    several.commit_log_dirs = vec![path("b"), path("a")];
    several.read_only_commit_log_dirs = vec![path("old")];
    let store = open(several.clone()).unwrap();
    fill(&store, 0..30);
    let names = |name: &str| {
        let mut names: Vec<u64> = std::fs::read_dir(path(name))
            .unwrap()
            .map(|it| it.unwrap().file_name().to_str().unwrap().parse::<u64>().unwrap() / FILE)
            .collect();
        names.sort_unstable();
        names
    };
    let (a, b) = (names("a"), names("b"));
    assert!(a.len() >= 2 && b.len() >= 2, "{a:?} {b:?}");
    assert!(a.iter().all(|it| it % 2 == 0) && b.iter().all(|it| it % 2 == 1), "{a:?} {b:?}");
    assert!(names("old").is_empty());
    store.stop().unwrap();
    // Files that were moved to a read-only directory are read there.
    std::fs::rename(path("a").join(format!("{:020}", 0)), path("old").join(format!("{:020}", 0))).unwrap();
    let store = open(several.clone()).unwrap();
    assert_eq!(numbers(&store), (0..30).collect::<Vec<_>>());
    fill(&store, 30..31);
    drop(store);
    assert_eq!(numbers(&open(several).unwrap()), (0..31).collect::<Vec<_>>());
}

#[test]
fn messages_are_in_the_light_queues_that_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut light = config(dir.path());
    (light.enable_lmq, light.enable_multi_dispatch) = (true, true);
    let store = open(light.clone()).unwrap();
    let names = "INNER_MULTI_DISPATCH\u{1}%LMQ%one,%LMQ%two\u{2}WAIT\u{1}true\u{2}";
    let first = store.append(&message("T", b"1", names)).unwrap();
    store.append(&message("T", b"2", "")).unwrap();
    store.append(&message("T", b"3", "INNER_MULTI_DISPATCH\u{1}%LMQ%two\u{2}")).unwrap();
    // System and retry topics have none.
    store.append(&message("%RETRY%g", b"4", names)).unwrap();
    let check = |store: &Store| {
        assert_eq!(bodies(store, "T"), ["1", "2", "3"]);
        assert_eq!(bodies(store, "%RETRY%g"), ["4"]);
        assert_eq!(store.physical_offset_of("%LMQ%one", 0, 0), Some(first.log_offset));
        assert_eq!((store.queue_max("%LMQ%one", 0), store.queue_max("%LMQ%two", 0)), (1, 2));
        assert_eq!((store.queue_next("%LMQ%one", 0), store.queue_next("%LMQ%two", 0)), (1, 2));
        let record = store.record_at(first.log_offset).unwrap();
        let Ok(Decoded::Record(record)) = decode(&record, Checks::BodyCrc) else { panic!() };
        assert_eq!(props::get(&record.properties, "INNER_MULTI_QUEUE_OFFSET"), Some("0,0"));
    };
    check(&store);
    store.stop().unwrap();
    check(&open(light.clone()).unwrap());
    std::fs::remove_dir_all(dir.path().join("consumequeue")).unwrap();
    check(&open(light).unwrap());
}
