//! Directory listings, and calls that std lacks.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, SeekFrom};

use crate::types::OpenError;

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

/// The files of `dir`, each `len` bytes long, in order; none when the directory does not exist. A last file without a
/// byte is deleted and subdirectories are skipped, as `MappedFileQueue.load` of 5.x does.
pub(crate) fn queue_files(dir: &Path, len: u64) -> Result<Vec<Named>, OpenError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(dir)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(at(dir))?;
        if !entry.file_type().map_err(at(dir))?.is_dir() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let last = paths.len().wrapping_sub(1);
    let mut files = Vec::with_capacity(paths.len());
    for (index, path) in paths.into_iter().enumerate() {
        let found = fs::metadata(&path).map_err(at(&path))?.len();
        if found == 0 && index == last {
            tracing::warn!(file = %path.display(), "deleting an empty last file");
            fs::remove_file(&path).map_err(at(&path))?;
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

/// Makes the creation, renaming and deletion of entries of `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Creates a file of `len` zero bytes without allocating blocks.
pub(crate) fn create_sparse(path: &Path, len: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(len)?;
    Ok(file)
}

/// Creates a file of `len` zero bytes with all its blocks, so that writing it cannot fail for lack of space.
pub(crate) fn create_allocated(path: &Path, len: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    let made = allocate(&file, 0, len).and_then(|()| file.set_len(len));
    if let Err(error) = made {
        // A file of the wrong length would keep any broker from starting.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// Allocates the blocks of a range without changing what it reads as.
pub(crate) fn allocate(file: &File, from: u64, to: u64) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
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

/// Offset after the last byte in `from..to` that is not zero; `None` when all are.
pub(crate) fn last_data(file: &File, from: u64, to: u64) -> io::Result<Option<u64>> {
    let mut chunk = vec![0; 1 << 20];
    let (mut at, mut last) = (from, None);
    while at < to {
        at = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(rustix::io::Errno::NXIO) => break,
            // No holes are known here: read everything.
            Err(_) => at,
        };
        if at >= to {
            break;
        }
        let len = chunk.len().min(usize::try_from(to - at).unwrap_or(usize::MAX));
        file.read_exact_at(&mut chunk[..len], at)?;
        if let Some(index) = chunk[..len].iter().rposition(|byte| *byte != 0) {
            last = Some(at + index as u64 + 1);
        }
        at += len as u64;
    }
    Ok(last)
}

/// Makes `from..to` read as zeros.
pub(crate) fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
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

/// Reads at `at` only if that needs no disk access; `None` when it does, or cannot be told.
pub(crate) fn read_cached(file: &File, buf: &mut [u8], at: u64) -> Option<usize> {
    let mut parts = [io::IoSliceMut::new(buf)];
    rustix::io::preadv2(file, &mut parts, at, rustix::io::ReadWriteFlags::NOWAIT).ok()
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
        let file = create_allocated(&dir.path().join("f"), 3 << 20).unwrap();
        assert_eq!(last_data(&file, 0, 3 << 20).unwrap(), None);
        file.write_all_at(b"xyz", 5_000).unwrap();
        file.write_all_at(b"x", (2 << 20) + 7).unwrap();
        assert_eq!(last_data(&file, 0, 3 << 20).unwrap(), Some((2 << 20) + 8));
        assert_eq!(last_data(&file, 0, 2 << 20).unwrap(), Some(5_003));
        zero(&file, 5_001, 3 << 20).unwrap();
        assert_eq!(last_data(&file, 0, 3 << 20).unwrap(), Some(5_001));
        assert_eq!(file.metadata().unwrap().len(), 3 << 20);
        let mut buf = [9; 4];
        if let Some(read) = read_cached(&file, &mut buf, 5_000) {
            assert_eq!((read, &buf), (4, b"x\0\0\0"));
        }
        assert!((0.0..=1.0).contains(&disk_used(&dir.path().join("not/there"))));
    }

    #[test]
    fn listing_follows_javas_rules() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        assert_eq!(queue_files(&path("none"), 10).unwrap(), []);
        create_sparse(&path("00000000000000000010"), 10).unwrap();
        create_sparse(&path("00000000000000000000"), 10).unwrap();
        create_sparse(&path("00000000000000000020"), 0).unwrap();
        fs::create_dir(path("sub")).unwrap();
        let starts: Vec<u64> = queue_files(dir.path(), 10).unwrap().iter().map(|file| file.start).collect();
        assert_eq!(starts, [0, 10]);
        assert!(!path("00000000000000000020").exists());
        create_sparse(&path("00000000000000000020"), 9).unwrap();
        assert!(matches!(
            queue_files(dir.path(), 10),
            Err(OpenError::FileLength { found: 9, expected: 10, .. })
        ));
        fs::remove_file(path("00000000000000000020")).unwrap();
        create_sparse(&path("00000000000000000020.tmp"), 10).unwrap();
        assert!(matches!(queue_files(dir.path(), 10), Err(OpenError::FileName { .. })));
    }
}
