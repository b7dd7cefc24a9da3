//! The JSON header.
//!
//! Two readers: a straight one for the shape every known client writes, and, when that one meets anything else, the
//! tolerant reader of `json`, which accepts what Java's reader accepts. The writer emits Java 5.5.0's member order.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use serde_json::Value;

use super::FrameError;
use crate::ext::MAX_DECODED;
use crate::json::{self, text};
use crate::{Body, ExtFields, LanguageCode, RemotingCommand, SerializeType};

pub(super) fn decode(header: &[u8]) -> Result<RemotingCommand, FrameError> {
    // The whole is tried first: that is faster than the lossy way, and nearly always enough.
    let text = std::str::from_utf8(header).map_or_else(|_| String::from_utf8_lossy(header), Cow::Borrowed);
    match Straight::decode(&text) {
        Some(command) => Ok(command),
        None => decode_tolerantly(&text),
    }
}

/// What Java starts with before it reads a member.
fn blank() -> RemotingCommand {
    RemotingCommand {
        code: 0,
        language: LanguageCode::Java,
        version: 0,
        opaque: 0,
        flag: 0,
        remark: None,
        ext: ExtFields::new(),
        body: Body::empty(),
        serialize: SerializeType::Json,
    }
}

/// A cursor over the header text. Every method returns `None` for what it does not expect, and the whole header is
/// then read again tolerantly.
struct Straight<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Straight<'a> {
    fn decode(text: &'a str) -> Option<RemotingCommand> {
        let mut cursor = Self { text, at: 0 };
        let mut command = blank();
        cursor.expect(b'{')?;
        loop {
            let name = cursor.plain_string()?;
            cursor.expect(b':')?;
            match name {
                "code" => command.code = cursor.int()?,
                "flag" => command.flag = cursor.int()?,
                "opaque" => command.opaque = cursor.int()?,
                "version" => command.version = cursor.int()?,
                "language" => command.language = LanguageCode::from_name(cursor.plain_string()?),
                "serializeTypeCurrentRPC" => drop(cursor.plain_string()?),
                "remark" => {
                    let mut remark = String::new();
                    cursor.string_into(&mut remark)?;
                    command.remark = Some(remark);
                }
                "extFields" => command.ext = cursor.entries()?,
                _ => return None,
            }
            match cursor.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        cursor.skip_space();
        (cursor.at == text.len()).then_some(command)
    }

    fn entries(&mut self) -> Option<ExtFields> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(ExtFields::new());
        }
        let mut ext = ExtFields::with_capacity(16, self.text.len() - self.at);
        loop {
            let key = self.plain_string()?;
            self.expect(b':')?;
            // The tolerant reader gives the reason.
            if ext.len() >= MAX_DECODED {
                return None;
            }
            ext.push_with(
                |text| {
                    text.push_str(key);
                    Ok(())
                },
                |text| self.string_into(text).ok_or(()),
            )
            .ok()?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(ext),
                _ => return None,
            }
        }
    }

    /// A string without escapes, borrowed.
    fn plain_string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let end = text::find_special(self.text.as_bytes(), start);
        if *self.text.as_bytes().get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        Some(&self.text[start..end])
    }

    fn string_into(&mut self, out: &mut String) -> Option<()> {
        self.expect(b'"')?;
        self.at = text::unescape_into(self.text, self.at, b'"', out)?;
        Some(())
    }

    fn int(&mut self) -> Option<i32> {
        let negative = self.peek()? == b'-';
        if negative {
            self.at += 1;
        }
        let start = self.at;
        let mut value = 0i64;
        while let Some(digit @ b'0'..=b'9') = self.text.as_bytes().get(self.at) {
            value = value * 10 + i64::from(digit - b'0');
            self.at += 1;
            if self.at - start > 10 {
                return None;
            }
        }
        if self.at == start {
            return None;
        }
        i32::try_from(if negative { -value } else { value }).ok()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }
}

fn decode_tolerantly(text: &str) -> Result<RemotingCommand, FrameError> {
    let value: Value = json::from_str(text).map_err(|e| FrameError::Json(e.to_string()))?;
    let Value::Object(members) = value else {
        return Err(FrameError::Json("the header is not an object".into()));
    };
    let mut command = blank();
    for (name, value) in members {
        match name.as_str() {
            "code" => command.code = int(&name, &value)?,
            "flag" => command.flag = int(&name, &value)?,
            "opaque" => command.opaque = int(&name, &value)?,
            "version" => command.version = int(&name, &value)?,
            "language" => {
                command.language = match &value {
                    Value::String(name) => LanguageCode::from_name(name),
                    Value::Number(number) => LanguageCode::from_code(number.as_i64().unwrap_or(i64::MAX)),
                    _ => LanguageCode::Unknown,
                }
            }
            "remark" => command.remark = string(&value).map(Cow::into_owned),
            "extFields" => match value {
                Value::Null => {}
                Value::Object(entries) if entries.len() > MAX_DECODED => {
                    return Err(FrameError::TooManyFields);
                }
                Value::Object(entries) => {
                    for (key, value) in &entries {
                        if let Some(value) = string(value) {
                            command.ext.insert(key, &value);
                        }
                    }
                }
                _ => return Err(FrameError::Json("extFields is not an object".into())),
            },
            // Java has a byte[] member of this name, and its reader refuses text for it.
            "body" if value.is_string() => {
                return Err(FrameError::Json("body is no header member".into()));
            }
            _ => {}
        }
    }
    Ok(command)
}

/// A number as Java reads one into an `int`: text is parsed, a fraction is dropped, null is 0.
fn int(name: &str, value: &Value) -> Result<i32, FrameError> {
    let parsed = match value {
        Value::Null => Some(0),
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|f| f as i64)),
        Value::String(text) if text.is_empty() => Some(0),
        Value::String(text) => text.parse().ok(),
        Value::Array(_) | Value::Object(_) => None,
    };
    parsed
        .and_then(|wide| i32::try_from(wide).ok())
        .ok_or_else(|| FrameError::Json(format!("{name} is no int")))
}

fn string(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

pub(super) fn encode(command: &RemotingCommand, out: &mut BytesMut) {
    out.reserve(192 + command.ext.text_len() * 2 + command.ext.len() * 6);
    let mut fixed = Fixed::default();
    fixed.text("{\"code\":");
    fixed.int(command.code);
    if !command.ext.is_empty() {
        fixed.text(",\"extFields\":{");
        fixed.flush(out);
        for (index, (key, value)) in command.ext.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            text::put_quoted(key, out);
            out.put_u8(b':');
            text::put_quoted(value, out);
        }
        fixed.text("}");
    }
    fixed.text(",\"flag\":");
    fixed.int(command.flag);
    fixed.text(",\"language\":\"");
    fixed.text(command.language.name());
    fixed.text("\",\"opaque\":");
    fixed.int(command.opaque);
    if let Some(remark) = &command.remark {
        fixed.text(",\"remark\":");
        fixed.flush(out);
        text::put_quoted(remark, out);
    }
    fixed.text(",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    fixed.int(command.version);
    fixed.text("}");
    fixed.flush(out);
}

/// The members of fixed width, gathered on the stack so that the buffer is asked for room once per stretch.
struct Fixed {
    bytes: [u8; 192],
    len: usize,
}

impl Default for Fixed {
    fn default() -> Self {
        Self { bytes: [0; 192], len: 0 }
    }
}

impl Fixed {
    fn text(&mut self, text: &str) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
    }

    fn int(&mut self, value: i32) {
        let mut digits = [0; text::INT_WIDTH];
        self.text(text::int_text(i64::from(value), &mut digits));
    }

    fn flush(&mut self, out: &mut BytesMut) {
        out.put_slice(&self.bytes[..self.len]);
        self.len = 0;
    }
}
