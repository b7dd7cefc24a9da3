//! Unpacks the store directories of `testdata`. Most crash cases are another case with one change, and only the change
//! is kept: `input.json` names the case and what to remove, cut or overwrite.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// A store directory as Java left it, in a temporary place.
pub struct Unpacked {
    /// Removed when dropped.
    pub dir: TempDir,
    /// The store directory.
    pub root: PathBuf,
    /// What the Java broker showed of it.
    pub manifest: Value,
    /// The broker's properties.
    pub conf: String,
}

/// Unpacks `testdata/<case>`, for instance `java-5.5.0/basic`.
pub fn unpack(case: &str) -> Unpacked {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/testdata").join(case);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    match std::fs::read(from.join("input.json")) {
        Ok(bytes) => {
            let input: Value = serde_json::from_slice(&bytes).unwrap();
            extract(&from.parent().unwrap().join(input["base"].as_str().unwrap()), dir.path());
            change(&root, &input);
        }
        Err(_) => extract(&from, dir.path()),
    }
    let read = |name: &str| std::fs::read_to_string(from.join(name)).unwrap();
    let manifest = serde_json::from_str(&read("manifest.json")).unwrap();
    Unpacked { dir, root, manifest, conf: read("broker.conf") }
}

fn extract(case: &Path, to: &Path) {
    let archive = case.join("store.tar.xz");
    let status = Command::new("tar").arg("-xSf").arg(&archive).arg("-C").arg(to).status().unwrap();
    assert!(status.success(), "unpacking {}", archive.display());
}

fn change(root: &Path, input: &Value) {
    for name in input["remove"].as_array().into_iter().flatten() {
        let path = root.join(name.as_str().unwrap());
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
    }
    let Some(file) = input["change"]["file"].as_str() else { return };
    let mut file = std::fs::File::options().write(true).open(root.join(file)).unwrap();
    if let Some(length) = input["change"]["length"].as_u64() {
        file.set_len(length).unwrap();
    }
    for write in input["change"]["writes"].as_array().into_iter().flatten() {
        let bytes = match write["hex"].as_str() {
            Some(hex) => (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect(),
            None => vec![0; write["zeros"].as_u64().unwrap() as usize],
        };
        file.seek(SeekFrom::Start(write["at"].as_u64().unwrap())).unwrap();
        file.write_all(&bytes).unwrap();
    }
}

/// All files below `dir`, sorted, as paths relative to it.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    fn walk(base: &Path, dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(base, &path, found);
            } else {
                found.push(path.strip_prefix(base).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}
