//! The consumers that are connected, by group, and what they subscribe to (`ConsumerManager`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use raptormq_base::clock::Clock;
use raptormq_remoting::Peer;
use raptormq_wire::body::{ConsumeFromWhere, ConsumeType, ConsumerData, MessageModel, SubscriptionData};

use super::producers::ClientChannel;

/// One consumer group with its live connections.
#[derive(Debug, Clone, Default)]
pub struct ConsumerGroup {
    /// Whether the client pulls or is pushed to, as the last heartbeat said.
    pub consume_type: ConsumeType,
    /// Broadcasting or clustering.
    pub message_model: MessageModel,
    /// Where a new group begins.
    pub consume_from_where: ConsumeFromWhere,
    /// Subscription per topic.
    pub subscriptions: BTreeMap<String, Arc<SubscriptionData>>,
    /// Live connections, by connection id.
    pub channels: HashMap<u64, ClientChannel>,
    /// The fingerprint of the last heartbeat, which stands for the subscriptions of its sender.
    fingerprint: Option<i32>,
}

impl ConsumerGroup {
    fn peers(&self) -> Vec<Arc<Peer>> {
        self.channels.values().map(|c| c.peer.clone()).collect()
    }

    /// Replaces the subscriptions; whether a topic came or went. A newer version of a subscription is taken without
    /// counting as a change.
    fn update_subscriptions(&mut self, subscriptions: &[SubscriptionData]) -> bool {
        let mut changed = false;
        for new in subscriptions {
            match self.subscriptions.get(&new.topic) {
                Some(old) if new.sub_version <= old.sub_version => {}
                old => {
                    changed |= old.is_none();
                    self.subscriptions.insert(new.topic.clone(), Arc::new(new.clone()));
                }
            }
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| subscriptions.iter().any(|s| s.topic == *topic));
        changed || self.subscriptions.len() != before
    }
}

/// Whom to tell that the members of a group have changed.
#[derive(Debug, Default)]
pub struct MembersChanged {
    /// The group.
    pub group: String,
    /// Its members after the change.
    pub peers: Vec<Arc<Peer>>,
}

/// A subscription that pulls carry.
struct Carried {
    /// When one last did, as milliseconds of the monotonic clock.
    used: AtomicU64,
    data: Arc<SubscriptionData>,
}

#[derive(Default)]
struct State {
    groups: HashMap<String, ConsumerGroup>,
    /// Topics that pulls carry subscriptions for, by group: such consumers need not send heartbeats.
    carried: HashMap<String, HashMap<String, Carried>>,
}

/// All consumers.
pub struct ConsumerTable {
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
}

impl ConsumerTable {
    /// No consumers.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: RwLock::default() }
    }

    /// Registers or refreshes a consumer. With `without_subscriptions` those of its last full heartbeat stay.
    /// Returns whom to tell, if the group's members or topics changed and it does not broadcast.
    pub fn register(
        &self,
        data: &ConsumerData,
        mut channel: ClientChannel,
        without_subscriptions: bool,
    ) -> Option<MembersChanged> {
        channel.last_update = self.clock.monotonic();
        let mut state = self.state.write();
        let group = state.groups.entry(data.group_name.clone()).or_default();
        group.consume_type = data.consume_type.unwrap_or_default();
        group.message_model = data.message_model.unwrap_or_default();
        group.consume_from_where = data.consume_from_where.unwrap_or_default();
        if let Some(old) = group.channels.get(&channel.peer.id())
            && old.client_id != channel.client_id
        {
            tracing::error!(
                group = data.group_name,
                old = old.client_id,
                new = channel.client_id,
                "client id changed on a connection"
            );
        }
        let mut changed = group.channels.insert(channel.peer.id(), channel).is_none();
        if !without_subscriptions {
            changed |= group.update_subscriptions(&data.subscription_data_set);
        }
        (changed && group.message_model != MessageModel::Broadcasting)
            .then(|| MembersChanged { group: data.group_name.clone(), peers: group.peers() })
    }

    /// Remembers a heartbeat's fingerprint. Whether the sender should send its subscriptions again: because another
    /// member of the group has others, or, with `without_subscriptions`, because they are not known here (any more).
    pub fn must_resend(&self, group: &str, fingerprint: i32, without_subscriptions: bool) -> bool {
        let mut state = self.state.write();
        let Some(found) = state.groups.get_mut(group) else { return false };
        let differs = found.fingerprint.replace(fingerprint).is_some_and(|old| old != fingerprint);
        differs || (without_subscriptions && found.subscriptions.is_empty())
    }

    /// Forgets one connection of a group that says goodbye; returns whom to tell, as Java also where it was no member.
    pub fn unregister(&self, group: &str, peer: &Peer) -> Option<MembersChanged> {
        self.forget(group, peer, false)
    }

    /// Forgets one connection of a group; returns whom to tell. With `member` that is nobody where it was none (any
    /// more): a connection that is closed for its silence is found to have ended, too.
    fn forget(&self, group: &str, peer: &Peer, member: bool) -> Option<MembersChanged> {
        let mut state = self.state.write();
        let found = state.groups.get_mut(group)?;
        if found.channels.remove(&peer.id()).is_none() && member {
            return None;
        }
        let changed = (found.message_model != MessageModel::Broadcasting)
            .then(|| MembersChanged { group: group.to_owned(), peers: found.peers() });
        if found.channels.is_empty() {
            state.groups.remove(group);
        }
        changed
    }

    /// The groups that lose a client altogether when this connection ends, with the client's id.
    pub fn last_connections(&self, peer: &Peer) -> Vec<(String, String)> {
        let last = |(name, group): (&String, &ConsumerGroup)| {
            let client_id = &group.channels.get(&peer.id())?.client_id;
            let connections = group.channels.values().filter(|c| c.client_id == *client_id).count();
            (connections == 1).then(|| (name.clone(), client_id.clone()))
        };
        self.state.read().groups.iter().filter_map(last).collect()
    }

    /// Forgets a connection in every group; returns whom to tell.
    pub fn closed(&self, peer: &Peer) -> Vec<MembersChanged> {
        let groups: Vec<String> = {
            let state = self.state.read();
            let member = |g: &ConsumerGroup| g.channels.contains_key(&peer.id());
            state.groups.iter().filter(|(_, g)| member(g)).map(|(name, _)| name.clone()).collect()
        };
        groups.iter().filter_map(|group| self.forget(group, peer, true)).collect()
    }

    /// Closes the connections that sent no heartbeat for longer than `limit`, and forgets carried subscriptions that
    /// nobody pulled with for longer than `carried_limit`. Returns whom to tell.
    ///
    /// `lost` is told each group and client of a connection that is dropped, before that happens.
    pub fn expire(
        &self,
        limit: Duration,
        carried_limit: Duration,
        lost: impl Fn(&str, &str),
    ) -> Vec<MembersChanged> {
        let now = self.clock.monotonic();
        let expired: Vec<(String, Arc<Peer>)> = {
            let state = self.state.read();
            let channels =
                state.groups.iter().flat_map(|(name, g)| g.channels.values().map(move |c| (name, c)));
            let silent = channels.filter(|(_, c)| now.saturating_sub(c.last_update) > limit);
            silent.map(|(name, c)| (name.clone(), c.peer.clone())).collect()
        };
        self.state.write().carried.retain(|_, topics| {
            topics.retain(|_, carried| {
                now.saturating_sub(Duration::from_millis(*carried.used.get_mut())) <= carried_limit
            });
            !topics.is_empty()
        });
        let mut changed = Vec::new();
        for (group, peer) in expired {
            tracing::warn!(group, remote = %peer.remote(), "consumer expired");
            peer.close();
            self.last_connections(&peer).iter().for_each(|(group, client_id)| lost(group, client_id));
            changed.extend(self.forget(&group, &peer, true));
        }
        changed
    }

    /// A copy of a group.
    pub fn group(&self, group: &str) -> Option<ConsumerGroup> {
        self.state.read().groups.get(group).cloned()
    }

    /// Runs `look` on a group without copying it.
    pub fn with_group<T>(&self, group: &str, look: impl FnOnce(&ConsumerGroup) -> T) -> Option<T> {
        self.state.read().groups.get(group).map(look)
    }

    /// The connection of a client of `group` (`ConsumerManager.findChannel`); the newest, where several have its name.
    pub fn find(&self, group: &str, client_id: &str) -> Option<ClientChannel> {
        let state = self.state.read();
        let named = state.groups.get(group)?.channels.iter().filter(|(_, c)| c.client_id == client_id);
        named.max_by_key(|(id, _)| **id).map(|(_, channel)| channel.clone())
    }

    /// The client ids of a group.
    pub fn client_ids(&self, group: &str) -> Vec<String> {
        let ids = |g: &ConsumerGroup| g.channels.values().map(|c| c.client_id.clone()).collect();
        self.with_group(group, ids).unwrap_or_default()
    }

    /// The groups whose members subscribe to `topic`.
    pub fn groups_of_topic(&self, topic: &str) -> Vec<String> {
        let state = self.state.read();
        let subscribed = |g: &ConsumerGroup| g.subscriptions.contains_key(topic);
        state.groups.iter().filter(|(_, g)| subscribed(g)).map(|(name, _)| name.clone()).collect()
    }

    /// Remembers that a pull of `group` carried its own subscription of a topic.
    pub fn carry(&self, group: &str, subscription: &Arc<SubscriptionData>) {
        let now = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        let topic = &subscription.topic;
        let wants_the_same = |carried: &&Carried| {
            carried.data.sub_string == subscription.sub_string
                && carried.data.expression_type == subscription.expression_type
        };
        if let Some(carried) =
            self.state.read().carried.get(group).and_then(|t| t.get(topic)).filter(wants_the_same)
        {
            carried.used.store(now, Ordering::Relaxed);
            return;
        }
        let carried = Carried { used: AtomicU64::new(now), data: subscription.clone() };
        self.state.write().carried.entry(group.to_owned()).or_default().insert(topic.clone(), carried);
    }

    /// What a group subscribes to of a topic, by its heartbeats or else by its pulls
    /// (`ConsumerManager.findSubscriptionData`).
    pub fn subscription(&self, group: &str, topic: &str) -> Option<Arc<SubscriptionData>> {
        let state = self.state.read();
        let of_heartbeats = state.groups.get(group).and_then(|g| g.subscriptions.get(topic));
        let of_pulls = || state.carried.get(group).and_then(|t| t.get(topic)).map(|carried| &carried.data);
        of_heartbeats.or_else(of_pulls).cloned()
    }

    /// Whether `topic` belongs to what `group` consumes, as far as its heartbeats and pulls tell; a group without any
    /// known subscription may consume everything (`ConsumerManager.findSubscriptionData`).
    pub fn may_consume(&self, group: &str, topic: &str) -> bool {
        let state = self.state.read();
        let of_heartbeats = state.groups.get(group).map(|g| &g.subscriptions);
        of_heartbeats.is_none_or(|topics| topics.is_empty() || topics.contains_key(topic))
            || state.carried.get(group).is_some_and(|topics| topics.contains_key(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_base::clock::ManualClock;

    #[test]
    fn carried_subscriptions_are_forgotten_when_nobody_pulls_with_them() {
        let clock = Arc::new(ManualClock::new(0));
        let table = ConsumerTable::new(clock.clone());
        assert!(table.may_consume("G", "T"), "nothing is known about the group");
        table.state.write().groups.entry("G".into()).or_default();
        assert!(table.may_consume("G", "T"), "the group has no subscriptions");
        let other = SubscriptionData { topic: "U".into(), ..SubscriptionData::default() };
        table.state.write().groups.entry("G".into()).or_default().update_subscriptions(&[other]);
        assert!(!table.may_consume("G", "T"));
        table.carry("G", &Arc::new(SubscriptionData { topic: "T".into(), ..Default::default() }));
        assert!(table.may_consume("G", "T") && table.may_consume("G", "U"));
        clock.advance_ms(600);
        table.carry("G", &Arc::new(SubscriptionData { topic: "T".into(), ..Default::default() }));
        clock.advance_ms(600);
        table.expire(Duration::from_secs(1), Duration::from_millis(600), |_, _| {});
        assert!(table.may_consume("G", "T"));
        clock.advance_ms(1);
        table.expire(Duration::from_secs(1), Duration::from_millis(600), |_, _| {});
        assert!(!table.may_consume("G", "T"));
        assert!(table.state.read().carried.is_empty());
    }

    #[test]
    fn a_client_is_asked_for_subscriptions_that_changed_or_are_not_known() {
        let table = ConsumerTable::new(Arc::new(ManualClock::new(0)));
        assert!(!table.must_resend("G", 1, true), "nothing is kept for groups that do not exist");
        table.state.write().groups.entry("G".into()).or_default();
        assert!(table.must_resend("G", 1, true));
        assert!(!table.must_resend("G", 1, false));
        assert!(table.must_resend("G", 2, false));
        assert!(!table.must_resend("G", 2, false));
    }
}
