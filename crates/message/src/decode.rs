//! Reading a record: the checks of `CommitLog.checkMessageAndReturnSize`, in its order.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use crate::layout::{self, MAGIC_BLANK, MAGIC_V1, MAGIC_V2};
use crate::props::StoreProperties;
use crate::{body_crc, flags};

/// Which checksums [`decode()`] verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checks {
    /// Sizes only.
    #[default]
    Sizes,
    /// Sizes and the body's checksum.
    BodyCrc,
    /// Sizes and the checksum of the whole record in its `__CRC32#` property, which must be there
    /// (`forceVerifyPropCRC`).
    PropertyCrc,
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the size field says, or than a size field takes.
    #[error("record is cut: {available} bytes are there, its size says {total}")]
    Cut {
        /// TOTALSIZE, 0 when not even that is there.
        total: i32,
        /// Bytes given.
        available: usize,
    },
    /// Not a record's magic number. All-zero bytes end here.
    #[error("illegal magic number {0:#010x}")]
    Magic(u32),
    /// A checksum differs, or the property that should hold it is missing.
    #[error("checksum differs: stored {stored:?}, computed {computed}")]
    Crc {
        /// What the record says.
        stored: Option<u32>,
        /// What its bytes say.
        computed: u32,
    },
    /// The lengths inside do not add up to the record's size ("half message").
    #[error("lengths do not add up to the record's size {total}")]
    Sizes {
        /// TOTALSIZE.
        total: i32,
    },
}

/// What stands at a position of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A message.
    Record(Record<'a>),
    /// The rest of the file is empty.
    Blank,
}

/// A stored message as a view over its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// TOTALSIZE.
    pub len: usize,
    /// BODYCRC.
    pub body_crc: u32,
    /// QUEUEID.
    pub queue_id: i32,
    /// FLAG.
    pub flag: i32,
    /// QUEUEOFFSET.
    pub queue_offset: i64,
    /// PHYSICALOFFSET as written in the record.
    pub log_offset: i64,
    /// SYSFLAG.
    pub sys_flag: i32,
    /// BORNTIMESTAMP.
    pub born_timestamp: i64,
    /// BORNHOST.
    pub born_host: SocketAddr,
    /// STORETIMESTAMP.
    pub store_timestamp: i64,
    /// STOREHOST.
    pub store_host: SocketAddr,
    /// RECONSUMETIMES.
    pub reconsume_times: i32,
    /// PREPARED_TX_OFFSET.
    pub prepared_transaction_offset: i64,
    /// BODY, as stored.
    pub body: &'a [u8],
    /// TOPIC; bytes that are not UTF-8 read as U+FFFD, as in Java.
    pub topic: Cow<'a, str>,
    /// PROPS; bytes that are not UTF-8 read as U+FFFD, as in Java.
    pub properties: Cow<'a, str>,
}

impl Record<'_> {
    /// The properties that the store needs, found in one pass.
    pub fn store_properties(&self) -> StoreProperties<'_> {
        StoreProperties::parse(&self.properties)
    }

    /// The message id that tells where this record is stored.
    pub fn offset_msg_id(&self) -> String {
        crate::offset_msg_id(self.store_host, self.log_offset as u64)
    }
}

/// A stored message with parts of its own; body and properties share the record's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// TOTALSIZE.
    pub len: usize,
    /// BODYCRC.
    pub body_crc: u32,
    /// QUEUEID.
    pub queue_id: i32,
    /// FLAG.
    pub flag: i32,
    /// QUEUEOFFSET.
    pub queue_offset: i64,
    /// PHYSICALOFFSET as written in the record.
    pub log_offset: i64,
    /// SYSFLAG.
    pub sys_flag: i32,
    /// BORNTIMESTAMP.
    pub born_timestamp: i64,
    /// BORNHOST.
    pub born_host: SocketAddr,
    /// STORETIMESTAMP.
    pub store_timestamp: i64,
    /// STOREHOST.
    pub store_host: SocketAddr,
    /// RECONSUMETIMES.
    pub reconsume_times: i32,
    /// PREPARED_TX_OFFSET.
    pub prepared_transaction_offset: i64,
    /// BODY, as stored.
    pub body: Bytes,
    /// TOPIC.
    pub topic: Arc<str>,
    /// PROPS.
    pub properties: Bytes,
}

impl Message {
    /// The property string; bytes that are not UTF-8 read as U+FFFD.
    pub fn properties_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.properties)
    }

    /// The message id that tells where this record is stored.
    pub fn offset_msg_id(&self) -> String {
        crate::offset_msg_id(self.store_host, self.log_offset as u64)
    }
}

/// Decodes one whole record that is kept beyond the call, without verifying a checksum.
///
/// # Errors
/// As [`decode()`]; a blank record is not a message.
pub fn decode_message(bytes: &Bytes) -> Result<Message, DecodeError> {
    let record = match decode(bytes, Checks::Sizes)? {
        Decoded::Record(record) => record,
        Decoded::Blank => return Err(DecodeError::Magic(MAGIC_BLANK)),
    };
    let properties = match record.properties {
        Cow::Borrowed(text) => bytes.slice_ref(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    };
    Ok(Message {
        len: record.len,
        body_crc: record.body_crc,
        queue_id: record.queue_id,
        flag: record.flag,
        queue_offset: record.queue_offset,
        log_offset: record.log_offset,
        sys_flag: record.sys_flag,
        born_timestamp: record.born_timestamp,
        born_host: record.born_host,
        store_timestamp: record.store_timestamp,
        store_host: record.store_host,
        reconsume_times: record.reconsume_times,
        prepared_transaction_offset: record.prepared_transaction_offset,
        body: bytes.slice_ref(record.body),
        topic: Arc::from(record.topic.as_ref()),
        properties,
    })
}

/// Decodes what stands at the start of `bytes`, which may go on beyond the record.
///
/// # Errors
/// When the bytes are neither a record nor a blank one, or when a requested checksum differs. The store treats each
/// of them as the end of the log.
pub fn decode(bytes: &[u8], checks: Checks) -> Result<Decoded<'_>, DecodeError> {
    let cut = |total| DecodeError::Cut { total, available: bytes.len() };
    let mut at = Reader { bytes, at: 0 };
    let total = at.i32().filter(|_| bytes.len() > 4).ok_or(cut(0))?;
    if (bytes.len() as i64) < i64::from(total) {
        return Err(cut(total));
    }
    let magic = at.u32().ok_or(cut(total))?;
    match magic {
        MAGIC_V1 | MAGIC_V2 => {}
        MAGIC_BLANK => return Ok(Decoded::Blank),
        other => return Err(DecodeError::Magic(other)),
    }
    let sizes = DecodeError::Sizes { total };
    let len = usize::try_from(total).map_err(|_| sizes)?;
    // From here on nothing is read beyond the record: what Java reads from the next record before it notices that
    // the sum is wrong ends in the same refusal.
    at.bytes = &bytes[..len];
    record(at, len, magic, checks, sizes)
}

fn record(
    mut at: Reader<'_>,
    len: usize,
    magic: u32,
    checks: Checks,
    sizes: DecodeError,
) -> Result<Decoded<'_>, DecodeError> {
    let stored_crc = at.u32().ok_or(sizes)?;
    let queue_id = at.i32().ok_or(sizes)?;
    let flag = at.i32().ok_or(sizes)?;
    let queue_offset = at.i64().ok_or(sizes)?;
    let log_offset = at.i64().ok_or(sizes)?;
    let sys_flag = at.i32().ok_or(sizes)?;
    let born_timestamp = at.i64().ok_or(sizes)?;
    let born_host = at.host(sys_flag & flags::BORNHOST_V6 != 0).ok_or(sizes)?;
    let store_timestamp = at.i64().ok_or(sizes)?;
    let store_host = at.host(sys_flag & flags::STOREHOST_V6 != 0).ok_or(sizes)?;
    let reconsume_times = at.i32().ok_or(sizes)?;
    let prepared_transaction_offset = at.i64().ok_or(sizes)?;
    // A negative length counts as 0 for body and properties, and only there (`calMsgLength`).
    let body_len = at.i32().ok_or(sizes)?.max(0);
    let body = at.take(body_len as usize).ok_or(sizes)?;
    if checks == Checks::BodyCrc && !body.is_empty() {
        let computed = body_crc(body);
        if computed != stored_crc {
            return Err(DecodeError::Crc { stored: Some(stored_crc), computed });
        }
    }
    let topic_len =
        if magic == MAGIC_V2 { i32::from(at.i16().ok_or(sizes)?) } else { i32::from(at.i8().ok_or(sizes)?) };
    let topic = at.take(usize::try_from(topic_len).map_err(|_| sizes)?).ok_or(sizes)?;
    let properties_len = at.i16().ok_or(sizes)?.max(0);
    let properties = at.take(properties_len as usize).ok_or(sizes)?;
    if at.at != len {
        return Err(sizes);
    }
    let properties = text(properties);
    if checks == Checks::PropertyCrc {
        check_property_crc(at.bytes, &properties)?;
    }
    Ok(Decoded::Record(Record {
        len,
        body_crc: stored_crc,
        queue_id,
        flag,
        queue_offset,
        log_offset,
        sys_flag,
        born_timestamp,
        born_host,
        store_timestamp,
        store_host,
        reconsume_times,
        prepared_transaction_offset,
        body,
        topic: text(topic),
        properties,
    }))
}

/// Text as Java reads it. The whole is tried first: that is faster than the lossy way, and nearly always enough.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn check_property_crc(record: &[u8], properties: &str) -> Result<(), DecodeError> {
    let computed = body_crc(&record[..record.len().saturating_sub(layout::CRC_PROPERTY_LEN)]);
    let stored = crate::props::get(properties, crate::props::keys::CRC32).map(|digits| {
        digits
            .bytes()
            .rev()
            .fold(0u32, |sum, digit| sum.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0'))))
    });
    if stored == Some(computed) { Ok(()) } else { Err(DecodeError::Crc { stored, computed }) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn i8(&mut self) -> Option<i8> {
        self.array().map(i8::from_be_bytes)
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// An address and a port; of the port's four bytes only the lower two carry a port.
    fn host(&mut self, v6: bool) -> Option<SocketAddr> {
        let ip = if v6 {
            IpAddr::V6(Ipv6Addr::from(self.array::<16>()?))
        } else {
            IpAddr::V4(Ipv4Addr::from(self.array::<4>()?))
        };
        Some(SocketAddr::new(ip, self.u32()? as u16))
    }
}
