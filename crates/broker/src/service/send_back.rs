//! CONSUMER_SEND_MSG_BACK: a message that could not be consumed is delivered again later, or given up
//! (`AbstractSendMessageProcessor.consumerSendMsgBack`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use raptormq_message::props::{Properties, keys};
use raptormq_message::{Message, NewMessage, decode_message};
use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_store::Store;
use raptormq_wire::ResponseCode;
use raptormq_wire::header::ConsumerSendMsgBackRequestHeader;

use super::send::{V3_4_9, auto_create_group, sending_forbidden};
use super::{store_message, success};
use crate::config::LiveConfig;
use crate::names::{self, FAQ, perm};
use crate::registration::Registration;
use crate::tables::groups::GroupTable;
use crate::tables::topics::TopicTable;

/// The level of the first retry; each further one is a level higher.
const FIRST_RETRY_LEVEL: i32 = 3;

/// Takes messages back.
pub struct SendBackService {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// Groups.
    pub groups: Arc<GroupTable>,
    /// New retry and dead-letter topics are registered.
    pub registration: Arc<Registration>,
    /// The store.
    pub store: Store,
    /// Address stored with each message.
    pub store_host: SocketAddr,
    /// Number of delay levels.
    pub delay_level_max: usize,
    /// Spreads messages over the retry queues.
    pub next_queue: AtomicU32,
}

impl SendBackService {
    /// CONSUMER_SEND_MSG_BACK.
    pub fn send_back(&self, request: &Request) -> Answer {
        let header: ConsumerSendMsgBackRequestHeader = request.header()?;
        let broker = self.live.broker();
        let Some(group) = self.groups.find(&header.group, auto_create_group(&broker, &header.group)) else {
            let remark = format!("subscription group not exist, {} {FAQ}", header.group);
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        };
        if !perm::is_writable(broker.broker_permission) {
            return Err(sending_forbidden(&broker));
        }
        let queues = u32::try_from(group.retry_queue_nums).unwrap_or(0);
        if queues == 0 {
            return Ok(success());
        }
        let sys_flag = names::topic_sys_flag(false, header.unit_mode);
        let retry_topic = names::retry_topic(&header.group);
        let topic = self.topic(&retry_topic, group.retry_queue_nums, sys_flag)?;
        if !perm::is_writable(topic.perm) {
            let remark = format!("the topic[{retry_topic}] sending message is forbidden");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        let record = u64::try_from(header.offset).ok().and_then(|offset| self.store.record_at(offset));
        let Some(message) = record.and_then(|record| decode_message(&record).ok()) else {
            return Err(Refusal::system_error(format!("look message by offset failed, {}", header.offset)));
        };
        let named = header.max_reconsume_times.filter(|_| request.command.version >= V3_4_9);
        let give_up =
            message.reconsume_times >= named.unwrap_or(group.retry_max_times) || header.delay_level < 0;
        let (topic, queue_id, level) = if give_up {
            let dlq = names::dlq_topic(&header.group);
            self.topic(&dlq, 1, 0)?;
            (dlq, 0, 0)
        } else {
            let queue = self.next_queue.fetch_add(1, Ordering::Relaxed) % queues;
            let level = match header.delay_level {
                // A producer may store any number; Java's arithmetic wraps around.
                0 => FIRST_RETRY_LEVEL.wrapping_add(message.reconsume_times),
                level => level,
            };
            (retry_topic, i32::try_from(queue).unwrap_or(0), level)
        };
        let again = self.again(&message, topic, queue_id, level);
        // A message is taken back by the answer alone, so the answer does not wait for the disk; Java sets WAIT=false.
        self.store.append(&again).map_err(|e| Refusal::system_error(store_message::status(&e)))?;
        Ok(success())
    }

    fn topic(
        &self,
        name: &str,
        queues: i32,
        sys_flag: i32,
    ) -> Result<Arc<raptormq_wire::body::TopicConfig>, Refusal> {
        let created = self.topics.create_on_send_back(name, queues, false, sys_flag);
        let (topic, created) =
            created.ok_or_else(|| Refusal::system_error(format!("topic[{name}] not exist")))?;
        if created {
            self.registration.register_soon();
        }
        Ok(topic)
    }

    /// The message as it is stored again.
    fn again(&self, message: &Message, topic: String, queue_id: i32, level: i32) -> NewMessage {
        let mut properties = Properties::parse(&message.properties_str());
        if !properties.contains(keys::RETRY_TOPIC) {
            properties.set(keys::RETRY_TOPIC, &*message.topic);
        }
        properties.set(keys::WAIT, "false");
        properties.set(keys::DELAY, level.to_string());
        if properties.get(keys::ORIGIN_MESSAGE_ID).is_none_or(raptormq_base::java::is_blank) {
            properties.set(keys::ORIGIN_MESSAGE_ID, message.offset_msg_id());
        }
        let mut again = NewMessage {
            topic: topic.into(),
            queue_id,
            flag: message.flag,
            sys_flag: message.sys_flag,
            born_timestamp: message.born_timestamp,
            born_host: message.born_host,
            store_host: self.store_host,
            reconsume_times: message.reconsume_times.wrapping_add(1),
            prepared_transaction_offset: 0,
            body: message.body.clone(),
            properties: properties.encode().into(),
        };
        if level > 0 {
            super::delay(&mut again, level, self.delay_level_max);
        }
        again
    }
}
