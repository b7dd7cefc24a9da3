//! Replacing a small file so that a crash leaves either the old or the new content.
//!
//! Every step goes through [`Files`], so that a test can end a replacement between any two of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file-system calls that a replacement is made of.
pub trait Files {
    /// The whole content of a file.
    ///
    /// # Errors
    /// The I/O error.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Creates or empties `path`, writes `content` and syncs it. It may be read by whoever may read `like`.
    ///
    /// # Errors
    /// The I/O error; any beginning of the content may be there then.
    fn write_synced(&self, path: &Path, content: &[u8], like: &Path) -> io::Result<()>;

    /// Gives a file another name, which may be in use.
    ///
    /// # Errors
    /// The I/O error; nothing has changed then.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// The I/O error.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and its parents, if they are missing.
    ///
    /// # Errors
    /// The I/O error.
    fn create_dirs(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The I/O error.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFiles;

impl Files for OsFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn write_synced(&self, path: &Path, content: &[u8], like: &Path) -> io::Result<()> {
        let mut file = File::create(path)?;
        // A file that its owner alone may read stays so. Java gets this from overwriting in place.
        if let Ok(old) = fs::metadata(like) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(content)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

/// Writes `content` beside `path`, syncs it, and gives it the name. The directory is the caller's to sync.
///
/// # Errors
/// The I/O error; the old file is then still there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_on(&OsFiles, path, content)
}

/// [`replace`] by other calls than the operating system's.
///
/// # Errors
/// The I/O error; the old file is then still there.
pub fn replace_on(files: &impl Files, path: &Path, content: &[u8]) -> io::Result<()> {
    let new = with_suffix(path, ".tmp");
    let replaced = files.write_synced(&new, content, path).and_then(|()| files.rename(&new, path));
    if replaced.is_err() {
        // A beginning of the new content would take space of a disk that may be full.
        let _ = files.remove(&new);
    }
    replaced
}

/// The path whose name is that of `path` and `suffix`, as Java names a table's `.bak`.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_replaced_file_keeps_its_permissions_and_a_failure_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace(&path, b"1").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        replace(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // A directory cannot be replaced by a file.
        let taken = dir.path().join("d");
        fs::create_dir(&taken).unwrap();
        replace(&taken, b"3").unwrap_err();
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["d", "f"]);
    }
}
