//! Who waits for a queue to grow: held pulls and the delay-level scheduler. The store's dispatcher reports each record
//! that has become readable.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Decides from a record's tag hash and properties whether a waiter wants it. No lock is held meanwhile.
pub type Wanted = Arc<dyn Fn(i64, &str) -> bool + Send + Sync>;

struct Waiter {
    id: u64,
    /// Woken by a record at or above this queue offset.
    from: i64,
    filter: Option<Wanted>,
    wake: oneshot::Sender<()>,
}

/// The waiters of one topic, by queue.
type Queues = HashMap<i32, Vec<Waiter>>;

/// Waiters by topic and queue.
#[derive(Default)]
pub struct Arrivals {
    count: AtomicUsize,
    next_id: AtomicUsize,
    waiters: Mutex<HashMap<Box<str>, Queues>>,
}

impl Arrivals {
    /// A registered wait. Register first and look at the queue afterwards: a record that comes in between then ends
    /// the wait instead of being missed.
    pub fn register(&self, topic: &str, queue_id: i32, from: i64, filter: Option<Wanted>) -> Wait<'_> {
        let (wake, woken) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) as u64;
        let mut waiters = self.waiters.lock();
        self.count.fetch_add(1, Ordering::SeqCst);
        let waiter = Waiter { id, from, filter, wake };
        waiters.entry(topic.into()).or_default().entry(queue_id).or_default().push(waiter);
        Wait { arrivals: self, topic: topic.into(), queue_id, id, woken }
    }

    /// The number of waits.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A record at `queue_offset` has become readable.
    pub fn arrived(&self, topic: &str, queue_id: i32, queue_offset: i64, tags_code: i64, properties: &str) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut asked = Vec::new();
        self.wake_where(topic, queue_id, |waiter| {
            let reached = queue_offset >= waiter.from;
            if let (true, Some(filter)) = (reached, &waiter.filter) {
                asked.push((waiter.id, filter.clone()));
                return false;
            }
            reached
        });
        if asked.is_empty() {
            return;
        }
        // An expression may take long, and nobody is to wait for it who waits for other queues. Who comes meanwhile
        // finds the record in the queue.
        asked.retain(|(_, wanted)| wanted(tags_code, properties));
        if !asked.is_empty() {
            let found: HashSet<u64> = asked.iter().map(|(id, _)| *id).collect();
            self.wake_where(topic, queue_id, |waiter| found.contains(&waiter.id));
        }
    }

    /// Ends those waits of a queue that are `chosen`.
    fn wake_where(&self, topic: &str, queue_id: i32, mut chosen: impl FnMut(&Waiter) -> bool) {
        let mut waiters = self.waiters.lock();
        let Some(queue) = waiters.get_mut(topic).and_then(|queues| queues.get_mut(&queue_id)) else { return };
        let mut at = 0;
        while at < queue.len() {
            if chosen(&queue[at]) {
                // A receiver that is gone has removed itself or is about to.
                let _ = queue.swap_remove(at).wake.send(());
                self.count.fetch_sub(1, Ordering::SeqCst);
            } else {
                at += 1;
            }
        }
    }

    /// Ends every wait of a queue, or of all queues of the topic: its offsets have been changed by hand.
    pub fn wake(&self, topic: &str, queue_id: Option<i32>) {
        let mut waiters = self.waiters.lock();
        let Some(queues) = waiters.get_mut(topic) else { return };
        for (id, queue) in queues {
            if queue_id.is_none_or(|wanted| wanted == *id) {
                for waiter in queue.drain(..) {
                    let _ = waiter.wake.send(());
                    self.count.fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
    }

    /// Ends every wait.
    pub fn wake_all(&self) {
        let mut waiters = self.waiters.lock();
        for waiter in waiters.drain().flat_map(|(_, queues)| queues).flat_map(|(_, queue)| queue) {
            let _ = waiter.wake.send(());
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// One wait; dropping it ends it.
pub struct Wait<'a> {
    arrivals: &'a Arrivals,
    topic: Box<str>,
    queue_id: i32,
    id: u64,
    woken: oneshot::Receiver<()>,
}

impl Wait<'_> {
    /// Returns when a wanted record has come, or when somebody ended the wait.
    pub async fn woken(&mut self) {
        let _ = (&mut self.woken).await;
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waiters = self.arrivals.waiters.lock();
        let Some(queues) = waiters.get_mut(&self.topic) else { return };
        if let Some(queue) = queues.get_mut(&self.queue_id) {
            if let Some(at) = queue.iter().position(|w| w.id == self.id) {
                queue.swap_remove(at);
                self.arrivals.count.fetch_sub(1, Ordering::SeqCst);
            }
            if queue.is_empty() {
                queues.remove(&self.queue_id);
            }
        }
        if queues.is_empty() {
            waiters.remove(&self.topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn is_woken(wait: &mut Wait<'_>) -> bool {
        tokio::time::timeout(Duration::from_millis(5), wait.woken()).await.is_ok()
    }

    #[tokio::test]
    async fn a_wait_ends_by_a_wanted_record_of_its_queue_only() {
        let arrivals = Arrivals::default();
        let mut plain = arrivals.register("T", 0, 5, None);
        let mut tagged = arrivals.register("T", 0, 5, Some(Arc::new(|code, _| code == 7)));
        arrivals.arrived("T", 1, 9, 7, "");
        arrivals.arrived("U", 0, 9, 7, "");
        arrivals.arrived("T", 0, 4, 7, "");
        assert!(!is_woken(&mut plain).await);
        arrivals.arrived("T", 0, 5, 1, "");
        assert!(is_woken(&mut plain).await);
        assert!(!is_woken(&mut tagged).await);
        arrivals.arrived("T", 0, 6, 7, "");
        assert!(is_woken(&mut tagged).await);
        drop((plain, tagged));
        assert!(arrivals.is_empty());
        assert!(arrivals.waiters.lock().is_empty(), "ended waits leave nothing behind");
    }

    #[tokio::test]
    async fn others_may_wait_while_an_expression_is_evaluated() {
        use std::sync::mpsc;
        let arrivals = Arrivals::default();
        let (begun, begins) = mpsc::sync_channel(1);
        let (go, going) = mpsc::channel();
        let going = parking_lot::Mutex::new(going);
        let wanted: Wanted = Arc::new(move |_, _| {
            begun.send(()).unwrap();
            going.lock().recv_timeout(Duration::from_secs(5)).is_ok()
        });
        let mut slow = arrivals.register("T", 0, 5, Some(wanted));
        let unwanted = arrivals.register("T", 0, 5, Some(Arc::new(|_, _| false)));
        std::thread::scope(|scope| {
            scope.spawn(|| arrivals.arrived("T", 0, 5, 7, ""));
            begins.recv().unwrap();
            let mut other = arrivals.register("T", 0, 6, None);
            arrivals.wake("T", Some(1));
            go.send(()).unwrap();
            assert!(other.woken.try_recv().is_err());
        });
        assert!(is_woken(&mut slow).await, "the expression was told to go on in time, and wants the record");
        drop(slow);
        assert_eq!(arrivals.len(), 1);
        drop(unwanted);
        assert!(arrivals.waiters.lock().is_empty());
    }

    #[tokio::test]
    async fn waits_can_be_ended_from_outside_and_by_dropping_them() {
        let arrivals = Arrivals::default();
        let mut one = arrivals.register("T", 0, 0, None);
        let mut two = arrivals.register("T", 1, 0, None);
        drop(arrivals.register("T", 2, 0, None));
        assert_eq!(arrivals.len(), 2);
        arrivals.wake("T", Some(1));
        assert!(is_woken(&mut two).await);
        assert!(!is_woken(&mut one).await);
        arrivals.wake_all();
        assert!(is_woken(&mut one).await);
        assert!(arrivals.is_empty());
    }
}
