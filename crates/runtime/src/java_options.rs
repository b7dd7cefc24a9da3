//! The `-D` options that start scripts hand to a JVM in `JAVA_OPT` and `JAVA_OPT_EXT`: the few that a server without a
//! JVM must not lose.

use raptormq_base::properties;

/// `com.rocketmq.remoting.frameMaxLength` where it is not given.
const FRAME_MAX: usize = 16_777_216;

/// The value of `-Dname=value`. As for a JVM, the last one counts; `JAVA_OPT_EXT` comes after `JAVA_OPT`.
pub fn java_option(name: &str) -> Option<String> {
    let options = ["JAVA_OPT", "JAVA_OPT_EXT"].map(|name| std::env::var(name).unwrap_or_default());
    find(&options.join(" "), name)
}

fn find(options: &str, name: &str) -> Option<String> {
    let value = |option: &str| {
        option
            .strip_prefix("-D")?
            .strip_prefix(name)?
            .strip_prefix('=')
            .map(|v| v.trim_matches('"').to_owned())
    };
    options.split_whitespace().filter_map(value).next_back()
}

/// The largest frame in bytes, its length field included: `-Dcom.rocketmq.remoting.frameMaxLength`, else 16 MiB
/// (`NettyDecoder.FRAME_MAX_LENGTH`).
///
/// # Errors
/// The text with which to refuse the start when the value is no positive `int`.
pub fn frame_max() -> Result<usize, String> {
    parse_frame_max(java_option("com.rocketmq.remoting.frameMaxLength"))
}

fn parse_frame_max(value: Option<String>) -> Result<usize, String> {
    let Some(value) = value else { return Ok(FRAME_MAX) };
    match value.parse::<i32>().ok().and_then(|n| usize::try_from(n).ok()) {
        Some(length) if length > 0 => Ok(length),
        _ => Err(format!("com.rocketmq.remoting.frameMaxLength={value} is no positive number")),
    }
}

/// What the `-D` options of the store say; each wins over the key of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// `rocketmq.broker.diskSpaceWarningLevelRatio`, in percent.
    pub disk_space_warning_level: Option<u64>,
    /// `rocketmq.broker.diskSpaceCleanForciblyRatio`, in percent.
    pub disk_space_clean_forcibly: Option<u64>,
    /// `rocketmq.broker.multiPathSplitter`: what stands between several commit log directories; a comma by default.
    pub path_splitter: String,
}

/// Reads the [`StoreOptions`]. A ratio that is no number is ignored with a warning; Java's retention fails on it with
/// every run.
pub fn store_options() -> StoreOptions {
    let percent = |name: &str| parse_percent(name, java_option(name)?);
    StoreOptions {
        disk_space_warning_level: percent("rocketmq.broker.diskSpaceWarningLevelRatio"),
        disk_space_clean_forcibly: percent("rocketmq.broker.diskSpaceCleanForciblyRatio"),
        path_splitter: java_option("rocketmq.broker.multiPathSplitter")
            .filter(|splitter| !splitter.is_empty())
            .unwrap_or_else(|| ",".to_owned()),
    }
}

/// A fraction of 1 as percents; an empty text is no option.
fn parse_percent(name: &str, value: String) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let parsed = value.trim().parse::<f64>().ok().filter(|fraction| fraction.is_finite());
    if parsed.is_none() {
        tracing::warn!("-D{name}={value} is no number, it has no effect");
    }
    parsed.map(|fraction| (fraction.clamp(0.0, 1.0) * 100.0).round() as u64)
}

/// Whether TLS is demanded where it cannot be given yet: by `-Dtls.server.mode=enforcing`, or by the TLS configuration
/// file (`-Dtls.config.file`, else `/etc/rocketmq/tls.properties`).
///
/// # Errors
/// The text with which to refuse the start: going on would serve in plain text what must be encrypted.
pub fn refuse_enforced_tls() -> Result<(), String> {
    let file = java_option("tls.config.file").unwrap_or_else(|| "/etc/rocketmq/tls.properties".to_owned());
    let from_file = std::fs::read(&file).ok().and_then(|bytes| {
        let entries = properties::parse(&bytes);
        entries.into_iter().rfind(|e| e.key == "tls.server.mode").map(|e| e.value)
    });
    match from_file.or_else(|| java_option("tls.server.mode")) {
        Some(mode) if mode.trim() == "enforcing" => {
            Err("tls.server.mode=enforcing is not supported yet; starting would serve without TLS".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_options_counts() {
        let options = "-Xmx1g -Da.b=1 -Da.bc=2  -Da.b=\"3\" -Da.b.c=4";
        assert_eq!(find(options, "a.b").as_deref(), Some("3"));
        assert_eq!(find(options, "a.bc").as_deref(), Some("2"));
        assert_eq!(find(options, "a"), None);
        assert_eq!(find("", "a.b"), None);
    }

    #[test]
    fn ratios_are_fractions() {
        for (text, percent) in [
            ("0.8", Some(80)),
            (" 0.355 ", Some(36)),
            ("7", Some(100)),
            ("-1", Some(0)),
            ("", None),
            ("x", None),
            ("NaN", None),
        ] {
            assert_eq!(parse_percent("r", text.to_owned()), percent, "{text}");
        }
    }

    #[test]
    fn a_frame_limit_is_a_positive_int() {
        assert_eq!(parse_frame_max(None), Ok(16_777_216));
        assert_eq!(parse_frame_max(Some("33554432".to_owned())), Ok(33_554_432));
        for bad in ["0", "-1", "16m", "", "2147483648"] {
            assert!(parse_frame_max(Some(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
