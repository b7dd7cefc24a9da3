use super::*;
use proptest::prelude::*;

const FILE: u64 = 46 * 4;

fn queue(dir: &Path) -> BatchQueue {
    let queue = BatchQueue::new(Fs::default(), "T".into(), 0, dir.join("T/0"), FILE);
    queue.load().unwrap();
    queue
}

fn unit(log_offset: i64, base: i64, count: i16, store_time: i64) -> BatchUnit {
    BatchUnit { log_offset, size: 100, tags_code: 7, store_time, base, count }
}

/// Ten batches of 1, 2, … 10 messages, a hundred bytes of log and ten ms each.
fn filled(dir: &Path) -> BatchQueue {
    let queue = queue(dir);
    let mut base = 0;
    for n in 0..10 {
        assert!(queue.push(unit(n * 100, base, n as i16 + 1, 1_000 + n * 10)));
        base += n + 1;
    }
    queue
}

#[test]
fn the_bytes_are_javas() {
    // The first unit of GoldenBatchCQ queue 1, as Java 5.5.0 wrote it.
    let java = "0000000000000ab7000003990000000000000000000001a1fe94873e00000000000000000005ffffffff00000000";
    let bytes: Vec<u8> =
        (0..java.len()).step_by(2).map(|at| u8::from_str_radix(&java[at..at + 2], 16).unwrap()).collect();
    let decoded = BatchUnit::decode(bytes.as_slice().try_into().unwrap());
    let expected = BatchUnit {
        log_offset: 0xAB7,
        size: 0x399,
        tags_code: 0,
        store_time: 0x1A1_FE94_873E,
        base: 0,
        count: 5,
    };
    assert_eq!(decoded, expected);
    assert_eq!(expected.encode().as_slice(), bytes);
}

#[test]
fn positions_are_found_in_memory_and_on_disk_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let check = |queue: &BatchQueue| {
        assert_eq!((queue.range(), queue.max_log_end()), ((0, 55), 1_000));
        for offset in 0..55 {
            let unit = queue.unit_with(offset).unwrap();
            assert!((unit.base..unit.next()).contains(&offset), "{offset}");
        }
        assert_eq!(queue.find(54, Wait::Yes), Ok(Some(9)));
        for outside in [-1, 55, i64::MAX, i64::MIN] {
            assert_eq!(queue.unit_with(outside), None, "{outside}");
        }
    };
    let queue = filled(dir.path());
    check(&queue);
    queue.stream().write().unwrap();
    check(&queue);
    queue.stream().sync().unwrap();
    queue.stream().sync().unwrap();
    check(&queue);
    drop(queue);
    let again = self::queue(dir.path());
    check(&again);
    assert!(!again.push(unit(900, 45, 10, 1)), "known by its log offset");
    assert!(again.push(unit(1_000, 55, 1, 2_000)));
    assert_eq!(again.range(), (0, 56));
}

#[test]
fn units_beyond_the_log_go_and_files_follow_its_start() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path());
    queue.truncate(650).unwrap();
    assert_eq!(
        (queue.range(), queue.max_log_end()),
        ((0, 28), 700),
        "a unit that begins before the end stays"
    );
    queue.truncate(600).unwrap();
    assert_eq!((queue.range(), queue.max_log_end()), ((0, 21), 600));
    assert!(queue.push(unit(600, 21, 3, 5_000)));
    assert_eq!(queue.unit_with(23), Some(unit(600, 21, 3, 5_000)));
    queue.stream().write().unwrap();

    queue.correct_min(150);
    assert_eq!(queue.range().0, 3, "the first two batches are gone");
    assert_eq!(queue.delete_expired(300).unwrap(), 0, "the first file's last unit is at 300");
    assert_eq!(queue.delete_expired(301).unwrap(), 1);
    queue.correct_min(301);
    assert_eq!(queue.range(), (10, 24));
    drop(queue);
    assert_eq!(self::queue(dir.path()).range(), (10, 24));

    let queue = self::queue(dir.path());
    queue.correct_min(10_000);
    assert_eq!(queue.range(), (24, 24), "nothing left, the position stays");
    queue.destroy().unwrap();
    assert_eq!(queue.range(), (-1, 0));
    assert!(!queue.push(unit(0, 0, 1, 1)), "a deleted queue takes nothing");
}

#[test]
fn a_crash_ends_the_queue_at_the_first_impossible_unit() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path());
    queue.stream().write().unwrap();
    drop(queue);
    let path = dir.path().join("T/0").join(raptormq_message::file_name(FILE));
    let mut bytes = std::fs::read(&path).unwrap();
    // The sixth unit loses its count.
    bytes[46 + 36..46 + 38].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let queue = self::queue(dir.path());
    assert_eq!(queue.range(), (0, 15));
    assert_eq!(std::fs::read_dir(dir.path().join("T/0")).unwrap().count(), 2, "the third file is gone");
}

#[test]
fn after_a_crash_a_torn_last_unit_says_nothing_about_those_before() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path());
    queue.stream().write().unwrap();
    drop(queue);
    // The last unit's sector boundary was behind its log offset: it points to the log's begin.
    let path = dir.path().join("T/0").join(raptormq_message::file_name(2 * FILE));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[46..54].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let queue = self::queue(dir.path());
    assert_eq!(queue.max_log_end(), 100);
    // The walk begins at 500 of the log: nothing from there on is known to be on disk.
    queue.rewind_to_log(500).unwrap();
    assert_eq!((queue.range(), queue.max_log_end()), ((0, 15), 500));
    assert_eq!(queue.rewind(15, 0).unwrap(), Rewound::Done);
    assert!(queue.push(unit(500, 15, 6, 1_050)));
    assert_eq!(queue.range(), (0, 21));

    // The first record after the place where the walk begins says the position of that place.
    assert_eq!(queue.rewind(22, 0).unwrap(), Rewound::Lacks, "position 21 is missing");
    assert_eq!(queue.rewind(22, 700).unwrap(), Rewound::Done, "the log has no record for it either");
    assert_eq!(queue.range(), (0, 21));
    assert_eq!(queue.rewind(10, 0).unwrap(), Rewound::Done);
    assert_eq!((queue.range(), queue.max_log_end()), ((0, 10), 400));
    assert_eq!(queue.rewind(0, 0).unwrap(), Rewound::Done);
    assert_eq!(queue.range(), (-1, 0), "a queue that begins again is empty");
}

#[test]
fn times_are_searched_as_java_does() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path());
    // Files hold the times 1000..1030, 1040..1070 and 1080, 1090; bases are 0 1 3 6 | 10 15 21 28 | 36 45.
    for (time, lower, upper) in [
        (0, 0, 0),
        (1_000, 0, 0),
        (1_005, 1, -1),
        (1_010, 1, 1),
        (1_025, 6, 6),
        (1_030, 6, 6),
        (1_035, 6, 6), // between two files: the last of the earlier one
        (1_040, 10, 10),
        (1_055, 21, -1), // Java's own idea of the upper boundary
        (1_090, 45, 45),
        (9_999, 45, 45),
    ] {
        let found =
            (queue.offset_by_time(time, Boundary::Lower), queue.offset_by_time(time, Boundary::Upper));
        assert_eq!(found, (lower, upper), "{time}");
    }
    assert_eq!(
        super::BatchQueue::new(Fs::default(), "E".into(), 0, dir.path().join("E"), FILE)
            .offset_by_time(5, Boundary::Lower),
        -1
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_open(bytes in prop::collection::vec(any::<u8>(), FILE as usize), files in 1..4usize) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("T/0");
        std::fs::create_dir_all(&path).unwrap();
        for n in 0..files {
            std::fs::write(path.join(raptormq_message::file_name(n as u64 * FILE)), &bytes).unwrap();
        }
        let queue = queue(dir.path());
        let (min, max) = queue.range();
        for offset in [min, max - 1, max, i64::MIN, i64::MAX, 0] {
            let _ = queue.unit_with(offset);
            let _ = queue.offset_by_time(offset, Boundary::Upper);
        }
        queue.correct_min(5);
        queue.truncate(5).unwrap();
        queue.push(unit(1 << 40, queue.range().1, 1, 1));
        queue.stream().write().unwrap();
    }
}
