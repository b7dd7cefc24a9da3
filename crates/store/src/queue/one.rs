//! One consume queue: its files, its tail in memory, its range (`ConsumeQueue`).
//!
//! Positions inside are bytes; `UNIT` bytes are one message.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::unit::{PRE_BLANK, UNIT, Unit};
use crate::fs::{self, Fs, StoreFile};
use crate::types::OpenError;

/// Memory that a busy queue keeps of what is written already, for readers close behind.
const KEEP: usize = 16 << 10;
/// A multiple of [`UNIT`], so that what is written always ends with a whole unit.
const CHUNK: usize = 65_520;

#[derive(Debug)]
pub(crate) struct ConsumeQueue {
    pub(crate) topic: Arc<str>,
    pub(crate) queue_id: i32,
    fs: Fs,
    dir: PathBuf,
    file_len: u64,
    /// The offset that the next message of this queue gets; only the appender, under its lock, moves it.
    pub(crate) next_offset: AtomicI64,
    /// The topic is gone: whoever still holds this queue must look it up again.
    pub(crate) deleted: AtomicBool,
    /// The flusher knows that something waits to be written.
    pub(crate) queued: AtomicBool,
    /// Recovery has put it back to where its walk began.
    pub(crate) rewound: AtomicBool,
    /// The directories have entries that are not synced yet.
    new_entries: AtomicBool,
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Vec<QueueFile>,
    /// First position that points to something in the log (`minLogicOffset`).
    min: u64,
    /// The memory holds `mem_start..mem_start + mem.len()`, which ends at the queue's end.
    mem_start: u64,
    mem: Vec<u8>,
    written: u64,
    synced: u64,
    /// Log offset after the last record that has a unit (`maxPhysicOffset`), -1 when there is none.
    max_log_end: i64,
}

#[derive(Debug)]
struct QueueFile {
    start: u64,
    path: PathBuf,
    file: OnceLock<Arc<StoreFile>>,
}

impl QueueFile {
    fn open(&self, fs: &Fs) -> io::Result<Arc<StoreFile>> {
        if let Some(file) = self.file.get() {
            return Ok(file.clone());
        }
        let file = Arc::new(fs.open(&self.path, true)?);
        Ok(self.file.get_or_init(|| file).clone())
    }
}

impl Inner {
    fn end(&self) -> u64 {
        self.mem_start + self.mem.len() as u64
    }

    fn file_of(&self, at: u64, file_len: u64) -> Option<&QueueFile> {
        let index = self.files.partition_point(|file| file.start <= at).checked_sub(1)?;
        self.files.get(index).filter(|file| at < file.start + file_len)
    }
}

/// What [`ConsumeQueue::rewind`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rewound {
    Done,
    /// Units before that position are missing.
    Lacks,
}

/// Why something that may be there is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotRead {
    /// It is not in memory, and the read may not wait.
    WouldBlock,
    /// The system refused it, with this `errno`.
    Failed(i32),
}

impl From<io::Error> for NotRead {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error()))
    }
}

impl From<NotRead> for io::Error {
    fn from(why: NotRead) -> Self {
        match why {
            NotRead::WouldBlock => Self::from(io::ErrorKind::WouldBlock),
            NotRead::Failed(errno) => Self::from_raw_os_error(errno),
        }
    }
}

/// The outcome of opening a file to read it; `None` where it was deleted meanwhile.
pub(super) fn opened(file: io::Result<Arc<StoreFile>>) -> Result<Option<Arc<StoreFile>>, NotRead> {
    match file {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a read may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Yes,
    No,
}

impl ConsumeQueue {
    /// A queue without files.
    pub(crate) fn new(fs: Fs, topic: Arc<str>, queue_id: i32, dir: PathBuf, file_len: u64) -> Self {
        let inner = Inner {
            files: Vec::new(),
            min: 0,
            mem_start: 0,
            mem: Vec::new(),
            written: 0,
            synced: 0,
            max_log_end: -1,
        };
        Self {
            topic,
            queue_id,
            fs,
            dir,
            file_len,
            next_offset: AtomicI64::new(0),
            deleted: AtomicBool::new(false),
            queued: AtomicBool::new(false),
            rewound: AtomicBool::new(false),
            new_entries: AtomicBool::new(false),
            inner: RwLock::new(inner),
        }
    }

    /// Lists the files and finds the queue's end: the first impossible unit in the last three files
    /// (`ConsumeQueue.recover`). Later files are deleted, what follows the end is zeroed.
    pub(crate) fn load(&self) -> Result<(), OpenError> {
        let named = fs::queue_files(&self.fs, &[&self.dir], self.file_len)?;
        let mut inner = self.inner.write();
        inner.files = named
            .into_iter()
            .map(|file| QueueFile { start: file.start, path: file.path, file: OnceLock::new() })
            .collect();
        let Some(first) = inner.files.len().checked_sub(3).or(inner.files.len().checked_sub(1).map(|_| 0))
        else {
            return Ok(());
        };
        let mut index = first;
        let mut max_log_end = -1;
        let end = loop {
            let file = &inner.files[index];
            let at_path = fs::at(&file.path);
            let (bytes, last) = last_valid(&*file.open(&self.fs).map_err(at_path)?, self.file_len)
                .map_err(fs::at(&file.path))?;
            let end = file.start + bytes;
            if let Some(last) = last {
                max_log_end = last.log_end();
            }
            // Files that do not follow each other end the queue as well: positions could not be computed.
            let follows =
                inner.files.get(index + 1).is_some_and(|next| next.start == file.start + self.file_len);
            if bytes < self.file_len || !follows {
                break end;
            }
            index += 1;
        };
        for file in inner.files.drain(index + 1..) {
            tracing::warn!(file = %file.path.display(), "deleting a consume queue file after the queue's end");
            self.fs.remove_file(&file.path).map_err(fs::at(&file.path))?;
        }
        let last = &inner.files[index];
        if end < last.start + self.file_len {
            let file = last.open(&self.fs).map_err(fs::at(&last.path))?;
            let from = end - last.start;
            if file.last_data(from, self.file_len).map_err(fs::at(&last.path))?.is_some() {
                tracing::warn!(file = %last.path.display(), from, "zeroing what follows the queue's end");
                file.zero(from, self.file_len).map_err(fs::at(&last.path))?;
            }
        }
        inner.mem_start = end;
        inner.mem.clear();
        (inner.written, inner.synced) = (end, end);
        inner.max_log_end = max_log_end;
        drop(inner);
        self.close_files();
        Ok(())
    }

    /// Closes the files of a queue at rest; they are opened again when they are needed.
    pub(crate) fn close_files(&self) {
        for file in &mut self.inner.write().files {
            file.file = OnceLock::new();
        }
    }

    /// Log offset after the last record that has a unit; -1 when there is none.
    pub(crate) fn max_log_end(&self) -> i64 {
        self.inner.read().max_log_end
    }

    /// First and one-after-last message (`getMinOffsetInQueue`, `getMaxOffsetInQueue`).
    pub(crate) fn range(&self) -> (i64, i64) {
        let inner = self.inner.read();
        ((inner.min / UNIT) as i64, (inner.end() / UNIT) as i64)
    }

    /// Adds the unit of a record at `log_offset`, whose position in the queue is `queue_offset`
    /// (`putMessagePositionInfo`). Returns whether it is new.
    pub(crate) fn push(&self, unit: Unit, queue_offset: i64) -> io::Result<bool> {
        let mut inner = self.inner.write();
        if unit.log_end() <= inner.max_log_end || self.deleted.load(Ordering::Acquire) {
            return Ok(false);
        }
        // The head of a record has no checksum: a position may be anything.
        let highest = i64::MAX as u64 - 2 * self.file_len;
        let expected = u64::try_from(queue_offset).ok().and_then(|at| at.checked_mul(UNIT));
        let Some(expected) = expected.filter(|at| *at <= highest) else {
            let log_offset = unit.log_offset;
            tracing::error!(topic = %self.topic, queue = self.queue_id, log_offset, queue_offset, "impossible position");
            return Ok(false);
        };
        let end = inner.end();
        if queue_offset != 0 && end == 0 {
            self.begin_at(&mut inner, expected)?;
        } else if queue_offset != 0 && expected < end {
            tracing::warn!(topic = %self.topic, queue = self.queue_id, expected, end, "unit is in the queue already");
            return Ok(false);
        } else if queue_offset != 0 && expected != end {
            // Java appends here all the same: a reader finds each message once, at a lower position than its record says.
            tracing::error!(topic = %self.topic, queue = self.queue_id, expected, end, "queue has a gap");
        }
        inner.mem.extend_from_slice(&unit.encode());
        inner.max_log_end = unit.log_end();
        Ok(true)
    }

    /// Begins an empty queue at a position other than 0: the units before it in its first file are filled.
    fn begin_at(&self, inner: &mut Inner, at: u64) -> io::Result<()> {
        let start = at - at % self.file_len;
        tracing::info!(topic = %self.topic, queue = self.queue_id, first = at / UNIT, "queue does not begin at 0");
        self.fs.create_dir_all(&self.dir)?;
        // A file that holds no unit may be there from before.
        for file in inner.files.drain(..) {
            self.fs.remove_file(&file.path)?;
        }
        let path = self.dir.join(raptormq_message::file_name(start));
        let file = self.fs.create_sparse(&path, self.file_len)?;
        self.new_entries.store(true, Ordering::Release);
        let blanks = PRE_BLANK.encode().repeat(CHUNK / UNIT as usize);
        let mut done = 0;
        while start + done < at {
            let len = (blanks.len() as u64).min(at - start - done);
            file.write_all_at(&blanks[..len as usize], done)?;
            done += len;
        }
        inner.files.push(QueueFile { start, path, file: OnceLock::from(Arc::new(file)) });
        inner.min = at;
        inner.mem_start = at;
        (inner.written, inner.synced) = (at, start);
        Ok(())
    }

    /// Copies units from position `from` (in messages) into `buf`, at most to the end of the file that holds `from`:
    /// one answer never crosses files, as in Java. `None` below the minimum and where there is nothing.
    ///
    /// The answer is the number of units, at least 1.
    pub(crate) fn read(&self, from: i64, buf: &mut [u8], wait: Wait) -> Result<Option<usize>, NotRead> {
        let Some(at) = u64::try_from(from).ok().and_then(|from| from.checked_mul(UNIT)) else {
            return Ok(None);
        };
        let inner = self.inner.read();
        let end = inner.end();
        if at < inner.min || at >= end {
            return Ok(None);
        }
        let file_end = at - at % self.file_len + self.file_len;
        let mut len = (end.min(file_end) - at).min(buf.len() as u64);
        len -= len % UNIT;
        if at >= inner.mem_start {
            let from = (at - inner.mem_start) as usize;
            buf[..len as usize].copy_from_slice(&inner.mem[from..from + len as usize]);
            return Ok(Some((len / UNIT) as usize));
        }
        // From here to the memory's start everything is in the file.
        let len = len.min(inner.mem_start - at);
        let Some(file) = inner.file_of(at, self.file_len) else { return Ok(None) };
        let (start, file) = (file.start, file.open(&self.fs));
        drop(inner);
        let Some(file) = opened(file)? else { return Ok(None) };
        let buf = &mut buf[..len as usize];
        match wait {
            Wait::No => match file.read_cached(buf, at - start) {
                Some(read) if read as u64 >= UNIT => Ok(Some(read / UNIT as usize)),
                _ => Err(NotRead::WouldBlock),
            },
            Wait::Yes => {
                file.read_exact_at(buf, at - start)?;
                Ok(Some((len / UNIT) as usize))
            }
        }
    }

    /// One unit, waiting for the disk if need be.
    pub(crate) fn unit(&self, at: i64) -> Option<Unit> {
        self.unit_on_disk(at).ok().flatten()
    }

    /// One unit, where one that cannot be read must not pass for one that is not there.
    fn unit_on_disk(&self, at: i64) -> io::Result<Option<Unit>> {
        let mut buf = [0; UNIT as usize];
        Ok(self.read(at, &mut buf, Wait::Yes)?.and_then(|_| Unit::decode(&buf)))
    }

    /// Positions, in messages, at which the files begin, and how many messages a file holds.
    pub(crate) fn file_starts(&self) -> (Vec<i64>, i64) {
        let inner = self.inner.read();
        let mut starts: Vec<i64> = inner.files.iter().map(|file| (file.start / UNIT) as i64).collect();
        let per_file = (self.file_len / UNIT) as i64;
        // The tail may belong to files that are not written yet.
        let end = (inner.end() / UNIT) as i64;
        let mut next =
            starts.last().map_or((inner.mem_start / self.file_len) as i64 * per_file, |last| last + per_file);
        while next < end {
            starts.push(next);
            next += per_file;
        }
        (starts, per_file)
    }

    /// Position of the first message in the file after the one that holds `offset` (`rollNextFile`).
    pub(crate) fn next_file(&self, offset: i64) -> i64 {
        let per_file = (self.file_len / UNIT) as i64;
        offset.saturating_add(per_file - offset.rem_euclid(per_file))
    }

    /// Drops every unit that points at or beyond `log_end` (`truncateDirtyLogicFiles`).
    pub(crate) fn truncate(&self, log_end: i64) -> Result<(), OpenError> {
        if self.max_log_end() <= log_end {
            return Ok(());
        }
        self.write().map_err(fs::at(&self.dir))?;
        let mut inner = self.inner.write();
        inner.mem_start = inner.end();
        inner.mem.clear();
        let mut end = inner.end();
        let mut last = None;
        while end > inner.min.max(inner.files.first().map_or(0, |file| file.start)) {
            let Some(file) = inner.file_of(end - UNIT, self.file_len) else { break };
            let mut buf = [0; UNIT as usize];
            let handle = file.open(&self.fs).map_err(fs::at(&file.path))?;
            handle.read_exact_at(&mut buf, end - UNIT - file.start).map_err(fs::at(&file.path))?;
            last = Unit::decode(&buf).filter(|unit| unit.log_offset < log_end);
            if last.is_some() {
                break;
            }
            end -= UNIT;
        }
        self.set_end(&mut inner, end).map_err(fs::at(&self.dir))?;
        inner.max_log_end = last.map_or(log_end, Unit::log_end);
        Ok(())
    }

    /// Puts the end to the message at `queue_offset`, whose record is at `log_offset`, so that it and everything after
    /// it is added anew. A queue that ends before that is left as it is, unless all that it has lies below the log's
    /// start: then nothing can fill the gap, and it begins at `queue_offset`.
    pub(crate) fn rewind(&self, queue_offset: i64, log_offset: u64, log_min: u64) -> io::Result<Rewound> {
        let Some(to) = u64::try_from(queue_offset).ok().and_then(|at| at.checked_mul(UNIT)) else {
            return Ok(Rewound::Done);
        };
        // The run that crashed may have made files and directories that are not durable yet.
        self.new_entries.store(true, Ordering::Release);
        self.write()?;
        let mut inner = self.inner.write();
        let end = inner.end();
        if to > end && end > 0 && inner.max_log_end > log_min as i64 {
            return Ok(Rewound::Lacks);
        }
        let begins_again = to == 0 || to > end;
        // An empty queue begins wherever its first record says.
        if to == end || end == 0 || !begins_again && to < inner.min {
            return Ok(Rewound::Done);
        }
        inner.mem_start = end;
        inner.mem.clear();
        if begins_again {
            while let Some(file) = inner.files.last() {
                self.fs.remove_file(&file.path)?;
                inner.files.pop();
            }
            (inner.mem_start, inner.written, inner.synced, inner.min) = (0, 0, 0, 0);
        } else {
            self.set_end(&mut inner, to)?;
        }
        inner.max_log_end = log_offset as i64;
        Ok(Rewound::Done)
    }

    /// Drops units from the end until one is `sound`, which gets its position, itself and the one before.
    pub(crate) fn drop_tail_unless(
        &self,
        sound: impl Fn(i64, Unit, Option<Unit>) -> bool,
    ) -> Result<(), OpenError> {
        let (mut at, min) = {
            let inner = self.inner.read();
            (
                (inner.end() / UNIT) as i64,
                (inner.min.max(inner.files.first().map_or(0, |it| it.start)) / UNIT) as i64,
            )
        };
        let end = at;
        let mut last = None;
        while at > min {
            let unit = |at| self.unit_on_disk(at).map_err(fs::at(&self.dir));
            let before = if at - 1 > min { unit(at - 2)? } else { None };
            last = unit(at - 1)?.filter(|unit| *unit == PRE_BLANK || sound(at - 1, *unit, before));
            if last.is_some() {
                break;
            }
            at -= 1;
        }
        if at < end {
            let mut inner = self.inner.write();
            self.set_end(&mut inner, at as u64 * UNIT).map_err(fs::at(&self.dir))?;
            inner.max_log_end = last.map_or(-1, Unit::log_end);
        }
        Ok(())
    }

    /// Moves the end of a queue without units in memory back to `end`.
    fn set_end(&self, inner: &mut Inner, end: u64) -> io::Result<()> {
        let from = inner.end() / UNIT;
        tracing::debug!(topic = %self.topic, queue = self.queue_id, from, to = end / UNIT, "truncating queue");
        // A file that would be empty goes, unless it is the only thing that tells where the queue stands.
        while let Some(file) = inner.files.last()
            && end <= file.start
            && (inner.files.len() > 1 || file.start == 0 || end < file.start)
        {
            self.fs.remove_file(&file.path)?;
            inner.files.pop();
        }
        if let Some(file) = inner.files.last()
            && end < file.start + self.file_len
        {
            let handle = file.open(&self.fs)?;
            handle.zero(end - file.start, self.file_len)?;
            handle.sync_data()?;
        }
        inner.mem_start = end;
        (inner.written, inner.synced) = (end, end);
        inner.min = inner.min.min(end);
        Ok(())
    }

    /// Moves the minimum to the first unit that points at or beyond `log_min` (`correctMinOffset`).
    pub(crate) fn correct_min(&self, log_min: i64) {
        let (low, end) = {
            let inner = self.inner.read();
            let first = inner.files.first().map_or(inner.mem_start, |file| file.start).min(inner.end());
            let low = inner.min.max(first);
            if low != inner.min {
                drop(inner);
                let mut inner = self.inner.write();
                inner.min = inner.min.max(low);
                (low, inner.end())
            } else {
                (low, inner.end())
            }
        };
        let points_inside = |at: u64| -> io::Result<bool> {
            let unit = self.unit_on_disk((at / UNIT) as i64)?;
            Ok(unit.is_some_and(|unit| unit.log_offset >= log_min && unit != PRE_BLANK))
        };
        let search = || -> io::Result<Option<u64>> {
            if low >= end || points_inside(low)? {
                return Ok(None);
            }
            // Invariant: `low` points below, `high` does not (or is the end).
            let (mut low, mut high) = (low, end);
            while high - low > UNIT {
                let middle = low + (high - low) / UNIT / 2 * UNIT;
                if points_inside(middle)? { high = middle } else { low = middle }
            }
            Ok(Some(high))
        };
        let high = match search() {
            Ok(Some(high)) => high,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(topic = %self.topic, queue = self.queue_id, %error, "queue minimum is unknown, it stays");
                return;
            }
        };
        let mut inner = self.inner.write();
        if high <= inner.end() {
            inner.min = inner.min.max(high);
            tracing::info!(topic = %self.topic, queue = self.queue_id, min = high / UNIT, "queue minimum corrected");
        }
    }

    /// Deletes the files, except the last one, whose last unit points below `log_min`
    /// (`deleteExpiredFileByOffset`). Returns how many went.
    pub(crate) fn delete_expired(&self, log_min: i64) -> io::Result<usize> {
        let mut deleted = 0;
        loop {
            let mut inner = self.inner.write();
            if inner.files.len() < 2 {
                return Ok(deleted);
            }
            let first = &inner.files[0];
            if first.start + self.file_len > inner.written {
                return Ok(deleted);
            }
            let mut buf = [0; UNIT as usize];
            first.open(&self.fs)?.read_exact_at(&mut buf, self.file_len - UNIT)?;
            if Unit::decode(&buf).is_none_or(|unit| unit.log_offset >= log_min) {
                return Ok(deleted);
            }
            self.fs.remove_file(&first.path)?;
            inner.files.remove(0);
            let first = inner.files[0].start;
            inner.min = inner.min.max(first);
            drop(inner);
            // Before the next one goes: after a loss of power no file may be back whose successor is not.
            self.fs.sync_dir(&self.dir)?;
            deleted += 1;
        }
    }

    /// Writes the tail to its files, which are created as needed.
    pub(crate) fn write(&self) -> io::Result<()> {
        loop {
            let (mut from, bytes) = {
                let inner = self.inner.read();
                let skip = (inner.written.max(inner.mem_start) - inner.mem_start) as usize;
                let rest = &inner.mem[skip..];
                (inner.mem_start + skip as u64, rest[..rest.len().min(CHUNK)].to_vec())
            };
            if bytes.is_empty() || self.deleted.load(Ordering::Acquire) {
                return Ok(());
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (start, file) = self.file_for_writing(from)?;
                let len = rest.len().min((start + self.file_len - from) as usize);
                file.write_all_at(&rest[..len], from - start)?;
                rest = &rest[len..];
                from += len as u64;
            }
            self.inner.write().written = from;
        }
    }

    fn file_for_writing(&self, at: u64) -> io::Result<(u64, Arc<StoreFile>)> {
        if let Some(file) = self.inner.read().file_of(at, self.file_len) {
            return Ok((file.start, file.open(&self.fs)?));
        }
        let start = at - at % self.file_len;
        self.fs.create_dir_all(&self.dir)?;
        let path = self.dir.join(raptormq_message::file_name(start));
        let file = Arc::new(self.fs.create_sparse(&path, self.file_len)?);
        self.new_entries.store(true, Ordering::Release);
        self.inner.write().files.push(QueueFile { start, path, file: OnceLock::from(file.clone()) });
        Ok((start, file))
    }

    /// The directories that have an entry which is not durable yet: queue, topic and all queues.
    pub(crate) fn take_new_entries(&self) -> BTreeSet<PathBuf> {
        let new = self.new_entries.swap(false, Ordering::AcqRel);
        self.dir.ancestors().take(if new { 3 } else { 0 }).map(PathBuf::from).collect()
    }

    /// Lets go of memory whose content is written; a busy queue keeps some for readers. Returns whether any is left.
    pub(crate) fn trim(&self, busy: bool) -> bool {
        let mut inner = self.inner.write();
        let written = (inner.written.max(inner.mem_start) - inner.mem_start) as usize;
        let drop = if busy { written.saturating_sub(KEEP) } else { written };
        // Whole units: a reader of the files must be able to end where the memory begins.
        let drop = drop - drop % UNIT as usize;
        if busy && drop < 3 * KEEP {
            return true;
        }
        inner.mem.drain(..drop);
        inner.mem_start += drop as u64;
        if inner.mem.is_empty() {
            inner.mem = Vec::new();
        }
        !inner.mem.is_empty()
    }

    /// Bytes written but not synced.
    pub(crate) fn unsynced(&self) -> u64 {
        let inner = self.inner.read();
        inner.written - inner.synced.min(inner.written)
    }

    /// Makes durable what is written.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let (to, files) = {
            let inner = self.inner.read();
            let from = inner.synced;
            let dirty = inner
                .files
                .iter()
                .filter(|file| file.start + self.file_len > from && file.start < inner.written);
            (inner.written, dirty.map(|file| file.open(&self.fs)).collect::<io::Result<Vec<_>>>()?)
        };
        for file in files {
            file.sync_data()?;
        }
        let mut inner = self.inner.write();
        inner.synced = inner.synced.max(to);
        Ok(())
    }

    /// Deletes the files; the object is dead afterwards.
    pub(crate) fn destroy(&self) -> io::Result<()> {
        self.deleted.store(true, Ordering::Release);
        let mut inner = self.inner.write();
        inner.files.clear();
        inner.mem = Vec::new();
        (inner.mem_start, inner.written, inner.synced, inner.min) = (0, 0, 0, 0);
        match self.fs.remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Bytes of valid units at the start of a file, and the last of these units.
fn last_valid(file: &StoreFile, len: u64) -> io::Result<(u64, Option<Unit>)> {
    // Reading a hole would fill the page cache with its zeros, which are no units.
    let written = file.hole_after(0).unwrap_or(len).next_multiple_of(UNIT).min(len);
    let mut chunk = vec![0; CHUNK.min(written as usize)];
    let (mut at, mut last) = (0, None);
    while at < written {
        let part = chunk.len().min((written - at) as usize);
        file.read_exact_at(&mut chunk[..part], at)?;
        for bytes in chunk[..part].chunks_exact(UNIT as usize) {
            match Unit::decode(bytes).filter(|unit| unit.is_valid()) {
                Some(unit) => last = Some(unit),
                None => return Ok((at, last)),
            }
            at += UNIT;
        }
    }
    Ok((at, last))
}
