//! docs/CONFIG.md: every key of the configuration with what it does here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use raptormq_base::config::{Config, KeyInfo, KeyType, key_table};
use raptormq_broker::config::Resolved;

use super::host;

const BROKER: &str = "crates/broker/src/config.rs";
const NAME_SERVER: &str = "crates/namesrv/src/config.rs";

/// Values with which the broker does not start, besides those that the description of a key tells.
const REFUSED: &[(&str, &str)] = &[
    ("aclEnable", "`true`"),
    ("authenticationEnabled", "`true`"),
    ("authorizationEnabled", "`true`"),
    ("brokerIP1", "no IP address and no host name that resolves"),
    ("brokerRole", "`SLAVE`"),
    ("configManagerVersion", "`v2`"),
    ("enableControllerMode", "`true`"),
    ("enableDLegerCommitLog", "`true`"),
    ("enableSlaveActingMaster", "`true`"),
    ("inSyncReplicas", "above 1 with `brokerRole=SYNC_MASTER`"),
    ("listenPort", "below 3 or above 65533"),
    ("messageDelayLevel", "what is not a list of numbers with `s`, `m`, `h` or `d`"),
    ("namesrvAddr", "what is not a `;`-separated list of `host:port`"),
    ("rocksdbCQDoubleWriteEnable", "`true`"),
    ("storeType", "`defaultRocksDB`"),
];

/// The sections in the order of the document, and who reads them.
const SECTIONS: [(&str, &str); 6] = [
    ("BrokerConfig", "The broker."),
    ("MessageStoreConfig", "The broker's store."),
    ("NettyServerConfig", "The listener of the broker and of the name server."),
    ("NettyClientConfig", "Calls to other servers."),
    ("AuthConfig", "Users and permissions, of the broker."),
    ("NamesrvConfig", "The name server."),
];

const HEAD: &str = "\
# Configuration

<!-- Made by `cargo xtask docs`; `cargo xtask tidy` compares it. -->

The servers read Java's conf files: `java.util.Properties` text in ISO-8859-1, the keys of RocketMQ 5.5.0, one file for
all sections of a server (`mqbroker -c broker.conf`, `mqnamesrv -c namesrv.conf`). conf/ has a small one of each.

- A value that Java would silently ignore (a number with a blank behind it, an unknown key, a name that is none) is ignored
  here too, and told in a WARN line with the file's line number. `--strict-config` refuses to start instead.
- A key below \"Accepted without effect\" is known, returned by `getBrokerConfig` or `getNamesrvConfig`, and otherwise does
  nothing; one WARN line tells so at the start.
- Some values are refused at the start, because going on would open the server or break a promise. They are in the
  tables as \"refused\".
- The environment: `ROCKETMQ_HOME`, `NAMESRV_ADDR`, `ROCKETMQ_SERIALIZE_TYPE` (told in the boot line), `RAPTORMQ_LOG` for
  the log level, and of `JAVA_OPT` and `JAVA_OPT_EXT` these options: `-Duser.home`, `-Dtls.server.mode`, `-Dtls.config.file`,
  `-Dcom.rocketmq.remoting.frameMaxLength`, `-Drocketmq.broker.multiPathSplitter`,
  `-Drocketmq.broker.diskSpaceWarningLevelRatio` and `-Drocketmq.broker.diskSpaceCleanForciblyRatio`.
- `updateBrokerConfig` changes every known key and rewrites the conf file. Keys that are looked at per request (names,
  addresses, permissions, what may be created) act at once, and so do the store's limits of messages and answers, the
  periods of its flushes and the rules of its retention. Capacities, sizes of files, and the keys of the listener act at the
  next start. No request changes `brokerConfigPath`, `rocketmqHome`, `configBlackList`, the keys named in it, or
  a path: see DIFFERENCES.md.
";

/// A key's meaning, from the documentation of the field that it fills.
type Meanings = BTreeMap<(String, String), String>;

pub fn text(root: &Path) -> Result<String> {
    let broker = meanings(&read(root, BROKER)?);
    let name_server = meanings(&read(root, NAME_SERVER)?);
    let mut out = HEAD.to_owned();
    let mut index = Vec::new();
    let mut body = String::new();
    for (section, reader) in SECTIONS {
        let keys: Vec<&KeyInfo> =
            key_table().get(section).context(section)?.iter().filter(|k| k.settable).collect();
        let of = |meanings: &Meanings, key: &KeyInfo| {
            meanings.get(&(section.to_owned(), key.name.clone())).cloned()
        };
        let meaning = |key: &KeyInfo| match (of(&broker, key), of(&name_server, key)) {
            (Some(broker), Some(names)) if broker != names => Some(format!("{broker} Name server: {names}")),
            (Some(only), _) => Some(only),
            (None, Some(only)) if section.starts_with("Netty") => Some(format!("Name server: {only}")),
            (None, only) => only,
        };
        let (honoured, ignored): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| meaning(key).is_some());
        index.push(format!("| {section} | {} | {} |", honoured.len(), ignored.len()));
        writeln!(body, "\n## {section}\n\n{reader}")?;
        if !honoured.is_empty() {
            body.push_str("\n### Honoured\n\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
        }
        for key in honoured {
            let meaning = meaning(key).unwrap_or_default();
            let refused = match refused(section, key) {
                Some(value) if !meaning.starts_with("Refused") => format!(" Refused: {value}."),
                _ => String::new(),
            };
            let row = (kind(key), default(section, key));
            writeln!(body, "| `{}` | {} | {} | {meaning}{refused} |", key.name, row.0, row.1)?;
        }
        if !ignored.is_empty() {
            body.push_str("\n### Accepted without effect\n\n| Key | Type | Default |\n|---|---|---|\n");
        }
        for key in ignored {
            writeln!(body, "| `{}` | {} | {} |", key.name, kind(key), default(section, key))?;
        }
    }
    writeln!(
        out,
        "\n| Section | Honoured | Accepted without effect |\n|---|---:|---:|\n{}",
        index.join("\n")
    )?;
    out.push_str(&body);
    Ok(out)
}

fn read(root: &Path, path: &str) -> Result<String> {
    std::fs::read_to_string(root.join(path)).with_context(|| path.to_owned())
}

fn refused(section: &str, key: &KeyInfo) -> Option<&'static str> {
    // The key of the same name in another section says the same thing; it is told once, where the broker reads it.
    let elsewhere = section == "NamesrvConfig" || (section == "BrokerConfig" && key.name == "listenPort");
    let found = REFUSED.iter().find(|(name, _)| *name == key.name && !elsewhere);
    found.map(|(_, value)| *value)
}

fn kind(key: &KeyInfo) -> String {
    match &key.kind {
        KeyType::Int => "int".to_owned(),
        KeyType::Long => "long".to_owned(),
        KeyType::Boolean => "boolean".to_owned(),
        KeyType::Double => "double".to_owned(),
        KeyType::Text => "text".to_owned(),
        KeyType::Enum(names) => names.join(", "),
    }
}

/// The default of the server that reads the key, or of both where they differ.
fn default(section: &'static str, key: &KeyInfo) -> String {
    match (section, key.name.as_str()) {
        ("BrokerConfig", "listenPort") => return "that of the listener".to_owned(),
        ("MessageStoreConfig", "haListenPort") => return "`listenPort` + 1".to_owned(),
        _ => {}
    }
    let value = |config: Config| config.get(section, &key.name).unwrap_or_default().to_owned();
    let of_broker = |cpus| match section {
        "NamesrvConfig" => Config::new(&[section], &host(cpus)),
        _ => Resolved::defaults(&host(cpus)),
    };
    let (few, many) = (value(of_broker(2)), value(of_broker(64)));
    if few != many {
        return "by the number of CPUs".to_owned();
    }
    let shown = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    if section != "NettyServerConfig" {
        return shown(&few);
    }
    match raptormq_namesrv::load(&host(2), None, false).map(value) {
        Ok(other) if other != few => format!("{}, name server {}", shown(&few), shown(&other)),
        _ => shown(&few),
    }
}

/// Section and key → meaning, from the `settings!` declarations of a source file.
fn meanings(source: &str) -> Meanings {
    let mut meanings = Meanings::new();
    let mut section = None;
    let mut comment = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment = [comment.trim_end(), text.trim()].join(" ").trim().to_owned();
            continue;
        }
        if line.starts_with("pub struct") && line.contains(" from \"") {
            section = line.split('"').nth(1).map(str::to_owned);
        } else if line == "}" {
            section = None;
        } else if let (Some(section), Some((_, key))) = (&section, line.split_once(" = \""))
            && let Some(key) = key.strip_suffix("\",")
        {
            meanings.insert((section.clone(), key.to_owned()), std::mem::take(&mut comment));
        }
        comment.clear();
    }
    meanings
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_base::properties;

    #[test]
    fn meanings_are_those_of_the_keys_that_are_honoured() {
        let root = crate::root().unwrap();
        let found = meanings(&read(&root, BROKER).unwrap());
        let honoured: Vec<&str> = raptormq_broker::config::HONOURED.concat();
        assert_eq!(found.len(), honoured.len());
        assert!(found.iter().all(|((_, key), text)| honoured.contains(&key.as_str()) && text.ends_with('.')));
        let names = meanings(&read(&root, NAME_SERVER).unwrap());
        assert!(names.contains_key(&("NamesrvConfig".to_owned(), "supportActingMaster".to_owned())));
    }

    #[test]
    fn a_comment_of_two_lines_is_one_meaning_and_a_key_elsewhere_is_none() {
        let source = "settings! {\npub struct S from \"X\" {\n/// One\n/// two.\na: i32 = \"keyA\",\n}\n}\nlet b = \"keyB\",";
        let found = meanings(source);
        let only = found.iter().next().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((only.0.1.as_str(), only.1.as_str()), ("keyA", "One two."));
    }

    #[test]
    fn what_is_called_refused_is_refused() {
        let examples = [
            ("aclEnable", "aclEnable=true"),
            ("authenticationEnabled", "authenticationEnabled=true"),
            ("authorizationEnabled", "authorizationEnabled=true"),
            ("brokerIP1", "brokerIP1=no such host"),
            ("brokerRole", "brokerRole=SLAVE\nbrokerId=1"),
            ("enableControllerMode", "enableControllerMode=true"),
            ("enableDLegerCommitLog", "enableDLegerCommitLog=true"),
            ("enableSlaveActingMaster", "enableSlaveActingMaster=true"),
            ("inSyncReplicas", "brokerRole=SYNC_MASTER\ninSyncReplicas=2"),
            ("listenPort", "listenPort=2"),
            ("namesrvAddr", "namesrvAddr=nonsense"),
            ("configManagerVersion", "configManagerVersion=v2"),
            ("rocksdbCQDoubleWriteEnable", "rocksdbCQDoubleWriteEnable=true"),
            ("storeType", "storeType=defaultRocksDB"),
        ];
        for (key, text) in examples {
            assert!(resolve(text).is_err(), "{text}");
            assert!(REFUSED.iter().any(|(name, _)| *name == key), "{key}");
        }
        assert!(raptormq_broker::config::parse_delay_levels("1s 2x").is_err());
        assert_eq!(REFUSED.len(), examples.len() + 1, "messageDelayLevel is refused when the broker starts");
        assert!(resolve("").is_ok());
    }

    fn resolve(text: &str) -> Result<Resolved, raptormq_broker::config::ConfigRefused> {
        let mut config = Resolved::defaults(&host(2));
        let before = "brokerIP1=127.0.0.1\nnamesrvAddr=\n";
        config.load(&properties::parse(format!("{before}{text}").as_bytes()));
        Resolved::resolve(config, None)
    }
}
