//! The property string of a message: `key 0x01 value 0x02 key 0x01 value 0x02 …` (`MessageDecoder`).

/// Between a name and its value.
pub const NAME_VALUE_SEPARATOR: char = '\u{1}';
/// After each value; clients before 5.0 leave out the last one.
pub const PROPERTY_SEPARATOR: char = '\u{2}';
/// Between the words of [`keys::KEYS`].
pub const KEY_SEPARATOR: char = ' ';

/// The properties with a meaning (`MessageConst`).
pub mod keys {
    /// `KEYS`.
    pub const KEYS: &str = "KEYS";
    /// `TAGS`.
    pub const TAGS: &str = "TAGS";
    /// `WAIT`.
    pub const WAIT: &str = "WAIT";
    /// `DELAY`.
    pub const DELAY: &str = "DELAY";
    /// `RETRY_TOPIC`.
    pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
    /// `REAL_TOPIC`.
    pub const REAL_TOPIC: &str = "REAL_TOPIC";
    /// `REAL_QID`.
    pub const REAL_QUEUE_ID: &str = "REAL_QID";
    /// `TRAN_MSG`.
    pub const TRANSACTION_PREPARED: &str = "TRAN_MSG";
    /// `PGROUP`.
    pub const PRODUCER_GROUP: &str = "PGROUP";
    /// `MIN_OFFSET`.
    pub const MIN_OFFSET: &str = "MIN_OFFSET";
    /// `MAX_OFFSET`.
    pub const MAX_OFFSET: &str = "MAX_OFFSET";
    /// `BUYER_ID`.
    pub const BUYER_ID: &str = "BUYER_ID";
    /// `ORIGIN_MESSAGE_ID`.
    pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
    /// `TRANSFER_FLAG`.
    pub const TRANSFER_FLAG: &str = "TRANSFER_FLAG";
    /// `CORRECTION_FLAG`.
    pub const CORRECTION_FLAG: &str = "CORRECTION_FLAG";
    /// `MQ2_FLAG`.
    pub const MQ2_FLAG: &str = "MQ2_FLAG";
    /// `RECONSUME_TIME`.
    pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
    /// `MSG_REGION`.
    pub const MSG_REGION: &str = "MSG_REGION";
    /// `TRACE_ON`.
    pub const TRACE_SWITCH: &str = "TRACE_ON";
    /// `UNIQ_KEY`.
    pub const UNIQ_KEY: &str = "UNIQ_KEY";
    /// `EXTEND_UNIQ_INFO`.
    pub const EXTEND_UNIQ_INFO: &str = "EXTEND_UNIQ_INFO";
    /// `MAX_RECONSUME_TIMES`.
    pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
    /// `CONSUME_START_TIME`.
    pub const CONSUME_START_TIMESTAMP: &str = "CONSUME_START_TIME";
    /// `INNER_NUM`.
    pub const INNER_NUM: &str = "INNER_NUM";
    /// `INNER_BASE`.
    pub const INNER_BASE: &str = "INNER_BASE";
    /// `DUP_INFO`.
    pub const DUP_INFO: &str = "DUP_INFO";
    /// `CHECK_IMMUNITY_TIME_IN_SECONDS`.
    pub const CHECK_IMMUNITY_TIME_IN_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
    /// `TRAN_PREPARED_QUEUE_OFFSET`.
    pub const TRANSACTION_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
    /// `__transactionId__`.
    pub const TRANSACTION_ID: &str = "__transactionId__";
    /// `TRANSACTION_CHECK_TIMES`.
    pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
    /// `INSTANCE_ID`.
    pub const INSTANCE_ID: &str = "INSTANCE_ID";
    /// `CORRELATION_ID`.
    pub const CORRELATION_ID: &str = "CORRELATION_ID";
    /// `REPLY_TO_CLIENT`.
    pub const MESSAGE_REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
    /// `TTL`.
    pub const MESSAGE_TTL: &str = "TTL";
    /// `ARRIVE_TIME`.
    pub const REPLY_MESSAGE_ARRIVE_TIME: &str = "ARRIVE_TIME";
    /// `PUSH_REPLY_TIME`.
    pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
    /// `CLUSTER`.
    pub const CLUSTER: &str = "CLUSTER";
    /// `MSG_TYPE`.
    pub const MESSAGE_TYPE: &str = "MSG_TYPE";
    /// `POP_CK`.
    pub const POP_CK: &str = "POP_CK";
    /// `POP_CK_OFFSET`.
    pub const POP_CK_OFFSET: &str = "POP_CK_OFFSET";
    /// `1ST_POP_TIME`.
    pub const FIRST_POP_TIME: &str = "1ST_POP_TIME";
    /// `__SHARDINGKEY`.
    pub const SHARDING_KEY: &str = "__SHARDINGKEY";
    /// `PROPERTY_FORWARD_QUEUE_ID`.
    pub const FORWARD_QUEUE_ID: &str = "PROPERTY_FORWARD_QUEUE_ID";
    /// `REDIRECT`.
    pub const REDIRECT: &str = "REDIRECT";
    /// `INNER_MULTI_DISPATCH`.
    pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
    /// `INNER_MULTI_QUEUE_OFFSET`.
    pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
    /// `TRACE_CONTEXT`.
    pub const TRACE_CONTEXT: &str = "TRACE_CONTEXT";
    /// `TIMER_DELAY_SEC`.
    pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
    /// `TIMER_DELIVER_MS`.
    pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
    /// `__BORNHOST`.
    pub const BORN_HOST: &str = "__BORNHOST";
    /// `BORN_TIMESTAMP`.
    pub const BORN_TIMESTAMP: &str = "BORN_TIMESTAMP";
    /// `TIMER_ENQUEUE_MS`.
    pub const TIMER_ENQUEUE_MS: &str = "TIMER_ENQUEUE_MS";
    /// `TIMER_DEQUEUE_MS`.
    pub const TIMER_DEQUEUE_MS: &str = "TIMER_DEQUEUE_MS";
    /// `TIMER_ROLL_TIMES`.
    pub const TIMER_ROLL_TIMES: &str = "TIMER_ROLL_TIMES";
    /// `TIMER_OUT_MS`.
    pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
    /// `TIMER_DEL_UNIQKEY`.
    pub const TIMER_DEL_UNIQKEY: &str = "TIMER_DEL_UNIQKEY";
    /// `TIMER_DELAY_LEVEL`.
    pub const TIMER_DELAY_LEVEL: &str = "TIMER_DELAY_LEVEL";
    /// `TIMER_DELAY_MS`.
    pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
    /// `__CRC32#`.
    pub const CRC32: &str = "__CRC32#";
    /// `DLQ_ORIGIN_TOPIC`.
    pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
    /// `DLQ_ORIGIN_MESSAGE_ID`.
    pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
    /// Properties whose name starts so are never stored.
    pub const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";
}

/// The properties in their order. Pieces without a name, without a value or shorter than three bytes are skipped, as
/// `MessageDecoder.string2messageProperties` does.
pub fn iter(props: &str) -> impl Iterator<Item = (&str, &str)> {
    props.split(PROPERTY_SEPARATOR).filter_map(|piece| {
        let (key, value) = piece.split_once(NAME_VALUE_SEPARATOR)?;
        (!key.is_empty() && !value.is_empty()).then_some((key, value))
    })
}

/// The value of `key`; the last one when a name occurs twice, as in the map that Java builds.
pub fn get<'a>(props: &'a str, key: &str) -> Option<&'a str> {
    iter(props).filter(|(name, _)| *name == key).last().map(|(_, value)| value)
}

/// What the store itself needs to know of a record, found in one pass over its property string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreProperties<'a> {
    /// [`keys::TAGS`].
    pub tags: Option<&'a str>,
    /// [`keys::KEYS`].
    pub keys: Option<&'a str>,
    /// [`keys::UNIQ_KEY`].
    pub unique_key: Option<&'a str>,
    /// [`keys::DELAY`].
    pub delay: Option<&'a str>,
}

impl<'a> StoreProperties<'a> {
    /// Picks the store's properties out of `props`.
    pub fn parse(props: &'a str) -> Self {
        let mut found = Self::default();
        for (key, value) in iter(props) {
            match key {
                keys::TAGS => found.tags = Some(value),
                keys::KEYS => found.keys = Some(value),
                keys::UNIQ_KEY => found.unique_key = Some(value),
                keys::DELAY => found.delay = Some(value),
                _ => {}
            }
        }
        found
    }
}

/// An editable list of properties that keeps its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<(String, String)>);

impl Properties {
    /// No property.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a property string; of equal names the last value stays, at the place of the first.
    pub fn parse(props: &str) -> Self {
        let mut list = Self::new();
        for (key, value) in iter(props) {
            list.set(key, value);
        }
        list
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whether `key` is there.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets `key`, replacing its value in place or appending it.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((key.to_owned(), value.into())),
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    /// The properties in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The property string, each value followed by a separator (`MessageDecoder.messageProperties2String`).
    pub fn encode(&self) -> String {
        let mut out =
            String::with_capacity(self.0.iter().map(|(key, value)| key.len() + value.len() + 2).sum());
        for (key, value) in &self.0 {
            out.push_str(key);
            out.push(NAME_VALUE_SEPARATOR);
            out.push_str(value);
            out.push(PROPERTY_SEPARATOR);
        }
        out
    }
}

impl FromIterator<(String, String)> for Properties {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(items: I) -> Self {
        let mut list = Self::new();
        for (key, value) in items {
            list.set(&key, value);
        }
        list
    }
}
