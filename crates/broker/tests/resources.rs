//! Files: expired ones are deleted by request, and enough can be open.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::time::{Duration, SystemTime};

use raptormq_wire::RequestCode;
use raptormq_wire::header::GetMinOffsetRequestHeader;
use support::{Running, field, send};

/// A JVM raises the limit of open files by itself; thousands of queues in use need it.
#[test]
fn the_limit_of_open_files_is_raised() {
    let home = tempfile::tempdir().unwrap();
    let conf = support::conf(home.path(), 25_120, "");
    let broker = env!("CARGO_BIN_EXE_mqbroker");
    let mut command = std::process::Command::new("sh");
    let script = format!("ulimit -Sn 300 && exec {broker} -c {}", conf.display());
    command.args(["-c", &script]).env("ROCKETMQ_HOME", home.path());
    let broker = Running::spawn(&mut command, 25_120);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", broker.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let values: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert!(values[0] == values[1] && values[0] != "300", "{line}");
}

/// Files are kept by the time of their last change; the hour of `deleteWhen` does not matter to a request.
#[test]
fn expired_commit_log_files_go_when_asked() {
    let home = tempfile::tempdir().unwrap();
    let conf =
        "mappedFileSizeCommitLog=65536\nfileReservedTime=2\ndeleteWhen=99\ndeleteCommitLogFilesInterval=0";
    let broker = Running::start(home.path(), 25_110, conf);
    let mut wire = broker.connect();
    wire.create_topic("T", 1);
    for _ in 0..200 {
        assert_eq!(wire.request(send("T", "", &[b'x'; 1_000])).code, 0);
    }
    let log = home.path().join("store/commitlog");
    let file = |n: u64| log.join(format!("{:020}", n * 65_536));
    for n in 0..2 {
        let opened = std::fs::File::options().write(true).open(file(n)).unwrap();
        opened.set_modified(SystemTime::now() - Duration::from_secs(3 * 3_600)).unwrap();
    }
    let min = |wire: &mut support::Wire| -> i64 {
        let header = GetMinOffsetRequestHeader { topic: "T".into(), ..Default::default() };
        field(&wire.call(RequestCode::GET_MIN_OFFSET, &header, ""), "offset")
    };
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(file(0).exists() && min(&mut wire) == 0, "nobody has asked yet");
    assert_eq!(wire.plain(RequestCode::DELETE_EXPIRED_COMMITLOG, "").code, 0);
    for _ in 0..100 {
        if !file(1).exists() && min(&mut wire) > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!file(0).exists() && !file(1).exists() && file(2).exists());
    assert!((100..200).contains(&min(&mut wire)), "{}", min(&mut wire));
}
