//! What a queue unit has no room for: tag, store time and filter bit map, in `consumequeue_ext/<topic>/<queueId>/`
//! (`ConsumeQueueExt`). The unit then holds the address of its extension in place of the tag's hash.
//!
//! An extension is `size 2 | tagsCode 8 | msgStoreTime 8 | bitMapSize 2 | filterBitMap n`. Where one does not fit into
//! the rest of a file less four bytes, the size -1 ends the file.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;

use super::one::{ConsumeQueue, NotRead, Wait};
use super::stream::Stream;
use crate::fs::Fs;
use crate::types::OpenError;

/// Addresses are the numbers up to this one (`ConsumeQueueExt.MAX_ADDR`): hashes of tags are above.
const MAX_ADDRESS: i64 = i32::MIN as i64 - 1;
/// The highest place that has an address (`MAX_REAL_OFFSET`).
const MAX_PLACE: u64 = (MAX_ADDRESS as u64).wrapping_sub(i64::MIN as u64);
/// An extension without a bit map (`CqExtUnit.MIN_EXT_UNIT_SIZE`).
pub(crate) const EXT_MIN: usize = 2 + 8 + 8 + 2;
/// The longest one (`MAX_EXT_UNIT_SIZE`).
const EXT_MAX: usize = i16::MAX as usize;
/// Units among which at least one is whole after a loss of power: more than two sectors hold.
const TORN_MAX: usize = 64;
/// Units among which an address is looked for; Java looks at the last three files.
const LOOKED_AT: i64 = 100_000;
/// The most files with extensions that can be lost.
const LOST_MAX: u64 = 64;
/// Bytes that stay free at the end of a file (`END_BLANK_DATA_LENGTH`).
pub(crate) const END_BLANK: u64 = 4;

/// Whether what stands in a unit for the tag is the address of an extension (`isExtAddr`).
pub(crate) fn is_address(tags_code: i64) -> bool {
    tags_code <= MAX_ADDRESS
}

fn address_of(place: u64) -> i64 {
    (place as i64).wrapping_add(i64::MIN)
}

fn place_of(address: i64) -> Option<u64> {
    is_address(address).then(|| (address as u64).wrapping_sub(i64::MIN as u64))
}

/// One extension without its bit map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtUnit {
    /// Length with the bit map.
    pub(crate) size: i16,
    /// What the unit would hold itself: the tag's hash, or the time of delivery.
    pub(crate) tags_code: i64,
    /// When the message was stored, ms.
    pub(crate) store_time: i64,
}

impl ExtUnit {
    fn encode(tags_code: i64, store_time: i64, bit_map: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(EXT_MIN + bit_map.len());
        bytes.extend_from_slice(&((EXT_MIN + bit_map.len()) as i16).to_be_bytes());
        bytes.extend_from_slice(&tags_code.to_be_bytes());
        bytes.extend_from_slice(&store_time.to_be_bytes());
        bytes.extend_from_slice(&(bit_map.len() as i16).to_be_bytes());
        bytes.extend_from_slice(bit_map);
        bytes
    }

    /// Reads the beginning of an extension; `None` where there is none.
    fn decode(bytes: &[u8; EXT_MIN]) -> Option<Self> {
        let long = |at: usize| {
            let mut value = [0; 8];
            value.copy_from_slice(&bytes[at..at + 8]);
            i64::from_be_bytes(value)
        };
        let size = i16::from_be_bytes([bytes[0], bytes[1]]);
        (size >= 1).then(|| Self { size, tags_code: long(2), store_time: long(10) })
    }
}

/// The extensions of one queue.
#[derive(Debug)]
pub(crate) struct Ext {
    stream: Stream,
}

impl Ext {
    pub(crate) fn new(fs: Fs, dir: PathBuf, file_len: u64) -> Self {
        Self { stream: Stream::new(fs, dir, file_len) }
    }

    /// Adds an extension and returns its address; `None` where it cannot have one, so that the unit must hold the tag
    /// itself.
    pub(crate) fn put(&self, tags_code: i64, store_time: i64, bit_map: &[u8]) -> Option<i64> {
        let len = EXT_MIN + bit_map.len();
        let file_len = self.stream.file_len;
        let (_, end) = self.stream.range();
        if len > EXT_MAX || len as u64 + END_BLANK > file_len || end.checked_add(file_len)? > MAX_PLACE {
            return None;
        }
        let rest = file_len - end % file_len;
        let mut place = end;
        if len as u64 + END_BLANK > rest {
            let mut filler = vec![0; rest as usize];
            filler[..2].copy_from_slice(&(-1i16).to_be_bytes());
            self.stream.append(&filler);
            place = end + rest;
        }
        self.stream.append(&ExtUnit::encode(tags_code, store_time, bit_map));
        Some(address_of(place))
    }

    /// Store time and filter bit map of the extension at `address`; `None` where there is none.
    pub(crate) fn bit_map(&self, address: i64, wait: Wait) -> Result<Option<(i64, Vec<u8>)>, NotRead> {
        let Some(unit) = self.get(address, wait)? else { return Ok(None) };
        let Some(place) = place_of(address) else { return Ok(None) };
        let file_len = self.stream.file_len;
        let mut bytes = vec![0; (unit.size as usize).saturating_sub(EXT_MIN)];
        if place % file_len + unit.size as u64 > file_len {
            return Ok(None);
        }
        if !bytes.is_empty() && !self.stream.read(place + EXT_MIN as u64, &mut bytes, wait)? {
            return Ok(None);
        }
        Ok(Some((unit.store_time, bytes)))
    }

    /// The extension at `address`; `None` where there is none.
    pub(crate) fn get(&self, address: i64, wait: Wait) -> Result<Option<ExtUnit>, NotRead> {
        let Some(place) = place_of(address) else { return Ok(None) };
        let mut bytes = [0; EXT_MIN];
        let file_len = self.stream.file_len;
        if place % file_len > file_len - EXT_MIN as u64 || !self.stream.read(place, &mut bytes, wait)? {
            return Ok(None);
        }
        Ok(ExtUnit::decode(&bytes))
    }

    /// Opens the files and ends them after the extension at the highest address that the queue knows among its last
    /// units, as many as `highest` is given (`truncateByMaxAddress`); without one, after the last thing that can be an
    /// extension (`recover`).
    ///
    /// Where that extension is lost, new ones begin behind its address: units that point to what is gone must not find
    /// what is said of other messages.
    pub(crate) fn load(&self, highest: impl Fn(i64) -> Option<i64>) -> Result<(), OpenError> {
        self.stream.load()?;
        let has_files = self.stream.last_file().is_some();
        let Some(address) = highest(if has_files { LOOKED_AT } else { TORN_MAX as i64 }) else {
            return if has_files { self.stream.set_end(self.scan()?) } else { Ok(()) };
        };
        let place = place_of(address).unwrap_or(0);
        if let Some(unit) = self.get(address, Wait::Yes).map_err(|why| self.stream.failed(why))? {
            return self.stream.set_end(place + unit.size as u64);
        }
        tracing::error!(address, "the queue's last extension is not there");
        let end = self.scan()?;
        self.stream.set_end(end)?;
        let len = self.stream.file_len;
        let behind = place.saturating_add(len - place % len);
        // An address that no run can have given is damage.
        let possible = behind.saturating_add(2 * len) <= MAX_PLACE;
        if place < end || !possible || has_files && behind - end > LOST_MAX * len {
            return Ok(());
        }
        self.stream.skip_to(behind)
    }

    /// The place after the last thing in the last file that can be an extension.
    fn scan(&self) -> Result<u64, OpenError> {
        let Some(start) = self.stream.last_file() else { return Ok(0) };
        let mut at = start;
        loop {
            let mut size = [0; 2];
            let file_end = start + self.stream.file_len;
            let read = |size: &mut [u8]| self.stream.read(at, size, Wait::Yes);
            if at + 2 > file_end || !read(&mut size).map_err(|why| self.stream.failed(why))? {
                return Ok(at);
            }
            match i16::from_be_bytes(size) {
                size if size as usize >= EXT_MIN && size > 0 && at + size as u64 <= file_end => {
                    at += size as u64
                }
                // The rest of the file is not used any more.
                -1 => return Ok(file_end),
                _ => return Ok(at),
            }
        }
    }

    /// Deletes the files before the one with the extension at `address` (`truncateByMinAddress`).
    pub(crate) fn delete_before(&self, address: i64) -> io::Result<usize> {
        let Some(place) = place_of(address) else { return Ok(0) };
        let len = self.stream.file_len;
        self.stream.delete_first_while(|start| start + len < place)
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }
}

type ByQueue = HashMap<(Arc<str>, i32), Arc<Ext>>;

/// The extensions of all queues.
#[derive(Debug)]
pub(crate) struct Exts {
    fs: Fs,
    dir: PathBuf,
    file_len: u64,
    queues: RwLock<ByQueue>,
}

impl Exts {
    pub(crate) fn new(fs: Fs, dir: PathBuf, file_len: u64) -> Self {
        Self { fs, dir, file_len, queues: RwLock::default() }
    }

    /// Opens the extensions of a queue that is open itself.
    pub(crate) fn load(&self, queue: &ConsumeQueue) -> Result<(), OpenError> {
        let (min, max) = queue.range();
        // The highest of some: a unit of which a loss of power left a part may have a small address, and the extensions
        // behind that must stay.
        let highest = |units: i64| {
            let address = |at| queue.unit(at).map(|unit| unit.tags_code).filter(|code| is_address(*code));
            (min.max(max - units)..max).rev().filter_map(address).take(TORN_MAX).max()
        };
        self.of(&queue.topic, queue.queue_id).load(highest)
    }

    /// The extensions of a queue, made on demand; they have no files before the first one.
    pub(crate) fn of(&self, topic: &Arc<str>, queue_id: i32) -> Arc<Ext> {
        let key = (topic.clone(), queue_id);
        if let Some(ext) = self.queues.read().get(&key) {
            return ext.clone();
        }
        let dir = self.dir.join(&**topic).join(queue_id.to_string());
        let make = || Arc::new(Ext::new(self.fs.clone(), dir, self.file_len));
        self.queues.write().entry(key).or_insert_with(make).clone()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Ext>> {
        self.queues.read().values().cloned().collect()
    }

    /// Deletes the files that no unit of `queue` points into any more.
    pub(crate) fn follow(&self, queue: &ConsumeQueue) -> io::Result<()> {
        let (min, _) = queue.range();
        match queue.unit(min).map(|unit| unit.tags_code) {
            Some(address) => self.of(&queue.topic, queue.queue_id).delete_before(address).map(drop),
            None => Ok(()),
        }
    }

    /// Deletes the extensions of a topic.
    pub(crate) fn remove(&self, topic: &str) -> io::Result<()> {
        let mut outcome = Ok(());
        self.queues.write().retain(|(name, _), ext| {
            let keep = **name != *topic;
            if !keep {
                outcome = std::mem::replace(&mut outcome, Ok(())).and(ext.stream.destroy());
            }
            keep
        });
        let _ = std::fs::remove_dir(self.dir.join(topic));
        outcome
    }
}

#[cfg(test)]
mod tests;
