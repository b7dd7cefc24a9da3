//! From a conf file to configuration values, and back to text for `-p` and `-m`.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

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
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let date = gmt8(now);
    for section in sections {
        for line in config.print(section, important) {
            say(&format!("{date} INFO main - {line}"));
        }
    }
}

/// `yyyy-MM-dd HH:mm:ss` of seconds since the epoch, eight hours ahead of UTC.
fn gmt8(seconds: u64) -> String {
    let local = seconds + 8 * 3600;
    let (days, rest) = (local / 86_400, local % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Days since 1970-01-01 to a Gregorian date, counting years from March so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
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
