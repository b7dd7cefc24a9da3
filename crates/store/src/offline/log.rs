//! Walking one commit log file, past whatever is damaged in it.

use raptormq_message::layout::{BLANK_LEN, LOG_OFFSET, MAGIC, MAGIC_BLANK, MAGIC_V1, MAGIC_V2};
use raptormq_message::{Checks, DecodeError, Decoded, Record, body_crc, decode, props};

use super::OfflineError;
use super::files::Mapped;

/// What stands next in a file. Positions are offsets in the file.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A record whose lengths add up; `damage` tells a checksum that differs.
    Record { at: usize, record: Record<'a>, damage: Option<DecodeError> },
    /// The rest of the file is a filler, rightly or not.
    Blank { at: usize, text: Option<String> },
    /// Nothing was written from here on.
    Zeros { at: usize },
    /// Bytes up to `end` that are no record. `resumes`: a record or a filler that belongs here follows them.
    Garbage { at: usize, end: usize, text: String, resumes: bool },
}

/// Iterates over one file.
pub(crate) struct Walk<'a> {
    file: &'a Mapped,
    at: usize,
    /// End of the data, once it was looked for.
    data_end: Option<usize>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(file: &'a Mapped) -> Self {
        Self { file, at: 0, data_end: None }
    }

    fn step(&mut self) -> Result<Step<'a>, OfflineError> {
        let bytes = self.file.bytes();
        let at = self.at;
        let error = match decode(&bytes[at..], Checks::Sizes) {
            Ok(Decoded::Record(record)) => {
                self.at += record.len;
                let damage = checksum(&bytes[at..at + record.len], &record);
                return Ok(Step::Record { at, record, damage });
            }
            Ok(Decoded::Blank) => {
                self.at = bytes.len();
                return Ok(Step::Blank { at, text: self.blank_text(at)? });
            }
            Err(error) => error,
        };
        let data_end = match self.data_end {
            Some(end) => end,
            None => self.file.data_end(at as u64)?.map_or(at, |end| end as usize),
        };
        self.data_end = Some(data_end);
        if data_end <= at {
            self.at = bytes.len();
            return Ok(Step::Zeros { at });
        }
        let next = self.next_intact(at + 1, data_end);
        self.at = next.unwrap_or(bytes.len());
        let end = next.unwrap_or(data_end);
        Ok(Step::Garbage { at, end, text: error.to_string(), resumes: next.is_some() })
    }

    /// What is wrong with the filler at `at`.
    fn blank_text(&self, at: usize) -> Result<Option<String>, OfflineError> {
        let bytes = self.file.bytes();
        let size = i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        let rest = bytes.len() - at;
        if i64::from(size) != rest as i64 {
            return Ok(Some(format!("filler says {size} bytes, {rest} are left in the file")));
        }
        Ok(None)
    }

    /// The first place from `from` on at which a record says that it belongs there, or a filler that it ends the file.
    fn next_intact(&self, from: usize, data_end: usize) -> Option<usize> {
        let bytes = self.file.bytes();
        let mut magic_at = from + MAGIC;
        while magic_at + 4 <= data_end {
            // All magic numbers begin with one of two bytes.
            let skip = bytes[magic_at..data_end].iter().position(|byte| matches!(byte, 0xDA | 0xCB))?;
            magic_at += skip;
            let magic = u32::from_be_bytes(bytes.get(magic_at..magic_at + 4)?.try_into().ok()?);
            let at = magic_at - MAGIC;
            let fits = match magic {
                MAGIC_V1 | MAGIC_V2 => self.says_its_place(at),
                MAGIC_BLANK => {
                    let size = i32::from_be_bytes(bytes[at..at + 4].try_into().ok()?);
                    i64::from(size) == (bytes.len() - at) as i64 && size as usize >= BLANK_LEN
                }
                _ => false,
            };
            if fits {
                return Some(at);
            }
            magic_at += 1;
        }
        None
    }

    fn says_its_place(&self, at: usize) -> bool {
        let bytes = &self.file.bytes()[at..];
        let Some(place) = bytes.get(LOG_OFFSET..LOG_OFFSET + 8) else { return false };
        // The cheap comparison first: nearly all candidates end with it.
        place == (self.file.start + at as u64).to_be_bytes()
            && matches!(decode(bytes, Checks::Sizes), Ok(Decoded::Record(_)))
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Step<'a>, OfflineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.file.bytes().len() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.at = self.file.bytes().len();
        }
        Some(step)
    }
}

/// Compares the body's checksum, and the one of the whole record where it carries one.
pub(crate) fn checksum(bytes: &[u8], record: &Record<'_>) -> Option<DecodeError> {
    if !record.body.is_empty() {
        let computed = body_crc(record.body);
        if computed != record.body_crc {
            return Some(DecodeError::Crc { stored: Some(record.body_crc), computed });
        }
    }
    props::get(&record.properties, props::keys::CRC32)?;
    decode(bytes, Checks::PropertyCrc).err()
}
