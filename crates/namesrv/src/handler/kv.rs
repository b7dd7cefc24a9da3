//! The key-value configuration. A missing namespace or key reads as Java's null.

use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_wire::header::GetKVConfigResponseHeader;
use raptormq_wire::{RemotingCommand, ResponseCode};

use super::{ok, ok_with};
use crate::service::Service;

/// PUT_KV_CONFIG.
pub fn put(service: &Service, request: &Request) -> Answer {
    let ext = &request.command.ext;
    let (Some(namespace), Some(key)) = (ext.get("namespace"), ext.get("key")) else {
        return Err(Refusal::system_error("namespace or key is null"));
    };
    service.kv.put(namespace, key, ext.get("value"));
    ok()
}

/// GET_KV_CONFIG.
pub fn get(service: &Service, request: &Request) -> Answer {
    let ext = &request.command.ext;
    let (namespace, key) = (ext.get("namespace"), ext.get("key"));
    let value = namespace.zip(key).and_then(|(namespace, key)| service.kv.get(namespace, key));
    match value {
        Some(value) => Ok(RemotingCommand::response(ResponseCode::SUCCESS, None)
            .with_header(&GetKVConfigResponseHeader { value: Some(value) })),
        None => Err(Refusal::new(
            ResponseCode::QUERY_NOT_FOUND,
            format!(
                "No config item, Namespace: {} Key: {}",
                namespace.unwrap_or("null"),
                key.unwrap_or("null")
            ),
        )),
    }
}

/// DELETE_KV_CONFIG.
pub fn delete(service: &Service, request: &Request) -> Answer {
    let ext = &request.command.ext;
    if let (Some(namespace), Some(key)) = (ext.get("namespace"), ext.get("key")) {
        service.kv.delete(namespace, key);
    }
    ok()
}

/// GET_KVLIST_BY_NAMESPACE.
pub fn list(service: &Service, request: &Request) -> Answer {
    let namespace = request.command.ext.get("namespace");
    match namespace.and_then(|namespace| service.kv.list(namespace)) {
        Some(table) => ok_with(table),
        None => Err(Refusal::new(
            ResponseCode::QUERY_NOT_FOUND,
            format!("No config item, Namespace: {}", namespace.unwrap_or("null")),
        )),
    }
}
