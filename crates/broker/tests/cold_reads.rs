//! Slow reads of old messages: who reads them waits, nobody else does.
//!
//! Reads of the first commit log file are made slow by `strace`, which lets each of them linger. Without it, or where
//! no process may be traced, there is nothing to see, and the test says so.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use raptormq_wire::header::GetMaxOffsetRequestHeader;
use raptormq_wire::{RequestCode, ResponseCode};
use support::{Running, Wire, conf, field, mqbroker, pull, pull_header, records, send};

const LOG_FILE: u64 = 64 << 20;
/// How long each read of the disk takes.
const SLOW: Duration = Duration::from_millis(500);
/// Within which time the others are served.
const QUICK: Duration = Duration::from_millis(50);
/// More than there are workers and processors.
const COLD_READERS: usize = 12;
const COLD_MESSAGES: usize = 8;

/// `strace` in front of the broker, which stays the child: only reads of `file` are looked at, all others run free.
fn slowed(home: &Path, file: &Path, port: u16, extra: &str) -> Command {
    let broker = mqbroker(home);
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "--seccomp-bpf", "-o"]).arg(home.join("strace.out"));
    command.arg("-P").arg(file).arg("-e").arg("trace=pread64");
    command.arg("-e").arg(format!("inject=pread64:delay_enter={}", SLOW.as_micros()));
    command.arg(broker.get_program()).arg("-c").arg(conf(home, port, extra)).stdin(Stdio::null());
    for (name, value) in broker.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-f", "-qq", "-e", "trace=none", "true"]).output();
    traced.is_ok_and(|output| output.status.success())
}

/// Moves the log's end so far away that nothing in its first file is expected in memory, without writing all that: the
/// rest of the file and the following ones are blank, and sparse.
fn leave_behind(log: &Path) {
    let mut first =
        std::fs::File::options().read(true).write(true).open(log.join(format!("{:020}", 0))).unwrap();
    let mut at = 0;
    loop {
        let mut len = [0; 4];
        first.seek(SeekFrom::Start(at)).unwrap();
        first.read_exact(&mut len).unwrap();
        match u32::from_be_bytes(len) {
            0 => break,
            len => at += u64::from(len),
        }
    }
    let blank = |mut file: std::fs::File, from: u64| {
        file.seek(SeekFrom::Start(from)).unwrap();
        file.write_all(&((LOG_FILE - from) as u32).to_be_bytes()).unwrap();
        // `CommitLog.BLANK_MAGIC_CODE`
        file.write_all(&(-875_286_124i32).to_be_bytes()).unwrap();
    };
    blank(first, at);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total_kib: u64 = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
    let near = total_kib * 1024 / 100;
    let files = near / LOG_FILE + 2;
    for n in 1..=files {
        let file = std::fs::File::create(log.join(format!("{:020}", n * LOG_FILE))).unwrap();
        file.set_len(LOG_FILE).unwrap();
        if n < files {
            blank(file, 0);
        }
    }
}

/// A store with a topic of old messages, at whose log's end nothing is yet.
fn old_store(home: &Path, port: u16, extra: &str) {
    let running = Running::start(home, port, extra);
    let mut wire = running.connect();
    wire.create_topic("Cold", 1);
    wire.create_topic("Hot", 1);
    for n in 0..COLD_MESSAGES {
        assert_eq!(wire.request(send("Cold", "", &[n as u8; 1_000])).code, 0);
    }
    assert_eq!(running.signal("-TERM"), Some(143));
    leave_behind(&home.join("store/commitlog"));
}

/// One pull of one old message; how long it took, `None` when the broker was too busy for it.
fn pull_cold(wire: &mut Wire, offset: usize) -> Option<Duration> {
    let mut header = pull_header("ColdGroup", "Cold", offset as i64);
    header.max_msg_nums = 1;
    let begin = Instant::now();
    let answer = wire.request(pull(&header));
    if answer.code == i32::from(ResponseCode::SYSTEM_BUSY) {
        return None;
    }
    assert_eq!((answer.code, records(&answer).len()), (0, 1), "{:?}", answer.remark);
    Some(begin.elapsed())
}

#[test]
fn slow_reads_of_old_messages_delay_nobody_else() {
    if !can_trace() {
        eprintln!("not run: strace is missing or not allowed to trace");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let extra = format!("mappedFileSizeCommitLog={LOG_FILE}\naccessMessageInMemoryMaxRatio=1");
    old_store(home.path(), 26_001, &extra);
    let file = home.path().join(format!("store/commitlog/{:020}", 0));
    let running = Running::spawn(&mut slowed(home.path(), &file, 26_001, &extra), 26_001);

    let (done, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut quick: Vec<Duration> = Vec::new();
    std::thread::scope(|scope| {
        for reader in 0..COLD_READERS {
            let (running, done, reads) = (&running, &done, &reads);
            scope.spawn(move || {
                let mut wire = running.connect();
                for n in reader.. {
                    let took = pull_cold(&mut wire, n % COLD_MESSAGES).expect("the lane has room");
                    assert!(took >= SLOW, "an old message came after {took:?}: its read was not slow");
                    reads.fetch_add(1, Ordering::SeqCst);
                    if done.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        let mut wire = running.connect();
        let begin = Instant::now();
        let mut timed = |wire: &mut Wire, request| {
            let begin = Instant::now();
            let answer = wire.request(request);
            quick.push(begin.elapsed());
            assert_eq!(answer.code, 0, "{:?}", answer.remark);
            answer
        };
        for n in 0.. {
            timed(&mut wire, send("Hot", "", &[7; 100]));
            let mut header = pull_header("HotGroup", "Hot", n);
            header.max_msg_nums = 1;
            assert_eq!(records(&timed(&mut wire, pull(&header))).len(), 1);
            if begin.elapsed() > 4 * SLOW {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        done.store(true, Ordering::SeqCst);
    });
    quick.sort_unstable();
    let (usual, longest) = (quick[quick.len() * 95 / 100], quick[quick.len() - 1]);
    println!(
        "{} sends and pulls at the log's end took up to {usual:?} (95 %) and {longest:?}, beside {} slow reads",
        quick.len(),
        reads.load(Ordering::SeqCst)
    );
    assert!(usual < QUICK && longest < SLOW, "the others waited: {usual:?} (95 %), {longest:?}");
    assert!(quick.len() > 50, "only {} requests got through", quick.len());
    assert!(reads.load(Ordering::SeqCst) >= 2 * COLD_READERS, "old messages were not read all the time");
    assert_eq!(running.signal("-TERM"), Some(143));
}

#[test]
fn more_slow_readers_than_the_lane_admits_are_all_served_in_the_end() {
    if !can_trace() {
        eprintln!("not run: strace is missing or not allowed to trace");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let extra = format!(
        "mappedFileSizeCommitLog={LOG_FILE}\naccessMessageInMemoryMaxRatio=1\npullThreadPoolQueueCapacity=3"
    );
    old_store(home.path(), 26_002, &extra);
    let file = home.path().join(format!("store/commitlog/{:020}", 0));
    let running = Running::spawn(&mut slowed(home.path(), &file, 26_002, &extra), 26_002);
    let refused = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for reader in 0..COLD_READERS {
            let (running, refused) = (&running, &refused);
            scope.spawn(move || {
                let mut wire = running.connect();
                let begin = Instant::now();
                while pull_cold(&mut wire, reader % COLD_MESSAGES).is_none() {
                    refused.fetch_add(1, Ordering::SeqCst);
                    assert!(begin.elapsed() < Duration::from_secs(20), "reader {reader} is never served");
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        // Whoever reads nothing is served meanwhile.
        let mut wire = running.connect();
        for _ in 0..20 {
            let begin = Instant::now();
            assert_eq!(wire.request(send("Hot", "", b"x")).code, 0);
            let header = GetMaxOffsetRequestHeader { topic: "Hot".into(), ..Default::default() };
            assert!(field(&wire.call(RequestCode::GET_MAX_OFFSET, &header, Bytes::new()), "offset") > 0);
            assert!(begin.elapsed() < SLOW);
        }
    });
    println!("{COLD_READERS} readers were served, after {} refusals", refused.load(Ordering::SeqCst));
    assert!(refused.load(Ordering::SeqCst) > 0, "the lane was never full");
}
