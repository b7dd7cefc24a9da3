//! Delay levels of a broker process: lists other than the default one, and kills.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use raptormq_message::{Message, decode_message, props};
use raptormq_wire::header::PullMessageRequestHeader;
use raptormq_wire::{RequestCode, json};
use serde_json::Value;
use support::{Running, Wire, conf, mqbroker, pull, pull_header, records, run, send, text};

/// The messages of a queue.
fn queue(wire: &mut Wire, topic: &str, queue_id: i32) -> Vec<Message> {
    let mut found = Vec::new();
    loop {
        let offset = i64::try_from(found.len()).unwrap();
        let header = PullMessageRequestHeader { queue_id, ..pull_header("TOOLS_CONSUMER", topic, offset) };
        let answer = wire.request(pull(&header));
        if answer.code != 0 {
            return found;
        }
        found.extend(records(&answer).iter().map(|record| decode_message(record).unwrap()));
    }
}

fn body(message: &Message) -> String {
    text(&message.body)
}

fn level(level: i32) -> String {
    format!("DELAY\u{1}{level}\u{2}")
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Waits until `count` messages are in the queue.
fn delivered(wire: &mut Wire, topic: &str, count: usize) -> Vec<Message> {
    let begin = Instant::now();
    loop {
        let found = queue(wire, topic, 0);
        if found.len() >= count {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{} of {count}", found.len());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn delay_offsets(home: &Path) -> Option<Value> {
    let text = std::fs::read(home.join("store/config/delayOffset.json")).ok()?;
    json::from_slice(&text).ok()
}

#[test]
fn levels_are_what_the_conf_file_says() {
    let home = tempfile::tempdir().unwrap();
    let levels =
        "messageDelayLevel=2s 1s 1h\nflushDelayOffsetInterval=300\nflushCommitLogThoroughInterval=200";
    let running = Running::start(home.path(), 24_831, levels);
    let mut wire = running.connect();
    wire.create_topic("D", 1);
    // The highest level stands for all above it, and one below 1 is none.
    for (n, body) in [(1, "two"), (2, "one"), (3, "hour"), (77, "above"), (0, "none"), (-1, "negative")] {
        assert_eq!(wire.request(send("D", &level(n), body.as_bytes())).code, 0);
    }
    let waiting = [0, 1, 2].map(|queue_id| queue(&mut wire, "SCHEDULE_TOPIC_XXXX", queue_id));
    let texts: Vec<Vec<String>> = waiting.iter().map(|queue| queue.iter().map(body).collect()).collect();
    assert_eq!(texts, [vec!["two"], vec!["one"], vec!["hour", "above"]]);
    assert_eq!(props::get(&waiting[2][1].properties_str(), "DELAY"), Some("3"));

    let found = delivered(&mut wire, "D", 4);
    let order: Vec<String> = found.iter().map(body).collect();
    assert_eq!(order, ["none", "negative", "one", "two"]);
    for (message, stored, delay) in [(&found[2], &waiting[1][0], 1000), (&found[3], &waiting[0][0], 2000)] {
        let late = message.store_timestamp - stored.store_timestamp - delay;
        assert!((0..500).contains(&late), "late by {late} ms");
        assert_eq!((&message.properties, message.flag), (&stored.properties, stored.flag));
        assert_eq!((message.born_timestamp, message.sys_flag), (stored.born_timestamp, stored.sys_flag));
        assert_eq!(message.body, stored.body);
    }
    // The table is written by the time of flushDelayOffsetInterval, not only at the end.
    let begin = Instant::now();
    while delay_offsets(home.path())
        .is_none_or(|it| it["offsetTable"]["1"] != 1 || it["offsetTable"]["2"] != 1)
    {
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", delay_offsets(home.path()));
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = wire.plain(RequestCode::GET_ALL_DELAY_OFFSET, Bytes::new());
    let table: Value = json::from_slice(&answer.body.to_bytes()).unwrap();
    assert_eq!((&table["offsetTable"]["1"], &table["offsetTable"]["2"]), (&1.into(), &1.into()));
}

#[test]
fn a_list_that_java_cannot_read_keeps_the_broker_from_starting() {
    for list in ["1s 2x", "1s  2s", "5", "s"] {
        let home = tempfile::tempdir().unwrap();
        let conf = conf(home.path(), 24_834, &format!("messageDelayLevel={list}"));
        let output = run(mqbroker(home.path()).arg("-c").arg(conf));
        assert_eq!(output.status.code(), Some(253), "{list:?}: {}", text(&output.stderr));
    }
}

#[test]
fn kills_neither_lose_delayed_messages_nor_deliver_them_early() {
    const FLUSH_MS: i64 = 200;
    let home = tempfile::tempdir().unwrap();
    let extra = "messageDelayLevel=1s 3s\nflushDelayOffsetInterval=200\nflushCommitLogThoroughInterval=200";
    let mut running = Running::start(home.path(), 24_837, extra);
    running.connect().create_topic("D", 1);
    // By body: when it was stored and how long it waits.
    let mut sent: BTreeMap<String, i64> = BTreeMap::new();
    let mut kills = Vec::new();
    for round in 0..4 {
        let mut wire = running.connect();
        let begin = Instant::now();
        let mut n = 0;
        while begin.elapsed() < Duration::from_millis(2300 + 170 * round) {
            for (at, delay_ms) in [(1, 1000), (2, 3000)] {
                let body = format!("{round}-{n}");
                n += 1;
                // Stored after this moment.
                let since = now_ms();
                assert_eq!(wire.request(send("D", &level(at), body.as_bytes())).code, 0);
                sent.insert(body, since + delay_ms);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        kills.push(now_ms());
        assert_eq!(running.signal("-KILL"), None);
        running = Running::start(home.path(), 24_837, extra);
    }
    let mut wire = running.connect();
    let begin = Instant::now();
    let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    while times.len() < sent.len() {
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "lost: {} of {}",
            sent.len() - times.len(),
            sent.len()
        );
        std::thread::sleep(Duration::from_millis(100));
        times.clear();
        for message in queue(&mut wire, "D", 0) {
            times.entry(body(&message)).or_default().push(message.store_timestamp);
        }
    }
    let mut again = 0;
    for (body, delivered) in &times {
        let early = delivered.iter().find(|at| **at < sent[body]);
        assert_eq!(early, None, "{body} is due at {}", sent[body]);
        for pair in delivered.windows(2) {
            // What was delivered right before a kill, before the progress was on disk, is delivered again.
            let killed = kills.iter().any(|at| (pair[0] - 20..pair[0] + 3 * FLUSH_MS + 800).contains(at));
            assert!(killed, "{body} was delivered at {delivered:?}, kills were at {kills:?}");
            again += 1;
        }
    }
    assert!(sent.len() > 200, "{} messages", sent.len());
    println!("{} delayed messages over {} kills, {again} delivered again", sent.len(), kills.len());
}
