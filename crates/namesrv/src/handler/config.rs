//! The name server's own configuration.

use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_wire::ResponseCode;

use super::{ok, ok_with};
use crate::config::BlackListed;
use crate::service::Service;

/// UPDATE_NAMESRV_CONFIG: a properties text.
pub fn update(service: &Service, request: &Request) -> Answer {
    tracing::info!(from = %request.peer.remote(), "the configuration is changed by request");
    let body = request.command.body.to_bytes();
    if body.is_empty() {
        return ok();
    }
    match service.config.update(&String::from_utf8_lossy(&body)) {
        Ok(()) => ok(),
        Err(BlackListed) => {
            Err(Refusal::new(ResponseCode::NO_PERMISSION, "Can not update config in black list."))
        }
    }
}

/// GET_NAMESRV_CONFIG: every key as `key=value` lines.
pub fn get(service: &Service, _: &Request) -> Answer {
    ok_with(service.config.text())
}
