//! The directories that are damaged: read once, written as often as needed, with their holes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use raptormq_store::StoreConfig;
use rustix::fs::SeekFrom;

use super::{load, message, open_as};

/// Holes are looked for in steps of this.
const BLOCK: u64 = 4_096;

pub struct Base {
    pub name: String,
    /// Made here, small.
    pub ours: bool,
    config: StoreConfig,
    files: Vec<Content>,
}

struct Content {
    name: PathBuf,
    len: u64,
    data: Vec<(u64, Vec<u8>)>,
}

impl Base {
    fn read(name: &str, ours: bool, root: &Path, config: StoreConfig) -> Self {
        let files = load::files(root)
            .into_iter()
            .filter(|name| name != Path::new("lock"))
            .map(|name| Content::read(root, name))
            .collect();
        Self { name: name.to_owned(), ours, config, files }
    }

    pub fn write_to(&self, root: &Path) {
        for content in &self.files {
            let path = root.join(&content.name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = File::create(&path).unwrap();
            file.set_len(content.len).unwrap();
            for (at, bytes) in &content.data {
                file.write_all_at(bytes, *at).unwrap();
            }
        }
    }

    /// The configuration with which the store at `root` is opened.
    pub fn config_at(&self, root: &Path) -> StoreConfig {
        let mut config = self.config.clone();
        let moved = |dir: &PathBuf| root.join(dir.file_name().unwrap());
        config.commit_log_dirs = config.commit_log_dirs.iter().map(moved).collect();
        config.root = root.to_owned();
        config
    }
}

impl Content {
    fn read(root: &Path, name: PathBuf) -> Self {
        let file = File::open(root.join(&name)).unwrap();
        let len = file.metadata().unwrap().len();
        let (mut at, mut data) = (0, Vec::new());
        while at < len {
            let Ok(begin) = rustix::fs::seek(&file, SeekFrom::Data(at)) else { break };
            let end = rustix::fs::seek(&file, SeekFrom::Hole(begin)).unwrap().min(len);
            let mut bytes = vec![0; (end - begin) as usize];
            file.read_exact_at(&mut bytes, begin).unwrap();
            for (index, block) in bytes.chunks(BLOCK as usize).enumerate() {
                if block.iter().any(|byte| *byte != 0) {
                    data.push((begin + index as u64 * BLOCK, block.to_vec()));
                }
            }
            at = end;
        }
        Self { name, len, data }
    }
}

/// A directory in memory where there is such a thing.
pub fn fast_dir() -> tempfile::TempDir {
    tempfile::Builder::new().tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Small stores of ours, then every directory of Java's whose files are small enough to be written thousands of times
/// (`defaults` has files of a gibibyte; `rocksdb` is refused whatever happens to it).
pub fn bases(dir: &Path) -> Vec<Base> {
    let mut bases = Vec::new();
    for (name, dirs, clean) in [
        ("clean", &["commitlog"][..], true),
        ("crashed", &["commitlog"], false),
        ("two-logs", &["commitlog", "log2"], true),
    ] {
        let root = dir.join(name);
        let mut config = super::config(&root);
        config.commit_log_dirs = dirs.iter().map(|dir| root.join(dir)).collect();
        let store = open_as(config.clone()).unwrap();
        for n in 0..60 {
            store.append(&message(n)).unwrap();
        }
        if clean {
            store.stop().unwrap();
        }
        drop(store);
        bases.push(Base::read(name, true, &root, config));
        std::fs::remove_dir_all(&root).unwrap();
    }
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    for version in ["java-4.9.7", "java-5.5.0"] {
        let mut cases: Vec<_> = std::fs::read_dir(testdata.join(version))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        cases.sort();
        for case in cases.iter().filter_map(|case| case.to_str()) {
            if !matches!(case, "defaults" | "rocksdb") {
                let name = format!("{version}/{case}");
                let unpacked = load::unpack(&name);
                let config = config_of(&unpacked.root, &unpacked.conf);
                bases.push(Base::read(&name, false, &unpacked.root, config));
            }
        }
    }
    assert!(bases.len() >= 20, "{}", bases.len());
    bases
}

fn config_of(root: &Path, conf: &str) -> StoreConfig {
    let mut config = StoreConfig::at(root);
    config.file_reserved_hours = 876_000;
    for line in conf.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        match key {
            "mappedFileSizeCommitLog" => config.commit_log_file_size = value.parse().unwrap(),
            "mappedFileSizeConsumeQueue" => config.consume_queue_file_size = value.parse().unwrap(),
            "maxHashSlotNum" => config.index_slots = value.parse().unwrap(),
            "maxIndexNum" => config.index_items = value.parse().unwrap(),
            _ => {}
        }
    }
    config
}
