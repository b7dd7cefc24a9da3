//! How far each group has consumed each queue, in `config/consumerOffset.json` (`ConsumerOffsetManager`), or with
//! `enableLmq` in `config/lmqConsumerOffset.json` (`LmqConsumerOffsetManager`). The other file is left alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use raptormq_base::clock::Clock;
use raptormq_wire::body::DataVersion;
use serde::{Deserialize, Serialize};

use super::persist;
use crate::names;

/// Queue → offset, of one topic and group.
type Queues = BTreeMap<i32, i64>;

/// The file's content. `groupTopicMap` is derived, and written because Java 5.5.0 writes it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OffsetFile {
    data_version: Option<DataVersion>,
    group_topic_map: Option<BTreeMap<String, BTreeSet<String>>>,
    lmq_offset_table: Option<BTreeMap<String, i64>>,
    offset_table: BTreeMap<String, Queues>,
    pull_offset_table: Option<BTreeMap<String, Queues>>,
}

#[derive(Default)]
struct State {
    /// By `topic@group`.
    committed: HashMap<String, Queues>,
    /// Where the last pull of a group ended, by `topic@group`.
    pulled: HashMap<String, Queues>,
    /// Of groups whose name begins with `%LMQ%`, by `topic@group`; `None` unless `enableLmq`. They have one queue.
    light: Option<HashMap<String, i64>>,
    /// Offsets that an administrator has set and no pull has been told yet, by `topic@group`. Not persisted.
    reset: HashMap<String, Queues>,
    version: DataVersion,
    commits: i64,
}

/// All consumer offsets.
pub struct OffsetTable {
    clock: Arc<dyn Clock>,
    path: PathBuf,
    version_step: i64,
    state: RwLock<State>,
    saving: Mutex<()>,
}

impl State {
    fn reset_to(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        // Resets are rare, and this is asked at each pull.
        if self.reset.is_empty() {
            return None;
        }
        self.reset.get(&key(topic, group))?.get(&queue_id).copied()
    }
}

fn key(topic: &str, group: &str) -> String {
    format!("{topic}@{group}")
}

impl OffsetTable {
    /// Loads the table from `config`. Its version moves once in `version_step` commits.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn load(
        config: &Path,
        enable_lmq: bool,
        version_step: i64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, persist::LoadError> {
        let (file, other) = ("consumerOffset.json", "lmqConsumerOffset.json");
        let (file, other) = if enable_lmq { (other, file) } else { (file, other) };
        let path = config.join(file);
        let mut state = State { light: enable_lmq.then(HashMap::new), ..State::default() };
        state.version.timestamp = clock.wall_ms();
        match persist::load::<OffsetFile>(&path)? {
            Some(loaded) => {
                state.committed = loaded.offset_table.into_iter().collect();
                state.pulled = loaded.pull_offset_table.unwrap_or_default().into_iter().collect();
                state.version = loaded.data_version.unwrap_or(state.version);
                if let (Some(light), Some(loaded)) = (&mut state.light, loaded.lmq_offset_table) {
                    light.extend(loaded);
                }
            }
            None if config.join(other).exists() => {
                tracing::warn!(
                    enable_lmq,
                    "consumer offsets begin anew: with this enableLmq they are kept in {file}, and there is only {other}"
                );
            }
            None => {}
        }
        let version_step = version_step.max(1);
        Ok(Self { clock, path, version_step, state: RwLock::new(state), saving: Mutex::new(()) })
    }

    /// The committed offset, or that of a reset which the consumer does not know yet; `None` where the group has none
    /// for this queue.
    pub fn get(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        let state = self.state.read();
        if let Some(offset) = state.reset_to(group, topic, queue_id) {
            return Some(offset);
        }
        match &state.light {
            Some(light) if names::is_lmq(group) => light.get(&key(topic, group)).copied(),
            _ => state.committed.get(&key(topic, group))?.get(&queue_id).copied(),
        }
    }

    /// All committed offsets of a group and topic.
    pub fn get_all(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        let state = self.state.read();
        match &state.light {
            Some(light) if names::is_lmq(group) => {
                light.get(&key(topic, group)).map(|offset| Queues::from([(0, *offset)])).unwrap_or_default()
            }
            _ => state.committed.get(&key(topic, group)).cloned().unwrap_or_default(),
        }
    }

    /// Commits an offset. One below the present offset is taken too, as Java does: a consumer may go back.
    pub fn commit(&self, group: &str, topic: &str, queue_id: i32, offset: i64) {
        let mut state = self.state.write();
        if let Some(light) = state.light.as_mut().filter(|_| names::is_lmq(group)) {
            light.insert(key(topic, group), offset);
            return;
        }
        let old = state.committed.entry(key(topic, group)).or_default().insert(queue_id, offset);
        if old.is_some_and(|old| offset < old) {
            tracing::warn!(group, topic, queue_id, offset, old, "consumer offset moves back");
        }
        state.commits += 1;
        if state.commits % self.version_step == 0 {
            state.version.advance(0, self.clock.wall_ms());
        }
    }

    /// Sets an offset that the next pull of the queue is answered with (`assignResetOffset`).
    pub fn reset(&self, group: &str, topic: &str, queue_id: i32, offset: i64) {
        if queue_id < 0 || offset < 0 {
            return;
        }
        self.state.write().reset.entry(key(topic, group)).or_default().insert(queue_id, offset);
        self.commit(group, topic, queue_id, offset);
    }

    /// Whether the consumer of a queue has still to be told that its offset was reset (`hasOffsetReset`).
    pub fn has_reset(&self, group: &str, topic: &str, queue_id: i32) -> bool {
        self.state.read().reset_to(group, topic, queue_id).is_some()
    }

    /// The offset that a pull is to be answered with, once (`queryThenEraseResetOffset`).
    pub fn take_reset(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        if !self.has_reset(group, topic, queue_id) {
            return None;
        }
        let key = key(topic, group);
        let mut state = self.state.write();
        let queues = state.reset.get_mut(&key)?;
        let offset = queues.remove(&queue_id);
        if queues.is_empty() {
            state.reset.remove(&key);
        }
        offset
    }

    /// Remembers where a pull ended.
    pub fn pulled(&self, group: &str, topic: &str, queue_id: i32, offset: i64) {
        let key = key(topic, group);
        let mut state = self.state.write();
        match state.pulled.get_mut(&key) {
            Some(queues) => {
                queues.insert(queue_id, offset);
            }
            None => {
                state.pulled.insert(key, Queues::from([(queue_id, offset)]));
            }
        }
    }

    /// Where the last pull ended; -1 where there was none.
    pub fn pull_offset(&self, group: &str, topic: &str, queue_id: i32) -> i64 {
        let state = self.state.read();
        state.pulled.get(&key(topic, group)).and_then(|q| q.get(&queue_id)).copied().unwrap_or(-1)
    }

    /// The topics for which `group` has committed offsets.
    pub fn topics_of(&self, group: &str) -> BTreeSet<String> {
        let state = self.state.read();
        let names = state.committed.keys().filter_map(|k| k.split_once('@'));
        names.filter(|(_, g)| *g == group).map(|(topic, _)| topic.to_owned()).collect()
    }

    /// The groups that have committed offsets for `topic`.
    pub fn groups_of(&self, topic: &str) -> BTreeSet<String> {
        let state = self.state.read();
        let names = state.committed.keys().filter_map(|k| k.split_once('@'));
        names.filter(|(t, _)| *t == topic).map(|(_, group)| group.to_owned()).collect()
    }

    /// Replaces the offsets of group `to` for a topic by those of group `from`, if that has any (`cloneOffset`).
    pub fn copy(&self, from: &str, to: &str, topic: &str) {
        let mut state = self.state.write();
        if let Some(queues) = state.committed.get(&key(topic, from)).cloned() {
            state.committed.insert(key(topic, to), queues);
        }
    }

    /// Forgets all offsets of a topic, or of a group.
    pub fn remove(&self, topic: Option<&str>, group: Option<&str>) {
        let keep = |key: &String| {
            let (t, g) = key.split_once('@').unwrap_or((key, ""));
            !(topic.is_some_and(|topic| topic == t) || group.is_some_and(|group| group == g))
        };
        let mut state = self.state.write();
        state.committed.retain(|key, _| keep(key));
        state.pulled.retain(|key, _| keep(key));
        state.reset.retain(|key, _| keep(key));
        if let (Some(light), Some(group)) = (&mut state.light, group) {
            // As Java, which leaves these offsets when a topic goes.
            light.retain(|key, _| key.split_once('@').is_none_or(|(_, owner)| owner != group));
        }
        state.version.advance(0, self.clock.wall_ms());
    }

    /// The file's content.
    pub fn file(&self) -> OffsetFile {
        let state = self.state.read();
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (topic, group) in state.committed.keys().filter_map(|k| k.split_once('@')) {
            groups.entry(group.to_owned()).or_default().insert(topic.to_owned());
        }
        let sorted =
            |table: &HashMap<String, Queues>| table.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        OffsetFile {
            data_version: Some(state.version.clone()),
            group_topic_map: Some(groups),
            lmq_offset_table: state.light.as_ref().map(|l| l.iter().map(|(k, v)| (k.clone(), *v)).collect()),
            offset_table: sorted(&state.committed),
            pull_offset_table: Some(sorted(&state.pulled)),
        }
    }

    /// Writes the file; blocks. A failure is logged, the next period writes again.
    pub fn save(&self) {
        let _one_at_a_time = self.saving.lock();
        if let Err(error) = persist::save(&self.path, &self.file()) {
            tracing::error!(file = %self.path.display(), %error, "consumer offsets are not persisted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_base::clock::ManualClock;

    fn load(config: &Path, enable_lmq: bool) -> OffsetTable {
        OffsetTable::load(config, enable_lmq, 2, Arc::new(ManualClock::new(7))).unwrap()
    }

    #[test]
    fn offsets_survive_a_restart_in_javas_text() {
        let directory = tempfile::tempdir().unwrap();
        let table = load(directory.path(), false);
        table.commit("G", "T", 0, 5);
        table.commit("G", "T", 3, 10);
        table.pulled("G", "T", 0, 6);
        assert_eq!(
            (table.get("G", "T", 3), table.get("G", "T", 1), table.get("G", "U", 0)),
            (Some(10), None, None)
        );
        table.save();
        let text = std::fs::read_to_string(directory.path().join("consumerOffset.json")).unwrap();
        assert_eq!(
            text,
            "{\n\t\"dataVersion\":{\n\t\t\"counter\":1,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":7\n\t},\n\t\"groupTopicMap\":{\n\t\t\"G\":[\n\t\t\t\"T\"\n\t\t]\n\t},\n\t\"offsetTable\":{\n\t\t\"T@G\":{\n\t\t\t0:5,\n\t\t\t3:10\n\t\t}\n\t},\n\t\"pullOffsetTable\":{\n\t\t\"T@G\":{\n\t\t\t0:6\n\t\t}\n\t}\n}"
        );
        let again = load(directory.path(), false);
        assert_eq!(again.get_all("G", "T"), BTreeMap::from([(0, 5), (3, 10)]));
        assert_eq!(again.pull_offset("G", "T", 0), 6);
        again.remove(Some("T"), None);
        assert_eq!(again.get("G", "T", 0), None);
    }

    #[test]
    fn a_reset_offset_is_told_once_and_is_the_committed_one() {
        let directory = tempfile::tempdir().unwrap();
        let table = load(directory.path(), false);
        table.commit("G", "T", 0, 50);
        table.reset("G", "T", 0, 3);
        table.reset("G", "T", 1, -1);
        table.commit("G", "T", 0, 51);
        assert_eq!(table.get("G", "T", 0), Some(3), "until a pull is told, nobody else decides");
        assert!(
            table.has_reset("G", "T", 0) && !table.has_reset("G", "T", 1) && !table.has_reset("H", "T", 0)
        );
        assert_eq!((table.take_reset("G", "T", 1), table.take_reset("G", "T", 0)), (None, Some(3)));
        assert_eq!((table.take_reset("G", "T", 0), table.get("G", "T", 0)), (None, Some(51)));
        table.reset("G", "T", 0, 4);
        table.save();
        assert_eq!(load(directory.path(), false).get("G", "T", 0), Some(4), "it is committed");
        table.remove(Some("T"), None);
        assert!(!table.has_reset("G", "T", 0));
    }

    #[test]
    fn the_text_of_4_9_brokers_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("consumerOffset.json");
        std::fs::write(&path, "{\n\t\"offsetTable\":{\n\t\t\"T@G\":{0:5,3:10\n\t\t}\n\t}\n}").unwrap();
        assert_eq!(load(directory.path(), false).get("G", "T", 3), Some(10));
        std::fs::write(&path, r#"{"offsetTable":{"T@G":{"0":5}}}"#).unwrap();
        assert_eq!(load(directory.path(), false).get("G", "T", 0), Some(5));
    }

    #[test]
    fn light_queues_have_their_own_table_in_a_file_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let normal = load(directory.path(), false);
        normal.commit("G", "T", 0, 5);
        normal.commit("%LMQ%g", "%LMQ%one", 0, 6);
        normal.save();
        let consumer_offset = std::fs::read(directory.path().join("consumerOffset.json")).unwrap();

        let table = load(directory.path(), true);
        assert_eq!(table.get("G", "T", 0), None, "the other file is not read");
        table.commit("G", "T", 1, 7);
        table.commit("%LMQ%g", "%LMQ%one", 0, 8);
        table.commit("%LMQ%h", "%LMQ%one", 0, 9);
        table.save();
        let again = load(directory.path(), true);
        assert_eq!((again.get("G", "T", 1), again.get("%LMQ%g", "%LMQ%one", 0)), (Some(7), Some(8)));
        assert_eq!(again.get_all("%LMQ%g", "%LMQ%one"), BTreeMap::from([(0, 8)]));
        let text = std::fs::read_to_string(directory.path().join("lmqConsumerOffset.json")).unwrap();
        assert!(text.contains("\"lmqOffsetTable\":{\n\t\t\"%LMQ%one@%LMQ%g\":8,"), "{text}");
        again.remove(Some("%LMQ%one"), None);
        again.remove(None, Some("%LMQ%g"));
        assert_eq!((again.get("%LMQ%g", "%LMQ%one", 0), again.get("%LMQ%h", "%LMQ%one", 0)), (None, Some(9)));
        assert_eq!(std::fs::read(directory.path().join("consumerOffset.json")).unwrap(), consumer_offset);
        assert_eq!(load(directory.path(), false).get("%LMQ%g", "%LMQ%one", 0), Some(6));
    }
}
