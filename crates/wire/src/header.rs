//! The typed headers, named as in Java and grouped by what they are about.

mod admin;
mod auth;
mod client;
mod controller;
mod group;
mod ha;
mod lite;
mod message;
mod namesrv;
mod offset;
mod pop;
mod pull;
mod send;
#[cfg(test)]
mod tests;
mod topic;
mod transaction;

pub use admin::*;
pub use auth::*;
pub use client::*;
pub use controller::*;
pub use group::*;
pub use ha::*;
pub use lite::*;
pub use message::*;
pub use namesrv::*;
pub use offset::*;
pub use pop::*;
pub use pull::*;
pub use send::*;
pub use topic::*;
pub use transaction::*;

use crate::Header;

/// What every request between brokers, proxies and clients may carry (`RpcRequestHeader`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct RpcRequestHeader {
    /// The namespace.
    pub ns: Option<String>,
    /// True when the resource names already carry the namespace.
    pub nsd: Option<bool>,
    /// The broker name the request is meant for.
    pub bname: Option<String>,
    /// True when no response is wanted.
    pub oway: Option<bool>,
}

/// What every request about a topic may carry (`TopicRequestHeader`, and `TopicQueueRequestHeader`, which adds
/// nothing to the wire).
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct TopicRequestHeader {
    /// True when `queueId` is the number of a logical queue.
    pub lo: Option<bool>,
    /// What every request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}
