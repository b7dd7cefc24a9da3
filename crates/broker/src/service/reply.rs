//! Replies to requests: pushed to the client that asked, and stored (`ReplyMessageProcessor`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use raptormq_base::clock::Clock;
use raptormq_message::layout::PROPERTIES_MAX;
use raptormq_message::props::{Properties, keys};
use raptormq_message::{NewMessage, offset_msg_id};
use raptormq_remoting::{Refusal, Reply, Request, later};
use raptormq_store::{Appended, Store};
use raptormq_wire::body::TopicConfig;
use raptormq_wire::header::{
    ReplyMessageRequestHeader, SendMessageRequestHeader, SendMessageRequestHeaderV2,
    SendMessageResponseHeader,
};
use raptormq_wire::{RemotingCommand, RequestCode, ResponseCode};

use super::send::{annotate, check_queue, create_topic, find_topic};
use super::store_message;
use crate::config::{BrokerSettings, LiveConfig};
use crate::registration::Registration;
use crate::stats::Stats;
use crate::tables::producers::ProducerTable;
use crate::tables::topics::TopicTable;

/// How long the client that asked may take to confirm the reply (`Broker2Client.callClient`).
const PUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// Hands replies to those who asked.
pub struct ReplyService {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// The clients that may have asked.
    pub producers: Arc<ProducerTable>,
    /// New topics are registered.
    pub registration: Arc<Registration>,
    /// The store.
    pub store: Store,
    /// Address stored with each message.
    pub store_host: SocketAddr,
    /// Number of delay levels.
    pub delay_level_max: usize,
    /// Figures.
    pub stats: Arc<Stats>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Spreads replies without a queue.
    pub next_queue: AtomicU32,
}

impl ReplyService {
    /// SEND_REPLY_MESSAGE and SEND_REPLY_MESSAGE_V2.
    pub fn reply(self: &Arc<Self>, request: Request) -> Reply {
        let mut header = match parse_header(&request) {
            Ok(header) => header,
            Err(refusal) => return Err(refusal).into(),
        };
        let service = self.clone();
        later(async move {
            let broker = service.live.broker();
            header.properties = Some(with_origin(&header, &broker));
            let answered = service.push_and_store(&broker, &header, &request).await;
            Ok(annotate(answered.unwrap_or_else(RemotingCommand::from), &broker))
        })
    }

    async fn push_and_store(
        &self,
        broker: &BrokerSettings,
        header: &SendMessageRequestHeader,
        request: &Request,
    ) -> Result<RemotingCommand, Refusal> {
        if request.command.body.is_empty() {
            // Official clients do not send such a reply. Java's broker fails with a NullPointerException on it.
            return Err(Refusal::system_error("the body of the reply is empty"));
        }
        if header.properties.as_ref().is_some_and(|properties| properties.len() > PROPERTIES_MAX) {
            return Err(store_message::illegal(self.store.max_message_size()));
        }
        let topic = self.topic(broker, header).await?;
        check_queue(header, &topic, &request.peer)?;
        let queue_id = self.queue(header.queue_id, topic.write_queue_nums);
        let pushed = self.push(header, request).await;
        let mut answer = SendMessageResponseHeader { queue_id, ..Default::default() };
        let mut known = pushed.is_ok();
        if known {
            // Clients cannot read an answer without them.
            answer.msg_id = "0".to_owned();
        }
        if broker.store_reply_message_enable
            && let Some(stored) = self.store(header, request, queue_id).await
        {
            answer.msg_id = offset_msg_id(self.store_host, stored.log_offset);
            answer.queue_offset = stored.queue_offset;
            known = true;
        }
        let response = match pushed {
            Ok(()) => RemotingCommand::response(ResponseCode::SUCCESS, None),
            Err(remark) => RemotingCommand::response(ResponseCode::SYSTEM_ERROR, Some(remark)),
        };
        Ok(if known { response.with_header(&answer) } else { response })
    }

    async fn topic(
        &self,
        broker: &BrokerSettings,
        header: &SendMessageRequestHeader,
    ) -> Result<Arc<TopicConfig>, Refusal> {
        if let Some(topic) = find_topic(&self.topics, &*self.clock, broker, header)? {
            return Ok(topic);
        }
        let topic = create_topic(&self.topics, &self.store, broker, header)?;
        self.registration.register_topics(&[&header.topic]).await;
        Ok(topic)
    }

    /// Pushes the reply to the client that its property names. The error is Java's remark.
    async fn push(&self, header: &SendMessageRequestHeader, request: &Request) -> Result<(), String> {
        let raw = header.properties.as_deref().unwrap_or_default();
        let mut properties = Properties::parse(raw);
        let Some(client_id) = properties.get(keys::MESSAGE_REPLY_TO_CLIENT).map(str::to_owned) else {
            return Err(format!("reply message properties[{}] is null", keys::MESSAGE_REPLY_TO_CLIENT));
        };
        let Some(client) = self.producers.find(&client_id) else {
            return Err(format!("push reply message fail, channel of <{client_id}> not found."));
        };
        let now = self.clock.wall_ms();
        properties.set(keys::PUSH_REPLY_TIME, now.to_string());
        let push = ReplyMessageRequestHeader {
            producer_group: header.producer_group.clone(),
            topic: header.topic.clone(),
            default_topic: header.default_topic.clone(),
            default_topic_queue_nums: header.default_topic_queue_nums,
            queue_id: header.queue_id,
            sys_flag: header.sys_flag,
            born_timestamp: header.born_timestamp,
            flag: header.flag,
            properties: Some(properties.encode()),
            reconsume_times: header.reconsume_times,
            unit_mode: header.unit_mode == Some(true),
            born_host: request.peer.remote().to_string(),
            store_host: self.store_host.to_string(),
            store_timestamp: now,
            ..Default::default()
        };
        let push = RemotingCommand::request(RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT)
            .with_header(&push)
            .with_body(request.command.body.clone());
        let fail = || format!("push reply message to {client_id}fail.");
        match client.call(push, PUSH_TIMEOUT).await {
            Ok(answer) if answer.code == ResponseCode::SUCCESS.0 => Ok(()),
            Ok(answer) => {
                let (code, remark) = (answer.code, answer.remark);
                tracing::warn!(client = client_id, code, remark, "the client did not take a reply");
                Err(fail())
            }
            Err(error) => {
                tracing::warn!(client = client_id, %error, "a reply was not pushed");
                Err(fail())
            }
        }
    }

    /// Stores the reply as it came. A failure is logged and not told, as in Java: the reply has been pushed by then.
    async fn store(
        &self,
        header: &SendMessageRequestHeader,
        request: &Request,
        queue_id: i32,
    ) -> Option<Appended> {
        let raw = header.properties.as_deref().unwrap_or_default();
        let mut message = NewMessage {
            topic: header.topic.as_str().into(),
            queue_id,
            flag: header.flag,
            // Java stores none of its bits: not even that the body is compressed.
            sys_flag: 0,
            born_timestamp: header.born_timestamp,
            born_host: request.peer.remote(),
            store_host: self.store_host,
            reconsume_times: header.reconsume_times.unwrap_or(0),
            prepared_transaction_offset: 0,
            body: request.command.body.to_bytes(),
            properties: raw.to_owned().into(),
        };
        let delay = Properties::parse(raw).get(keys::DELAY).and_then(|level| level.parse().ok()).unwrap_or(0);
        if delay > 0 {
            super::delay(&mut message, delay, self.delay_level_max);
        }
        match self.store.append(&message) {
            Ok(appended) => {
                self.stats.put(1, u64::from(appended.len));
                // Whatever becomes of the flush, the message is in the log: Java's answer is the same.
                let _ = self.store.flushed(appended.next_offset, true).await;
                Some(appended)
            }
            Err(error) => {
                tracing::warn!(topic = header.topic, %error, "a reply was not stored");
                None
            }
        }
    }

    fn queue(&self, asked: i32, write_queues: i32) -> i32 {
        if asked >= 0 {
            return asked;
        }
        let queues = u32::try_from(write_queues).unwrap_or(1).max(1);
        i32::try_from(self.next_queue.fetch_add(1, Ordering::Relaxed) % queues).unwrap_or(0)
    }
}

/// The reply's properties with those that every message gets (`AbstractSendMessageProcessor.buildMsgContext`).
fn with_origin(header: &SendMessageRequestHeader, broker: &BrokerSettings) -> String {
    let mut properties = Properties::parse(header.properties.as_deref().unwrap_or_default());
    properties.set(keys::MSG_REGION, broker.region_id.as_str());
    properties.set(keys::TRACE_SWITCH, if broker.trace_on { "true" } else { "false" });
    properties.encode()
}

fn parse_header(request: &Request) -> Result<SendMessageRequestHeader, Refusal> {
    if request.command.code == RequestCode::SEND_REPLY_MESSAGE.0 {
        return request.header();
    }
    Ok(request.header::<SendMessageRequestHeaderV2>()?.into())
}
