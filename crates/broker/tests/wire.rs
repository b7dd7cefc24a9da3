//! What a broker promises on the wire beyond what a well-behaved client looks at.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use raptormq_base::properties;
use raptormq_wire::header::{
    DeleteTopicRequestHeader, GetConsumeStatsRequestHeader, GetMaxOffsetRequestHeader,
    QueryConsumerOffsetRequestHeader, UnregisterClientRequestHeader, UpdateConsumerOffsetRequestHeader,
};
use raptormq_wire::{RemotingCommand, RequestCode, ResponseCode, frame, json};
use serde_json::{Value, json};
use support::{COMMIT, Running, SUSPEND, Wire, field, pull, pull_header, records, send, text, topic_header};

fn code(code: ResponseCode) -> i32 {
    code.into()
}

fn max_offset(wire: &mut Wire, topic: &str) -> i64 {
    let header = GetMaxOffsetRequestHeader { topic: topic.into(), ..Default::default() };
    field(&wire.call(RequestCode::GET_MAX_OFFSET, &header, Bytes::new()), "offset")
}

fn committed(wire: &mut Wire, group: &str, topic: &str) -> Option<i64> {
    let header = QueryConsumerOffsetRequestHeader {
        consumer_group: group.into(),
        topic: topic.into(),
        set_zero_if_not_found: Some(false),
        ..Default::default()
    };
    let answer = wire.call(RequestCode::QUERY_CONSUMER_OFFSET, &header, Bytes::new());
    (answer.code == 0).then(|| field(&answer, "offset"))
}

#[test]
fn a_synchronous_flush_is_done_before_its_answer_and_awaited_only_on_demand() {
    let home = tempfile::tempdir().unwrap();
    let lazy = "flushIntervalCommitLog=60000\nflushCommitLogThoroughInterval=60000";
    let running = Running::start(home.path(), 24_740, lazy);
    let mut wire = running.connect();
    assert_eq!(wire.request(send("T", "", b"x")).code, 0);
    assert_ne!(wire.runtime_info("remainHowManyDataToFlush"), "0 B", "the measure tells what is not on disk");
    assert_eq!(running.signal("-TERM"), Some(143));

    let running = Running::start(home.path(), 24_740, "flushDiskType=SYNC_FLUSH");
    let mut wire = running.connect();
    for n in 0..30 {
        assert_eq!(wire.request(send("T", "", &[7; 3000])).code, 0);
        assert_eq!(wire.runtime_info("remainHowManyDataToFlush"), "0 B", "send {n}");
    }
    // Both arrive at once; the one that does not wait overtakes the one that does.
    for n in 0..10 {
        let mut both = BytesMut::new();
        for (opaque, properties) in [(1001, "WAIT\u{1}true\u{2}"), (1002, "WAIT\u{1}false\u{2}")] {
            let mut request = send("T", properties, &[7; 300]);
            request.opaque = opaque;
            both.extend_from_slice(&frame::encode(&request));
        }
        wire.stream.write_all(&both).unwrap();
        let order = [wire.answer(), wire.answer()].map(|answer| (answer.opaque, answer.code));
        assert_eq!(order, [(1002, 0), (1001, 0)], "round {n}");
    }
}

#[test]
fn a_oneway_send_is_stored_and_not_answered() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_743, "flushDiskType=SYNC_FLUSH");
    let mut wire = running.connect();
    for topic in ["OnewayNew", "OnewayNew", "OnewayNew"] {
        let mut request = send(topic, "", b"x");
        request.set_oneway();
        wire.post(request);
    }
    let begin = Instant::now();
    while max_offset(&mut wire, "OnewayNew") < 1 || begin.elapsed() < Duration::from_millis(200) {
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
    let stored: i64 = (0..4)
        .map(|queue_id| {
            let header =
                GetMaxOffsetRequestHeader { topic: "OnewayNew".into(), queue_id, ..Default::default() };
            field(&wire.call(RequestCode::GET_MAX_OFFSET, &header, Bytes::new()), "offset")
        })
        .sum();
    assert_eq!(stored, 3);
    assert!(wire.next(Duration::from_millis(100)).is_none());
}

fn update(wire: &mut Wire, body: &str) -> i32 {
    wire.plain(RequestCode::UPDATE_BROKER_CONFIG, body.to_owned().into_bytes()).code
}

fn config(wire: &mut Wire) -> String {
    text(&wire.plain(RequestCode::GET_BROKER_CONFIG, Bytes::new()).body.to_bytes())
}

#[test]
fn paths_and_commands_cannot_be_set_over_the_wire() {
    let home = tempfile::tempdir().unwrap();
    let running =
        Running::start(home.path(), 24_746, "configBlackList=configBlackList;brokerConfigPath;traceOn");
    let mut wire = running.connect();
    let file = home.path().join("broker-24746.conf");
    let before = (config(&mut wire), std::fs::read(&file).unwrap());
    for body in [
        "rocketmqHome=/evil",
        "rocketmqHome:/evil",
        "  rocketmqHome /evil",
        "rocketmq\\u0048ome=/evil",
        "rocketmq\\\n  Home=/evil",
        "brokerName=x\nrocketmqHome=-c $@|sh . touch /tmp/evil;",
        "filterServerNums=1\nrocketmqHome=-c $@|sh . touch /tmp/evil;",
        "brokerName=x\r\nbrokerConfigPath=/evil",
        "configBlackList=",
        "storePathRootDir=/evil",
        "storePathCommitLog=/evil",
        "storePathEpochFile=/evil",
        "storePathBrokerIdentity=/evil",
        "storePathDLedgerCommitLog=/evil",
        "readOnlyCommitLogStorePaths=/evil",
        "authConfigPath=/evil",
        "messageStorePlugIn=evil.Evil",
        "traceOn=false",
    ] {
        let answer = wire.plain(RequestCode::UPDATE_BROKER_CONFIG, body.as_bytes().to_vec());
        assert_eq!(answer.code, code(ResponseCode::NO_PERMISSION), "{body}");
        assert_eq!(answer.remark.as_deref(), Some("Can not update config in black list."));
        assert_eq!(before, (config(&mut wire), std::fs::read(&file).unwrap()), "{body} changed nothing");
    }
    // What does not exist here is ignored, as Java ignores it: also the keys of the name server and of old brokers.
    assert_eq!(update(&mut wire, "filterServerNums=1\nconfigStorePath=/evil\nkvConfigPath=/evil"), 0);
    assert_eq!(before.0, config(&mut wire));

    // A line break inside a value stays inside that value: in the file, and after the next start.
    assert_eq!(
        update(&mut wire, "regionId=x\\nrocketmqHome=/evil\\nstorePathRootDir\\=/evil\\u000aaclEnable=true"),
        0
    );
    let written = properties::parse(&std::fs::read(&file).unwrap());
    let value = |key: &str| written.iter().find(|e| e.key == key).map(|e| e.value.clone());
    assert_eq!(
        value("regionId").as_deref(),
        Some("x\nrocketmqHome=/evil\nstorePathRootDir=/evil\naclEnable=true")
    );
    assert_eq!(value("rocketmqHome"), Some(home.path().display().to_string()));
    assert_eq!(value("aclEnable").as_deref(), Some("false"));
    assert_eq!(running.signal("-TERM"), Some(143));
    let mut command = support::mqbroker(home.path());
    let running = Running::spawn(command.arg("-c").arg(&file), 24_746);
    assert_eq!(running.connect().request(send("T", "", b"x")).code, 0);
}

#[test]
fn updates_are_shown_kept_and_effective() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_749, "");
    let mut wire = running.connect();
    assert_eq!(wire.request(send("Before", "", b"x")).code, 0);
    assert_eq!(
        update(&mut wire, "autoCreateTopicEnable=false\nmaxMessageSize=no number\nbrokerIP1=10.1.2.3"),
        0
    );
    let shown = config(&mut wire);
    for line in ["autoCreateTopicEnable=false", "maxMessageSize=4194304", "brokerIP1=10.1.2.3"] {
        assert!(shown.lines().any(|l| l == line), "{line}");
    }
    assert_eq!(wire.request(send("After", "", b"x")).code, code(ResponseCode::TOPIC_NOT_EXIST));
    assert_eq!(wire.request(send("Before", "", b"x")).code, 0);

    // Changes from several sides at once: whenever all are answered, the file is as the memory is.
    let keys = ["regionId", "msgTraceTopicName", "brokerName"];
    let (rounds, port) = (60, running.port);
    let barrier = Arc::new(Barrier::new(keys.len() + 1));
    let threads = keys.map(|key| {
        let barrier = barrier.clone();
        std::thread::spawn(move || {
            let mut wire = Wire::connect(port);
            for round in 0..rounds {
                barrier.wait();
                assert_eq!(update(&mut wire, &format!("{key}=r{round}")), 0);
                barrier.wait();
            }
        })
    });
    for round in 0..rounds {
        barrier.wait();
        barrier.wait();
        let written = properties::parse(&std::fs::read(home.path().join("broker-24749.conf")).unwrap());
        for key in keys {
            let value = written.iter().find(|e| e.key == key).map(|e| e.value.as_str());
            assert_eq!(value, Some(format!("r{round}").as_str()), "{key}");
        }
    }
    threads.into_iter().for_each(|t| t.join().unwrap());
}

/// Answers every request with success and hands the bodies of registrations to the test, null for what else there is.
fn name_server(port: u16) -> mpsc::Receiver<Value> {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, sender) = (stream.unwrap(), sender.clone());
            std::thread::spawn(move || {
                let mut input = BytesMut::new();
                let mut chunk = [0; 64 * 1024];
                while let Ok(n) = stream.read(&mut chunk) {
                    if n == 0 {
                        return;
                    }
                    input.extend_from_slice(&chunk[..n]);
                    while let Some(bytes) = frame::split(&mut input, 16 << 20).unwrap() {
                        let request = frame::decode(bytes).unwrap();
                        if request.code == RequestCode::UNREGISTER_BROKER.0 {
                            std::thread::sleep(Duration::from_millis(300));
                        }
                        let mut answer = RemotingCommand::response(ResponseCode::SUCCESS, None);
                        answer.opaque = request.opaque;
                        answer.set_response();
                        stream.write_all(&frame::encode(&answer)).unwrap();
                        let body = request.body.to_bytes();
                        let _ = sender.send(match RequestCode(request.code) {
                            RequestCode::REGISTER_BROKER => json::from_slice(&body).unwrap(),
                            _ => Value::Null,
                        });
                    }
                }
            });
        }
    });
    receiver
}

#[test]
fn a_broker_without_write_permission_says_so_to_name_servers_and_to_ordered_producers() {
    let home = tempfile::tempdir().unwrap();
    let registrations = name_server(24_754);
    let running = Running::start(home.path(), 24_752, "namesrvAddr=127.0.0.1:24754");
    let mut wire = running.connect();
    let ordered =
        raptormq_wire::header::CreateTopicRequestHeader { order: true, ..topic_header("Ordered", 2) };
    assert_eq!(wire.call(RequestCode::UPDATE_AND_CREATE_TOPIC, &ordered, Bytes::new()).code, 0);
    wire.create_topic("Free", 2);
    let write_only =
        raptormq_wire::header::CreateTopicRequestHeader { perm: 2, ..topic_header("WriteOnly", 2) };
    assert_eq!(wire.call(RequestCode::UPDATE_AND_CREATE_TOPIC, &write_only, Bytes::new()).code, 0);
    let perm = |registration: &Value, topic: &str| {
        registration["topicConfigSerializeWrapper"]["topicConfigTable"][topic]["perm"].as_i64()
    };
    let counter = |registration: &Value| {
        registration["topicConfigSerializeWrapper"]["dataVersion"]["counter"].as_i64().unwrap()
    };
    let last = std::iter::from_fn(|| registrations.try_recv().ok()).last().unwrap();
    assert_eq!(perm(&last, "WriteOnly"), Some(2));
    assert_eq!(wire.request(send("Ordered", "", b"x")).code, 0);

    assert_eq!(update(&mut wire, "brokerPermission=4"), 0);
    let restricted = registrations.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(counter(&restricted) > counter(&last), "name servers take a table only under a new version");
    for (topic, expected) in [("Ordered", 4), ("Free", 4), ("WriteOnly", 0), ("TBW102", 4)] {
        assert_eq!(perm(&restricted, topic), Some(expected), "{topic}");
    }
    let refused = wire.request(send("Ordered", "", b"x"));
    assert_eq!(refused.code, code(ResponseCode::NO_PERMISSION));
    assert_eq!(refused.remark.as_deref(), Some("the broker[127.0.0.1] sending message is forbidden"));
    assert_eq!(wire.request(send("Free", "", b"x")).code, 0, "Java takes what is not ordered");
    assert_eq!(update(&mut wire, "brokerPermission=6"), 0);
    assert_eq!(perm(&registrations.recv_timeout(Duration::from_secs(5)).unwrap(), "Free"), Some(6));
    assert_eq!(wire.request(send("Ordered", "", b"x")).code, 0);
}

#[test]
fn nothing_is_registered_after_the_unregistration() {
    let home = tempfile::tempdir().unwrap();
    let registrations = name_server(24_789);
    let running = Running::start(home.path(), 24_787, "namesrvAddr=127.0.0.1:24789");
    let mut wire = running.connect();
    // Each of many first sends registers its topic before it is answered, so that a stop meets some of them.
    let creating = std::thread::spawn(move || {
        for n in 0.. {
            let request = frame::encode(&send(&format!("New{n}"), "", b"x"));
            if wire.stream.write_all(&request).is_err() {
                return;
            }
        }
    });
    let next = || registrations.recv_timeout(Duration::from_secs(10)).unwrap();
    let before: Vec<Value> = (0..4).map(|_| next()).collect();
    assert_eq!(running.signal("-TERM"), Some(143));
    creating.join().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let all: Vec<bool> =
        before.into_iter().chain(registrations.try_iter()).map(|body| body.is_null()).collect();
    assert!(all.len() > 3, "{all:?}");
    assert_eq!(all.iter().position(|unregistered| *unregistered), Some(all.len() - 1), "{all:?}");
}

/// Every path below `root`.
fn tree(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            found.insert(path.display().to_string());
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

#[test]
fn names_that_are_paths_touch_no_file() {
    let outer = tempfile::tempdir().unwrap();
    let home = outer.path().join("home");
    std::fs::create_dir_all(home.join("victim/0")).unwrap();
    std::fs::write(home.join("victim/0/00000000000000000000"), "precious").unwrap();
    let running = Running::start(&home, 24_757, "");
    let mut wire = running.connect();
    assert_eq!(wire.request(send("Legal", "", b"x")).code, 0);
    let before = tree(outer.path());
    let long = "evil".repeat(75);
    let names = [
        "../evil",
        "../../victim",
        "..",
        ".",
        "a/evil",
        "/tmp/evil",
        "%RETRY%../../evil",
        "%DLQ%../evil",
        "evil\0x",
        "evil\nx",
        long.as_str(),
        &format!("%RETRY%{long}"),
        "évil",
        "",
    ];
    let numbers = [
        "queueId",
        "queueOffset",
        "commitOffset",
        "offset",
        "sysFlag",
        "flag",
        "bornTimestamp",
        "timestamp",
        "defaultTopicQueueNums",
        "readQueueNums",
        "writeQueueNums",
        "maxMsgNums",
        "suspendTimeoutMillis",
        "subVersion",
        "maxNum",
        "beginTimestamp",
        "endTimestamp",
        "delayLevel",
        "d",
        "e",
        "f",
        "g",
        "h",
        "j",
    ];
    let texts = [
        "topic",
        "defaultTopic",
        "producerGroup",
        "consumerGroup",
        "group",
        "groupName",
        "originTopic",
        "lmq",
        "clientID",
        "clientId",
        "key",
        "filterGroup",
        "sourceGroup",
        "destGroup",
        "srcGroup",
        "topicList",
        "a",
        "b",
        "c",
        "n",
    ];
    let legal = ["topic", "b"];
    for name in names {
        // Once with every name evil, once with a legal topic, so that the group is what is looked at.
        for keep_topic in [false, true] {
            let groups = json!({
                "groupName": name, "consumerGroup": name, "clientID": "c", "clientId": "c",
                "topicConfigList": [{"topicName": name, "readQueueNums": 1, "writeQueueNums": 1, "perm": 6}],
                "mqSet": [{"topic": name, "brokerName": name, "queueId": 0}],
                "consumerDataSet": [{"groupName": name, "consumeType": "CONSUME_PASSIVELY",
                    "messageModel": "CLUSTERING", "subscriptionDataSet": [{"topic": name, "subString": "*"}]}],
                "producerDataSet": [{"groupName": name}],
            });
            for request_code in 10..=400 {
                let mut request = RemotingCommand::request(RequestCode(request_code))
                    .with_body(groups.to_string().into_bytes());
                numbers.iter().for_each(|key| request.ext.insert(key, "0"));
                texts.iter().for_each(|key| request.ext.insert(key, name));
                if keep_topic {
                    legal.iter().for_each(|key| request.ext.insert(key, "Legal"));
                }
                for (key, value) in [
                    ("perm", "6"),
                    ("topicFilterType", "SINGLE_TAG"),
                    ("order", "false"),
                    ("cleanOffset", "true"),
                    ("defaultTopic", "TBW102"),
                    ("c", "TBW102"),
                    ("defaultTopicQueueNums", "4"),
                    ("d", "4"),
                    ("readQueueNums", "1"),
                    ("writeQueueNums", "1"),
                ] {
                    request.ext.insert(key, value);
                }
                let answer = wire.request(request);
                assert!(
                    answer.code != 1 || answer.remark.is_some_and(|r| !r.contains("the handler")),
                    "{request_code}"
                );
            }
        }
    }
    assert_eq!(std::fs::read_to_string(home.join("victim/0/00000000000000000000")).unwrap(), "precious");
    assert_eq!(running.signal("-TERM"), Some(143));
    let config = home.join("store/config").display().to_string();
    let store = home.join("store").display().to_string();
    let outside = |paths: &BTreeSet<String>| -> BTreeSet<String> {
        let ours = |p: &&String| !p.starts_with(&store) && !p.ends_with(".conf.bak");
        paths.iter().filter(ours).cloned().collect()
    };
    let after = tree(outer.path());
    assert_eq!(outside(&before), outside(&after));
    for path in &after {
        let name = path.strip_prefix(&store).unwrap_or_default();
        assert!(!name.contains("evil") && !name.contains("victim"), "{path}");
    }
    for table in ["topics.json", "subscriptionGroup.json", "consumerOffset.json"] {
        let text = std::fs::read_to_string(Path::new(&config).join(table)).unwrap();
        for evil in ["evil", "victim", "..", "évil"] {
            assert!(!text.contains(evil), "{table} has {evil}: {text}");
        }
    }
}

#[test]
fn garbage_costs_neither_memory_nor_descriptors() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_760, "");
    let mut wire = running.connect();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut garbage = |count: usize| {
        for n in 0..count {
            let mut stream = TcpStream::connect(("127.0.0.1", running.port)).unwrap();
            let mut bytes: Vec<u8> = (0..16).flat_map(|_| random().to_be_bytes()).collect();
            match n % 4 {
                // A frame that is announced and never comes.
                0 => bytes[..4].copy_from_slice(&0x00ff_ff00_u32.to_be_bytes()),
                // A frame with a header that is no JSON.
                1 => {
                    bytes[..4].copy_from_slice(&100_u32.to_be_bytes());
                    bytes[4..8].copy_from_slice(&60_u32.to_be_bytes());
                }
                // A frame in the binary form whose fields run over its end.
                2 => {
                    bytes[..4].copy_from_slice(&100_u32.to_be_bytes());
                    bytes[4..8].copy_from_slice(&0x0100_0020_u32.to_be_bytes());
                }
                _ => {}
            }
            let _ = stream.write_all(&bytes);
            if n % 2 == 0 {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    };
    // Frames that are whole and mean nothing; heartbeats and locks of ever new groups that nobody can have.
    let frames = |wire: &mut Wire, from: usize, count: usize| {
        for n in from..from + count {
            let body = json!({"clientID": "c", "clientId": "c", "consumerGroup": format!("no/group{n}"), "mqSet": [],
                "heartbeatFingerprint": n, "consumerDataSet": [{"groupName": format!("no/group{n}")}]});
            let code = [RequestCode(77_777), RequestCode::HEART_BEAT, RequestCode::LOCK_BATCH_MQ][n % 3];
            wire.post(RemotingCommand::request(code).with_body(body.to_string().into_bytes()));
            wire.answer();
        }
    };
    // What the allocator keeps for the most connections there were at a time comes in the first rounds.
    let (mut memory, mut descriptors) = (Vec::new(), usize::MAX);
    for round in 0..6 {
        garbage(1000);
        frames(&mut wire, round * 1500, 1500);
        // A round has ended when its connections are closed on the other side, too.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(10)
            && (round == 0 && begin.elapsed() < Duration::from_secs(1) || running.descriptors() > descriptors)
        {
            std::thread::sleep(Duration::from_millis(50));
        }
        let open = running.descriptors();
        assert!(open <= descriptors, "{open} descriptors after round {round}, {descriptors} before");
        if round == 0 {
            descriptors = open;
        }
        memory.push(running.resident());
    }
    let grown = memory[5].saturating_sub(memory[2]);
    assert!(grown < 2048, "{grown} KiB in the last three of six rounds: {memory:?}");
    assert_eq!(running.connect().request(send("T", "", b"x")).code, 0);
}

fn heartbeat(client: &str, group: &str, topics: &[&str], fingerprint: i32, without: bool) -> RemotingCommand {
    let subscriptions: Vec<Value> = topics
        .iter()
        .map(|topic| json!({"topic": topic, "subString": "*", "subVersion": 1, "expressionType": "TAG"}))
        .collect();
    let body = json!({
        "clientID": client,
        "heartbeatFingerprint": fingerprint,
        "withoutSub": without,
        "producerDataSet": [],
        "consumerDataSet": [{
            "groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
            "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "unitMode": false,
            "subscriptionDataSet": if without { vec![] } else { subscriptions },
        }],
    });
    RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body.to_string().into_bytes())
}

#[test]
fn heartbeats_of_both_versions_are_told_what_they_need() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_763, "");
    let (mut a, mut b) = (running.connect(), running.connect());
    let told = |wire: &mut Wire, request: RemotingCommand| {
        let answer = wire.request(request);
        assert_eq!((answer.code, answer.ext.get("IS_SUPPORT_HEART_BEAT_V2")), (0, Some("true")));
        answer.ext.get("IS_SUB_CHANGE").map(str::to_owned).unwrap()
    };
    assert_eq!(told(&mut a, heartbeat("a", "G", &["T"], 0, false)), "true", "version 1");
    assert_eq!(told(&mut a, heartbeat("a", "V2", &["T"], 5, false)), "false");
    assert_eq!(told(&mut a, heartbeat("a", "V2", &["T"], 5, true)), "false");
    // The subscriptions of the first heartbeat are still there.
    a.create_topic("T", 1);
    let plain = raptormq_wire::header::PullMessageRequestHeader {
        sys_flag: 0,
        subscription: None,
        ..pull_header("V2", "T", 0)
    };
    assert_eq!(a.request(pull(&plain)).code, code(ResponseCode::PULL_NOT_FOUND));
    assert_eq!(told(&mut b, heartbeat("b", "V2", &["T", "U"], 6, false)), "true", "another member differs");
    assert_eq!(told(&mut b, heartbeat("b", "V2", &["T", "U"], 6, true)), "false");
    assert_eq!(told(&mut a, heartbeat("a", "V2", &["T"], 5, true)), "true");
    // After a reconnect the broker has forgotten them, and says so.
    assert_eq!(told(&mut a, heartbeat("a", "Gone", &["T"], 5, false)), "false");
    drop(a);
    let begin = Instant::now();
    let list = raptormq_wire::header::GetConsumerListByGroupRequestHeader {
        consumer_group: "Gone".into(),
        ..Default::default()
    };
    while b.call(RequestCode::GET_CONSUMER_LIST_BY_GROUP, &list, Bytes::new()).code == 0 {
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(told(&mut running.connect(), heartbeat("a", "Gone", &["T"], 5, true)), "true");
}

#[test]
fn members_are_told_of_each_join_leave_and_disconnect() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_766, "");
    let mut a = running.connect();
    let notified = |wire: &mut Wire, what: &str| {
        let request = wire.asked(Duration::from_secs(5)).unwrap_or_else(|| panic!("not told: {what}"));
        assert_eq!(request.code, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0);
        assert!(request.is_oneway());
        assert_eq!(request.ext.get("consumerGroup"), Some("G"));
    };
    assert_eq!(a.request(heartbeat("a", "G", &["T"], 0, false)).code, 0);
    notified(&mut a, "itself");
    let mut b = running.connect();
    assert_eq!(b.request(heartbeat("b", "G", &["T"], 0, false)).code, 0);
    notified(&mut a, "join");
    notified(&mut b, "its own join");
    let leave = UnregisterClientRequestHeader {
        client_id: "b".into(),
        consumer_group: Some("G".into()),
        ..Default::default()
    };
    assert_eq!(b.call(RequestCode::UNREGISTER_CLIENT, &leave, Bytes::new()).code, 0);
    notified(&mut a, "leave");
    assert_eq!(b.request(heartbeat("b", "G", &["T"], 0, false)).code, 0);
    notified(&mut a, "join again");
    drop(b);
    notified(&mut a, "disconnect");
    assert_eq!(a.request(heartbeat("a", "G", &["T"], 0, false)).code, 0);
    assert!(a.asked(Duration::from_millis(200)).is_none(), "nothing changed");
    assert_eq!(a.request(heartbeat("a", "G", &["T", "U"], 0, false)).code, 0);
    notified(&mut a, "another topic");
}

#[test]
fn a_pull_commits_only_with_its_flag_and_offsets_survive_a_stop() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_769, "");
    let mut wire = running.connect();
    wire.create_topic("T", 1);
    assert_eq!(wire.request(send("T", "", b"x")).code, 0);
    let mut header = pull_header("G", "T", 0);
    header.commit_offset = 7;
    assert_eq!(wire.request(pull(&header)).code, 0);
    assert_eq!(committed(&mut wire, "G", "T"), None);
    header.sys_flag |= COMMIT;
    assert_eq!(wire.request(pull(&header)).code, 0);
    assert_eq!(committed(&mut wire, "G", "T"), Some(7));
    // A pull that will be held commits before it is.
    header = pull_header("G", "T", 1);
    header.commit_offset = 1;
    header.sys_flag |= COMMIT | SUSPEND;
    header.suspend_timeout_millis = 10_000;
    let mut commits = |offset| {
        let begin = Instant::now();
        while committed(&mut wire, "G", "T") != Some(offset) {
            assert!(begin.elapsed() < Duration::from_secs(5));
        }
    };
    running.connect().post(pull(&header));
    commits(1);
    // The second has committed before the update, too, or it would undo it.
    header.commit_offset = 2;
    let mut holder = running.connect();
    holder.post(pull(&header));
    commits(2);
    let update = UpdateConsumerOffsetRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        commit_offset: 42,
        ..Default::default()
    };
    assert_eq!(wire.call(RequestCode::UPDATE_CONSUMER_OFFSET, &update, Bytes::new()).code, 0);
    for queue_id in [-1, 1, i32::MAX] {
        let nowhere = UpdateConsumerOffsetRequestHeader { queue_id, ..update.clone() };
        let answer = wire.call(RequestCode::UPDATE_CONSUMER_OFFSET, &nowhere, Bytes::new());
        assert_eq!(answer.code, code(ResponseCode::INVALID_PARAMETER), "queue {queue_id} does not exist");
    }
    assert_eq!(running.signal("-TERM"), Some(143));
    let running = Running::start(home.path(), 24_769, "");
    assert_eq!(committed(&mut running.connect(), "G", "T"), Some(42));
}

#[test]
fn offsets_outside_a_queue_are_corrected_and_answers_have_bounds() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_772, "");
    let mut wire = running.connect();
    wire.create_topic("T", 1);
    for _ in 0..40 {
        assert_eq!(wire.request(send("T", "", b"small")).code, 0);
    }
    for (offset, expected, next) in [
        (-1, ResponseCode::PULL_OFFSET_MOVED, 0),
        (i64::MIN, ResponseCode::PULL_OFFSET_MOVED, 0),
        (41, ResponseCode::PULL_OFFSET_MOVED, 40),
        (i64::MAX, ResponseCode::PULL_OFFSET_MOVED, 40),
        (40, ResponseCode::PULL_NOT_FOUND, 40),
    ] {
        let answer = wire.request(pull(&pull_header("G", "T", offset)));
        assert_eq!(answer.code, code(expected), "{offset}");
        let bounds = ["nextBeginOffset", "minOffset", "maxOffset"].map(|name| field(&answer, name));
        assert_eq!(bounds, [next, 0, 40], "{offset}");
    }
    let mut header = pull_header("G", "T", 0);
    for (asked, given) in [(1, 1), (32, 32), (1000, 32), (i32::MAX, 32)] {
        header.max_msg_nums = asked;
        let answer = wire.request(pull(&header));
        assert_eq!(
            (records(&answer).len(), field(&answer, "nextBeginOffset")),
            (given, given as i64),
            "{asked}"
        );
    }
    wire.create_topic("Large", 1);
    for _ in 0..4 {
        assert_eq!(wire.request(send("Large", "", &[1; 100 * 1024])).code, 0);
    }
    assert_eq!(wire.request(send("Large", "", &[1; 300 * 1024])).code, 0);
    let answer = wire.request(pull(&pull_header("G", "Large", 0)));
    assert_eq!(records(&answer).len(), 2, "256 KiB at most");
    let answer = wire.request(pull(&pull_header("G", "Large", 4)));
    assert_eq!(records(&answer).len(), 1, "but always one message");
}

#[test]
fn held_pulls_hold_up_nobody_and_see_each_message_and_deletion() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_775, "pullThreadPoolQueueCapacity=2");
    let (mut holder, mut sender) = (running.connect(), running.connect());
    sender.create_topic("T", 8);
    let mut header = pull_header("G", "T", 0);
    header.sys_flag |= SUSPEND;
    header.suspend_timeout_millis = 20_000;
    for queue_id in 1..8 {
        header.queue_id = queue_id;
        holder.post(pull(&header));
    }
    assert_eq!(
        sender.request(pull(&pull_header("G", "T", 0))).code,
        code(ResponseCode::PULL_NOT_FOUND),
        "not busy"
    );
    assert!(holder.next(Duration::from_millis(50)).is_none());
    // Messages that come at any moment of a pull on its way to being held.
    header.queue_id = 0;
    let mut puller = running.connect();
    for n in 0..200 {
        header.queue_offset = n;
        puller.post(pull(&header));
        if n % 3 == 0 {
            std::thread::sleep(Duration::from_micros(50 * u64::try_from(n).unwrap()));
        }
        let begin = Instant::now();
        assert_eq!(sender.request(send("T", "", b"x")).code, 0);
        let answer = puller.answer();
        assert_eq!((answer.code, records(&answer).len()), (0, 1));
        assert!(begin.elapsed() < Duration::from_secs(2), "found by chance, not by the message");
    }
    let delete = DeleteTopicRequestHeader { topic: "T".into(), ..Default::default() };
    assert_eq!(sender.call(RequestCode::DELETE_TOPIC_IN_BROKER, &delete, Bytes::new()).code, 0);
    for _ in 1..8 {
        assert_eq!(holder.answer().code, code(ResponseCode::TOPIC_NOT_EXIST));
    }
}

#[test]
fn a_topic_may_be_deleted_while_it_is_sent_to() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_778, "");
    let port = running.port;
    let senders: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(move || {
                let mut wire = Wire::connect(port);
                for _ in 0..300 {
                    let answer = wire.request(send("Churn", "", b"x"));
                    assert_eq!(answer.code, 0, "{:?}", answer.remark);
                }
            })
        })
        .collect();
    let mut wire = running.connect();
    let delete = DeleteTopicRequestHeader { topic: "Churn".into(), ..Default::default() };
    for _ in 0..30 {
        assert_eq!(wire.call(RequestCode::DELETE_TOPIC_IN_BROKER, &delete, Bytes::new()).code, 0);
        std::thread::sleep(Duration::from_millis(3));
    }
    senders.into_iter().for_each(|s| s.join().unwrap());
    // What was sent after the last deletion is there without a gap, now and after a restart.
    let queue = |wire: &mut Wire| {
        let max = max_offset(wire, "Churn");
        let mut found = 0;
        while found < max {
            let answer = wire.request(pull(&pull_header("G", "Churn", found)));
            assert_eq!(answer.code, 0);
            found += i64::try_from(records(&answer).len()).unwrap();
            assert_eq!(field(&answer, "nextBeginOffset"), found);
        }
        max
    };
    assert_eq!(wire.request(send("Churn", "", b"last")).code, 0);
    let before = queue(&mut wire);
    assert!(before > 0);
    assert_eq!(running.signal("-TERM"), Some(143));
    let running = Running::start(home.path(), 24_778, "");
    assert_eq!(queue(&mut running.connect()), before);
}

#[test]
fn consume_stats_leave_out_what_the_group_does_not_subscribe_to() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_781, "");
    let mut wire = running.connect();
    for topic in ["T", "Old"] {
        wire.create_topic(topic, 1);
        let update = UpdateConsumerOffsetRequestHeader {
            consumer_group: "G".into(),
            topic: topic.into(),
            commit_offset: 1,
            ..Default::default()
        };
        let _ = wire.request(pull(&raptormq_wire::header::PullMessageRequestHeader {
            sys_flag: 0,
            ..pull_header("G", topic, 0)
        }));
        assert_eq!(wire.call(RequestCode::UPDATE_CONSUMER_OFFSET, &update, Bytes::new()).code, 0);
    }
    let topics = |wire: &mut Wire, topic: Option<&str>, list: Option<&str>| -> BTreeSet<&'static str> {
        let header = GetConsumeStatsRequestHeader {
            consumer_group: "G".into(),
            topic: topic.map(str::to_owned),
            topic_list: list.map(str::to_owned),
            ..Default::default()
        };
        let answer = wire.call(RequestCode::GET_CONSUME_STATS, &header, Bytes::new());
        let body = text(&answer.body.to_bytes());
        ["T", "Old"].into_iter().filter(|t| body.contains(&format!("\"topic\":\"{t}\""))).collect()
    };
    assert_eq!(topics(&mut wire, None, None), BTreeSet::from(["Old", "T"]), "nobody is online");
    assert_eq!(wire.request(heartbeat("a", "G", &["T"], 0, false)).code, 0);
    assert_eq!(topics(&mut wire, None, None), BTreeSet::from(["T"]));
    assert_eq!(topics(&mut wire, Some("Old"), None), BTreeSet::new());
    assert_eq!(topics(&mut wire, None, Some("Old;")), BTreeSet::from(["Old"]));
    assert_ne!(wire.request(pull(&pull_header("G", "Old", 0))).code, code(ResponseCode::SYSTEM_ERROR));
    assert_eq!(topics(&mut wire, None, None), BTreeSet::from(["Old", "T"]), "a pull carried a subscription");
}

#[test]
fn attributes_of_topics_and_groups_are_changed_and_otherwise_kept() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_784, "");
    let mut wire = running.connect();
    let group = |wire: &mut Wire, attributes: Value| {
        let body = json!({"groupName": "G", "retryMaxTimes": 3, "attributes": attributes});
        let answer =
            wire.plain(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, body.to_string().into_bytes());
        let table = wire.plain(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, Bytes::new());
        let table: Value = json::from_slice(&table.body.to_bytes()).unwrap();
        (answer.code, table["subscriptionGroupTable"]["G"]["attributes"].clone())
    };
    let five = json!({"priority.factor": "5"});
    assert_eq!(group(&mut wire, json!({"+priority.factor": "5"})), (0, five.clone()));
    assert_eq!(group(&mut wire, json!({})), (0, five.clone()), "an update that names none leaves them");
    for bad in [json!({"+no.such": "1"}), json!({"-lite.sub.model": ""}), json!({"priority.factor": "6"})] {
        assert_eq!(group(&mut wire, bad), (1, five.clone()));
    }
    assert_eq!(group(&mut wire, json!({"-priority.factor": ""})), (0, json!({})));

    // Each of several administrators changes one thing at the same time; nobody's change is lost.
    let barrier = Arc::new(Barrier::new(2));
    let rounds = 100;
    let threads = ["+message.type=FIFO", "+lite.topic.expiration=7"].map(|change| {
        let (mut wire, barrier) = (running.connect(), barrier.clone());
        std::thread::spawn(move || {
            for round in 0..rounds {
                let header = raptormq_wire::header::CreateTopicRequestHeader {
                    attributes: Some(change.into()),
                    ..topic_header(&format!("T{round}"), 1)
                };
                barrier.wait();
                let answer = wire.call(RequestCode::UPDATE_AND_CREATE_TOPIC, &header, Bytes::new());
                assert_eq!(answer.code, 0, "{:?}", answer.remark);
            }
        })
    });
    threads.into_iter().for_each(|t| t.join().unwrap());
    let table = wire.plain(RequestCode::GET_ALL_TOPIC_CONFIG, Bytes::new());
    let table: Value = json::from_slice(&table.body.to_bytes()).unwrap();
    for round in 0..rounds {
        let attributes = &table["topicConfigTable"][format!("T{round}")]["attributes"];
        assert_eq!(attributes, &json!({"message.type": "FIFO", "lite.topic.expiration": "7"}), "T{round}");
    }
}
