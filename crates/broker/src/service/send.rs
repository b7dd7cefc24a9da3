//! SEND_MESSAGE in all its forms (`SendMessageProcessor`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use raptormq_base::clock::Clock;
use raptormq_message::props::{self, NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR, Properties, keys};
use raptormq_message::{NewMessage, UniqueIds, batch, flags, offset_msg_id};
use raptormq_remoting::{Peer, Refusal, Reply, Request, later};
use raptormq_store::{AppendError, Appended, FlushMode, FlushOutcome, Store};
use raptormq_wire::body::{TopicConfig, TopicFilterType};
use raptormq_wire::header::{
    SendMessageRequestHeader, SendMessageRequestHeaderV2, SendMessageResponseHeader,
};
use raptormq_wire::{RemotingCommand, RequestCode, ResponseCode};

use super::store_message;
use super::transaction::half;
use crate::config::{BrokerSettings, LiveConfig};
use crate::names::{self, FAQ, perm};
use crate::registration::Registration;
use crate::stats::Stats;
use crate::tables::groups::GroupTable;
use crate::tables::locks::QueueLocks;
use crate::tables::topics::{TopicTable, describe, is_batch_cq};

/// `MQVersion` V3_4_9: clients from then on name the maximum of deliveries themselves.
pub(super) const V3_4_9: i32 = 121;

/// Stores what producers send.
pub struct SendService {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// Groups, for messages sent to a retry topic.
    pub groups: Arc<GroupTable>,
    /// Locks tell which groups consume in order.
    pub locks: Arc<QueueLocks>,
    /// New topics are registered before the message is answered.
    pub registration: Arc<Registration>,
    /// The store.
    pub store: Store,
    /// Address stored with each message.
    pub store_host: SocketAddr,
    /// Number of delay levels.
    pub delay_level_max: usize,
    /// Ids for messages that come without one.
    pub unique_ids: UniqueIds,
    /// Figures.
    pub stats: Arc<Stats>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Spreads messages without a queue.
    pub next_queue: AtomicU32,
}

/// A stored message or batch whose answer may still have to wait for the disk.
struct Stored {
    response: RemotingCommand,
    next_offset: u64,
    wait: bool,
}

impl SendService {
    /// SEND_MESSAGE, SEND_MESSAGE_V2 and SEND_BATCH_MESSAGE.
    pub fn send(self: &Arc<Self>, request: Request) -> Reply {
        let header = match parse_header(&request) {
            Ok(header) => header,
            Err(refusal) => return Err(refusal).into(),
        };
        let broker = self.live.broker();
        match find_topic(&self.topics, &*self.clock, &broker, &header) {
            Err(refusal) => self.refuse(&broker, refusal),
            Ok(Some(topic)) => self.store_and_answer(&broker, &header, request, &topic),
            Ok(None) => self.create_topic_and_send(broker, header, request),
        }
    }

    /// Creates the topic, tells the name servers, and only then stores: a producer that got its answer finds the
    /// route.
    fn create_topic_and_send(
        self: &Arc<Self>,
        broker: Arc<BrokerSettings>,
        header: SendMessageRequestHeader,
        request: Request,
    ) -> Reply {
        let topic = match create_topic(&self.topics, &self.store, &broker, &header) {
            Ok(topic) => topic,
            Err(refusal) => return self.refuse(&broker, refusal),
        };
        let service = self.clone();
        later(async move {
            service.registration.register_topics(&[&header.topic]).await;
            match service.store_and_answer(&broker, &header, request, &topic) {
                Reply::Now(response) => Ok(response),
                Reply::Later(response) | Reply::Held(response) => Ok(response.await),
                Reply::Nothing => Err(Refusal::system_error("no answer")),
            }
        })
    }

    fn store_and_answer(
        self: &Arc<Self>,
        broker: &BrokerSettings,
        header: &SendMessageRequestHeader,
        request: Request,
        topic: &TopicConfig,
    ) -> Reply {
        if let Err(refusal) = check_queue(header, topic, &request.peer) {
            return self.refuse(broker, refusal);
        }
        let stored = if header.batch == Some(true) {
            self.store_batch(broker, header, &request, topic)
        } else {
            self.store_one(broker, header, &request, topic)
        };
        match stored {
            Err(refusal) => self.refuse(broker, refusal),
            Ok(stored) if !stored.wait || matches!(self.store.config().flush, FlushMode::Async { .. }) => {
                Reply::Now(stored.response)
            }
            Ok(mut stored) => {
                let store = self.store.clone();
                later(async move {
                    match store.flushed(stored.next_offset, true).await {
                        FlushOutcome::Done => {}
                        FlushOutcome::Timeout | FlushOutcome::Failed(_) => {
                            stored.response.code = ResponseCode::FLUSH_DISK_TIMEOUT.into();
                        }
                    }
                    Ok(stored.response)
                })
            }
        }
    }

    fn store_one(
        &self,
        broker: &BrokerSettings,
        header: &SendMessageRequestHeader,
        request: &Request,
        topic: &TopicConfig,
    ) -> Result<Stored, Refusal> {
        let raw = header.properties.as_deref().unwrap_or_default();
        let scan = Scan::of(raw);
        let mut name: Arc<str> = header.topic.as_str().into();
        let mut queue_id = self.queue(header.queue_id, topic.write_queue_nums);
        let mut filter_type = topic.topic_filter_type;
        let mut delay_override = None;
        if header.topic.starts_with(names::RETRY_PREFIX)
            && let Some(dlq) = self.dead_letter_topic(header, request.command.version)?
        {
            filter_type = dlq.topic_filter_type;
            name = dlq.topic_name.as_str().into();
            queue_id = 0;
            delay_override = Some("-1");
        }
        let (properties, unique_key) = self.properties(broker, raw, &scan, delay_override);
        let reconsume_times = header.reconsume_times.unwrap_or(0);
        let delay = match delay_override.or(scan.delay) {
            Some(text) => text
                .parse::<i32>()
                .map_err(|_| Refusal::system_error(format!("For input string: \"{text}\"")))?,
            None => 0,
        };
        self.check_kind(topic, &scan, header.sys_flag, delay)?;
        let mut message = NewMessage {
            topic: name,
            queue_id,
            flag: header.flag,
            sys_flag: with_multi_tags(header.sys_flag, filter_type),
            born_timestamp: header.born_timestamp,
            born_host: request.peer.remote(),
            store_host: self.store_host,
            reconsume_times,
            prepared_transaction_offset: 0,
            body: request.command.body.to_bytes(),
            properties: properties.into(),
        };
        if message.body.is_empty() {
            return Err(store_message::illegal(self.store.max_message_size()));
        }
        if scan.is_half(reconsume_times, delay) {
            self.check_half(broker, &scan, message.sys_flag)?;
            half::prepare(&mut message);
        } else if delay > 0 && flags::is_dispatched(message.sys_flag) {
            super::delay(&mut message, delay, self.delay_level_max);
        }
        let appended = self.store.append(&message).map_err(|e| store_message::refusal(&self.store, e))?;
        self.stats.put(1, u64::from(appended.len));
        let id = offset_msg_id(self.store_host, appended.log_offset);
        Ok(Stored {
            response: self.stored_response(broker, id, queue_id, &appended, Some(unique_key)),
            next_offset: appended.next_offset,
            wait: scan.wait(),
        })
    }

    /// Whether half messages are taken, and this is one that can be: their topic has no batch queues.
    fn check_half(&self, broker: &BrokerSettings, scan: &Scan<'_>, sys_flag: i32) -> Result<(), Refusal> {
        if broker.reject_transaction_message {
            let remark =
                format!("the broker[{}] sending transaction message is forbidden", broker.broker_ip1);
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        if scan.inner_number || sys_flag & flags::INNER_BATCH != 0 {
            return Err(store_message::illegal(self.store.max_message_size()));
        }
        Ok(())
    }

    /// What this broker does not carry out yet is refused as Java refuses it where it is switched off, so that the
    /// producer knows; and what Java refuses is refused.
    fn check_kind(
        &self,
        topic: &TopicConfig,
        scan: &Scan<'_>,
        sys_flag: i32,
        delay: i32,
    ) -> Result<(), Refusal> {
        if scan.timer && delay <= 0 {
            let remark = "accurate timer message is not enabled, timerWheelEnable is false";
            return Err(Refusal::system_error(remark));
        }
        // `HookUtils.checkInnerBatch`.
        let inner_batch = sys_flag & flags::INNER_BATCH != 0;
        if (scan.inner_number && !inner_batch) || (inner_batch && !is_batch_cq(topic)) {
            return Err(store_message::illegal(self.store.max_message_size()));
        }
        if topic.attributes.get("cleanup.policy").is_some_and(|p| p == "COMPACTION") && !scan.keys {
            return Err(Refusal::new(ResponseCode::MESSAGE_ILLEGAL, "Required message key is missing"));
        }
        Ok(())
    }

    /// The dead-letter topic, if a message sent to a retry topic has been delivered too often already
    /// (`SendMessageProcessor.handleRetryAndDLQ`).
    fn dead_letter_topic(
        &self,
        header: &SendMessageRequestHeader,
        version: i32,
    ) -> Result<Option<Arc<TopicConfig>>, Refusal> {
        let group = parse_group(&header.topic);
        let broker = self.live.broker();
        let Some(config) = self.groups.find(group, auto_create_group(&broker, group)) else {
            let remark = format!("subscription group not exist, {group} {FAQ}");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        };
        let most = header.max_reconsume_times.filter(|_| version >= V3_4_9).unwrap_or(config.retry_max_times);
        if header.reconsume_times.unwrap_or(0) <= most && self.locks.all_expired(group) {
            return Ok(None);
        }
        let name = names::dlq_topic(group);
        match self.topics.create_on_send_back(&name, 1, false, 0) {
            Some((topic, created)) => {
                if created {
                    self.registration.register_soon();
                }
                Ok(Some(topic))
            }
            None => Err(Refusal::system_error(format!("topic[{name}] not exist"))),
        }
    }

    /// An old-style batch: one record per message with that message's own properties, and consecutive queue offsets.
    fn store_batch(
        &self,
        broker: &BrokerSettings,
        header: &SendMessageRequestHeader,
        request: &Request,
        topic: &TopicConfig,
    ) -> Result<Stored, Refusal> {
        let illegal = |remark: String| Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark);
        if header.topic.starts_with(names::RETRY_PREFIX) {
            return Err(illegal(format!("batch request does not support retry group {}", header.topic)));
        }
        let raw = header.properties.as_deref().unwrap_or_default();
        let scan = Scan::of(raw);
        self.check_kind(topic, &scan, header.sys_flag, 0)?;
        if let Some(unique_key) = scan.unique_key
            && is_batch_cq(topic)
        {
            return self.store_inner_batch(broker, header, request, topic, (raw, &scan, unique_key));
        }
        let items = batch::decode_batch(&request.command.body.to_bytes())
            .map_err(|e| Refusal::system_error(format!("the batch cannot be read: {e}")))?;
        let name: Arc<str> = header.topic.as_str().into();
        let queue_id = self.queue(header.queue_id, topic.write_queue_nums);
        let messages: Vec<NewMessage> = items
            .into_iter()
            .map(|item| NewMessage {
                topic: name.clone(),
                queue_id,
                flag: item.flag,
                sys_flag: with_multi_tags(header.sys_flag, topic.topic_filter_type),
                born_timestamp: header.born_timestamp,
                born_host: request.peer.remote(),
                store_host: self.store_host,
                reconsume_times: header.reconsume_times.unwrap_or(0),
                prepared_transaction_offset: 0,
                body: item.body,
                properties: item.properties,
            })
            .collect();
        let appended =
            self.store.append_batch(&messages).map_err(|e| store_message::refusal(&self.store, e))?;
        let (Some(first), Some(last)) = (appended.first(), appended.last()) else {
            return Err(store_message::illegal(self.store.max_message_size()));
        };
        self.stats.put(appended.len() as u64, appended.iter().map(|a| u64::from(a.len)).sum());
        let ids: Vec<String> =
            appended.iter().map(|a| offset_msg_id(self.store_host, a.log_offset)).collect();
        let unique_key = scan.unique_key.map(str::to_owned);
        Ok(Stored {
            response: self.stored_response(broker, ids.join(","), queue_id, first, unique_key),
            next_offset: last.next_offset,
            wait: scan.wait(),
        })
    }

    /// A batch for a topic with batch queues: one record, which consumers take apart.
    fn store_inner_batch(
        &self,
        broker: &BrokerSettings,
        header: &SendMessageRequestHeader,
        request: &Request,
        topic: &TopicConfig,
        (raw, scan, unique_key): (&str, &Scan<'_>, &str),
    ) -> Result<Stored, Refusal> {
        let body = request.command.body.to_bytes();
        let items = batch::decode_batch(&body)
            .map_err(|e| Refusal::system_error(format!("the batch cannot be read: {e}")))?;
        if items.is_empty() || i16::try_from(items.len()).is_err() {
            return Err(store_message::illegal(self.store.max_message_size()));
        }
        let (properties, _) = self.properties(broker, raw, scan, None);
        let mut properties = Properties::parse(&properties);
        properties.set(keys::INNER_NUM, items.len().to_string());
        let queue_id = self.queue(header.queue_id, topic.write_queue_nums);
        let message = NewMessage {
            topic: header.topic.as_str().into(),
            queue_id,
            flag: header.flag,
            sys_flag: with_multi_tags(header.sys_flag, topic.topic_filter_type)
                | flags::NEED_UNWRAP
                | flags::INNER_BATCH,
            born_timestamp: header.born_timestamp,
            born_host: request.peer.remote(),
            store_host: self.store_host,
            reconsume_times: header.reconsume_times.unwrap_or(0),
            prepared_transaction_offset: 0,
            body,
            properties: properties.encode().into(),
        };
        let appended = self.store.append(&message).map_err(|e| store_message::refusal(&self.store, e))?;
        self.stats.put(items.len() as u64, u64::from(appended.len));
        let id = offset_msg_id(self.store_host, appended.log_offset);
        let mut response = self.stored_response(broker, id, queue_id, &appended, Some(unique_key.to_owned()));
        response.ext.insert("batchUniqId", unique_key);
        Ok(Stored { response, next_offset: appended.next_offset, wait: scan.wait() })
    }

    /// The final property string and the message's unique key (`SendMessageProcessor.sendMessage` and
    /// `AbstractSendMessageProcessor.buildMsgContext`).
    fn properties(
        &self,
        broker: &BrokerSettings,
        raw: &str,
        scan: &Scan<'_>,
        delay: Option<&str>,
    ) -> (String, String) {
        let unique_key =
            scan.unique_key.map_or_else(|| self.unique_ids.next(self.clock.wall_ms()), str::to_owned);
        let trace = if broker.trace_on { "true" } else { "false" };
        let added = [
            (keys::MSG_REGION, broker.region_id.as_str()),
            (keys::TRACE_SWITCH, trace),
            (keys::CLUSTER, broker.broker_cluster_name.as_str()),
        ];
        if scan.rewrite || delay.is_some() {
            let mut list = Properties::parse(raw);
            list.remove(keys::POP_CK);
            list.set(keys::UNIQ_KEY, &*unique_key);
            for (key, value) in added.into_iter().chain(delay.map(|level| (keys::DELAY, level))) {
                list.set(key, value);
            }
            return (list.encode(), unique_key);
        }
        let extra: usize = added.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
        let mut text = String::with_capacity(raw.len() + extra + 64);
        text.push_str(raw);
        if !raw.is_empty() && !raw.ends_with(PROPERTY_SEPARATOR) {
            text.push(PROPERTY_SEPARATOR);
        }
        let mut push = |key: &str, value: &str| {
            text.push_str(key);
            text.push(NAME_VALUE_SEPARATOR);
            text.push_str(value);
            text.push(PROPERTY_SEPARATOR);
        };
        if scan.unique_key.is_none() {
            push(keys::UNIQ_KEY, &unique_key);
        }
        for (key, value) in added {
            push(key, value);
        }
        (text, unique_key)
    }

    fn queue(&self, asked: i32, write_queues: i32) -> i32 {
        if asked >= 0 {
            return asked;
        }
        let queues = u32::try_from(write_queues).unwrap_or(1).max(1);
        i32::try_from(self.next_queue.fetch_add(1, Ordering::Relaxed) % queues).unwrap_or(0)
    }

    fn stored_response(
        &self,
        broker: &BrokerSettings,
        msg_id: String,
        queue_id: i32,
        appended: &Appended,
        transaction_id: Option<String>,
    ) -> RemotingCommand {
        let header = SendMessageResponseHeader {
            msg_id,
            queue_id,
            queue_offset: appended.queue_offset,
            transaction_id,
            ..Default::default()
        };
        annotate(RemotingCommand::response(ResponseCode::SUCCESS, None).with_header(&header), broker)
    }

    fn refuse(&self, broker: &BrokerSettings, refusal: Refusal) -> Reply {
        Reply::Now(annotate(refusal.into(), broker))
    }
}

/// The topic of a send, `None` where it may be created first (`AbstractSendMessageProcessor.msgCheck`).
pub(super) fn find_topic(
    topics: &TopicTable,
    clock: &dyn Clock,
    broker: &BrokerSettings,
    header: &SendMessageRequestHeader,
) -> Result<Option<Arc<TopicConfig>>, Refusal> {
    if clock.wall_ms() < broker.start_accept_send_request_time_stamp {
        let until = broker.start_accept_send_request_time_stamp;
        return Err(Refusal::system_error(format!("broker unable to service, until {until}")));
    }
    let topic = topics.get(&header.topic);
    if !perm::is_writable(broker.broker_permission) && topic.as_ref().is_some_and(|t| t.order) {
        return Err(sending_forbidden(broker));
    }
    if topic.is_none() {
        names::validate_topic(&header.topic)
            .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
    }
    if names::is_send_forbidden(&header.topic) {
        let remark = format!("Sending message to topic[{}] is forbidden.", header.topic);
        return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
    }
    Ok(topic)
}

/// Creates the topic of a send where the broker's settings let it. The name servers are still to be told.
pub(super) fn create_topic(
    topics: &TopicTable,
    store: &Store,
    broker: &BrokerSettings,
    header: &SendMessageRequestHeader,
) -> Result<Arc<TopicConfig>, Refusal> {
    let unit = header.unit_mode == Some(true);
    let retry = header.topic.starts_with(names::RETRY_PREFIX);
    let sys_flag = names::topic_sys_flag(unit && !retry, unit && retry);
    let name = &header.topic;
    // The switch can be turned at run time, when TBW102 is there already.
    let derivable = header.default_topic != names::AUTO_CREATE_TOPIC || broker.auto_create_topic_enable;
    let derived = derivable.then(|| {
        let (default, queues) = (&header.default_topic, header.default_topic_queue_nums);
        topics.create_on_send(name, default, queues, sys_flag)
    });
    let created = derived
        .flatten()
        .or_else(|| if retry { topics.create_on_send_back(name, 1, false, sys_flag) } else { None });
    match created {
        Some((topic, _)) => Ok(topic),
        None if topics.is_unsaved() => {
            let full = AppendError::Full("the topic table cannot be written".to_owned());
            Err(store_message::refusal(store, full))
        }
        None => {
            let remark = format!("topic[{name}] not exist, apply first please!{FAQ}");
            Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark))
        }
    }
}

/// Refuses a queue that the topic does not have.
pub(super) fn check_queue(
    header: &SendMessageRequestHeader,
    topic: &TopicConfig,
    peer: &Peer,
) -> Result<(), Refusal> {
    if header.queue_id < topic.write_queue_nums.max(topic.read_queue_nums) {
        return Ok(());
    }
    let remark = format!(
        "request queueId[{}] is illegal, {} Producer: {}",
        header.queue_id,
        describe(topic),
        peer.remote()
    );
    Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark))
}

/// Every answer to a send tells the region and whether to trace.
pub(super) fn annotate(mut response: RemotingCommand, broker: &BrokerSettings) -> RemotingCommand {
    response.ext.insert(keys::MSG_REGION, &broker.region_id);
    response.ext.insert(keys::TRACE_SWITCH, if broker.trace_on { "true" } else { "false" });
    response
}

fn parse_header(request: &Request) -> Result<SendMessageRequestHeader, Refusal> {
    if request.command.code == RequestCode::SEND_MESSAGE.0 {
        return request.header();
    }
    Ok(request.header::<SendMessageRequestHeaderV2>()?.into())
}

pub(super) fn sending_forbidden(broker: &BrokerSettings) -> Refusal {
    let remark = format!("the broker[{}] sending message is forbidden", broker.broker_ip1);
    Refusal::new(ResponseCode::NO_PERMISSION, remark)
}

/// Whether an unknown group comes into being by being used.
pub fn auto_create_group(broker: &BrokerSettings, group: &str) -> bool {
    broker.auto_create_subscription_group
        || (broker.enable_create_sys_group && group.starts_with(names::SYSTEM_GROUP_PREFIX))
}

/// The group of a retry topic (`KeyBuilder.parseGroup`): a second `+` or `_` part belongs to pop retry topics, whose
/// form `%RETRY%group+topic` is told by its plus sign.
fn parse_group(retry_topic: &str) -> &str {
    let rest = &retry_topic[names::RETRY_PREFIX.len()..];
    rest.split('+').next().unwrap_or(rest)
}

fn with_multi_tags(sys_flag: i32, filter: TopicFilterType) -> i32 {
    if filter == TopicFilterType::MultiTag { sys_flag | flags::MULTI_TAGS } else { sys_flag }
}

/// What a send must know of the properties, found in one pass.
#[derive(Default)]
struct Scan<'a> {
    unique_key: Option<&'a str>,
    delay: Option<&'a str>,
    wait: Option<&'a str>,
    transaction: bool,
    timer: bool,
    inner_number: bool,
    keys: bool,
    /// Something must be changed or left out, so that appending is not enough.
    rewrite: bool,
}

impl<'a> Scan<'a> {
    fn of(raw: &'a str) -> Self {
        let mut scan = Self::default();
        let mut length = 0;
        for (key, value) in props::iter(raw) {
            length += key.len() + value.len() + 2;
            match key {
                keys::UNIQ_KEY => scan.unique_key = Some(value),
                keys::DELAY => scan.delay = Some(value),
                keys::WAIT => scan.wait = Some(value),
                keys::KEYS => scan.keys = true,
                keys::TRANSACTION_PREPARED => scan.transaction = value.eq_ignore_ascii_case("true"),
                keys::TIMER_DELIVER_MS | keys::TIMER_DELAY_SEC | keys::TIMER_DELAY_MS => scan.timer = true,
                keys::INNER_NUM => scan.inner_number = true,
                keys::MSG_REGION | keys::TRACE_SWITCH | keys::CLUSTER | keys::POP_CK => scan.rewrite = true,
                _ => {}
            }
        }
        // Pieces that the pass skipped are not stored either.
        scan.rewrite |=
            length != raw.len() + usize::from(!raw.is_empty() && !raw.ends_with(PROPERTY_SEPARATOR));
        scan
    }

    /// Whether this is a half message. A retried message of a client before 4.6.1 carries the mark of its transaction
    /// still, and is none.
    fn is_half(&self, reconsume_times: i32, delay: i32) -> bool {
        self.transaction && !(reconsume_times > 0 && delay > 0)
    }

    /// Whether the producer wants to wait for the disk; only `WAIT=false` does not.
    fn wait(&self) -> bool {
        self.wait.is_none_or(|w| w.eq_ignore_ascii_case("true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_tells_what_is_there_and_whether_appending_is_enough() {
        let scan = Scan::of("KEYS\u{1}k\u{2}UNIQ_KEY\u{1}u\u{2}WAIT\u{1}false\u{2}DELAY\u{1}3\u{2}");
        assert_eq!((scan.unique_key, scan.delay, scan.keys), (Some("u"), Some("3"), true));
        assert!(!scan.wait() && !scan.rewrite && !scan.transaction && !scan.timer);
        assert!(Scan::of("").wait());
        assert!(!Scan::of("a\u{1}b").rewrite, "4.x clients leave out the last separator");
        assert!(Scan::of("a\u{1}\u{2}b\u{1}c\u{2}").rewrite, "a property without a value is dropped");
        assert!(Scan::of("POP_CK\u{1}x\u{2}").rewrite);
        assert!(Scan::of("TRAN_MSG\u{1}true\u{2}").transaction);
        assert!(!Scan::of("TRAN_MSG\u{1}false\u{2}").transaction);
        assert!(Scan::of("TIMER_DELAY_MS\u{1}5\u{2}").timer);
    }
}
