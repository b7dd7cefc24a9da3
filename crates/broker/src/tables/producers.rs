//! The producers that are connected, by group (`ProducerManager`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raptormq_base::clock::Clock;
use raptormq_remoting::Peer;
use raptormq_wire::LanguageCode;

/// A client behind a connection, as its heartbeat describes it (`ClientChannelInfo`).
#[derive(Debug, Clone)]
pub struct ClientChannel {
    /// The connection.
    pub peer: Arc<Peer>,
    /// Its name.
    pub client_id: String,
    /// Its language.
    pub language: LanguageCode,
    /// Its version, an ordinal of `MQVersion`.
    pub version: i32,
    /// Monotonic time of its last heartbeat.
    pub last_update: Duration,
}

/// All producers.
pub struct ProducerTable {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    groups: HashMap<String, HashMap<u64, ClientChannel>>,
    clients: Clients,
}

/// The connections of each client id, newest last, each with the number of groups that it is a member of.
#[derive(Default)]
struct Clients(HashMap<String, BTreeMap<u64, (Arc<Peer>, usize)>>);

impl Clients {
    fn add(&mut self, channel: &ClientChannel) {
        let connections = self.0.entry(channel.client_id.clone()).or_default();
        connections.entry(channel.peer.id()).or_insert_with(|| (channel.peer.clone(), 0)).1 += 1;
    }

    fn remove(&mut self, channel: &ClientChannel) {
        let Some(connections) = self.0.get_mut(&channel.client_id) else { return };
        if let Some((_, groups)) = connections.get_mut(&channel.peer.id()) {
            *groups -= 1;
            if *groups == 0 {
                connections.remove(&channel.peer.id());
            }
        }
        if connections.is_empty() {
            self.0.remove(&channel.client_id);
        }
    }
}

impl ProducerTable {
    /// No producers.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Registers or refreshes a producer of `group`.
    pub fn register(&self, group: &str, mut channel: ClientChannel) {
        channel.last_update = self.clock.monotonic();
        let State { groups, clients } = &mut *self.state.lock();
        let id = channel.peer.id();
        clients.add(&channel);
        if let Some(old) = groups.entry(group.to_owned()).or_default().insert(id, channel) {
            clients.remove(&old);
        }
    }

    /// Forgets one connection of `group`.
    pub fn unregister(&self, group: &str, peer: &Peer) {
        let State { groups, clients } = &mut *self.state.lock();
        let Some(channels) = groups.get_mut(group) else { return };
        if let Some(gone) = channels.remove(&peer.id()) {
            clients.remove(&gone);
        }
        if channels.is_empty() {
            groups.remove(group);
        }
    }

    /// Forgets a connection in every group.
    pub fn closed(&self, peer: &Peer) {
        let State { groups, clients } = &mut *self.state.lock();
        groups.retain(|_, channels| {
            if let Some(gone) = channels.remove(&peer.id()) {
                clients.remove(&gone);
            }
            !channels.is_empty()
        });
    }

    /// Forgets the producers that were silent for longer than `limit`, and closes their connections.
    pub fn expire(&self, limit: Duration) {
        let now = self.clock.monotonic();
        let State { groups, clients } = &mut *self.state.lock();
        groups.retain(|group, channels| {
            channels.retain(|_, channel| {
                let alive = now.saturating_sub(channel.last_update) <= limit;
                if !alive {
                    tracing::warn!(group, client = channel.client_id, "producer expired");
                    clients.remove(channel);
                    channel.peer.close();
                }
                alive
            });
            !channels.is_empty()
        });
    }

    /// The producers of a group.
    pub fn of(&self, group: &str) -> Option<Vec<ClientChannel>> {
        self.state.lock().groups.get(group).map(|channels| channels.values().cloned().collect())
    }

    /// The newest connection of a client that is a producer (`ProducerManager.findChannel`).
    pub fn find(&self, client_id: &str) -> Option<Arc<Peer>> {
        let state = self.state.lock();
        state.clients.0.get(client_id)?.values().next_back().map(|(peer, _)| peer.clone())
    }
}
