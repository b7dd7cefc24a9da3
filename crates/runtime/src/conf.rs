//! From a conf file to configuration values, and back to text for `-p` and `-m`.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use raptormq_base::config::Config;
use raptormq_base::properties;

use crate::console::say;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// `--strict-config` and lines without effect.
    #[error("the configuration has lines that would have no effect")]
    Strict,
}

/// Overlays `config` with `file`, if there is one. Each line that Java would silently ignore is logged as a warning; so
/// is each key that is known but not among `honoured`.
///
/// # Errors
/// [`ConfError`].
pub fn load_config(
    config: &mut Config,
    file: Option<&Path>,
    honoured: &[&[&str]],
    strict: bool,
) -> Result<(), ConfError> {
    let Some(file) = file else { return Ok(()) };
    let bytes = std::fs::read(file).map_err(|e| ConfError::Read(file.to_owned(), e))?;
    let entries = properties::parse(&bytes);
    let warnings = config.load(&entries);
    for warning in &warnings {
        tracing::warn!(file = %file.display(), line = warning.line, key = warning.key, "{}", warning.text);
    }
    for entry in &entries {
        let known = warnings.iter().all(|w| w.key != entry.key);
        if known && !honoured.iter().any(|keys| keys.contains(&entry.key.as_str())) {
            tracing::warn!(file = %file.display(), line = entry.line, key = entry.key, "accepted, without effect here");
        }
    }
    if strict && !warnings.is_empty() { Err(ConfError::Strict) } else { Ok(()) }
}

/// Prints `sections` as Java's console logger does: `DATE INFO main - key=value`, the date always in GMT+8.
pub fn print_config(config: &Config, sections: &[&str], important: bool) {
    let date = gmt8(Utc::now().timestamp());
    for section in sections {
        for line in config.print(section, important) {
            say(&format!("{date} INFO main - {line}"));
        }
    }
}

/// `yyyy-MM-dd HH:mm:ss` of seconds since the epoch, eight hours ahead of UTC.
fn gmt8(seconds: i64) -> String {
    let local = DateTime::from_timestamp(seconds + 8 * 3600, 0).unwrap_or_default();
    local.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_eight_hours_ahead_of_utc() {
        assert_eq!(gmt8(0), "1970-01-01 08:00:00");
        assert_eq!(gmt8(951_782_399), "2000-02-29 07:59:59");
        assert_eq!(gmt8(1_795_279_457), "2026-11-22 00:44:17");
    }
}
