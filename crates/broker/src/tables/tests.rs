//! Whatever the files under `config/` hold, loading them ends in a table or in a refusal, and a table that was loaded
//! is the same after it was saved and loaded again.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use raptormq_base::clock::ManualClock;
use raptormq_base::config::Host;
use raptormq_wire::body::DelayOffsetSerializeWrapper;
use raptormq_wire::json;

use super::groups::GroupTable;
use super::offsets::OffsetTable;
use super::persist;
use super::topics::TopicTable;
use crate::config::Resolved;

/// Texts of Java brokers to begin with.
const TEXTS: [&str; 6] = [
    "{\n\t\"dataVersion\":{\n\t\t\"counter\":5,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":1795272731083\n\t},\n\t\"topicConfigTable\":{\n\t\t\"A\":{\n\t\t\t\"attributes\":{\"queue.type\":\"BatchCQ\"},\n\t\t\t\"order\":false,\n\t\t\t\"perm\":6,\n\t\t\t\"readQueueNums\":4,\n\t\t\t\"topicFilterType\":\"SINGLE_TAG\",\n\t\t\t\"topicName\":\"A\",\n\t\t\t\"topicSysFlag\":0,\n\t\t\t\"writeQueueNums\":4\n\t\t}\n\t}\n}",
    "{\n\t\"dataVersion\":{\"counter\":2},\n\t\"forbiddenTable\":{\"g\":{\"T\":4}},\n\t\"subscriptionGroupTable\":{\n\t\t\"g\":{\n\t\t\t\"attributes\":{},\n\t\t\t\"groupName\":\"g\",\n\t\t\t\"groupRetryPolicy\":{\n\t\t\t\t\"type\":\"CUSTOMIZED\"\n\t\t\t},\n\t\t\t\"retryMaxTimes\":16,\n\t\t\t\"subscriptionDataSet\":[{\"topic\":\"T\",\"version\":1}]\n\t\t}\n\t}\n}",
    "{\n\t\"dataVersion\":{\"counter\":1},\n\t\"groupTopicMap\":{\n\t\t\"G\":[\"T\"\n\t\t]\n\t},\n\t\"offsetTable\":{\n\t\t\"T@G\":{0:5,3:10\n\t\t}\n\t},\n\t\"pullOffsetTable\":{\"T@TOOLS_CONSUMER\":{0:6}}\n}",
    "{\"lmqOffsetTable\":{\"%LMQ%a@%LMQ%g\":9},\"offsetTable\":{'T@G':{\"0\":5}}}",
    "{\n\t\"dataVersion\":{\"counter\":1},\n\t\"offsetTable\":{1:3,2:1\n\t}\n}",
    "",
];

/// A change of a file's bytes.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Flip(at, mask) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            Self::Flip(..) => {}
            Self::Insert(at, new) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(a, b) => {
                let (a, b) = (a.index(bytes.len() + 1), b.index(bytes.len() + 1));
                bytes.drain(a.min(b)..a.max(b));
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "'",
        "-",
        "99999999999999999999",
        "1e999",
        "null",
        "true",
        "\\u",
        "\\",
        "/*",
        "//",
        "NaN",
        "{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{",
    ]);
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), 1..=255u8).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(at, new)| Damage::Insert(at, new)),
        (any::<Index>(), token).prop_map(|(at, new)| Damage::Insert(at, new.as_bytes().to_vec())),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Remove(a, b)),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let damaged = (prop::sample::select(TEXTS.to_vec()), prop::collection::vec(damage(), 0..4)).prop_map(
        |(text, all)| {
            let mut bytes = text.as_bytes().to_vec();
            all.iter().for_each(|damage| damage.apply(&mut bytes));
            bytes
        },
    );
    prop_oneof![4 => damaged, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

/// What a table says of itself, after a load of `file` that holds `bytes`; and what it says after a save and a load.
fn twice(directory: &Path, file: &str, bytes: &[u8]) -> Option<(String, String)> {
    let path = directory.join(file);
    std::fs::write(&path, bytes).unwrap();
    let first = shown(directory, file)?;
    // Under its name now, or moved aside in favour of a `.bak`, of which there is none.
    Some((first, shown(directory, file).expect("what was saved can be loaded")))
}

fn defaults() -> Resolved {
    let host = Host {
        user_home: "/home/u".into(),
        rocketmq_home: None,
        namesrv_addr: None,
        hostname: "box".into(),
        local_address: "10.0.0.1".into(),
        cpus: 2,
    };
    Resolved::resolve(Resolved::defaults(&host), None).unwrap()
}

fn shown(directory: &Path, file: &str) -> Option<String> {
    let path = directory.join(file);
    let clock = || Arc::new(ManualClock::new(7));
    match file {
        "topics.json" => {
            let resolved = defaults();
            let table = TopicTable::load(path, &resolved.broker, &resolved.store, clock()).ok()?;
            table.save();
            Some(json::to_string(&table.wrapper()))
        }
        "subscriptionGroup.json" => {
            let table = GroupTable::load(path, false, clock()).ok()?;
            table.save();
            Some(json::to_string(&table.wrapper()))
        }
        "delayOffset.json" => {
            let table: DelayOffsetSerializeWrapper = persist::load(&path).ok()?.unwrap_or_default();
            persist::save(&path, &table).unwrap();
            Some(json::to_string(&table))
        }
        _ => {
            let table = OffsetTable::load(directory, file.starts_with("lmq"), 1, clock()).ok()?;
            table.save();
            Some(json::to_string(&table.file()))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_table_or_a_refusal(bytes in content()) {
        let directory = tempfile::tempdir().unwrap();
        for file in
            ["topics.json", "subscriptionGroup.json", "consumerOffset.json", "lmqConsumerOffset.json", "delayOffset.json"]
        {
            if let Some((first, second)) = twice(directory.path(), file, &bytes) {
                prop_assert_eq!(first, second, "{}", file);
            }
            let _ = std::fs::remove_file(directory.path().join(format!("{file}.bak")));
        }
    }
}

#[test]
fn the_texts_that_damage_begins_with_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    let files = [
        "topics.json",
        "subscriptionGroup.json",
        "consumerOffset.json",
        "lmqConsumerOffset.json",
        "delayOffset.json",
    ];
    for (file, text) in files.iter().zip(TEXTS) {
        let (first, second) = twice(directory.path(), file, text.as_bytes()).expect(file);
        assert_eq!(first, second);
        assert!(
            first.contains(":5") || first.contains("\"g\"") || first.contains(":9") || first.contains("1:3"),
            "{first}"
        );
    }
}

/// A topic whose table cannot be written does not exist, or a crash would take it away with its messages.
#[test]
fn a_topic_that_cannot_be_persisted_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    std::fs::create_dir(&config).unwrap();
    let resolved = defaults();
    let path = config.join("topics.json");
    let topics =
        TopicTable::load(path, &resolved.broker, &resolved.store, Arc::new(ManualClock::new(7))).unwrap();
    // A file where the directory should be.
    std::fs::remove_dir(&config).unwrap();
    std::fs::write(&config, "").unwrap();
    assert!(topics.create_on_send("T", "TBW102", 4, 0).is_none() && topics.is_unsaved());
    assert!(!topics.contains("T"));
    std::fs::remove_file(&config).unwrap();
    std::fs::create_dir(&config).unwrap();
    topics.save_again();
    assert!(!topics.is_unsaved() && config.join("topics.json").exists());
    assert!(topics.create_on_send("T", "TBW102", 4, 0).is_some());
}
