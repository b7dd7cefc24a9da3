//! `raptormq store` as a process, on directories that Java brokers wrote (the store crate's testdata) and on damaged
//! copies of them.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::fcntl::{FcntlArg, fcntl};
use serde_json::Value;

#[allow(dead_code)]
#[path = "../../store/tests/golden/load.rs"]
mod load;

struct Copy {
    _dir: tempfile::TempDir,
    root: PathBuf,
    conf: PathBuf,
    manifest: Value,
}

fn copy(case: &str) -> Copy {
    let unpacked = load::unpack(case);
    let conf = unpacked.dir.path().join("broker.conf");
    std::fs::write(&conf, unpacked.conf).unwrap();
    Copy { root: unpacked.root, conf, manifest: unpacked.manifest, _dir: unpacked.dir }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_raptormq")).arg("store").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, stdout, stderr of a command on a copy, with its conf file.
fn on(copy: &Copy, command: &str, more: &[&str]) -> (i32, String, String) {
    let mut arguments = vec![command, copy.root.to_str().unwrap(), "-c", copy.conf.to_str().unwrap()];
    arguments.extend(more);
    let output = run(&arguments);
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}

/// All directories, with the exit code and the number of problems that `verify` finds in them.
const CASES: [(&str, i32, u64); 20] = [
    ("java-4.9.7/basic", 0, 0),
    ("java-4.9.7/crash-flip-last-file", 1, 1),
    ("java-4.9.7/crash-kill9", 0, 0),
    ("java-4.9.7/crash-no-checkpoint", 0, 0),
    ("java-4.9.7/crash-no-cq", 0, 0),
    ("java-4.9.7/crash-torn-tail", 1, 1),
    ("java-5.5.0/basic", 0, 0),
    // No queue has any of its 82 records, and the last run ended cleanly: nobody fills them by itself.
    ("java-5.5.0/crash-clean-no-cq", 1, 82),
    ("java-5.5.0/crash-flip-last-file", 1, 1),
    ("java-5.5.0/crash-garbage-tail", 1, 1),
    ("java-5.5.0/crash-kill9", 0, 0),
    ("java-5.5.0/crash-no-checkpoint", 0, 0),
    ("java-5.5.0/crash-no-cq", 0, 0),
    // Its length, and the record in which it ends.
    ("java-5.5.0/crash-short-file", 1, 2),
    ("java-5.5.0/crash-zero-tail", 0, 0),
    ("java-5.5.0/cqext", 0, 0),
    ("java-5.5.0/defaults", 0, 0),
    ("java-5.5.0/lmq", 0, 0),
    ("java-5.5.0/sched", 0, 0),
    ("java-5.5.0/timerpop", 0, 0),
];

#[test]
fn directories_of_java_are_verified() {
    for (case, exit_code, problems) in CASES {
        let copy = copy(case);
        let before = fingerprint(&copy.root);
        let (code, out, err) = on(&copy, "verify", &[]);
        assert_eq!(code, exit_code, "{case}: {out}{err}");
        assert!(
            out.contains(&format!("\nproblems: {problems};"))
                || out.starts_with(&format!("problems: {problems};")),
            "{case}: {out}"
        );
        assert_eq!(fingerprint(&copy.root), before, "{case}: verifying changes nothing");
        if case.contains("crash") {
            continue;
        }
        // Java's own list of messages: half messages are in it by their queue, messages of LMQs twice.
        let mut messages: Vec<Value> = copy.manifest["messages"].as_array().unwrap().clone();
        // The offsets of a compacted topic are those of its own log.
        messages.retain(|it| it["topic"] != "GoldenCompact");
        let of_java: BTreeSet<i64> = messages.iter().map(|it| number(&it["commitLogOffset"])).collect();
        let (code, lines, _) = on(&copy, "export", &[]);
        assert_eq!(code, 0);
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ours: BTreeSet<i64> = lines.iter().map(|it| number(&it["commitLogOffset"])).collect();
        assert!(of_java.is_subset(&ours) && !of_java.is_empty(), "{case}");
        assert!(out.contains(&format!(" {} records,", ours.len())), "{case}: {out}");
        for message in &messages {
            let line =
                lines.iter().find(|line| line["commitLogOffset"] == message["commitLogOffset"]).unwrap();
            for key in
                ["topic", "queueId", "bornTimestamp", "storeTimestamp", "sysFlag", "flag", "reconsumeTimes"]
            {
                if message.get(key).is_some() && message.get("cqTopic").is_none() {
                    assert_eq!(line[key], message[key], "{case} {key}: {message}");
                }
            }
        }
    }
}

/// Names, lengths, contents of all files and directories.
fn fingerprint(root: &Path) -> Vec<(PathBuf, u64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.push((path.clone(), 0, Vec::new()));
                dirs.push(path);
                continue;
            }
            let len = path.metadata().unwrap().len();
            // Of large files only what surely is no hole.
            let content = if len <= 2 << 20 { std::fs::read(&path).unwrap() } else { Vec::new() };
            found.push((path, len, content));
        }
    }
    found.sort();
    found
}

#[test]
fn inspect_tells_what_the_manifest_tells() {
    for (case, ..) in CASES.iter().filter(|(case, ..)| !case.contains("crash")) {
        let copy = copy(case);
        let (code, out, err) = on(&copy, "inspect", &["--json"]);
        assert_eq!(code, 0, "{case}: {err}");
        let seen: Value = serde_json::from_str(&out).unwrap();
        let runtime = &copy.manifest["runtime"];
        assert_eq!(number(&seen["commitLog"]["minOffset"]), number(&runtime["commitLogMinOffset"]), "{case}");
        assert_eq!(number(&seen["commitLog"]["maxOffset"]), number(&runtime["commitLogMaxOffset"]), "{case}");
        for queue in copy.manifest["queues"].as_array().unwrap() {
            // Java counts a static topic's queues from an offset that is in topicQueueMapping.json.
            if queue["topic"] == "GoldenStatic" {
                continue;
            }
            let wanted = (number(&queue["minOffset"]), number(&queue["maxOffset"]));
            let ours = seen["queues"].as_array().unwrap().iter().find(|it| {
                it["topic"] == queue["topic"] && number(&it["queueId"]) == number(&queue["queueId"])
            });
            match ours {
                Some(ours) => assert_eq!(
                    (number(&ours["minOffset"]), number(&ours["maxOffset"])),
                    wanted,
                    "{case} {queue}"
                ),
                // A queue without a message has no files.
                None => assert_eq!(wanted, (0, 0), "{case} {queue}"),
            }
        }
        assert_eq!(seen["abort"], Value::Null);
        assert!(seen["problems"].as_array().unwrap().is_empty(), "{case}");
        let tables = seen["config"].as_array().unwrap();
        assert!(
            tables.iter().any(|table| table["name"] == "topics.json" && table["state"] == "readable"),
            "{case}"
        );
        let (code, out, _) = on(&copy, "inspect", &[]);
        assert!(code == 0 && out.contains("problems: 0"), "{out}");
    }
}

#[test]
fn a_flipped_byte_is_named_by_file_and_offset() {
    let original = copy("java-5.5.0/basic");
    // (file, offset in it, what the first line says)
    let record = "checksum differs";
    let rows = [
        // In the first record's body.
        ("commitlog/00000000000000000000", 95, "commitlog/00000000000000000000:0: ", record),
        // Its PHYSICALOFFSET.
        (
            "commitlog/00000000000000000000",
            35,
            "commitlog/00000000000000000000:0: ",
            "its place in the log is",
        ),
        // Its magic number.
        ("commitlog/00000000000000000000", 6, "commitlog/00000000000000000000:0: ", "where the log goes on"),
        // Its total size.
        ("commitlog/00000000000000000000", 2, "commitlog/00000000000000000000:0: ", "where the log goes on"),
        // A unit's size, a unit's tag hash, a unit's offset.
        (
            "consumequeue/GoldenA/0/00000000000000000000",
            31,
            "GoldenA/0/00000000000000000000:20: ",
            "bytes, the record has",
        ),
        (
            "consumequeue/GoldenA/0/00000000000000000000",
            39,
            "GoldenA/0/00000000000000000000:20: ",
            "has tag hash",
        ),
        (
            "consumequeue/GoldenA/0/00000000000000000000",
            25,
            "GoldenA/0/00000000000000000000:20: ",
            "its record is at",
        ),
        // Behind the queue's end.
        (
            "consumequeue/GoldenA/0/00000000000000000000",
            5_000,
            "GoldenA/0/00000000000000000000:200: ",
            "are not zero",
        ),
    ];
    for (file, at, place, what) in rows {
        let root = original.root.join(file);
        let handle = File::options().read(true).write(true).open(&root).unwrap();
        let mut byte = [0];
        handle.read_exact_at(&mut byte, at).unwrap();
        handle.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        let (code, out, err) = on(&original, "verify", &[]);
        assert_eq!(code, 1, "{file} {at}: {out}{err}");
        let named = out.lines().find(|line| line.contains(place) && line.contains(what));
        assert!(named.is_some(), "{file} {at}: {out}");
        handle.write_all_at(&byte, at).unwrap();
    }
    assert_eq!(on(&original, "verify", &[]).0, 0, "everything is as it was");
    // A gap in the log and a stranger in it.
    std::fs::rename(
        original.root.join("commitlog/00000000000001048576"),
        original.root.join("commitlog/00000000000001048576.old"),
    )
    .unwrap();
    let (code, out, _) = on(&original, "verify", &[]);
    assert_eq!(code, 1);
    assert!(out.contains("00000000000001048576.old:0: not a store file name"), "{out}");
    assert!(out.contains("gap: 1048576 bytes from 1048576 on are in no file"), "{out}");
    assert!(out.contains("which is in no file"), "{out}");
}

#[test]
fn index_items_are_compared_only_with_known_sizes() {
    let copy = copy("java-5.5.0/basic");
    let root = copy.root.to_str().unwrap();
    let output = run(&["verify", root]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("1 index files were not verified"));
    let with_sizes = ["verify", root, "--index-slots", "500", "--index-items", "400"];
    assert!(text(&run(&with_sizes).stdout).contains("index: 240 entries"));
    let index = std::fs::read_dir(copy.root.join("index")).unwrap().next().unwrap().unwrap().path();
    // The hash of item 1.
    let handle = File::options().write(true).open(&index).unwrap();
    handle.write_all_at(&[0x11], 40 + 500 * 4 + 20).unwrap();
    let output = run(&with_sizes);
    assert_eq!(output.status.code(), Some(1));
    let name = index.file_name().unwrap().to_str().unwrap();
    assert!(
        text(&output.stdout).contains(&format!("index/{name}:2060: item 1: ")),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(run(&["verify", root, "--index-slots", "0", "--index-items", "400"]).status.code(), Some(2));
}

#[test]
fn deliver_times_are_compared_with_the_delay_levels_of_the_conf_file() {
    let mut copy = copy("java-5.5.0/sched");
    let text = std::fs::read_to_string(&copy.conf).unwrap();
    let other = copy.conf.with_file_name("other.conf");
    std::fs::write(&other, text.replace("messageDelayLevel=1s ", "messageDelayLevel=3s ")).unwrap();
    copy.conf = other;
    let (code, out, _) = on(&copy, "verify", &[]);
    assert_eq!(code, 1);
    assert!(out.contains("SCHEDULE_TOPIC_XXXX/0/00000000000000000000:0: unit 0 of"), "{out}");
    assert!(out.contains("messageDelayLevel gives"), "{out}");
    // Without a conf file nobody knows the levels: a time behind the store time will do.
    assert_eq!(run(&["verify", copy.root.to_str().unwrap()]).status.code(), Some(0));
}

#[test]
fn a_store_in_use_is_refused_and_kept_from_brokers_meanwhile() {
    let copy = copy("java-5.5.0/sched");
    let path = copy.root.join("lock");
    let java = File::options().read(true).write(true).open(&path).unwrap();
    let mut byte = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as _,
        l_whence: nix::libc::SEEK_SET as _,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    // The process's lock, as Java takes it.
    fcntl(&java, FcntlArg::F_SETLK(&byte)).unwrap();
    for command in ["inspect", "verify", "export", "rebuild"] {
        let (code, out, err) = on(&copy, command, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{command}");
        assert!(err.contains("store/lock: locked, a broker has this store open; stop it first"), "{err}");
    }
    byte.l_type = nix::libc::F_UNLCK as _;
    fcntl(&java, FcntlArg::F_SETLK(&byte)).unwrap();
    drop(java);
    assert_eq!(on(&copy, "verify", &[]).0, 0);
    // Without a lock file there is no broker, and none is made.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(on(&copy, "verify", &[]).0, 0);
    assert!(!path.exists());
}

#[test]
fn what_is_no_store_or_is_in_rocksdb_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["inspect", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("not a store directory"));
    for place in ["consumequeue", "config/topics", "config/subscriptionGroups", "config/consumerOffsets"] {
        let copy = copy("java-5.5.0/sched");
        assert!(copy.root.join("rocksdbstore/CURRENT").exists(), "which alone is normal");
        let current = copy.root.join(place).join("CURRENT");
        std::fs::create_dir_all(current.parent().unwrap()).unwrap();
        std::fs::write(&current, "MANIFEST-000005\n").unwrap();
        for command in ["inspect", "verify", "export", "rebuild"] {
            let (code, _, err) = on(&copy, command, &[]);
            assert_eq!(code, 2, "{command} {place}");
            assert!(
                err.contains(&format!("{place}/CURRENT")) && err.contains("storeType=defaultRocksDB"),
                "{err}"
            );
        }
    }
}

#[test]
fn queues_and_index_are_rebuilt_as_java_wrote_them() {
    for case in [
        "java-5.5.0/lmq",
        "java-5.5.0/cqext",
        "java-5.5.0/basic",
        "java-5.5.0/sched",
        "java-4.9.7/basic",
        "java-5.5.0/crash-no-cq",
        "java-5.5.0/timerpop",
    ] {
        let copy = copy(case);
        let queues = |root: &Path| -> Vec<_> {
            let dirs = ["consumequeue", "batchconsumequeue"].map(|dir| fingerprint(&root.join(dir)));
            let files = dirs.into_iter().flatten();
            files
                .map(|(path, len, bytes)| (path.strip_prefix(root).unwrap().to_owned(), len, bytes))
                .collect()
        };
        let before = queues(&copy.root);
        let config = fingerprint(&copy.root.join("config"));
        let (code, out, _) = on(&copy, "rebuild", &[]);
        assert_eq!(code, 0, "{out}");
        assert!(out.contains("nothing was done yet: add --yes"), "{out}");
        assert_eq!(queues(&copy.root), before, "asking changes nothing");
        // Damage that only a rebuild repairs.
        if let Some((path, ..)) = before.iter().find(|(_, len, _)| *len > 0) {
            let file = File::options().write(true).open(copy.root.join(path)).unwrap();
            file.write_all_at(&[7; 30], 0).unwrap();
        }
        let (code, out, err) = on(&copy, "rebuild", &["--yes"]);
        assert_eq!(code, 0, "{case}: {out}{err}");
        assert!(out.contains("rebuilt\n") && out.contains("problems: 0;"), "{case}: {out}");
        assert_eq!(fingerprint(&copy.root.join("config")), config, "{case}: topics, groups, offsets stay");
        assert!(!copy.root.join("abort").exists(), "{case}");
        let after = queues(&copy.root);
        if case.contains("no-cq") {
            assert!(out.contains("queues: 4, 506 units"), "{out}");
        } else if case.contains("cqext") {
            // Extensions are shorter without bit maps, so that their addresses are others.
            assert!(out.contains("queues: 2, 24 units, 24 extensions"), "{out}");
        } else {
            assert_eq!(after, before, "{case}: byte for byte what Java wrote");
        }
        let backup = std::fs::read_dir(&copy.root)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("before-rebuild-"));
        let backup = backup.expect("a directory with what was there before");
        assert!(backup.join("checkpoint").exists(), "{case}");
    }
}

#[test]
fn a_rebuild_loses_neither_records_nor_positions_silently() {
    // Whole records behind a damaged one: refused, nothing is changed.
    let damaged = copy("java-5.5.0/crash-flip-last-file");
    let before = fingerprint(&damaged.root);
    let (code, out, _) = on(&damaged, "rebuild", &["--yes"]);
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("00000000000000524288:58781: checksum differs") && out.contains("--accept-cut"),
        "{out}"
    );
    assert_eq!(fingerprint(&damaged.root), before);
    let (code, out, err) = on(&damaged, "rebuild", &["--yes", "--accept-cut"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains(" 460 records,") && out.contains(" 0 to 583069\n"), "{out}");
    // What is kept can be read: the records that Java loses.
    let kept = damaged.root.join("cutoff/00000000000000583069");
    let output = run(&["export", kept.to_str().unwrap()]);
    let lines = text(&output.stdout);
    assert_eq!((output.status.code(), lines.lines().count()), (Some(0), 45));
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(number(&first["commitLogOffset"]) > 583_069 && first["topic"].is_string());
    std::fs::OpenOptions::new().append(true).open(&kept).unwrap().write_all(b"cut").unwrap();
    let output = run(&["export", kept.to_str().unwrap()]);
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(2), 45));
    // A queue of which the log has no record any more keeps its files and its position.
    let expired = copy("java-5.5.0/sched");
    let queue = expired.root.join("consumequeue/Expired/3");
    std::fs::create_dir_all(&queue).unwrap();
    let filler: Vec<u8> = [0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0].repeat(7);
    let mut bytes = vec![0; 6_000];
    bytes[..140].copy_from_slice(&filler);
    std::fs::write(queue.join("00000000000000000000"), &bytes).unwrap();
    let (code, out, err) = on(&expired, "rebuild", &["--yes"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("stays as it is: queue Expired 3"), "{out}");
    assert!(on(&expired, "inspect", &[]).1.contains("Expired 3: 7 to 7, 7 units"));
}

#[test]
fn what_an_older_version_cannot_use_is_listed() {
    let rows = [
        ("java-5.5.0/timerpop", 13, "00000000000000000000:9612: %RETRY%"),
        ("java-5.5.0/timerpop", 13, "rmq_sys_wheel_timer: timer message"),
        ("java-5.5.0/timerpop", 13, "rmq_sys_REVIVE_LOG_GoldenCluster: state of a pop consumer"),
        ("java-5.5.0/sched", 1, "00000000000000000000:12075: RMQ_SYS_TRANS_OP_HALF_TOPIC: several ends"),
        ("java-5.5.0/lmq", 3, "GoldenBatchCQ: inner batch"),
        ("java-5.5.0/basic", 0, "4.9.7 cannot use: 0 records"),
        ("java-4.9.7/basic", 0, "4.9.7 cannot use: 0 records"),
    ];
    for (case, count, line) in rows {
        let (code, out, _) = on(&copy(case), "verify", &["--for", "4.9.7"]);
        assert_eq!(code, i32::from(count > 0), "{case}: {out}");
        assert!(
            out.contains(line) && out.contains(&format!("4.9.7 cannot use: {count} records")),
            "{case}: {out}"
        );
    }
}

#[test]
fn messages_are_exported_as_they_were_sent() {
    let basic = copy("java-5.5.0/basic");
    let (code, out, _) =
        on(&basic, "export", &["--topic", "GoldenA", "--queue", "1", "--from", "3", "--to", "6"]);
    assert_eq!(code, 0);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|it| number(&it["queueOffset"])).collect::<Vec<_>>(), [3, 4, 5]);
    for line in &lines {
        let java = basic.manifest["messages"].as_array().unwrap().iter();
        let java = java.clone().find(|it| it["commitLogOffset"] == line["commitLogOffset"]).unwrap();
        for key in ["properties", "msgId", "offsetMsgId"] {
            if let Some(wanted) = java.get(key) {
                assert_eq!(&line[key], wanted, "{key}");
            }
        }
    }
    // Compressed bodies stay compressed, and say so.
    let (_, all, _) = on(&basic, "export", &[]);
    let compressed: Vec<Value> = all
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| number(&line["sysFlag"]) & 1 == 1)
        .collect();
    assert!(!compressed.is_empty());
    assert_eq!(all.matches("\"compression\":").count(), compressed.len(), "and only they");
    for line in compressed {
        let wanted = match number(&line["sysFlag"]) & 0x700 {
            0x100 => "lz4",
            0x200 => "zstd",
            _ => "zlib",
        };
        assert_eq!(
            (line["compression"].as_str(), line["bodyEncoding"].as_str()),
            (Some(wanted), Some("base64"))
        );
    }
    let lmq = copy("java-5.5.0/lmq");
    let file = lmq.root.with_file_name("two.jsonl");
    let (code, out, _) =
        on(&lmq, "export", &["--topic", "%LMQ%two", "--from", "1", "--out", file.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (0, ""));
    let lines = std::fs::read_to_string(file).unwrap();
    let places: Vec<(i64, i64)> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (number(&line["lmqQueueOffset"]), number(&line["queueOffset"])))
        .collect();
    assert_eq!(places, [(1, 2), (2, 4)]);
    // A record whose body is damaged is exported with a word about it; the exit code tells.
    let flipped = copy("java-4.9.7/crash-flip-last-file");
    let (code, out, _) = on(&flipped, "export", &[]);
    assert_eq!((code, out.lines().count()), (1, 874));
    assert_eq!(out.lines().filter(|line| line.contains("\"damage\":\"checksum differs")).count(), 1);
    let torn = copy("java-4.9.7/crash-torn-tail");
    let (code, out, err) = on(&torn, "export", &[]);
    assert_eq!((code, out.lines().count()), (1, 873));
    assert!(err.contains("commitlog/00000000000001048576:21837: "), "{err}");
}

#[test]
fn a_log_in_several_directories_is_read_whole() {
    let copy = copy("java-5.5.0/basic");
    let second = copy.root.with_file_name("second");
    std::fs::create_dir(&second).unwrap();
    let name = "00000000000001048576";
    std::fs::rename(copy.root.join("commitlog").join(name), second.join(name)).unwrap();
    assert_eq!(run(&["verify", copy.root.to_str().unwrap()]).status.code(), Some(1), "a file is missing");
    let conf = copy.root.with_file_name("two.conf");
    let mut text = std::fs::read_to_string(&copy.conf).unwrap();
    text.push_str(&format!("\nstorePathCommitLog=store/commitlog,{}\n", second.display()));
    std::fs::write(&conf, text).unwrap();
    let copy = Copy { conf, ..copy };
    let (code, out, err) = on(&copy, "verify", &[]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("commit log: 3 files, 82 records"), "{out}");
    let (code, out, err) = on(&copy, "rebuild", &["--yes"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(second.join(name).exists());
}
