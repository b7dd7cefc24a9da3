//! `sync-failed`: what a run that could not sync its log leaves for the next one.
//!
//! When a sync fails, the system keeps the pages but takes them for written: the next run reads records that are not on
//! disk, and its syncs succeed without them. If it acknowledged more behind them, a loss of power would take all that.
//! So it writes them anew first. The file itself needs no sync: when it is lost, the pages are, too.

use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{self, Fs, Named};
use crate::types::OpenError;

fn path(root: &Path) -> PathBuf {
    root.join("sync-failed")
}

/// Notes that nothing from `offset` of the log on is known to be on disk.
pub(crate) fn leave(fs: &Fs, root: &Path, offset: u64) {
    if let Err(error) = fs.create_with(&path(root), offset.to_string().as_bytes()) {
        let file = path(root);
        tracing::error!(file = %file.display(), %error, "cannot be written: restart the machine before the broker");
    }
}

/// Writes the log from the noted offset to `end` once more, if there is such a note.
pub(crate) fn write_again(fs: &Fs, root: &Path, files: &[Named], end: u64) -> Result<(), OpenError> {
    let note = path(root);
    let text = match std::fs::read_to_string(&note) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fs::at(&note)(error)),
    };
    // An unreadable note was cut short: everything is written.
    let from = text.parse().unwrap_or(0);
    tracing::warn!(from, end, "the last run could not sync its log: what it may lack is written again");
    let mut chunk = vec![0; 1 << 20];
    for (index, named) in files.iter().enumerate() {
        let next = files.get(index + 1).map_or(end, |next| next.start).min(end);
        let mut at = named.start.max(from);
        if at >= next {
            continue;
        }
        let file = fs.open(&named.path, true).map_err(fs::at(&named.path))?;
        while at < next {
            let part = &mut chunk[..usize::try_from(next - at).unwrap_or(usize::MAX).min(1 << 20)];
            file.read_exact_at(part, at - named.start).map_err(fs::at(&named.path))?;
            file.write_all_at(part, at - named.start).map_err(fs::at(&named.path))?;
            at += part.len() as u64;
        }
        file.sync_data().map_err(fs::at(&named.path))?;
    }
    fs.remove_file(&note).map_err(fs::at(&note))
}
