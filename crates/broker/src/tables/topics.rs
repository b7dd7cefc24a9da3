//! The topics of this broker, in `config/topics.json` (`TopicConfigManager`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use raptormq_base::clock::Clock;
use raptormq_wire::body::{DataVersion, TopicConfig, TopicConfigSerializeWrapper, TopicFilterType};
use raptormq_wire::json::JavaEnum;

use super::{blocking, persist};
use crate::config::{BrokerSettings, StoreSettings};
use crate::names::{self, perm};

/// A topic with `queues` queues and every other field as Java's constructor sets it.
pub fn topic(name: &str, queues: i32, perm: i32) -> TopicConfig {
    TopicConfig {
        topic_name: name.to_owned(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm,
        ..TopicConfig::default()
    }
}

/// Whether the queues of a topic are batch queues (`QueueTypeUtils.isBatchCq`).
pub fn is_batch_cq(topic: &TopicConfig) -> bool {
    topic.attributes.get("queue.type").is_some_and(|kind| kind == "BatchCQ")
}

/// The topics with batch queues in the file at `path`, which the store must know before it recovers.
///
/// # Errors
/// When the file exists and cannot be read.
pub fn batch_topics(path: &Path) -> Result<BTreeSet<String>, persist::LoadError> {
    let table = persist::peek::<TopicConfigSerializeWrapper>(path)?.unwrap_or_default().topic_config_table;
    Ok(table.into_iter().filter(|(_, topic)| is_batch_cq(topic)).map(|(name, _)| name).collect())
}

/// `TopicConfig.toString`, which appears in remarks.
pub fn describe(topic: &TopicConfig) -> String {
    let attributes: Vec<String> = topic.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!(
        "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={}, topicFilterType={}, topicSysFlag={}, order={}, attributes={{{}}}]",
        topic.topic_name,
        topic.read_queue_nums,
        topic.write_queue_nums,
        perm_text(topic.perm),
        filter_type_name(topic.topic_filter_type),
        topic.topic_sys_flag,
        topic.order,
        attributes.join(", "),
    )
}

/// Java's name of a filter type.
pub fn filter_type_name(filter: TopicFilterType) -> &'static str {
    TopicFilterType::VALUES.iter().find(|(value, _)| *value == filter).map_or("", |(_, name)| name)
}

/// `PermName.perm2String`: a letter for each right.
fn perm_text(bits: i32) -> String {
    let letter = |has: bool, letter: char| if has { letter } else { '-' };
    [
        letter(perm::is_readable(bits), 'R'),
        letter(perm::is_writable(bits), 'W'),
        letter(perm::is_inherited(bits), 'X'),
    ]
    .iter()
    .collect()
}

struct State {
    table: HashMap<String, Arc<TopicConfig>>,
    version: DataVersion,
}

/// All topics.
pub struct TopicTable {
    clock: Arc<dyn Clock>,
    path: PathBuf,
    state: RwLock<State>,
    /// System topics that are named after this cluster and broker.
    own_system_topics: Vec<String>,
    /// Light message queues need no topic (`LmqTopicConfigManager`).
    enable_lmq: bool,
    saving: Mutex<()>,
    /// The last write of the file failed.
    unsaved: AtomicBool,
}

impl TopicTable {
    /// Loads the table and adds the system topics that a 5.5.0 broker has from its start.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn load(
        path: PathBuf,
        broker: &BrokerSettings,
        store: &StoreSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, persist::LoadError> {
        let mut version = DataVersion { timestamp: clock.wall_ms(), ..DataVersion::default() };
        let mut table: HashMap<String, Arc<TopicConfig>> = HashMap::new();
        let system = system_topics(broker, store);
        let own_system_topics = system.iter().map(|t| t.topic_name.clone()).collect();
        for topic in system {
            table.insert(topic.topic_name.clone(), Arc::new(topic));
        }
        if let Some(loaded) = persist::load::<TopicConfigSerializeWrapper>(&path)? {
            for (name, mut topic) in loaded.topic_config_table {
                topic.topic_name.clone_from(&name);
                for queues in [&mut topic.read_queue_nums, &mut topic.write_queue_nums] {
                    if *queues > names::QUEUES_MAX {
                        tracing::warn!(
                            topic = name,
                            queues,
                            "a topic has at most {} queues",
                            names::QUEUES_MAX
                        );
                        *queues = names::QUEUES_MAX;
                    }
                }
                table.insert(name, Arc::new(topic));
            }
            version = loaded.data_version;
        }
        let state = RwLock::new(State { table, version });
        let enable_lmq = store.enable_lmq;
        Ok(Self {
            clock,
            path,
            state,
            own_system_topics,
            enable_lmq,
            saving: Mutex::new(()),
            unsaved: AtomicBool::new(false),
        })
    }

    /// A topic; that of a light message queue is made up.
    pub fn get(&self, topic: &str) -> Option<Arc<TopicConfig>> {
        if self.is_light(topic) {
            return Some(light(topic));
        }
        self.state.read().table.get(topic).cloned()
    }

    /// Whether a topic exists.
    pub fn contains(&self, topic: &str) -> bool {
        self.is_light(topic) || self.state.read().table.contains_key(topic)
    }

    fn is_light(&self, topic: &str) -> bool {
        self.enable_lmq && names::is_lmq(topic)
    }

    /// Whether `topic` belongs to the system, by its name or as one of this broker's own.
    pub fn is_system(&self, topic: &str) -> bool {
        names::is_system_topic(topic) || self.own_system_topics.iter().any(|t| t == topic)
    }

    /// Every topic, by name.
    pub fn all(&self) -> BTreeMap<String, Arc<TopicConfig>> {
        self.state.read().table.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// The table's version.
    pub fn version(&self) -> DataVersion {
        self.state.read().version.clone()
    }

    /// The table as the name server and the tools receive it.
    pub fn wrapper(&self) -> TopicConfigSerializeWrapper {
        let state = self.state.read();
        TopicConfigSerializeWrapper {
            topic_config_table: state.table.iter().map(|(k, v)| (k.clone(), (**v).clone())).collect(),
            data_version: state.version.clone(),
        }
    }

    /// Creates `name` from `default_topic`, whose permission must be inheritable, with at most as many queues as it
    /// and the producer want. Returns the topic and whether it is new; `None` where it may not be created.
    pub fn create_on_send(
        &self,
        name: &str,
        default_topic: &str,
        client_queues: i32,
        sys_flag: i32,
    ) -> Option<(Arc<TopicConfig>, bool)> {
        self.create(name, |table| {
            let default = table.get(default_topic)?;
            if !perm::is_inherited(default.perm) {
                return None;
            }
            let queues = client_queues.min(default.write_queue_nums).max(0);
            let mut created = topic(name, queues, default.perm & !perm::INHERIT);
            created.topic_sys_flag = sys_flag;
            created.topic_filter_type = default.topic_filter_type;
            Some(created)
        })
    }

    /// Creates a retry or dead-letter topic. Returns it and whether it is new or its `order` has changed.
    pub fn create_on_send_back(
        &self,
        name: &str,
        queues: i32,
        order: bool,
        sys_flag: i32,
    ) -> Option<(Arc<TopicConfig>, bool)> {
        if let Some(existing) = self.get(name) {
            if existing.order == order {
                return Some((existing, false));
            }
            if let Some(changed) = self.change(&[name], |topic| topic.order = order).pop() {
                return Some((changed, true));
            }
        }
        self.create(name, |_| {
            let mut created = topic(name, queues, perm::READ | perm::WRITE);
            created.topic_sys_flag = sys_flag;
            created.order = order;
            Some(created)
        })
    }

    /// Creates or replaces a topic and persists the table; that of a light message queue stays as it is.
    pub fn put(&self, topic: TopicConfig) -> Arc<TopicConfig> {
        if self.is_light(&topic.topic_name) {
            return light(&topic.topic_name);
        }
        let topic = Arc::new(topic);
        let name = topic.topic_name.clone();
        {
            let mut state = self.state.write();
            state.table.insert(name, topic.clone());
            state.version.advance(0, self.clock.wall_ms());
        }
        self.save();
        topic
    }

    /// Forgets a topic; whether it existed.
    pub fn remove(&self, topic: &str) -> bool {
        {
            let mut state = self.state.write();
            if state.table.remove(topic).is_none() {
                return false;
            }
            state.version.advance(0, self.clock.wall_ms());
        }
        self.save();
        true
    }

    /// Takes over the order flags that the name server keeps; whether one changed (`updateOrderTopicConfig`).
    pub fn set_order_topics(&self, ordered: &[String]) -> bool {
        let unordered: Vec<&str> = {
            let state = self.state.read();
            let is_unordered = |name: &str| state.table.get(name).is_some_and(|topic| !topic.order);
            ordered.iter().map(String::as_str).filter(|name| is_unordered(name)).collect()
        };
        !self.change(&unordered, |topic| topic.order = true).is_empty()
    }

    /// Changes those of `names` that exist and are not yet as wanted, and persists the table; returns them.
    fn change(&self, names: &[&str], change: impl Fn(&mut TopicConfig)) -> Vec<Arc<TopicConfig>> {
        let mut changed = Vec::new();
        {
            let mut state = self.state.write();
            for name in names {
                let Some(topic) = state.table.get_mut(*name) else { continue };
                let mut wanted = (**topic).clone();
                change(&mut wanted);
                if wanted != **topic {
                    *topic = Arc::new(wanted);
                    changed.push(topic.clone());
                }
            }
            if changed.is_empty() {
                return changed;
            }
            state.version.advance(0, self.clock.wall_ms());
        }
        self.save();
        changed
    }

    /// Whether the last write of the file failed: no topic can be made then.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved.load(Ordering::SeqCst)
    }

    /// Moves the version without a change, so that name servers take the table again (a new broker permission).
    pub fn touch(&self) {
        self.state.write().version.advance(0, self.clock.wall_ms());
    }

    /// Writes the file; whether that went well. A failure is logged: the table in memory stays right, and the next
    /// change or [`Self::save_again`] writes it.
    pub fn save(&self) -> bool {
        // Waiting for another writer is waiting for the disk, too.
        let saved = blocking(|| {
            let _one_at_a_time = self.saving.lock();
            persist::save(&self.path, &self.wrapper())
        });
        if let Err(error) = &saved {
            tracing::error!(file = %self.path.display(), %error, "topics are not persisted");
        }
        self.unsaved.store(saved.is_err(), Ordering::SeqCst);
        saved.is_ok()
    }

    /// Writes the file if the last time failed.
    pub fn save_again(&self) {
        if self.unsaved.load(Ordering::SeqCst) && self.save() {
            tracing::info!(file = %self.path.display(), "topics are persisted again");
        }
    }

    fn create(
        &self,
        name: &str,
        make: impl FnOnce(&HashMap<String, Arc<TopicConfig>>) -> Option<TopicConfig>,
    ) -> Option<(Arc<TopicConfig>, bool)> {
        let created = {
            let mut state = self.state.write();
            if let Some(existing) = state.table.get(name) {
                return Some((existing.clone(), false));
            }
            let created = Arc::new(make(&state.table)?);
            state.table.insert(name.to_owned(), created.clone());
            state.version.advance(0, self.clock.wall_ms());
            created
        };
        if !self.save() {
            // Messages must not be acknowledged in a topic that a crash would take away. Java does.
            let mut state = self.state.write();
            state.table.remove(name);
            state.version.advance(0, self.clock.wall_ms());
            return None;
        }
        tracing::info!(topic = name, queues = created.write_queue_nums, "topic created");
        Some((created, true))
    }
}

/// The topic of a light message queue (`LmqTopicConfigManager.simpleLmqTopicConfig`).
fn light(name: &str) -> Arc<TopicConfig> {
    Arc::new(topic(name, 1, perm::READ | perm::WRITE))
}

/// The topics of `TopicConfigManager.init`.
fn system_topics(broker: &BrokerSettings, store: &StoreSettings) -> Vec<TopicConfig> {
    let rw = perm::READ | perm::WRITE;
    let inherit = |allowed: bool| if allowed { perm::INHERIT | rw } else { perm::INHERIT };
    let mut topics = vec![
        topic(names::SELF_TEST_TOPIC, 1, rw),
        topic(names::BENCHMARK_TOPIC, 1024, rw),
        topic(&broker.broker_cluster_name, 16, inherit(broker.cluster_topic_enable)),
        topic(&broker.broker_name, 1, inherit(broker.broker_topic_enable)),
        topic(names::OFFSET_MOVED_EVENT, 1, rw),
        topic(names::SCHEDULE_TOPIC, 18, rw),
        topic(&format!("{}_REPLY_TOPIC", broker.broker_cluster_name), 1, rw),
        topic(&format!("rmq_sys_REVIVE_LOG_{}", broker.broker_cluster_name), broker.revive_queue_num, rw),
        topic(&format!("rmq_sys_SYNC_BROKER_MEMBER_{}", broker.broker_name), 1, perm::INHERIT),
        topic(names::HALF_TOPIC, 1, rw),
        topic(names::OP_HALF_TOPIC, 1, rw),
    ];
    if broker.auto_create_topic_enable {
        let queues = broker.default_topic_queue_nums;
        topics.push(topic(names::AUTO_CREATE_TOPIC, queues, perm::INHERIT | rw));
    }
    if broker.trace_topic_enable {
        topics.push(topic(&broker.msg_trace_topic_name, 1, rw));
    }
    if store.timer_wheel_enable {
        topics.push(topic(names::TIMER_TOPIC, 1, rw));
    }
    topics
}
