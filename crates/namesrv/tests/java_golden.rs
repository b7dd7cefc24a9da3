//! The recorded conversation with a real Java 5.5.0 name server (`testdata/record.py`), held with ours over TCP.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use raptormq_base::clock::SystemClock;
use raptormq_base::config::Host;
use raptormq_namesrv::{Namesrv, load};
use raptormq_wire::{RemotingCommand, RequestCode, SerializeType, frame, json};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn we_answer_what_java_answered() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("namesrv.conf");
    std::fs::write(&conf, "listenPort=0\nbindAddress=127.0.0.1\n").unwrap();
    let host = Host {
        user_home: dir.path().display().to_string(),
        rocketmq_home: Some("/rmq".into()),
        namesrv_addr: None,
        hostname: "box".into(),
        local_address: "127.0.0.1".into(),
        cpus: 2,
    };
    let namesrv =
        Namesrv::start(load(&host, Some(&conf), false).unwrap(), Arc::new(SystemClock::new())).await.unwrap();
    let golden: Value = serde_json::from_str(include_str!("../testdata/java-5.5.0.json")).unwrap();
    let mut connections: HashMap<String, TcpStream> = HashMap::new();
    let mut answered = 0;
    for step in golden["steps"].as_array().unwrap() {
        let conn = step["conn"].as_str().unwrap_or_default().to_owned();
        match step["do"].as_str().unwrap() {
            "pause" => tokio::time::sleep(Duration::from_millis(step["millis"].as_u64().unwrap())).await,
            "close" => drop(connections.remove(&conn).expect("only an open connection is closed")),
            _ => {
                let stream = match connections.entry(conn) {
                    std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
                    std::collections::hash_map::Entry::Vacant(slot) => {
                        slot.insert(TcpStream::connect(namesrv.local()).await.unwrap())
                    }
                };
                answered += 1;
                let answer = call(stream, step, answered).await;
                compare(step, &answer);
            }
        }
    }
    assert!(answered > 100, "{answered}");
    namesrv.stop(Duration::from_secs(3)).await;
}

async fn call(stream: &mut TcpStream, step: &Value, opaque: i32) -> RemotingCommand {
    let mut request = RemotingCommand::request(RequestCode(step["code"].as_i64().unwrap() as i32));
    request.opaque = opaque;
    request.version = step["version"].as_i64().unwrap() as i32;
    request.serialize = SerializeType::from_code(step["serialize"].as_u64().unwrap() as u8).unwrap();
    for (key, value) in step["ext"].as_object().unwrap() {
        request.ext.insert(key, value.as_str().unwrap());
    }
    request.body = match step["body_hex"].as_str() {
        Some(hex) => (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
            .collect::<Vec<_>>()
            .into(),
        None => step["body"].as_str().unwrap().to_owned().into(),
    };
    stream.write_all(&frame::encode(&request)).await.unwrap();
    let mut buf = BytesMut::new();
    loop {
        if let Some(frame) = frame::split(&mut buf, frame::DEFAULT_MAX_LEN).unwrap() {
            let answer = frame::decode(frame).unwrap();
            assert_eq!(answer.opaque, opaque);
            assert!(answer.is_response());
            assert_eq!(answer.serialize, request.serialize);
            return answer;
        }
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_buf(&mut buf)).await;
        assert_ne!(read.expect("an answer in time").unwrap(), 0, "closed instead of answering {step}");
    }
}

fn compare(step: &Value, answer: &RemotingCommand) {
    let java = &step["answer"];
    let what = format!("{} {} {}", step["code"], step["ext"], step["note"]);
    let ours = String::from_utf8(answer.body.to_bytes().to_vec()).unwrap();
    assert_eq!(i64::from(answer.code), java["code"].as_i64().unwrap(), "{what}: {:?}", answer.remark);
    assert_eq!(answer.remark.as_deref(), java["remark"].as_str(), "{what}");
    let ext: BTreeMap<&str, &str> = answer.ext.iter().collect();
    let java_ext: BTreeMap<&str, &str> =
        java["ext"].as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect();
    assert_eq!(ext, java_ext, "{what}");
    let theirs = java["body"].as_str().unwrap();
    if RequestCode(answer_code(step)) == RequestCode::GET_NAMESRV_CONFIG {
        assert_eq!(config_of(&ours), config_of(theirs), "{what}");
    } else {
        assert_eq!(canonical(&ours), canonical(theirs), "{what}");
        // The order of lists is Java's hash order, but not one character may be written otherwise.
        assert_eq!(ours.chars().count(), theirs.chars().count(), "{what}\n{ours}\n{theirs}");
    }
}

fn answer_code(step: &Value) -> i32 {
    step["code"].as_i64().unwrap() as i32
}

/// Without the keys that tell of the place where the server ran.
fn config_of(text: &str) -> Vec<&str> {
    let place = ["configStorePath", "kvConfigPath", "listenPort", "rocketmqHome", "bindAddress"];
    text.lines().filter(|line| place.iter().all(|key| !line.starts_with(key))).collect()
}

/// The value with its lists sorted, and without the choice of one address out of many.
fn canonical(text: &str) -> Value {
    fn sort(value: &mut Value) {
        match value {
            Value::Array(items) => {
                items.iter_mut().for_each(sort);
                items.sort_by_key(Value::to_string);
            }
            Value::Object(members) => {
                if members.contains_key("topicList") && members.contains_key("brokerAddr") {
                    members["brokerAddr"] = Value::Null;
                }
                members.values_mut().for_each(sort);
            }
            _ => {}
        }
    }
    if text.is_empty() {
        return Value::Null;
    }
    let mut value: Value = json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    sort(&mut value);
    value
}
