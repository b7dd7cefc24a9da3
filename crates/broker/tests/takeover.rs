//! A broker on a store that a Java broker left: every message, queue, topic, group and offset of the manifest that
//! Java made is served over the wire, byte for byte; and what is sent afterwards is there after a restart.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raptormq_base::clock::SystemClock;
use raptormq_base::config::Host;
use raptormq_base::properties;
use raptormq_broker::Broker;
use raptormq_broker::config::Resolved;
use raptormq_remoting::{Client, Limits, RouteTable};
use raptormq_wire::header::{
    GetMaxOffsetRequestHeader, GetMinOffsetRequestHeader, PullMessageRequestHeader,
    QueryConsumerOffsetRequestHeader, SendMessageRequestHeader,
};
use raptormq_wire::{Header, RemotingCommand, RequestCode, json};
use serde_json::Value;
use sha2::{Digest, Sha256};

const SUBSCRIPTION_FLAG: i32 = 4;

struct Running {
    broker: Broker,
    client: Client,
    address: String,
}

impl Running {
    async fn start(conf: &str, root: &Path, port: u16) -> Self {
        let host = Host {
            user_home: root.display().to_string(),
            rocketmq_home: None,
            namesrv_addr: None,
            hostname: "test".into(),
            local_address: "127.0.0.1".into(),
            cpus: 2,
        };
        let mut config = Resolved::defaults(&host);
        let extra = format!(
            "\nlistenPort={port}\nstorePathRootDir={0}\nstorePathCommitLog={0}/commitlog\nbindAddress=127.0.0.1\n",
            root.display()
        );
        config.load(&properties::parse((conf.to_owned() + &extra).as_bytes()));
        let resolved = Resolved::resolve(config, None).unwrap();
        let broker = Broker::start(resolved, Arc::new(SystemClock::new())).await.unwrap();
        let client = Client::new(Arc::new(RouteTable::new()), Limits::default(), Duration::from_secs(2));
        Self { broker, client, address: format!("127.0.0.1:{port}") }
    }

    async fn call(&self, code: RequestCode, header: &impl Header, body: &'static [u8]) -> RemotingCommand {
        let request = RemotingCommand::request(code).with_header(header).with_body(Bytes::from_static(body));
        self.client.call(&self.address, request, Duration::from_secs(10)).await.unwrap()
    }

    async fn offset(&self, code: RequestCode, header: &impl Header) -> i64 {
        let response = self.call(code, header, b"").await;
        assert_eq!(response.code, 0, "{:?}", response.remark);
        response.ext.get("offset").unwrap().parse().unwrap()
    }

    /// Every record of a queue from `from` on.
    async fn pull_all(&self, topic: &str, queue_id: i32, from: i64) -> Vec<Bytes> {
        let mut records = Vec::new();
        let mut queue_offset = from;
        loop {
            let header = PullMessageRequestHeader {
                consumer_group: "TOOLS_CONSUMER".into(),
                topic: topic.into(),
                queue_id,
                queue_offset,
                max_msg_nums: 32,
                sys_flag: SUBSCRIPTION_FLAG,
                subscription: Some("*".into()),
                expression_type: Some("TAG".into()),
                ..Default::default()
            };
            let response = self.call(RequestCode::PULL_MESSAGE, &header, b"").await;
            if response.code != 0 {
                return records;
            }
            let mut body = response.body.to_bytes();
            while !body.is_empty() {
                let len = u32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
                records.push(body.split_to(len));
            }
            queue_offset = response.ext.get("nextBeginOffset").unwrap().parse().unwrap();
        }
    }

    async fn stop(self) {
        self.client.stop(Duration::from_secs(1)).await;
        self.broker.stop().await.unwrap();
    }
}

/// Three free ports in a row are hard to ask the system for; tests of this file take distinct ones instead.
async fn take_over(case: &str, port: u16) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/testdata").join(case);
    let directory = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .arg("-xSf")
        .arg(from.join("store.tar.xz"))
        .arg("-C")
        .arg(directory.path())
        .status()
        .unwrap();
    assert!(unpacked.success());
    let root = directory.path().join("store");
    let conf = std::fs::read_to_string(from.join("broker.conf")).unwrap();
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(from.join("manifest.json")).unwrap()).unwrap();

    let running = Running::start(&conf, &root, port).await;
    let messages = check_messages(&running, &manifest).await;
    assert!(messages > 30, "the manifest of {case} has messages");
    check_tables(&running, &manifest).await;
    send_and_restart(running, &conf, &root, port).await;
}

/// All messages that can be pulled have the sha256 of the manifest; the number of them.
async fn check_messages(running: &Running, manifest: &Value) -> usize {
    let mut expected: BTreeMap<(String, i32), Vec<(i64, String)>> = BTreeMap::new();
    for message in manifest["messages"].as_array().unwrap() {
        if message["via"].is_null() {
            let topic = message["cqTopic"].as_str().or(message["topic"].as_str()).unwrap().to_owned();
            let queue = message["queueId"].as_i64().unwrap() as i32;
            let entry =
                (message["queueOffset"].as_i64().unwrap(), message["recordSha256"].as_str().unwrap().into());
            expected.entry((topic, queue)).or_default().push(entry);
        }
    }
    let mut count = 0;
    for queue in manifest["queues"].as_array().unwrap() {
        let topic = queue["topic"].as_str().unwrap().to_owned();
        let queue_id = queue["queueId"].as_i64().unwrap() as i32;
        let min = GetMinOffsetRequestHeader { topic: topic.clone(), queue_id, ..Default::default() };
        let max = GetMaxOffsetRequestHeader { topic: topic.clone(), queue_id, ..Default::default() };
        let bounds = (
            running.offset(RequestCode::GET_MIN_OFFSET, &min).await,
            running.offset(RequestCode::GET_MAX_OFFSET, &max).await,
        );
        let of_java = (queue["minOffset"].as_i64().unwrap(), queue["maxOffset"].as_i64().unwrap());
        assert_eq!(bounds, of_java, "{topic} {queue_id}");
        let Some(wanted) = expected.get_mut(&(topic.clone(), queue_id)) else { continue };
        wanted.sort();
        let records = running.pull_all(&topic, queue_id, bounds.0).await;
        let sums: Vec<String> = records.iter().map(|r| hex(&Sha256::digest(r))).collect();
        let wanted: Vec<String> = wanted.iter().map(|(_, sum)| sum.clone()).collect();
        assert_eq!(sums, wanted, "{topic} {queue_id}");
        count += sums.len();
    }
    count
}

/// Topics, groups and committed offsets are those that Java listed.
async fn check_tables(running: &Running, manifest: &Value) {
    let config = &manifest["config"];
    for (code, list, table) in [
        (RequestCode::GET_ALL_TOPIC_CONFIG, "topics", "topicConfigTable"),
        (RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, "subscriptionGroups", "subscriptionGroupTable"),
    ] {
        let response = running.call(code, &raptormq_wire::header::RpcRequestHeader::default(), b"").await;
        let ours: Value = json::from_slice(&response.body.to_bytes()).unwrap();
        for (name, of_java) in config[list][table].as_object().unwrap() {
            for (field, value) in of_java.as_object().unwrap() {
                if name != "TBW102" && !value.is_null() {
                    assert_eq!(&ours[table][name][field], value, "{list} {name} {field}");
                }
            }
        }
    }
    for (key, queues) in config["consumerOffsets"]["offsetTable"].as_object().unwrap() {
        let (topic, consumer_group) = key.split_once('@').unwrap();
        for (queue, offset) in queues.as_object().unwrap() {
            let header = QueryConsumerOffsetRequestHeader {
                consumer_group: consumer_group.into(),
                topic: topic.into(),
                queue_id: queue.parse().unwrap(),
                ..Default::default()
            };
            let ours = running.offset(RequestCode::QUERY_CONSUMER_OFFSET, &header).await;
            assert_eq!(ours, offset.as_i64().unwrap(), "{key} {queue}");
        }
    }
}

async fn send_and_restart(running: Running, conf: &str, root: &Path, port: u16) {
    let max = GetMaxOffsetRequestHeader { topic: "GoldenA".into(), queue_id: 1, ..Default::default() };
    let before = running.offset(RequestCode::GET_MAX_OFFSET, &max).await;
    let header = SendMessageRequestHeader {
        producer_group: "P".into(),
        topic: "GoldenA".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: 1,
        born_timestamp: 1,
        properties: Some("TAGS\u{1}t\u{2}".into()),
        ..Default::default()
    };
    let sent = running.call(RequestCode::SEND_MESSAGE, &header, b"after the take-over").await;
    assert_eq!((sent.code, sent.ext.get("queueOffset")), (0, Some(before.to_string().as_str())));
    running.stop().await;
    assert!(!root.join("abort").exists(), "a clean stop leaves no abort file");

    let running = Running::start(conf, root, port).await;
    let records = running.pull_all("GoldenA", 1, before).await;
    assert_eq!(records.len(), 1);
    assert!(records[0].windows(19).any(|w| w == b"after the take-over"));
    running.stop().await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_java_5_5_0_is_taken_over() {
    take_over("java-5.5.0/basic", 25_511).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_java_4_9_7_is_taken_over() {
    take_over("java-4.9.7/basic", 25_521).await;
}
