//! A disk that forgets: sees every call of a store, and can show the directory as a loss of power would leave it.
//!
//! The store works on real files. What is on the disk for certain is remembered beside them: the content of a file at
//! its last sync, the entries of a directory at its last sync. Everything else may be there after a crash or not, each
//! sector of 512 bytes, each length and each entry for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::fs::{Call, Watch};

/// What is written at once or not at all.
const SECTOR: usize = 512;

/// xorshift64: small, seeded, the same everywhere.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 11) % end.max(1) as u64) as usize
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 << 40 != 0
    }
}

/// What a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// Only the process dies: everything written is there.
    Kept,
    /// Nothing that was not synced is there.
    Lost,
    /// Of what was not synced, some is there.
    Torn(u64),
}

/// An error for some calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// The number of the first call that fails.
    pub(super) from: u64,
    /// How many fail.
    pub(super) count: u64,
    /// `errno`.
    pub(super) error: i32,
}

type Hook = dyn Fn(&Disk, u64) + Send + Sync;

/// The disk below one directory.
pub(super) struct Disk {
    root: PathBuf,
    state: Mutex<State>,
    /// Called after each call with its number.
    hook: Option<Box<Hook>>,
}

#[derive(Default)]
struct State {
    contents: BTreeMap<PathBuf, Vec<u8>>,
    /// Files as they were when their sync failed: the sectors changed before that are in memory only, for good.
    failed: BTreeMap<PathBuf, Vec<u8>>,
    entries: BTreeMap<PathBuf, BTreeSet<OsString>>,
    calls: u64,
    fault: Option<Fault>,
    /// Part of the names of files that cannot be read, and how many reads were refused.
    unreadable: Option<String>,
    refused: u64,
    kinds: BTreeMap<&'static str, u64>,
}

impl Disk {
    /// What lies below `root` now is durable.
    pub(super) fn new(root: &Path, hook: Option<Box<Hook>>) -> Arc<Self> {
        let mut state = State::default();
        settle(root, &mut state);
        Arc::new(Self { root: root.to_owned(), state: Mutex::new(state), hook })
    }

    pub(super) fn fail(&self, fault: Option<Fault>) {
        self.state.lock().fault = fault;
    }

    /// Lets reads of the files below directories of this name fail; returns how many did before.
    pub(super) fn fail_reads(&self, dir: Option<&str>) -> u64 {
        let mut state = self.state.lock();
        state.unreadable = dir.map(|dir| format!("/{dir}/"));
        std::mem::take(&mut state.refused)
    }

    pub(super) fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// Calls by kind.
    pub(super) fn kinds(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().kinds.clone()
    }

    /// Writes what a crash at this moment leaves into `to`.
    pub(super) fn image(&self, to: &Path, power: Power) {
        let state = self.state.lock();
        let mut random = match power {
            Power::Torn(seed) => Random::new(seed),
            Power::Kept | Power::Lost => Random::new(0),
        };
        std::fs::create_dir_all(to).unwrap();
        copy(&self.root, to, &state, power, &mut random);
    }
}

fn listing(dir: &Path) -> BTreeSet<OsString> {
    std::fs::read_dir(dir)
        .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
        .unwrap_or_default()
}

fn settle(dir: &Path, state: &mut State) {
    let names = listing(dir);
    for name in &names {
        let path = dir.join(name);
        if path.is_dir() {
            settle(&path, state);
        } else {
            state.contents.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    state.entries.insert(dir.to_owned(), names);
}

fn copy(from: &Path, to: &Path, state: &State, power: Power, random: &mut Random) {
    let now = listing(from);
    let durable = state.entries.get(from).cloned().unwrap_or_default();
    for name in now.union(&durable) {
        let there = match power {
            Power::Kept => now.contains(name),
            Power::Lost => durable.contains(name),
            Power::Torn(_) => now.contains(name) && durable.contains(name) || random.coin(),
        };
        if !there {
            continue;
        }
        let (from, to) = (from.join(name), to.join(name));
        if from.is_dir() || state.entries.contains_key(&from) {
            std::fs::create_dir_all(&to).unwrap();
            copy(&from, &to, state, power, random);
            continue;
        }
        let old = state.contents.get(&from).cloned().unwrap_or_default();
        let new = std::fs::read(&from).ok();
        let content = match (power, new) {
            (Power::Kept, Some(new)) => new,
            (Power::Torn(_), Some(new)) => torn(old, &new, random),
            _ => old,
        };
        std::fs::write(&to, content).unwrap();
    }
}

fn torn(mut old: Vec<u8>, new: &[u8], random: &mut Random) -> Vec<u8> {
    if old.len() != new.len() && random.coin() {
        old.resize(new.len(), 0);
    }
    for (old, new) in old.chunks_mut(SECTOR).zip(new.chunks(SECTOR)) {
        if *old != *new && random.coin() {
            let len = old.len().min(new.len());
            old[..len].copy_from_slice(&new[..len]);
        }
    }
    old
}

/// Takes out of `content` the sectors that are still as they were when a sync failed: the system believes that they are
/// on disk and writes only what changed since.
fn never_written(content: &mut [u8], failed: &[u8], old: &[u8]) {
    for (index, sector) in content.chunks_mut(SECTOR).enumerate() {
        let range = index * SECTOR..index * SECTOR + sector.len();
        if failed.get(range.clone()) == Some(&*sector) {
            let before = old.get(range).map_or_else(|| vec![0; sector.len()], <[u8]>::to_vec);
            sector.copy_from_slice(&before);
        }
    }
}

fn kind(call: Call<'_>) -> &'static str {
    match call {
        Call::Create(_) => "create",
        Call::CreateDir(_) => "create directory",
        Call::Allocate(_) => "allocate",
        Call::Append(_) => "append",
        Call::Write(..) => "write",
        Call::SetLen(_) => "set length",
        Call::Sync(_) => "sync",
        Call::SyncDir(_) => "sync directory",
        Call::Remove(_) => "remove",
    }
}

impl Watch for Disk {
    fn read(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.unreadable.as_ref().is_none_or(|dir| !path.to_string_lossy().contains(dir)) {
            return Ok(());
        }
        state.refused += 1;
        Err(io::Error::from_raw_os_error(nix::libc::EIO))
    }

    fn before(&self, call: Call<'_>) -> io::Result<()> {
        let mut state = self.state.lock();
        state.calls += 1;
        match state.fault {
            Some(fault)
                if !matches!(call, Call::Append(_))
                    && (fault.from..fault.from.saturating_add(fault.count)).contains(&state.calls) =>
            {
                if let Call::Sync(path) = call {
                    let now = std::fs::read(path).unwrap_or_default();
                    state.failed.insert(path.to_owned(), now);
                }
                Err(io::Error::from_raw_os_error(fault.error))
            }
            _ => Ok(()),
        }
    }

    fn after(&self, call: Call<'_>) {
        let number = {
            let mut state = self.state.lock();
            *state.kinds.entry(kind(call)).or_default() += 1;
            match call {
                // What is written is dirty again, even with the bytes that are there.
                Call::Write(path, from, to) => {
                    if let Some(failed) = state.failed.get_mut(path) {
                        let end = failed.len().min(to as usize);
                        failed[end.min(from as usize)..end].iter_mut().for_each(|byte| *byte = !*byte);
                    }
                }
                Call::Sync(path) => {
                    // Deleted while it is open: nothing remains of it.
                    if let Ok(mut content) = std::fs::read(path) {
                        if let Some(failed) = state.failed.get(path) {
                            let old = state.contents.get(path).cloned().unwrap_or_default();
                            never_written(&mut content, failed, &old);
                        }
                        state.contents.insert(path.to_owned(), content);
                    }
                }
                Call::SyncDir(dir) => {
                    let names = listing(dir);
                    let gone: Vec<PathBuf> = state
                        .entries
                        .get(dir)
                        .into_iter()
                        .flatten()
                        .filter(|it| !names.contains(*it))
                        .map(|it| dir.join(it))
                        .collect();
                    for path in gone {
                        state.contents.retain(|it, _| !it.starts_with(&path));
                        state.entries.retain(|it, _| !it.starts_with(&path));
                    }
                    state.entries.insert(dir.to_owned(), names);
                }
                _ => {}
            }
            state.calls
        };
        if let Some(hook) = &self.hook {
            hook(self, number);
        }
    }
}
