//! A message queue, as itself and as a map key.

use super::MessageRequestMode;
use crate::json::java_enum_or_default;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One queue of a topic on a broker. Ordered as in Java: by topic, broker name, queue id.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageQueue {
    /// The topic.
    pub topic: String,
    /// The broker name.
    pub broker_name: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i32,
}

/// Java's `MessageQueueForC`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageQueueForC {
    /// The broker name.
    pub broker_name: String,
    /// The offset.
    pub offset: i64,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i32,
    /// The topic.
    pub topic: String,
}

/// Java's `MessageQueueAssignment`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageQueueAssignment {
    pub attachments: Option<BTreeMap<String, String>>,
    pub message_queue: MessageQueue,
    #[serde(deserialize_with = "java_enum_or_default")]
    pub mode: MessageRequestMode,
}
