//! One function per request: decode, ask, answer. Mirrors `DefaultRequestProcessor` and `ClientRequestProcessor`.

pub mod broker;
pub mod config;
pub mod kv;
pub mod route;
pub mod topic;

use raptormq_remoting::{Answer, Refusal};
use raptormq_wire::{Body, RemotingCommand, ResponseCode, json};

/// SUCCESS without body.
fn ok() -> Answer {
    Ok(RemotingCommand::response(ResponseCode::SUCCESS, None))
}

/// SUCCESS with a body.
fn ok_with(body: impl Into<Body>) -> Answer {
    Ok(RemotingCommand::response(ResponseCode::SUCCESS, None).with_body(body))
}

/// A body that no reader understands, which in Java ends as an exception in the processor.
fn unreadable(error: json::JsonError) -> Refusal {
    Refusal::system_error(format!("Failed to decode the body: {error}"))
}
