//! Topics: create, change, delete, list, figures.

use std::sync::Arc;

use parking_lot::Mutex;
use raptormq_remoting::{Answer, Refusal, Reply, Request, later};
use raptormq_store::Store;
use raptormq_wire::ResponseCode;
use raptormq_wire::body::{
    MessageQueue, TopicConfig, TopicConfigAndMappingSerializeWrapper, TopicFilterType, TopicOffset,
    TopicStatsTable,
};
use raptormq_wire::header::{
    CreateTopicRequestHeader, DeleteTopicRequestHeader, GetAllTopicConfigResponseHeader,
    GetTopicConfigRequestHeader, GetTopicStatsInfoRequestHeader,
};
use raptormq_wire::json::{self, JavaEnum};

use super::attributes;
use crate::config::LiveConfig;
use crate::names;
use crate::registration::Registration;
use crate::service::success;
use crate::tables::arrivals::Arrivals;
use crate::tables::blocking;
use crate::tables::offsets::OffsetTable;
use crate::tables::topics::{TopicTable, is_batch_cq};

/// Administers topics.
pub struct TopicAdmin {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// Offsets, which go with a deleted topic.
    pub offsets: Arc<OffsetTable>,
    /// Held pulls of a deleted topic end.
    pub arrivals: Arc<Arrivals>,
    /// Changes are registered.
    pub registration: Arc<Registration>,
    /// The store.
    pub store: Store,
    /// Held by each change from its look at the topic to its end.
    pub changing: Mutex<()>,
}

impl TopicAdmin {
    /// UPDATE_AND_CREATE_TOPIC: answered when the name servers know.
    pub fn update(self: &Arc<Self>, request: Request) -> Reply {
        let changed = blocking(|| {
            let _one_at_a_time = self.changing.lock();
            let topic = self.requested(&request)?;
            if self.topics.get(&topic.topic_name).is_some_and(|old| *old == topic) {
                return Ok(None);
            }
            if is_batch_cq(&topic) {
                self.use_batch_queues(&topic.topic_name)?;
            }
            tracing::info!(topic = topic.topic_name, remote = %request.peer.remote(), "topic created or changed");
            Ok(Some(self.topics.put(topic)))
        });
        let topic = match changed {
            Ok(Some(topic)) => topic,
            Ok(None) => return Ok(success()).into(),
            Err(refusal) => return Err(refusal).into(),
        };
        let admin = self.clone();
        later(async move {
            admin.registration.register_topics(&[&topic.topic_name]).await;
            Ok(success())
        })
    }

    fn requested(&self, request: &Request) -> Result<TopicConfig, Refusal> {
        let header: CreateTopicRequestHeader = request.header()?;
        let name = &header.topic;
        let invalid = |remark: String| Refusal::new(ResponseCode::INVALID_PARAMETER, remark);
        names::validate_topic(name).map_err(invalid)?;
        self.protect_system_topic(name)?;
        if header.read_queue_nums.max(header.write_queue_nums) > names::QUEUES_MAX {
            return Err(invalid(format!("A topic has at most {} queues here.", names::QUEUES_MAX)));
        }
        let filter = TopicFilterType::VALUES.iter().find(|(_, text)| *text == header.topic_filter_type);
        let Some((filter, _)) = filter else {
            let remark = format!("topicFilterType = [{}] value invalid", header.topic_filter_type);
            return Err(Refusal::system_error(remark));
        };
        let current = self.topics.get(name);
        let changes = attributes::parse(header.attributes.as_deref().unwrap_or_default());
        let attributes = changes
            .and_then(|changes| {
                if changes.contains_key("+reserve.time") {
                    return Err("Update topic reserveTime not supported".to_owned());
                }
                attributes::alter(current.as_ref().map(|t| &t.attributes), attributes::OF_TOPICS, &changes)
            })
            .map_err(Refusal::system_error)?;
        if attributes.get("message.type").is_some_and(|t| t == "MIXED") {
            return Err(invalid("MIXED message type is not supported.".to_owned()));
        }
        Ok(TopicConfig {
            topic_name: name.clone(),
            read_queue_nums: header.read_queue_nums,
            write_queue_nums: header.write_queue_nums,
            perm: header.perm,
            topic_filter_type: *filter,
            topic_sys_flag: header.topic_sys_flag.unwrap_or(0),
            order: header.order,
            attributes,
        })
    }

    /// A topic's queues are of one kind. Java takes such a topic, and does not start with it the next time.
    fn use_batch_queues(&self, topic: &str) -> Result<(), Refusal> {
        if !self.topics.get(topic).is_some_and(|old| is_batch_cq(&old)) {
            let queues = self.store.queues(topic);
            if queues.into_iter().any(|queue_id| self.store.queue_max(topic, queue_id) > 0) {
                let remark = format!(
                    "topic[{topic}] has messages already, delete it before it gets queue.type=BatchCQ"
                );
                return Err(Refusal::system_error(remark));
            }
        }
        self.store.use_batch_queues(topic);
        Ok(())
    }

    fn protect_system_topic(&self, topic: &str) -> Result<(), Refusal> {
        if self.live.broker().validate_system_topic_when_update_topic && self.topics.is_system(topic) {
            let remark = format!("The topic[{topic}] is conflict with system topic.");
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        Ok(())
    }

    /// DELETE_TOPIC_IN_BROKER: the topic, its queues with their files, and the offsets of its consumers.
    pub fn delete(&self, request: &Request) -> Answer {
        let header: DeleteTopicRequestHeader = request.header()?;
        let topic = &header.topic;
        if raptormq_base::java::is_blank(topic) {
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, "The specified topic is blank."));
        }
        self.protect_system_topic(topic)?;
        let _one_at_a_time = self.changing.lock();
        tracing::info!(topic, remote = %request.peer.remote(), "topic deleted");
        self.topics.remove(topic);
        self.offsets.remove(Some(topic), None);
        self.store.delete_topic(topic);
        self.arrivals.wake(topic, None);
        self.registration.register_soon();
        Ok(success())
    }

    /// GET_ALL_TOPIC_CONFIG.
    pub fn all(&self, _: &Request) -> Answer {
        let table = self.topics.wrapper();
        let header = GetAllTopicConfigResponseHeader {
            total_topic_num: i32::try_from(table.topic_config_table.len()).ok(),
        };
        let wrapper = TopicConfigAndMappingSerializeWrapper {
            data_version: table.data_version,
            topic_config_table: table.topic_config_table,
            ..Default::default()
        };
        Ok(success().with_header(&header).with_body(json::to_vec(&wrapper)))
    }

    /// GET_TOPIC_CONFIG.
    pub fn one(&self, request: &Request) -> Answer {
        let header: GetTopicConfigRequestHeader = request.header()?;
        match self.topics.get(&header.topic) {
            Some(topic) => Ok(success().with_body(json::to_vec(&*topic))),
            None => {
                let remark = format!("No topic in this broker. topic: {}", header.topic);
                Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark))
            }
        }
    }

    /// GET_TOPIC_STATS_INFO.
    pub fn stats(&self, request: &Request) -> Answer {
        let header: GetTopicStatsInfoRequestHeader = request.header()?;
        let Some(topic) = self.topics.get(&header.topic) else {
            let remark = format!("topic[{}] not exist", header.topic);
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        let broker_name = &self.live.broker().broker_name;
        let mut table = TopicStatsTable::default();
        for queue_id in 0..topic.write_queue_nums.max(topic.read_queue_nums) {
            let queue =
                MessageQueue { topic: header.topic.clone(), broker_name: broker_name.clone(), queue_id };
            let max_offset = self.store.queue_max(&header.topic, queue_id).max(0);
            let last_update_timestamp = if max_offset > 0 {
                self.store.store_time(&header.topic, queue_id, max_offset - 1)
            } else {
                0
            };
            let min_offset = self.store.queue_min(&header.topic, queue_id).max(0);
            table.offset_table.insert(queue, TopicOffset { last_update_timestamp, max_offset, min_offset });
        }
        Ok(success().with_body(json::to_vec(&table)))
    }
}
