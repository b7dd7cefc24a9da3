//! The one door to the file system: everything that the store creates, changes, syncs or deletes goes through [`Fs`].
//!
//! A running broker has the plain one. Tests put a [`Watch`] in, which sees every call, may refuse it, and knows what a
//! loss of power would leave at that moment. Appends to the mapped log count as calls, too.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, SeekFrom};

use crate::types::OpenError;

/// What is done to the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call<'a> {
    /// A file is made, or emptied, with its length and, for the log, its blocks.
    Create(&'a Path),
    CreateDir(&'a Path),
    /// Blocks are allocated.
    Allocate(&'a Path),
    /// Bytes from one place to another are written or zeroed.
    Write(&'a Path, u64, u64),
    SetLen(&'a Path),
    /// A record was put into a mapped file.
    Append(&'a Path),
    /// Content and length become durable.
    Sync(&'a Path),
    /// Creation and deletion of the entries of a directory become durable.
    SyncDir(&'a Path),
    Remove(&'a Path),
}

/// Sees every call.
pub(crate) trait Watch: Send + Sync {
    /// Before the call; an error is its outcome, nothing is done then.
    fn before(&self, call: Call<'_>) -> io::Result<()>;
    /// After it succeeded.
    fn after(&self, call: Call<'_>);
    /// Before a file is read other than through a map; an error is the outcome.
    fn read(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Ok(())
    }
}

/// The door.
#[derive(Clone, Default)]
pub(crate) struct Fs(Option<Arc<dyn Watch>>);

impl std::fmt::Debug for Fs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Fs(watched)" } else { "Fs" })
    }
}

impl Fs {
    #[cfg(test)]
    pub(crate) fn watched(watch: Arc<dyn Watch>) -> Self {
        Self(Some(watch))
    }

    #[inline]
    fn call<T>(&self, call: Call<'_>, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(watch) = &self.0 else { return run() };
        watch.before(call)?;
        let done = run()?;
        watch.after(call);
        Ok(done)
    }

    /// Opens a file that exists.
    pub(crate) fn open(&self, path: &Path, writable: bool) -> io::Result<StoreFile> {
        let file = OpenOptions::new().read(true).write(writable).open(path)?;
        Ok(StoreFile { file, path: path.into(), fs: self.clone() })
    }

    /// Opens a file; one that is missing or shorter gets `len` bytes.
    pub(crate) fn open_or_create(&self, path: &Path, len: u64) -> io::Result<StoreFile> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => {
                let file = StoreFile { file, path: path.into(), fs: self.clone() };
                if file.len()? < len {
                    self.call(Call::SetLen(path), || file.file.set_len(len))?;
                }
                Ok(file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create_sparse(path, len),
            Err(error) => Err(error),
        }
    }

    /// Creates a file of `len` zero bytes without allocating blocks.
    pub(crate) fn create_sparse(&self, path: &Path, len: u64) -> io::Result<StoreFile> {
        self.create(path, |file| file.set_len(len))
    }

    /// Creates a file of `len` zero bytes with all its blocks, so that writing it cannot fail for lack of space.
    pub(crate) fn create_allocated(&self, path: &Path, len: u64) -> io::Result<StoreFile> {
        self.create(path, |file| allocate(file, 0, len).and_then(|()| file.set_len(len)))
    }

    /// Creates a file with this content.
    pub(crate) fn create_with(&self, path: &Path, content: &[u8]) -> io::Result<StoreFile> {
        self.create(path, |file| file.write_all_at(content, 0))
    }

    fn create(&self, path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<StoreFile> {
        let made = self.call(Call::Create(path), || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
            match fill(&file) {
                Ok(()) => Ok(file),
                Err(error) => {
                    // A file of the wrong length would keep any broker from starting.
                    let _ = fs::remove_file(path);
                    Err(error)
                }
            }
        });
        Ok(StoreFile { file: made?, path: path.into(), fs: self.clone() })
    }

    pub(crate) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.call(Call::CreateDir(path), || fs::create_dir_all(path))
    }

    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove(path), || fs::remove_file(path))
    }

    pub(crate) fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove(path), || fs::remove_dir_all(path))
    }

    /// Makes the creation and deletion of entries of `dir` durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::SyncDir(dir), || File::open(dir)?.sync_all())
    }

    /// Makes the entry of `path` in its directory durable.
    pub(crate) fn sync_parent(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }
}

/// An open file of the store.
#[derive(Debug)]
pub(crate) struct StoreFile {
    file: File,
    path: Box<Path>,
    fs: Fs,
}

impl StoreFile {
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// For maps, which read it.
    pub(crate) fn raw(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.reading()?;
        self.file.read_exact_at(buf, at)
    }

    #[inline]
    fn reading(&self) -> io::Result<()> {
        self.fs.0.as_ref().map_or(Ok(()), |watch| watch.read(&self.path))
    }

    /// Reads at `at` only if that needs no disk access; `None` when it does, or cannot be told.
    pub(crate) fn read_cached(&self, buf: &mut [u8], at: u64) -> Option<usize> {
        self.reading().ok()?;
        let mut parts = [io::IoSliceMut::new(buf)];
        rustix::io::preadv2(&self.file, &mut parts, at, rustix::io::ReadWriteFlags::NOWAIT).ok()
    }

    pub(crate) fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let call = Call::Write(&self.path, at, at + bytes.len() as u64);
        self.fs.call(call, || self.file.write_all_at(bytes, at))
    }

    /// Tells that the file was written through a map.
    #[inline]
    pub(crate) fn appended(&self) {
        // A write to memory has no outcome; it shows at the next sync.
        let _ = self.fs.call(Call::Append(&self.path), || Ok(()));
    }

    /// Makes content and length durable.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        self.sync_by(|| self.file.sync_data())
    }

    /// The same, done by `sync`: the map of the file.
    pub(crate) fn sync_by(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.fs.call(Call::Sync(&self.path), sync)
    }

    /// Allocates the blocks of a range without changing what it reads as.
    pub(crate) fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        self.fs.call(Call::Allocate(&self.path), || allocate(&self.file, from, to))
    }

    /// Makes `from..to` read as zeros.
    pub(crate) fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        self.fs.call(Call::Write(&self.path, from, to), || zero(&self.file, from, to))
    }

    /// Where the first hole after `from` begins, or the file's end: what is not written reads as zeros from there.
    pub(crate) fn hole_after(&self, from: u64) -> Option<u64> {
        rustix::fs::seek(&self.file, SeekFrom::Hole(from)).ok()
    }

    /// Offset after the last byte in `from..to` that is not zero; `None` when all are.
    pub(crate) fn last_data(&self, from: u64, to: u64) -> io::Result<Option<u64>> {
        last_data(&self.file, from, to)
    }
}

/// Attaches the path to an I/O error.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |error| OpenError::Io { path, error }
}

/// A file of a queue of files: its first byte's offset and its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) start: u64,
    pub(crate) path: PathBuf,
}

/// The files of the directories, each `len` bytes long, in order; a directory that does not exist has none. A last
/// file without a byte is deleted and subdirectories are skipped, as `MappedFileQueue.load` of 5.x does.
pub(crate) fn queue_files(fs: &Fs, dirs: &[&Path], len: u64) -> Result<Vec<Named>, OpenError> {
    let mut paths = Vec::new();
    for dir in dirs {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(dir)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(at(dir))?;
            if !entry.file_type().map_err(at(dir))?.is_dir() {
                paths.push(entry.path());
            }
        }
    }
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let last = paths.len().wrapping_sub(1);
    let mut files = Vec::with_capacity(paths.len());
    for (index, path) in paths.into_iter().enumerate() {
        let found = std::fs::metadata(&path).map_err(at(&path))?.len();
        if found == 0 && index == last {
            tracing::warn!(file = %path.display(), "deleting an empty last file");
            fs.remove_file(&path).map_err(at(&path))?;
            continue;
        }
        if found != len {
            return Err(OpenError::FileLength { path, found, expected: len });
        }
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
        match name {
            Some(start) if start.is_multiple_of(len) && start <= i64::MAX as u64 - len => {
                files.push(Named { start, path });
            }
            _ => return Err(OpenError::FileName { path }),
        }
    }
    Ok(files)
}

fn allocate(file: &File, from: u64, to: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), from, to - from) {
        // Such a file system cannot promise space: the file stays sparse, as Java's are.
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        other => other.map_err(Into::into),
    }
}

/// Whether a write failed for lack of space, which may come back, rather than for a fault of the device.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn last_data(file: &File, from: u64, to: u64) -> io::Result<Option<u64>> {
    let mut chunk = Vec::new();
    let (mut at, mut last) = (from, None);
    while at < to {
        at = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(rustix::io::Errno::NXIO) => break,
            // No holes are known here: read everything.
            Err(_) => at,
        };
        // Not into the next hole: the system would fill memory with its zeros.
        let end = rustix::fs::seek(file, SeekFrom::Hole(at)).map_or(to, |hole| hole.max(at + 1).min(to));
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 20);
            chunk.resize(chunk.len().max(len), 0);
            file.read_exact_at(&mut chunk[..len], at)?;
            if let Some(index) = last_nonzero(&chunk[..len]) {
                last = Some(at + index as u64 + 1);
            }
            at += len as u64;
        }
    }
    Ok(last)
}

/// Index of the last byte that is not zero; whole blocks of zeros are passed over at memory speed.
fn last_nonzero(bytes: &[u8]) -> Option<usize> {
    let mut end = bytes.len();
    while end > 0 {
        let start = end.saturating_sub(1024);
        let block = &bytes[start..end];
        if block.iter().fold(0, |all, byte| all | byte) != 0 {
            return block.iter().rposition(|byte| *byte != 0).map(|index| start + index);
        }
        end = start;
    }
    None
}

fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    if rustix::fs::fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, from, to - from)
        .is_ok()
    {
        return Ok(());
    }
    let chunk = vec![0; 1 << 20];
    let mut at = from;
    while at < to {
        let len = chunk.len().min(usize::try_from(to - at).unwrap_or(usize::MAX));
        file.write_all_at(&chunk[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

/// Used share of the partition that holds `path`, rounded up to whole percents, as
/// `UtilAll.getDiskPartitionSpaceUsedPercent` computes it; -1 when unknown.
pub(crate) fn disk_used(path: &Path) -> f64 {
    let existing = path.ancestors().find(|path| path.exists());
    let Some(stat) = existing.and_then(|path| rustix::fs::statvfs(path).ok()) else { return -1.0 };
    let used = u128::from(stat.f_blocks.saturating_sub(stat.f_bfree));
    let entire = used + u128::from(stat.f_bavail);
    if entire == 0 {
        return -1.0;
    }
    (used * 100).div_ceil(entire) as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroing_and_finding_data_agree() {
        let dir = tempfile::tempdir().unwrap();
        let file = Fs::default().create_allocated(&dir.path().join("f"), 3 << 20).unwrap();
        assert_eq!(file.last_data(0, 3 << 20).unwrap(), None);
        file.write_all_at(b"xyz", 5_000).unwrap();
        file.write_all_at(b"x", (2 << 20) + 7).unwrap();
        assert_eq!(file.last_data(0, 3 << 20).unwrap(), Some((2 << 20) + 8));
        assert_eq!(file.last_data(0, 2 << 20).unwrap(), Some(5_003));
        file.zero(5_001, 3 << 20).unwrap();
        assert_eq!(file.last_data(0, 3 << 20).unwrap(), Some(5_001));
        assert_eq!(file.len().unwrap(), 3 << 20);
        let mut buf = [9; 4];
        if let Some(read) = file.read_cached(&mut buf, 5_000) {
            assert_eq!((read, &buf), (4, b"x\0\0\0"));
        }
        assert!((0.0..=1.0).contains(&disk_used(&dir.path().join("not/there"))));
    }

    #[test]
    fn listing_follows_javas_rules() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let fs = Fs::default();
        assert_eq!(queue_files(&fs, &[&path("none")], 10).unwrap(), []);
        fs.create_sparse(&path("00000000000000000010"), 10).unwrap();
        fs.create_sparse(&path("00000000000000000000"), 10).unwrap();
        fs.create_sparse(&path("00000000000000000020"), 0).unwrap();
        std::fs::create_dir(path("sub")).unwrap();
        let starts: Vec<u64> =
            queue_files(&fs, &[dir.path()], 10).unwrap().iter().map(|file| file.start).collect();
        assert_eq!(starts, [0, 10]);
        assert!(!path("00000000000000000020").exists());
        fs.create_sparse(&path("00000000000000000020"), 9).unwrap();
        assert!(matches!(
            queue_files(&fs, &[dir.path()], 10),
            Err(OpenError::FileLength { found: 9, expected: 10, .. })
        ));
        std::fs::remove_file(path("00000000000000000020")).unwrap();
        fs.create_sparse(&path("00000000000000000020.tmp"), 10).unwrap();
        assert!(matches!(queue_files(&fs, &[dir.path()], 10), Err(OpenError::FileName { .. })));
    }
}
