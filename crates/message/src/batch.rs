//! The body of a batch: what a client sends as SEND_BATCH_MESSAGE (`MessageDecoder.encodeMessages`).
//!
//! Per message `TOTALSIZE 4 | MAGIC 4 | BODYCRC 4 | FLAG 4 | BODYLEN 4 | BODY | PROPLEN 2 | PROPS`; clients leave
//! magic and checksum 0.

use bytes::{BufMut, Bytes, BytesMut};

const HEAD: usize = 4 + 4 + 4 + 4 + 4;

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchItem {
    /// The user's flag.
    pub flag: i32,
    /// Body.
    pub body: Bytes,
    /// Property string.
    pub properties: Bytes,
}

/// A batch body whose lengths run past its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("batch is cut at byte {at}")]
pub struct BatchError {
    /// Where the message begins that cannot be read.
    pub at: usize,
}

/// Takes a batch apart. The items share the body's memory. TOTALSIZE, magic and checksum are not looked at, as in
/// `MessageExtEncoder.encode`.
///
/// # Errors
/// When a length is negative or runs past the end.
pub fn decode_batch(body: &Bytes) -> Result<Vec<BatchItem>, BatchError> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let (item, next) = decode_item(body, at).ok_or(BatchError { at })?;
        items.push(item);
        at = next;
    }
    Ok(items)
}

fn decode_item(body: &Bytes, start: usize) -> Option<(BatchItem, usize)> {
    let head = body.get(start..start + HEAD)?;
    let flag = i32::from_be_bytes(head[12..16].try_into().ok()?);
    let body_len = usize::try_from(i32::from_be_bytes(head[16..20].try_into().ok()?)).ok()?;
    let body_at = start + HEAD;
    let properties_len_at = body_at.checked_add(body_len)?;
    let properties_len = body.get(properties_len_at..properties_len_at.checked_add(2)?)?;
    let properties_len = usize::try_from(i16::from_be_bytes(properties_len.try_into().ok()?)).ok()?;
    let properties_at = properties_len_at + 2;
    let next = properties_at + properties_len;
    body.get(properties_at..next)?;
    let item = BatchItem {
        flag,
        body: body.slice(body_at..properties_len_at),
        properties: body.slice(properties_at..next),
    };
    Some((item, next))
}

/// Puts a batch together, as a client does.
///
/// # Panics
/// When a body or a property string is longer than its length field can say.
pub fn encode_batch(items: &[BatchItem]) -> Bytes {
    let mut out = BytesMut::new();
    for item in items {
        let properties_len = i16::try_from(item.properties.len()).expect("properties fit into 16 bits");
        let total = HEAD + item.body.len() + 2 + item.properties.len();
        out.put_i32(i32::try_from(total).expect("a batch item fits into 31 bits"));
        out.put_i32(0);
        out.put_i32(0);
        out.put_i32(item.flag);
        out.put_i32(item.body.len() as i32);
        out.put_slice(&item.body);
        out.put_i16(properties_len);
        out.put_slice(&item.properties);
    }
    out.freeze()
}
