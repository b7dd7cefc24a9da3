//! The ROCKETMQ header: fixed big-endian fields, a remark and entries, each behind its length.
//!
//! `code` i16, `language` u8, `version` i16, `opaque` i32, `flag` i32, remark (i32 length), entries (i32 length of
//! all): key (i16 length), value (i32 length). Mirrors `RocketMQSerializable`.

use bytes::{Buf, BufMut, BytesMut};

use super::FrameError;
use crate::ext::MAX_DECODED;
use crate::{Body, ExtFields, LanguageCode, RemotingCommand, SerializeType};

const FIXED_WIDTH: usize = 2 + 1 + 2 + 4 + 4;

pub(super) fn decode(mut header: &[u8]) -> Result<RemotingCommand, FrameError> {
    if header.len() < FIXED_WIDTH {
        return Err(FrameError::Binary("the fixed fields are cut off"));
    }
    let code = i32::from(header.get_i16());
    let language = LanguageCode::from_code(i64::from(header.get_i8()));
    let version = i32::from(header.get_i16());
    let opaque = header.get_i32();
    let flag = header.get_i32();
    let remark_len = length(&mut header)?;
    let remark = match take(&mut header, remark_len)? {
        [] => None,
        text => Some(String::from_utf8_lossy(text).into_owned()),
    };
    if header.len() < 4 {
        return Err(FrameError::Binary("the length of the entries is cut off"));
    }
    // Java takes a negative length for no entries, and so must we.
    let entries_len = usize::try_from(header.get_i32()).unwrap_or(0);
    let entries = take(&mut header, entries_len)?;
    Ok(RemotingCommand {
        code,
        language,
        version,
        opaque,
        flag,
        remark,
        ext: decode_entries(entries)?,
        body: Body::empty(),
        serialize: SerializeType::RocketMq,
    })
}

fn decode_entries(mut entries: &[u8]) -> Result<ExtFields, FrameError> {
    if entries.is_empty() {
        return Ok(ExtFields::new());
    }
    let mut ext = ExtFields::with_capacity(16, entries.len());
    while !entries.is_empty() {
        if entries.len() < 2 {
            return Err(FrameError::Binary("the length of a key is cut off"));
        }
        let key_len = usize::try_from(entries.get_i16())
            .map_err(|_| FrameError::Binary("a key has a negative length"))?;
        let key = take(&mut entries, key_len)?;
        let value_len = length(&mut entries)?;
        let value = take(&mut entries, value_len)?;
        if ext.len() >= MAX_DECODED {
            return Err(FrameError::TooManyFields);
        }
        // Java reads an empty string as null, so neither an empty key nor an empty value is an entry.
        if !key.is_empty() && !value.is_empty() {
            ext.insert(&String::from_utf8_lossy(key), &String::from_utf8_lossy(value));
        }
    }
    Ok(ext)
}

pub(super) fn encode(command: &RemotingCommand, out: &mut BytesMut) {
    out.put_i16(command.code as i16);
    out.put_u8(command.language.code());
    out.put_i16(command.version as i16);
    out.put_i32(command.opaque);
    out.put_i32(command.flag);
    let remark = command.remark.as_deref().unwrap_or_default();
    out.put_i32(remark.len() as i32);
    out.put_slice(remark.as_bytes());
    let length_at = out.len();
    out.put_i32(0);
    for (key, value) in command.ext.iter() {
        // A key longer than its 16-bit length would desynchronise the reader.
        let Ok(key_len) = i16::try_from(key.len()) else {
            continue;
        };
        out.put_i16(key_len);
        out.put_slice(key.as_bytes());
        out.put_i32(value.len() as i32);
        out.put_slice(value.as_bytes());
    }
    let entries_len = (out.len() - length_at - 4) as i32;
    out[length_at..length_at + 4].copy_from_slice(&entries_len.to_be_bytes());
}

fn length(bytes: &mut &[u8]) -> Result<usize, FrameError> {
    if bytes.len() < 4 {
        return Err(FrameError::Binary("the length of a string is cut off"));
    }
    usize::try_from(bytes.get_i32()).map_err(|_| FrameError::Binary("a string has a negative length"))
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], FrameError> {
    if len > bytes.len() {
        return Err(FrameError::Binary("a string is longer than the header"));
    }
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    Ok(taken)
}
