//! What operators' tools ask of a broker (parts of `AdminBrokerProcessor`), by noun.

pub mod attributes;
pub mod clients;
pub mod config;
pub mod groups;
pub mod progress;
pub mod runtime;
pub mod topics;
