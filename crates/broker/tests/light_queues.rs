//! Light message queues over the wire: messages that name queues `%LMQ%…` are found in those, too, on a store that Java
//! 5.5.0 left and on a new one.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::path::Path;
use std::process::Command;

use raptormq_message::{Message, decode_message};
use raptormq_wire::RequestCode;
use raptormq_wire::header::{
    EndTransactionRequestHeader, GetMaxOffsetRequestHeader, PullMessageRequestHeader,
    SendMessageRequestHeader,
};
use support::{Running, SUBSCRIPTION, SUSPEND, Wire, field, pull, pull_header, records, send};

const CONF: &str = "enableLmq=true\nenableMultiDispatch=true\nautoCreateSubscriptionGroup=false";
const BOTH: &str = "INNER_MULTI_DISPATCH\u{1}%LMQ%one,%LMQ%two\u{2}WAIT\u{1}true\u{2}";
const ONE: &str = "INNER_MULTI_DISPATCH\u{1}%LMQ%one\u{2}TAGS\u{1}t\u{2}";

fn max(wire: &mut Wire, topic: &str) -> i64 {
    let header = GetMaxOffsetRequestHeader { topic: topic.into(), ..Default::default() };
    field(&wire.call(RequestCode::GET_MAX_OFFSET, &header, ""), "offset")
}

fn read(wire: &mut Wire, queue: &str, from: i64) -> Vec<Message> {
    let answer = wire.request(pull(&pull_header("%LMQ%group", queue, from)));
    records(&answer).iter().map(|record| decode_message(record).unwrap()).collect()
}

fn property(message: &Message, key: &str) -> Option<String> {
    raptormq_message::props::get(&message.properties_str(), key).map(str::to_owned)
}

#[test]
fn messages_are_in_the_queues_that_they_name_also_after_a_crash() {
    let home = tempfile::tempdir().unwrap();
    let broker = Running::start(home.path(), 24_755, CONF);
    let mut wire = broker.connect();
    wire.create_topic("T", 1);
    for n in 0..20u8 {
        let properties = if n % 2 == 0 { BOTH } else { ONE };
        assert_eq!(field(&wire.request(send("T", properties, &[n])), "queueOffset"), i64::from(n));
    }
    let check = |wire: &mut Wire| {
        assert_eq!((max(wire, "T"), max(wire, "%LMQ%one"), max(wire, "%LMQ%two")), (20, 20, 10));
        let two = read(wire, "%LMQ%two", 0);
        assert_eq!(two.iter().map(|m| m.body[0]).collect::<Vec<_>>(), (0..20).step_by(2).collect::<Vec<_>>());
        assert!(two.iter().all(|message| &*message.topic == "T"), "they are the topic's messages");
        assert_eq!(property(&two[3], "INNER_MULTI_QUEUE_OFFSET").as_deref(), Some("6,3"));
        assert_eq!(read(wire, "%LMQ%one", 17).len(), 3);
        let tagged = PullMessageRequestHeader {
            subscription: Some("t".into()),
            ..pull_header("%LMQ%group", "%LMQ%one", 0)
        };
        assert_eq!(records(&wire.request(pull(&tagged))).len(), 10, "tags are compared there, too");
    };
    check(&mut wire);

    // A held pull of a light queue is woken by a message of the topic.
    let mut waiting = broker.connect();
    let mut held = pull_header("%LMQ%group", "%LMQ%two", 10);
    (held.sys_flag, held.suspend_timeout_millis) = (SUBSCRIPTION | SUSPEND, 15_000);
    waiting.post(pull(&held));
    std::thread::sleep(std::time::Duration::from_millis(300));
    let begin = std::time::Instant::now();
    assert_eq!(wire.request(send("T", ONE, b"not for two")).code, 0);
    assert_eq!(wire.request(send("T", BOTH, b"for two")).code, 0);
    let answer = waiting.answer();
    assert_eq!((answer.code, records(&answer).len()), (0, 1));
    assert!(begin.elapsed() < std::time::Duration::from_secs(4), "woken, not looked at again by and by");
    drop((wire, waiting));

    assert_eq!(broker.signal("-KILL"), None);
    let broker = Running::start(home.path(), 24_755, CONF);
    let mut wire = broker.connect();
    assert_eq!((max(&mut wire, "%LMQ%one"), max(&mut wire, "%LMQ%two")), (22, 11));
    assert_eq!(field(&wire.request(send("T", BOTH, b"next")), "queueOffset"), 22);
    let last = read(&mut wire, "%LMQ%two", 11);
    assert_eq!(property(&last[0], "INNER_MULTI_QUEUE_OFFSET").as_deref(), Some("22,11"));
    drop(wire);
    assert_eq!(broker.signal("-TERM"), Some(143));
    // Lost queues come back from the log.
    std::fs::remove_dir_all(home.path().join("store/consumequeue")).unwrap();
    let broker = Running::start(home.path(), 24_755, CONF);
    let mut wire = broker.connect();
    assert_eq!((max(&mut wire, "%LMQ%one"), max(&mut wire, "%LMQ%two"), max(&mut wire, "T")), (23, 12, 23));
}

#[test]
fn light_queues_of_java_go_on() {
    let home = tempfile::tempdir().unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/testdata/java-5.5.0/lmq/store.tar.xz");
    assert!(
        Command::new("tar").arg("-xSf").arg(archive).arg("-C").arg(home.path()).status().unwrap().success()
    );
    let conf = format!(
        "{CONF}\nmappedFileSizeCommitLog=1048576\nmappedFileSizeConsumeQueue=6000\nmaxHashSlotNum=500\nmaxIndexNum=400\nfileReservedTime=876000"
    );
    let broker = Running::start(home.path(), 24_759, &conf);
    let mut wire = broker.connect();
    assert_eq!((max(&mut wire, "%LMQ%one"), max(&mut wire, "%LMQ%two")), (6, 3));
    let first = read(&mut wire, "%LMQ%two", 0);
    assert_eq!((first.len(), property(&first[2], "INNER_MULTI_DISPATCH").is_some()), (3, true));
    assert_eq!(wire.request(send("GoldenA", BOTH, b"x")).code, 0);
    assert_eq!((max(&mut wire, "%LMQ%one"), max(&mut wire, "%LMQ%two")), (7, 4));
}

#[test]
fn a_half_message_is_in_the_queues_that_it_names_when_it_is_committed() {
    let home = tempfile::tempdir().unwrap();
    let broker = Running::start(home.path(), 24_842, CONF);
    let mut wire = broker.connect();
    wire.create_topic("T", 1);
    let header = SendMessageRequestHeader {
        producer_group: "P".into(),
        topic: "T".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        sys_flag: 4,
        born_timestamp: 1,
        properties: Some(format!("PGROUP\u{1}P\u{2}TRAN_MSG\u{1}true\u{2}{BOTH}")),
        ..Default::default()
    };
    let sent = wire.call(RequestCode::SEND_MESSAGE, &header, "half");
    assert_eq!(sent.code, 0);
    assert_eq!(wire.request(send("T", ONE, b"x")).code, 0);
    let begin = std::time::Instant::now();
    while max(&mut wire, "%LMQ%one") < 1 && begin.elapsed() < std::time::Duration::from_secs(5) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!((max(&mut wire, "%LMQ%one"), max(&mut wire, "%LMQ%two")), (1, 0), "nobody sees it yet");
    let id = sent.ext.get("msgId").unwrap();
    let end = EndTransactionRequestHeader {
        producer_group: "P".into(),
        tran_state_table_offset: 0,
        commit_log_offset: i64::from_str_radix(&id[16..], 16).unwrap(),
        commit_or_rollback: 8,
        ..Default::default()
    };
    assert_eq!(wire.call(RequestCode::END_TRANSACTION, &end, "").code, 0);
    while max(&mut wire, "%LMQ%two") < 1 && begin.elapsed() < std::time::Duration::from_secs(9) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(&read(&mut wire, "%LMQ%two", 0)[0].body[..], b"half");
}

#[test]
fn without_the_key_names_are_only_properties() {
    let home = tempfile::tempdir().unwrap();
    let broker = Running::start(home.path(), 24_763, "");
    let mut wire = broker.connect();
    assert_eq!(wire.request(send("T", BOTH, b"x")).code, 0);
    assert_eq!((max(&mut wire, "T"), max(&mut wire, "%LMQ%one")), (1, 0));
    let refused = wire.request(pull(&pull_header("G", "%LMQ%one", 0)));
    assert_eq!(refused.code, 17, "a topic as any other, which does not exist");
}
