//! One message record: the bytes that lie in `commitlog/` and travel in pull answers. Pure functions over byte
//! slices; no file, no clock, no socket.
//!
//! Everything is big endian. A record is encoded once ([`Prepared::write`]) with the positions that the log assigns
//! at append time, and never changes afterwards. Reading is always checked ([`decode()`]): a size that does not add up
//! is an error, never a panic.

pub mod batch;
mod decode;
pub mod flags;
mod id;
pub mod layout;
pub mod props;
mod record;

pub use decode::{Checks, DecodeError, Decoded, Message, Record, decode, decode_message};
pub use id::{InvalidMessageId, UniqueIds, offset_msg_id, parse_offset_msg_id, unique_id};
pub use record::{EncodeError, NewMessage, Positions, Prepared, blank, body_crc, encoded_len};

/// The hash of a message's tag that consume queues store and pull filters compare: Java's `String.hashCode`,
/// sign-extended; 0 without a tag (`MessageExtBrokerInner.tagsString2tagsCode`).
pub fn tags_code(tags: Option<&str>) -> i64 {
    match tags {
        Some(tags) if !tags.is_empty() => i64::from(raptormq_base::java::string_hash(tags)),
        _ => 0,
    }
}

/// The 20-digit name of a store file whose first byte is at `offset` (`UtilAll.offset2FileName`).
pub fn file_name(offset: u64) -> String {
    format!("{offset:020}")
}

#[cfg(test)]
mod tests;
