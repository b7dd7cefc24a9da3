//! What the broker knows besides the messages: topics, groups, offsets, clients, locks, waits.

pub mod arrivals;
pub mod consumers;
pub mod filters;
pub mod groups;
pub mod locks;
pub mod offsets;
pub mod persist;
pub mod producers;
pub mod request_modes;
pub mod topics;

#[cfg(test)]
mod tests;

/// Runs `work`, which blocks on files for a moment, without holding up the other tasks of this worker.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(work)
        }
        _ => work(),
    }
}
