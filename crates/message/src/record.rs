//! Building a record: sizes and checksum first, then one pass into the log.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use crate::flags;
use crate::layout::{self, CRC_PROPERTY_LEN, MAGIC_V1, MAGIC_V2};
use crate::props::{NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR, keys};

/// A message that is about to be stored (`MessageExtBrokerInner` without the positions that the log assigns).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Topic.
    pub topic: Arc<str>,
    /// Queue of the topic.
    pub queue_id: i32,
    /// The user's flag, never interpreted.
    pub flag: i32,
    /// [`flags`]; the two v6 bits are set from the addresses when the record is written.
    pub sys_flag: i32,
    /// When the producer made it, ms.
    pub born_timestamp: i64,
    /// Who produced it.
    pub born_host: SocketAddr,
    /// Who stores it; part of the message id.
    pub store_host: SocketAddr,
    /// How often it was given back by consumers.
    pub reconsume_times: i32,
    /// Log offset of the half message that a committed message came from; 0 otherwise.
    pub prepared_transaction_offset: i64,
    /// Body as stored, compressed if the flags say so.
    pub body: Bytes,
    /// The final property string, UTF-8.
    pub properties: Bytes,
}

/// What the log decides at append time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Positions {
    /// Position in the queue, in messages.
    pub queue_offset: i64,
    /// Position in the log, in bytes.
    pub log_offset: u64,
    /// When it is stored, ms.
    pub store_timestamp: i64,
}

/// Why a message cannot become a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The topic does not fit into its length field.
    #[error("topic of {bytes} bytes is too long")]
    TopicTooLong {
        /// UTF-8 length of the topic.
        bytes: usize,
    },
    /// The property string is longer than a signed 16-bit length can say.
    #[error("properties of {bytes} bytes exceed {}", layout::PROPERTIES_MAX)]
    PropertiesTooLong {
        /// Length including what the store appends.
        bytes: usize,
    },
    /// The record would exceed what its signed 32-bit size can say.
    #[error("record of {bytes} bytes is too long")]
    RecordTooLong {
        /// Length of the whole record.
        bytes: usize,
    },
}

/// The checksum stored with a body: CRC-32 with the top bit cleared (`UtilAll.crc32`); 0 for an empty body.
pub fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

/// Length of the record that `message` becomes.
///
/// # Errors
/// When a part does not fit into its length field.
pub fn encoded_len(message: &NewMessage) -> Result<usize, EncodeError> {
    Prepared::measure(message, false).map(|prepared| prepared.len)
}

/// Sizes and checksum of a record, computed before the log is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    len: usize,
    body_crc: u32,
    sys_flag: i32,
    magic: u32,
    properties_len: usize,
    crc_property: bool,
}

impl Prepared {
    /// Measures `message` and computes its body's checksum. With `crc_property` the record ends with a property that
    /// holds the checksum of everything before it (`enabledAppendPropCRC`).
    ///
    /// # Errors
    /// When a part does not fit into its length field.
    pub fn new(message: &NewMessage, crc_property: bool) -> Result<Self, EncodeError> {
        let mut prepared = Self::measure(message, crc_property)?;
        prepared.body_crc = body_crc(&message.body);
        Ok(prepared)
    }

    /// The measures of the same message with other properties.
    ///
    /// # Errors
    /// When they do not fit into their length field.
    pub fn with_properties_of(&self, message: &NewMessage) -> Result<Self, EncodeError> {
        let mut prepared = Self::measure(message, self.crc_property)?;
        prepared.body_crc = self.body_crc;
        Ok(prepared)
    }

    fn measure(message: &NewMessage, crc_property: bool) -> Result<Self, EncodeError> {
        let topic = message.topic.len();
        // Characters decide the version, bytes fill the field (`CommitLog.asyncPutMessage`). A topic of at most 127
        // characters but more bytes would overflow the V1 field, which Java writes without noticing.
        let magic = if topic > layout::TOPIC_V1_MAX
            && raptormq_base::java::string_length(&message.topic) > layout::TOPIC_V1_MAX
        {
            MAGIC_V2
        } else {
            MAGIC_V1
        };
        let topic_max = if magic == MAGIC_V2 { layout::TOPIC_V2_MAX } else { layout::TOPIC_V1_MAX };
        if topic > topic_max {
            return Err(EncodeError::TopicTooLong { bytes: topic });
        }
        let mut properties_len = message.properties.len();
        if crc_property {
            properties_len += usize::from(lacks_separator(&message.properties)) + CRC_PROPERTY_LEN;
        }
        if properties_len > layout::PROPERTIES_MAX {
            return Err(EncodeError::PropertiesTooLong { bytes: properties_len });
        }
        let mut sys_flag = message.sys_flag & !(flags::BORNHOST_V6 | flags::STOREHOST_V6);
        if message.born_host.is_ipv6() {
            sys_flag |= flags::BORNHOST_V6;
        }
        if message.store_host.is_ipv6() {
            sys_flag |= flags::STOREHOST_V6;
        }
        let len = layout::body_at(sys_flag)
            + message.body.len()
            + if magic == MAGIC_V2 { 2 } else { 1 }
            + topic
            + layout::PROPERTIES_LEN_LEN
            + properties_len;
        if i32::try_from(len).is_err() {
            return Err(EncodeError::RecordTooLong { bytes: len });
        }
        Ok(Self { len, body_crc: 0, sys_flag, magic, properties_len, crc_property })
    }

    /// Length of the record. Never 0: [`layout::RECORD_MIN`] at least.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// SYSFLAG as it will be stored.
    pub fn sys_flag(&self) -> i32 {
        self.sys_flag
    }

    /// Writes the record into `out`, which must be exactly [`Prepared::len`] long. `message` must be the one that was
    /// measured.
    ///
    /// # Panics
    /// When `out` has another length: the caller has reserved space by [`Prepared::len`].
    pub fn write(&self, message: &NewMessage, positions: &Positions, out: &mut [u8]) {
        assert_eq!(out.len(), self.len, "the space reserved in the log is not the record's length");
        let mut at = Cursor { out, at: 0 };
        at.put(&(self.len as u32).to_be_bytes());
        at.put(&self.magic.to_be_bytes());
        at.put(&self.body_crc.to_be_bytes());
        at.put(&message.queue_id.to_be_bytes());
        at.put(&message.flag.to_be_bytes());
        at.put(&positions.queue_offset.to_be_bytes());
        at.put(&positions.log_offset.to_be_bytes());
        at.put(&self.sys_flag.to_be_bytes());
        at.put(&message.born_timestamp.to_be_bytes());
        at.host(message.born_host);
        at.put(&positions.store_timestamp.to_be_bytes());
        at.host(message.store_host);
        at.put(&message.reconsume_times.to_be_bytes());
        at.put(&message.prepared_transaction_offset.to_be_bytes());
        at.put(&(message.body.len() as u32).to_be_bytes());
        at.put(&message.body);
        if self.magic == MAGIC_V2 {
            at.put(&(message.topic.len() as u16).to_be_bytes());
        } else {
            at.put(&[message.topic.len() as u8]);
        }
        at.put(message.topic.as_bytes());
        at.put(&(self.properties_len as u16).to_be_bytes());
        at.put(&message.properties);
        if self.crc_property {
            if lacks_separator(&message.properties) {
                at.put(&[PROPERTY_SEPARATOR as u8]);
            }
            let crc = body_crc(&at.out[..at.at]);
            at.put(&crc_property(crc));
        }
    }

    /// The record in a buffer of its own.
    pub fn to_vec(&self, message: &NewMessage, positions: &Positions) -> Vec<u8> {
        let mut out = vec![0; self.len];
        self.write(message, positions, &mut out);
        out
    }
}

fn lacks_separator(properties: &[u8]) -> bool {
    properties.last().is_some_and(|last| *last != PROPERTY_SEPARATOR as u8)
}

/// The `__CRC32#` property: the ten decimal digits stand in reverse order (`MessageDecoder.createCrc32`).
pub(crate) fn crc_property(crc: u32) -> [u8; CRC_PROPERTY_LEN] {
    let mut out = [b'0'; CRC_PROPERTY_LEN];
    let name = keys::CRC32.as_bytes();
    out[..name.len()].copy_from_slice(name);
    out[name.len()] = NAME_VALUE_SEPARATOR as u8;
    let mut rest = crc;
    for digit in &mut out[name.len() + 1..CRC_PROPERTY_LEN - 1] {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out[CRC_PROPERTY_LEN - 1] = PROPERTY_SEPARATOR as u8;
    out
}

struct Cursor<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn host(&mut self, host: SocketAddr) {
        match host.ip() {
            IpAddr::V4(ip) => self.put(&ip.octets()),
            IpAddr::V6(ip) => self.put(&ip.octets()),
        }
        self.put(&u32::from(host.port()).to_be_bytes());
    }
}

/// The blank record that fills a commit log file's last `remaining` bytes; only these eight bytes are written.
pub fn blank(remaining: u32) -> [u8; layout::BLANK_LEN] {
    let mut out = [0; layout::BLANK_LEN];
    out[..4].copy_from_slice(&remaining.to_be_bytes());
    out[4..].copy_from_slice(&layout::MAGIC_BLANK.to_be_bytes());
    out
}
