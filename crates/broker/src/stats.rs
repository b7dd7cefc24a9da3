//! Totals that administrators ask for (`BrokerStats`).

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since start.
#[derive(Debug, Default)]
pub struct Stats {
    put_messages: AtomicU64,
    put_bytes: AtomicU64,
    get_messages: AtomicU64,
    get_bytes: AtomicU64,
}

impl Stats {
    /// Messages stored for producers.
    pub fn put(&self, messages: u64, bytes: u64) {
        self.put_messages.fetch_add(messages, Ordering::Relaxed);
        self.put_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Messages given to consumers.
    pub fn get(&self, messages: u64, bytes: u64) {
        self.get_messages.fetch_add(messages, Ordering::Relaxed);
        self.get_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Messages stored and given since start.
    pub fn messages(&self) -> (u64, u64) {
        (self.put_messages.load(Ordering::Relaxed), self.get_messages.load(Ordering::Relaxed))
    }
}
