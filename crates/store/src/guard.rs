//! `lock`, which keeps other brokers out, and `abort`, which tells the next start that this run did not end cleanly.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};

use crate::fs::{Fs, at};
use crate::types::OpenError;

/// The held `lock` file; dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks byte 0 as Java's `FileChannel.tryLock(0, 1, false)` does, but owned by this open file rather than by the
    /// process, so that a second store of one process is refused as well. Both kinds exclude each other.
    pub(crate) fn take(root: &Path) -> Result<Self, OpenError> {
        let path = root.join("lock");
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(at(&path))?;
        if !lock_first_byte(&file, Hold::Alone).map_err(at(&path))? {
            return Err(OpenError::Locked { path });
        }
        file.write_all_at(b"lock", 0).and_then(|()| file.sync_all()).map_err(at(&path))?;
        Ok(Self { _file: file })
    }
}

/// How the `lock` file is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// As a broker does.
    Alone,
    /// With others that only read.
    Together,
}

/// Locks byte 0 for this open file; `false` when somebody else holds it.
pub(crate) fn lock_first_byte(file: &File, hold: Hold) -> io::Result<bool> {
    let kind = if hold == Hold::Alone { nix::libc::F_WRLCK } else { nix::libc::F_RDLCK };
    let byte = nix::libc::flock {
        l_type: kind as _,
        l_whence: nix::libc::SEEK_SET as _,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte)) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The `abort` file.
#[derive(Debug)]
pub(crate) struct Abort {
    path: PathBuf,
    fs: Fs,
}

impl Abort {
    pub(crate) fn at(root: &Path, fs: &Fs) -> Self {
        Self { path: root.join("abort"), fs: fs.clone() }
    }

    /// Whether the last run ended without deleting it.
    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Writes the process id; the earlier content goes to `abort.bak`, as `MixAll.string2File` leaves it.
    pub(crate) fn create(&self) -> io::Result<()> {
        let before = fs::read(&self.path).unwrap_or_default();
        self.fs.create_with(&self.path.with_extension("bak"), &before)?;
        self.fs.create_with(&self.path, std::process::id().to_string().as_bytes())?.sync_data()?;
        self.sync_dir()
    }

    /// Everything is on disk. A file that is gone already is no failure: a Java broker that is started on a store in
    /// use deletes it before it ends because of the lock.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self.fs.remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(file = %self.path.display(), "somebody else has deleted the abort file");
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => self.sync_dir(),
        }
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.fs.sync_parent(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_store_at_a_time_and_the_words_of_java() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join("lock")).unwrap(), b"lock");
        let refused = Lock::take(dir.path()).unwrap_err();
        assert!(refused.to_string().starts_with("Lock failed,MQ already started"), "{refused}");
        // Java's lock: the process's, on the same byte.
        let java = File::options().read(true).write(true).open(dir.path().join("lock")).unwrap();
        let byte = nix::libc::flock {
            l_type: nix::libc::F_WRLCK as _,
            l_whence: nix::libc::SEEK_SET as _,
            l_start: 0,
            l_len: 1,
            l_pid: 0,
        };
        assert!(fcntl(&java, FcntlArg::F_SETLK(&byte)).is_err(), "we keep Java out");
        drop(lock);
        fcntl(&java, FcntlArg::F_SETLK(&byte)).unwrap();
        assert!(matches!(Lock::take(dir.path()), Err(OpenError::Locked { .. })), "Java keeps us out");
    }

    #[test]
    fn abort_keeps_the_previous_process_id() {
        let dir = tempfile::tempdir().unwrap();
        let abort = Abort::at(dir.path(), &Fs::default());
        assert!(!abort.exists());
        abort.create().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("abort")).unwrap(), std::process::id().to_string());
        assert_eq!(fs::read(dir.path().join("abort.bak")).unwrap(), b"");
        fs::write(dir.path().join("abort"), "77").unwrap();
        abort.create().unwrap();
        assert_eq!(fs::read(dir.path().join("abort.bak")).unwrap(), b"77");
        abort.remove().unwrap();
        assert!(!abort.exists());
        abort.remove().unwrap();
    }
}
