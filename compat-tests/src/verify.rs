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
    let dir = setup.run_dir("verify")?;
    let mut manifests = Vec::new();
    for (n, kind) in options.servers.iter().enumerate() {
        manifests.push(manifest(setup, options, kind, &dir.join(format!("{n}-{kind}")))?);
    }
    let differences = differences(&manifests[0], &manifests[1], since);
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

fn manifest(setup: &Setup, options: &Options, kind: &Kind, dir: &Path) -> Result<Value> {
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
    let mut command = java::client(&options.client, dir, &dir.join("client"))?;
    command
        .arg(java::home().join("oracle/Verify.java"))
        .arg(cluster.broker_address())
        .arg(cluster.store())
        .arg(kind.to_string());
    let output = command.output().context("java")?;
    ensure!(
        output.status.success(),
        "Verify.java on {kind}: {}",
        String::from_utf8_lossy(&output.stderr).lines().take(10).collect::<Vec<_>>().join("\n")
    );
    cluster.stop()?;
    std::fs::write(dir.join("manifest.json"), &output.stdout)?;
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

/// What the two manifests tell differently about the store. Messages stored after `since` were written while the
/// store was open for this comparison, say by the schedule of delayed messages, and are left out.
fn differences(left: &Value, right: &Value, since: i64) -> Vec<String> {
    let mut found = Vec::new();
    compare(&messages(left, since), &messages(right, since), "message", &mut found);
    compare(
        &by(left, "queues", &["topic", "queueId"]),
        &by(right, "queues", &["topic", "queueId"]),
        "queue",
        &mut found,
    );
    compare(
        &by(left, "indexQueries", &["topic", "key"]),
        &by(right, "indexQueries", &["topic", "key"]),
        "key",
        &mut found,
    );
    for part in ["/config/consumerOffsets/offsetTable", "/config/delayOffsets/offsetTable"] {
        compare(&table(left, part), &table(right, part), part, &mut found);
    }
    found
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

fn messages(manifest: &Value, since: i64) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for message in manifest["messages"].as_array().into_iter().flatten() {
        if message["storeTimestamp"].as_i64().is_some_and(|time| time >= since) {
            continue;
        }
        let queue = message.get("cqTopic").unwrap_or(&message["topic"]);
        let id = message.get("cqQueueId").unwrap_or(&message["queueId"]);
        let key = format!("{queue} {id} {} at {}", message["queueOffset"], message["commitLogOffset"]);
        all.insert(key, message["recordSha256"].clone());
    }
    all
}

fn by(manifest: &Value, list: &str, keys: &[&str]) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for one in manifest[list].as_array().into_iter().flatten() {
        let name = keys.iter().map(|key| one[*key].to_string()).collect::<Vec<_>>().join(" ");
        all.insert(name, one.clone());
    }
    all
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
            "config": {"consumerOffsets": {"offsetTable": {"T@g": {"0": 3}}}, "delayOffsets": {"offsetTable": {"1": 2}}}
        })
    }

    #[test]
    fn equal_manifests_have_no_differences() {
        assert!(differences(&store("a", 1), &store("a", 1), 1000).is_empty());
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
            ("/messages", json!([])),
        ] {
            let mut right = left.clone();
            *right.pointer_mut(pointer).unwrap() = value;
            assert_eq!(differences(&left, &right, 1000).len(), 1, "{pointer}");
            assert_eq!(differences(&right, &left, 1000).len(), 1, "{pointer} the other way");
        }
    }

    #[test]
    fn messages_written_during_the_comparison_do_not_count() {
        assert!(differences(&store("a", 2000), &store("b", 2001), 1000).is_empty());
    }
}
