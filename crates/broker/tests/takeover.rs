//! A broker on a store that a Java broker left: every message, queue, key, topic, group and offset of the manifest that
//! Java made is served over the wire, byte for byte; and what is sent afterwards is there after a restart. What Java
//! refuses is refused.

#![allow(clippy::unwrap_used)]

#[path = "../../store/tests/golden/load.rs"]
mod load;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raptormq_base::clock::{Clock, SystemClock};
use raptormq_base::config::Host;
use raptormq_base::properties;
use raptormq_broker::Broker;
use raptormq_broker::config::Resolved;
use raptormq_remoting::{Client, Limits, RouteTable};
use raptormq_wire::header::{
    GetMaxOffsetRequestHeader, GetMinOffsetRequestHeader, PullMessageRequestHeader,
    QueryConsumerOffsetRequestHeader, QueryMessageRequestHeader, SendMessageRequestHeader,
};
use raptormq_wire::{Header, RemotingCommand, RequestCode, json};
use serde_json::Value;
use sha2::{Digest, Sha256};

const SUBSCRIPTION_FLAG: i32 = 4;

/// The time at which the manifest was made goes on: what was not due then is not due now.
struct ThatTime {
    clock: SystemClock,
    behind_ms: i64,
}

impl ThatTime {
    fn of(manifest: &Value) -> Self {
        let clock = SystemClock::new();
        let last =
            manifest["messages"].as_array().unwrap().iter().filter_map(|m| m["storeTimestamp"].as_i64());
        let behind_ms = clock.wall_ms() - last.max().unwrap() - 10_000;
        Self { clock, behind_ms }
    }
}

impl Clock for ThatTime {
    fn wall_ms(&self) -> i64 {
        self.clock.wall_ms() - self.behind_ms
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

struct Running {
    broker: Broker,
    client: Client,
    address: String,
}

impl Running {
    async fn start(conf: &str, root: &Path, port: u16, clock: Arc<dyn Clock>) -> Self {
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
        let broker = Broker::start(resolved, clock).await.unwrap();
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

/// Files that the broker neither reads nor writes yet, byte for byte as Java left them after our run.
const KEPT: [&str; 7] = [
    "timerwheel",
    "timerlog",
    "config/timercheck",
    "config/timermetrics",
    "config/consumerOrderInfo.json",
    "compaction",
    "rocksdbstore",
];

/// Three free ports in a row are hard to ask the system for; tests of this file take distinct ones instead.
async fn take_over(case: &str, port: u16) {
    let load::Unpacked { dir, root, manifest, conf } = load::unpack(case);
    let kept: Vec<_> = load::files(&root)
        .into_iter()
        .filter(|path| KEPT.iter().any(|kept| path.starts_with(kept)))
        .map(|path| (path.clone(), Sha256::digest(std::fs::read(root.join(path)).unwrap())))
        .collect();
    let clock: Arc<dyn Clock> = Arc::new(ThatTime::of(&manifest));
    let running = Running::start(&conf, &root, port, clock.clone()).await;
    let messages = check_messages(&running, &manifest).await;
    assert!(messages > 20, "the manifest of {case} has messages");
    check_keys(&running, &manifest).await;
    check_tables(&running, &manifest).await;
    let topic = manifest["queues"].as_array().unwrap().iter().map(|queue| queue["topic"].as_str().unwrap());
    let topic = topic.into_iter().find(|topic| ["GoldenA", "GoldenBulk"].contains(topic)).unwrap();
    send_and_restart(running, &conf, &root, port, topic, clock).await;
    for (path, sum) in kept {
        assert_eq!(Sha256::digest(std::fs::read(root.join(&path)).unwrap()), sum, "{}", path.display());
    }
    drop(dir);
}

/// All messages that can be pulled have the sha256 of the manifest; the number of them.
async fn check_messages(running: &Running, manifest: &Value) -> usize {
    let mut expected: BTreeMap<(String, i32), Vec<(i64, String)>> = BTreeMap::new();
    for message in manifest["messages"].as_array().unwrap() {
        if message["via"].is_null() {
            let topic = message["cqTopic"].as_str().or(message["topic"].as_str()).unwrap().to_owned();
            let queue = message["cqQueueId"].as_i64().or(message["queueId"].as_i64()).unwrap() as i32;
            let sum = message["recordSha256"].as_str().unwrap().into();
            let position = message["commitLogOffset"].as_i64().unwrap();
            expected.entry((topic, queue)).or_default().push((position, sum));
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
        let mut of_java = (queue["minOffset"].as_i64().unwrap(), queue["maxOffset"].as_i64().unwrap());
        if topic == "GoldenStatic" && queue_id == 2 {
            // Offsets of the broker's own queue: the mapping of static topics, here by 1000, is not applied.
            of_java = (of_java.0 - 1000, of_java.1 - 1000);
        }
        assert_eq!(bounds, of_java, "{topic} {queue_id}");
        let Some(wanted) = expected.remove(&(topic.clone(), queue_id)) else { continue };
        let records = running.pull_all(&topic, queue_id, bounds.0).await;
        let sums: Vec<String> = records
            .iter()
            .zip(&wanted)
            .map(|(record, (position, _))| {
                let mut record = record.to_vec();
                if topic == "GoldenCompact" {
                    // Java reads this topic from its compaction log, whose copies tell their position there.
                    record[28..36].copy_from_slice(&position.to_be_bytes());
                }
                hex(&Sha256::digest(record))
            })
            .collect();
        assert_eq!(records.len(), wanted.len(), "{topic} {queue_id}");
        let wanted: Vec<String> = wanted.into_iter().map(|(_, sum)| sum).collect();
        assert_eq!(sums, wanted, "{topic} {queue_id}");
        count += sums.len();
    }
    assert!(expected.is_empty(), "{expected:?}");
    count
}

/// Each key finds the messages that it found in Java.
async fn check_keys(running: &Running, manifest: &Value) {
    for query in manifest["indexQueries"].as_array().unwrap() {
        let header = QueryMessageRequestHeader {
            topic: query["topic"].as_str().unwrap().into(),
            key: query["key"].as_str().unwrap().into(),
            max_num: 32,
            begin_timestamp: 0,
            end_timestamp: i64::MAX,
            ..Default::default()
        };
        let response = running.call(RequestCode::QUERY_MESSAGE, &header, b"").await;
        assert_eq!(response.code, 0, "{query}: {:?}", response.remark);
        let mut body = response.body.to_bytes();
        let mut offsets = Vec::new();
        while !body.is_empty() {
            let len = u32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
            let record = body.split_to(len);
            offsets.push(i64::from_be_bytes(record[28..36].try_into().unwrap()));
        }
        assert_eq!(Value::from(offsets), query["commitLogOffsets"], "{query}");
    }
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
    let none = raptormq_wire::header::RpcRequestHeader::default();
    for (code, list) in [
        (RequestCode::GET_ALL_CONSUMER_OFFSET, "consumerOffsets"),
        (RequestCode::GET_ALL_DELAY_OFFSET, "delayOffsets"),
    ] {
        let response = running.call(code, &none, b"").await;
        let ours: Value = json::from_slice(&response.body.to_bytes()).unwrap();
        let of_java = config[list]["offsetTable"].as_object().unwrap();
        for (key, value) in of_java {
            assert_eq!(&ours["offsetTable"][key], value, "{list} {key}");
        }
        assert_eq!(ours["offsetTable"].as_object().unwrap().len(), of_java.len(), "{list}: {ours}");
    }
}

async fn send_and_restart(
    running: Running,
    conf: &str,
    root: &Path,
    port: u16,
    topic: &str,
    clock: Arc<dyn Clock>,
) {
    let max = GetMaxOffsetRequestHeader { topic: topic.into(), queue_id: 1, ..Default::default() };
    let before = running.offset(RequestCode::GET_MAX_OFFSET, &max).await;
    let header = SendMessageRequestHeader {
        producer_group: "P".into(),
        topic: topic.into(),
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

    let running = Running::start(conf, root, port, clock).await;
    let records = running.pull_all(topic, 1, before).await;
    assert_eq!(records.len(), 1);
    assert!(records[0].windows(19).any(|w| w == b"after the take-over"));
    running.stop().await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

macro_rules! taken_over {
    ($($name:ident: $case:literal, $port:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            take_over($case, $port).await;
        }
    )*};
}

taken_over! {
    basic_5_5_0: "java-5.5.0/basic", 22_011;
    basic_4_9_7: "java-4.9.7/basic", 22_021;
    delayed_messages_5_5_0: "java-5.5.0/sched", 22_031;
    timers_and_pop_5_5_0: "java-5.5.0/timerpop", 22_041;
    consume_queue_ext_5_5_0: "java-5.5.0/cqext", 22_051;
    light_queues_and_batch_queues_5_5_0: "java-5.5.0/lmq", 22_101;
    killed_5_5_0: "java-5.5.0/crash-kill9", 22_061;
    killed_4_9_7: "java-4.9.7/crash-kill9", 22_071;
    flipped_byte_in_the_last_file_5_5_0: "java-5.5.0/crash-flip-last-file", 22_081;
}

/// What `mqbroker` says of a directory that it refuses, and its exit code; the directory stays as it is.
fn refused(case: &str, port: u16, keys: impl Fn(&str) -> bool) -> (i32, String) {
    let load::Unpacked { dir, root, conf, .. } = load::unpack(case);
    let conf: String = conf.lines().filter(|line| keys(line)).flat_map(|line| [line, "\n"]).collect();
    let before: Vec<_> = load::files(&root)
        .into_iter()
        .filter(|path| !path.starts_with("index") && path != Path::new("lock"))
        .map(|path| (path.clone(), Sha256::digest(std::fs::read(root.join(path)).unwrap())))
        .collect();
    let file = dir.path().join("broker.conf");
    let extra = format!(
        "\nlistenPort={port}\nstorePathRootDir={0}\nstorePathCommitLog={0}/commitlog\nbindAddress=127.0.0.1\n",
        root.display()
    );
    std::fs::write(&file, conf + &extra).unwrap();
    let output = support::run(support::mqbroker(dir.path()).arg("-c").arg(file));
    for (path, sum) in before {
        assert_eq!(Sha256::digest(std::fs::read(root.join(&path)).unwrap()), sum, "{}", path.display());
    }
    (output.status.code().unwrap(), support::text(&output.stdout) + &support::text(&output.stderr))
}

#[test]
fn a_file_of_another_length_is_named_and_refused() {
    let (code, text) = refused("java-5.5.0/crash-short-file", 22_091, |_| true);
    assert_eq!(code, 253, "{text}");
    assert!(text.contains("commitlog/00000000000000524288"), "{text}");
    assert!(text.contains("117815 not matched message store config value 262144"), "{text}");
}

#[test]
fn a_store_in_rocksdb_is_refused_by_key_and_by_file() {
    let (code, text) = refused("java-5.5.0/rocksdb", 22_111, |_| true);
    assert_eq!(code, 253, "{text}");
    assert!(text.contains("storeType=defaultRocksDB"), "{text}");
    let (code, text) = refused("java-5.5.0/rocksdb", 22_121, |line| !line.starts_with("storeType"));
    assert_eq!(code, 253, "{text}");
    assert!(text.contains("consumequeue/CURRENT") && text.contains("defaultRocksDB"), "{text}");
}
