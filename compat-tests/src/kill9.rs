//! A broker that is killed with SIGKILL again and again, on one store, under acknowledged traffic.
//!
//! What was acknowledged must be there at the queue offset that was acknowledged, with the bytes that were sent, and
//! offsets must be dense. At the end a Java broker opens a copy of the store and must show the same records, byte by
//! byte. With `--server java-5.5.0` the harness itself is put to the test.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::java;
use crate::servers::{Cluster, Kind, Setup};
use crate::traffic::Traffic;

#[derive(Args)]
pub struct Options {
    /// `ours` or `java-VERSION`.
    #[arg(long, default_value = "ours")]
    server: Kind,
    /// How often the broker is killed.
    #[arg(long, default_value_t = 5)]
    cycles: u32,
    /// flushDiskType of the broker.
    #[arg(long, value_enum, default_value_t = Flush::Async)]
    flush: Flush,
    /// Acknowledged messages at most, over all cycles; sets the pace of the producers.
    #[arg(long, default_value_t = 1_000_000)]
    messages_max: u64,
    /// Version of the client that sends and reads.
    #[arg(long, default_value = "5.5.0")]
    client: String,
    /// Version of the Java broker that reads the store at the end.
    #[arg(long, default_value = "5.5.0")]
    read_back: String,
    /// Seed of the times at which it is killed; printed when it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

/// `flushDiskType`.
#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum Flush {
    Async,
    Sync,
}

impl Flush {
    /// Our word and Java's.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Flush::Async => ("async", "ASYNC_FLUSH"),
            Flush::Sync => ("sync", "SYNC_FLUSH"),
        }
    }
}

/// Since the epoch.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(|| u64::from(now().subsec_nanos()));
    let (word, java_word) = options.flush.words();
    println!("kill9: {} cycles of {}, {word} flush, seed {seed}", options.cycles, options.server);
    let classes = setup.work.join(format!("classes-{}", options.client));
    java::compile(&options.client, &classes)?;
    let dir = setup.run_dir(&format!("kill9-{}-{word}", options.server))?;
    // Small files, so that the kills also meet rolls and the recovery several files.
    let conf = format!(
        "flushDiskType={java_word}\nmappedFileSizeCommitLog=33554432\nmappedFileSizeConsumeQueue=120000\nwaitTimeMillsInSendQueue=2000"
    );
    let outcome = cycles(setup, options, &dir, &classes, &conf, seed);
    let ok = match &outcome {
        Ok(()) => true,
        Err(error) => {
            println!("FAIL kill9 {} {word} (seed {seed}): {error:#}", options.server);
            false
        }
    };
    setup.finish(&dir, ok)?;
    if ok {
        println!("PASS kill9 {} {word}: {} cycles", options.server, options.cycles);
    }
    println!("{} passed, {} failed, 0 skipped", u8::from(ok), u8::from(!ok));
    Ok(ok)
}

fn cycles(setup: &Setup, options: &Options, dir: &Path, classes: &Path, conf: &str, seed: u64) -> Result<()> {
    let mut random = Random(seed);
    let mut cluster = Cluster::start(setup, &options.server, dir, conf)?;
    let ledger = dir.join("ledger");
    // Traffic lasts two seconds at most per cycle; a pace that cannot reach the maximum leaves some for the last one.
    let rate = (options.messages_max * 10 / 22 / u64::from(options.cycles.max(1))).clamp(100, 10_000);
    let mut send = java::client(&options.client, classes, &dir.join("traffic"))?;
    send.args(["KillWorkload", "send", &cluster.namesrv_address(), &cluster.broker_address()]).arg(&ledger);
    send.args([rate.to_string(), options.messages_max.to_string()]);
    let mut traffic = Traffic::start(send, &dir.join("traffic/stderr"))?;
    let start = Instant::now();
    let mut downtime = Duration::ZERO;
    for cycle in 1..=options.cycles {
        let before = traffic.count("ack?", "@ACK")?;
        traffic.flows("ack?", "@ACK", before)?;
        let pause = Duration::from_millis(random.below(2000));
        std::thread::sleep(pause);
        cluster.kill_broker()?;
        let down = Instant::now();
        cluster.start_broker().with_context(|| format!("start after kill {cycle}"))?;
        downtime += down.elapsed();
        if cycle % 10 == 0 || cycle == options.cycles {
            println!(
                "  kill {cycle} after {} ms of traffic, {} acknowledged",
                pause.as_millis(),
                traffic.count("ack?", "@ACK")?
            );
        }
    }
    let before = traffic.count("ack?", "@ACK")?;
    traffic.flows("ack?", "@ACK", before)?;
    let sent = format!("acknowledged {}", traffic.stop("@SENT")?);
    println!(
        "  {sent}; {} s, of which booting after a kill {} ms on average",
        start.elapsed().as_secs(),
        downtime.as_millis() / u128::from(options.cycles.max(1))
    );
    let mut check = java::client(&options.client, classes, &dir.join("check"))?;
    check.args(["KillWorkload", "check", &cluster.namesrv_address()]).arg(&ledger);
    let answer = output(&mut check)?;
    answer.text.lines().for_each(|line| println!("  {line}"));
    let served = digest(options, classes, dir, &cluster)?;
    cluster.stop_broker()?;
    let store = cluster.store();
    cluster.stop()?;
    ensure!(answer.ok, "what was read back is not what was acknowledged");

    let again = dir.join("read-back");
    std::fs::create_dir(&again)?;
    copy_sparse(&store, &again.join("store"))?;
    let java = Cluster::start(setup, &Kind::Java(options.read_back.clone()), &again, conf)?;
    let read_back = digest(options, classes, dir, &java)?;
    java.stop()?;
    ensure!(
        served == read_back,
        "Java {} shows other records:\n{served}\nand then\n{read_back}",
        options.read_back
    );
    let records: u64 = served.lines().filter_map(|line| line.split(' ').nth(4)?.parse::<u64>().ok()).sum();
    ensure!(records > 0, "no records");
    println!("  Java {} on a copy of the store: the same {records} records, byte by byte", options.read_back);
    Ok(())
}

/// One line per queue: topic, queue, minimum, maximum, records, SHA-256 over all raw records.
fn digest(options: &Options, classes: &Path, dir: &Path, cluster: &Cluster) -> Result<String> {
    let mut command = java::client(&options.client, classes, &dir.join("digest"))?;
    command.args(["KillWorkload", "digest", &cluster.broker_address()]);
    let answer = output(&mut command)?;
    ensure!(answer.ok, "reading the raw records: {}", answer.text);
    Ok(answer.text)
}

struct Answer {
    ok: bool,
    text: String,
}

fn output(command: &mut Command) -> Result<Answer> {
    let output = command.stdin(Stdio::null()).output().context("java")?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        text.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    Ok(Answer { ok: output.status.success(), text })
}

/// `cp -a --sparse=always`: log files are mostly holes.
pub fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    let status =
        Command::new("cp").args(["-a", "--sparse=always"]).arg(from).arg(to).status().context("cp")?;
    ensure!(status.success(), "cp {} {}: {status}", from.display(), to.display());
    Ok(())
}

/// SplitMix64; the times of the kills have to be repeatable from a printed seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_repeats_with_its_seed_and_stays_below_the_bound() {
        let draw = |seed| {
            let mut random = Random(seed);
            (0..100).map(|_| random.below(2000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().all(|n| *n < 2000));
        assert!(draw(7).iter().any(|n| *n > 1000) && draw(7).iter().any(|n| *n < 1000));
    }

    #[test]
    fn a_sparse_copy_has_the_same_bytes() {
        let dir = std::env::temp_dir().join(format!("compat-copy-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        let mut bytes = vec![0; 100_000];
        bytes[50_000] = 7;
        std::fs::write(dir.join("a/b/file"), &bytes).unwrap();
        copy_sparse(&dir.join("a"), &dir.join("c")).unwrap();
        assert_eq!(std::fs::read(dir.join("c/b/file")).unwrap(), bytes);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
