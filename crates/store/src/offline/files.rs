//! The files of a queue of files, mapped, with whatever is odd about their names and lengths.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::SeekFrom;

use super::{OfflineError, Problem, at};
use crate::segment::map::Map;

/// Longer files are not mapped: no RocketMQ store has them, lengths are Java ints.
const LEN_MAX: u64 = i32::MAX as u64;

/// One file, readable as a whole.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// Offset of its first byte in the series, which is its name.
    pub(crate) start: u64,
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    /// `None` for an empty file.
    map: Option<Arc<Map>>,
}

impl Mapped {
    pub(crate) fn open(path: PathBuf, start: u64) -> Result<Self, OfflineError> {
        let file = File::open(&path).map_err(at(&path))?;
        let len = file.metadata().map_err(at(&path))?.len();
        if len > LEN_MAX {
            let error = io::Error::other(format!("{len} bytes are more than a store file can have"));
            return Err(at(&path)(error));
        }
        let map = match len {
            0 => None,
            _ => Some(Map::read_only(&file, len as usize).map_err(at(&path))?),
        };
        Ok(Self { start, path, len, map })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], |map| map.bytes())
    }

    /// Offset after the last byte at or behind `from` that is not zero; `None` when all are. Holes are not read.
    pub(crate) fn data_end(&self, from: u64) -> Result<Option<u64>, OfflineError> {
        const CHUNK: u64 = 1 << 16;
        let file = File::open(&self.path).map_err(at(&self.path))?;
        let bytes = self.bytes();
        let (mut begin, mut end) = (from, None);
        while begin < self.len {
            begin = match rustix::fs::seek(&file, SeekFrom::Data(begin)) {
                Ok(data) => data,
                Err(rustix::io::Errno::NXIO) => break,
                // No holes are known here: everything is read.
                Err(_) => begin,
            };
            let stop = (begin + CHUNK).min(self.len);
            let Some(chunk) = bytes.get(begin as usize..stop as usize) else { break };
            if let Some(last) = chunk.iter().rposition(|byte| *byte != 0) {
                end = Some(begin + last as u64 + 1);
            }
            begin = stop;
        }
        Ok(end)
    }
}

/// The files of one log or queue, by offset.
#[derive(Debug)]
pub(crate) struct Series {
    /// Length that each file should have.
    pub(crate) file_len: u64,
    pub(crate) files: Vec<Mapped>,
    /// Names, lengths and gaps that should not be.
    pub(crate) oddities: Vec<Problem>,
}

impl Series {
    /// Maps the files of `dirs`; none when they do not exist. Without `file_len` that is the length most files have.
    /// `unit` is what a start must be a multiple of, besides the length.
    pub(crate) fn open(dirs: &[PathBuf], file_len: Option<u64>, unit: u64) -> Result<Self, OfflineError> {
        let mut files = Vec::new();
        let mut oddities = Vec::new();
        for dir in dirs {
            for path in list(dir)? {
                if path.is_dir() {
                    continue;
                }
                match start_of(&path) {
                    Some(start) => files.push(Mapped::open(path, start)?),
                    None => oddities.push(Problem::new(
                        &path,
                        0,
                        "not a store file name: a broker refuses to start",
                    )),
                }
            }
        }
        files.sort_by(|a, b| (a.start, &a.path).cmp(&(b.start, &b.path)));
        let mut lengths = BTreeMap::<u64, usize>::new();
        for file in &files {
            *lengths.entry(file.len).or_default() += 1;
        }
        let commonest = lengths.iter().max_by_key(|(_, count)| **count).map_or(0, |(len, _)| *len);
        let file_len = file_len.unwrap_or(commonest);
        let mut next: Option<u64> = None;
        let mut kept: Vec<Mapped> = Vec::new();
        for file in files {
            let mut odd = |text: String| oddities.push(Problem::new(&file.path, 0, text));
            if file.len != file_len {
                odd(format!("length {}, not {file_len}: a broker refuses to start", file.len));
            }
            if file_len > 0 && (!file.start.is_multiple_of(file_len) || !file.start.is_multiple_of(unit)) {
                odd(format!("its name is no multiple of its length {file_len}"));
            }
            match next {
                Some(next) if next < file.start => {
                    odd(format!("gap: {} bytes from {next} on are in no file", file.start - next));
                }
                Some(next) if next > file.start => {
                    odd("overlaps the file before it, left out here".to_owned());
                    continue;
                }
                _ => {}
            }
            next = Some(file.start + file_len.max(file.len));
            kept.push(file);
        }
        Ok(Self { file_len, files: kept, oddities })
    }

    /// The file that holds `position`.
    pub(crate) fn file_at(&self, position: u64) -> Option<&Mapped> {
        let index = self.files.partition_point(|file| file.start <= position).checked_sub(1)?;
        self.files.get(index).filter(|file| position - file.start < file.len)
    }

    /// What follows `position` in its file.
    pub(crate) fn tail_at(&self, position: u64) -> Option<&[u8]> {
        let file = self.file_at(position)?;
        file.bytes().get((position - file.start) as usize..)
    }

    /// Exactly `len` bytes at `position`, in one file.
    pub(crate) fn at(&self, position: u64, len: u64) -> Option<&[u8]> {
        self.tail_at(position)?.get(..len as usize)
    }
}

/// The entries of a directory by name; none when it does not exist.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, OfflineError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(dir)(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = paths.map_err(at(dir))?;
    paths.sort();
    Ok(paths)
}

/// The offset that a file's name says. Files of one series end below 2^63.
fn start_of(path: &Path) -> Option<u64> {
    let start = path.file_name()?.to_str()?.parse::<u64>().ok()?;
    (start <= i64::MAX as u64 - LEN_MAX).then_some(start)
}
