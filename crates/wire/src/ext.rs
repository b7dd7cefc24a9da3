//! The string map of a command header.

use std::fmt;

use crate::json::text::{INT_WIDTH, int_text};

/// `extFields`: the named strings a typed header travels as. All text lies in one buffer, entries keep the order of
/// insertion, and a look-up walks the entries, which beats hashing for the five to twenty a header has.
#[derive(Clone, Default)]
pub struct ExtFields {
    text: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    key: Span,
    value: Span,
}

/// Tells most keys apart without touching their text: the send header's one-letter keys always.
fn tag(key: &str) -> u32 {
    match key.as_bytes() {
        [] => 0,
        [first, .., last] => u32::from(*first) << 24 | u32::from(*last) << 16 | key.len() as u32 & 0xFFFF,
        [only] => u32::from(*only) << 24 | 1,
    }
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

/// More entries than this in one header are refused: looking each one up would take a hostile header hours, and no
/// client sends a hundred.
pub(crate) const MAX_DECODED: usize = 1024;

impl ExtFields {
    /// No entries, no allocation.
    pub const fn new() -> Self {
        Self { text: String::new(), entries: Vec::new() }
    }

    /// Room for `entries` entries with `bytes` bytes of text together.
    pub fn with_capacity(entries: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), entries: Vec::with_capacity(entries) }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.position(key).map(|index| self.slice(self.entries[index].value))
    }

    /// Sets `key` to `value`; an entry that is there already keeps its place and changes its value.
    pub fn insert(&mut self, key: &str, value: &str) {
        self.set(key, |text| text.push_str(value));
    }

    /// Sets `key` to the text of a number.
    pub fn insert_int(&mut self, key: &str, value: i64) {
        let mut digits = [0; INT_WIDTH];
        let text = int_text(value, &mut digits);
        self.insert(key, text);
    }

    /// Sets `key` to `true` or `false`.
    pub fn insert_bool(&mut self, key: &str, value: bool) {
        self.insert(key, if value { "true" } else { "false" });
    }

    /// Sets `key` to the text of anything that has one.
    pub fn insert_display(&mut self, key: &str, value: impl fmt::Display) {
        self.insert(key, &value.to_string());
    }

    /// Removes `key`; true when it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        match self.position(key) {
            Some(index) => {
                self.entries.remove(index);
                true
            }
            None => false,
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (self.slice(entry.key), self.slice(entry.value)))
    }

    /// Bytes of text held, for sizing output buffers.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Appends an entry whose key and value the caller writes into the shared text with two closures. A key that is
    /// there already is overwritten, as in Java's map.
    pub(crate) fn push_with<E>(
        &mut self,
        write_key: impl FnOnce(&mut String) -> Result<(), E>,
        write_value: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.text.len();
        write_key(&mut self.text)?;
        let middle = self.text.len();
        write_value(&mut self.text)?;
        let key = span(start, middle);
        let value = span(middle, self.text.len());
        let name = &self.text[start..middle];
        match self.position(name) {
            Some(index) => self.entries[index].value = value,
            None => self.entries.push(Entry { tag: tag(name), key, value }),
        }
        Ok(())
    }

    fn set(&mut self, key: &str, write_value: impl FnOnce(&mut String)) {
        if self.entries.capacity() == 0 {
            self.entries.reserve(8);
            self.text.reserve(192);
        }
        let tag = tag(key);
        let existing = self.position(key);
        let key = match existing {
            Some(index) => self.entries[index].key,
            None => self.push_text(key),
        };
        let start = self.text.len();
        write_value(&mut self.text);
        let value = span(start, self.text.len());
        match existing {
            Some(index) => self.entries[index].value = value,
            None => self.entries.push(Entry { tag, key, value }),
        }
    }

    fn position(&self, key: &str) -> Option<usize> {
        let tag = tag(key);
        self.entries.iter().position(|entry| entry.tag == tag && self.slice(entry.key) == key)
    }

    fn push_text(&mut self, text: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(text);
        span(start, self.text.len())
    }

    fn slice(&self, span: Span) -> &str {
        &self.text[span.start as usize..(span.start + span.len) as usize]
    }
}

/// Spans are 32 bits wide: a header is at most 16 MiB (24-bit length) and what a handler adds is small.
fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, len: (end - start) as u32 }
}

impl fmt::Debug for ExtFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for ExtFields {
    /// Equal when both hold the same keys with the same values; order does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Eq for ExtFields {}

impl<'a> FromIterator<(&'a str, &'a str)> for ExtFields {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(entries: I) -> Self {
        let mut fields = Self::new();
        for (key, value) in entries {
            fields.insert(key, value);
        }
        fields
    }
}
