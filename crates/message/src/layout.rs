//! Offset and size of each field of a record (`MessageDecoder`, `MessageExtEncoder.calMsgLength`).
//!
//! Two fields vary in width: the hosts (8 bytes, 20 with the v6 flag) and the topic length (1 byte in V1, 2 in V2).

/// Magic number of a record whose topic length takes one byte.
pub const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Magic number of a record whose topic length takes two bytes (topics longer than 127 characters, since 5.0).
pub const MAGIC_V2: u32 = 0xDAA3_20AB;
/// Magic number of the filler between the last record of a commit log file and the file's end.
pub const MAGIC_BLANK: u32 = 0xCBD4_3194;

/// TOTALSIZE (4 bytes): the whole record.
pub const TOTAL_SIZE: usize = 0;
/// MAGICCODE (4).
pub const MAGIC: usize = 4;
/// BODYCRC (4).
pub const BODY_CRC: usize = 8;
/// QUEUEID (4).
pub const QUEUE_ID: usize = 12;
/// FLAG (4), the user's.
pub const FLAG: usize = 16;
/// QUEUEOFFSET (8), counted in messages.
pub const QUEUE_OFFSET: usize = 20;
/// PHYSICALOFFSET (8), counted in bytes from the start of the log.
pub const LOG_OFFSET: usize = 28;
/// SYSFLAG (4), see [`crate::flags`].
pub const SYS_FLAG: usize = 36;
/// BORNTIMESTAMP (8), ms.
pub const BORN_TIMESTAMP: usize = 40;
/// BORNHOST (8 or 20); everything after it has a variable place.
pub const BORN_HOST: usize = 48;

/// A host field with a four-byte address: address and a four-byte port.
pub const HOST_V4: usize = 4 + 4;
/// A host field with a sixteen-byte address.
pub const HOST_V6: usize = 16 + 4;
/// STORETIMESTAMP (8).
pub const STORE_TIMESTAMP_LEN: usize = 8;
/// RECONSUMETIMES (4), PREPARED_TX_OFFSET (8), BODYLEN (4): what stands between STOREHOST and the body.
pub const BEFORE_BODY_LEN: usize = 4 + 8 + 4;
/// PROPLEN (2).
pub const PROPERTIES_LEN_LEN: usize = 2;
/// TOTALSIZE and MAGIC of a blank record; this many bytes always stay free at the end of a commit log file.
pub const BLANK_LEN: usize = 8;
/// The longest property string (`Short.MAX_VALUE`).
pub const PROPERTIES_MAX: usize = 32_767;
/// The longest topic, in characters, that a V1 record holds (`Byte.MAX_VALUE`).
pub const TOPIC_V1_MAX: usize = 127;
/// The longest topic in bytes that a V2 record holds (`Short.MAX_VALUE`).
pub const TOPIC_V2_MAX: usize = 32_767;
/// Length of the `__CRC32#` property with separators (`CommitLog.CRC32_RESERVED_LEN`).
pub const CRC_PROPERTY_LEN: usize = 8 + 1 + 10 + 1;

/// The shortest record: V1, both hosts v4, nothing in body, topic and properties.
pub const RECORD_MIN: usize =
    BORN_HOST + HOST_V4 + STORE_TIMESTAMP_LEN + HOST_V4 + BEFORE_BODY_LEN + 1 + PROPERTIES_LEN_LEN;
const _: () = assert!(RECORD_MIN == 91);

/// Bytes of a host field.
pub const fn host_len(v6: bool) -> usize {
    if v6 { HOST_V6 } else { HOST_V4 }
}

/// Where STORETIMESTAMP stands, given SYSFLAG.
pub const fn store_timestamp_at(sys_flag: i32) -> usize {
    BORN_HOST + host_len(sys_flag & crate::flags::BORNHOST_V6 != 0)
}

/// Where the body begins, given SYSFLAG.
pub const fn body_at(sys_flag: i32) -> usize {
    store_timestamp_at(sys_flag)
        + STORE_TIMESTAMP_LEN
        + host_len(sys_flag & crate::flags::STOREHOST_V6 != 0)
        + BEFORE_BODY_LEN
}
