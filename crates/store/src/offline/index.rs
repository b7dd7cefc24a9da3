//! Index files, read as they lie.

use std::path::{Path, PathBuf};

use super::OfflineError;
use super::files::{Mapped, list};

const HEADER: u64 = 40;
const SLOT: u64 = 4;
const ITEM: u64 = 20;

/// Length of an index file (`IndexFile`).
pub(crate) fn file_len(slots: u32, items: u32) -> u64 {
    HEADER + u64::from(slots) * SLOT + u64::from(items) * ITEM
}

/// The header: `beginTimestamp 8 | endTimestamp 8 | beginPhyOffset 8 | endPhyOffset 8 | hashSlotCount 4 | indexCount 4`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) begin_timestamp: i64,
    pub(crate) end_timestamp: i64,
    pub(crate) begin_log_offset: i64,
    pub(crate) end_log_offset: i64,
    /// One more than the items in use.
    pub(crate) count: i32,
}

/// `keyHash 4 | phyOffset 8 | timeDiff 4 | prevItem 4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) hash: i32,
    pub(crate) log_offset: i64,
    pub(crate) seconds: i32,
    pub(crate) previous: i32,
}

#[derive(Debug)]
pub(crate) struct IndexView {
    file: Mapped,
}

impl IndexView {
    /// The index files below `root` by name, and what is there without being one.
    pub(crate) fn all(root: &Path) -> Result<(Vec<Self>, Vec<PathBuf>), OfflineError> {
        let (mut views, mut others) = (Vec::new(), Vec::new());
        for path in list(&root.join("index"))? {
            let name = path.file_name().and_then(|name| name.to_str());
            if path.is_file() && name.is_some_and(|name| name.parse::<i64>().is_ok()) {
                views.push(Self { file: Mapped::open(path, 0)? });
            } else {
                others.push(path);
            }
        }
        Ok((views, others))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.file.len
    }

    pub(crate) fn header(&self) -> Option<Header> {
        Some(Header {
            begin_timestamp: self.i64_at(0)?,
            end_timestamp: self.i64_at(8)?,
            begin_log_offset: self.i64_at(16)?,
            end_log_offset: self.i64_at(24)?,
            count: self.i32_at(36)?,
        })
    }

    pub(crate) fn item_at(slots: u32, number: i32) -> u64 {
        HEADER + u64::from(slots) * SLOT + number.unsigned_abs() as u64 * ITEM
    }

    pub(crate) fn entry(&self, slots: u32, number: i32) -> Option<Entry> {
        let at = Self::item_at(slots, number);
        Some(Entry {
            hash: self.i32_at(at)?,
            log_offset: self.i64_at(at + 4)?,
            seconds: self.i32_at(at + 12)?,
            previous: self.i32_at(at + 16)?,
        })
    }

    /// Number of the newest item of a slot.
    pub(crate) fn slot(&self, slot: u32) -> Option<i32> {
        self.i32_at(Self::slot_at(slot))
    }

    pub(crate) fn slot_at(slot: u32) -> u64 {
        HEADER + u64::from(slot) * SLOT
    }

    fn i32_at(&self, at: u64) -> Option<i32> {
        Some(i32::from_be_bytes(self.file.bytes().get(at as usize..at as usize + 4)?.try_into().ok()?))
    }

    fn i64_at(&self, at: u64) -> Option<i64> {
        Some(i64::from_be_bytes(self.file.bytes().get(at as usize..at as usize + 8)?.try_into().ok()?))
    }
}
