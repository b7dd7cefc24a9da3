//! Removing what follows the log's end, and first keeping what of it is intact.
//!
//! Java drops everything behind the first thing that is not a record: one damaged byte in the middle costs all messages
//! after it. So do we, as far as consumers see; but records behind the damage that are whole go to `cutoff/<offset>`
//! before, one after the other as they were in the log, each of which says where it was.

use std::ops::Range;
use std::path::{Path, PathBuf};

use raptormq_message::layout::{self, BLANK_LEN};
use raptormq_message::{Checks, Decoded, decode};

use super::walk::{Stop, is_torn};
use crate::fs::{self, Fs, Named};
use crate::segment::map::Map;
use crate::types::OpenError;

/// The log's end: in `file`, at `end`; `later` files come after it.
pub(super) struct End<'a> {
    pub(super) file: &'a Named,
    pub(super) end: u64,
    pub(super) stop: &'a Stop,
    pub(super) later: &'a [Named],
    /// Bytes of a file.
    pub(super) len: u64,
}

/// Records that are whole, behind the end.
struct Intact {
    /// Per file, the parts of it.
    parts: Vec<(Named, Vec<Range<usize>>)>,
    count: u64,
    first: u64,
    last: u64,
}

impl End<'_> {
    fn why(&self) -> String {
        match self.stop {
            Stop::NoRecord(error) => error.to_string(),
            Stop::Torn => "part of the record is missing".to_owned(),
            Stop::Blank => "blank record in the last file".to_owned(),
            Stop::Failed(error) => error.to_string(),
        }
    }

    /// Removes what follows, durably, the last first: what a loss of power may bring back has no gap before it.
    ///
    /// # Errors
    /// When intact records follow and must stay in place, or cannot be kept elsewhere.
    pub(super) fn cut(&self, fs: &Fs, root: &Path, move_intact: bool) -> Result<(), OpenError> {
        let at_file = |error| fs::at(&self.file.path)(error);
        let handle = fs.open(&self.file.path, true).map_err(at_file)?;
        let from = self.end - self.file.start;
        let data = handle.last_data(from, self.len).map_err(at_file)?;
        let mut later = Vec::new();
        for file in self.later {
            let handle = fs.open(&file.path, false).map_err(fs::at(&file.path))?;
            later.push(handle.last_data(0, self.len).map_err(fs::at(&file.path))?);
        }
        let only_blank =
            matches!(self.stop, Stop::Blank) && data.is_some_and(|data| data <= from + BLANK_LEN as u64);
        let lost =
            data.filter(|_| !only_blank).map_or(0, |data| data - from) + later.iter().flatten().sum::<u64>();
        if lost > 0 {
            let intact = self.intact(fs, from, data, &later)?;
            if intact.count > 0 && !move_intact {
                return Err(OpenError::Damaged {
                    path: self.file.path.clone(),
                    offset: self.end,
                    why: self.why(),
                    count: intact.count,
                    first: intact.first,
                    last: intact.last,
                });
            }
            let offset = self.end;
            tracing::error!(
                offset,
                bytes = lost,
                files = later.len(),
                why = self.why(),
                "cut what follows the commit log's end"
            );
            if intact.count > 0 {
                let path = intact.keep(fs, root, self.end, self.len)?;
                let Intact { count, first, last, .. } = intact;
                tracing::error!(offset, count, first, last, file = %path.display(), "moved the intact records behind the damage out of the commit log");
            }
        }
        for file in self.later.iter().rev() {
            fs.remove_file(&file.path).map_err(fs::at(&file.path))?;
            fs.sync_parent(&file.path).map_err(fs::at(&file.path))?;
        }
        if data.is_some() {
            handle.zero(from, self.len).map_err(at_file)?;
            handle.sync_data().map_err(at_file)?;
        }
        Ok(())
    }

    fn intact(
        &self,
        fs: &Fs,
        from: u64,
        data: Option<u64>,
        later: &[Option<u64>],
    ) -> Result<Intact, OpenError> {
        let mut intact = Intact { parts: Vec::new(), count: 0, first: 0, last: 0 };
        let here = data.map(|data| (self.file, from, data));
        let there = self.later.iter().zip(later).filter_map(|(file, data)| data.map(|data| (file, 0, data)));
        for (file, from, to) in here.into_iter().chain(there) {
            let handle = fs.open(&file.path, false).map_err(fs::at(&file.path))?;
            let map = Map::read_only(handle.raw(), self.len as usize).map_err(fs::at(&file.path))?;
            let parts = intact.find(map.bytes(), file.start, from as usize..to as usize);
            if !parts.is_empty() {
                intact.parts.push((file.clone(), parts));
            }
        }
        Ok(intact)
    }
}

impl Intact {
    /// The parts of `range` that are whole records which say that they begin where they do.
    fn find(&mut self, bytes: &[u8], start: u64, range: Range<usize>) -> Vec<Range<usize>> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let offset = start + at as u64;
            // The three bytes that the magic codes of both versions begin with, and the offset: only then the rest.
            let begins = bytes.get(at + layout::MAGIC..at + layout::MAGIC + 3) == Some(&[0xDA, 0xA3, 0x20])
                && bytes.get(at + layout::LOG_OFFSET..at + layout::LOG_OFFSET + 8)
                    == Some(&offset.to_be_bytes());
            let found = if begins { decode(&bytes[at..], Checks::BodyCrc).ok() } else { None };
            match found {
                Some(Decoded::Record(record)) if !is_torn(bytes, at, &record) => {
                    if self.count == 0 {
                        self.first = offset;
                    }
                    (self.count, self.last) = (self.count + 1, offset);
                    match parts.last_mut().filter(|part| part.end == at) {
                        Some(part) => part.end += record.len,
                        None => parts.push(at..at + record.len),
                    }
                    at += record.len;
                }
                _ => at += 1,
            }
        }
        parts
    }

    /// Writes the records to a file of their own, durably.
    fn keep(&self, fs: &Fs, root: &Path, end: u64, len: u64) -> Result<PathBuf, OpenError> {
        let dir = root.join("cutoff");
        fs.create_dir_all(&dir).map_err(fs::at(&dir))?;
        // One that is there holds what an earlier recovery kept, which may have crashed halfway through the cut.
        let name = raptormq_message::file_name(end);
        let free = (1..).map(|n| dir.join(format!("{name}.{n}"))).find(|path| !path.exists());
        let path = Some(dir.join(&name)).filter(|path| !path.exists()).or(free).unwrap_or_default();
        let file = fs.create_sparse(&path, 0).map_err(fs::at(&path))?;
        let mut to = 0;
        for (named, parts) in &self.parts {
            let handle = fs.open(&named.path, false).map_err(fs::at(&named.path))?;
            let map = Map::read_only(handle.raw(), len as usize).map_err(fs::at(&named.path))?;
            for part in parts {
                file.write_all_at(&map.bytes()[part.clone()], to).map_err(fs::at(&path))?;
                to += part.len() as u64;
            }
        }
        file.sync_data().map_err(fs::at(&path))?;
        for dir in [&dir, root] {
            fs.sync_dir(dir).map_err(fs::at(dir))?;
        }
        Ok(path)
    }
}
