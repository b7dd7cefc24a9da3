//! One store directory read back through two brokers, and the answers compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::java;
use crate::kill9::copy_sparse;
use crate::servers::{Cluster, Kind, Setup};

/// Differences printed before the rest is only counted.
const SHOWN: usize = 20;

#[derive(Args)]
pub struct Options {
    /// The store directory; it is copied for each broker and stays as it is.
    store: PathBuf,
    /// The two to compare.
    #[arg(long, value_delimiter = ',', default_value = "ours,java-5.5.0")]
    servers: Vec<Kind>,
    /// Properties to append to the brokers' configuration, for file sizes that cannot be seen from the store.
    #[arg(long)]
    conf: Option<PathBuf>,
    /// Version of the client classes that read.
    #[arg(long, default_value = "5.5.0")]
    client: String,
}

pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
    ensure!(options.servers.len() == 2, "two servers are compared");
    let since = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let classes = setup.work.join(format!("classes-{}", options.client));
    java::compile(&options.client, &classes)?;
    let dir = setup.run_dir("verify")?;
    let mut manifests = Vec::new();
    for (n, kind) in options.servers.iter().enumerate() {
        manifests.push(manifest(setup, options, &classes, kind, &dir.join(format!("{n}-{kind}")))?);
    }
    let differences = Comparison { since, long_level: None }.differences(&manifests[0], &manifests[1]);
    for line in differences.iter().take(SHOWN) {
        println!("  {line}");
    }
    if differences.len() > SHOWN {
        println!("  and {} more", differences.len() - SHOWN);
    }
    let messages = manifests[1]["messages"].as_array().map_or(0, Vec::len);
    println!(
        "{} messages, {} differences between {} and {}",
        messages,
        differences.len(),
        options.servers[0],
        options.servers[1]
    );
    setup.finish(&dir, differences.is_empty())?;
    Ok(differences.is_empty())
}

fn manifest(setup: &Setup, options: &Options, classes: &Path, kind: &Kind, dir: &Path) -> Result<Value> {
    std::fs::create_dir_all(dir)?;
    copy_sparse(&options.store, &dir.join("store"))?;
    let mut conf = file_sizes(&options.store)?;
    if let Some(extra) = &options.conf {
        let extra = std::fs::read_to_string(extra).with_context(|| extra.display().to_string())?;
        let own = [
            "listenPort",
            "haListenPort",
            "storePath",
            "brokerIP1",
            "namesrvAddr",
            "brokerId",
            "brokerName",
            "brokerClusterName",
        ];
        let kept = extra.lines().filter(|line| !own.iter().any(|key| line.trim_start().starts_with(key)));
        conf.extend(kept.flat_map(|line| [line, "\n"]));
    }
    conf.push_str("fileReservedTime=876000\n");
    let cluster = Cluster::start(setup, kind, dir, &conf)?;
    let manifest = read_back(&options.client, classes, &cluster, kind)?;
    cluster.stop()?;
    std::fs::write(dir.join("manifest.json"), manifest.to_string())?;
    Ok(manifest)
}

/// Everything that a running broker shows of its store.
pub fn read_back(client: &str, classes: &Path, cluster: &Cluster, kind: &Kind) -> Result<Value> {
    let mut command = java::client(client, classes, &cluster.store().with_file_name("client"))?;
    command.arg("Verify").arg(cluster.broker_address()).arg(cluster.store()).arg(kind.to_string());
    let output = command.output().context("java")?;
    ensure!(
        output.status.success(),
        "Verify.java on {kind}: {}",
        String::from_utf8_lossy(&output.stderr).lines().take(10).collect::<Vec<_>>().join("\n")
    );
    serde_json::from_slice(&output.stdout).context("manifest")
}

/// The sizes of the files that are there, as configuration: a broker with other sizes would not load them.
fn file_sizes(store: &Path) -> Result<String> {
    let mut conf = String::new();
    for (dir, key) in [
        ("commitlog", "mappedFileSizeCommitLog"),
        ("consumequeue", "mappedFileSizeConsumeQueue"),
        ("timerlog", "mappedFileSizeTimerLog"),
        ("consumequeue_ext", "mappedFileSizeConsumeQueueExt"),
    ] {
        if let Some(size) = first_size(&store.join(dir))? {
            conf.push_str(&format!("{key}={size}\n"));
            if dir == "consumequeue_ext" {
                conf.push_str("enableConsumeQueueExt=true\n");
            }
        }
    }
    Ok(conf)
}

/// The size of the first file below `dir` whose name is a number.
fn first_size(dir: &Path) -> Result<Option<u64>> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(None) };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if let Some(size) = first_size(&path)? {
                return Ok(Some(size));
            }
        } else if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        {
            let size = path.metadata()?.len();
            if size > 0 {
                return Ok(Some(size));
            }
        }
    }
    Ok(None)
}

/// How two manifests of one store are compared.
pub struct Comparison {
    /// Messages stored from this time on, ms, were written while the store was open for the comparison, say by the
    /// schedule of delayed messages, and are left out.
    pub since: i64,
    /// The level whose messages are not due; the progress of the others counts only when nothing was delivered.
    pub long_level: Option<u32>,
}

impl Comparison {
    /// What the two manifests tell differently about the store.
    pub fn differences(&self, left: &Value, right: &Value) -> Vec<String> {
        let mut found = Vec::new();
        compare(&self.messages(left), &self.messages(right), "message", &mut found);
        compare(&self.queues(left), &self.queues(right), "queue", &mut found);
        let (mut left_keys, mut right_keys) = (self.keys(left), self.keys(right));
        // Not all keys are asked for; new messages shift the choice.
        left_keys.retain(|key, _| right_keys.contains_key(key));
        right_keys.retain(|key, _| left_keys.contains_key(key));
        compare(&left_keys, &right_keys, "key", &mut found);
        for part in ["/config/consumerOffsets/offsetTable", "/config/delayOffsets/offsetTable"] {
            let (mut left_table, mut right_table) = (table(left, part), table(right, part));
            if part.contains("delay") {
                // 4.9.7 names no level that has delivered nothing.
                left_table.retain(|_, offset| offset.as_i64() != Some(0));
                right_table.retain(|_, offset| offset.as_i64() != Some(0));
            }
            if let Some(level) = self.long_level
                && part.contains("delay")
                && (self.has_new(left) || self.has_new(right))
            {
                left_table.retain(|key, _| *key == level.to_string());
                right_table.retain(|key, _| *key == level.to_string());
            }
            compare(&left_table, &right_table, part, &mut found);
        }
        for part in ["/config/topics/topicConfigTable", "/config/subscriptionGroups/subscriptionGroupTable"] {
            compare_common_fields(&table(left, part), &table(right, part), part, &mut found);
        }
        found
    }

    fn is_new(&self, message: &Value) -> bool {
        message["storeTimestamp"].as_i64().is_some_and(|time| time >= self.since)
    }

    fn has_new(&self, manifest: &Value) -> bool {
        manifest["messages"].as_array().into_iter().flatten().any(|message| self.is_new(message))
    }

    fn messages(&self, manifest: &Value) -> BTreeMap<String, Value> {
        let all = manifest["messages"].as_array().into_iter().flatten();
        all.filter(|message| !self.is_new(message))
            .map(|message| {
                let (offset, log_offset) = (&message["queueOffset"], &message["commitLogOffset"]);
                let key = format!("{} {offset} at {log_offset}", queue_of(message));
                (key, message["recordSha256"].clone())
            })
            .collect()
    }

    /// Minimum and maximum of each queue without the new messages.
    fn queues(&self, manifest: &Value) -> BTreeMap<String, Value> {
        let mut new: BTreeMap<String, i64> = BTreeMap::new();
        for message in manifest["messages"].as_array().into_iter().flatten().filter(|m| self.is_new(m)) {
            *new.entry(queue_of(message)).or_default() += 1;
        }
        let mut all = BTreeMap::new();
        for queue in manifest["queues"].as_array().into_iter().flatten() {
            let name = format!("{} {}", queue["topic"], queue["queueId"]);
            let max = queue["maxOffset"].as_i64().unwrap_or(-1) - new.get(&name).copied().unwrap_or(0);
            if max > 0 {
                all.insert(name, serde_json::json!([queue["minOffset"], max]));
            }
        }
        all
    }

    /// Offsets that each key finds, without those of new messages.
    fn keys(&self, manifest: &Value) -> BTreeMap<String, Value> {
        let messages = manifest["messages"].as_array().into_iter().flatten();
        let new: Vec<&Value> = messages
            .filter(|message| self.is_new(message))
            .map(|message| &message["commitLogOffset"])
            .collect();
        let mut all = BTreeMap::new();
        for query in manifest["indexQueries"].as_array().into_iter().flatten() {
            let found: Vec<&Value> = query["commitLogOffsets"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|offset| !new.contains(offset))
                .collect();
            all.insert(format!("{} {}", query["topic"], query["key"]), serde_json::json!(found));
        }
        all
    }
}

fn queue_of(message: &Value) -> String {
    let topic = message.get("cqTopic").unwrap_or(&message["topic"]);
    format!("{topic} {}", message.get("cqQueueId").unwrap_or(&message["queueId"]))
}

/// Compares the fields that both sides have, of the names that a user made: versions know different fields, and create
/// different system topics and groups.
fn compare_common_fields(
    left: &BTreeMap<String, Value>,
    right: &BTreeMap<String, Value>,
    what: &str,
    found: &mut Vec<String>,
) {
    for (name, left_fields) in left {
        let Some(right_fields) = right.get(name) else {
            if !is_system(name) {
                found.push(format!("{what} {name}: only in the first"));
            }
            continue;
        };
        for (field, value) in left_fields.as_object().into_iter().flatten() {
            if let Some(other) = right_fields.get(field)
                && other != value
            {
                found.push(format!("{what} {name} {field}: {value} and {other}"));
            }
        }
    }
    for name in right.keys().filter(|name| !left.contains_key(*name) && !is_system(name)) {
        found.push(format!("{what} {name}: only in the second"));
    }
}

/// Topics and groups that brokers create by themselves.
fn is_system(name: &str) -> bool {
    let prefixes =
        ["RMQ_SYS", "rmq_sys", "CID_", "SCHEDULE_TOPIC", "TBW102", "OFFSET_MOVED", "BenchmarkTest"];
    let own = ["SELF_TEST_TOPIC", "DefaultCluster", "broker-a", "TOOLS_CONSUMER", "SELF_TEST_C_GROUP"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
        || own.iter().any(|own| name.starts_with(own))
        || ["FILTERSRV_CONSUMER", "__MONITOR_CONSUMER", "SELF_TEST_P_GROUP"].contains(&name)
}

fn compare(
    left: &BTreeMap<String, Value>,
    right: &BTreeMap<String, Value>,
    what: &str,
    found: &mut Vec<String>,
) {
    for (key, value) in left {
        match right.get(key) {
            None => found.push(format!("{what} {key}: only in the first")),
            Some(other) if other != value => found.push(format!("{what} {key}: {value} and {other}")),
            Some(_) => {}
        }
    }
    for key in right.keys().filter(|key| !left.contains_key(*key)) {
        found.push(format!("{what} {key}: only in the second"));
    }
}

fn table(manifest: &Value, pointer: &str) -> BTreeMap<String, Value> {
    let object = manifest.pointer(pointer).and_then(Value::as_object);
    object.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn store(sha: &str, time: i64) -> Value {
        json!({
            "messages": [{"topic": "T", "queueId": 0, "queueOffset": 4, "commitLogOffset": 99, "recordSha256": sha, "storeTimestamp": time}],
            "queues": [{"topic": "T", "queueId": 0, "minOffset": 0, "maxOffset": 5, "readable": 5}],
            "indexQueries": [{"topic": "T", "key": "k", "commitLogOffsets": [99]}],
            "config": {
                "consumerOffsets": {"offsetTable": {"T@g": {"0": 3}}},
                "delayOffsets": {"offsetTable": {"1": 2}},
                "topics": {"topicConfigTable": {"T": {"perm": 6}}},
                "subscriptionGroups": {"subscriptionGroupTable": {"g": {"retryMaxTimes": 16}}}
            }
        })
    }

    fn differences(left: &Value, right: &Value) -> Vec<String> {
        Comparison { since: 1000, long_level: None }.differences(left, right)
    }

    #[test]
    fn equal_manifests_have_no_differences() {
        assert!(differences(&store("a", 1), &store("a", 1)).is_empty());
    }

    #[test]
    fn each_part_is_compared() {
        let left = store("a", 1);
        for (pointer, value) in [
            ("/messages/0/recordSha256", json!("b")),
            ("/queues/0/maxOffset", json!(6)),
            ("/indexQueries/0/commitLogOffsets", json!([])),
            ("/config/consumerOffsets/offsetTable/T@g", json!({"0": 4})),
            ("/config/delayOffsets/offsetTable/1", json!(3)),
            ("/config/topics/topicConfigTable/T/perm", json!(4)),
            ("/config/subscriptionGroups/subscriptionGroupTable/g", json!({"retryMaxTimes": 3})),
            ("/messages", json!([])),
        ] {
            let mut right = left.clone();
            *right.pointer_mut(pointer).unwrap() = value;
            assert_eq!(differences(&left, &right).len(), 1, "{pointer}");
            assert_eq!(differences(&right, &left).len(), 1, "{pointer} the other way");
        }
    }

    #[test]
    fn messages_written_during_the_comparison_do_not_count() {
        let left = store("a", 1);
        let mut right = left.clone();
        right["queues"][0]["maxOffset"] = json!(6);
        right["indexQueries"][0]["commitLogOffsets"] = json!([99, 120]);
        let new = json!({"topic": "T", "queueId": 0, "queueOffset": 5, "commitLogOffset": 120, "storeTimestamp": 1000});
        right["messages"].as_array_mut().unwrap().push(new);
        assert_eq!(differences(&left, &right), Vec::<String>::new());
        right["messages"][1]["storeTimestamp"] = json!(999);
        assert_eq!(differences(&left, &right).len(), 3);
    }

    #[test]
    fn progress_of_delays_counts_unless_something_was_delivered() {
        let left = store("a", 1);
        let mut right = left.clone();
        right["config"]["delayOffsets"]["offsetTable"] = json!({"1": 3, "19": 7});
        let comparison = Comparison { since: 1000, long_level: Some(19) };
        assert_eq!(comparison.differences(&left, &right).len(), 2);
        let new = json!({"topic": "U", "queueId": 0, "queueOffset": 5, "commitLogOffset": 120, "storeTimestamp": 1000});
        right["messages"].as_array_mut().unwrap().push(new);
        assert_eq!(comparison.differences(&left, &right).len(), 1);
    }
}
