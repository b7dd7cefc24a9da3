//! Topics with `queue.type=BatchCQ`, and queues with extensions, over the wire: on stores that Java 5.5.0 left and on new
//! ones, across clean and unclean ends.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use raptormq_message::batch::{BatchItem, decode_batch, encode_batch};
use raptormq_message::{Message, decode_message};
use raptormq_wire::header::{
    CreateTopicRequestHeader, DeleteTopicRequestHeader, PullMessageRequestHeader, SearchOffsetRequestHeader,
    SendMessageRequestHeader, SendMessageRequestHeaderV2,
};
use raptormq_wire::{RemotingCommand, RequestCode};
use sha2::{Digest, Sha256};
use support::{Running, Wire, field, pull, records, send, topic_header};

const SIZES: &str = "mappedFileSizeCommitLog=1048576\nmappedFileSizeConsumeQueue=6000\nmaxHashSlotNum=500\n\
    maxIndexNum=400\nfileReservedTime=876000";

fn unpack(case: &str, to: &Path) {
    let archive =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/testdata").join(case).join("store.tar.xz");
    assert!(Command::new("tar").arg("-xSf").arg(archive).arg("-C").arg(to).status().unwrap().success());
}

fn items(bodies: &[&str]) -> Bytes {
    let item = |body: &&str| BatchItem {
        flag: 0,
        body: Bytes::copy_from_slice(body.as_bytes()),
        properties: Bytes::from_static(b"WAIT\x01true"),
    };
    encode_batch(&bodies.iter().map(item).collect::<Vec<_>>())
}

fn send_batch(topic: &str, queue_id: i32, properties: &str, bodies: &[&str]) -> RemotingCommand {
    let header = SendMessageRequestHeader {
        producer_group: "P".into(),
        topic: topic.into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id,
        born_timestamp: 1,
        properties: Some(properties.into()),
        batch: Some(true),
        ..Default::default()
    };
    RemotingCommand::request(RequestCode::SEND_BATCH_MESSAGE)
        .with_header(&SendMessageRequestHeaderV2::from(header))
        .with_body(items(bodies))
}

fn header(topic: &str, queue_id: i32, offset: i64, max: i32) -> PullMessageRequestHeader {
    PullMessageRequestHeader { queue_id, max_msg_nums: max, ..support::pull_header("G", topic, offset) }
}

/// The records from `offset` on, with their base positions, and where to go on.
fn pulled(wire: &mut Wire, topic: &str, queue_id: i32, offset: i64, max: i32) -> (Vec<Message>, i64) {
    let answer = wire.request(pull(&header(topic, queue_id, offset, max)));
    let messages = records(&answer).iter().map(|record| decode_message(record).unwrap()).collect();
    (messages, field(&answer, "nextBeginOffset"))
}

fn bases(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.queue_offset).collect()
}

fn range(wire: &mut Wire, topic: &str, queue_id: i32) -> (i64, i64) {
    let answer = wire.request(pull(&header(topic, queue_id, 0, 1)));
    (field(&answer, "minOffset"), field(&answer, "maxOffset"))
}

#[test]
fn batch_queues_of_java_are_read_and_go_on() {
    let home = tempfile::tempdir().unwrap();
    unpack("java-5.5.0/lmq", home.path());
    let conf = format!("{SIZES}\nenableLmq=true\nenableMultiDispatch=true");
    let broker = Running::start(home.path(), 24_731, &conf);
    let mut wire = broker.connect();
    let topic = "GoldenBatchCQ";
    assert_eq!((range(&mut wire, topic, 0), range(&mut wire, topic, 1)), ((0, 10), (0, 6)));
    let answer = wire.request(pull(&header(topic, 0, 0, 32)));
    let sums: Vec<String> = records(&answer)
        .iter()
        .map(|record| Sha256::digest(record).iter().map(|b| format!("{b:02x}")).collect())
        .collect();
    // Of the manifest that Java made.
    assert_eq!(
        sums,
        [
            "49a36c211926b03bdb288de9d0e59f156b5cf1f36eb40a77cbae31a67094c79a",
            "dfbec23d96d76cca13c59a49d48fdb123d39979c74016552adf50997d31489c2"
        ]
    );
    assert_eq!(field(&answer, "nextBeginOffset"), 10);
    let (middle, next) = pulled(&mut wire, topic, 0, 5, 32);
    assert_eq!((bases(&middle), next), (vec![4], 10), "a batch is answered whole");
    let (first, next) = pulled(&mut wire, topic, 0, 0, 4);
    assert_eq!((bases(&first), next), (vec![0], 4), "four messages are one record here");
    let search = |wire: &mut Wire, timestamp: i64| {
        let header = SearchOffsetRequestHeader { topic: topic.into(), timestamp, ..Default::default() };
        field(&wire.call(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, &header, ""), "offset")
    };
    assert_eq!(search(&mut wire, 1_795_272_509_078), 0);
    assert_eq!(search(&mut wire, 1_795_272_509_079), 4);
    assert_eq!(search(&mut wire, i64::MAX), 4, "as Java: the last record's first message");

    let unique = "UNIQ_KEY\u{1}7F000001000000000000000000000001\u{2}WAIT\u{1}true\u{2}";
    let sent = wire.request(send_batch(topic, 0, unique, &["a", "bc", "def"]));
    assert_eq!((sent.code, field(&sent, "queueOffset")), (0, 10), "{:?}", sent.remark);
    assert_eq!(sent.ext.get("batchUniqId"), Some("7F000001000000000000000000000001"));
    let single = wire.request(send(topic, "TAGS\u{1}t\u{2}", b"single"));
    assert_eq!((single.code, field(&single, "queueOffset")), (0, 13));
    let without_key = wire.request(send_batch(topic, 0, "", &["x", "y"]));
    assert_eq!(
        field(&without_key, "queueOffset"),
        14,
        "a batch without a unique key becomes single messages"
    );
    let check = |wire: &mut Wire| {
        assert_eq!(range(wire, topic, 0), (0, 16));
        let (messages, next) = pulled(wire, topic, 0, 10, 32);
        assert_eq!((bases(&messages), next), (vec![10, 13, 14, 15], 16));
        let batch = &messages[0];
        assert_eq!(batch.sys_flag & 0xC0, 0xC0);
        let properties = batch.properties_str();
        let property = |key| raptormq_message::props::get(&properties, key);
        assert_eq!((property("INNER_BASE"), property("INNER_NUM")), (Some("10"), Some("3")));
        let inner: Vec<Bytes> =
            decode_batch(&batch.body).unwrap().into_iter().map(|item| item.body).collect();
        assert_eq!(inner, ["a", "bc", "def"]);
        assert_eq!(messages[1].sys_flag & 0xC0, 0);
    };
    check(&mut wire);
    drop(wire);
    assert_eq!(broker.signal("-KILL"), None);
    let broker = Running::start(home.path(), 24_731, &conf);
    check(&mut broker.connect());
    assert_eq!(broker.signal("-TERM"), Some(143));
    let broker = Running::start(home.path(), 24_731, &conf);
    check(&mut broker.connect());
}

fn create(wire: &mut Wire, topic: &str) -> RemotingCommand {
    let header =
        CreateTopicRequestHeader { attributes: Some("+queue.type=BatchCQ".into()), ..topic_header(topic, 2) };
    wire.call(RequestCode::UPDATE_AND_CREATE_TOPIC, &header, "")
}

#[test]
fn a_topic_is_made_with_batch_queues_deleted_and_made_without() {
    let home = tempfile::tempdir().unwrap();
    let broker = Running::start(home.path(), 24_735, "");
    let mut wire = broker.connect();
    assert_eq!(create(&mut wire, "B").code, 0);
    let unique = "UNIQ_KEY\u{1}7F000001000000000000000000000001\u{2}";
    for round in 0..30 {
        let sent = wire.request(send_batch("B", 1, unique, &["1", "2", "3"]));
        assert_eq!(field(&sent, "queueOffset"), round * 3);
    }
    let (messages, next) = pulled(&mut wire, "B", 1, 0, 32);
    assert_eq!((messages.len(), next), (10, 30), "32 messages at most are ten whole batches");
    // Killed before anything of the queue is on disk: what the topic is says topics.json.
    drop(wire);
    assert_eq!(broker.signal("-KILL"), None);
    assert!(!home.path().join("store/consumequeue/B").exists());
    let broker = Running::start(home.path(), 24_735, "");
    let mut wire = broker.connect();
    assert_eq!(range(&mut wire, "B", 1), (0, 90));
    assert!(home.path().join("store/batchconsumequeue/B/1").exists());

    let delete = DeleteTopicRequestHeader { topic: "B".into(), ..Default::default() };
    assert_eq!(wire.call(RequestCode::DELETE_TOPIC_IN_BROKER, &delete, "").code, 0);
    assert!(!home.path().join("store/batchconsumequeue/B").exists());
    wire.create_topic("B", 2);
    assert_eq!(field(&wire.request(send_batch("B", 1, unique, &["1", "2"])), "queueOffset"), 0);
    let (messages, next) = pulled(&mut wire, "B", 1, 0, 32);
    assert_eq!((bases(&messages), next), (vec![0, 1], 2), "an ordinary batch is single messages");
    let refused = create(&mut wire, "B");
    assert_ne!(refused.code, 0, "the kind of a topic does not change");
    let flagged = SendMessageRequestHeader {
        producer_group: "P".into(),
        topic: "B".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        sys_flag: 0xC0,
        properties: Some("INNER_NUM\u{1}2\u{2}".into()),
        ..Default::default()
    };
    let answer = wire.call(RequestCode::SEND_MESSAGE, &flagged, "x");
    assert_eq!(answer.code, 13, "no batch queue, no inner batch");
    let numbered = wire.request(send("B", "INNER_NUM\u{1}2\u{2}", b"x"));
    assert_eq!(numbered.code, 13);
    drop(wire);
    assert_eq!(broker.signal("-TERM"), Some(143));
    let broker = Running::start(home.path(), 24_735, "");
    assert_eq!(range(&mut broker.connect(), "B", 1), (0, 2));
}

#[test]
fn a_sum_of_inner_messages_that_is_no_number_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let broker = Running::start(home.path(), 24_739, "");
    let mut wire = broker.connect();
    assert_eq!(create(&mut wire, "B").code, 0);
    for (number, code) in [("x", 13), ("99999", 13), ("", 0), ("-5", 0)] {
        let header = SendMessageRequestHeader {
            producer_group: "P".into(),
            topic: "B".into(),
            default_topic: "TBW102".into(),
            default_topic_queue_nums: 4,
            sys_flag: 0xC0,
            properties: Some(format!("INNER_NUM\u{1}{number}\u{2}")),
            ..Default::default()
        };
        let answer = wire.call(RequestCode::SEND_MESSAGE, &header, "x");
        assert_eq!(answer.code, code, "{number:?} {:?}", answer.remark);
    }
    let broken = send_batch("B", 0, "UNIQ_KEY\u{1}7F000001000000000000000000000001\u{2}", &["1"]);
    let broken = broken.with_body(Bytes::from_static(b"no batch"));
    assert_eq!(wire.request(broken).code, 1);
    assert_eq!(wire.request(send("B", "", b"x")).code, 0, "the queue goes on");
}

#[test]
fn tags_are_compared_with_what_the_extension_says() {
    let home = tempfile::tempdir().unwrap();
    let conf = "enableConsumeQueueExt=true\nmappedFileSizeConsumeQueueExt=640";
    let broker = Running::start(home.path(), 24_743, conf);
    let mut wire = broker.connect();
    wire.create_topic("T", 1);
    for n in 0..100 {
        let tags = format!("TAGS\u{1}{}\u{2}", if n % 4 == 0 { "a" } else { "b" });
        assert_eq!(wire.request(send("T", &tags, b"x")).code, 0);
    }
    let wanted = |wire: &mut Wire| {
        let mut header = header("T", 0, 0, 32);
        header.subscription = Some("a".into());
        let mut found = Vec::new();
        loop {
            let answer = wire.request(pull(&header));
            if field(&answer, "nextBeginOffset") == header.queue_offset {
                return found;
            }
            found.extend(records(&answer).iter().map(|record| decode_message(record).unwrap().queue_offset));
            header.queue_offset = field(&answer, "nextBeginOffset");
        }
    };
    let expected: Vec<i64> = (0..100).step_by(4).collect();
    assert_eq!(wanted(&mut wire), expected);
    drop(wire);
    assert_eq!(broker.signal("-TERM"), Some(143));
    let files = home.path().join("store/consumequeue_ext/T/0");
    assert_eq!(std::fs::read_dir(&files).unwrap().count(), 4, "31 extensions fit into 640 bytes");
    let unit = std::fs::read(home.path().join("store/consumequeue/T/0/00000000000000000000")).unwrap();
    assert_eq!(&unit[12..20], &[0x80, 0, 0, 0, 0, 0, 0, 0], "the first address");

    let broker = Running::start(home.path(), 24_743, conf);
    let mut wire = broker.connect();
    assert_eq!(wanted(&mut wire), expected);
    drop(wire);
    assert_eq!(broker.signal("-KILL"), None);
    std::fs::remove_dir_all(&files).unwrap();
    let broker = Running::start(home.path(), 24_743, conf);
    let mut wire = broker.connect();
    assert_eq!(wanted(&mut wire), expected, "what is not known to be on disk is written anew");
    drop(wire);
    assert_eq!(broker.signal("-TERM"), Some(143));
    // Without its extension a message passes: the consumer compares the tags itself.
    std::fs::remove_dir_all(&files).unwrap();
    let broker = Running::start(home.path(), 24_743, conf);
    let mut wire = broker.connect();
    assert_eq!(wanted(&mut wire).len(), 100);
}

#[test]
fn extensions_of_java_are_read() {
    let home = tempfile::tempdir().unwrap();
    unpack("java-5.5.0/cqext", home.path());
    let conf = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/testdata/java-5.5.0/cqext/broker.conf"),
    )
    .unwrap();
    let conf: String =
        conf.lines().filter(|line| !line.starts_with("storePath")).map(|line| format!("{line}\n")).collect();
    let broker = Running::start(home.path(), 24_747, &conf);
    let mut wire = broker.connect();
    let topics: Vec<String> = std::fs::read_dir(home.path().join("store/consumequeue_ext"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|topic| topic.starts_with("Golden"))
        .collect();
    assert!(!topics.is_empty());
    let mut compared = 0;
    for topic in &topics {
        let queues = std::fs::read_dir(home.path().join("store/consumequeue_ext").join(topic)).unwrap();
        for queue in queues {
            let queue_id = queue.unwrap().file_name().to_str().unwrap().parse().unwrap();
            let (all, _) = pulled(&mut wire, topic, queue_id, 0, 32);
            let tag = |message: &Message| {
                raptormq_message::props::get(&message.properties_str(), "TAGS").map(str::to_owned)
            };
            for wanted in all.iter().filter_map(tag).collect::<std::collections::BTreeSet<_>>() {
                let header = PullMessageRequestHeader {
                    subscription: Some(wanted.clone()),
                    ..header(topic, queue_id, 0, 32)
                };
                let answer = wire.request(pull(&header));
                let found: Vec<Message> =
                    records(&answer).iter().map(|record| decode_message(record).unwrap()).collect();
                let expected: Vec<i64> =
                    all.iter().filter(|m| tag(m).as_ref() == Some(&wanted)).map(|m| m.queue_offset).collect();
                assert_eq!(bases(&found), expected, "{topic} {queue_id} {wanted}");
                compared += found.len();
            }
        }
    }
    assert!(compared > 10, "{compared}");
}
