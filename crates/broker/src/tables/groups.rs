//! The consumer groups of this broker, in `config/subscriptionGroup.json` (`SubscriptionGroupManager`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use raptormq_base::clock::Clock;
use raptormq_wire::body::{DataVersion, SubscriptionGroupConfig, SubscriptionGroupWrapper};

use super::{blocking, persist};
use crate::names;

/// `PermName.INDEX_PERM_READ` as a bit of the forbidden table.
const READ_BIT: i32 = 1 << 2;

/// A group with Java's defaults.
pub fn group(name: &str) -> SubscriptionGroupConfig {
    SubscriptionGroupConfig { group_name: name.to_owned(), ..SubscriptionGroupConfig::default() }
}

/// All groups.
pub struct GroupTable {
    clock: Arc<dyn Clock>,
    path: PathBuf,
    state: RwLock<State>,
    /// Groups of light message queues need not exist (`LmqSubscriptionGroupManager`).
    enable_lmq: bool,
    saving: Mutex<()>,
    /// The last write of the file failed.
    unsaved: AtomicBool,
}

struct State {
    table: HashMap<String, Arc<SubscriptionGroupConfig>>,
    /// Group → topic → forbidden bits (`updateForbidden`).
    forbidden: std::collections::BTreeMap<String, std::collections::BTreeMap<String, i32>>,
    version: DataVersion,
}

impl GroupTable {
    /// Loads the table and adds the system's groups.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn load(path: PathBuf, enable_lmq: bool, clock: Arc<dyn Clock>) -> Result<Self, persist::LoadError> {
        let mut state = State {
            table: names::SYSTEM_GROUPS.iter().map(|g| ((*g).to_owned(), Arc::new(group(g)))).collect(),
            forbidden: Default::default(),
            version: DataVersion { timestamp: clock.wall_ms(), ..DataVersion::default() },
        };
        if let Some(loaded) = persist::load::<SubscriptionGroupWrapper>(&path)? {
            for (name, mut group) in loaded.subscription_group_table {
                group.group_name.clone_from(&name);
                state.table.insert(name, Arc::new(group));
            }
            state.forbidden = loaded.forbidden_table;
            state.version = loaded.data_version;
        }
        Ok(Self {
            clock,
            path,
            state: RwLock::new(state),
            enable_lmq,
            saving: Mutex::new(()),
            unsaved: AtomicBool::new(false),
        })
    }

    /// A group that exists; that of a light message queue is made up.
    pub fn get(&self, name: &str) -> Option<Arc<SubscriptionGroupConfig>> {
        if self.is_light(name) {
            return Some(Arc::new(group(name)));
        }
        self.state.read().table.get(name).cloned()
    }

    fn is_light(&self, group: &str) -> bool {
        self.enable_lmq && names::is_lmq(group)
    }

    /// Whether a group exists.
    pub fn contains(&self, group: &str) -> bool {
        self.is_light(group) || self.state.read().table.contains_key(group)
    }

    /// A group; one with a legal name is created if `auto_create` (`findSubscriptionGroupConfig`).
    pub fn find(&self, name: &str, auto_create: bool) -> Option<Arc<SubscriptionGroupConfig>> {
        if let Some(found) = self.get(name) {
            return Some(found);
        }
        if !auto_create || names::validate_group(name).is_err() {
            return None;
        }
        let created = {
            let mut state = self.state.write();
            if let Some(found) = state.table.get(name) {
                return Some(found.clone());
            }
            let created = Arc::new(group(name));
            state.table.insert(name.to_owned(), created.clone());
            state.version.advance(0, self.clock.wall_ms());
            created
        };
        tracing::info!(group = name, "consumer group created");
        self.save();
        Some(created)
    }

    /// Creates or replaces a group and persists the table; that of a light message queue stays as it is.
    pub fn put(&self, group: SubscriptionGroupConfig) {
        if self.is_light(&group.group_name) {
            return;
        }
        let name = group.group_name.clone();
        {
            let mut state = self.state.write();
            state.table.insert(name, Arc::new(group));
            state.version.advance(0, self.clock.wall_ms());
        }
        self.save();
    }

    /// Forgets a group; whether it existed.
    pub fn remove(&self, group: &str) -> bool {
        {
            let mut state = self.state.write();
            let bans = state.forbidden.remove(group).is_some();
            if state.table.remove(group).is_none() && !bans {
                return false;
            }
            state.version.advance(0, self.clock.wall_ms());
        }
        self.save();
        true
    }

    /// Whether `group` may not read `topic`.
    pub fn is_read_forbidden(&self, group: &str, topic: &str) -> bool {
        let state = self.state.read();
        let bits = state.forbidden.get(group).and_then(|topics| topics.get(topic));
        bits.is_some_and(|bits| *bits >= 0 && bits & READ_BIT != 0)
    }

    /// Forbids `group` to read `topic`, or allows it again, and persists that (`updateForbidden`). Java allows the
    /// group's other topics, too, when one is allowed, and forgets to write that to the file.
    pub fn forbid_read(&self, group: &str, topic: &str, forbidden: bool) {
        {
            let mut state = self.state.write();
            let topics = state.forbidden.entry(group.to_owned()).or_default();
            let old = topics.get(topic).copied().unwrap_or(0).max(0);
            let bits = if forbidden { old | READ_BIT } else { old & !READ_BIT };
            if bits == 0 {
                topics.remove(topic);
            } else {
                topics.insert(topic.to_owned(), bits);
            }
            if topics.is_empty() {
                state.forbidden.remove(group);
            }
            if bits == 0 && old == 0 {
                return;
            }
            state.version.advance(0, self.clock.wall_ms());
        }
        self.save();
    }

    /// The table as slaves and tools receive it.
    pub fn wrapper(&self) -> SubscriptionGroupWrapper {
        let state = self.state.read();
        SubscriptionGroupWrapper {
            subscription_group_table: state.table.iter().map(|(k, v)| (k.clone(), (**v).clone())).collect(),
            forbidden_table: state.forbidden.clone(),
            data_version: state.version.clone(),
        }
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
            tracing::error!(file = %self.path.display(), %error, "consumer groups are not persisted");
        }
        self.unsaved.store(saved.is_err(), Ordering::SeqCst);
        saved.is_ok()
    }

    /// Writes the file if the last time failed.
    pub fn save_again(&self) {
        if self.unsaved.load(Ordering::SeqCst) && self.save() {
            tracing::info!(file = %self.path.display(), "consumer groups are persisted again");
        }
    }
}
