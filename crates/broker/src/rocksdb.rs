//! Stores whose tables or queues a Java broker keeps in RocksDB. They are told by their keys and by their files, and
//! refused with the way out: nothing here reads RocksDB, and starting beside it would begin with empty tables.
//!
//! A `rocksdbstore` directory alone says nothing: every 5.5.0 broker leaves one.

use std::path::Path;

use crate::config::{BrokerSettings, ConfigRefused, StoreSettings};

/// The directories below `config` in which `storeType=defaultRocksDB` keeps tables, and the files that hold the same
/// tables otherwise.
const TABLES: [(&str, &str); 3] = [
    ("topics", "topics.json"),
    ("subscriptionGroups", "subscriptionGroup.json"),
    ("consumerOffsets", "consumerOffset.json"),
];

/// Refuses keys with which a Java broker uses RocksDB for what this broker must read.
///
/// # Errors
/// [`ConfigRefused`] with exit code 253.
pub fn refuse_keys(broker: &BrokerSettings, store: &StoreSettings) -> Result<(), ConfigRefused> {
    let root = Path::new(&store.store_path_root_dir);
    // As `isEnableRocksDBStore`; any other text means the file store.
    if store.store_type.eq_ignore_ascii_case("defaultRocksDB") {
        let found = format!("storeType={}", store.store_type);
        return Err(refused(&found, "queues and tables of the store", Some(root)));
    }
    if broker.config_manager_version == "v2" {
        return Err(refused("configManagerVersion=v2", "tables", None));
    }
    if store.rocksdb_cq_double_write_enable {
        let text = "rocksdbCQDoubleWriteEnable=true is not supported: the consume queues in RocksDB would not be written. Remove the key and move the RocksDB directory (consumequeue_rocksdb, or the files in consumequeue) away to go on with the consume queues in files.";
        return Err(ConfigRefused { text: text.to_owned(), exit_code: 253 });
    }
    Ok(())
}

/// Refuses a store in which a Java broker has left RocksDB queues or tables, whatever the keys say now.
///
/// # Errors
/// [`ConfigRefused`] with exit code 253, which names the file that tells.
pub fn refuse_files(root: &Path) -> Result<(), ConfigRefused> {
    let queues = root.join("consumequeue").join("CURRENT");
    if queues.exists() {
        let found = format!("{} was made by storeType=defaultRocksDB", queues.display());
        return Err(refused(&found, "consume queues", Some(root)));
    }
    for (directory, _) in TABLES {
        let table = root.join("config").join(directory).join("CURRENT");
        if table.exists() {
            let found = format!("{} was made by storeType=defaultRocksDB", table.display());
            return Err(refused(&found, directory, Some(root)));
        }
    }
    let all = root.join("config").join("rdb").join("CURRENT");
    if all.exists() {
        let found = format!("{} was made by configManagerVersion=v2", all.display());
        return Err(refused(&found, "tables", None));
    }
    Ok(())
}

/// The refusal, with the commands that turn the store `convertible` into one of files.
fn refused(found: &str, what: &str, convertible: Option<&Path>) -> ConfigRefused {
    let way_out = match convertible {
        Some(root) => {
            let exports: Vec<String> = TABLES.iter().map(|table| export(root, *table)).collect();
            format!(
                "or turn the store into one of files while no broker runs on it: {}; then move the directories config/topics, config/subscriptionGroups, config/consumerOffsets and consumequeue out of the store and remove storeType from the conf file. The consume queues are rebuilt from the commit log",
                exports.join(" ; ")
            )
        }
        None => "or start a broker without that key on an empty store beside it, and create topics and groups there (mqadmin exportMetadata lists them)".to_owned(),
    };
    let text = format!(
        "{found}: the {what} are kept in RocksDB, which is not supported. Go on with the Java broker, {way_out}."
    );
    ConfigRefused { text, exit_code: 253 }
}

fn export(root: &Path, (directory, file): (&str, &str)) -> String {
    let config = root.join("config");
    let (from, to) = (config.display(), config.join(file));
    format!("mqadmin rocksDBConfigToJson -p {from} -t {directory} -e {}", to.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_of_rocksdb_is_named_and_a_rocksdbstore_alone_is_normal() {
        for (file, key) in [
            ("consumequeue/CURRENT", "storeType=defaultRocksDB"),
            ("config/topics/CURRENT", "storeType=defaultRocksDB"),
            ("config/subscriptionGroups/CURRENT", "storeType=defaultRocksDB"),
            ("config/consumerOffsets/CURRENT", "storeType=defaultRocksDB"),
            ("config/rdb/CURRENT", "configManagerVersion=v2"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let normal = root.path().join("rocksdbstore");
            std::fs::create_dir_all(&normal).unwrap();
            std::fs::write(normal.join("CURRENT"), "MANIFEST-000005\n").unwrap();
            assert_eq!(refuse_files(root.path()), Ok(()));
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "MANIFEST-000005\n").unwrap();
            let refused = refuse_files(root.path()).unwrap_err();
            assert_eq!(refused.exit_code, 253);
            assert!(refused.text.contains(&path.display().to_string()), "{}", refused.text);
            assert!(refused.text.contains(key), "{}", refused.text);
        }
    }
}
