//! Groups over the wire: where this broker differs from Java's on purpose, and what takes too long for a scenario.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use raptormq_wire::body::{GroupForbidden, QueryAssignmentResponseBody, QueryCorrectionOffsetBody};
use raptormq_wire::header::{
    GetConsumerListByGroupRequestHeader, PullMessageRequestHeader, QueryConsumerOffsetRequestHeader,
    QueryCorrectionOffsetHeader, ResetOffsetRequestHeader, UnregisterClientRequestHeader,
    UpdateConsumerOffsetRequestHeader, UpdateGroupForbiddenRequestHeader,
};
use raptormq_wire::{RemotingCommand, RequestCode, ResponseCode, json};
use serde_json::json;
use support::{COMMIT, Running, SUBSCRIPTION, SUSPEND, Wire, field, pull, pull_header, send, text};

fn heartbeat(client: &str, group: &str, topics: &[&str]) -> RemotingCommand {
    let subscriptions = topics.iter().map(|topic| json!({"topic": topic, "subString": "*", "subVersion": 1}));
    let body = json!({
        "clientID": client,
        "producerDataSet": [],
        "consumerDataSet": [{
            "groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
            "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "unitMode": false,
            "subscriptionDataSet": subscriptions.collect::<Vec<_>>(),
        }],
    });
    RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body.to_string().into_bytes())
}

fn forbidden(wire: &mut Wire, group: &str, topic: &str, readable: Option<bool>) -> bool {
    let header = UpdateGroupForbiddenRequestHeader {
        group: group.into(),
        topic: topic.into(),
        readable,
        ..Default::default()
    };
    let answer = wire.call(RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN, &header, Bytes::new());
    assert_eq!((answer.code, answer.remark.as_deref()), (0, Some("")));
    let state: GroupForbidden = json::from_slice(&answer.body.to_bytes()).unwrap();
    assert_eq!((state.group.as_str(), state.topic.as_str()), (group, topic));
    !state.readable.unwrap()
}

/// The code of a pull that takes its subscription from the heartbeat.
fn pulled(wire: &mut Wire, group: &str, topic: &str) -> i32 {
    let header = PullMessageRequestHeader { sys_flag: 0, subscription: None, ..pull_header(group, topic, 0) };
    wire.request(pull(&header)).code
}

#[test]
fn each_ban_is_lifted_alone_and_survives_a_stop() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_790, "");
    let mut wire = running.connect();
    for topic in ["T", "U"] {
        wire.create_topic(topic, 1);
        assert_eq!(wire.request(send(topic, "", b"x")).code, 0);
    }
    assert_eq!(wire.request(heartbeat("c", "G", &["T", "U"])).code, 0);
    assert!(!forbidden(&mut wire, "G", "T", None));
    assert!(forbidden(&mut wire, "G", "T", Some(false)) && forbidden(&mut wire, "G", "U", Some(false)));
    assert_eq!(pulled(&mut wire, "G", "T"), ResponseCode::NO_PERMISSION.0);
    assert!(!forbidden(&mut wire, "G", "T", Some(true)));
    assert_eq!(pulled(&mut wire, "G", "T"), 0);
    assert_eq!(pulled(&mut wire, "G", "U"), ResponseCode::NO_PERMISSION.0, "Java lifts this ban, too");
    drop(running);

    let running = Running::start(home.path(), 24_790, "");
    let mut wire = running.connect();
    assert!(forbidden(&mut wire, "G", "U", None) && !forbidden(&mut wire, "G", "T", None));
    assert!(!forbidden(&mut wire, "G", "U", Some(true)));
    let file = std::fs::read(home.path().join("store/config/subscriptionGroup.json")).unwrap();
    assert!(text(&file).contains("\"forbiddenTable\":{}"), "{}", text(&file));
}

fn correction(wire: &mut Wire, filter_groups: Option<&str>) -> Vec<(i32, i64)> {
    let header = QueryCorrectionOffsetHeader {
        filter_groups: filter_groups.map(str::to_owned),
        compare_group: "G".into(),
        topic: "T".into(),
        ..Default::default()
    };
    let answer = wire.call(RequestCode::QUERY_CORRECTION_OFFSET, &header, Bytes::new());
    assert_eq!(answer.code, 0);
    let body: QueryCorrectionOffsetBody = json::from_slice(&answer.body.to_bytes()).unwrap();
    body.correction_offsets.into_iter().collect()
}

#[test]
fn a_question_about_offsets_deletes_none() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_793, "");
    let mut wire = running.connect();
    wire.create_topic("T", 1);
    for _ in 0..9 {
        assert_eq!(wire.request(send("T", "", b"x")).code, 0);
    }
    for (group, offset) in [("G", 7), ("H", 3)] {
        assert_eq!(wire.request(heartbeat("c", group, &["T"])).code, 0);
        let header = UpdateConsumerOffsetRequestHeader {
            consumer_group: group.into(),
            topic: "T".into(),
            commit_offset: offset,
            ..Default::default()
        };
        assert_eq!(wire.call(RequestCode::UPDATE_CONSUMER_OFFSET, &header, Bytes::new()).code, 0);
    }
    assert_eq!(correction(&mut wire, None), [(0, 3)]);
    assert_eq!(correction(&mut wire, Some("H,X")), [(0, 7)]);
    assert_eq!(correction(&mut wire, None), [(0, 3)], "the group that was left out still has its offset");
}

/// The mode and the queues that a light topic, which needs no route, is assigned with.
fn assignment(wire: &mut Wire, group: &str) -> Vec<(String, i32)> {
    let query = json!({
        "topic": "%LMQ%light", "consumerGroup": group, "clientId": "c", "strategyName": "AVG",
        "messageModel": "CLUSTERING",
    });
    let answer = wire.plain(RequestCode::QUERY_ASSIGNMENT, query.to_string().into_bytes());
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    let body: QueryAssignmentResponseBody = json::from_slice(&answer.body.to_bytes()).unwrap();
    let queues = body.message_queue_assignments.unwrap().into_iter();
    queues.map(|a| (format!("{:?}", a.mode), a.message_queue.queue_id)).collect()
}

#[test]
fn groups_that_popped_on_a_java_broker_are_assigned_queues_to_pull_from() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("store/config/messageRequestMode.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let of_java = r#"{"messageRequestModeMap":{"%LMQ%light":{"G":{"consumerGroup":"G","mode":"POP","popShareQueueNum":0,"topic":"%LMQ%light"}}}}"#;
    std::fs::write(&file, of_java).unwrap();
    let running = Running::start(home.path(), 24_796, "defaultMessageRequestMode=POP");
    let mut wire = running.connect();
    for group in ["G", "H"] {
        assert_eq!(wire.request(heartbeat("c", group, &["%LMQ%light"])).code, 0);
        assert_eq!(assignment(&mut wire, group), [("Pull".to_owned(), 0)], "{group}");
    }
    wire.create_topic("T", 1);
    let set = |mode: &str| json!({"topic": "T", "consumerGroup": "G", "mode": mode}).to_string().into_bytes();
    let answer = wire.plain(RequestCode::SET_MESSAGE_REQUEST_MODE, set("POP"));
    let refused = (ResponseCode::REQUEST_CODE_NOT_SUPPORTED.0, Some("POP consumption is not supported yet"));
    assert_eq!((answer.code, answer.remark.as_deref()), refused);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), of_java, "nothing was set");
    assert_eq!(wire.plain(RequestCode::SET_MESSAGE_REQUEST_MODE, set("PULL")).code, 0);
    let table = std::fs::read_to_string(&file).unwrap();
    assert!(table.contains("\"mode\":\"POP\"") && table.contains("\"mode\":\"PULL\""), "{table}");
}

/// The groups that the broker tells a member of, until nothing comes for `patience`.
fn told(wire: &mut Wire, patience: Duration) -> Vec<String> {
    let mut groups = Vec::new();
    while let Some(request) = wire.asked(patience) {
        assert_eq!(request.code, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0);
        groups.push(request.ext.get("consumerGroup").unwrap().to_owned());
    }
    groups
}

#[test]
fn a_silent_member_is_dropped_and_the_others_are_told() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_799, "channelExpiredTimeout=2000");
    let (mut lively, mut silent) = (running.connect(), running.connect());
    assert_eq!(silent.request(heartbeat("silent", "G", &["T"])).code, 0);
    assert_eq!(lively.request(heartbeat("lively", "G", &["T"])).code, 0);
    let list = GetConsumerListByGroupRequestHeader { consumer_group: "G".into(), ..Default::default() };
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < Duration::from_secs(20), "the silent member is still there");
        assert_eq!(lively.request(heartbeat("lively", "G", &["T"])).code, 0);
        let members = lively.call(RequestCode::GET_CONSUMER_LIST_BY_GROUP, &list, Bytes::new());
        let members = text(&members.body.to_bytes());
        if members == r#"{"consumerIdList":["lively"]}"# {
            break;
        }
        assert!(members.contains("silent") && members.contains("lively"), "{members}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(begin.elapsed() > Duration::from_millis(1_900));
    assert_eq!(told(&mut lively, Duration::from_secs(1)), ["G", "G"], "when it joined, and of the loss");
    // What the silent one was told when the other joined is still to be read; then its connection ends.
    while silent.next(Duration::from_secs(2)).is_some() {}
    silent.stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert_eq!(std::io::Read::read(&mut silent.stream, &mut [0]).unwrap(), 0, "its connection is closed");
}

#[test]
fn members_may_be_told_later_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_802, "realTimeNotifyConsumerChange=false");
    let (mut a, mut b) = (running.connect(), running.connect());
    for group in ["G", "H"] {
        assert_eq!(a.request(heartbeat("a", group, &["T"])).code, 0);
        assert_eq!(b.request(heartbeat("b", group, &["T"])).code, 0);
    }
    assert_eq!(told(&mut a, Duration::from_millis(500)), Vec::<String>::new(), "not at once");
    let mut later = vec![];
    let begin = Instant::now();
    while later.len() < 2 && begin.elapsed() < Duration::from_secs(20) {
        later.extend(told(&mut a, Duration::from_millis(500)));
    }
    later.sort();
    assert_eq!(later, ["G", "H"], "once per group");
    drop(running);

    let running = Running::start(home.path(), 24_802, "notifyConsumerIdsChangedEnable=false");
    let (mut a, mut b) = (running.connect(), running.connect());
    for wire in [&mut a, &mut b] {
        assert_eq!(wire.request(heartbeat("a", "G", &["T"])).code, 0);
    }
    drop(b);
    assert_eq!(told(&mut a, Duration::from_secs(1)), Vec::<String>::new());
}

#[test]
fn pulls_are_sent_where_the_group_says() {
    let home = tempfile::tempdir().unwrap();
    let suggested = |extra: &str| {
        let running = Running::start(home.path(), 24_805, extra);
        let mut wire = running.connect();
        wire.create_topic("T", 1);
        let group = json!({"groupName": "G", "brokerId": 2, "whichBrokerWhenConsumeSlowly": 3});
        let body = group.to_string().into_bytes();
        assert_eq!(wire.plain(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, body).code, 0);
        assert_eq!(wire.request(send("T", "", b"x")).code, 0);
        field(&wire.request(pull(&pull_header("G", "T", 0))), "suggestWhichBrokerId")
    };
    assert_eq!((suggested(""), suggested("slaveReadEnable=true")), (0, 2));
}

#[test]
fn a_reset_answers_the_pulls_that_wait() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_808, "");
    let (mut wire, mut waiting) = (running.connect(), running.connect());
    wire.create_topic("T", 1);
    for _ in 0..5 {
        assert_eq!(wire.request(send("T", "", b"x")).code, 0);
    }
    assert_eq!(wire.request(heartbeat("c", "G", &["T"])).code, 0);
    let held = PullMessageRequestHeader {
        sys_flag: SUSPEND | COMMIT | SUBSCRIPTION,
        commit_offset: 5,
        suspend_timeout_millis: 15_000,
        ..pull_header("G", "T", 5)
    };
    waiting.post(pull(&held));
    assert!(waiting.next(Duration::from_millis(300)).is_none(), "it waits");
    let reset = ResetOffsetRequestHeader {
        group: "G".into(),
        topic: "T".into(),
        queue_id: 0,
        offset: Some(2),
        ..Default::default()
    };
    let answer = wire.call(RequestCode::INVOKE_BROKER_TO_RESET_OFFSET, &reset, Bytes::new());
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    let moved = waiting.next(Duration::from_secs(1)).expect("an answer at once");
    assert_eq!((moved.code, field(&moved, "nextBeginOffset")), (ResponseCode::PULL_OFFSET_MOVED.0, 2));
    // The next pull still carries what was consumed before, and is answered like any other.
    assert_eq!(wire.call(RequestCode::INVOKE_BROKER_TO_RESET_OFFSET, &reset, Bytes::new()).code, 0);
    assert_eq!(waiting.request(pull(&held)).code, ResponseCode::PULL_OFFSET_MOVED.0);
    let asked = QueryConsumerOffsetRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        set_zero_if_not_found: Some(false),
        ..Default::default()
    };
    let committed = wire.call(RequestCode::QUERY_CONSUMER_OFFSET, &asked, Bytes::new());
    assert_eq!(field(&committed, "offset"), 2, "the pull did not undo the reset");
}

#[test]
fn a_client_gets_its_replies_while_one_of_its_groups_is_left() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path(), 24_811, "");
    let (mut asker, mut replier) = (running.connect(), running.connect());
    let groups = json!({
        "clientID": "asker", "consumerDataSet": [],
        "producerDataSet": [{"groupName": "A"}, {"groupName": "B"}],
    });
    let heartbeat =
        RemotingCommand::request(RequestCode::HEART_BEAT).with_body(groups.to_string().into_bytes());
    assert_eq!(asker.request(heartbeat).code, 0);
    let leave = |asker: &mut Wire, group: &str| {
        let header = UnregisterClientRequestHeader {
            client_id: "asker".into(),
            producer_group: Some(group.into()),
            ..Default::default()
        };
        assert_eq!(asker.call(RequestCode::UNREGISTER_CLIENT, &header, Bytes::new()).code, 0);
    };
    let reply = || RemotingCommand {
        code: RequestCode::SEND_REPLY_MESSAGE.0,
        ..send("c_REPLY_TOPIC", "REPLY_TO_CLIENT\u{1}asker\u{2}", b"the reply")
    };
    leave(&mut asker, "A");
    replier.post(reply());
    let pushed = asker.asked(Duration::from_secs(2)).expect("the reply");
    assert_eq!(pushed.code, RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT.0);
    assert_eq!(text(&pushed.body.to_bytes()), "the reply");
    let taken = RemotingCommand::response_to(&pushed, ResponseCode::SUCCESS, None);
    std::io::Write::write_all(&mut asker.stream, &raptormq_wire::frame::encode(&taken)).unwrap();
    assert_eq!(replier.answer().code, 0);
    // As long as a message's properties may be, and longer.
    for (length, code) in [(32_000, 0), (33_000, 13)] {
        let long = format!("REPLY_TO_CLIENT\u{1}asker\u{2}F\u{1}{}\u{2}", "x".repeat(length));
        let reply = send("c_REPLY_TOPIC", &long, b"the reply");
        replier.post(RemotingCommand { code: RequestCode::SEND_REPLY_MESSAGE.0, ..reply });
        let pushed = asker.asked(Duration::from_millis(if code == 0 { 2000 } else { 300 }));
        assert_eq!(pushed.is_some(), code == 0);
        if let Some(pushed) = pushed {
            let taken = RemotingCommand::response_to(&pushed, ResponseCode::SUCCESS, None);
            std::io::Write::write_all(&mut asker.stream, &raptormq_wire::frame::encode(&taken)).unwrap();
        }
        assert_eq!(replier.answer().code, code);
    }
    leave(&mut asker, "B");
    let gone = replier.request(reply());
    let remark = Some("push reply message fail, channel of <asker> not found.");
    assert_eq!((gone.code, gone.remark.as_deref()), (1, remark));
}
