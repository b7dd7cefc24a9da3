//! Which client of a group owns which queue for ordered consumption (`RebalanceLockManager`). Kept in memory only: a
//! restarted broker grants every queue anew, as Java does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raptormq_base::clock::Clock;
use raptormq_wire::body::MessageQueue;

/// How long a lock lives without being renewed (`rocketmq.broker.rebalance.lockMaxLiveTime`).
const LOCK_LIVES: Duration = Duration::from_millis(60_000);

/// How long a client believes in a lock that it cannot renew (`rocketmq.client.rebalance.lockMaxLiveTime`), and a margin
/// for the answer that granted it.
const CLIENT_BELIEVES: Duration = Duration::from_millis(33_000);

#[derive(Debug)]
struct Entry {
    client_id: String,
    renewed: Duration,
    /// The client's connection has ended since.
    abandoned: bool,
}

/// Locks of all groups.
pub struct QueueLocks {
    clock: Arc<dyn Clock>,
    groups: Mutex<HashMap<String, HashMap<MessageQueue, Entry>>>,
}

impl QueueLocks {
    /// No locks.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, groups: Mutex::default() }
    }

    /// Locks or renews each of `queues` that is free, expired or already `client_id`'s; returns those.
    pub fn lock(&self, group: &str, queues: Vec<MessageQueue>, client_id: &str) -> Vec<MessageQueue> {
        let now = self.clock.monotonic();
        let mut groups = self.groups.lock();
        let held = groups.entry(group.to_owned()).or_default();
        let mut granted = Vec::new();
        for queue in queues {
            let free = held.get(&queue).is_none_or(|e| e.client_id == client_id || expired(e, now));
            if free {
                let entry = Entry { client_id: client_id.to_owned(), renewed: now, abandoned: false };
                held.insert(queue.clone(), entry);
                granted.push(queue);
            }
        }
        if held.is_empty() {
            groups.remove(group);
        }
        granted
    }

    /// Gives back those of `queues` that `client_id` holds.
    pub fn unlock(&self, group: &str, queues: &[MessageQueue], client_id: &str) {
        let mut groups = self.groups.lock();
        let Some(held) = groups.get_mut(group) else { return };
        for queue in queues {
            if held.get(queue).is_some_and(|e| e.client_id == client_id) {
                held.remove(queue);
            }
        }
        if held.is_empty() {
            groups.remove(group);
        }
    }

    /// `client_id` has lost its last connection in `group`: its locks end as soon as it cannot consume under them any
    /// more, unless it comes back and renews them. Java lets them live on for a minute.
    pub fn abandon(&self, group: &str, client_id: &str) {
        if let Some(held) = self.groups.lock().get_mut(group) {
            held.values_mut().filter(|e| e.client_id == client_id).for_each(|e| e.abandoned = true);
        }
    }

    /// Forgets the locks that were not renewed: they are as free as those that nobody took.
    pub fn forget_expired(&self) {
        let now = self.clock.monotonic();
        self.groups.lock().retain(|_, held| {
            held.retain(|_, entry| !expired(entry, now));
            !held.is_empty()
        });
    }

    /// Whether no client of `group` holds a live lock, which tells that the group does not consume in order.
    pub fn all_expired(&self, group: &str) -> bool {
        let now = self.clock.monotonic();
        self.groups.lock().get(group).is_none_or(|held| held.values().all(|e| expired(e, now)))
    }
}

fn expired(entry: &Entry, now: Duration) -> bool {
    now.saturating_sub(entry.renewed) > if entry.abandoned { CLIENT_BELIEVES } else { LOCK_LIVES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_base::clock::ManualClock;

    fn queue(id: i32) -> MessageQueue {
        MessageQueue { topic: "T".into(), broker_name: "b".into(), queue_id: id }
    }

    #[test]
    fn a_client_that_is_gone_keeps_its_queues_while_it_may_still_consume() {
        let clock = Arc::new(ManualClock::new(0));
        let locks = QueueLocks::new(clock.clone());
        locks.lock("g", vec![queue(0), queue(1)], "c1");
        locks.lock("g", vec![queue(2)], "c2");
        locks.abandon("g", "c1");
        locks.abandon("none", "c1");
        clock.advance_ms(33_000);
        assert_eq!(locks.lock("g", vec![queue(0), queue(2)], "c2"), [queue(2)]);
        assert_eq!(locks.lock("g", vec![queue(1)], "c1"), [queue(1)], "it has come back");
        clock.advance_ms(1);
        assert_eq!(locks.lock("g", vec![queue(0), queue(1)], "c2"), [queue(0)]);
        clock.advance_ms(59_999);
        assert_eq!(locks.lock("g", vec![queue(1)], "c2"), [], "what was renewed lives as long as any other");
    }

    #[test]
    fn a_queue_has_one_owner_until_it_is_given_back_or_not_renewed() {
        let clock = Arc::new(ManualClock::new(0));
        let locks = QueueLocks::new(clock.clone());
        assert!(locks.all_expired("g"));
        assert_eq!(locks.lock("g", vec![queue(0), queue(1)], "c1"), [queue(0), queue(1)]);
        assert!(!locks.all_expired("g"));
        assert_eq!(locks.lock("g", vec![queue(0), queue(2)], "c2"), [queue(2)]);
        assert_eq!(locks.lock("other", vec![queue(0)], "c2"), [queue(0)]);
        locks.unlock("g", &[queue(0)], "c2");
        assert_eq!(locks.lock("g", vec![queue(0)], "c2"), []);
        clock.advance_ms(60_000);
        assert_eq!(locks.lock("g", vec![queue(1)], "c1"), [queue(1)]);
        clock.advance_ms(1);
        assert_eq!(locks.lock("g", vec![queue(0), queue(1)], "c2"), [queue(0)]);
        assert_eq!(locks.lock("nothing", vec![], "c1"), []);
        assert!(!locks.groups.lock().contains_key("nothing"), "a request for no queue leaves nothing behind");
        locks.unlock("g", &[queue(1)], "c1");
        assert_eq!(locks.lock("g", vec![queue(1)], "c2"), [queue(1)]);
        clock.advance_ms(60_000);
        locks.lock("none", vec![], "c1");
        locks.forget_expired();
        assert_eq!(locks.groups.lock().len(), 1, "locks at the end of their life are still held");
        clock.advance_ms(1);
        locks.forget_expired();
        assert!(locks.groups.lock().is_empty());
    }
}
