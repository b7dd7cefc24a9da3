//! What clients ask of a broker, one module per concern. A service holds the tables and handles that it needs and no
//! other service.

pub mod assign;
pub mod calls;
pub mod clients;
pub mod filter;
pub mod offsets;
pub mod pull;
pub mod query;
pub mod reply;
pub mod reset;
pub mod schedule;
pub mod send;
pub mod send_back;
pub mod store_message;
pub mod transaction;

use raptormq_message::{NewMessage, props};
use raptormq_remoting::Refusal;
use raptormq_wire::{RemotingCommand, ResponseCode};

use crate::names;

/// A plain success.
pub(crate) fn success() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SUCCESS, None)
}

/// Moves a message to the delay topic: its real topic and queue become properties, its queue is the level's
/// (`HookUtils.transformDelayLevelMessage`).
pub(crate) fn delay(message: &mut NewMessage, level: i32, level_max: usize) {
    let level = level.min(i32::try_from(level_max).unwrap_or(i32::MAX));
    let text = String::from_utf8_lossy(&message.properties);
    let mut properties = props::Properties::parse(&text);
    properties.set(props::keys::DELAY, level.to_string());
    properties.set(props::keys::REAL_TOPIC, &*message.topic);
    properties.set(props::keys::REAL_QUEUE_ID, message.queue_id.to_string());
    message.properties = properties.encode().into();
    message.topic = names::SCHEDULE_TOPIC.into();
    message.queue_id = level - 1;
}

/// Reads a JSON body.
pub(crate) fn body<T: serde::de::DeserializeOwned>(command: &RemotingCommand) -> Result<T, Refusal> {
    raptormq_wire::json::from_slice(&command.body.to_bytes())
        .map_err(|e| Refusal::system_error(e.to_string()))
}
