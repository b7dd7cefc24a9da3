//! THE unsafe file: memory maps of store files behind three safe types.
//!
//! The contract that everything here rests on: a mapped file is changed by nobody but the one [`Writer`] of its map,
//! never shrinks while a map of it lives, and its blocks are allocated before they are written (so that a full disk
//! shows as an error of `fallocate`, not as SIGBUS). The `lock` file keeps other brokers out; an operator who edits a
//! live store breaks the contract, in Java as here.
//!
//! `published` divides a log file in two: below it bytes never change again, so readers may hold `&[u8]` and
//! [`Bytes`] of them; at and above it only the [`Writer`], of which there is one per map, touches them.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use memmap2::{Advice, MmapOptions, MmapRaw};

const PAGE: usize = 4096;

/// A commit log file in memory; readable below `published`.
#[derive(Debug)]
pub(crate) struct Map {
    raw: MmapRaw,
    published: AtomicUsize,
    has_writer: AtomicBool,
    writable: bool,
}

impl Map {
    /// Maps a file that will not change any more, readable as a whole.
    pub(crate) fn read_only(file: &File, len: usize) -> io::Result<Arc<Self>> {
        let raw = MmapOptions::new().len(len).map_raw_read_only(file)?;
        Ok(Arc::new(Self { raw, published: len.into(), has_writer: true.into(), writable: false }))
    }

    /// Maps a file that is appended to, readable up to `published`.
    pub(crate) fn writable(file: &File, len: usize, published: usize) -> io::Result<Arc<Self>> {
        let raw = MmapOptions::new().len(len).map_raw(file)?;
        let published = published.min(len).into();
        Ok(Arc::new(Self { raw, published, has_writer: false.into(), writable: true }))
    }

    /// Tells the system that the file is read from begin to end.
    pub(crate) fn will_be_read_once(&self) {
        // A hint only.
        let _ = self.raw.advise(Advice::Sequential);
    }

    /// How many bytes are readable.
    pub(crate) fn published(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// The readable bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `published` is at most the map's length, the Acquire load pairs with the Release store of
        // `Writer::publish`, and published bytes are never written again while the map lives (module contract).
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr(), self.published()) }
    }

    /// Readable bytes that outlive the borrow: they keep the map alive, also after the file was deleted.
    pub(crate) fn slice(self: &Arc<Self>, range: Range<usize>) -> Option<Bytes> {
        self.bytes().get(range.clone())?;
        Some(Bytes::from_owner(Slice { map: self.clone(), range }))
    }

    /// The one writer of this map; `None` when it was given out before, or the map is read-only.
    pub(crate) fn writer(self: &Arc<Self>) -> Option<Writer> {
        (!self.has_writer.swap(true, Ordering::AcqRel)).then(|| Writer { map: self.clone() })
    }

    /// Brings the pages of `range` into memory, ready to be written without a fault.
    pub(crate) fn populate(&self, range: Range<usize>) -> io::Result<()> {
        let range = range.start.min(self.raw.len())..range.end.min(self.raw.len());
        if range.is_empty() || !self.writable {
            return Ok(());
        }
        match self.raw.advise_range(Advice::PopulateWrite, range.start, range.len()) {
            // Kernels before 5.14 do not know this advice.
            Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => {
                for at in range.step_by(PAGE) {
                    // SAFETY: `at` is inside the map, and an atomic OR with 0 changes no byte, whoever writes the page.
                    unsafe { AtomicU8::from_ptr(self.raw.as_mut_ptr().add(at)) }
                        .fetch_or(0, Ordering::Relaxed);
                }
                Ok(())
            }
            other => other,
        }
    }
}

struct Slice {
    map: Arc<Map>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        // The range was inside the published bytes when the slice was made, and those only grow.
        &self.map.bytes()[self.range.clone()]
    }
}

/// The exclusive right to write at and above `published` of one map.
#[derive(Debug)]
pub(crate) struct Writer {
    map: Arc<Map>,
}

impl Writer {
    /// The next `len` bytes; `None` when the file has fewer left.
    pub(crate) fn spare(&mut self, len: usize) -> Option<&mut [u8]> {
        let at = self.map.published();
        let end = at.checked_add(len)?;
        if end > self.map.raw.len() {
            return None;
        }
        // SAFETY: the range is inside the map; it lies at and above `published`, which readers never look at and
        // only this writer moves; there is one writer per map and `&mut self` makes this its only slice.
        Some(unsafe { std::slice::from_raw_parts_mut(self.map.raw.as_mut_ptr().add(at), len) })
    }

    /// Makes the next `len` bytes readable. What was not written in them reads as the file had it.
    pub(crate) fn publish(&mut self, len: usize) {
        let to = self.map.published().saturating_add(len).min(self.map.raw.len());
        self.map.published.store(to, Ordering::Release);
    }
}

/// A file of big-endian cells, each read and written atomically: the key index.
#[derive(Debug)]
pub(crate) struct CellMap {
    raw: MmapRaw,
}

impl CellMap {
    /// Maps the first `len` bytes of `file`.
    pub(crate) fn new(file: &File, len: usize) -> io::Result<Self> {
        Ok(Self { raw: MmapOptions::new().len(len).map_raw(file)? })
    }

    fn cell32(&self, at: usize) -> Option<&AtomicU32> {
        if !at.is_multiple_of(4) || at.checked_add(4)? > self.raw.len() {
            return None;
        }
        // SAFETY: inside the map, which begins at a page, hence aligned; every access to it is through these cells.
        Some(unsafe { AtomicU32::from_ptr(self.raw.as_mut_ptr().add(at).cast()) })
    }

    fn cell64(&self, at: usize) -> Option<&AtomicU64> {
        if !at.is_multiple_of(8) || at.checked_add(8)? > self.raw.len() {
            return None;
        }
        // SAFETY: as in `cell32`. Cells of the two widths do not overlap: 64-bit ones are the header's first four.
        Some(unsafe { AtomicU64::from_ptr(self.raw.as_mut_ptr().add(at).cast()) })
    }

    /// The 32-bit cell at `at`; 0 outside the file.
    pub(crate) fn get32(&self, at: usize) -> i32 {
        self.cell32(at).map_or(0, |cell| u32::from_be(cell.load(Ordering::Acquire)) as i32)
    }

    /// Sets a 32-bit cell; outside the file nothing happens.
    pub(crate) fn set32(&self, at: usize, value: i32) {
        if let Some(cell) = self.cell32(at) {
            cell.store((value as u32).to_be(), Ordering::Release);
        }
    }

    /// The 64-bit cell at `at`, a multiple of 8; 0 outside the file.
    pub(crate) fn get64(&self, at: usize) -> i64 {
        self.cell64(at).map_or(0, |cell| u64::from_be(cell.load(Ordering::Acquire)) as i64)
    }

    /// Sets a 64-bit cell; outside the file nothing happens.
    pub(crate) fn set64(&self, at: usize, value: i64) {
        if let Some(cell) = self.cell64(at) {
            cell.store((value as u64).to_be(), Ordering::Release);
        }
    }

    /// Writes changed pages to disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.raw.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn file(len: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        file
    }

    #[test]
    fn readers_see_exactly_what_was_published() {
        let mut file = file(8192);
        let map = Map::writable(&file, 8192, 10).unwrap();
        let mut writer = map.writer().unwrap();
        assert!(map.writer().is_none(), "one writer only");
        writer.spare(5).unwrap().copy_from_slice(b"hello");
        assert_eq!(map.published(), 10);
        assert!(map.slice(10..15).is_none());
        writer.publish(5);
        let slice = map.slice(10..15).unwrap();
        assert_eq!(&slice[..], b"hello");
        assert!(map.slice(10..16).is_none());
        assert!(writer.spare(8192 - 15).is_some());
        assert!(writer.spare(8192 - 14).is_none());
        map.populate(4096..100_000).unwrap();
        drop((map, writer));
        assert_eq!(&slice[..], b"hello", "a slice keeps its map");
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(&content[10..15], b"hello");
        let old = Map::read_only(&file, 8192).unwrap();
        assert!(old.writer().is_none());
        assert_eq!(&old.bytes()[10..15], b"hello");
        old.populate(0..4096).unwrap();
    }

    #[test]
    fn cells_are_big_endian_and_bounded() {
        let mut file = file(44);
        let cells = CellMap::new(&file, 44).unwrap();
        cells.set64(8, 0x0102_0304_0506_0708);
        cells.set32(40, -2);
        assert_eq!((cells.get64(8), cells.get32(40)), (0x0102_0304_0506_0708, -2));
        for at in [41, 44, 48, usize::MAX] {
            cells.set32(at, 7);
            assert_eq!(cells.get32(at), 0);
        }
        for at in [4, 40, usize::MAX] {
            cells.set64(at, 7);
            assert_eq!(cells.get64(at), 0);
        }
        cells.sync().unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(content[8..16], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(content[40..44], [0xFF, 0xFF, 0xFF, 0xFE]);
    }
}
