use std::path::PathBuf;

use proptest::prelude::*;
use raptormq_message::{NewMessage, Positions, Prepared, blank};

use super::files::{Mapped, Series};
use super::index::{IndexView, file_len};
use super::log::{Step, Walk};
use super::queue::QueueSet;
use super::{Directory, Options, Verification};
use crate::checkpoint::{Checkpoint, Fields};
use crate::fs::Fs;
use crate::index::{IndexFile, Range};
use crate::queue::batch::{BATCH_UNIT, BatchUnit};
use crate::queue::ext::is_address;
use crate::queue::unit::{UNIT, Unit};

fn record(log_offset: u64, queue_offset: i64, body: usize) -> Vec<u8> {
    let message = NewMessage {
        topic: "T".into(),
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1,
        born_host: "10.0.0.1:5".parse().unwrap(),
        store_host: "10.0.0.2:6".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: vec![7; body].into(),
        properties: "TAGS\u{1}a\u{2}".into(),
    };
    Prepared::new(&message, false)
        .unwrap()
        .to_vec(&message, &Positions { queue_offset, log_offset, store_timestamp: 5 })
}

/// A file of `len` bytes at `start` with three records, and where they begin in it.
fn three(start: u64, len: usize) -> (Vec<u8>, [usize; 3]) {
    let mut bytes = Vec::new();
    let places = [10, 200, 30].map(|body| {
        let at = bytes.len();
        bytes.extend(record(start + at as u64, 0, body));
        at
    });
    bytes.resize(len, 0);
    (bytes, places)
}

fn walk(bytes: &[u8], start: u64) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(raptormq_message::file_name(start));
    std::fs::write(&path, bytes).unwrap();
    let file = Mapped::open(path, start).unwrap();
    let tell = |step| match step {
        Step::Record { at, damage, .. } => format!("{at}{}", if damage.is_some() { "!" } else { "" }),
        Step::Blank { at, text } => format!("blank {at}{}", text.unwrap_or_default()),
        Step::Zeros { at } => format!("zeros {at}"),
        Step::Garbage { at, end, resumes, .. } => format!("garbage {at}..{end} {resumes}"),
    };
    Walk::new(&file).map(|step| tell(step.unwrap())).collect()
}

#[test]
fn a_walk_goes_on_behind_damage() {
    let (bytes, [a, b, c]) = three(4_096, 4_096);
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    assert_eq!(walk(&bytes, 4_096), [format!("{a}"), format!("{b}"), format!("{c}"), format!("zeros {end}")]);
    for (at, wanted) in [
        (b + 100, vec![format!("{a}"), format!("{b}!"), format!("{c}"), format!("zeros {end}")]),
        (
            b + 5,
            vec![format!("{a}"), format!("garbage {b}..{c} true"), format!("{c}"), format!("zeros {end}")],
        ),
        (
            b + 2,
            vec![format!("{a}"), format!("garbage {b}..{c} true"), format!("{c}"), format!("zeros {end}")],
        ),
        (c + 5, vec![format!("{a}"), format!("{b}"), format!("garbage {c}..{end} false")]),
        (end + 50, {
            let tail = format!("garbage {end}..{} false", end + 51);
            vec![format!("{a}"), format!("{b}"), format!("{c}"), tail]
        }),
    ] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        assert_eq!(walk(&damaged, 4_096), wanted, "byte {at}");
    }
    // A record of another place, such as an old one that a reused file still holds, is not taken for the next one.
    let mut stale = bytes.clone();
    stale[end + 10..end + 10 + (b - a)].copy_from_slice(&bytes[a..b]);
    assert!(walk(&stale, 4_096)[3].ends_with("false"), "{:?}", walk(&stale, 4_096));
    let mut filled = bytes.clone();
    filled[end..end + 8].copy_from_slice(&blank((4_096 - end) as u32));
    assert_eq!(walk(&filled, 4_096)[3], format!("blank {end}"));
    filled[b + 5] ^= 1;
    filled[c + 5] ^= 1;
    assert_eq!(walk(&filled, 4_096)[1..], [format!("garbage {b}..{end} true"), format!("blank {end}")]);
    filled[end + 3] ^= 1;
    assert!(walk(&filled, 4_096)[1].ends_with("false"), "a filler of another length ends nothing");
}

#[test]
fn a_property_checksum_is_verified_where_it_is() {
    let message = NewMessage {
        topic: "T".into(),
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1,
        born_host: "10.0.0.1:5".parse().unwrap(),
        store_host: "10.0.0.2:6".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: vec![7; 5].into(),
        properties: "TAGS\u{1}a\u{2}".into(),
    };
    let mut bytes = Prepared::new(&message, true).unwrap().to_vec(&message, &Positions::default());
    assert_eq!(walk(&bytes, 0), ["0"]);
    // The user's flag: no other checksum covers it.
    bytes[19] ^= 1;
    assert_eq!(walk(&bytes, 0), ["0!"]);
}

/// A directory with a log and one queue, made of these bytes.
fn directory(log: &[u8], queue: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("s");
    for (place, bytes) in [("commitlog", log), ("consumequeue/T/0", queue)] {
        std::fs::create_dir_all(root.join(place)).unwrap();
        std::fs::write(root.join(place).join("00000000000000000000"), bytes).unwrap();
    }
    (dir, root)
}

#[test]
fn positions_that_two_records_claim_are_told() {
    let mut log = record(0, 0, 10);
    let second = log.len();
    // The same position again: as after a queue was lost and its positions given out once more.
    log.extend(record(second as u64, 0, 20));
    log.resize(2_000, 0);
    let Ok(raptormq_message::Decoded::Record(first)) =
        raptormq_message::decode(&log, raptormq_message::Checks::BodyCrc)
    else {
        panic!()
    };
    let tags_code = raptormq_message::tags_code(Some("a"));
    let mut queue = Unit { log_offset: 0, size: first.len as i32, tags_code }.encode().to_vec();
    queue.resize(200, 0);
    let (_dir, root) = directory(&log, &queue);
    let mut told = Vec::new();
    let directory = Directory::open(&root, Options::default()).unwrap();
    let summary = directory
        .verify(&Verification::default(), &|_| {}, &mut |problem| told.push(problem.to_string()))
        .unwrap();
    assert_eq!((summary.records, summary.units, summary.problems), (2, 1, 1), "{told:?}");
    assert!(
        told[0].contains(
            "consumequeue/T/0/00000000000000000000:0: unit 0 of T 0: points to 0, its record is at"
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn units_come_back(log_offset: i64, size: i32, tags_code: i64) {
        let unit = Unit { log_offset, size, tags_code };
        prop_assert_eq!(Unit::decode(&unit.encode()), Some(unit));
        prop_assert_eq!(unit.is_valid(), log_offset >= 0 && size > 0);
        prop_assert!(!is_address(i64::from(size)), "no tag's hash is an address");
        let _ = unit.log_end();
    }

    #[test]
    fn batch_units_come_back(log_offset: i64, size: i32, tags_code: i64, store_time: i64, base: i64, count: i16) {
        let unit = BatchUnit { log_offset, size, tags_code, store_time, base, count };
        let bytes = unit.encode();
        prop_assert_eq!(bytes.len() as u64, BATCH_UNIT);
        prop_assert_eq!(BatchUnit::decode(&bytes), unit);
        prop_assert!(!unit.is_valid() || unit.next() > base || base == i64::MAX);
    }

    #[test]
    fn units_of_any_bytes_end_with_them(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(Unit::decode(&bytes).is_some(), bytes.len() >= UNIT as usize);
        if let Some(unit) = Unit::decode(&bytes) {
            prop_assert_eq!(&unit.encode()[..], &bytes[..UNIT as usize]);
        }
    }

    #[test]
    fn checkpoints_of_any_bytes_load_and_come_back(
        bytes in prop::collection::vec(any::<u8>(), 0..6_000),
        numbers in any::<[i64; 6]>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        std::fs::write(&path, &bytes).unwrap();
        let checkpoint = Checkpoint::open(&Fs::default(), &path).unwrap();
        let first = bytes.first_chunk().map_or(checkpoint.get().physic_msg_timestamp, |it| i64::from_be_bytes(*it));
        prop_assert_eq!(checkpoint.get().physic_msg_timestamp, first);
        let [a, b, c, d, e, f] = numbers;
        let fields = Fields {
            physic_msg_timestamp: a,
            logics_msg_timestamp: b,
            index_msg_timestamp: c,
            master_flushed_offset: d,
            confirm_phy_offset: e,
            logics_physical_offset: f,
        };
        checkpoint.update(|it| *it = fields).unwrap();
        prop_assert_eq!(Checkpoint::open(&Fs::default(), &path).unwrap().get(), fields);
    }

    /// Bytes of any kind behave as an index file: queries end, keys that are added are found again.
    #[test]
    fn index_files_of_any_bytes_load(
        bytes in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 40..300),
        slots in 1u32..5,
        items in 2u32..12,
        hash in 0i32..9,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("20240101000000000");
        let mut bytes = bytes;
        bytes.resize(file_len(slots, items) as usize, 0);
        std::fs::write(&path, &bytes).unwrap();
        let file = IndexFile::open(&Fs::default(), &path, slots, items).unwrap();
        let all = Range { begin: i64::MIN, end: i64::MAX };
        let mut found = Vec::new();
        file.find(hash, 99, all, &mut found);
        let before = found.len();
        prop_assert!(before <= items as usize);
        let added = file.put(hash, 77, 1_000).unwrap();
        prop_assert_eq!(!added, i32::from_be_bytes(bytes[36..40].try_into().unwrap()) >= items as i32);
        drop(file);
        let (views, others) = IndexView::all(dir.path()).unwrap();
        prop_assert!(views.is_empty() && others.is_empty(), "it is not below index/");
    }

    #[test]
    fn keys_of_an_index_file_come_back(
        slots in 1u32..9,
        puts in prop::collection::vec((0i32..20, 0i64..i64::MAX), 0..30),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let file = IndexFile::open(&Fs::default(), &dir.path().join("1"), slots, 64).unwrap();
        for (hash, log_offset) in &puts {
            prop_assert!(file.put(*hash, *log_offset, 5_000).unwrap());
        }
        for hash in 0..20 {
            let mut found = Vec::new();
            file.find(hash, usize::MAX, Range { begin: 0, end: i64::MAX }, &mut found);
            let wanted: Vec<i64> = puts.iter().rev().filter(|put| put.0 == hash).map(|put| put.1).collect();
            prop_assert_eq!(found, wanted);
        }
    }

    /// Whatever the files hold: everything ends, and what is told lies inside the files.
    #[test]
    fn directories_of_any_bytes_are_read(
        log in prop::collection::vec(any::<u8>(), 0..2_000),
        queue in prop::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 0..400),
        magic_at in prop::collection::vec(0usize..2_000, 0..8),
    ) {
        let mut log = log;
        for at in magic_at {
            if let Some(place) = log.get_mut(at..at + 4) {
                place.copy_from_slice(&raptormq_message::layout::MAGIC_V1.to_be_bytes());
            }
        }
        let (_dir, root) = directory(&log, &queue);
        let directory = Directory::open(&root, Options::default()).unwrap();
        directory.inspect().unwrap();
        let verification = Verification { for_4_9_7: true };
        let mut inside = true;
        directory.verify(&verification, &|_| {}, &mut |problem| {
            inside &= problem.offset <= problem.path.metadata().map_or(0, |data| data.len());
        }).unwrap();
        prop_assert!(inside);
        let queues = QueueSet::open(&root, None).unwrap();
        for queue in queues.all() {
            let (min, max) = queue.range(0);
            prop_assert!(min <= max && queue.first <= queue.end);
        }
    }
}

#[test]
fn a_series_tells_lengths_gaps_and_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, len: usize| std::fs::write(dir.path().join(name), vec![1; len]).unwrap();
    write("00000000000000000100", 100);
    write("00000000000000000000", 100);
    write("00000000000000000300", 100);
    write("00000000000000000400", 60);
    write("00000000000000000350", 100);
    write("x.tmp", 3);
    let series = Series::open(&[dir.path().to_owned()], None, 20).unwrap();
    let starts: Vec<u64> = series.files.iter().map(|file| file.start).collect();
    assert_eq!((series.file_len, starts), (100, vec![0, 100, 300, 400]));
    let mut told: Vec<String> = series.oddities.iter().map(|it| it.text.clone()).collect();
    told.sort();
    let wanted =
        ["gap: 100 bytes from 200", "its name is no", "length 60, not 100", "not a store file", "overlaps"];
    assert_eq!(told.len(), wanted.len(), "{told:?}");
    assert!(told.iter().zip(wanted).all(|(told, wanted)| told.starts_with(wanted)), "{told:?}");
    assert_eq!(series.at(180, 20).map(<[u8]>::len), Some(20));
    assert!(series.at(190, 20).is_none() && series.at(250, 1).is_none() && series.at(460, 1).is_none());
}
