//! Consumer groups: create, change, delete, list, progress.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_store::Store;
use raptormq_wire::body::{
    ConsumeStats, GroupForbidden, GroupList, MessageQueue, OffsetWrapper, QuerySubscriptionResponseBody,
    SubscriptionGroupConfig, TopicList,
};
use raptormq_wire::header::{
    DeleteSubscriptionGroupRequestHeader, GetAllSubscriptionGroupResponseHeader,
    GetConsumeStatsRequestHeader, GetSubscriptionGroupConfigRequestHeader,
    QuerySubscriptionByConsumerRequestHeader, QueryTopicConsumeByWhoRequestHeader,
    QueryTopicsByConsumerRequestHeader, UpdateGroupForbiddenRequestHeader,
};
use raptormq_wire::{RemotingCommand, ResponseCode, json};

use super::attributes;
use crate::config::LiveConfig;
use crate::names;
use crate::registration::address;
use crate::service::send::auto_create_group;
use crate::service::{body, success};
use crate::tables::consumers::ConsumerTable;
use crate::tables::groups::GroupTable;
use crate::tables::offsets::OffsetTable;
use crate::tables::topics::TopicTable;

/// Administers groups.
pub struct GroupAdmin {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// Groups.
    pub groups: Arc<GroupTable>,
    /// Consumers.
    pub consumers: Arc<ConsumerTable>,
    /// Offsets.
    pub offsets: Arc<OffsetTable>,
    /// The store.
    pub store: Store,
    /// Held by a change from its look at the group to its end.
    pub changing: Mutex<()>,
}

impl GroupAdmin {
    /// UPDATE_AND_CREATE_SUBSCRIPTIONGROUP.
    pub fn update(&self, request: &Request) -> Answer {
        let mut group: SubscriptionGroupConfig = body(&request.command)?;
        names::validate_group(&group.group_name)
            .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
        if group.retry_queue_nums > names::QUEUES_MAX {
            let remark = format!("A retry topic has at most {} queues here.", names::QUEUES_MAX);
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let _one_at_a_time = self.changing.lock();
        let current = self.groups.get(&group.group_name);
        let current = current.as_ref().map(|group| &group.attributes);
        group.attributes = attributes::alter(current, attributes::OF_GROUPS, &group.attributes)
            .map_err(Refusal::system_error)?;
        tracing::info!(group = group.group_name, remote = %request.peer.remote(), "group created or changed");
        self.groups.put(group);
        Ok(success())
    }

    /// DELETE_SUBSCRIPTIONGROUP.
    pub fn delete(&self, request: &Request) -> Answer {
        let header: DeleteSubscriptionGroupRequestHeader = request.header()?;
        tracing::info!(group = header.group_name, remote = %request.peer.remote(), "group deleted");
        self.groups.remove(&header.group_name);
        if header.clean_offset {
            self.offsets.remove(None, Some(&header.group_name));
        }
        Ok(success())
    }

    /// GET_ALL_SUBSCRIPTIONGROUP_CONFIG.
    pub fn all(&self, _: &Request) -> Answer {
        let wrapper = self.groups.wrapper();
        let total_group_num = i32::try_from(wrapper.subscription_group_table.len()).unwrap_or(i32::MAX);
        let header = GetAllSubscriptionGroupResponseHeader { total_group_num };
        Ok(success().with_header(&header).with_body(json::to_vec(&wrapper)))
    }

    /// GET_SUBSCRIPTIONGROUP_CONFIG.
    pub fn one(&self, request: &Request) -> Answer {
        let header: GetSubscriptionGroupConfigRequestHeader = request.header()?;
        let auto = auto_create_group(&self.live.broker(), &header.group);
        match self.groups.find(&header.group, auto) {
            Some(group) => Ok(success().with_body(json::to_vec(&*group))),
            None => Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, "No group in this broker")),
        }
    }

    /// GET_ALL_CONSUMER_OFFSET.
    pub fn all_offsets(&self, _: &Request) -> Answer {
        Ok(success().with_body(json::to_vec(&self.offsets.file())))
    }

    /// UPDATE_AND_GET_GROUP_FORBIDDEN: whether a group may read a topic, after changing that if a value is given.
    pub fn forbidden(&self, request: &Request) -> Answer {
        let header: UpdateGroupForbiddenRequestHeader = request.header()?;
        let (group, topic) = (header.group, header.topic);
        if let Some(readable) = header.readable {
            tracing::info!(group, topic, readable, remote = %request.peer.remote(), "reading allowed or forbidden");
            self.groups.forbid_read(&group, &topic, !readable);
        }
        let readable = Some(!self.groups.is_read_forbidden(&group, &topic));
        let state = json::to_vec(&GroupForbidden { group, readable, topic });
        Ok(RemotingCommand::response(ResponseCode::SUCCESS, Some(String::new())).with_body(state))
    }

    /// QUERY_TOPICS_BY_CONSUMER.
    pub fn topics_of(&self, request: &Request) -> Answer {
        let header: QueryTopicsByConsumerRequestHeader = request.header()?;
        let topic_list = self.offsets.topics_of(&header.group);
        let broker_addr = Some(address(&self.live.broker()));
        Ok(success().with_body(json::to_vec(&TopicList { broker_addr, topic_list })))
    }

    /// QUERY_SUBSCRIPTION_BY_CONSUMER.
    pub fn subscription(&self, request: &Request) -> Answer {
        let header: QuerySubscriptionByConsumerRequestHeader = request.header()?;
        let topic = header.topic.unwrap_or_default();
        let found = self.consumers.subscription(&header.group, &topic);
        let subscription_data = found.map(|subscription| (*subscription).clone());
        let answer = QuerySubscriptionResponseBody { group: header.group, subscription_data, topic };
        Ok(success().with_body(json::to_vec(&answer)))
    }

    /// QUERY_TOPIC_CONSUME_BY_WHO.
    pub fn of_topic(&self, request: &Request) -> Answer {
        let header: QueryTopicConsumeByWhoRequestHeader = request.header()?;
        let mut group_list: BTreeSet<String> = self.offsets.groups_of(&header.topic);
        group_list.extend(self.consumers.groups_of_topic(&header.topic));
        Ok(success().with_body(json::to_vec(&GroupList { group_list })))
    }

    /// GET_CONSUME_STATS.
    pub fn consume_stats(&self, request: &Request) -> Answer {
        let header: GetConsumeStatsRequestHeader = request.header()?;
        let group = &header.consumer_group;
        let topics = self.topics_of_stats(&header);
        let broker_name = &self.live.broker().broker_name;
        let mut stats = ConsumeStats::default();
        for topic in topics {
            let Some(config) = self.topics.get(&topic) else { continue };
            let committed = self.offsets.get_all(group, &topic);
            for queue_id in 0..config.read_queue_nums {
                let consumer_offset = committed.get(&queue_id).copied().unwrap_or(0).max(0);
                let last_timestamp = match consumer_offset {
                    0 => 0,
                    offset => self.store.store_time(&topic, queue_id, offset - 1).max(0),
                };
                let progress = OffsetWrapper {
                    broker_offset: self.store.queue_max(&topic, queue_id).max(0),
                    consumer_offset,
                    last_timestamp,
                    pull_offset: consumer_offset.max(self.offsets.pull_offset(group, &topic, queue_id)),
                };
                let queue = MessageQueue { topic: topic.clone(), broker_name: broker_name.clone(), queue_id };
                stats.offset_table.insert(queue, progress);
            }
        }
        Ok(success().with_body(json::to_vec(&stats)))
    }

    /// The topics that are asked for; where none is named, or only one, those that the group does not subscribe to
    /// (any more) are left out (`getTopicsForCollectingConsumeStats`).
    fn topics_of_stats(&self, header: &GetConsumeStatsRequestHeader) -> BTreeSet<String> {
        let listed = header.topic_list.as_deref().unwrap_or_default().split(';').filter(|t| !t.is_empty());
        let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
        if !listed.is_empty() {
            return listed;
        }
        let group = &header.consumer_group;
        let mut topics = match header.topic.as_ref().filter(|t| !raptormq_base::java::is_blank(t)) {
            Some(topic) => BTreeSet::from([topic.clone()]),
            None => self.offsets.topics_of(group),
        };
        topics.retain(|topic| self.consumers.may_consume(group, topic));
        topics
    }
}
