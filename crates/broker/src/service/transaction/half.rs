//! The forms that a transaction's message takes: half message, its copy after a check, the final message, and the op
//! record that settles it (`TransactionalMessageBridge`, `EndTransactionProcessor`).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;

use raptormq_message::props::{self, Properties, keys};
use raptormq_message::{Message, NewMessage, Positions, Prepared, flags};

use crate::names;

/// The tag of op records.
const REMOVE_TAG: &str = "d";

/// The queue of half messages and of op records.
pub const QUEUE: i32 = 0;

/// Turns a message into the half message that waits for its producer: real topic and queue become properties.
pub fn prepare(message: &mut NewMessage) {
    let text = String::from_utf8_lossy(&message.properties);
    let mut properties = Properties::parse(&text);
    if let Some(id) = properties.get(keys::UNIQ_KEY).filter(|id| !id.is_empty()).map(str::to_owned) {
        properties.set(keys::TRANSACTION_ID, id);
    }
    properties.set(keys::REAL_TOPIC, &*message.topic);
    properties.set(keys::REAL_QUEUE_ID, message.queue_id.to_string());
    message.properties = properties.encode().into();
    message.sys_flag = flags::with_transaction_type(message.sys_flag, flags::TRANSACTION_NOT);
    message.topic = names::HALF_TOPIC.into();
    message.queue_id = QUEUE;
}

/// A half message as it is read back.
#[derive(Debug, Clone)]
pub struct Half {
    /// The stored message.
    pub message: Message,
    /// Its properties.
    pub properties: Properties,
    /// Where the final message goes.
    pub real_topic: String,
    /// Its queue there.
    pub real_queue_id: i32,
    /// Who may settle it, and is asked about it; empty when the message does not say.
    pub producer_group: String,
}

impl Half {
    /// `None` for a message that is no half message: it says no real topic and queue.
    pub fn of(message: Message) -> Option<Self> {
        let properties = Properties::parse(&message.properties_str());
        let real_topic = properties.get(keys::REAL_TOPIC)?.to_owned();
        let real_queue_id = properties.get(keys::REAL_QUEUE_ID)?.parse().ok()?;
        let producer_group = properties.get(keys::PRODUCER_GROUP).unwrap_or_default().to_owned();
        names::validate_topic(&real_topic).ok()?;
        (real_queue_id >= 0).then_some(Self {
            message,
            properties,
            real_topic,
            real_queue_id,
            producer_group,
        })
    }

    /// How often the producer was asked; `None` when never, -1 when the property is no number.
    pub fn check_times(&self) -> Option<i32> {
        let times = self.properties.get(keys::TRANSACTION_CHECK_TIMES)?;
        Some(times.parse().unwrap_or(-1))
    }

    /// Position of the half message that this one is a copy of, if it was put back during its immunity.
    pub fn prepared_offset(&self) -> Option<i64> {
        self.properties.get(keys::TRANSACTION_PREPARED_QUEUE_OFFSET)?.parse().ok()
    }

    /// Whether an earlier check stored this one.
    pub fn is_copy(&self) -> bool {
        self.check_times().is_some_and(|times| times > 0)
            || self.properties.contains(keys::TRANSACTION_PREPARED_QUEUE_OFFSET)
    }

    /// Equal for all copies of one half message.
    pub fn transaction(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let message = &self.message;
        // Java's copies have lost the flag.
        (message.born_timestamp, message.born_host, message.sys_flag).hash(&mut hasher);
        message.body.hash(&mut hasher);
        let passing = [keys::TRANSACTION_CHECK_TIMES, keys::TRANSACTION_PREPARED_QUEUE_OFFSET, keys::WAIT];
        let mut lasting: Vec<_> = self.properties.iter().filter(|(key, _)| !passing.contains(key)).collect();
        // Java's order of properties is a hash table's.
        lasting.sort_unstable();
        lasting.hash(&mut hasher);
        hasher.finish()
    }

    fn as_new(&self, topic: &str, queue_id: i32, properties: &Properties) -> NewMessage {
        let message = &self.message;
        NewMessage {
            topic: topic.into(),
            queue_id,
            flag: message.flag,
            sys_flag: message.sys_flag,
            born_timestamp: message.born_timestamp,
            born_host: message.born_host,
            store_host: message.store_host,
            reconsume_times: message.reconsume_times,
            prepared_transaction_offset: 0,
            body: message.body.clone(),
            properties: properties.encode().into(),
        }
    }

    /// The message that consumers see. Like Java's it keeps the mark of its transaction, unless it is delayed first.
    pub fn committed(&self, delay_level_max: usize) -> NewMessage {
        let mut properties = self.properties.clone();
        properties.remove(keys::REAL_TOPIC);
        properties.remove(keys::REAL_QUEUE_ID);
        let level = properties.get(keys::DELAY).and_then(|level| level.parse::<i32>().ok()).unwrap_or(0);
        if level > 0 {
            properties.remove(keys::TRANSACTION_PREPARED);
        }
        let mut message = self.as_new(&self.real_topic, self.real_queue_id, &properties);
        message.sys_flag = flags::with_transaction_type(message.sys_flag, flags::TRANSACTION_COMMIT);
        message.prepared_transaction_offset = self.message.log_offset;
        if level > 0 {
            super::super::delay(&mut message, level, delay_level_max);
        }
        message
    }

    /// The copy behind the others whose producer is asked for the `times`-th time.
    pub fn checked(&self, times: i32) -> NewMessage {
        let mut properties = self.properties.clone();
        properties.set(keys::TRANSACTION_CHECK_TIMES, times.to_string());
        self.as_new(names::HALF_TOPIC, QUEUE, &properties)
    }

    /// The copy that waits for the end of its immunity, and names the one that its producer knows.
    pub fn immune(&self) -> NewMessage {
        let mut properties = self.properties.clone();
        if self.prepared_offset().is_none() {
            let offset = self.message.queue_offset.to_string();
            properties.set(keys::TRANSACTION_PREPARED_QUEUE_OFFSET, offset);
        }
        self.as_new(names::HALF_TOPIC, QUEUE, &properties)
    }

    /// The copy in TRANS_CHECK_MAX_TIME_TOPIC.
    pub fn given_up(&self, times: Option<i32>) -> NewMessage {
        let mut properties = self.properties.clone();
        if let Some(times) = times {
            properties.set(keys::TRANSACTION_CHECK_TIMES, times.to_string());
        }
        self.as_new(names::TRANS_CHECK_MAX_TIME_TOPIC, 0, &properties)
    }

    /// The half message once more, as if it was never checked (`resumeCheckHalfMessage`).
    pub fn resumed(&self) -> NewMessage {
        self.checked(0)
    }

    /// What the producer is shown: the real topic and queue, and where the half message stands that it is asked about.
    /// The number of checks is left out where there is no room for it.
    pub fn shown(&self, times: i32, place: &Positions) -> Option<Vec<u8>> {
        let mut properties = self.properties.clone();
        properties.set(keys::TRANSACTION_CHECK_TIMES, times.to_string());
        properties.set(keys::WAIT, "false");
        let positions = Positions { store_timestamp: self.message.store_timestamp, ..*place };
        [&properties, &self.properties].into_iter().find_map(|properties| {
            let message = self.as_new(&self.real_topic, self.real_queue_id, properties);
            let prepared = Prepared::new(&message, false).ok()?;
            Some(prepared.to_vec(&message, &positions))
        })
    }
}

/// The record that settles the half message at `half`. Its body is the bare number, which every version reads.
pub fn op(half: i64, now_ms: i64, store_host: SocketAddr) -> NewMessage {
    let mut properties = Properties::new();
    properties.set(keys::WAIT, "true");
    properties.set(keys::TAGS, REMOVE_TAG);
    NewMessage {
        topic: names::OP_HALF_TOPIC.into(),
        queue_id: QUEUE,
        flag: 0,
        sys_flag: 0,
        born_timestamp: now_ms,
        born_host: store_host,
        store_host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: half.to_string().into(),
        properties: properties.encode().into(),
    }
}

/// The half messages that an op record settles; several with commas behind them where Java 5.x wrote it.
pub fn settled_by(op: &Message) -> Vec<i64> {
    if props::get(&op.properties_str(), keys::TAGS) != Some(REMOVE_TAG) {
        tracing::error!(
            offset = op.queue_offset,
            "an op record has another tag than {REMOVE_TAG:?}, ignored"
        );
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&op.body);
    text.split(',').filter_map(|half| half.trim().parse().ok()).collect()
}
