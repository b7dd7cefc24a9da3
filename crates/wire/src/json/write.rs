//! The writer of Java's text, as a serde serializer.

use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;
use serde::ser::{self, SerializeMap, SerializeSeq, SerializeStruct};

use super::read::JsonError;
use super::text;

/// The value as Java 5.5.0 writes it.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> String {
    write(value, Style::Java)
}

/// `to_string` as bytes.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    to_string(value).into_bytes()
}

/// Standard JSON: integer keys in quotes. This is what route clients get that ask for standard JSON, or that are new
/// enough. Characters are written as they are; Java before 5.4 escapes those outside ASCII here, 5.5.0 no longer does.
pub fn to_standard_string<T: Serialize + ?Sized>(value: &T) -> String {
    write(value, Style::Standard)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Java,
    Standard,
}

fn write<T: Serialize + ?Sized>(value: &T, style: Style) -> String {
    let mut writer = Writer { out: String::with_capacity(128), style };
    // Bodies are structs, maps, lists and scalars, and none of those can fail.
    value.serialize(&mut writer).expect("a body holds only what JSON can hold");
    writer.out
}

struct Writer {
    out: String,
    style: Style,
}

impl Writer {
    fn quoted(&mut self, value: &str) {
        self.out.push('"');
        for character in value.chars() {
            match character {
                '"' | '\\' | '\0'..='\u{1f}' => {
                    let (escape, len) = text::escape(character as u8);
                    self.out.extend(escape[..len].iter().map(|byte| char::from(*byte)));
                }
                plain => self.out.push(plain),
            }
        }
        self.out.push('"');
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<bool, JsonError> {
        let start = self.out.len();
        self.quoted(name);
        self.value_after_key(start, value)
    }

    /// Writes `:value` after a key that begins at `start`; takes both back, and says false, when the value is null.
    fn value_after_key<T: Serialize + ?Sized>(&mut self, start: usize, value: &T) -> Result<bool, JsonError> {
        self.out.push(':');
        let value_at = self.out.len();
        value.serialize(&mut *self)?;
        let present = &self.out[value_at..] != "null";
        if !present {
            self.out.truncate(start);
        }
        Ok(present)
    }
}

macro_rules! display {
    ($($method:ident: $ty:ty,)*) => {
        $(fn $method(self, value: $ty) -> Result<(), JsonError> {
            let _ = write!(self.out, "{value}");
            Ok(())
        })*
    };
}

impl<'w> ser::Serializer for &'w mut Writer {
    type Ok = ();
    type Error = JsonError;
    type SerializeSeq = Sequence<'w>;
    type SerializeTuple = Sequence<'w>;
    type SerializeTupleStruct = Sequence<'w>;
    type SerializeTupleVariant = ser::Impossible<(), JsonError>;
    type SerializeMap = Map<'w>;
    type SerializeStruct = Struct<'w>;
    type SerializeStructVariant = ser::Impossible<(), JsonError>;

    display! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
    }

    fn serialize_f32(self, value: f32) -> Result<(), JsonError> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), JsonError> {
        if !value.is_finite() {
            self.out.push_str("null");
        } else if value != 0.0 && !(1e-3..1e7).contains(&value.abs()) {
            // Double.toString: one digit, a fraction, and an upper-case exponent.
            let text = format!("{value:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let _ = write!(self.out, "{mantissa}{point}E{exponent}");
        } else {
            let _ = write!(self.out, "{value:?}");
        }
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), JsonError> {
        self.quoted(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), JsonError> {
        self.quoted(value);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), JsonError> {
        Err(ser::Error::custom("bytes have no JSON form here"))
    }

    fn serialize_none(self) -> Result<(), JsonError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), JsonError> {
        self.out.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), JsonError> {
        self.out.push_str("{}");
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<(), JsonError> {
        self.quoted(name);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), JsonError> {
        Err(ser::Error::custom("Java has no enumerations with data"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Sequence<'w>, JsonError> {
        self.out.push('[');
        Ok(Sequence { writer: self, first: true })
    }

    fn serialize_tuple(self, len: usize) -> Result<Sequence<'w>, JsonError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Sequence<'w>, JsonError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, JsonError> {
        Err(ser::Error::custom("Java has no enumerations with data"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Map<'w>, JsonError> {
        self.out.push('{');
        Ok(Map { start: self.out.len(), key_at: 0, writer: self, separate: false })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Struct<'w>, JsonError> {
        self.out.push('{');
        Ok(Struct { start: self.out.len(), writer: self, members: Vec::with_capacity(16) })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, JsonError> {
        Err(ser::Error::custom("Java has no enumerations with data"))
    }
}

struct Sequence<'w> {
    writer: &'w mut Writer,
    first: bool,
}

impl SerializeSeq for Sequence<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        if !std::mem::take(&mut self.first) {
            self.writer.out.push(',');
        }
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), JsonError> {
        self.writer.out.push(']');
        Ok(())
    }
}

impl ser::SerializeTuple for Sequence<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), JsonError> {
        SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for Sequence<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), JsonError> {
        SerializeSeq::end(self)
    }
}

struct Map<'w> {
    writer: &'w mut Writer,
    start: usize,
    key_at: usize,
    separate: bool,
}

impl SerializeMap for Map<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), JsonError> {
        self.key_at = self.writer.out.len();
        if self.separate {
            self.writer.out.push(',');
        }
        let text_at = self.writer.out.len();
        key.serialize(&mut *self.writer)?;
        let bare_number = matches!(self.writer.out.as_bytes().get(text_at), Some(b'-' | b'0'..=b'9'));
        if bare_number && self.writer.style == Style::Standard {
            self.writer.out.insert(text_at, '"');
            self.writer.out.push('"');
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.separate |= self.writer.value_after_key(self.key_at, value)?;
        Ok(())
    }

    fn end(self) -> Result<(), JsonError> {
        debug_assert!(self.writer.out.len() >= self.start);
        self.writer.out.push('}');
        Ok(())
    }
}

struct Struct<'w> {
    writer: &'w mut Writer,
    start: usize,
    members: Vec<(&'static str, Range<usize>)>,
}

impl SerializeStruct for Struct<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), JsonError> {
        let before = self.writer.out.len();
        if !self.members.is_empty() {
            self.writer.out.push(',');
        }
        let start = self.writer.out.len();
        if self.writer.member(name, value)? {
            self.members.push((name, start..self.writer.out.len()));
        } else {
            self.writer.out.truncate(before);
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), JsonError> {
        if !self.members.is_sorted_by_key(|(name, _)| *name) {
            self.members.sort_by_key(|(name, _)| *name);
            let sorted: Vec<&str> =
                self.members.iter().map(|(_, range)| &self.writer.out[range.clone()]).collect();
            let sorted = sorted.join(",");
            self.writer.out.truncate(self.start);
            self.writer.out.push_str(&sorted);
        }
        self.writer.out.push('}');
        Ok(())
    }
}
