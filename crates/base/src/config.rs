//! Configuration as the Java servers hold it: named sections (`BrokerConfig`, `MessageStoreConfig`, …) of keys with a
//! type and a default, taken from one table (`data/config_keys.json`, extracted from the 5.5.0 classes, and
//! `moveRecordsBehindDamage`, which Java does not have and ignores), filled from
//! properties by Java's rules, and read through typed snapshots made with [`settings!`](crate::settings).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::properties::Entry;

/// Java type of a key, which decides what text it accepts (`MixAll.properties2Object`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyType {
    /// `int`
    Int,
    /// `long`
    Long,
    /// `boolean`: `true` in any case is true, everything else is false.
    Boolean,
    /// `double`
    Double,
    /// `String`, trimmed when set.
    Text,
    /// A Java enum with a setter that takes its name.
    Enum(Vec<String>),
}

impl KeyType {
    fn parse(text: &str) -> Self {
        match text {
            "int" => Self::Int,
            "long" => Self::Long,
            "boolean" => Self::Boolean,
            "double" => Self::Double,
            other => match other.strip_prefix("enum:") {
                Some(names) => Self::Enum(names.split('|').map(str::to_owned).collect()),
                None => Self::Text,
            },
        }
    }

    /// The text under which Java would hold `value`, or `None` where Java's parser throws and the old value stays.
    fn accept(&self, value: &str) -> Option<String> {
        match self {
            Self::Int => value.parse::<i32>().ok().map(|n| n.to_string()),
            Self::Long => value.parse::<i64>().ok().map(|n| n.to_string()),
            Self::Boolean => Some(value.eq_ignore_ascii_case("true").to_string()),
            Self::Double => value.trim().parse::<f64>().ok().map(java_double),
            Self::Text => Some(value.trim().to_owned()),
            Self::Enum(names) => names.iter().find(|n| *n == value).cloned(),
        }
    }
}

/// `Double.toString` for the magnitudes that configuration uses.
fn java_double(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e7 { format!("{value:.1}") } else { value.to_string() }
}

/// One key of one section.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// Name as written in a conf file.
    pub name: String,
    /// Its Java type.
    pub kind: KeyType,
    /// Default as text; `None` where Java's field is null or depends on the host.
    pub default: Option<String>,
    /// Whether a conf file or an update can set it (Java has a setter).
    pub settable: bool,
    /// Whether it is printed and returned (Java has a field of that name).
    pub readable: bool,
    /// Printed by `-m` (annotated `ImportantField`).
    pub important: bool,
}

/// All keys of all sections, in alphabetical order within a section.
pub fn key_table() -> &'static BTreeMap<String, Vec<KeyInfo>> {
    static TABLE: OnceLock<BTreeMap<String, Vec<KeyInfo>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let raw: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
            serde_json::from_str(include_str!("../data/config_keys.json"))
                .expect("the embedded key table is valid JSON, which a test shows");
        raw.into_iter()
            .map(|(section, keys)| (section, keys.into_iter().map(|(name, v)| key_info(name, &v)).collect()))
            .collect()
    })
}

fn key_info(name: String, value: &serde_json::Value) -> KeyInfo {
    let flag = |key: &str, absent: bool| value[key].as_bool().unwrap_or(absent);
    KeyInfo {
        name,
        kind: KeyType::parse(value["type"].as_str().unwrap_or("String")),
        default: value["default"].as_str().map(str::to_owned),
        settable: flag("set", true),
        readable: flag("get", true),
        important: flag("important", false),
    }
}

/// Facts about the machine and the process that some defaults depend on.
#[derive(Debug, Clone)]
pub struct Host {
    /// `user.home`: the parent of the default store, log and name-server directories.
    pub user_home: String,
    /// `ROCKETMQ_HOME`, if set.
    pub rocketmq_home: Option<String>,
    /// `NAMESRV_ADDR`, if set.
    pub namesrv_addr: Option<String>,
    /// Name of the machine, the default broker name.
    pub hostname: String,
    /// The address that Java's `NetworkUtil.getLocalAddress` would pick.
    pub local_address: String,
    /// Number of CPUs.
    pub cpus: usize,
}

/// A value that a conf file offered and that was not taken as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Line of the file.
    pub line: usize,
    /// The key.
    pub key: String,
    /// What is wrong and what happens instead.
    pub text: String,
}

/// The values of a process: sections in the order in which Java prints them.
#[derive(Debug, Clone)]
pub struct Config {
    sections: Vec<(&'static str, BTreeMap<&'static str, String>)>,
    /// Keys of the conf file that belong to no section, kept and returned as Java does.
    unknown: BTreeMap<String, String>,
}

impl Config {
    /// The defaults of `sections` on `host`.
    ///
    /// # Panics
    /// If a section name is not in the key table, which is an error in the program.
    pub fn new(sections: &[&'static str], host: &Host) -> Self {
        let mut filled = Vec::new();
        for section in sections {
            let keys = key_table().get(*section).expect("sections are named by the program");
            let values = keys
                .iter()
                .filter_map(|key| default_value(section, key, host).map(|value| (key.name.as_str(), value)))
                .collect();
            filled.push((*section, values));
        }
        Self { sections: filled, unknown: BTreeMap::new() }
    }

    /// Sets keys from a conf file. What Java silently ignores is ignored too, but told in the returned warnings.
    pub fn load(&mut self, entries: &[Entry]) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for entry in entries {
            let warn = |text: String| Warning { line: entry.line, key: entry.key.clone(), text };
            match self.offer(&entry.key, &entry.value) {
                Offer::Taken => {}
                Offer::Bad(kind) => warnings.push(warn(format!(
                    "'{}' is not a valid {kind}; the value stays {}",
                    entry.value,
                    self.sections.iter().find_map(|(_, v)| v.get(entry.key.as_str())).map_or("unset", |v| v)
                ))),
                Offer::Unknown => {
                    let near = nearest(&entry.key).map_or(String::new(), |k| format!("; did you mean {k}?"));
                    warnings.push(warn(format!("unknown key, it has no effect{near}")));
                    self.unknown.insert(entry.key.clone(), entry.value.clone());
                }
            }
        }
        warnings
    }

    /// Sets one key wherever it exists; tells whether any section took it.
    pub fn set(&mut self, key: &str, value: &str) -> bool {
        matches!(self.offer(key, value), Offer::Taken)
    }

    /// Sets one key in one section only, as a Java setter call does.
    pub fn set_in(&mut self, section: &str, key: &'static str, value: impl Into<String>) {
        if let Some((_, values)) = self.sections.iter_mut().find(|(name, _)| *name == section) {
            values.insert(key, value.into());
        }
    }

    /// Updates keys as `Configuration.update` does: only keys that exist, the rest is ignored.
    pub fn update(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Offer::Unknown = self.offer(&entry.key, &entry.value)
                && self.unknown.contains_key(&entry.key)
            {
                self.unknown.insert(entry.key.clone(), entry.value.clone());
            }
        }
    }

    fn offer(&mut self, key: &str, value: &str) -> Offer {
        let mut outcome = Offer::Unknown;
        for (section, values) in &mut self.sections {
            let Some(info) = find_key(section, key) else { continue };
            if !info.settable {
                continue;
            }
            match info.kind.accept(value) {
                Some(text) => {
                    values.insert(info.name.as_str(), text);
                    outcome = Offer::Taken;
                }
                None if matches!(outcome, Offer::Unknown) => outcome = Offer::Bad(kind_name(&info.kind)),
                None => {}
            }
        }
        outcome
    }

    /// The text of a key, `None` where Java holds null.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let (_, values) = self.sections.iter().find(|(name, _)| *name == section)?;
        values.get(key).map(String::as_str)
    }

    /// `key=value` for each key that Java would print with `-p` (all) or `-m` (`important` only); null prints empty.
    pub fn print(&self, section: &str, important: bool) -> Vec<String> {
        let keys = key_table().get(section).map_or(&[][..], Vec::as_slice);
        keys.iter()
            .filter(|k| k.readable && (k.important || !important))
            .map(|k| format!("{}={}", k.name, self.get(section, &k.name).unwrap_or("")))
            .collect()
    }

    /// All keys that have a value, as `getBrokerConfig` returns them: later sections win over earlier ones.
    pub fn all(&self) -> BTreeMap<&str, &str> {
        let mut all: BTreeMap<&str, &str> =
            self.unknown.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        for (section, values) in &self.sections {
            for (key, value) in values {
                if find_key(section, key).is_some_and(|k| k.readable) {
                    all.insert(key, value);
                }
            }
        }
        all
    }
}

enum Offer {
    Taken,
    Bad(&'static str),
    Unknown,
}

fn kind_name(kind: &KeyType) -> &'static str {
    match kind {
        KeyType::Int => "int",
        KeyType::Long => "long",
        KeyType::Boolean => "boolean",
        KeyType::Double => "double",
        KeyType::Text => "text",
        KeyType::Enum(_) => "name for this key",
    }
}

fn find_key(section: &str, key: &str) -> Option<&'static KeyInfo> {
    let keys = key_table().get(section)?;
    keys.binary_search_by(|k| k.name.as_str().cmp(key)).ok().map(|at| &keys[at])
}

/// The known key that differs least from `key`, if it is near enough to be a slip of the pen.
fn nearest(key: &str) -> Option<&'static str> {
    key_table()
        .values()
        .flatten()
        .map(|info| (distance(key, &info.name), info.name.as_str()))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, name)| name)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// Defaults that Java computes from the host; the formulas are those of `BrokerConfig` and `NettyClientConfig`.
fn default_value(section: &str, key: &KeyInfo, host: &Host) -> Option<String> {
    let cpus = host.cpus;
    let value = match (section, key.name.as_str()) {
        (_, "rocketmqHome") => return host.rocketmq_home.clone(),
        ("BrokerConfig", "namesrvAddr") => return host.namesrv_addr.clone(),
        ("BrokerConfig", "brokerIP1" | "brokerIP2") => host.local_address.clone(),
        ("BrokerConfig", "brokerName") => host.hostname.clone(),
        ("BrokerConfig", "sendMessageThreadPoolNums" | "putMessageFutureThreadPoolNums") => {
            cpus.min(4).to_string()
        }
        (
            "BrokerConfig",
            "pullMessageThreadPoolNums"
            | "litePullMessageThreadPoolNums"
            | "processReplyMessageThreadPoolNums",
        ) => (16 + cpus * 2).to_string(),
        ("BrokerConfig", "queryMessageThreadPoolNums") => (8 + cpus).to_string(),
        ("BrokerConfig", "endTransactionThreadPoolNums") => (8 + cpus * 2).to_string(),
        ("BrokerConfig", "heartbeatThreadPoolNums") => cpus.min(32).to_string(),
        ("NettyClientConfig", "clientCallbackExecutorThreads") => cpus.to_string(),
        _ => return key.default.as_ref().map(|text| text.replace("${user.home}", &host.user_home)),
    };
    Some(value)
}

/// Text to value for the fields of a [`settings!`](crate::settings) struct. Never fails: the text was checked when it
/// was set, and a null reads as the type's empty value.
pub trait FromText {
    /// Reads the value.
    fn from_text(text: Option<&str>) -> Self;
}

macro_rules! from_text_by_parse {
    ($($ty:ty),*) => {$(
        impl FromText for $ty {
            fn from_text(text: Option<&str>) -> Self {
                text.and_then(|t| t.parse().ok()).unwrap_or_default()
            }
        }
    )*};
}
from_text_by_parse!(i32, i64, bool, f64);

impl FromText for String {
    fn from_text(text: Option<&str>) -> Self {
        text.unwrap_or_default().to_owned()
    }
}

impl FromText for Option<String> {
    fn from_text(text: Option<&str>) -> Self {
        text.map(str::to_owned)
    }
}

/// Declares a typed snapshot of the keys of one section that the program honours. The default of each key is the
/// table's; `KEYS` lists the names, so that a conf key which nobody honours can be told to the operator.
#[macro_export]
macro_rules! settings {
    ($(#[$meta:meta])* $vis:vis struct $name:ident from $section:literal {
        $($(#[$fmeta:meta])* $field:ident : $ty:ty = $key:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name { $($(#[$fmeta])* pub $field: $ty,)* }
        impl $name {
            /// The section of the key table.
            pub const SECTION: &'static str = $section;
            /// The keys that this snapshot honours.
            pub const KEYS: &'static [&'static str] = &[$($key),*];
            /// Reads the snapshot.
            pub fn from_config(config: &$crate::config::Config) -> Self {
                Self { $($field: $crate::config::FromText::from_text(config.get($section, $key)),)* }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            user_home: "/home/u".into(),
            rocketmq_home: None,
            namesrv_addr: None,
            hostname: "box".into(),
            local_address: "10.0.0.1".into(),
            cpus: 2,
        }
    }

    settings! {
        struct Some from "MessageStoreConfig" {
            size: i32 = "mappedFileSizeCommitLog",
            root: String = "storePathRootDir",
            log: Option<String> = "storePathCommitLog",
            flush: String = "flushDiskType",
        }
    }

    fn loaded(text: &str) -> (Config, Vec<Warning>) {
        let mut config = Config::new(&["BrokerConfig", "MessageStoreConfig", "NettyServerConfig"], &host());
        let warnings = config.load(&crate::properties::parse(text.as_bytes()));
        (config, warnings)
    }

    #[test]
    fn every_key_of_a_snapshot_exists_and_defaults_are_javas() {
        let (config, _) = loaded("");
        assert!(Some::KEYS.iter().all(|k| find_key(Some::SECTION, k).is_some()));
        let some = Some::from_config(&config);
        assert_eq!((some.size, some.root.as_str(), some.log), (1 << 30, "/home/u/store", None));
        assert_eq!(config.get("BrokerConfig", "pullMessageThreadPoolNums"), Option::Some("20"));
        assert_eq!(config.get("BrokerConfig", "brokerName"), Option::Some("box"));
    }

    #[test]
    fn values_are_taken_as_java_takes_them() {
        let (config, warnings) = loaded(
            "listenPort=10911 \nbrokerName= b \nautoCreateTopicEnable=yes\nflushDiskType=SYNC_FLUSH\n\
             mapedFileSizeCommitLog=1\nflushIntervalCommitLog=1x\nbrokerId=+1",
        );
        assert_eq!(
            config.get("NettyServerConfig", "listenPort"),
            Option::Some("0"),
            "a blank spoils a number"
        );
        assert_eq!(config.get("BrokerConfig", "brokerName"), Option::Some("b"));
        assert_eq!(config.get("BrokerConfig", "autoCreateTopicEnable"), Option::Some("false"));
        assert_eq!(config.get("BrokerConfig", "brokerId"), Option::Some("1"));
        assert_eq!(Some::from_config(&config).flush, "SYNC_FLUSH");
        let keys: Vec<_> = warnings.iter().map(|w| (w.line, w.key.as_str())).collect();
        assert_eq!(keys, [(1, "listenPort"), (5, "mapedFileSizeCommitLog"), (6, "flushIntervalCommitLog")]);
        assert!(warnings[1].text.contains("did you mean mappedFileSizeCommitLog?"), "{}", warnings[1].text);
        assert_eq!(
            config.all().get("mapedFileSizeCommitLog"),
            Option::Some(&"1"),
            "unknown keys are returned"
        );
    }
}
