//! Frames: a 32-bit length, a 32-bit word of serialize type and header length, the header, the body.
//!
//! `length` does not count itself; the second word is `serialize type << 24 | header length`.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{Body, RemotingCommand, SerializeType};

mod binary_header;
mod json_header;
#[cfg(test)]
mod tests;

/// Java's default for `com.rocketmq.remoting.frameMaxLength`: the whole frame with its length word, in bytes.
pub const DEFAULT_MAX_LEN: usize = 16_777_216;

const LENGTH_WIDTH: usize = 4;
const HEADER_WORD_WIDTH: usize = 4;
const HEADER_LEN_MASK: u32 = 0x00FF_FFFF;

/// Why bytes are no frame. The connection they came from is closed, as Netty does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length word is negative or above the limit.
    #[error("frame of {len} bytes exceeds the limit of {max}")]
    TooLong {
        /// The length of the whole frame, its length word included.
        len: u64,
        /// The limit in bytes.
        max: usize,
    },
    /// The frame ends inside its fixed words or before the end of its header.
    #[error("decode error, bad header length: {0}")]
    BadHeaderLength(u32),
    /// The serialize type is neither JSON nor ROCKETMQ.
    #[error("unknown serialize type {0}")]
    UnknownSerializeType(u8),
    /// A JSON header that is no command.
    #[error("json header: {0}")]
    Json(String),
    /// A header with more ext fields than any client sends.
    #[error("the header has more than {} ext fields", crate::ext::MAX_DECODED)]
    TooManyFields,
    /// A binary header that ends too early or contradicts itself.
    #[error("binary header: {0}")]
    Binary(&'static str),
}

/// Takes the first whole frame off `buf`, without its length word; `None` when more bytes are needed.
///
/// `max` limits the whole frame in bytes; a longer one is refused as soon as its length word is there.
pub fn split(buf: &mut BytesMut, max: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(word) = buf.first_chunk::<LENGTH_WIDTH>() else {
        return Ok(None);
    };
    let total = u64::from(u32::from_be_bytes(*word)) + LENGTH_WIDTH as u64;
    if total > max as u64 {
        return Err(FrameError::TooLong { len: total, max });
    }
    // At most `max`, so it fits.
    let total = total as usize;
    if buf.len() < total {
        return Ok(None);
    }
    let mut frame = buf.split_to(total);
    frame.advance(LENGTH_WIDTH);
    Ok(Some(frame.freeze()))
}

/// Reads a frame that `split` returned. The body is a slice of it.
pub fn decode(mut frame: Bytes) -> Result<RemotingCommand, FrameError> {
    if frame.len() < HEADER_WORD_WIDTH {
        return Err(FrameError::BadHeaderLength(0));
    }
    let word = frame.get_u32();
    let header_len = word & HEADER_LEN_MASK;
    if header_len as usize > frame.len() {
        return Err(FrameError::BadHeaderLength(header_len));
    }
    let type_code = (word >> 24) as u8;
    let serialize = SerializeType::from_code(type_code).ok_or(FrameError::UnknownSerializeType(type_code))?;
    let header = &frame[..header_len as usize];
    let mut command = match serialize {
        SerializeType::Json => json_header::decode(header)?,
        SerializeType::RocketMq => binary_header::decode(header)?,
    };
    frame.advance(header_len as usize);
    command.serialize = serialize;
    command.body = Body::from(frame);
    Ok(command)
}

/// Appends the length word, the header word and the header to `out`; the chunks of `command.body` must follow.
///
/// The binary form holds 16 bits of code. A command with a larger code is written as JSON instead, which every
/// peer reads; Java writes the cut code.
pub fn encode_head(command: &RemotingCommand, out: &mut BytesMut) {
    let start = out.len();
    out.put_u64(0);
    let serialize = match command.serialize {
        SerializeType::RocketMq if i16::try_from(command.code).is_ok() => SerializeType::RocketMq,
        _ => SerializeType::Json,
    };
    match serialize {
        SerializeType::Json => json_header::encode(command, out),
        SerializeType::RocketMq => binary_header::encode(command, out),
    }
    let fixed = LENGTH_WIDTH + HEADER_WORD_WIDTH;
    let header_len = out.len() - start - fixed;
    let length = HEADER_WORD_WIDTH + header_len + command.body.len();
    let word = (serialize as u32) << 24 | (header_len as u32 & HEADER_LEN_MASK);
    out[start..start + LENGTH_WIDTH].copy_from_slice(&(length as u32).to_be_bytes());
    out[start + LENGTH_WIDTH..start + fixed].copy_from_slice(&word.to_be_bytes());
}

/// The whole frame in one piece.
pub fn encode(command: &RemotingCommand) -> Bytes {
    let mut out = BytesMut::with_capacity(256 + command.ext.len() * 16 + command.body.len());
    encode_head(command, &mut out);
    for chunk in command.body.chunks() {
        out.extend_from_slice(chunk);
    }
    out.freeze()
}
