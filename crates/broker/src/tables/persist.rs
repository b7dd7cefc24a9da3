//! The JSON files under `config/`: written so that a crash leaves either the old or the new text, read as Java reads
//! them (an empty or unreadable file falls back to its `.bak`).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use raptormq_base::replace::{replace, with_suffix};
use raptormq_wire::json;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a table cannot be loaded: the broker must not start with an empty table in place of one it cannot read.
#[derive(Debug, thiserror::Error)]
#[error("cannot load {path} nor its .bak: {reason}")]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Writes `value` to `path` in Java's text form (members alphabetical, tabs, integer keys unquoted). The old text
/// becomes `path.bak`; the new one is synced before it takes the name.
///
/// # Errors
/// The I/O error; the old file is then still there.
pub fn save<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    save_text(path, &pretty(&json::to_string(value)))
}

/// Writes text as [`save`] does.
///
/// # Errors
/// The I/O error; the old file is then still there.
pub fn save_text(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    if let Ok(old) = fs::read(path)
        && !old.is_empty()
    {
        if old == text.as_bytes() {
            return Ok(());
        }
        replace(&with_suffix(path, ".bak"), &old)?;
    }
    replace(path, text.as_bytes())?;
    File::open(directory)?.sync_all()
}

/// Loads `path`, or its `.bak` where the file is missing, empty or unreadable; `None` where neither exists.
///
/// # Errors
/// [`LoadError`] when one of them exists and none can be parsed.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LoadError> {
    let mut failure = None;
    for candidate in [path.to_owned(), with_suffix(path, ".bak")] {
        let text = match fs::read(&candidate) {
            Ok(bytes) if bytes.is_empty() => continue,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                failure = Some(error.to_string());
                continue;
            }
        };
        match json::from_slice(&text) {
            Ok(value) => {
                if let Some(reason) = failure {
                    tracing::warn!(file = %path.display(), reason, "loaded the .bak instead");
                }
                return Ok(Some(value));
            }
            Err(error) => failure = Some(error.to_string()),
        }
    }
    match failure {
        Some(reason) => Err(LoadError { path: path.to_owned(), reason }),
        None => Ok(None),
    }
}

/// Breaks Java's compact JSON into lines indented by tabs, as fastjson's pretty format does: one member or element a
/// line, empty containers on one line, no blank after a colon.
pub fn pretty(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() * 2);
    let mut depth = 0;
    let mut in_text = false;
    let mut escaped = false;
    let mut characters = compact.chars().peekable();
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth));
    };
    while let Some(c) = characters.next() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                let close = if c == '{' { '}' } else { ']' };
                if characters.peek() == Some(&close) {
                    out.extend(characters.next());
                } else {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                newline(&mut out, depth);
            }
            '"' => {
                in_text = true;
                out.push(c);
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_text_is_that_of_fastjsons_pretty_format() {
        let compact = r#"{"a":{},"l":["x","y"],"t":{0:5,3:10},"s":"q\"{,}\\"}"#;
        let expected = "{\n\t\"a\":{},\n\t\"l\":[\n\t\t\"x\",\n\t\t\"y\"\n\t],\n\t\"t\":{\n\t\t0:5,\n\t\t3:10\n\t},\n\t\"s\":\"q\\\"{,}\\\\\"\n}";
        assert_eq!(pretty(compact), expected);
    }

    #[test]
    fn a_cut_file_falls_back_to_its_backup_and_two_cut_files_refuse() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config").join("t.json");
        type Table = BTreeMap<i32, i64>;
        assert_eq!(load::<Table>(&path).unwrap(), None);
        save(&path, &Table::from([(1, 10)])).unwrap();
        save(&path, &Table::from([(1, 11)])).unwrap();
        assert_eq!(load::<Table>(&path).unwrap(), Some(Table::from([(1, 11)])));
        fs::write(&path, "{1:1").unwrap();
        assert_eq!(load::<Table>(&path).unwrap(), Some(Table::from([(1, 10)])));
        fs::write(&path, "").unwrap();
        assert_eq!(load::<Table>(&path).unwrap(), Some(Table::from([(1, 10)])));
        fs::write(with_suffix(&path, ".bak"), "nonsense").unwrap();
        assert!(load::<Table>(&path).is_err());
    }
}
