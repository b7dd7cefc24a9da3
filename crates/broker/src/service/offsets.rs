//! Consumer offsets, and the bounds of queues (`ConsumerManageProcessor`, parts of `AdminBrokerProcessor`).

use std::collections::BTreeMap;
use std::sync::Arc;

use raptormq_base::java;
use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_store::{Boundary, GetRequest, Store};
use raptormq_wire::body::QueryCorrectionOffsetBody;
use raptormq_wire::header::{
    GetEarliestMsgStoretimeRequestHeader, GetEarliestMsgStoretimeResponseHeader, GetMaxOffsetRequestHeader,
    GetMaxOffsetResponseHeader, GetMinOffsetRequestHeader, GetMinOffsetResponseHeader,
    QueryConsumerOffsetRequestHeader, QueryConsumerOffsetResponseHeader, QueryCorrectionOffsetHeader,
    SearchOffsetRequestHeader, SearchOffsetResponseHeader, UpdateConsumerOffsetRequestHeader,
};

use raptormq_wire::{RemotingCommand, ResponseCode, json};

use super::success;
use crate::config::LiveConfig;
use crate::tables::groups::GroupTable;
use crate::tables::offsets::OffsetTable;
use crate::tables::topics::TopicTable;

/// Answers questions about offsets.
pub struct OffsetService {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// Groups.
    pub groups: Arc<GroupTable>,
    /// Offsets.
    pub offsets: Arc<OffsetTable>,
    /// The store.
    pub store: Store,
}

impl OffsetService {
    /// UPDATE_CONSUMER_OFFSET.
    pub fn update(&self, request: &Request) -> Answer {
        let header: UpdateConsumerOffsetRequestHeader = request.header()?;
        let group = &header.consumer_group;
        if !self.groups.contains(group) {
            let remark = format!("Group {group} not exist!");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        let Some(topic) = self.topics.get(&header.topic) else {
            let remark = format!("Topic {} not exist!", header.topic);
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        // Java keeps offsets of queues that never existed, as many as somebody cares to send.
        let queues = 0..topic.read_queue_nums.max(topic.write_queue_nums);
        if !queues.contains(&header.queue_id)
            && self.offsets.get(group, &header.topic, header.queue_id).is_none()
        {
            let remark = format!("QueueId {} is illegal, topic is {}", header.queue_id, header.topic);
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        if self.live.broker().use_server_side_reset_offset
            && self.offsets.has_reset(group, &header.topic, header.queue_id)
        {
            // The consumer has not been told yet: what it has consumed is no longer what counts.
            let remark = Some("Offset has been previously reset".to_owned());
            return Ok(RemotingCommand::response(ResponseCode::SUCCESS, remark));
        }
        self.offsets.commit(group, &header.topic, header.queue_id, header.commit_offset);
        Ok(success())
    }

    /// QUERY_CONSUMER_OFFSET. A group that is new to a queue begins at 0 where the queue still has its first message
    /// in memory; elsewhere the client decides.
    pub fn query(&self, request: &Request) -> Answer {
        let header: QueryConsumerOffsetRequestHeader = request.header()?;
        let (topic, queue_id) = (&header.topic, header.queue_id);
        let not_found = |remark: &str| Err(Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark));
        let offset = match self.offsets.get(&header.consumer_group, topic, queue_id) {
            Some(offset) if offset >= 0 => offset,
            _ if header.set_zero_if_not_found == Some(false) => {
                return not_found("Not found, do not set to zero, maybe this group boot first");
            }
            _ if self.store.queue_min(topic, queue_id) <= 0 && self.is_in_memory(topic, queue_id) => 0,
            _ => return not_found("Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"),
        };
        Ok(success().with_header(&QueryConsumerOffsetResponseHeader { offset }))
    }

    /// Whether the first message of a queue counts as cached (`checkInMemByConsumeOffset`): what would be read from
    /// disk is limited to fewer messages, and the store tells by how it would read.
    fn is_in_memory(&self, topic: &str, queue_id: i32) -> bool {
        if self.store.queue_max(topic, queue_id) == 0 {
            return false;
        }
        let first = GetRequest { topic, queue_id, offset: 0, max_nums: 1, max_bytes: None, filter: None };
        matches!(self.store.get(&first), raptormq_store::Get::Ready(_))
    }

    /// QUERY_CORRECTION_OFFSET: how far the slowest group has consumed each queue of a topic; where that is further than
    /// the group that is compared, the largest number. Groups that are left out keep their offsets, which Java deletes.
    pub fn correction(&self, request: &Request) -> Answer {
        let header: QueryCorrectionOffsetHeader = request.header()?;
        let topic = &header.topic;
        let left_out: Vec<&str> = match header.filter_groups.as_deref() {
            Some(groups) if !java::is_blank(groups) => groups.split(',').collect(),
            _ => Vec::new(),
        };
        let mut correction_offsets: BTreeMap<i32, i64> = BTreeMap::new();
        for group in self.offsets.groups_of(topic).iter().filter(|g| !left_out.contains(&g.as_str())) {
            for (queue_id, offset) in self.offsets.get_all(group, topic) {
                if offset >= self.store.queue_min(topic, queue_id) {
                    let least = correction_offsets.entry(queue_id).or_insert(offset);
                    *least = (*least).min(offset);
                }
            }
        }
        if !left_out.contains(&header.compare_group.as_str()) {
            for (queue_id, offset) in self.offsets.get_all(&header.compare_group, topic) {
                if let Some(least) = correction_offsets.get_mut(&queue_id).filter(|least| **least > offset) {
                    *least = i64::MAX;
                }
            }
        }
        Ok(success().with_body(json::to_vec(&QueryCorrectionOffsetBody { correction_offsets })))
    }

    /// SEARCH_OFFSET_BY_TIMESTAMP.
    pub fn search(&self, request: &Request) -> Answer {
        let header: SearchOffsetRequestHeader = request.header()?;
        let upper = header.boundary_type.as_deref().is_some_and(|b| b.eq_ignore_ascii_case("upper"));
        let boundary = if upper { Boundary::Upper } else { Boundary::Lower };
        let offset = self.store.offset_by_time(&header.topic, header.queue_id, header.timestamp, boundary);
        Ok(success().with_header(&SearchOffsetResponseHeader { offset }))
    }

    /// GET_MAX_OFFSET.
    pub fn max(&self, request: &Request) -> Answer {
        let header: GetMaxOffsetRequestHeader = request.header()?;
        let offset = self.store.queue_max(&header.topic, header.queue_id);
        Ok(success().with_header(&GetMaxOffsetResponseHeader { offset }))
    }

    /// GET_MIN_OFFSET.
    pub fn min(&self, request: &Request) -> Answer {
        let header: GetMinOffsetRequestHeader = request.header()?;
        let offset = self.store.queue_min(&header.topic, header.queue_id);
        Ok(success().with_header(&GetMinOffsetResponseHeader { offset }))
    }

    /// GET_EARLIEST_MSG_STORETIME.
    pub fn earliest_time(&self, request: &Request) -> Answer {
        let header: GetEarliestMsgStoretimeRequestHeader = request.header()?;
        let timestamp = self.store.earliest_time(&header.topic, header.queue_id);
        Ok(success().with_header(&GetEarliestMsgStoretimeResponseHeader { timestamp }))
    }
}
