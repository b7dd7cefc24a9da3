//! No content of a store directory may make us panic, hang or refuse what can be served: random damage, bounded and
//! seeded, on stores of ours and on every directory that Java wrote.
//!
//! More, or others: `DAMAGE_CASES=100000 DAMAGE_SEED=7 cargo test -p raptormq-store --test damage`. A failure names
//! its seed; `DAMAGE_CASES=1 DAMAGE_SEED=<that>` repeats it alone.

#![allow(clippy::unwrap_used)]

#[path = "damage/change.rs"]
mod change;
#[path = "damage/copies.rs"]
mod copies;
#[allow(dead_code)]
#[path = "golden/load.rs"]
mod load;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raptormq_base::clock::SystemClock;
use raptormq_message::{Checks, NewMessage, decode};
use raptormq_store::offline::{Directory, Options, Verification};
use raptormq_store::{Boundary, GetRequest, OpenError, Store, StoreConfig};

use self::change::Random;
use self::copies::Base;

/// Mutated directories of one run.
const CASES: u64 = 2_000;
/// No case takes a hundredth of this.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(root: &Path) -> StoreConfig {
    let mut config = StoreConfig::at(root);
    config.commit_log_file_size = 4 << 10;
    config.consume_queue_file_size = 8 * 20;
    config.index_slots = 4;
    config.index_items = 16;
    config
}

fn open(root: &Path) -> Result<Store, OpenError> {
    open_as(config(root))
}

fn open_as(config: StoreConfig) -> Result<Store, OpenError> {
    Store::open(config, Arc::new(SystemClock::new()), |_| {})
}

fn message(n: usize) -> NewMessage {
    NewMessage {
        topic: if n.is_multiple_of(3) { "SCHEDULE_TOPIC_XXXX".into() } else { "T".into() },
        queue_id: (n % 2) as i32,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        born_host: "10.0.0.1:5".parse().unwrap(),
        store_host: "[::1]:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: Bytes::from(vec![n as u8; n % 97 * 3]),
        properties: Bytes::from(format!(
            "UNIQ_KEY\u{1}U{n}\u{2}KEYS\u{1}k{n}\u{2}DELAY\u{1}3\u{2}TAGS\u{1}a\u{2}"
        )),
    }
}

/// Every reading call, with arguments that do not fit either.
fn read_everything(store: &Store) {
    for topic in store.topics().iter().map(String::as_str).chain(["none"]) {
        for queue_id in [-1, 0, 1, 2] {
            for offset in [-5, 0, 1, 7, 8, 15, 1_000, i64::MAX] {
                let request =
                    GetRequest { topic, queue_id, offset, max_nums: 32, max_bytes: None, filter: None };
                let result = store.get_blocking(&request);
                assert_eq!(result.messages.len(), result.queue_offsets.len());
                store.store_time(topic, queue_id, offset);
                store.physical_offset_of(topic, queue_id, offset);
            }
            for time in [i64::MIN, 0, i64::MAX] {
                store.offset_by_time(topic, queue_id, time, Boundary::Lower);
                store.offset_by_time(topic, queue_id, time, Boundary::Upper);
            }
            store.earliest_time(topic, queue_id);
        }
        for key in ["U1", "k2", "k60", ""] {
            store.query(topic, key, 64, 0, i64::MAX);
        }
    }
    for offset in [0, 1, 100, 4_096, 9_999, u64::MAX] {
        if let Some(record) = store.record_at(offset) {
            assert!(decode(&record, Checks::Sizes).is_ok());
        }
    }
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Served,
    Refused,
}

/// One mutated copy of one of `bases`: looked into, opened, used, closed and opened again.
fn case(seed: u64, bases: &[Base], dir: &Path) -> Outcome {
    let mut random = Random::new(seed);
    // The small stores of ours are quick: they get two thirds of the cases.
    let ours = bases.iter().take_while(|base| base.ours).count();
    let pick = if random.below(3) > 0 { random.below(ours) } else { random.below(bases.len()) };
    let base = &bases[pick];
    let root = dir.join(format!("s{seed}"));
    base.write_to(&root);
    if random.below(3) == 0 {
        std::fs::write(root.join("abort"), "1").unwrap();
    }
    let changes: Vec<String> = (0..=random.below(3)).map(|_| change::change(&mut random, &root)).collect();
    let config = base.config_at(&root);
    let outcome = look(&root, &config).and_then(|()| use_it(&config, &root));
    let _ = std::fs::remove_dir_all(&root);
    outcome.unwrap_or_else(|what| panic!("seed {seed}, {}, {changes:?}: {what}", base.name))
}

/// What `raptormq store inspect` and `verify` do.
fn look(root: &Path, config: &StoreConfig) -> Result<(), String> {
    let options = Options { index: Some((config.index_slots, config.index_items)), ..Options::default() };
    match Directory::open(root, options) {
        Ok(directory) => {
            directory.inspect().map_err(|error| error.to_string())?;
            let request = Verification { for_4_9_7: true };
            directory.verify(&request, &|_| {}, &mut |_| {}).map_err(|error| error.to_string())?;
        }
        Err(error) if error.to_string().contains(&*root.to_string_lossy()) => {}
        Err(error) => return Err(format!("an error that names no file: {error}")),
    }
    Ok(())
}

fn use_it(config: &StoreConfig, root: &Path) -> Result<Outcome, String> {
    let store = match open_as(config.clone()) {
        Ok(store) => store,
        Err(error) if error.to_string().contains(&*root.to_string_lossy()) => return Ok(Outcome::Refused),
        Err(error) => return Err(format!("a refusal that names no file: {error}")),
    };
    read_everything(&store);
    let topics = store.topics();
    for topic in topics.iter().take(1).map(String::as_str).chain(["T"]) {
        let new = NewMessage { topic: topic.into(), ..message(2) };
        let before = store.queue_next(topic, 0);
        let appended = store.append(&new).map_err(|error| format!("append: {error}"))?;
        if appended.queue_offset != before {
            return Err(format!("position {} instead of {before}", appended.queue_offset));
        }
        if store.record_at(appended.log_offset).is_none() {
            return Err("what was appended cannot be read".to_owned());
        }
    }
    read_everything(&store);
    let (min, max) = (store.commit_log_min(), store.commit_log_max());
    store.stop().map_err(|error| format!("stop: {error}"))?;
    drop(store);
    let store = open_as(config.clone()).map_err(|error| format!("the second start: {error}"))?;
    if (store.commit_log_min(), store.commit_log_max()) != (min, max) {
        let now = (store.commit_log_min(), store.commit_log_max());
        return Err(format!("the log was {min} to {max}, after a stop and a start it is {now:?}"));
    }
    read_everything(&store);
    store.stop().map_err(|error| format!("the second stop: {error}"))?;
    Ok(Outcome::Served)
}

#[test]
fn damaged_directories_open_or_are_refused_and_then_work() {
    let number = |name, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let (cases, seed) = (number("DAMAGE_CASES", CASES), number("DAMAGE_SEED", 1));
    let dir = copies::fast_dir();
    let bases = Arc::new(copies::bases(dir.path()));
    // A thread of the store that panics would only be missed at the end: no thread may.
    static PANICS: AtomicU64 = AtomicU64::new(0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        hook(info);
    }));
    let begin = Instant::now();
    let next = AtomicU64::new(seed);
    let (served, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                // A thread of its own for the cases, so that one that hangs can be given up.
                let (to_do, seeds) = mpsc::channel::<u64>();
                let (done, outcomes) = mpsc::channel();
                let (bases, path) = (bases.clone(), dir.path().to_owned());
                let runner = std::thread::spawn(move || {
                    for seed in seeds {
                        let _ = done.send(case(seed, &bases, &path));
                    }
                });
                loop {
                    let seed_now = next.fetch_add(1, Ordering::SeqCst);
                    if seed_now >= seed + cases {
                        break;
                    }
                    to_do.send(seed_now).unwrap();
                    match outcomes.recv_timeout(PATIENCE) {
                        Ok(Outcome::Served) => served.fetch_add(1, Ordering::SeqCst),
                        Ok(Outcome::Refused) => refused.fetch_add(1, Ordering::SeqCst),
                        Err(mpsc::RecvTimeoutError::Timeout) => panic!("seed {seed_now} hangs"),
                        Err(mpsc::RecvTimeoutError::Disconnected) => {
                            panic!("seed {seed_now} failed, see above")
                        }
                    };
                }
                drop(to_do);
                runner.join().unwrap();
            });
        }
    });
    let (served, refused) = (served.into_inner(), refused.into_inner());
    println!(
        "seeds {seed} to {}: {served} served, {refused} refused, {} directories to begin with, {:.1} s",
        seed + cases - 1,
        bases.len(),
        begin.elapsed().as_secs_f64()
    );
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a thread of the store panicked");
    assert_eq!(served + refused, cases);
    if cases >= 500 {
        assert!(served > cases * 6 / 10 && refused > cases / 50, "{served} served, {refused} refused");
    }
}

/// The log is cut anywhere, as a crash of the machine does: every record before the cut is there, none after it.
/// Only a record that lacks nothing but property text stays, as in Java: no checksum covers it.
#[test]
fn a_torn_tail_ends_the_log_at_the_last_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    let store = open(&original).unwrap();
    let places: Vec<_> = (0..12).map(|n| store.append(&message(n)).unwrap()).collect();
    drop(store);
    let end = places[11].next_offset;
    assert!(end < 4_096);
    for cut in (0..=end).step_by(17).chain([end]) {
        let root = dir.path().join(format!("c{cut}"));
        std::fs::create_dir_all(root.join("commitlog")).unwrap();
        let mut bytes = std::fs::read(original.join("commitlog/00000000000000000000")).unwrap();
        bytes[cut as usize..].fill(0);
        std::fs::write(root.join("commitlog/00000000000000000000"), bytes).unwrap();
        std::fs::write(root.join("abort"), "1").unwrap();
        let store = open(&root).unwrap();
        let properties = |n: usize| message(n).properties.len() as u64;
        let whole = (0..12).filter(|n| places[*n].next_offset - properties(*n) <= cut).count();
        assert_eq!(
            store.commit_log_max(),
            if whole == 0 { 0 } else { places[whole - 1].next_offset },
            "cut at {cut}"
        );
        let in_queues: i64 = ["T", "SCHEDULE_TOPIC_XXXX"]
            .iter()
            .flat_map(|topic| [0, 1].map(|queue_id| store.queue_max(topic, queue_id)))
            .sum();
        assert_eq!(in_queues, whole as i64);
        drop(store);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
