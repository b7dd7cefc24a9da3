//! The producers that are connected, by group (`ProducerManager`).

use std::collections::HashMap;
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
    groups: Mutex<HashMap<String, HashMap<u64, ClientChannel>>>,
}

impl ProducerTable {
    /// No producers.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, groups: Mutex::default() }
    }

    /// Registers or refreshes a producer of `group`.
    pub fn register(&self, group: &str, mut channel: ClientChannel) {
        channel.last_update = self.clock.monotonic();
        self.groups.lock().entry(group.to_owned()).or_default().insert(channel.peer.id(), channel);
    }

    /// Forgets one connection of `group`.
    pub fn unregister(&self, group: &str, peer: &Peer) {
        let mut groups = self.groups.lock();
        let Some(channels) = groups.get_mut(group) else { return };
        channels.remove(&peer.id());
        if channels.is_empty() {
            groups.remove(group);
        }
    }

    /// Forgets a connection in every group.
    pub fn closed(&self, peer: &Peer) {
        self.groups.lock().retain(|_, channels| {
            channels.remove(&peer.id());
            !channels.is_empty()
        });
    }

    /// Forgets the producers that were silent for longer than `limit`, and closes their connections.
    pub fn expire(&self, limit: Duration) {
        let now = self.clock.monotonic();
        self.groups.lock().retain(|group, channels| {
            channels.retain(|_, channel| {
                let alive = now.saturating_sub(channel.last_update) <= limit;
                if !alive {
                    tracing::warn!(group, client = channel.client_id, "producer expired");
                    channel.peer.close();
                }
                alive
            });
            !channels.is_empty()
        });
    }

    /// The producers of a group.
    pub fn of(&self, group: &str) -> Option<Vec<ClientChannel>> {
        self.groups.lock().get(group).map(|channels| channels.values().cloned().collect())
    }
}
