//! One index file (`IndexFile`, `IndexHeader`): header 40 bytes, slots of 4 bytes, items of 20 bytes.
//!
//! A slot holds the number of the newest item with its hash, each item the number of the one before it; 0 is no item.
//! One thread adds; readers follow the chains meanwhile and see an item once the item count includes it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::fs::{Fs, StoreFile};
use crate::segment::map::CellMap;

const BEGIN_TIMESTAMP: usize = 0;
const END_TIMESTAMP: usize = 8;
const BEGIN_LOG_OFFSET: usize = 16;
const END_LOG_OFFSET: usize = 24;
const SLOT_COUNT: usize = 32;
const ITEM_COUNT: usize = 36;
const HEADER: usize = 40;
const SLOT: usize = 4;
const ITEM: usize = 20;
/// Blocks are allocated so far ahead of the items, bytes: Java's files, and ours at first, are sparse.
const AHEAD: u64 = 32 << 20;

/// Both ends included, ms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) begin: i64,
    pub(crate) end: i64,
}

#[derive(Debug)]
pub(crate) struct IndexFile {
    file: StoreFile,
    slots: u32,
    items: u32,
    cells: CellMap,
    /// Changed since the last sync.
    dirty: AtomicBool,
    /// The blocks of everything below are allocated: a write there cannot fail for lack of space.
    allocated: AtomicU64,
}

fn continue_hash(hash: i32, text: &str) -> i32 {
    if text.is_ascii() {
        return text.bytes().fold(hash, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)));
    }
    text.encode_utf16().fold(hash, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Hash of `topic#` to be continued with a key.
pub(crate) fn topic_hash(topic: &str) -> i32 {
    continue_hash(continue_hash(0, topic), "#")
}

/// Hash of `topic#key` as stored: `Math.abs`, and 0 where that stays negative (`indexKeyHashMethod`).
pub(crate) fn key_hash(topic_hash: i32, key: &str) -> i32 {
    continue_hash(topic_hash, key).checked_abs().unwrap_or(0)
}

/// Hash of `topic#T#tags`, which 5.5.0 stores for tags.
pub(crate) fn tags_hash(topic_hash: i32, tags: &str) -> i32 {
    key_hash(continue_hash(topic_hash, "T#"), tags)
}

impl IndexFile {
    /// Opens a file, or creates a sparse one of full length.
    pub(crate) fn open(fs: &Fs, path: &Path, slots: u32, items: u32) -> io::Result<Self> {
        let len = HEADER as u64 + u64::from(slots) * SLOT as u64 + u64::from(items) * ITEM as u64;
        let file = fs.open_or_create(path, len)?;
        let cells = CellMap::new(file.raw(), usize::try_from(len).map_err(io::Error::other)?)?;
        let index =
            Self { file, slots, items, cells, dirty: AtomicBool::new(false), allocated: AtomicU64::new(0) };
        Ok(index)
    }

    /// A new file's header begins where the full one before it ended.
    pub(crate) fn seed(&self, before: &Self) -> io::Result<()> {
        self.reserve()?;
        let (offset, timestamp) = (before.end_log_offset(), before.end_timestamp());
        if offset > 0 {
            self.cells.set64(BEGIN_LOG_OFFSET, offset);
            self.cells.set64(END_LOG_OFFSET, offset);
        }
        if timestamp > 0 {
            self.cells.set64(BEGIN_TIMESTAMP, timestamp);
            self.cells.set64(END_TIMESTAMP, timestamp);
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn begin_timestamp(&self) -> i64 {
        self.cells.get64(BEGIN_TIMESTAMP)
    }

    pub(crate) fn end_timestamp(&self) -> i64 {
        self.cells.get64(END_TIMESTAMP)
    }

    pub(crate) fn end_log_offset(&self) -> i64 {
        self.cells.get64(END_LOG_OFFSET)
    }

    /// Items, with item 0, which is never used (`IndexHeader.load`).
    fn count(&self) -> i32 {
        self.cells.get32(ITEM_COUNT).max(1)
    }

    /// Allocates blocks for the items of the next while, so that [`IndexFile::put`] need not.
    ///
    /// # Errors
    /// When there is no space; what was allocated before can still be used.
    pub(crate) fn reserve(&self) -> io::Result<()> {
        self.allocate(self.item_at(self.count()) as u64 + AHEAD / 2)
    }

    fn allocate(&self, to: u64) -> io::Result<()> {
        let len = self.item_at(self.items as i32) as u64;
        let (to, from) = (to.min(len), self.allocated.load(Ordering::Relaxed));
        if to > from {
            let ahead = (to + AHEAD).min(len);
            self.file.allocate(from, ahead)?;
            self.allocated.fetch_max(ahead, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        i64::from(self.count()) >= i64::from(self.items)
    }

    fn slot_at(&self, hash: i32) -> usize {
        HEADER + (hash as u32 % self.slots) as usize * SLOT
    }

    fn item_at(&self, item: i32) -> usize {
        HEADER + self.slots as usize * SLOT + item as usize * ITEM
    }

    /// Adds a key; `false` when the file is full.
    ///
    /// # Errors
    /// When there is no space for it on the disk; nothing is added then.
    pub(crate) fn put(&self, hash: i32, log_offset: i64, store_timestamp: i64) -> io::Result<bool> {
        let count = self.count();
        if self.is_full() {
            return Ok(false);
        }
        self.allocate(self.item_at(count + 1) as u64)?;
        let slot_at = self.slot_at(hash);
        let mut previous = self.cells.get32(slot_at);
        if previous <= 0 || previous > count {
            previous = 0;
        }
        let begin = self.begin_timestamp();
        let seconds =
            if begin <= 0 { 0 } else { ((store_timestamp - begin) / 1_000).clamp(0, i64::from(i32::MAX)) };
        let item_at = self.item_at(count);
        self.cells.set32(item_at, hash);
        self.cells.set32(item_at + 4, (log_offset >> 32) as i32);
        self.cells.set32(item_at + 8, log_offset as i32);
        self.cells.set32(item_at + 12, seconds as i32);
        self.cells.set32(item_at + 16, previous);
        self.cells.set32(slot_at, count);
        if count <= 1 {
            self.cells.set64(BEGIN_LOG_OFFSET, log_offset);
            self.cells.set64(BEGIN_TIMESTAMP, store_timestamp);
        }
        if previous == 0 {
            self.cells.set32(SLOT_COUNT, self.cells.get32(SLOT_COUNT).wrapping_add(1));
        }
        self.cells.set64(END_LOG_OFFSET, log_offset);
        self.cells.set64(END_TIMESTAMP, store_timestamp);
        self.cells.set32(ITEM_COUNT, count + 1);
        if !self.dirty.load(Ordering::Relaxed) {
            self.dirty.store(true, Ordering::Release);
        }
        Ok(true)
    }

    /// Whether the file can hold messages of `range` (`isTimeMatched`).
    pub(crate) fn overlaps(&self, range: Range) -> bool {
        let (begin, end) = (self.begin_timestamp(), self.end_timestamp());
        (range.begin < begin && range.end > end)
            || (begin..=end).contains(&range.begin)
            || (begin..=end).contains(&range.end)
    }

    /// Adds the offsets stored for `hash` in `range`, newest first, until there are `max` (`selectPhyOffset`).
    pub(crate) fn find(&self, hash: i32, max: usize, range: Range, into: &mut Vec<i64>) {
        let count = self.count();
        let mut item = self.cells.get32(self.slot_at(hash));
        if item > count || count <= 1 {
            return;
        }
        let begin = self.begin_timestamp();
        while item > 0 && into.len() < max {
            let at = self.item_at(item);
            let seconds = self.cells.get32(at + 12);
            if seconds < 0 {
                return;
            }
            let time = begin.saturating_add(i64::from(seconds) * 1_000);
            if self.cells.get32(at) == hash && (range.begin..=range.end).contains(&time) {
                let (high, low) = (self.cells.get32(at + 4), self.cells.get32(at + 8));
                into.push(i64::from(high) << 32 | i64::from(low as u32));
            }
            let previous = self.cells.get32(at + 16);
            // Chains lead to older items only. Java follows any number and can run in circles in a damaged file.
            if previous >= item || time < range.begin {
                return;
            }
            item = previous;
        }
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.dirty.swap(false, Ordering::AcqRel) {
            self.file.sync_by(|| self.cells.sync())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Range = Range { begin: 0, end: i64::MAX };

    fn found(file: &IndexFile, hash: i32, max: usize, range: Range) -> Vec<i64> {
        let mut offsets = Vec::new();
        file.find(hash, max, range, &mut offsets);
        offsets
    }

    #[test]
    fn hashes_are_those_of_topic_hash_sign_key() {
        for (topic, key) in [("TopicA", "k1"), ("中", "😀"), ("", ""), ("a", "polygenelubricants")] {
            let whole = raptormq_base::java::string_hash(&format!("{topic}#{key}"));
            assert_eq!(key_hash(topic_hash(topic), key), whole.checked_abs().unwrap_or(0));
        }
        assert_eq!(key_hash(0, "polygenelubricants"), 0);
    }

    #[test]
    fn keys_with_one_slot_are_told_apart_by_hash_and_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("20240101000000000");
        let file = IndexFile::open(&Fs::default(), &path, 1, 5).unwrap();
        for (hash, offset, time) in [(1, 1 << 40, 10_000), (2, 20, 11_000), (1, 30, 15_500), (1, 40, 9_000)] {
            assert!(file.put(hash, offset, time).unwrap());
        }
        assert!(file.is_full() && !file.put(1, 50, 1).unwrap());
        assert_eq!(found(&file, 1, 9, ALL), [40, 30, 1 << 40]);
        assert_eq!(found(&file, 1, 2, ALL), [40, 30]);
        assert_eq!(found(&file, 2, 9, ALL), [20]);
        assert!(found(&file, 1, 9, Range { begin: 16_000, end: 17_000 }).is_empty());
        assert!(found(&file, 3, 9, ALL).is_empty());
        assert!(
            file.overlaps(Range { begin: 9_500, end: 10_500 })
                || file.begin_timestamp() > file.end_timestamp()
        );
        file.sync().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 40 + 4 + 5 * 20);
        assert_eq!(bytes[..8], 10_000i64.to_be_bytes());
        assert_eq!(bytes[24..32], 40i64.to_be_bytes());
        assert_eq!(bytes[32..40], [0, 0, 0, 1, 0, 0, 0, 5]);
        // Item 1 stands after the unused item 0.
        let mut item = [0; 20];
        item[3] = 1;
        item[4..12].copy_from_slice(&(1i64 << 40).to_be_bytes());
        assert_eq!(bytes[64..84], item);
        let next = IndexFile::open(&Fs::default(), &dir.path().join("20240101000000001"), 1, 5).unwrap();
        next.seed(&file).unwrap();
        assert_eq!((next.begin_timestamp(), next.end_timestamp(), next.end_log_offset()), (9_000, 9_000, 40));
        assert!(next.put(1, 60, 20_000).unwrap());
        assert_eq!(next.begin_timestamp(), 20_000);
    }

    #[test]
    fn a_damaged_chain_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1");
        let file = IndexFile::open(&Fs::default(), &path, 1, 9).unwrap();
        for offset in 1..5 {
            file.put(7, offset, 10).unwrap();
        }
        drop(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[44 + 2 * 20 + 16..44 + 3 * 20].copy_from_slice(&4i32.to_be_bytes());
        std::fs::write(&path, bytes).unwrap();
        let file = IndexFile::open(&Fs::default(), &path, 1, 9).unwrap();
        assert_eq!(found(&file, 7, 99, ALL), [4, 3, 2]);
    }
}
