//! How long Java's broker and ours take to open the same large store: after a clean stop, and after a kill.
//!
//! The store is written once, by the store's own load generator. Before each start everything but the log is put back
//! as it was, and the page cache is brought into the same state for both: filled by reading the store, or dropped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::bench::{JVM, median};
use crate::servers::{self, Kind, Program, Setup};
use crate::wire::Wire;

/// How long a start may take.
const LIMIT: Duration = Duration::from_secs(1800);
/// What is not the log; a start changes it.
const SMALL_PARTS: [&str; 4] = ["consumequeue", "index", "checkpoint", "config"];
/// Bytes of a record of the load generator with a body of 1 KiB, about.
const RECORD: u64 = 1196;

#[derive(Args)]
pub struct Options {
    /// GiB of messages with bodies of 1 KiB and two keys.
    #[arg(long, default_value_t = 10)]
    gib: u64,
    /// Of these, MiB written after the last checkpoint: what a broker stores in its last minute before it is killed.
    #[arg(long, default_value_t = 1600)]
    unsettled_mib: u64,
    #[arg(long, default_value_t = 500)]
    topics: u64,
    /// Queues of each topic.
    #[arg(long, default_value_t = 4)]
    queues: u64,
    /// Starts of each server in each state; the servers alternate.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    #[arg(long, value_delimiter = ',', default_value = "java-5.5.0,ours")]
    servers: Vec<Kind>,
    /// States of the page cache.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "warm,cold")]
    cache: Vec<Cache>,
    /// The load generator (`cargo build --release -p raptormq-store --example load`); by default in the directory of
    /// the release binaries.
    #[arg(long)]
    load: Option<PathBuf>,
    /// A directory for the stores that is kept and used again.
    #[arg(long)]
    stores: Option<PathBuf>,
}

/// What of the store is in memory when a broker starts.
#[derive(Clone, Copy, ValueEnum, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Cache {
    /// All of it, as after the end of a process.
    Warm,
    /// Nothing, as after the end of a machine; needs root.
    Cold,
}

/// How the store was left.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Left {
    /// By a clean stop.
    Stopped,
    /// By a kill, with messages that no checkpoint covers.
    Killed,
}

pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let dir = setup.run_dir("bench-store")?;
    let stores = options.stores.clone().unwrap_or_else(|| dir.join("stores"));
    std::fs::create_dir_all(&stores)?;
    let mut figures: BTreeMap<(Left, Cache, String), Vec<f64>> = BTreeMap::new();
    for left in [Left::Killed, Left::Stopped] {
        let place = write_store(setup, options, &stores, left)?;
        println!("{left:?}: {}", describe(&place.0)?);
        for run in 1..=options.runs {
            for cache in &options.cache {
                for kind in &options.servers {
                    let ms = start(setup, options, &dir, &place, kind, *cache)
                        .with_context(|| format!("{kind}, {left:?}, {cache:?}"))?;
                    println!("{left:?} {cache:?} {kind} run {run}: serves after {ms:.0} ms");
                    figures.entry((left, *cache, kind.to_string())).or_default().push(ms);
                }
            }
        }
    }
    print(options, &figures);
    setup.finish(&dir, true)?;
    Ok(true)
}

fn print(options: &Options, figures: &BTreeMap<(Left, Cache, String), Vec<f64>>) {
    let names: Vec<String> = options.servers.iter().map(Kind::to_string).collect();
    println!("| median ms until it serves | {} | ratio |", names.join(" | "));
    println!("|---|{}---:|", "---:|".repeat(names.len()));
    for left in [Left::Stopped, Left::Killed] {
        for cache in &options.cache {
            let medians: Vec<f64> = names
                .iter()
                .map(|name| figures.get(&(left, *cache, name.clone())).map_or(f64::NAN, |all| median(all)))
                .collect();
            let ratio = medians.first().zip(medians.last()).map_or(f64::NAN, |(first, last)| first / last);
            let cells: Vec<String> = medians.iter().map(|ms| format!("{ms:.0}")).collect();
            println!("| {left:?}, page cache {cache:?} | {} | {ratio:.1} |", cells.join(" | "));
        }
    }
}

/// The store in this state, written if it is not there, with a copy of what a start changes beside it.
fn write_store(setup: &Setup, options: &Options, stores: &Path, left: Left) -> Result<(PathBuf, PathBuf)> {
    let store = stores.join("store");
    let saved = stores.join(format!("saved-{left:?}"));
    if saved.join("complete").exists() {
        put_back(&store, &saved)?;
        return Ok((store, saved));
    }
    let load = options.load.clone().unwrap_or_else(|| setup.bin_dir.join("examples/load"));
    let generate = |messages: u64, end: &str| -> Result<()> {
        let begin = Instant::now();
        let output = Command::new(&load)
            .arg(&store)
            .arg(messages.to_string())
            .args([format!("topics={}", options.topics), format!("queues={}", options.queues)])
            .arg(format!("end={end}"))
            .output()
            .with_context(|| load.display().to_string())?;
        // `abort` ends it with a signal, as a kill would.
        ensure!(
            output.status.success() != (end == "abort"),
            "{}: {} {}",
            load.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        println!(
            "{} ({} s in all)",
            String::from_utf8_lossy(&output.stdout).trim(),
            begin.elapsed().as_secs()
        );
        Ok(())
    };
    match left {
        Left::Killed => {
            // Its start leaves a checkpoint that covers what is there; the rest comes after it, within a minute.
            ensure!(!store.exists(), "{} was not completed; remove it", store.display());
            let unsettled = (options.unsettled_mib << 20) / RECORD;
            generate((options.gib << 30) / RECORD - unsettled, "stop")?;
            generate(unsettled, "abort")?;
        }
        Left::Stopped => generate(1, "stop")?,
    }
    save(&store, &saved)?;
    Ok((store, saved))
}

fn save(store: &Path, saved: &Path) -> Result<()> {
    std::fs::create_dir_all(saved)?;
    for part in SMALL_PARTS.iter().chain(&["abort"]) {
        if store.join(part).exists() {
            copy(&store.join(part), &saved.join(part))?;
        }
    }
    let mut log = String::new();
    for entry in std::fs::read_dir(store.join("commitlog"))? {
        let entry = entry?;
        log.push_str(&format!("{} {}\n", entry.file_name().to_string_lossy(), entry.metadata()?.len()));
    }
    std::fs::write(saved.join("commitlog"), log)?;
    File::create(saved.join("complete"))?;
    Ok(())
}

/// Undoes what a start has changed. The log's records stay as they are; a recovery deletes or adds empty files.
fn put_back(store: &Path, saved: &Path) -> Result<()> {
    for entry in std::fs::read_dir(store)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "commitlog" {
            continue;
        }
        if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) }
            .with_context(|| path.display().to_string())?;
    }
    for part in SMALL_PARTS.iter().chain(&["abort"]) {
        if saved.join(part).exists() {
            copy(&saved.join(part), &store.join(part))?;
        }
    }
    let log = std::fs::read_to_string(saved.join("commitlog"))?;
    let wanted: BTreeMap<&str, u64> = log
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, len)| Some((name, len.parse().ok()?)))
        .collect();
    for entry in std::fs::read_dir(store.join("commitlog"))? {
        let entry = entry?;
        if !wanted.contains_key(entry.file_name().to_string_lossy().as_ref()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    for (name, len) in wanted {
        let path = store.join("commitlog").join(name);
        if !path.exists() {
            File::create(&path)?.set_len(len)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp")
        .args(["-a", "--sparse=always", "--reflink=auto"])
        .arg(from)
        .arg(to)
        .status()
        .context("cp")?;
    ensure!(status.success(), "cp {}: {status}", from.display());
    Ok(())
}

fn describe(store: &Path) -> Result<String> {
    let mut log = 0;
    for entry in std::fs::read_dir(store.join("commitlog"))? {
        log += entry?.metadata()?.len();
    }
    let mut queues = 0;
    for topic in std::fs::read_dir(store.join("consumequeue"))? {
        queues += std::fs::read_dir(topic?.path())?.count();
    }
    Ok(format!("{:.1} GiB of log files, {queues} queues", log as f64 / f64::from(1 << 30)))
}

/// Milliseconds from the start of the process to its first answer about a queue.
fn start(
    setup: &Setup,
    options: &Options,
    dir: &Path,
    (store, saved): &(PathBuf, PathBuf),
    kind: &Kind,
    cache: Cache,
) -> Result<f64> {
    put_back(store, saved)?;
    prepare(store, cache)?;
    std::fs::create_dir_all(dir.join("conf"))?;
    servers::write_logback(dir)?;
    let port = setup.ports()? + 3;
    let conf = dir.join("conf/broker.conf");
    let text = format!(
        "brokerName=broker-a\nbrokerIP1=127.0.0.1\nlistenPort={port}\nhaListenPort={}\nstorePathRootDir={1}\n\
         storePathCommitLog={1}/commitlog\nfileReservedTime=876000\n",
        port + 1,
        store.display()
    );
    std::fs::write(&conf, text)?;
    let jvm = JVM.map(str::to_owned);
    let mut command = servers::command(kind, &setup.bin_dir, dir, Program::Broker, &jvm)?;
    let log = File::create(dir.join("broker.out"))?;
    command.arg("-c").arg(&conf).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let begin = Instant::now();
    let mut child = Running(command.spawn().context("broker")?);
    let queue = options.queues as i32 - 1;
    let max = loop {
        if let Some(status) = child.0.try_wait()? {
            bail!("ended with {status}:\n{}", std::fs::read_to_string(dir.join("broker.out"))?);
        }
        ensure!(begin.elapsed() < LIMIT, "no answer in {} s", LIMIT.as_secs());
        match Wire::connect(port, LIMIT).and_then(|mut wire| wire.max_offset("Load0", queue)) {
            Ok(max) => break max,
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let ms = begin.elapsed().as_secs_f64() * 1000.0;
    let wanted = (options.gib << 30) / RECORD / options.topics / options.queues;
    ensure!(max.unsigned_abs().abs_diff(wanted) <= 2, "queue {queue} ends at {max} instead of {wanted}");
    Ok(ms)
}

/// Brings the page cache into the wanted state.
fn prepare(store: &Path, cache: Cache) -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync");
    match cache {
        Cache::Warm => read_data(store),
        Cache::Cold => {
            let path = "/proc/sys/vm/drop_caches";
            std::fs::write(path, "3").with_context(|| format!("{path} (it needs root)"))
        }
    }
}

/// Reads what the files below `path` hold, but not their holes, which would fill the memory with zeros.
fn read_data(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            read_data(&entry?.path())?;
        }
        return Ok(());
    }
    let mut file = File::open(path)?;
    let mut at = 0;
    while let Ok(begin) = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at)) {
        at = rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(begin))?;
        file.seek(SeekFrom::Start(begin))?;
        std::io::copy(&mut (&file).take(at - begin), &mut std::io::sink())?;
    }
    Ok(())
}

/// The broker; killed when dropped, its store is put back before the next start.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
