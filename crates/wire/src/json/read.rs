//! The tolerant reader, as a serde deserializer over text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::text;

/// Objects and arrays inside one another; no body of the protocol comes near it.
const MAX_DEPTH: u32 = 96;

/// Why text is not the JSON that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

impl de::Error for JsonError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl serde::ser::Error for JsonError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Reads a value from the UTF-8 bytes of a body; bytes that are no UTF-8 become replacement characters, as in Java.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    from_str(&String::from_utf8_lossy(bytes))
}

/// Reads a value from text; nothing but white space may follow it.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = T::deserialize(&mut reader)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.error("text after the value"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

/// A value that is neither object nor array.
enum Scalar<'a> {
    Null,
    Bool(bool),
    Text(Cow<'a, str>),
    Int(i64),
    /// A fraction, an exponent, or an integer that no `i64` holds.
    Float(f64),
}

impl<'a> Reader<'a> {
    fn error(&self, what: &str) -> JsonError {
        JsonError(format!("{what} at offset {}", self.at))
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | 0x0C | 0x08) = self.byte() {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn peek(&mut self) -> Result<u8, JsonError> {
        self.skip_space();
        self.byte().ok_or_else(|| self.error("the text ends too early"))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let quote = self.byte().unwrap_or(b'"');
        self.at += 1;
        let start = self.at;
        if quote == b'"' {
            let end = text::find_special(self.text.as_bytes(), start);
            if self.text.as_bytes().get(end) == Some(&b'"') {
                self.at = end + 1;
                return Ok(Cow::Borrowed(&self.text[start..end]));
            }
        }
        let mut unescaped = String::new();
        match text::unescape_into(self.text, start, quote, &mut unescaped) {
            Some(end) => {
                self.at = end;
                Ok(Cow::Owned(unescaped))
            }
            None => Err(self.error("a broken string")),
        }
    }

    fn scalar(&mut self) -> Result<Scalar<'a>, JsonError> {
        match self.peek()? {
            b'"' | b'\'' => Ok(Scalar::Text(self.string()?)),
            b'-' | b'+' | b'.' | b'0'..=b'9' => self.number(),
            b'a'..=b'z' => {
                let word = self.word();
                match word {
                    "null" => Ok(Scalar::Null),
                    "true" => Ok(Scalar::Bool(true)),
                    "false" => Ok(Scalar::Bool(false)),
                    _ => Err(self.error("an unknown word")),
                }
            }
            b'{' | b'[' => Err(self.error("an object or array where a plain value belongs")),
            _ => Err(self.error("an unexpected character")),
        }
    }

    fn word(&mut self) -> &'a str {
        let start = self.at;
        while let Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.') = self.byte() {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn number(&mut self) -> Result<Scalar<'a>, JsonError> {
        let word = self.word();
        // fastjson 1 marks the width of numbers in arrays of objects with a trailing letter.
        let digits = word.strip_suffix(['L', 'S', 'B']).unwrap_or(word);
        parse_number(digits).ok_or_else(|| self.error("a broken number"))
    }

    fn enter(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("nesting too deep"));
        }
        Ok(())
    }

    /// Moves past one value of any kind and returns its text.
    fn skip_value(&mut self) -> Result<&'a str, JsonError> {
        self.skip_space();
        let start = self.at;
        de::IgnoredAny::deserialize_from(self)?;
        Ok(&self.text[start..self.at])
    }

    fn int(&mut self) -> Result<i64, JsonError> {
        match self.scalar()? {
            Scalar::Null => Ok(0),
            Scalar::Bool(flag) => Ok(i64::from(flag)),
            Scalar::Int(value) => Ok(value),
            Scalar::Float(value) if value.abs() < 9.3e18 => Ok(value as i64),
            Scalar::Float(_) => Err(self.error("a number out of range")),
            Scalar::Text(text) => int_of_text(&text).ok_or_else(|| self.error("text that is no number")),
        }
    }
}

fn parse_number<'a>(digits: &str) -> Option<Scalar<'a>> {
    if let Ok(value) = digits.parse::<i64>() {
        return Some(Scalar::Int(value));
    }
    digits.parse::<f64>().ok().filter(|value| value.is_finite()).map(Scalar::Float)
}

fn int_of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() || text == "null" {
        return Some(0);
    }
    match parse_number(text)? {
        Scalar::Int(value) => Some(value),
        Scalar::Float(value) => Some(value as i64),
        _ => None,
    }
}

/// Lets `IgnoredAny` be driven without naming the trait at each call.
trait DeserializeFrom: Sized {
    fn deserialize_from(reader: &mut Reader<'_>) -> Result<Self, JsonError>;
}

impl DeserializeFrom for de::IgnoredAny {
    fn deserialize_from(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        de::Deserialize::deserialize(reader)
    }
}

fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, JsonError> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

macro_rules! ints {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            visitor.visit_i64(self.int()?)
        })*
    };
}

macro_rules! floats {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            let value = match self.scalar()? {
                Scalar::Null => 0.0,
                Scalar::Bool(flag) => f64::from(u8::from(flag)),
                Scalar::Int(value) => value as f64,
                Scalar::Float(value) => value,
                Scalar::Text(text) => text
                    .trim()
                    .parse()
                    .map_err(|_| self.error("text that is no number"))?,
            };
            visitor.visit_f64(value)
        })*
    };
}

macro_rules! strings {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            if matches!(self.peek()?, b'{' | b'[') {
                return visitor.visit_borrowed_str(self.skip_value()?);
            }
            match self.scalar()? {
                Scalar::Text(text) => visit_text(text, visitor),
                Scalar::Null => visitor.visit_borrowed_str(""),
                Scalar::Bool(flag) => visitor.visit_str(if flag { "true" } else { "false" }),
                Scalar::Int(value) => visitor.visit_string(value.to_string()),
                Scalar::Float(value) => visitor.visit_string(value.to_string()),
            }
        })*
    };
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.peek()? {
            b'{' => self.deserialize_map(visitor),
            b'[' => self.deserialize_seq(visitor),
            _ => match self.scalar()? {
                Scalar::Null => visitor.visit_unit(),
                Scalar::Bool(flag) => visitor.visit_bool(flag),
                Scalar::Text(text) => visit_text(text, visitor),
                Scalar::Int(value) => visitor.visit_i64(value),
                Scalar::Float(value) => visitor.visit_f64(value),
            },
        }
    }

    ints!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);
    floats!(deserialize_f32 deserialize_f64);
    strings!(deserialize_str deserialize_string deserialize_char deserialize_identifier deserialize_bytes deserialize_byte_buf);

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        let flag = match self.scalar()? {
            Scalar::Null => false,
            Scalar::Bool(flag) => flag,
            Scalar::Int(value) => value == 1,
            Scalar::Float(value) => value == 1.0,
            Scalar::Text(text) => text.eq_ignore_ascii_case("true") || text == "1" || text == "Y",
        };
        visitor.visit_bool(flag)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.skip_space();
        if self.text[self.at..].starts_with("null") {
            self.at += 4;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.skip_value()?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.peek()? != b'[' {
            return match self.scalar()? {
                Scalar::Null => visitor.visit_seq(de::value::SeqDeserializer::new(std::iter::empty::<i64>())),
                _ => Err(self.error("no array where one belongs")),
            };
        }
        self.enter()?;
        let value = visitor.visit_seq(Elements { reader: self })?;
        if self.peek()? != b']' {
            return Err(self.error("an array that does not end"));
        }
        self.at += 1;
        self.depth -= 1;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.peek()? {
            b'{' => {}
            b'[' => return Err(self.error("an array where an object belongs")),
            _ => {
                return match self.scalar()? {
                    Scalar::Null => {
                        visitor.visit_map(de::value::MapDeserializer::new(
                            std::iter::empty::<(String, String)>(),
                        ))
                    }
                    _ => Err(self.error("no object where one belongs")),
                };
            }
        }
        self.enter()?;
        let value = visitor.visit_map(Members { reader: self })?;
        if self.peek()? != b'}' {
            return Err(self.error("an object that does not end"));
        }
        self.at += 1;
        self.depth -= 1;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        match self.scalar()? {
            Scalar::Text(name) => visitor.visit_enum(name.into_owned().into_deserializer()),
            _ => Err(self.error("no enumeration name")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_any(visitor)
    }
}

struct Elements<'r, 'a> {
    reader: &'r mut Reader<'a>,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = JsonError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, JsonError> {
        // One comma, or several, may stand before the end, which the caller consumes.
        while self.reader.peek()? == b',' {
            self.reader.at += 1;
        }
        if self.reader.peek()? == b']' {
            return Ok(None);
        }
        let value = seed.deserialize(&mut *self.reader)?;
        if !matches!(self.reader.peek()?, b',' | b']') {
            return Err(self.reader.error("no comma between elements"));
        }
        Ok(Some(value))
    }
}

struct Members<'r, 'a> {
    reader: &'r mut Reader<'a>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, JsonError> {
        while self.reader.peek()? == b',' {
            self.reader.at += 1;
        }
        let key = match self.reader.peek()? {
            b'}' => return Ok(None),
            // A map key that is an object: MessageQueue and its like.
            b'{' => seed.deserialize(&mut *self.reader)?,
            b'"' | b'\'' => seed.deserialize(Key(self.reader.string()?))?,
            b'-' | b'0'..=b'9' => seed.deserialize(Key(Cow::Borrowed(self.reader.word())))?,
            b'n' if self.reader.text[self.reader.at..].starts_with("null") => {
                self.reader.at += 4;
                seed.deserialize(Key(Cow::Borrowed("null")))?
            }
            _ => return Err(self.reader.error("a member name without quotes")),
        };
        if self.reader.peek()? != b':' {
            return Err(self.reader.error("no colon after a member name"));
        }
        self.reader.at += 1;
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, JsonError> {
        let value = seed.deserialize(&mut *self.reader)?;
        if !matches!(self.reader.peek()?, b',' | b'}') {
            return Err(self.reader.error("no comma between members"));
        }
        Ok(value)
    }
}

/// A map key in quotes, or a bare integer.
struct Key<'a>(Cow<'a, str>);

impl Key<'_> {
    /// An object key written as a JSON string, as fastjson 1 also accepts it.
    fn nested<'de, V: Visitor<'de>>(
        &self,
        visit: impl FnOnce(&mut Reader<'_>, V) -> Result<V::Value, JsonError>,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        let mut reader = Reader { text: &self.0, at: 0, depth: MAX_DEPTH / 2 };
        visit(&mut reader, visitor)
    }
}

macro_rules! key_ints {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            match self.0.trim().parse::<i64>() {
                Ok(value) => visitor.visit_i64(value),
                Err(_) => Err(JsonError(format!("the key [{}] is no number", self.0.chars().take(64).collect::<String>()))),
            }
        })*
    };
}

impl<'de> de::Deserializer<'de> for Key<'de> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visit_text(self.0, visitor)
    }

    key_ints!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        // The text may be borrowed from an unescaped copy, so only owned values can come out of it.
        self.nested(
            |reader, visitor| {
                let value: serde_json::Value = de::Deserialize::deserialize(reader)?;
                de::Deserializer::deserialize_struct(value, "", fields, visitor)
                    .map_err(|e| JsonError(e.to_string()))
            },
            visitor,
        )
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
