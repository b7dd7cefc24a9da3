//! The cases, each by its name in `testdata`.

use std::io::Read;
use std::path::{Path, PathBuf};

use raptormq_message::{Checks, Decoded, decode};
use raptormq_store::{OpenError, Store};
use serde_json::Value;

use crate::load::files;
use crate::{Golden, check, golden, number, open, sha256, try_open};

/// Opens, stops, opens again and crashes, and compares with the manifest each time.
fn check_case(case: &str) {
    let golden = golden(case);
    check_opened(case, &golden);
}

fn check_opened(case: &str, golden: &Golden) {
    let clean = !golden.root.join("abort").exists();
    assert_eq!(clean, !case.contains("crash") || case.contains("clean"), "{case}");
    let of_java = golden.root.with_file_name("of-java");
    copy(&golden.root, &of_java);
    let store = open(golden);
    check(&store, &golden.manifest);
    assert!(golden.root.join("abort").exists());
    store.stop().unwrap();
    assert!(!golden.root.join("abort").exists());
    check_files(golden, &of_java);
    // What the stop left is as good as what Java left.
    let store = open(golden);
    check(&store, &golden.manifest);
    // And a crash right after the start changes nothing, however often.
    drop(store);
    for _ in 0..2 {
        assert!(golden.root.join("abort").exists());
        let store = open(golden);
        check_queues_and_messages(&store, &golden.manifest);
        drop(store);
    }
}

/// After a crash the index restarts where recovery did, in Java as well; everything else must be there.
fn check_queues_and_messages(store: &Store, manifest: &Value) {
    let mut without = manifest.clone();
    without["indexQueries"] = Value::Array(Vec::new());
    check(store, &without);
}

/// After a clean stop the log has the bytes that Java left up to its end and zeros from there on; of what Java's
/// recovery keeps, nothing is missing; of what neither make knows how to write yet, nothing has changed.
fn check_files(golden: &Golden, of_java: &Path) {
    let end = number(&golden.manifest["runtime"]["commitLogMaxOffset"]) as usize;
    let log = |root: &Path| {
        files(&root.join("commitlog")).into_iter().map(|name| root.join("commitlog").join(name)).collect()
    };
    let (ours, java): (Vec<PathBuf>, Vec<PathBuf>) = (log(&golden.root), log(of_java));
    let size = golden.config.commit_log_file_size as usize;
    for (n, (ours, java)) in ours.iter().zip(&java).enumerate() {
        if (n + 1) * size <= end {
            assert!(same_bytes(ours, java), "{}", ours.display());
        } else if size <= 1 << 24 {
            let (ours, java) = (std::fs::read(ours).unwrap(), std::fs::read(java).unwrap());
            let end = end.saturating_sub(n * size);
            assert!(ours[..end] == java[..end], "log file {n}");
            assert!(ours[end..].iter().all(|byte| *byte == 0), "log file {n} after the end");
        }
    }
    assert!(ours.len() > end / size, "{} log files", ours.len());
    let kept = &golden.manifest["filesAfterRecoveryAndCleanShutdown"];
    for list in ["unchanged", "created"] {
        for path in kept[list].as_array().into_iter().flatten() {
            let path = path.as_str().unwrap();
            if path.starts_with("commitlog/") || path.starts_with("consumequeue/") {
                assert!(golden.root.join(path).is_file(), "{path} is gone");
            }
            if path.starts_with("consumequeue/") && list == "unchanged" {
                check_units(&golden.root.join(path), &of_java.join(path), end as i64);
            }
        }
    }
    for part in ["config", "timerwheel", "timerlog", "consumequeue_ext", "compaction", "rocksdbstore"] {
        for path in files(of_java).into_iter().filter(|path| path.starts_with(part)) {
            let (ours, java) = (golden.root.join(&path), of_java.join(&path));
            assert!(same_bytes(&ours, &java), "{} has changed", path.display());
        }
    }
}

/// The units of a queue file are those of Java, but for units of records behind the log's end: Java's recovery leaves
/// them where they are, ours writes zeros.
fn check_units(ours: &Path, java: &Path, end: i64) {
    let (left, right) = (std::fs::read(ours).unwrap(), std::fs::read(java).unwrap());
    assert_eq!(left.len(), right.len());
    for (n, (left, right)) in left.chunks(20).zip(right.chunks(20)).enumerate() {
        let of_log = i64::from_be_bytes(right[..8].try_into().unwrap()) < end;
        let wanted = if of_log { right } else { &[0; 20] };
        assert_eq!(left, wanted, "{} unit {n}", ours.display());
    }
}

/// Whether two files hold the same bytes; holes are zeros.
fn same_bytes(left: &Path, right: &Path) -> bool {
    let (Ok(mut left), Ok(mut right)) = (std::fs::File::open(left), std::fs::File::open(right)) else {
        return false;
    };
    if left.metadata().unwrap().len() != right.metadata().unwrap().len() {
        return false;
    }
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = left.read(&mut a).unwrap();
        if read == 0 {
            return true;
        }
        right.read_exact(&mut b[..read]).unwrap();
        if a[..read] != b[..read] {
            return false;
        }
    }
}

/// `cp -a`, with holes.
fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").args(["-a", "--sparse=always"]).arg(from).arg(to).status();
    assert!(status.unwrap().success());
}

macro_rules! cases {
    ($($name:ident: $case:literal,)*) => {$(
        #[test]
        fn $name() {
            check_case($case);
        }
    )*};
}

cases! {
    basic_5_5_0: "java-5.5.0/basic",
    basic_4_9_7: "java-4.9.7/basic",
    delayed_messages_5_5_0: "java-5.5.0/sched",
    default_sizes_5_5_0: "java-5.5.0/defaults",
    timers_and_pop_5_5_0: "java-5.5.0/timerpop",
    consume_queue_ext_5_5_0: "java-5.5.0/cqext",
    light_queues_and_batch_queues_5_5_0: "java-5.5.0/lmq",
    killed_5_5_0: "java-5.5.0/crash-kill9",
    killed_4_9_7: "java-4.9.7/crash-kill9",
    torn_last_record_4_9_7: "java-4.9.7/crash-torn-tail",
    zeroed_tail_5_5_0: "java-5.5.0/crash-zero-tail",
    garbage_after_the_last_record_5_5_0: "java-5.5.0/crash-garbage-tail",
    flipped_byte_in_the_last_file_5_5_0: "java-5.5.0/crash-flip-last-file",
    flipped_byte_in_the_last_file_4_9_7: "java-4.9.7/crash-flip-last-file",
    lost_consume_queues_5_5_0: "java-5.5.0/crash-no-cq",
    lost_consume_queues_after_a_clean_stop_5_5_0: "java-5.5.0/crash-clean-no-cq",
    lost_consume_queues_4_9_7: "java-4.9.7/crash-no-cq",
    lost_checkpoint_5_5_0: "java-5.5.0/crash-no-checkpoint",
    lost_checkpoint_4_9_7: "java-4.9.7/crash-no-checkpoint",
}

/// Nothing below `root` has changed, but for the lock.
fn assert_untouched(root: &Path, of_java: &Path) {
    for path in files(of_java) {
        assert!(same_bytes(&root.join(&path), &of_java.join(&path)), "{} has changed", path.display());
    }
    let foreign = |root: &Path| files(root).into_iter().filter(|path| path != Path::new("lock")).collect();
    let (ours, java): (Vec<PathBuf>, Vec<PathBuf>) = (foreign(root), foreign(of_java));
    assert_eq!(ours, java);
}

/// Java refuses it as well ("length not matched message store config value").
#[test]
fn a_file_of_another_length_is_refused() {
    let golden = golden("java-5.5.0/crash-short-file");
    let of_java = golden.root.with_file_name("of-java");
    copy(&golden.root, &of_java);
    let Err(error) = try_open(&golden) else { panic!("opened") };
    let text = error.to_string();
    assert!(text.contains("commitlog/00000000000000524288") && text.contains("117815"), "{text}");
    assert!(matches!(error, OpenError::FileLength { found: 117_815, expected: 262_144, .. }), "{text}");
    assert_untouched(&golden.root, &of_java);
}

#[test]
fn queues_in_rocksdb_are_refused() {
    let golden = golden("java-5.5.0/rocksdb");
    let of_java = golden.root.with_file_name("of-java");
    copy(&golden.root, &of_java);
    let Err(error) = try_open(&golden) else { panic!("opened") };
    let text = error.to_string();
    assert!(matches!(error, OpenError::RocksDb { .. }), "{text}");
    assert!(text.contains("consumequeue/CURRENT"), "{text}");
    assert_untouched(&golden.root, &of_java);
    // The one that every 5.5.0 broker leaves is no reason.
    std::fs::remove_dir_all(golden.root.join("consumequeue")).unwrap();
    assert!(golden.root.join("rocksdbstore/CURRENT").exists());
    open(&golden).stop().unwrap();
}

/// The queue files that we rebuild from Java's log equal, byte for byte, those that Java wrote.
#[test]
fn rebuilt_queue_files_equal_those_of_java() {
    for case in ["java-5.5.0/basic", "java-4.9.7/basic", "java-5.5.0/sched", "java-5.5.0/timerpop"] {
        let golden = golden(case);
        let queues = golden.root.join("consumequeue");
        let of_java = golden.root.with_file_name("of-java");
        std::fs::rename(&queues, &of_java).unwrap();
        let store = open(&golden);
        check(&store, &golden.manifest);
        store.stop().unwrap();
        let all = files(&of_java);
        assert!(all.len() > 5);
        for file in &all {
            assert!(same_bytes(&queues.join(file), &of_java.join(file)), "{case} {}", file.display());
        }
        assert_eq!(files(&queues), all, "{case}");
    }
}

/// Java drops all records behind a damaged one; ours are as gone for consumers, but kept, byte for byte.
#[test]
fn intact_records_behind_a_flipped_byte_are_kept() {
    for (version, intact) in [("java-5.5.0", 45), ("java-4.9.7", 9)] {
        let damaged = golden(&format!("{version}/crash-flip-last-file"));
        let whole = golden(&format!("{version}/crash-kill9")).manifest;
        let end = number(&damaged.manifest["runtime"]["commitLogMaxOffset"]);
        let mut lost: Vec<(i64, &str)> = whole["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| (number(&message["commitLogOffset"]), message["recordSha256"].as_str().unwrap()))
            .filter(|(offset, _)| *offset > end)
            .collect();
        lost.sort_unstable();
        assert_eq!(lost.len(), intact, "{version}");

        open(&damaged).stop().unwrap();
        let kept = files(&damaged.root.join("cutoff"));
        assert_eq!(kept, [PathBuf::from(format!("{end:020}"))], "{version}");
        let bytes = std::fs::read(damaged.root.join("cutoff").join(&kept[0])).unwrap();
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let Ok(Decoded::Record(record)) = decode(&bytes[at..], Checks::BodyCrc) else { panic!("{at}") };
            found.push((record.log_offset, sha256(&bytes[at..at + record.len])));
            at += record.len;
        }
        let found: Vec<(i64, &str)> = found.iter().map(|(offset, sum)| (*offset, sum.as_str())).collect();
        assert_eq!(found, lost, "{version}");
        // A second start has nothing to move.
        open(&damaged).stop().unwrap();
        assert_eq!(files(&damaged.root.join("cutoff")), kept);
    }
}

#[test]
fn intact_records_stay_in_place_where_they_must() {
    let mut golden = golden("java-5.5.0/crash-flip-last-file");
    golden.config.move_records_behind_damage = false;
    let log = golden.root.join("commitlog");
    let of_java = golden.root.with_file_name("of-java");
    copy(&log, &of_java);
    let Err(error) = try_open(&golden) else { panic!("opened") };
    let text = error.to_string();
    assert!(text.contains("commitlog/00000000000000524288") && text.contains("583069"), "{text}");
    assert_untouched(&log, &of_java);
    golden.config.move_records_behind_damage = true;
    let store = open(&golden);
    check(&store, &golden.manifest);
    store.stop().unwrap();
}
