//! How far groups are behind in time, and offsets copied from group to group.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Local};
use raptormq_base::clock::Clock;
use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_store::Store;
use raptormq_wire::body::{MessageQueue, QueryConsumeTimeSpanBody, QueueTimeSpan};
use raptormq_wire::header::{CloneGroupOffsetRequestHeader, QueryConsumeTimeSpanRequestHeader};
use raptormq_wire::{ResponseCode, json};

use crate::config::LiveConfig;
use crate::service::success;
use crate::tables::consumers::ConsumerTable;
use crate::tables::offsets::OffsetTable;
use crate::tables::topics::TopicTable;

/// Administers progress.
pub struct ProgressAdmin {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// Consumers.
    pub consumers: Arc<ConsumerTable>,
    /// Offsets.
    pub offsets: Arc<OffsetTable>,
    /// The store.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl ProgressAdmin {
    /// QUERY_CONSUME_TIME_SPAN: from when to when the messages of each queue are, and how far the group has come.
    pub fn time_span(&self, request: &Request) -> Answer {
        let header: QueryConsumeTimeSpanRequestHeader = request.header()?;
        let Some(topic) = self.topics.get(&header.topic) else {
            let remark = format!("topic[{}] not exist", header.topic);
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        let span = |queue_id| self.of_queue(&header, queue_id);
        let consume_time_span_set = (0..topic.write_queue_nums).map(span).collect();
        Ok(success().with_body(json::to_vec(&QueryConsumeTimeSpanBody { consume_time_span_set })))
    }

    fn of_queue(&self, header: &QueryConsumeTimeSpanRequestHeader, queue_id: i32) -> QueueTimeSpan {
        let topic = &header.topic;
        let end = self.store.queue_max(topic, queue_id);
        let min_time_stamp = self.store.earliest_time(topic, queue_id);
        let max_time_stamp = self.store.store_time(topic, queue_id, end - 1);
        let offset = self.offsets.get(&header.group, topic, queue_id).unwrap_or(-1);
        let consume_time_stamp = match offset {
            1.. => self.store.store_time(topic, queue_id, offset - 1),
            _ => min_time_stamp,
        };
        let delay_time = if offset < end {
            self.clock.wall_ms() - self.store.store_time(topic, queue_id, offset)
        } else {
            0
        };
        QueueTimeSpan {
            message_queue: MessageQueue {
                topic: topic.clone(),
                broker_name: self.live.broker().broker_name.clone(),
                queue_id,
            },
            min_time_stamp,
            min_time_stamp_str: readable(min_time_stamp),
            max_time_stamp,
            max_time_stamp_str: readable(max_time_stamp),
            consume_time_stamp,
            consume_time_stamp_str: readable(consume_time_stamp),
            delay_time,
        }
    }

    /// CLONE_GROUP_OFFSET: one group goes on where another is, for one topic or, where none is named, for all. Topics
    /// that the other group does not subscribe to (any more) are left out unless it is offline. Java copies nothing
    /// where no topic is named.
    pub fn clone_offsets(&self, request: &Request) -> Answer {
        let header: CloneGroupOffsetRequestHeader = request.header()?;
        let (from, to) = (&header.src_group, &header.dest_group);
        let topics = match header.topic.as_ref().filter(|topic| !raptormq_base::java::is_blank(topic)) {
            Some(topic) => BTreeSet::from([topic.clone()]),
            None => self.offsets.topics_of(from),
        };
        for topic in &topics {
            if self.topics.contains(topic) && (header.offline || self.consumers.may_consume(from, topic)) {
                tracing::info!(topic, from, to, by = %request.peer.remote(), "offsets copied");
                self.offsets.copy(from, to, topic);
            }
        }
        Ok(success())
    }
}

/// A time as Java shows it, `yyyy-MM-dd#HH:mm:ss:SSS` in local time.
fn readable(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.with_timezone(&Local).format("%Y-%m-%d#%H:%M:%S:%3f").to_string()
}
