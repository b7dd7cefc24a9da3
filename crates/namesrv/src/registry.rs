//! Who is there and what lives where: brokers, their addresses, their topics, and when each was last heard of.
//!
//! A plain state machine without lock, clock or socket: the time is an argument, and what must happen outside comes
//! back as [`Effect`]s. Mirrors `RouteInfoManager`. Invariants:
//!
//! - an address appears under at most one broker id of a broker name;
//! - a topic in the table has at least one broker with queues;
//! - after [`Registry::unregister`] of the last address of a name, neither the name nor its queues are left.
//!
//! Nothing here is persistent: brokers register every 30 seconds and fill an empty table.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use raptormq_wire::body::{
    BrokerData, BrokerMemberGroup, ClusterInfo, DataVersion, QueueData, TopicConfig, TopicList,
    TopicQueueMappingInfo,
};

mod pickup;
#[cfg(test)]
mod tests;

/// Milliseconds of silence after which a broker is dropped, unless it named its own limit.
pub const DEFAULT_BROKER_TIMEOUT_MS: i64 = 120_000;

/// The broker id of a master.
pub const MASTER_ID: i64 = 0;

const PERM_READ: i32 = 4;
const PERM_WRITE: i32 = 2;
const FLAG_UNIT: i32 = 1;
const FLAG_UNIT_SUB: i32 = 2;

/// One broker process: its cluster and its address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BrokerAddr {
    /// The cluster name.
    pub cluster: String,
    /// `IP:port`.
    pub addr: String,
}

/// What a broker says when it registers.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Cluster and address.
    pub broker: BrokerAddr,
    /// The broker name.
    pub name: String,
    /// 0 is the master.
    pub id: i64,
    /// The replication address.
    pub ha_addr: String,
    /// The zone, if the broker stands in one.
    pub zone: Option<String>,
    /// Its own limit of silence in milliseconds.
    pub timeout_ms: Option<i64>,
    /// Whether a slave may act for a lost master; `None` from brokers before 5.0, whose slaves never publish topics.
    pub acting_master: Option<bool>,
    /// The version of the topic table.
    pub version: DataVersion,
    /// The topics by name.
    pub topics: BTreeMap<String, TopicConfig>,
    /// Logical queues by topic.
    pub mappings: BTreeMap<String, TopicQueueMappingInfo>,
    /// Filter servers; `None` leaves those that are known.
    pub filter_servers: Option<Vec<String>>,
    /// The connection it came on.
    pub connection: u64,
}

/// Who is to be unregistered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Departure {
    /// Cluster and address.
    pub broker: BrokerAddr,
    /// The broker name.
    pub name: String,
    /// The broker id.
    pub id: i64,
    /// Set when the reason is a closed connection or silence: a broker that has registered on another connection
    /// since, or has been heard of since, stays.
    pub only_if: Option<StillGone>,
}

/// The state in which a broker was taken for gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StillGone {
    /// The connection it had.
    pub connection: u64,
    /// When it was heard of last, in milliseconds of the caller's clock.
    pub heard_ms: i64,
}

/// The answer to a registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// The master's replication address, for slaves.
    pub ha_addr: Option<String>,
    /// The master's address, for slaves.
    pub master_addr: Option<String>,
}

/// The registration was refused: a broker whose first table has exactly one topic has not registered before
/// (`register broker failed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstWithOneTopic;

/// What the caller has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Close a connection whose broker has been silent for too long.
    Close {
        /// The connection.
        connection: u64,
    },
    /// Tell brokers which of them has the lowest id now.
    MinBrokerIdChanged {
        /// Whom to tell.
        notify: Vec<String>,
        /// The lowest id.
        min_id: i64,
        /// Its address.
        min_addr: String,
        /// The broker that left, if one did.
        offline_addr: Option<String>,
        /// The replication address of the broker that came, if one did.
        ha_addr: Option<String>,
    },
}

/// The configuration keys that change what a registration does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistryOptions {
    /// `deleteTopicWithBrokerRegistration`.
    pub delete_missing_topics: bool,
    /// `notifyMinBrokerIdChanged`.
    pub notify_min_broker_id: bool,
    /// `supportActingMaster`.
    pub support_acting_master: bool,
}

#[derive(Clone, Debug)]
struct Live {
    heard_ms: i64,
    timeout_ms: i64,
    version: DataVersion,
    connection: u64,
    ha_addr: String,
}

/// The tables.
#[derive(Debug, Default)]
pub struct Registry {
    /// Topic → broker name → queues.
    topics: HashMap<String, BTreeMap<String, QueueData>>,
    brokers: BTreeMap<String, BrokerData>,
    clusters: BTreeMap<String, BTreeSet<String>>,
    live: HashMap<BrokerAddr, Live>,
    filter_servers: HashMap<BrokerAddr, Vec<String>>,
    mappings: HashMap<String, BTreeMap<String, TopicQueueMappingInfo>>,
}

impl Registry {
    /// Enters or refreshes a broker and its topics.
    pub fn register(
        &mut self,
        registration: Registration,
        now_ms: i64,
        options: RegistryOptions,
    ) -> Result<(Registered, Vec<Effect>), FirstWithOneTopic> {
        let r = registration;
        self.clusters.entry(r.broker.cluster.clone()).or_default().insert(r.name.clone());
        let mut first = !self.brokers.contains_key(&r.name);
        let data = self.brokers.entry(r.name.clone()).or_insert_with(|| BrokerData {
            cluster: r.broker.cluster.clone(),
            broker_name: r.name.clone(),
            ..BrokerData::default()
        });
        data.enable_acting_master = r.acting_master.unwrap_or(false);
        data.zone_name.clone_from(&r.zone);
        let min_changed = r.id < data.broker_addrs.keys().next().copied().unwrap_or(0);
        // A slave that became master, or the reverse: an address has one id only.
        data.broker_addrs.retain(|id, addr| *addr != r.broker.addr || *id == r.id);

        let other = data.broker_addrs.get(&r.id).filter(|addr| **addr != r.broker.addr);
        if let Some(other) = other {
            let other = BrokerAddr { cluster: r.broker.cluster.clone(), addr: other.clone() };
            let newer = self.live.get(&other).map(|live| live.version.state_version);
            if newer.is_some_and(|newer| newer > r.version.state_version) {
                tracing::warn!(broker = %r.name, id = r.id, addr = %r.broker.addr, kept = %other.addr,
                    "registration ignored: another address with a newer state version holds this id");
                self.live.remove(&r.broker);
                return Ok((Registered::default(), Vec::new()));
            }
        }
        if !data.broker_addrs.contains_key(&r.id) && r.topics.len() == 1 {
            tracing::warn!(broker = %r.name, id = r.id, addr = %r.broker.addr,
                "registration of a single topic refused: the broker has not registered before");
            return Err(FirstWithOneTopic);
        }
        first |= data.broker_addrs.insert(r.id, r.broker.addr.clone()).is_none_or(|old| old.is_empty());

        let is_master = r.id == MASTER_ID;
        let is_prime_slave =
            r.acting_master.is_some() && !is_master && data.broker_addrs.keys().next() == Some(&r.id);
        let read_only = is_prime_slave && data.enable_acting_master;
        if is_master || is_prime_slave {
            self.take_topics(&r, first, read_only, options);
        }
        let live = Live {
            heard_ms: now_ms,
            timeout_ms: r.timeout_ms.unwrap_or(DEFAULT_BROKER_TIMEOUT_MS),
            version: r.version,
            connection: r.connection,
            ha_addr: r.ha_addr.clone(),
        };
        if self.live.insert(r.broker.clone(), live).is_none() {
            tracing::info!(broker = %r.name, id = r.id, addr = %r.broker.addr, cluster = %r.broker.cluster,
                ha = %r.ha_addr, "new broker registered");
        }
        match r.filter_servers {
            Some(servers) if servers.is_empty() => drop(self.filter_servers.remove(&r.broker)),
            Some(servers) => drop(self.filter_servers.insert(r.broker.clone(), servers)),
            None => {}
        }
        let data = &self.brokers[&r.name];
        let mut effects = Vec::new();
        if min_changed && options.notify_min_broker_id {
            effects.extend(min_id_changed(&data.broker_addrs, None, Some(r.ha_addr)));
        }
        let reply = if is_master { Registered::default() } else { self.master_of(data, &r.broker.cluster) };
        Ok((reply, effects))
    }

    /// Marks a broker as heard of.
    pub fn touch(&mut self, broker: &BrokerAddr, now_ms: i64) {
        if let Some(live) = self.live.get_mut(broker) {
            live.heard_ms = now_ms;
        }
    }

    /// The version of the topic table that is known of a broker.
    pub fn version_of(&self, broker: &BrokerAddr) -> Option<&DataVersion> {
        self.live.get(broker).map(|live| &live.version)
    }

    /// Removes brokers, and with the last address of a name its queues. One pass over the topics serves them all.
    pub fn unregister(&mut self, departures: &[Departure], options: RegistryOptions) -> Vec<Effect> {
        let mut removed = HashSet::new();
        let mut reduced = HashSet::new();
        let mut min_changed: BTreeMap<&str, &str> = BTreeMap::new();
        for departure in departures {
            if departure.only_if.is_some_and(|gone| !self.is_still_gone(&departure.broker, gone)) {
                continue;
            }
            let was_live = self.live.remove(&departure.broker).is_some();
            tracing::info!(broker = %departure.name, id = departure.id, addr = %departure.broker.addr, was_live,
                "broker unregistered");
            self.filter_servers.remove(&departure.broker);
            let Some(data) = self.brokers.get_mut(&departure.name) else {
                continue;
            };
            let was_min = data.broker_addrs.keys().next() == Some(&departure.id);
            data.broker_addrs.retain(|_, addr| *addr != departure.broker.addr);
            if !data.broker_addrs.is_empty() {
                reduced.insert(departure.name.as_str());
                if was_min {
                    min_changed.insert(&departure.name, &departure.broker.addr);
                }
                continue;
            }
            self.brokers.remove(&departure.name);
            if let Some(names) = self.clusters.get_mut(&departure.broker.cluster) {
                names.remove(&departure.name);
                if names.is_empty() {
                    self.clusters.remove(&departure.broker.cluster);
                }
            }
            reduced.remove(departure.name.as_str());
            min_changed.remove(departure.name.as_str());
            removed.insert(departure.name.as_str());
        }
        self.clean_topics(&removed, &reduced);
        if !options.notify_min_broker_id {
            return Vec::new();
        }
        min_changed
            .into_iter()
            .filter_map(|(name, offline)| Some((self.brokers.get(name)?, offline)))
            .filter(|(data, _)| data.enable_acting_master)
            .filter_map(|(data, offline)| min_id_changed(&data.broker_addrs, Some(offline.to_owned()), None))
            .collect()
    }

    /// The brokers that have been silent for longer than their limit, and the connections to close.
    pub fn expired(&self, now_ms: i64) -> (Vec<Departure>, Vec<Effect>) {
        let silent =
            self.live.iter().filter(|(_, live)| live.heard_ms.saturating_add(live.timeout_ms) < now_ms);
        let mut departures = Vec::new();
        let mut effects = Vec::new();
        for (broker, live) in silent {
            tracing::warn!(addr = %broker.addr, timeout_ms = live.timeout_ms, "the broker channel expired");
            effects.push(Effect::Close { connection: live.connection });
            departures.extend(self.departure(broker, live));
        }
        (departures, effects)
    }

    /// The brokers whose connection has ended. Java finds only the first of several that share a connection, as those
    /// of a broker container do, and leaves the others to their time limit.
    pub fn disconnected(&self, connection: u64) -> Vec<Departure> {
        self.live
            .iter()
            .filter(|(_, live)| live.connection == connection)
            .filter_map(|(broker, live)| self.departure(broker, live))
            .collect()
    }

    /// Enters queues of one topic (`REGISTER_TOPIC_IN_NAMESRV`). Stops at the first unknown broker name, as Java does:
    /// queues of an existing topic before it stay, a new topic is not entered.
    pub fn register_topic(&mut self, topic: &str, queues: Vec<QueueData>) {
        let known = queues.iter().take_while(|q| self.brokers.contains_key(&q.broker_name)).count();
        if known < queues.len() {
            tracing::warn!(topic, broker = %queues[known].broker_name, "topic with an unknown broker");
            if !self.topics.contains_key(topic) {
                return;
            }
        }
        let entered = queues.into_iter().take(known).map(|queue| (queue.broker_name.clone(), queue));
        let table = self.topics.entry(topic.to_owned()).or_default();
        table.extend(entered);
        if table.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Forgets a topic, everywhere or on the brokers of one cluster.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) {
        let Some(cluster) = cluster else {
            self.topics.remove(topic);
            return;
        };
        let (Some(names), Some(queues)) = (self.clusters.get(cluster), self.topics.get_mut(topic)) else {
            return;
        };
        queues.retain(|name, _| !names.contains(name));
        if queues.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Gives or takes the permission to write to all topics of a broker name; tells how many there are.
    pub fn set_writable(&mut self, name: &str, writable: bool) -> i32 {
        let mut count = 0;
        for queue in self.topics.values_mut().filter_map(|queues| queues.get_mut(name)) {
            queue.perm = if writable { PERM_READ | PERM_WRITE } else { queue.perm & !PERM_WRITE };
            count += 1;
        }
        count
    }

    /// All brokers and clusters.
    pub fn cluster_info(&self) -> ClusterInfo {
        ClusterInfo { broker_addr_table: self.brokers.clone(), cluster_addr_table: self.clusters.clone() }
    }

    /// The addresses of a broker name.
    pub fn member_group(&self, cluster: &str, name: &str) -> BrokerMemberGroup {
        BrokerMemberGroup {
            cluster: cluster.to_owned(),
            broker_name: name.to_owned(),
            broker_addrs: self.brokers.get(name).map(|data| data.broker_addrs.clone()).unwrap_or_default(),
        }
    }

    /// Every topic.
    pub fn all_topics(&self) -> TopicList {
        TopicList { topic_list: self.topics.keys().cloned().collect(), broker_addr: None }
    }

    /// The topics with queues on a broker of `cluster`.
    pub fn topics_of_cluster(&self, cluster: &str) -> TopicList {
        let Some(names) = self.clusters.get(cluster) else {
            return TopicList::default();
        };
        self.topics_where(|queues| queues.keys().any(|name| names.contains(name)))
    }

    /// The names that every broker has as topics: clusters and brokers; with the address of one broker to ask on.
    pub fn system_topics(&self) -> TopicList {
        let names =
            self.clusters.iter().flat_map(|(cluster, brokers)| std::iter::once(cluster).chain(brokers));
        TopicList {
            topic_list: names.cloned().collect(),
            broker_addr: self.brokers.values().find_map(|data| data.broker_addrs.values().next().cloned()),
        }
    }

    /// Topics of a unit.
    pub fn unit_topics(&self) -> TopicList {
        self.topics_where(|queues| has_flag(queues, FLAG_UNIT))
    }

    /// Topics with subscriptions of a unit.
    pub fn unit_sub_topics(&self) -> TopicList {
        self.topics_where(|queues| has_flag(queues, FLAG_UNIT_SUB))
    }

    /// Topics with subscriptions of a unit that are of no unit themselves.
    pub fn unit_sub_ununit_topics(&self) -> TopicList {
        self.topics_where(|queues| has_flag(queues, FLAG_UNIT_SUB) && !has_flag(queues, FLAG_UNIT))
    }

    fn topics_where(&self, matches: impl Fn(&BTreeMap<String, QueueData>) -> bool) -> TopicList {
        let found = self.topics.iter().filter(|(_, queues)| matches(queues));
        TopicList { topic_list: found.map(|(topic, _)| topic.clone()).collect(), broker_addr: None }
    }

    fn master_of(&self, data: &BrokerData, cluster: &str) -> Registered {
        let Some(addr) = data.broker_addrs.get(&MASTER_ID) else {
            return Registered::default();
        };
        let master = BrokerAddr { cluster: cluster.to_owned(), addr: addr.clone() };
        match self.live.get(&master) {
            Some(live) => Registered { ha_addr: Some(live.ha_addr.clone()), master_addr: Some(master.addr) },
            None => Registered::default(),
        }
    }

    fn take_topics(&mut self, r: &Registration, first: bool, read_only: bool, options: RegistryOptions) {
        if options.delete_missing_topics && r.mappings.is_empty() {
            self.topics.retain(|topic, queues| {
                if !r.topics.contains_key(topic) && queues.remove(&r.name).is_some() {
                    tracing::info!(broker = %r.name, topic, "topic removed: the broker no longer has it");
                }
                !queues.is_empty()
            });
        }
        let changed = self.version_of(&r.broker) != Some(&r.version);
        for topic in r.topics.values() {
            let known = self.topics.get(&topic.topic_name).is_some_and(|queues| queues.contains_key(&r.name));
            if first || changed || !known {
                self.take_topic(&r.name, topic, read_only);
            }
        }
        if first || changed {
            for (topic, info) in &r.mappings {
                let by_broker = self.mappings.entry(topic.clone()).or_default();
                by_broker.insert(info.bname.clone().unwrap_or_default(), info.clone());
            }
        }
    }

    fn take_topic(&mut self, name: &str, topic: &TopicConfig, read_only: bool) {
        let queue = QueueData {
            broker_name: name.to_owned(),
            perm: if read_only { topic.perm & !PERM_WRITE } else { topic.perm },
            read_queue_nums: topic.read_queue_nums,
            write_queue_nums: topic.write_queue_nums,
            topic_sys_flag: topic.topic_sys_flag,
        };
        let queues = self.topics.entry(topic.topic_name.clone()).or_default();
        if queues.get(name) != Some(&queue) {
            tracing::debug!(broker = name, topic = %topic.topic_name, ?queue, "topic registered");
            queues.insert(name.to_owned(), queue);
        }
    }

    fn clean_topics(&mut self, removed: &HashSet<&str>, reduced: &HashSet<&str>) {
        if removed.is_empty() && reduced.is_empty() {
            return;
        }
        let read_only: Vec<&str> = reduced
            .iter()
            .copied()
            .filter(|name| {
                self.brokers.get(*name).is_some_and(|data| {
                    data.enable_acting_master && data.broker_addrs.keys().next() > Some(&MASTER_ID)
                })
            })
            .collect();
        self.topics.retain(|_, queues| {
            queues.retain(|name, _| !removed.contains(name.as_str()));
            for name in &read_only {
                if let Some(queue) = queues.get_mut(*name) {
                    queue.perm &= !PERM_WRITE;
                }
            }
            !queues.is_empty()
        });
    }

    fn is_still_gone(&self, broker: &BrokerAddr, gone: StillGone) -> bool {
        self.live
            .get(broker)
            .is_some_and(|live| live.connection == gone.connection && live.heard_ms == gone.heard_ms)
    }

    /// Finds the name and the id under which an address is entered; a stray address has none and stays, as in Java.
    fn departure(&self, broker: &BrokerAddr, live: &Live) -> Option<Departure> {
        self.brokers
            .values()
            .filter(|data| data.cluster == broker.cluster)
            .find_map(|data| {
                let (id, _) = data.broker_addrs.iter().find(|(_, addr)| **addr == broker.addr)?;
                Some((data.broker_name.clone(), *id))
            })
            .map(|(name, id)| Departure {
                broker: broker.clone(),
                name,
                id,
                only_if: Some(StillGone { connection: live.connection, heard_ms: live.heard_ms }),
            })
    }
}

fn has_flag(queues: &BTreeMap<String, QueueData>, flag: i32) -> bool {
    queues.values().next().is_some_and(|queue| queue.topic_sys_flag & flag != 0)
}

/// A broker that came is no news to itself; a broker that left is news to all that stayed.
fn min_id_changed(
    addrs: &BTreeMap<i64, String>,
    offline_addr: Option<String>,
    ha_addr: Option<String>,
) -> Option<Effect> {
    let (min_id, min_addr) = addrs.iter().next()?;
    let skip = if offline_addr.is_some() || addrs.len() == 1 { 0 } else { 1 };
    Some(Effect::MinBrokerIdChanged {
        notify: addrs.values().skip(skip).cloned().collect(),
        min_id: *min_id,
        min_addr: min_addr.clone(),
        offline_addr,
        ha_addr,
    })
}
