//! A set-once reason for refusing writes: the first I/O failure wins and stays until restart.

use std::sync::OnceLock;

/// Why writes are refused, if they are.
#[derive(Debug, Default)]
pub struct Poison {
    reason: OnceLock<String>,
}

impl Poison {
    /// Refuses writes from now on. Only the first reason is kept.
    pub fn set(&self, reason: impl Into<String>) {
        let _ = self.reason.set(reason.into());
    }

    /// The first reason, or `None` while healthy.
    pub fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }
}
