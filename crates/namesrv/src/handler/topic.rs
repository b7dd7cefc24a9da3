//! Topics: entered and deleted by operators, and listed.

use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_wire::body::{TopicList, TopicRouteData};
use raptormq_wire::header::{
    DeleteTopicFromNamesrvRequestHeader, GetTopicsByClusterRequestHeader, RegisterTopicRequestHeader,
};
use raptormq_wire::json;

use super::{ok, ok_with, unreadable};
use crate::registry::Registry;
use crate::service::Service;

/// REGISTER_TOPIC_IN_NAMESRV: queues of a topic, ahead of the next registration of their brokers.
pub fn register(service: &Service, request: &Request) -> Answer {
    let header: RegisterTopicRequestHeader = request.header()?;
    let route: TopicRouteData = json::from_slice(&request.command.body.to_bytes()).map_err(unreadable)?;
    if !route.queue_datas.is_empty() {
        service.registry.write().register_topic(&header.topic, route.queue_datas);
    }
    ok()
}

/// DELETE_TOPIC_IN_NAMESRV: everywhere, or in one cluster.
pub fn delete(service: &Service, request: &Request) -> Answer {
    let header: DeleteTopicFromNamesrvRequestHeader = request.header()?;
    let cluster = header.cluster_name.as_deref().filter(|name| !name.is_empty());
    service.registry.write().delete_topic(&header.topic, cluster);
    ok()
}

/// GET_ALL_TOPIC_LIST_FROM_NAMESERVER.
pub fn all(service: &Service, request: &Request) -> Answer {
    let enabled = service.config.settings().enable_all_topic_list;
    tracing::info!(from = %request.peer.remote(), enabled, "all topics are asked for");
    list(service, enabled, Registry::all_topics)
}

/// GET_TOPICS_BY_CLUSTER.
pub fn of_cluster(service: &Service, request: &Request) -> Answer {
    if !service.config.settings().enable_topic_list {
        return Err(disabled());
    }
    let header: GetTopicsByClusterRequestHeader = request.header()?;
    list(service, true, |registry| registry.topics_of_cluster(&header.cluster))
}

/// GET_SYSTEM_TOPIC_LIST_FROM_NS.
pub fn system(service: &Service, _: &Request) -> Answer {
    list(service, true, Registry::system_topics)
}

/// GET_UNIT_TOPIC_LIST.
pub fn unit(service: &Service, _: &Request) -> Answer {
    list(service, service.config.settings().enable_topic_list, Registry::unit_topics)
}

/// GET_HAS_UNIT_SUB_TOPIC_LIST.
pub fn unit_sub(service: &Service, _: &Request) -> Answer {
    list(service, service.config.settings().enable_topic_list, Registry::unit_sub_topics)
}

/// GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST.
pub fn unit_sub_ununit(service: &Service, _: &Request) -> Answer {
    list(service, service.config.settings().enable_topic_list, Registry::unit_sub_ununit_topics)
}

fn list(service: &Service, enabled: bool, topics: impl FnOnce(&Registry) -> TopicList) -> Answer {
    if !enabled {
        return Err(disabled());
    }
    let topics = topics(&service.registry.read());
    ok_with(json::to_vec(&topics))
}

fn disabled() -> Refusal {
    Refusal::system_error("disable")
}
