//! Sending a group back, or forward, to another offset (`AdminBrokerProcessor.resetOffset`).

use std::collections::BTreeMap;
use std::sync::Arc;

use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_store::{Boundary, Store};
use raptormq_wire::body::{
    MessageQueue, MessageQueueForC, ResetOffsetBody, ResetOffsetBodyForC, TopicConfig,
};
use raptormq_wire::header::ResetOffsetRequestHeader;
use raptormq_wire::{LanguageCode, RemotingCommand, RequestCode, ResponseCode, json};

use super::calls::{check_version, without_remark};
use super::success;
use crate::config::LiveConfig;
use crate::tables::arrivals::Arrivals;
use crate::tables::consumers::ConsumerTable;
use crate::tables::groups::GroupTable;
use crate::tables::offsets::OffsetTable;
use crate::tables::topics::TopicTable;

/// Resets offsets.
pub struct ResetService {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// Groups.
    pub groups: Arc<GroupTable>,
    /// Whom to tell, without `useServerSideResetOffset`.
    pub consumers: Arc<ConsumerTable>,
    /// Offsets.
    pub offsets: Arc<OffsetTable>,
    /// Wakes held pulls: they are answered with the new offset.
    pub arrivals: Arc<Arrivals>,
    /// The store.
    pub store: Store,
}

impl ResetService {
    /// INVOKE_BROKER_TO_RESET_OFFSET.
    pub fn reset(&self, request: &Request) -> Answer {
        let header: ResetOffsetRequestHeader = request.header()?;
        tracing::info!(
            group = header.group,
            topic = header.topic,
            timestamp = header.timestamp,
            by = %request.peer.remote(),
            "offsets are reset"
        );
        let (response, offsets) = if self.live.broker().use_server_side_reset_offset {
            (success(), self.reset_here(&header)?)
        } else {
            let in_c = request.command.language == LanguageCode::Cpp;
            (without_remark(), self.tell_clients(&header, in_c)?)
        };
        let offset_table = self.named(&header, &offsets);
        Ok(response.with_body(json::to_vec(&ResetOffsetBody { offset_table })))
    }

    fn named(
        &self,
        header: &ResetOffsetRequestHeader,
        offsets: &BTreeMap<i32, i64>,
    ) -> BTreeMap<MessageQueue, i64> {
        let broker_name = &self.live.broker().broker_name;
        let queue = |queue_id: i32| MessageQueue {
            topic: header.topic.clone(),
            broker_name: broker_name.clone(),
            queue_id,
        };
        offsets.iter().map(|(queue_id, offset)| (queue(*queue_id), *offset)).collect()
    }

    /// The broker's own table is changed, and each queue's next pull is answered with the new offset
    /// (`resetOffsetInner`).
    fn reset_here(&self, header: &ResetOffsetRequestHeader) -> Result<BTreeMap<i32, i64>, Refusal> {
        let (topic, group) = (&header.topic, &header.group);
        let Some(config) = self.topics.get(topic) else {
            let remark = format!("Topic {topic} does not exist");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        if !self.groups.contains(group) {
            let remark = format!("Group {group} does not exist");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        let offsets = if header.queue_id >= 0 {
            BTreeMap::from([(header.queue_id, self.target(header, &config)?)])
        } else {
            let at = |queue_id| (queue_id, self.offset_at(topic, queue_id, header.timestamp));
            (0..config.read_queue_nums).map(at).collect()
        };
        if offsets.is_empty() {
            return Err(Refusal::system_error("No queues to reset."));
        }
        for (queue_id, offset) in &offsets {
            self.offsets.reset(group, topic, *queue_id, *offset);
            self.arrivals.wake(topic, Some(*queue_id));
        }
        Ok(offsets)
    }

    /// The offset for the one queue that is named.
    fn target(&self, header: &ResetOffsetRequestHeader, config: &TopicConfig) -> Result<i64, Refusal> {
        let (topic, queue_id) = (&header.topic, header.queue_id);
        let queues = 0..config.read_queue_nums.max(config.write_queue_nums);
        // Java keeps offsets of queues that never existed.
        if !queues.contains(&queue_id) && self.offsets.get(&header.group, topic, queue_id).is_none() {
            let remark = format!("QueueId {queue_id} is illegal, topic is {topic}");
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let Some(offset) = header.offset.filter(|offset| *offset != -1) else {
            return Ok(self.offset_at(topic, queue_id, header.timestamp));
        };
        let (min, max) = (self.store.queue_min(topic, queue_id), self.store.queue_max(topic, queue_id));
        if (min >= 0 && offset < min) || offset > max + 1 {
            let remark = format!("Target offset {offset} not in consume queue range [{min}-{max}]");
            return Err(Refusal::system_error(remark));
        }
        Ok(offset)
    }

    fn offset_at(&self, topic: &str, queue_id: i32, timestamp: i64) -> i64 {
        if timestamp < 0 {
            return self.store.queue_max(topic, queue_id);
        }
        self.store.offset_by_time(topic, queue_id, timestamp, Boundary::Lower)
    }

    /// The online consumers change their offsets and commit them (`Broker2Client.resetOffset`).
    fn tell_clients(
        &self,
        header: &ResetOffsetRequestHeader,
        in_c: bool,
    ) -> Result<BTreeMap<i32, i64>, Refusal> {
        let offsets = self.offsets_for_clients(header)?;
        let online = self.consumers.group(&header.group).map(|g| g.channels).unwrap_or_default();
        if online.is_empty() {
            let remark = format!(
                "Consumer not online, so can not reset offset, Group: {} Topic: {} Timestamp: {}",
                header.group, header.topic, header.timestamp
            );
            return Err(Refusal::new(ResponseCode::CONSUMER_NOT_ONLINE, remark));
        }
        let told = ResetOffsetRequestHeader {
            group: header.group.clone(),
            topic: header.topic.clone(),
            timestamp: header.timestamp,
            queue_id: -1,
            ..Default::default()
        };
        let table = self.named(header, &offsets);
        let body = if in_c {
            let queue = |(queue, offset): (MessageQueue, i64)| MessageQueueForC {
                broker_name: queue.broker_name,
                offset,
                queue_id: queue.queue_id,
                topic: queue.topic,
            };
            json::to_vec(&ResetOffsetBodyForC { offset_table: table.into_iter().map(queue).collect() })
        } else {
            json::to_vec(&ResetOffsetBody { offset_table: table })
        };
        let request = RemotingCommand::request(RequestCode::RESET_CONSUMER_CLIENT_OFFSET)
            .with_header(&told)
            .with_body(body);
        for client in online.values() {
            check_version(client)?;
            if let Err(error) = client.peer.oneway(request.clone()) {
                tracing::warn!(client = client.client_id, %error, "a consumer was not told its new offsets");
            }
        }
        Ok(offsets)
    }

    fn offsets_for_clients(&self, header: &ResetOffsetRequestHeader) -> Result<BTreeMap<i32, i64>, Refusal> {
        let (topic, group) = (&header.topic, &header.group);
        let Some(config) = self.topics.get(topic) else {
            let remark =
                format!("[reset-offset] reset offset failed, no topic in this broker. topic={topic}");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        let offset = |queue_id: i32| {
            let Some(present) = self.offsets.get(group, topic, queue_id) else {
                return Err(Refusal::system_error(format!("THe consumer group <{group}> not exist")));
            };
            let wanted = match header.timestamp {
                -1 => self.store.queue_max(topic, queue_id),
                time => self.store.offset_by_time(topic, queue_id, time, Boundary::Lower),
            };
            let forward = header.is_force || wanted.max(0) < present;
            Ok((queue_id, if forward { wanted.max(0) } else { present }))
        };
        (0..config.write_queue_nums).map(offset).collect()
    }
}
