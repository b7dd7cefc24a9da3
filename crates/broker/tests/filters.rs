//! SQL92 filters over the wire: bit maps equal to Java's, expressions that survive the broker, pulls of a registered one.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use raptormq_message::decode_message;
use raptormq_wire::RequestCode;
use raptormq_wire::header::PullMessageRequestHeader;
use support::{Running, Wire, pull, pull_header, records, send};

/// Store time and bit map of each extension of a queue, in order.
fn extensions(home: &Path, topic: &str, queue_id: i32) -> Vec<(i64, Vec<u8>)> {
    let directory = home.join(format!("store/consumequeue_ext/{topic}/{queue_id}"));
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&directory).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        let mut at = 0;
        while at + 20 <= bytes.len() {
            let short = |at: usize| i16::from_be_bytes(bytes[at..at + 2].try_into().unwrap());
            let size = short(at);
            if size < 20 {
                break;
            }
            let time = i64::from_be_bytes(bytes[at + 10..at + 18].try_into().unwrap());
            assert_eq!(short(at + 18), size - 20);
            found.push((time, bytes[at + 20..at + size as usize].to_vec()));
            at += size as usize;
        }
    }
    found
}

/// HEART_BEAT of a consumer of `topic`.
fn heartbeat(wire: &mut Wire, group: &str, topic: &str, expression: &str, version: i64) {
    let text = format!(
        "{{\"clientID\":\"c\",\"producerDataSet\":[],\"consumerDataSet\":[{{\"groupName\":\"{group}\",\
         \"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\",\
         \"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\",\"unitMode\":false,\"subscriptionDataSet\":[{{\
         \"topic\":\"{topic}\",\"subString\":\"{expression}\",\"expressionType\":\"SQL92\",\"subVersion\":{version},\
         \"tagsSet\":[],\"codeSet\":[],\"classFilterMode\":false}}]}}]}}"
    );
    assert_eq!(wire.plain(RequestCode::HEART_BEAT, Bytes::from(text)).code, 0);
}

/// Code of a pull of what the group has registered, and the queue offsets it brings.
fn pulled(wire: &mut Wire, group: &str, topic: &str, queue_id: i32, version: i64) -> (i32, Vec<i64>) {
    let header = PullMessageRequestHeader {
        queue_id,
        sys_flag: 0,
        subscription: None,
        sub_version: version,
        ..pull_header(group, topic, 0)
    };
    let answer = wire.request(pull(&header));
    let offset = |record: &Bytes| decode_message(record).unwrap().queue_offset;
    (answer.code, records(&answer).iter().map(offset).collect())
}

#[test]
fn bit_maps_are_those_of_java() {
    let home = tempfile::tempdir().unwrap();
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/testdata/java-5.5.0/cqext");
    let archive = case.join("store.tar.xz");
    assert!(
        Command::new("tar").arg("-xSf").arg(archive).arg("-C").arg(home.path()).status().unwrap().success()
    );
    let conf = std::fs::read_to_string(case.join("broker.conf")).unwrap();
    let conf: String =
        conf.lines().filter(|line| !line.starts_with("storePath")).map(|line| format!("{line}\n")).collect();
    let conf = format!("{conf}filterDataCleanTimeSpan=9000000000000");
    let of_java: BTreeMap<i32, _> =
        (0..2).map(|queue| (queue, extensions(home.path(), "GoldenA", queue))).collect();
    // When the later of the two filters was registered; older messages have no bits for it.
    let born = 1_795_272_552_007;
    for directory in ["consumequeue", "consumequeue_ext"] {
        std::fs::remove_dir_all(home.path().join("store").join(directory)).unwrap();
    }
    std::fs::write(home.path().join("store/abort"), "").unwrap();

    let broker = Running::start(home.path(), 23_811, &conf);
    let mut wire = broker.connect();
    let mut wanted = BTreeMap::new();
    for (group, expression, version) in [
        ("GID_sql", "a > 5 AND TAGS = 'TagA'", 1_795_272_550_659),
        ("GID_sql2", "b IS NOT NULL", 1_795_272_552_960),
    ] {
        heartbeat(&mut wire, group, "GoldenA", expression, version);
        let found: Vec<_> = (0..2).map(|queue| pulled(&mut wire, group, "GoldenA", queue, version)).collect();
        wanted.insert(group, found.iter().map(|(_, offsets)| offsets.len()).sum::<usize>());
    }
    drop(wire);
    assert_eq!(broker.signal("-TERM"), Some(143));
    let mut same = 0;
    for (queue, java) in of_java {
        let ours = extensions(home.path(), "GoldenA", queue);
        assert_eq!(ours.len(), java.len());
        for ((time, map), (java_time, java_map)) in ours.iter().zip(&java) {
            assert_eq!(time, java_time);
            let bits = |map: &[u8]| map.iter().map(|byte| byte.count_ones()).sum::<u32>();
            let both: Vec<u8> = map.iter().zip(java_map).map(|(ours, java)| ours & java).collect();
            assert_eq!(&both, java_map, "what Java set is set");
            if *time > born {
                assert_eq!(map, java_map, "{queue} {time}");
                same += 1;
            }
            assert!(bits(map) <= 6);
        }
    }
    assert_eq!(same, 24);
    assert!(wanted.values().all(|found| *found > 2), "{wanted:?}");
    let table = std::fs::read_to_string(home.path().join("store/config/consumerFilter.json")).unwrap();
    assert!(table.contains("\"GID_sql\"") && table.contains("\"dead\":true"), "{table}");
}

#[test]
fn filters_and_bit_maps_survive_the_broker() {
    let home = tempfile::tempdir().unwrap();
    let conf = "enablePropertyFilter=true\nenableConsumeQueueExt=true\nenableCalcFilterBitMap=true\n\
                mappedFileSizeConsumeQueueExt=4096";
    let broker = Running::start(home.path(), 23_821, conf);
    let mut wire = broker.connect();
    wire.create_topic("T", 1);
    let put = |wire: &mut Wire, from: i32, to: i32| {
        for a in from..to {
            assert_eq!(wire.request(send("T", &format!("a\u{1}{a}\u{2}"), b"x")).code, 0);
        }
    };
    put(&mut wire, 0, 5);
    heartbeat(&mut wire, "G", "T", "a >= 3 AND a < 8", 7);
    std::thread::sleep(std::time::Duration::from_millis(20));
    put(&mut wire, 5, 10);
    let expected = (0, vec![3, 4, 5, 6, 7]);
    assert_eq!(pulled(&mut wire, "G", "T", 0, 7), expected);
    assert_eq!(pulled(&mut wire, "G", "T", 0, 8).0, 25, "the client is ahead");
    drop(wire);
    assert_eq!(broker.signal("-TERM"), Some(143));
    let maps: Vec<u32> = extensions(home.path(), "T", 0)
        .iter()
        .map(|(_, map)| map.iter().map(|byte| byte.count_ones()).sum())
        .collect();
    assert_eq!(maps.len(), 10);
    assert!(maps[..5].iter().all(|bits| *bits == 0), "{maps:?}");
    assert!(maps[5..8].iter().all(|bits| (1..=3).contains(bits)) && maps[8..] == [0, 0], "{maps:?}");

    // A cleared bit map says that nobody wants the message; that it is believed shows that it is read.
    let file = home.path().join("store/consumequeue_ext/T/0/00000000000000000000");
    let mut bytes = std::fs::read(&file).unwrap();
    let fifth = 5 * 20;
    assert_eq!(bytes[fifth..fifth + 2], 34i16.to_be_bytes());
    bytes[fifth + 20..fifth + 34].fill(0);
    std::fs::write(&file, bytes).unwrap();
    let broker = Running::start(home.path(), 23_821, conf);
    let mut wire = broker.connect();
    assert_eq!(pulled(&mut wire, "G", "T", 0, 7).0, 24, "nobody of the group is there");
    heartbeat(&mut wire, "G", "T", "a >= 3 AND a < 8", 7);
    assert_eq!(pulled(&mut wire, "G", "T", 0, 7), (0, vec![3, 4, 6, 7]));
    heartbeat(&mut wire, "G", "T", "a >= 3", 8);
    assert_eq!(pulled(&mut wire, "G", "T", 0, 8).1.len(), 7, "the bit maps are older than this expression");
    put(&mut wire, 10, 12);
    assert_eq!(pulled(&mut wire, "G", "T", 0, 8), (0, vec![3, 4, 5, 6, 7, 8, 9, 10, 11]));
}

#[test]
fn impossible_parameters_keep_the_broker_from_starting() {
    for line in
        ["maxErrorRateOfBloomFilter=0", "maxErrorRateOfBloomFilter=100", "expectConsumerNumUseFilter=0"]
    {
        let home = tempfile::tempdir().unwrap();
        let conf = support::conf(home.path(), 23_831, line);
        let output = support::run(support::mqbroker(home.path()).arg("-c").arg(conf));
        assert_eq!(output.status.code(), Some(255), "{line}");
        let said = support::text(&output.stderr) + &support::text(&output.stdout);
        assert!(said.contains("must be greater"), "{line}: {said}");
    }
}
