//! The commit log: one writer, many readers.

pub(crate) mod appender;
pub(crate) mod flush;
pub(crate) mod read;
pub(crate) mod unsynced;
