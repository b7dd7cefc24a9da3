//! The request table of the name server.

use std::sync::Arc;

use raptormq_remoting::{Lane, Ports::Both, RouteTable};
use raptormq_wire::RequestCode;

use crate::handler::{broker, config, kv, route, topic};
use crate::service::Service;

/// Every code that the name server answers. All others get REQUEST_CODE_NOT_SUPPORTED, as from Java.
#[rustfmt::skip]
pub fn routes(service: &Arc<Service>) -> RouteTable {
    let settings = service.config.settings();
    let lane = |name, capacity| Lane::new(name, usize::try_from(capacity).unwrap_or(0));
    let clients = &lane("client", settings.route_capacity);
    let others  = &lane("default", settings.default_capacity);
    let s = service;
    RouteTable::new()
        // Clients ask for routes; nothing else shares their lane.
        .on(RequestCode::GET_ROUTEINFO_BY_TOPIC,              Both, clients, s, route::get)
        // Brokers. A registration can be megabytes of JSON, so it is decoded off the connection's task.
        .blocking(RequestCode::REGISTER_BROKER,               Both, others,  s, broker::register)
        .on(RequestCode::UNREGISTER_BROKER,                   Both, others,  s, broker::unregister)
        .on(RequestCode::BROKER_HEARTBEAT,                    Both, others,  s, broker::heartbeat)
        .on(RequestCode::QUERY_DATA_VERSION,                  Both, others,  s, broker::query_data_version)
        .on(RequestCode::GET_BROKER_MEMBER_GROUP,             Both, others,  s, broker::member_group)
        .on(RequestCode::GET_BROKER_CLUSTER_INFO,             Both, others,  s, broker::cluster_info)
        .on(RequestCode::WIPE_WRITE_PERM_OF_BROKER,           Both, others,  s, broker::wipe_write_perm)
        .on(RequestCode::ADD_WRITE_PERM_OF_BROKER,            Both, others,  s, broker::add_write_perm)
        // Topics.
        .on(RequestCode::REGISTER_TOPIC_IN_NAMESRV,           Both, others,  s, topic::register)
        .on(RequestCode::DELETE_TOPIC_IN_NAMESRV,             Both, others,  s, topic::delete)
        .on(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER,  Both, others,  s, topic::all)
        .on(RequestCode::GET_TOPICS_BY_CLUSTER,               Both, others,  s, topic::of_cluster)
        .on(RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS,       Both, others,  s, topic::system)
        .on(RequestCode::GET_UNIT_TOPIC_LIST,                 Both, others,  s, topic::unit)
        .on(RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST,         Both, others,  s, topic::unit_sub)
        .on(RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,  Both, others,  s, topic::unit_sub_ununit)
        // Key-value configuration. What changes it waits for the disk.
        .blocking(RequestCode::PUT_KV_CONFIG,                 Both, others,  s, kv::put)
        .blocking(RequestCode::DELETE_KV_CONFIG,              Both, others,  s, kv::delete)
        .on(RequestCode::GET_KV_CONFIG,                       Both, others,  s, kv::get)
        .on(RequestCode::GET_KVLIST_BY_NAMESPACE,             Both, others,  s, kv::list)
        // The name server's own configuration.
        .blocking(RequestCode::UPDATE_NAMESRV_CONFIG,         Both, others,  s, config::update)
        .on(RequestCode::GET_NAMESRV_CONFIG,                  Both, others,  s, config::get)
}

/// How the name server treats one request code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// The code.
    pub code: RequestCode,
    /// Its Java name.
    pub name: &'static str,
    /// The lane it is answered on; `None` when it is answered REQUEST_CODE_NOT_SUPPORTED.
    pub lane: Option<&'static str>,
}

/// Every named request code with its treatment, in numeric order, from the same table that requests go through.
pub fn treatments() -> Vec<Treatment> {
    let rows = routes(&Service::for_documentation()).rows();
    RequestCode::ALL
        .iter()
        .map(|(code, name)| Treatment {
            code: *code,
            name,
            lane: rows.iter().find(|row| row.code == *code).and_then(|row| row.treatment.ok()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: the cases of `DefaultRequestProcessor.processRequest` of 5.5.0, and the one code registered for
    /// `ClientRequestProcessor`.
    const ROUTED_BY_JAVA: [i32; 23] = [
        100, 101, 102, 103, 104, 105, 106, 205, 206, 216, 217, 219, 224, 304, 311, 312, 313, 318, 319, 322,
        327, 901, 904,
    ];

    #[test]
    fn exactly_the_codes_that_java_routes_are_routed() {
        let routed: Vec<i32> = treatments().iter().filter(|t| t.lane.is_some()).map(|t| t.code.0).collect();
        assert_eq!(routed, ROUTED_BY_JAVA);
    }
}
