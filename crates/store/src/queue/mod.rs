//! Consume queues: for each topic and queue the list of its messages, in `consumequeue/<topic>/<queueId>/%020d`.
//!
//! A queue's unflushed end lives in memory and is written behind by a thread; a crash loses it and recovery takes it
//! from the log again. `written <= end`, and the checkpoint never claims more than what is synced.

pub(crate) mod batch;
pub(crate) mod ext;
pub(crate) mod flush;
pub(crate) mod one;
mod stream;
pub(crate) mod table;
pub(crate) mod unit;

#[cfg(test)]
mod tests;
