//! Replacing a small file so that a crash leaves either the old or the new content.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `content` beside `path`, syncs it, and gives it the name. The directory is the caller's to sync.
///
/// # Errors
/// The I/O error; the old file is then still there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = with_suffix(path, ".tmp");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// The path whose name is that of `path` and `suffix`, as Java names a table's `.bak`.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
