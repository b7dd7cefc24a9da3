//! Normal, delayed, transactional, ordered and retried messages at once, produced and consumed while the broker is killed
//! with SIGKILL again and again. Afterwards every delivery is judged: nothing acknowledged is lost, nothing comes early,
//! nothing is visible before its commit, each queue's first deliveries are in order, and every further delivery of a
//! message has a cause. With `--server java-5.5.0` the harness itself is put to the test.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::java;
use crate::kill9::{Flush, Random, now};
use crate::servers::{Cluster, Kind, Setup};
use crate::traffic::Traffic;

/// Consumers notice a new connection after three seconds; kills must leave them time to consume in most cycles.
const PAUSE_MAX_MS: u64 = 9_000;
/// The broker's files whose state at a kill explains what is delivered twice.
const OFFSET_FILES: [&str; 2] = ["consumerOffset.json", "delayOffset.json"];

#[derive(Args)]
pub struct Options {
    /// `ours` or `java-VERSION`.
    #[arg(long, default_value = "ours")]
    server: Kind,
    /// How often the broker is killed.
    #[arg(long, default_value_t = 4)]
    cycles: u32,
    /// flushDiskType of the broker.
    #[arg(long, value_enum, default_value_t = Flush::Async)]
    flush: Flush,
    /// Version of the client.
    #[arg(long, default_value = "5.5.0")]
    client: String,
    /// Seed of the times at which it is killed; printed when it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(|| u64::from(now().subsec_nanos()));
    let (word, java_word) = options.flush.words();
    println!("audit: {} cycles of {}, {word} flush, seed {seed}", options.cycles, options.server);
    let classes = setup.work.join(format!("classes-{}", options.client));
    java::compile(&options.client, &classes)?;
    let mut test = java::client(&options.client, &classes, &setup.work.join("audit-test"))?;
    ensure!(test.arg("MixedAuditTest").status()?.success(), "the audit does not find what it is there for");
    let dir = setup.run_dir(&format!("audit-{}-{word}", options.server))?;
    // With the usual periods a broker that lives for some seconds delivers all delayed and retried messages of its
    // predecessors again, and over many kills they multiply.
    let conf = format!(
        "flushDiskType={java_word}\nmappedFileSizeCommitLog=33554432\nmappedFileSizeConsumeQueue=120000\n\
         transactionTimeOut=3000\ntransactionCheckInterval=3000\nwaitTimeMillsInSendQueue=2000\n\
         flushConsumerOffsetInterval=1000\nflushDelayOffsetInterval=1000"
    );
    let ok = match cycles(setup, options, &dir, &classes, &conf, seed) {
        Ok(()) => true,
        Err(error) => {
            println!("FAIL audit {} {word} (seed {seed}): {error:#}", options.server);
            false
        }
    };
    setup.finish(&dir, ok)?;
    if ok {
        println!("PASS audit {} {word}: {} cycles", options.server, options.cycles);
    }
    println!("{} passed, {} failed, 0 skipped", u8::from(ok), u8::from(!ok));
    Ok(ok)
}

fn cycles(setup: &Setup, options: &Options, dir: &Path, classes: &Path, conf: &str, seed: u64) -> Result<()> {
    let mut random = Random(seed);
    let mut cluster = Cluster::start(setup, &options.server, dir, conf)?;
    let mut workload = java::client(&options.client, classes, &dir.join("traffic"))?;
    workload.args(["MixedWorkload", &cluster.namesrv_address(), &cluster.broker_address()]);
    let mut traffic = Traffic::start(workload, &dir.join("traffic/stderr"))?;
    for cycle in 1..=options.cycles {
        for (question, prefix) in [("ack?", "@ACK"), ("seen?", "@SEEN")] {
            let before = traffic.count(question, prefix)?;
            traffic.flows(question, prefix, before)?;
        }
        let pause = Duration::from_millis(random.below(PAUSE_MAX_MS));
        std::thread::sleep(pause);
        let from = now().as_millis();
        cluster.kill_broker()?;
        let to = now().as_millis();
        let left = keep_offsets(&cluster, &dir.join(format!("kill-{cycle}")))?;
        cluster.start_broker().with_context(|| format!("start after kill {cycle}"))?;
        traffic.tell(&format!("killed {from} {to} {}", left.display()))?;
        if cycle % 10 == 0 || cycle == options.cycles {
            println!(
                "  kill {cycle}: {} acknowledged, {} delivered",
                traffic.count("ack?", "@ACK")?,
                traffic.count("seen?", "@SEEN")?
            );
        }
    }
    let before = traffic.count("seen?", "@SEEN")?;
    traffic.flows("seen?", "@SEEN", before)?;
    let verdict = traffic.stop("@AUDIT")?;
    cluster.stop()?;
    ensure!(verdict == "passed", "the audit {verdict}");
    Ok(())
}

/// Copies the files with offsets as the killed broker left them.
fn keep_offsets(cluster: &Cluster, to: &Path) -> Result<std::path::PathBuf> {
    std::fs::create_dir_all(to)?;
    for file in OFFSET_FILES {
        match std::fs::copy(cluster.store().join("config").join(file), to.join(file)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied.with_context(|| file.to_owned())?),
        }
    }
    Ok(to.to_owned())
}
