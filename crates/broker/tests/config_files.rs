//! The files under `config/`: what is not this broker's stays byte for byte, RocksDB is refused, a store exported from
//! RocksDB is served.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use raptormq_wire::RequestCode;
use raptormq_wire::header::{QueryConsumerOffsetRequestHeader, UpdateConsumerOffsetRequestHeader};
use support::{Running, conf, mqbroker, pull, pull_header, run, send, text};

/// Files of a Java broker that are for features which are not here yet.
const FOREIGN: &[(&str, &[u8])] = &[
    ("consumerOrderInfo.json", b"{\n\t\"table\":{\"T@G\":{0:{\"popTime\":1,\"o\":[0,1]}}}\n}"),
    ("topicQueueMapping.json", b"{\n\t\"dataVersion\":{},\n\t\"topicQueueMappingInfoMap\":{}\n}"),
    ("messageRequestMode.json", b"{\"messageRequestModeMap\":{}}"),
    ("transactionMetrics", b"{\"transactionCount\":{\"T\":{\"count\":3,\"timeStamp\":1}}}"),
    ("timermetrics", b"not json at all"),
    ("timercheck", &[7; 4096]),
    ("timercheck.bak", b""),
    ("something.of.the.operator", b"\x00\xff"),
];

fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn files_of_other_features_stay_byte_for_byte() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("store/config");
    std::fs::create_dir_all(&config).unwrap();
    for (name, content) in FOREIGN {
        std::fs::write(config.join(name), content).unwrap();
    }
    std::fs::write(config.join("lmqConsumerOffset.json"), b"{\"lmqOffsetTable\":{\"%LMQ%a@%LMQ%g\":9}")
        .unwrap();
    let before = contents(&config);
    for (signal, exit) in [("-TERM", Some(143)), ("-KILL", None)] {
        let broker = Running::start(
            home.path(),
            24_711,
            "flushConsumerOffsetInterval=100\nflushDelayOffsetInterval=100",
        );
        let mut wire = broker.connect();
        assert_eq!(wire.request(send("T", "", b"x")).code, 0);
        std::thread::sleep(std::time::Duration::from_millis(300));
        drop(wire);
        assert_eq!(broker.signal(signal), exit);
    }
    let after = contents(&config);
    for (path, content) in &before {
        assert_eq!(after.get(path), Some(content), "{}", path.display());
    }
    let ours: Vec<String> = after
        .keys()
        .filter(|path| !before.contains_key(*path))
        .map(|path| path.file_name().unwrap().to_str().unwrap().trim_end_matches(".bak").to_owned())
        .collect();
    let known = ["consumerOffset.json", "delayOffset.json", "subscriptionGroup.json", "topics.json"];
    assert!(!ours.is_empty() && ours.iter().all(|name| known.contains(&name.as_str())), "{ours:?}");
}

#[test]
fn with_light_queues_the_other_offset_file_stays_byte_for_byte() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("store/config");
    std::fs::create_dir_all(&config).unwrap();
    let file = config.join("consumerOffset.json");
    std::fs::write(&file, "{\n\t\"offsetTable\":{\"T@G\":{0:5}}\n}").unwrap();
    let light = "{\"offsetTable\":{},\"lmqOffsetTable\":{\"%LMQ%a@%LMQ%g\":9}}";
    std::fs::write(config.join("lmqConsumerOffset.json"), light).unwrap();
    let broker = Running::start(home.path(), 24_715, "enableLmq=true\nflushConsumerOffsetInterval=100");
    let mut wire = broker.connect();
    let query = QueryConsumerOffsetRequestHeader {
        consumer_group: "%LMQ%g".into(),
        topic: "%LMQ%a".into(),
        ..Default::default()
    };
    let answer = wire.call(RequestCode::QUERY_CONSUMER_OFFSET, &query, "");
    assert_eq!(answer.ext.get("offset"), Some("9"));
    let commit = UpdateConsumerOffsetRequestHeader {
        consumer_group: "%LMQ%g".into(),
        topic: "%LMQ%a".into(),
        commit_offset: 12,
        ..Default::default()
    };
    let committed = wire.call(RequestCode::UPDATE_CONSUMER_OFFSET, &commit, "");
    assert_eq!(committed.code, 0, "neither topic nor group need exist");
    let pulled = wire.request(pull(&pull_header("%LMQ%g", "%LMQ%a", 0)));
    assert_eq!(pulled.code, 19, "an empty queue, not an unknown topic");
    drop(wire);
    assert_eq!(broker.signal("-TERM"), Some(143));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\n\t\"offsetTable\":{\"T@G\":{0:5}}\n}");
    let saved = std::fs::read_to_string(config.join("lmqConsumerOffset.json")).unwrap();
    assert!(saved.contains("\"%LMQ%a@%LMQ%g\":12"), "{saved}");
}

#[test]
fn a_table_that_nobody_can_read_stops_the_start_and_stays() {
    for file in ["topics.json", "subscriptionGroup.json", "consumerOffset.json", "delayOffset.json"] {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("store/config");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join(file), "{\"a\":").unwrap();
        std::fs::write(config.join(format!("{file}.bak")), "{").unwrap();
        let refused = run(mqbroker(home.path()).arg("-c").arg(conf(home.path(), 24_717, "")));
        assert_eq!(refused.status.code(), Some(253), "{file}");
        let told = text(&refused.stderr);
        assert!(told.contains(&format!("{file}: ")) && told.contains(&format!("{file}.bak: ")), "{told}");
        assert_eq!(std::fs::read(config.join(file)).unwrap(), b"{\"a\":");
        assert!(!home.path().join("store/abort").exists(), "the store is closed again");
    }
}

fn unpack(case: &str, to: &Path) {
    let archive =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/testdata").join(case).join("store.tar.xz");
    assert!(Command::new("tar").arg("-xSf").arg(archive).arg("-C").arg(to).status().unwrap().success());
}

#[test]
fn a_rocksdb_store_is_refused_by_its_key_and_by_its_files() {
    let home = tempfile::tempdir().unwrap();
    unpack("java-5.5.0/rocksdb", home.path());
    let sizes = "mappedFileSizeCommitLog=1048576\nmappedFileSizeConsumeQueue=6000\nmaxHashSlotNum=500\nmaxIndexNum=400";
    let root = home.path().join("store");
    for (extra, found) in [
        ("storeType=defaultRocksDB", "storeType=defaultRocksDB".to_owned()),
        ("", root.join("consumequeue/CURRENT").display().to_string()),
    ] {
        let file = conf(home.path(), 24_719, &format!("{sizes}\n{extra}"));
        let refused = run(mqbroker(home.path()).arg("-c").arg(file));
        assert_eq!(refused.status.code(), Some(253), "{extra}");
        let told = text(&refused.stdout) + &text(&refused.stderr);
        assert!(told.contains(&found), "{told}");
        assert!(told.contains("storeType=defaultRocksDB"), "{told}");
        assert!(
            told.contains(&format!("mqadmin rocksDBConfigToJson -p {}", root.join("config").display())),
            "{told}"
        );
    }
    assert!(!root.join("abort").exists(), "a refused store is not touched");
}

#[test]
fn keys_of_the_store_count_while_the_broker_runs() {
    let home = tempfile::tempdir().unwrap();
    let broker = Running::start(home.path(), 24_751, "flushDiskType=SYNC_FLUSH");
    let mut wire = broker.connect();
    let update = |wire: &mut support::Wire, text: &str| {
        let answer = wire.plain(RequestCode::UPDATE_BROKER_CONFIG, text.as_bytes().to_vec());
        assert_eq!(answer.code, 0, "{text}");
    };
    let codes = |wire: &mut support::Wire, body: &[u8], times: usize| -> Vec<i32> {
        (0..times).map(|_| wire.request(send("T", "", body)).code).collect()
    };
    assert_eq!(codes(&mut wire, &[1; 5_000], 3), [0; 3]);

    update(&mut wire, "maxMessageSize=4096");
    let refused = wire.request(send("T", "", &[1; 5_000]));
    assert_eq!(refused.code, 13);
    assert!(refused.remark.unwrap().contains("msg body length limit 4096B"));
    update(&mut wire, "maxMessageSize=4194304");
    assert_eq!(codes(&mut wire, &[1; 5_000], 20), [0; 20]);

    // A flush that nobody has time to wait for: stored, and the answer says that the promise is not kept yet.
    update(&mut wire, "syncFlushTimeout=0");
    assert!(codes(&mut wire, b"x", 50).contains(&10));
    update(&mut wire, "syncFlushTimeout=5000");
    assert_eq!(codes(&mut wire, b"x", 3), [0; 3]);

    let count =
        |wire: &mut support::Wire| support::records(&wire.request(pull(&pull_header("G", "T", 0)))).len();
    let before = count(&mut wire);
    update(&mut wire, "maxTransferCountOnMessageInMemory=2");
    assert_eq!((count(&mut wire), before > 2), (2, true));

    // What only counts from the next start on changes nothing now.
    update(
        &mut wire,
        "mappedFileSizeCommitLog=1024\nmappedFileSizeConsumeQueue=20\nflushDiskType=ASYNC_FLUSH",
    );
    assert_eq!(codes(&mut wire, &[1; 5_000], 3), [0; 3]);
    assert_eq!(count(&mut wire), 2);
}
