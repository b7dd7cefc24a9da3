//! The store on a disk that forgets: a scripted load is crashed after every call, and what is left must be served.
//!
//! Each crash is tried three ways: the process dies, the power fails and nothing unsynced is left, the power fails and
//! some of it is left. Then a store is opened on what is there, and checked by [`Journal::check`], which knows only
//! what was sent and what was acknowledged.

mod disk;
mod faults;
mod journal;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use raptormq_base::clock::ManualClock;

use self::disk::{Disk, Power, Random};
use self::journal::{Journal, Must};
use crate::fs::Fs;
use crate::*;

const BEGIN_MS: i64 = 1_700_000_000_000;
/// Those whose messages the script sends, deletes, and counts in batches: `C` has batch queues.
const TOPICS: [&str; 4] = ["A", "B", BATCH_TOPIC, "SCHEDULE_TOPIC_XXXX"];
const BATCH_TOPIC: &str = "C";

/// What kind of store it is.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// Flushes synchronously.
    sync: bool,
    /// Consume queues have extensions.
    ext: bool,
}

fn config(root: &Path, kind: Kind) -> StoreConfig {
    let mut config = StoreConfig::at(root);
    config.commit_log_file_size = 8 << 10;
    config.consume_queue_file_size = 60 * 20;
    config.index_slots = 8;
    config.index_items = 30;
    config.delete_commit_log_files_interval_ms = 0;
    config.delete_when = "99".to_owned();
    (config.enable_lmq, config.enable_multi_dispatch) = (true, true);
    config.batch_topics.insert(BATCH_TOPIC.to_owned());
    // Longer than a sector, so that units of both kinds can be torn.
    config.batch_consume_queue_file_size = 46 * 13;
    config.enable_consume_queue_ext = kind.ext;
    config.consume_queue_ext_file_size = 20 * 30 + 4;
    if kind.sync {
        config.flush = FlushMode::Sync { timeout_ms: 1_000 };
    }
    config
}

/// A directory in memory where there is one: nothing here waits for a disk.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn open(config: StoreConfig, fs: Fs, clock: &Arc<ManualClock>) -> Result<Store, OpenError> {
    Store::open_at_rest(config, fs, clock.clone(), Box::new(|_| {}))
}

/// One store, its threads' work done by the script.
struct Load<'a> {
    store: Store,
    clock: Arc<ManualClock>,
    random: Random,
    journal: &'a Mutex<Journal>,
    kind: Kind,
}

impl Load<'_> {
    /// One step of the script. Errors of the store are what a caller of it would see: the step is not acknowledged.
    fn step(&mut self) {
        self.clock.advance_ms(self.random.below(400) as i64);
        let shared = self.store.0.shared.clone();
        match self.random.below(100) {
            0..=64 => self.append(),
            65..=69 => self.append_batch(),
            70..=81 => {
                let _ = shared.flush_log();
            }
            82..=89 => {
                let _ = shared.flush_queues(false);
            }
            90..=94 => {
                let _ = shared.flush_queues(true);
            }
            95..=96 => shared.allocator.step(),
            97..=98 => {
                // Expired files go: the messages in them may be gone from here on.
                let files = shared.segments.all();
                if files.len() > 3 {
                    self.journal.lock().release(|sent| sent.log_offset < files[files.len() - 1].start);
                    let _ = shared.delete_log_files(true).and_then(|_| shared.follow_log());
                }
            }
            _ => {
                let topic = TOPICS[self.random.below(3)];
                self.journal.lock().forget_topic(topic);
                self.store.delete_topic(topic);
                if topic == BATCH_TOPIC {
                    // The next messages are those of a new topic of the same kind.
                    self.store.use_batch_queues(topic);
                }
            }
        }
        self.acknowledge();
    }

    /// What is on disk by now is acknowledged by a synchronous store; an asynchronous one did so before.
    fn acknowledge(&self) {
        let flushed = self.store.flushed_offset();
        self.journal.lock().flushed(flushed);
    }

    fn append(&mut self) {
        let message = self.journal.lock().message(&mut self.random);
        if let Ok(appended) = self.store.append(&message) {
            self.journal.lock().stored(&message, &appended);
            if self.kind.sync && self.random.below(4) > 0 {
                let _ = self.store.0.shared.flush_log();
                self.store.0.shared.dispatch();
            }
        }
    }

    /// Several records at once; none of them holds more than one message.
    fn append_batch(&mut self) {
        let mut journal = self.journal.lock();
        let first = journal.single(&mut self.random);
        let mut messages = vec![first.clone()];
        for _ in 0..self.random.below(4) {
            let mut next = journal.single(&mut self.random);
            (next.topic, next.queue_id) = (first.topic.clone(), first.queue_id);
            messages.push(next);
        }
        drop(journal);
        if let Ok(all) = self.store.append_batch(&messages) {
            let mut journal = self.journal.lock();
            messages.iter().zip(&all).for_each(|(message, appended)| journal.stored(message, appended));
        }
    }
}

/// Runs the script on a watched disk, twice with a clean stop between, so that recovery of a clean store is in it, too.
fn run(disk: &Arc<Disk>, root: &Path, journal: &Mutex<Journal>, seed: u64, steps: usize, kind: Kind) {
    let clock = Arc::new(ManualClock::new(BEGIN_MS));
    for round in 0..2 {
        let Ok(store) = open(config(root, kind), Fs::watched(disk.clone()), &clock) else { return };
        let random = Random::new(seed * 2 + round);
        let mut load = Load { store, clock: clock.clone(), random, journal, kind };
        (0..steps).for_each(|_| load.step());
        let _ = load.store.stop();
        load.acknowledge();
    }
}

/// What is opened after a crash.
fn check_image(image: &Path, journal: &Journal, must: Must, kind: Kind, what: &dyn std::fmt::Display) {
    let clock = Arc::new(ManualClock::new(BEGIN_MS + 10_000_000));
    let opened = open(config(image, kind), Fs::default(), &clock);
    let store = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut journal = journal.clone();
    journal.check(&store, must, what);
    // What was served once stays, whatever happens next.
    journal.adopt(&store);
    for n in 0..4 {
        let message = journal.message(&mut Random::new(n + 1));
        let expected = store.queue_next(&message.topic, message.queue_id);
        let appended = store.append(&message).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(appended.queue_offset, expected, "{what}");
        journal.stored(&message, &appended);
    }
    store.0.shared.flush_log().unwrap();
    store.0.shared.dispatch();
    journal.check(&store, Must::All, &format!("{what}, after appends"));
    // The second crash: nothing reappears, nothing is lost.
    drop(store);
    let store = open(config(image, kind), Fs::default(), &clock).unwrap();
    journal.check(&store, Must::All, &format!("{what}, second recovery"));
    store.stop().unwrap();
    drop(store);
    // An operator may have changed his mind about extensions.
    let kind = Kind { ext: kind.ext ^ journal.seed.is_multiple_of(2), ..kind };
    let store = open(config(image, kind), Fs::default(), &clock).unwrap();
    journal.check(&store, Must::All, &format!("{what}, clean start, {kind:?}"));
}

fn powers(number: u64, seed: u64) -> [(Power, Must); 4] {
    [
        (Power::Kept, Must::Stored),
        (Power::Lost, Must::Flushed),
        (Power::Torn(number * 2 + 1 + seed), Must::Flushed),
        (Power::Torn(number * 2 + 2 + seed), Must::Flushed),
    ]
}

/// How much of everything: 1 in the ordinary run, more from `RAPTORMQ_SIM` for long ones.
fn effort() -> u64 {
    std::env::var("RAPTORMQ_SIM").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Crashes one load after every `stride`-th call. With `nested`, recovery itself runs on a watched disk as well and is
/// crashed after each of its calls.
fn crash_everywhere(seed: u64, steps: usize, kind: Kind, stride: u64, nested: bool) -> (u64, u64) {
    let dir = scratch();
    let root = dir.path().join("store");
    std::fs::create_dir_all(&root).unwrap();
    let journal = Arc::new(Mutex::new(Journal::new(seed)));
    let crashes = Arc::new(AtomicU64::new(0));
    let hook = {
        let (journal, crashes, base) = (journal.clone(), crashes.clone(), dir.path().to_owned());
        move |disk: &Disk, number: u64| {
            if number % stride != seed % stride {
                return;
            }
            // The caller may hold it: then it stands between two calls of its own, and knows as much as before.
            let known = journal.lock().clone();
            for (power, must) in powers(number, seed << 32) {
                let image = base.join("image");
                disk.image(&image, power);
                let what = format!("seed {seed}, {kind:?}, crash after call {number}, {power:?}");
                if nested {
                    crashes.fetch_add(
                        crash_recovery(&image, &base, &known, must, kind, &what),
                        Ordering::Relaxed,
                    );
                } else {
                    check_image(&image, &known, must, kind, &what);
                    crashes.fetch_add(1, Ordering::Relaxed);
                }
                std::fs::remove_dir_all(&image).unwrap();
            }
        }
    };
    let disk = Disk::new(&root, Some(Box::new(hook)));
    run(&disk, &root, &journal, seed, steps, kind);
    println!("seed {seed}, {kind:?}: {} calls {:?}", disk.calls(), disk.kinds());
    (disk.calls(), crashes.load(Ordering::Relaxed))
}

/// Recovers `image` on a watched disk and crashes that after each call. Returns the number of crashes.
fn crash_recovery(image: &Path, base: &Path, journal: &Journal, must: Must, kind: Kind, what: &str) -> u64 {
    let crashes = Arc::new(AtomicU64::new(0));
    let hook = {
        let (base, journal, crashes, what) =
            (base.to_owned(), journal.clone(), crashes.clone(), what.to_owned());
        move |disk: &Disk, number: u64| {
            for (power, _) in powers(number, 7) {
                let second: PathBuf = base.join("second");
                disk.image(&second, power);
                let what = format!("{what}; recovery crashed after call {number}, {power:?}");
                check_image(&second, &journal, must, kind, &what);
                std::fs::remove_dir_all(&second).unwrap();
                crashes.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let disk = Disk::new(image, Some(Box::new(hook)));
    let clock = Arc::new(ManualClock::new(BEGIN_MS + 5_000_000));
    open(config(image, kind), Fs::watched(disk), &clock).unwrap_or_else(|error| panic!("{what}: {error}"));
    crashes.load(Ordering::Relaxed)
}

#[test]
fn a_crash_after_any_call_loses_nothing_acknowledged() {
    let effort = effort();
    let (mut calls, mut crashes) = (0, 0);
    for seed in 1..=2 * effort {
        for sync in [false, true] {
            let kind = Kind { sync, ext: sync == seed.is_multiple_of(2) };
            let (more_calls, more_crashes) = crash_everywhere(seed, 75, kind, 1, false);
            (calls, crashes) = (calls + more_calls, crashes + more_crashes);
        }
    }
    println!("{crashes} crashes after {calls} calls");
    assert!(crashes > calls * 3 && calls > 500);
}

#[test]
fn a_crash_during_recovery_loses_nothing_either() {
    let effort = effort();
    let mut crashes = 0;
    for sync in [false, true] {
        let kind = Kind { sync, ext: true };
        crashes += crash_everywhere(77, 60, kind, (120 / effort).max(1), true).1;
    }
    println!("{crashes} crashes during recovery");
    assert!(crashes > 100);
}
