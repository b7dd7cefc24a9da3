//! The name server's key-value configuration, in `kvConfigPath` (default `$HOME/namesrv/kvConfig.json`).
//!
//! One JSON object, rewritten as a whole with every change: to a new file, synced, then renamed, with the text before
//! in `.bak`. After any crash one of the two is whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, RwLock};
use raptormq_base::replace::{replace, with_suffix};
use raptormq_wire::body::{KVConfigSerializeWrapper, KVTable};
use raptormq_wire::json;

/// The namespace whose keys are ordered topics.
pub const NAMESPACE_ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

type Table = BTreeMap<String, BTreeMap<String, String>>;

/// The table and its file.
#[derive(Debug)]
pub struct KvStore {
    path: PathBuf,
    table: RwLock<Table>,
    /// Held while the file is written, so that an older table never replaces a newer one.
    writing: Mutex<()>,
}

/// Why the stored table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The file, or its backup, is there and cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Neither the file nor its backup holds the JSON it should. Starting without it would lose it with the next
    /// change, so the operator has to move it away.
    #[error("{path} does not hold a key-value table: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
}

impl KvStore {
    /// Loads the table; a file that does not exist is an empty one.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KvError> {
        let path = path.into();
        let table = match read(&path) {
            Ok(Some(table)) => table,
            Ok(None) => read(&backup(&path))?.unwrap_or_default(),
            Err(damaged) => match read(&backup(&path)) {
                Ok(Some(table)) => {
                    // The next change makes the present text the backup: it must not be this one.
                    let aside = with_suffix(&path, ".unreadable");
                    if let Err(source) = fs::rename(&path, &aside) {
                        return Err(KvError::Read { path: aside, source });
                    }
                    tracing::warn!(%damaged, aside = %aside.display(), "the backup of the key-value table is used");
                    table
                }
                _ => return Err(damaged),
            },
        };
        Ok(Self { path, table: RwLock::new(table), writing: Mutex::default() })
    }

    /// An empty table without a file; changes stay in memory.
    pub(crate) fn empty() -> Self {
        Self { path: PathBuf::new(), table: RwLock::default(), writing: Mutex::default() }
    }

    /// Sets a key; without a value it is removed. Returns after the change is on disk. A write that fails is logged
    /// and the change stays in memory, as in Java.
    pub fn put(&self, namespace: &str, key: &str, value: Option<&str>) {
        {
            let mut table = self.table.write();
            let keys = table.entry(namespace.to_owned()).or_default();
            match value {
                Some(value) => drop(keys.insert(key.to_owned(), value.to_owned())),
                None => drop(keys.remove(key)),
            }
        }
        tracing::info!(namespace, key, value, "key-value configuration set");
        self.persist();
    }

    /// Removes a key.
    pub fn delete(&self, namespace: &str, key: &str) {
        if let Some(keys) = self.table.write().get_mut(namespace) {
            keys.remove(key);
        }
        tracing::info!(namespace, key, "key-value configuration removed");
        self.persist();
    }

    /// The value of a key.
    pub fn get(&self, namespace: &str, key: &str) -> Option<String> {
        self.table.read().get(namespace)?.get(key).cloned()
    }

    /// All keys of a namespace as the JSON of a `KVTable`; `None` when there is no such namespace.
    pub fn list(&self, namespace: &str) -> Option<Vec<u8>> {
        let table = self.table.read().get(namespace)?.clone();
        Some(json::to_vec(&KVTable { table }))
    }

    fn persist(&self) {
        let _writing = self.writing.lock();
        let text = json::to_string(&KVConfigSerializeWrapper { config_table: self.table.read().clone() });
        if let Err(error) = replace_file(&self.path, text.as_bytes()) {
            tracing::error!(path = %self.path.display(), %error, "the key-value table was not written");
        }
    }
}

fn read(path: &Path) -> Result<Option<Table>, KvError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(KvError::Read { path: path.to_owned(), source }),
    };
    let parsed = json::from_slice::<KVConfigSerializeWrapper>(&bytes);
    parsed
        .map(|wrapper| Some(wrapper.config_table))
        .map_err(|e| KvError::Damaged { path: path.to_owned(), reason: e.to_string() })
}

fn backup(path: &Path) -> PathBuf {
    with_suffix(path, ".bak")
}

/// Replaces `path` by a file with `content` so that a crash leaves either the old or the new text; the old text is
/// kept in `.bak`. Creates the directory when it is missing.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    if let Ok(before) = fs::read(path) {
        replace(&backup(path), &before)?;
    }
    replace(path, content)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &tempfile::TempDir) -> KvStore {
        KvStore::open(dir.path().join("namesrv/kvConfig.json")).unwrap()
    }

    #[test]
    fn a_damaged_table_never_becomes_the_backup() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kvConfig.json");
        let store = KvStore::open(&path).unwrap();
        store.put("n", "a", Some("1"));
        store.put("n", "b", Some("2"));
        drop(store);
        fs::write(&path, "{\"conf").unwrap();
        let store = KvStore::open(&path).unwrap();
        assert_eq!(store.get("n", "a").as_deref(), Some("1"));
        store.put("n", "c", Some("3"));
        drop(store);
        let aside = directory.path().join("kvConfig.json.unreadable");
        assert_eq!(fs::read_to_string(aside).unwrap(), "{\"conf");
        if let Ok(text) = fs::read_to_string(backup(&path)) {
            assert!(text.contains("\"a\""), "{text}");
        }
    }

    #[test]
    fn what_was_put_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let kv = store(&dir);
        assert_eq!(kv.list("ns"), None);
        kv.put("ns", "k", Some("v\u{e9}"));
        kv.put("ns", "gone", Some("x"));
        kv.delete("ns", "gone");
        kv.delete("none", "k");
        let again = store(&dir);
        assert_eq!(again.get("ns", "k").as_deref(), Some("v\u{e9}"));
        assert_eq!(again.get("ns", "gone"), None);
        assert_eq!(again.list("ns").unwrap(), "{\"table\":{\"k\":\"v\u{e9}\"}}".as_bytes());
        assert_eq!(again.list("none"), None);
    }

    #[test]
    fn the_file_is_what_java_writes() {
        let dir = tempfile::tempdir().unwrap();
        store(&dir).put("ORDER_TOPIC_CONFIG", "t", Some("b:4"));
        let text = fs::read_to_string(dir.path().join("namesrv/kvConfig.json")).unwrap();
        assert_eq!(text, r#"{"configTable":{"ORDER_TOPIC_CONFIG":{"t":"b:4"}}}"#);
    }

    #[test]
    fn a_damaged_file_is_replaced_by_its_backup_or_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let kv = store(&dir);
        kv.put("ns", "a", Some("1"));
        kv.put("ns", "b", Some("2"));
        let path = dir.path().join("namesrv/kvConfig.json");
        fs::write(&path, "{\"configTable\":{\"ns\"").unwrap();
        let from_backup = store(&dir);
        assert_eq!((from_backup.get("ns", "a").as_deref(), from_backup.get("ns", "b")), (Some("1"), None));
        fs::write(&path, "{\"configTable\":{\"ns\"").unwrap();
        fs::write(backup(&path), "").unwrap();
        assert!(matches!(KvStore::open(&path), Err(KvError::Damaged { .. })));
        fs::remove_file(&path).unwrap();
        assert!(KvStore::open(&path).is_err(), "an empty backup alone is damage as well");
    }

    #[test]
    fn putting_no_value_makes_the_namespace_and_removes_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let kv = store(&dir);
        kv.put("ns", "k", None);
        assert_eq!(kv.list("ns").unwrap(), b"{\"table\":{}}");
    }
}
