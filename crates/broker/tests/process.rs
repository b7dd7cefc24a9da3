//! `mqbroker` as scripts and supervisors see it: exit codes, what is printed where, signals, files left behind.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use raptormq_wire::RequestCode;
use support::{Running, conf, mqbroker, pull, pull_header, records, run, send, text};

const NO_HOME: &str = "Please set the ROCKETMQ_HOME variable in your environment to match the location of the RocketMQ installation";

#[test]
fn flags_end_with_javas_codes() {
    let home = tempfile::tempdir().unwrap();
    let help = run(mqbroker(home.path()).arg("-h"));
    assert_eq!(help.status.code(), Some(0));
    for flag in ["-c", "-n", "-p", "-m", "-h", "--configFile", "--printImportantConfig"] {
        assert!(text(&help.stdout).contains(flag), "{flag}");
    }
    let bad = run(mqbroker(home.path()).arg("--no-such-flag"));
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("--no-such-flag"), "{}", text(&bad.stderr));
    assert!(text(&bad.stdout).contains("mqbroker"), "the usage is on stdout");
}

#[test]
fn a_home_is_needed_from_the_environment_or_the_conf_file() {
    let home = tempfile::tempdir().unwrap();
    let none = run(mqbroker(home.path()).env_remove("ROCKETMQ_HOME"));
    assert_eq!((none.status.code(), text(&none.stdout).as_str()), (Some(254), NO_HOME));
    // The next check of Java's order fails in place of the one for the home.
    let file = conf(home.path(), 24_701, "rocketmqHome=/rmq\nnamesrvAddr=nowhere");
    let given = run(mqbroker(home.path()).env_remove("ROCKETMQ_HOME").arg("-c").arg(file));
    assert_eq!(given.status.code(), Some(253));
}

#[test]
fn an_illegal_name_server_address_is_told_in_javas_words() {
    let home = tempfile::tempdir().unwrap();
    let illegal = run(mqbroker(home.path()).args(["-n", "nowhere"]));
    assert_eq!(illegal.status.code(), Some(253));
    assert_eq!(
        text(&illegal.stdout),
        "The Name Server Address[nowhere] illegal, please set it as follows, \"127.0.0.1:9876;192.168.0.1:9876\"\n"
    );
}

#[test]
fn items_are_printed_as_javas_console_logger_does() {
    let home = tempfile::tempdir().unwrap();
    let file = conf(home.path(), 24_702, "");
    for flag in ["-p", "-m"] {
        let printed = run(mqbroker(home.path()).arg(flag).arg("-c").arg(&file));
        assert_eq!(printed.status.code(), Some(0));
        let out = text(&printed.stdout);
        for line in out.lines() {
            // 2026-01-02 03:04:05 INFO main - key=value
            let (date, rest) = line.split_at(19);
            assert!(date.chars().filter(char::is_ascii_digit).count() == 14, "{line}");
            assert!(rest.strip_prefix(" INFO main - ").is_some_and(|item| item.contains('=')), "{line}");
        }
        let has = |item: &str| out.lines().any(|l| l.ends_with(&format!(" - {item}")));
        assert!(has("brokerName=b"), "{flag}");
        assert!(!out.contains("flushDiskType="), "Java prints no MessageStoreConfig");
        assert_eq!(has("listenPort=24702") && has("authenticationEnabled=false"), flag == "-p", "{flag}");
    }
}

#[test]
fn nobody_has_to_read_what_is_printed() {
    let home = tempfile::tempdir().unwrap();
    for flag in ["-p", "-m", "-h"] {
        let mut child =
            mqbroker(home.path()).arg(flag).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(0), "{flag}");
    }
    let file = conf(home.path(), 24_704, "noSuchKey=1");
    let mut child = mqbroker(home.path())
        .arg("-c")
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let connected = (0..200).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect(("127.0.0.1", 24_704)).ok()
    });
    std::thread::sleep(Duration::from_millis(200));
    let alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(connected.is_some() && alive, "a broker serves though nobody reads its log");
}

#[test]
fn what_would_serve_unprotected_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let tls = home.path().join("tls.properties");
    std::fs::write(&tls, "tls.server.mode=enforcing\n").unwrap();
    let tls_file = format!("-Xmx1g -Dtls.config.file={}", tls.display());
    for (extra, java_opt, names) in [
        ("authenticationEnabled=true", "", "authenticationEnabled"),
        ("authorizationEnabled=true", "", "authorizationEnabled"),
        ("aclEnable=true", "", "aclEnable"),
        ("", "-Xmx1g -Dtls.server.mode=enforcing", "tls.server.mode"),
        ("", tls_file.as_str(), "tls.server.mode"),
        ("", "-Dcom.rocketmq.remoting.frameMaxLength=16m", "frameMaxLength"),
    ] {
        let file = conf(home.path(), 24_707, extra);
        let refused = run(mqbroker(home.path()).env("JAVA_OPT", java_opt).arg("-c").arg(file));
        assert_eq!(refused.status.code(), Some(253), "{extra}{java_opt}");
        assert!(text(&refused.stdout).contains(names), "{}", text(&refused.stdout));
        assert!(!home.path().join("store").exists(), "nothing was opened");
        assert!(TcpStream::connect(("127.0.0.1", 24_707)).is_err(), "nothing listens");
    }
}

#[test]
fn the_boot_line_is_javas() {
    let home = tempfile::tempdir().unwrap();
    let alone = Running::start(home.path(), 24_710, "");
    assert_eq!(alone.boot_line, "The broker[b, 127.0.0.1:24710] boot success. serializeType=JSON\n");
    drop(alone);
    // Nobody is at that address: a broker starts all the same.
    let file = conf(home.path(), 24_710, "namesrvAddr=127.0.0.1:1");
    let named = Running::spawn(
        mqbroker(home.path())
            .env("ROCKETMQ_SERIALIZE_TYPE", "ROCKETMQ")
            .args(["-n", "127.0.0.1:2;127.0.0.1:3", "-c"])
            .arg(file),
        24_710,
    );
    assert_eq!(
        named.boot_line,
        "The broker[b, 127.0.0.1:24710] boot success. serializeType=ROCKETMQ and name server is 127.0.0.1:2;127.0.0.1:3\n",
        "-n wins over the conf file"
    );
}

#[test]
fn a_store_has_one_broker_and_a_port_one_listener() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Running::start(home.path(), 24_713, "").connect_and_keep();
    let second = run(mqbroker(home.path()).arg("-c").arg(conf(home.path(), 24_716, "")));
    assert_eq!(second.status.code(), Some(253));
    assert!(text(&second.stderr).contains("Lock failed,MQ already started"), "{}", text(&second.stderr));
    first.1.create_topic("StillThere", 1);

    let other = tempfile::tempdir().unwrap();
    for port in [24_719, 24_721] {
        // The main port 24719, or the fast port of 24721.
        let _taken = TcpListener::bind(("127.0.0.1", 24_719)).unwrap();
        let refused = run(mqbroker(other.path()).arg("-c").arg(conf(other.path(), port, "")));
        assert_eq!(refused.status.code(), Some(255), "{}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains("24719"), "{}", text(&refused.stderr));
        assert!(!other.path().join("store/abort").exists(), "the store was closed again");
    }
}

#[test]
fn signals_end_cleanly_and_the_next_start_serves_what_was_sent() {
    let home = tempfile::tempdir().unwrap();
    let abort = home.path().join("store/abort");
    for (sent, (signal, code)) in [("-TERM", 143), ("-INT", 130)].into_iter().enumerate() {
        let running = Running::start(home.path(), 24_724, "");
        assert!(abort.exists());
        let mut wire = running.connect();
        let answer = wire.request(send("Kept", "", signal.as_bytes()));
        assert_eq!((answer.code, support::field(&answer, "queueOffset")), (0, sent as i64));
        assert_eq!(running.signal(signal), Some(code));
        assert!(!abort.exists(), "{signal}");
    }
    let running = Running::start(home.path(), 24_724, "");
    let found = records(&running.connect().request(pull(&pull_header("G", "Kept", 0))));
    assert_eq!(found.len(), 2);
    assert!(found[1].windows(4).any(|w| w == b"-INT"));

    running.connect().request(send("Kept", "", b"before the kill"));
    assert_eq!(running.signal("-KILL"), None);
    assert!(abort.exists(), "a killed broker leaves its abort file");
    let running = Running::start(home.path(), 24_724, "");
    assert_eq!(records(&running.connect().request(pull(&pull_header("G", "Kept", 0)))).len(), 3);
}

#[test]
fn a_signal_during_the_start_ends_the_broker_after_it() {
    let home = tempfile::tempdir().unwrap();
    // The registration with a name server that accepts and never answers makes the start long.
    let silent = TcpListener::bind("127.0.0.1:24728").unwrap();
    let file = conf(home.path(), 24_727, "namesrvAddr=127.0.0.1:24728\nregisterBrokerTimeoutMills=1000");
    let mut child = mqbroker(home.path())
        .arg("-c")
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _registering = silent.accept().unwrap();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(143), None));
    assert!(!home.path().join("store/abort").exists());
}

#[test]
fn lines_without_effect_are_warned_about_and_refused_on_request() {
    let home = tempfile::tempdir().unwrap();
    let lines = "mapedFileSizeCommitLog=1\ntransferMsgByHeap=true\nflushInterval CommitLog\nmaxMessageSize=4194304 \n\
         bitMapLengthConsumeQueueExt=64\ntransientStorePoolEnable=true\nflushConsumeQueueLeastPages=4";
    let file = conf(home.path(), 24_730, lines);
    // The port is taken, so that the broker ends by itself.
    let _taken = TcpListener::bind(("127.0.0.1", 24_730)).unwrap();
    let output = run(mqbroker(home.path()).arg("-c").arg(&file));
    let err = text(&output.stderr);
    for (key, what) in [
        ("mapedFileSizeCommitLog", "did you mean mappedFileSizeCommitLog?"),
        ("transferMsgByHeap", "accepted, without effect here"),
        ("bitMapLengthConsumeQueueExt", "accepted, without effect here"),
        ("transientStorePoolEnable", "accepted, without effect here"),
        ("flushConsumeQueueLeastPages", "accepted, without effect here"),
        ("maxMessageSize", "'4194304 ' is not a valid"),
    ] {
        let found = err.lines().any(|l| l.contains("WARN") && l.contains(key) && l.contains(what));
        assert!(found, "{key}: {err}");
    }
    assert!(!text(&output.stdout).contains("WARN"));
    let strict = run(mqbroker(home.path()).arg("--strict-config").arg("-c").arg(&file));
    assert_eq!(strict.status.code(), Some(255));
    assert!(text(&strict.stderr).contains("no effect"), "{}", text(&strict.stderr));
}

#[test]
fn a_conf_file_that_is_not_there_is_named() {
    let home = tempfile::tempdir().unwrap();
    let missing = run(mqbroker(home.path()).args(["-c", "/no/such/broker.conf"]));
    assert_eq!(missing.status.code(), Some(255));
    assert!(text(&missing.stderr).contains("/no/such/broker.conf"), "{}", text(&missing.stderr));
    assert!(!home.path().join("store").exists());
}

#[test]
fn the_frame_limit_of_the_jvm_options_counts() {
    let home = tempfile::tempdir().unwrap();
    let file = conf(home.path(), 24_733, "");
    let running = Running::spawn(
        mqbroker(home.path())
            .env("JAVA_OPT", "-Dcom.rocketmq.remoting.frameMaxLength=1 -Xmx1g")
            .env("JAVA_OPT_EXT", "-Dcom.rocketmq.remoting.frameMaxLength=4096")
            .arg("-c")
            .arg(file),
        24_733,
    );
    let mut wire = running.connect();
    assert_eq!(wire.request(send("Frames", "", &[1; 3000])).code, 0);
    wire.post(send("Frames", "", &[1; 5000]));
    assert!(wire.next(Duration::from_secs(5)).is_none(), "the connection is closed");
    assert_eq!(running.connect().plain(RequestCode::GET_BROKER_RUNTIME_INFO, Bytes::new()).code, 0);
}

impl Running {
    fn connect_and_keep(self) -> (Self, support::Wire) {
        let wire = self.connect();
        (self, wire)
    }
}
