//! Route queries.

use std::time::Duration;

use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_wire::ResponseCode;
use raptormq_wire::header::GetRouteInfoRequestHeader;

use super::ok_with;
use crate::kv::NAMESPACE_ORDER_TOPIC_CONFIG;
use crate::route;
use crate::service::Service;

/// GET_ROUTEINFO_BY_TOPIC: where a topic lives.
pub fn get(service: &Service, request: &Request) -> Answer {
    let header: GetRouteInfoRequestHeader = request.header()?;
    let settings = service.config.settings();
    let wait = Duration::from_secs(u64::try_from(settings.wait_seconds).unwrap_or(0));
    if settings.need_wait && service.uptime() < wait {
        return Err(Refusal::system_error("name server not ready"));
    }
    let found = service.registry.read().pickup(&header.topic, settings.support_acting_master);
    let Some(mut found) = found else {
        return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, no_route(&header.topic)));
    };
    if settings.order_message {
        found.order_topic_conf = service.kv.get(NAMESPACE_ORDER_TOPIC_CONFIG, &header.topic);
    }
    let standard = header.accept_standard_json_only == Some(true);
    ok_with(route::encode(found, request.command.version, standard, &request.command.ext))
}

fn no_route(topic: &str) -> String {
    format!(
        "No topic route info in name server for the topic: {topic}\n\
         See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
    )
}
