//! The JSON files under `config/`: written so that a crash leaves either the old or the new text, read as Java reads
//! them (`ConfigManager`): a file that is missing, empty or unreadable falls back to its `.bak`.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use raptormq_base::replace::{Files, OsFiles, replace_on, with_suffix};
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
    save_on(&OsFiles, path, text)
}

fn save_on(files: &impl Files, path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    files.create_dirs(directory)?;
    if let Ok(old) = files.read(path)
        && !old.is_empty()
    {
        if old == text.as_bytes() {
            return Ok(());
        }
        replace_on(files, &with_suffix(path, ".bak"), &old)?;
    }
    replace_on(files, path, text.as_bytes())?;
    files.sync_dir(directory)
}

/// Loads `path`, or its `.bak` where the file is missing, empty or unreadable; `None` where neither exists.
///
/// # Errors
/// [`LoadError`] when one of them exists and none can be parsed.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LoadError> {
    load_on(&OsFiles, path)
}

/// What [`load`] would answer; nothing is changed.
///
/// # Errors
/// [`LoadError`] as there.
pub fn peek<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LoadError> {
    struct Untouched;
    impl Files for Untouched {
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            OsFiles.read(path)
        }
        fn write_synced(&self, _: &Path, _: &[u8], _: &Path) -> io::Result<()> {
            Ok(())
        }
        fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
            Ok(())
        }
        fn remove(&self, _: &Path) -> io::Result<()> {
            Ok(())
        }
        fn create_dirs(&self, _: &Path) -> io::Result<()> {
            Ok(())
        }
        fn sync_dir(&self, _: &Path) -> io::Result<()> {
            Ok(())
        }
    }
    load_on(&Untouched, path)
}

fn load_on<T: DeserializeOwned>(files: &impl Files, path: &Path) -> Result<Option<T>, LoadError> {
    let refuse = |reason: String| Err(LoadError { path: path.to_owned(), reason });
    let reason = match parse(files, path) {
        Ok(Some(value)) => return Ok(Some(value)),
        Ok(None) => None,
        Err(reason) => Some(reason),
    };
    match (parse(files, &with_suffix(path, ".bak")), reason) {
        (Ok(Some(value)), None) => {
            tracing::warn!(file = %path.display(), "it is missing or empty, loaded its .bak");
            Ok(Some(value))
        }
        (Ok(Some(value)), Some(reason)) => {
            // The next save makes the present text the `.bak`: it must not be this one, or a crash in between would
            // leave nothing readable. Java 5.5.0 deletes it here.
            let aside = with_suffix(path, ".unreadable");
            if let Err(error) = files.rename(path, &aside) {
                return refuse(format!("{reason}; it cannot be moved aside: {error}"));
            }
            tracing::warn!(file = %path.display(), reason, aside = %aside.display(), "it cannot be read and is moved aside, loaded its .bak");
            Ok(Some(value))
        }
        (Ok(None), None) => Ok(None),
        (Ok(None), Some(reason)) => refuse(reason),
        (Err(of_backup), None) => refuse(format!("it is missing or empty; {of_backup}")),
        (Err(of_backup), Some(reason)) => refuse(format!("{reason}; {of_backup}")),
    }
}

/// The value in a file; `None` where the file is missing or empty.
fn parse<T: DeserializeOwned>(files: &impl Files, path: &Path) -> Result<Option<T>, String> {
    let name = path.file_name().unwrap_or_default().display();
    match files.read(path) {
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            json::from_str(&without_comments(&text)).map(Some).map_err(|error| format!("{name}: {error}"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// The text without byte order mark and comments, which fastjson skips and editors leave.
fn without_comments(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.contains("//") && !text.contains("/*") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = match rest.as_bytes() {
            [b'/', b'/', ..] => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            [b'/', b'*', ..] => {
                rest = rest[2..].find("*/").map_or("", |end| &rest[2 + end + 2..]);
                continue;
            }
            [b'/', ..] | [] => 1,
            [quote, inside @ ..] => text_len(*quote, inside) + 1,
        };
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Bytes up to and with the quote that ends a text, or all of them.
fn text_len(quote: u8, inside: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in inside.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if *byte == quote => return at + 1,
            _ => {}
        }
    }
    inside.len()
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
mod tests;
