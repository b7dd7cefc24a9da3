//! A store of Java's with half messages, op records that settle several of them, and delayed messages: taken over by a
//! broker process, which asks about the half messages that are not settled, and delivers what is due. Once each, also
//! over kills.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "../../store/tests/golden/load.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod load;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raptormq_message::{Message, decode_message, flags, props};
use raptormq_wire::header::{
    CheckTransactionStateRequestHeader, EndTransactionRequestHeader, PullMessageRequestHeader,
};
use raptormq_wire::{RemotingCommand, RequestCode};
use serde_json::json;
use support::{Running, Wire, mqbroker, pull, pull_header, records};

fn start(home: &Path, conf: &str, port: u16) -> Running {
    let file = home.join("broker.conf");
    let text = format!(
        "{conf}\nlistenPort={port}\nbindAddress=127.0.0.1\nstorePathRootDir={0}/store\n\
         storePathCommitLog={0}/store/commitlog\ntransactionTimeOut=100\ntransactionCheckInterval=300\ntransactionCheckMax=1000\n\
         flushConsumerOffsetInterval=1000\nflushDelayOffsetInterval=200\nflushCommitLogThoroughInterval=200\n",
        home.display()
    );
    std::fs::write(&file, text).unwrap();
    Running::spawn(mqbroker(home).arg("-c").arg(file), port)
}

fn register(wire: &mut Wire) {
    let body = json!({"clientID": "c", "producerDataSet": [{"groupName": "PID_tx"}], "consumerDataSet": []});
    let request = RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body.to_string().into_bytes());
    assert_eq!(wire.request(request).code, 0);
}

/// What the broker asks within `patience`: by the body of the message, what it was asked last.
fn asked(wire: &mut Wire, patience: Duration) -> BTreeMap<String, CheckTransactionStateRequestHeader> {
    let begin = Instant::now();
    let mut all = BTreeMap::new();
    while let Some(left) = patience.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        let Some(request) = wire.asked(left) else { break };
        assert_eq!(request.code, RequestCode::CHECK_TRANSACTION_STATE.0);
        let shown = decode_message(&request.body.to_bytes()).unwrap();
        assert_eq!(&*shown.topic, "GoldenA");
        all.insert(text(&shown), request.header().unwrap());
    }
    all
}

fn end(wire: &mut Wire, asked: &CheckTransactionStateRequestHeader, outcome: i32) {
    let header = EndTransactionRequestHeader {
        topic: asked.topic.clone(),
        producer_group: "PID_tx".into(),
        tran_state_table_offset: asked.tran_state_table_offset,
        commit_log_offset: asked.commit_log_offset,
        commit_or_rollback: outcome,
        from_transaction_check: Some(true),
        msg_id: asked.msg_id.clone().unwrap(),
        ..Default::default()
    };
    assert_eq!(wire.call(RequestCode::END_TRANSACTION, &header, Bytes::new()).code, 0);
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.body).into_owned()
}

/// Every message of a topic with four queues.
fn all(wire: &mut Wire, topic: &str) -> Vec<Message> {
    let mut found = Vec::new();
    for queue_id in 0..4 {
        let mut offset = 0;
        loop {
            let header =
                PullMessageRequestHeader { queue_id, ..pull_header("TOOLS_CONSUMER", topic, offset) };
            let answer = wire.request(pull(&header));
            if answer.code != 0 {
                break;
            }
            let got = records(&answer);
            offset += i64::try_from(got.len()).unwrap();
            found.extend(got.iter().map(|record| decode_message(record).unwrap()));
        }
    }
    found
}

#[test]
fn javas_half_and_delayed_messages_are_taken_over_exactly_over_kills() {
    let load::Unpacked { dir, manifest, conf, .. } = load::unpack("java-5.5.0/sched");
    let conf: String =
        conf.lines().filter(|line| !line.starts_with("transaction")).map(|l| l.to_owned() + "\n").collect();
    let recorded: BTreeSet<(i64, i64)> = manifest["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["topic"] == "GoldenA")
        .map(|it| (it["queueId"].as_i64().unwrap(), it["queueOffset"].as_i64().unwrap()))
        .collect();

    let running = start(dir.path(), &conf, 24_821);
    let mut wire = running.connect();
    register(&mut wire);
    let pending = BTreeSet::from(["tx 2".to_owned(), "tx 5".to_owned(), "tx 8".to_owned()]);
    let first = asked(&mut wire, Duration::from_secs(3));
    assert_eq!(first.keys().cloned().collect::<BTreeSet<_>>(), pending);
    assert!(first.values().all(|it| it.tran_state_table_offset >= 9), "each is a copy behind the others");
    let running = kill(running, dir.path(), &conf);

    let mut wire = running.connect();
    register(&mut wire);
    let second = asked(&mut wire, Duration::from_secs(3));
    assert_eq!(second.keys().cloned().collect::<BTreeSet<_>>(), pending);
    end(&mut wire, &second["tx 2"], flags::TRANSACTION_COMMIT);
    end(&mut wire, &second["tx 5"], flags::TRANSACTION_ROLLBACK);
    let running = kill(running, dir.path(), &conf);

    let mut wire = running.connect();
    register(&mut wire);
    let third = asked(&mut wire, Duration::from_secs(3));
    assert_eq!(third.keys().collect::<Vec<_>>(), ["tx 8"]);
    let found = all(&mut wire, "GoldenA");
    let is_new = |it: &&Message| !recorded.contains(&(it.queue_id.into(), it.queue_offset));
    let mut new: Vec<&Message> = found.iter().filter(is_new).collect();
    assert_eq!(found.len(), recorded.len() + new.len());
    new.sort_by_key(|it| text(it));
    // Levels 17 and 18 were due long ago, level 19 is due in ten years.
    let texts: Vec<String> = new.iter().map(|it| text(it)).collect();
    assert_eq!(texts, ["delayed level 17", "delayed level 18", "tx 2"]);
    for (message, queue_id, level) in [(new[0], 3, "17"), (new[1], 2, "18")] {
        let properties = message.properties_str();
        assert_eq!((message.queue_id, message.sys_flag), (queue_id, 0));
        for (key, value) in [
            ("DELAY", level),
            ("REAL_TOPIC", "GoldenA"),
            ("TAGS", "TagDelay"),
            ("WAIT", "true"),
            ("lvl", level),
        ] {
            assert_eq!(props::get(&properties, key), Some(value), "{key} of {properties:?}");
        }
    }
    assert_eq!((new[2].queue_id, flags::transaction_type(new[2].sys_flag)), (2, flags::TRANSACTION_COMMIT));
    assert_eq!(new[2].prepared_transaction_offset, second["tx 2"].commit_log_offset);
    assert_eq!(running.signal("-TERM"), Some(143));
}

/// Kills the broker and starts it again.
fn kill(running: Running, home: &Path, conf: &str) -> Running {
    assert_eq!(running.signal("-KILL"), None);
    start(home, conf, 24_821)
}
