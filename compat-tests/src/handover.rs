//! Transactions that are undecided when a store passes from Java's broker to ours and back.
//!
//! Each broker in turn finds half messages that the others left undecided, asks their producer about all of them, and
//! leaves new ones; in the end ours settles some and Java's the rest. What was settled is never asked about, and every
//! committed message can be consumed exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::java;
use crate::servers::{Cluster, Kind, Setup};

/// Checks every two seconds from the age of three on; Java's op records follow at once.
const CONF: &str = "mappedFileSizeCommitLog=1048576\nmappedFileSizeConsumeQueue=6000\nmaxHashSlotNum=500\n\
    maxIndexNum=400\ntransactionTimeOut=3000\ntransactionCheckInterval=2000\ntransactionCheckMax=1000\n\
    transactionOpBatchInterval=100\nwaitTimeMillsInSendQueue=5000\n";
/// Transactions of each outcome that a broker is left with.
const EACH: u32 = 6;
/// How long the brokers may take to ask, or to settle.
const PATIENCE: Duration = Duration::from_secs(60);
/// After this long, Java's op records are stored, and whoever is still asked about is not settled.
const QUIET: Duration = Duration::from_secs(5);

/// Passes a store between Java's broker of `version` and ours.
pub fn run(setup: &Setup, client: &str, classes: &Path, version: &str) -> Result<()> {
    let dir = setup.run_dir(&format!("hand-over-{version}"))?;
    let mut chain = Chain {
        setup,
        client,
        classes,
        dir: dir.clone(),
        steps: 0,
        store: None,
        undecided: BTreeSet::new(),
        committed: BTreeSet::new(),
        visible: BTreeMap::new(),
    };
    let outcome = chain.run(&Kind::Java(version.to_owned()));
    setup.finish(&dir, outcome.is_ok())?;
    outcome
}

struct Chain<'a> {
    setup: &'a Setup,
    client: &'a str,
    classes: &'a Path,
    dir: PathBuf,
    steps: u32,
    store: Option<PathBuf>,
    undecided: BTreeSet<String>,
    committed: BTreeSet<String>,
    /// How often each message could be consumed at last.
    visible: BTreeMap<String, u32>,
}

impl Chain<'_> {
    /// Once; what a check settled more often where the producer was asked again before it had answered.
    fn may_be_visible(&self, body: &str, times: u32, asked: &BTreeMap<String, u32>) -> bool {
        let before = self.visible.get(body).copied().unwrap_or(0);
        let now =
            if body.starts_with('p') && before == 0 { asked.get(body).copied().unwrap_or(0) } else { 1 };
        (1..=before.max(now)).contains(&times)
    }

    fn run(&mut self, java: &Kind) -> Result<()> {
        self.serve(java, Some("a"), None, false)?;
        self.serve(&Kind::Ours, Some("b"), None, true)?;
        self.serve(&Kind::Ours, Some("d"), None, false)?;
        self.serve(java, Some("e"), None, false)?;
        self.serve(&Kind::Ours, None, Some("p[ab].*"), false)?;
        self.serve(java, None, Some("p.*"), false)?;
        // Nothing is left to ask about.
        self.serve(&Kind::Ours, None, None, false)
    }

    /// A broker asks about everything undecided; then it is left with new transactions, or settles some.
    fn serve(&mut self, kind: &Kind, leave: Option<&str>, decide: Option<&str>, kill: bool) -> Result<()> {
        self.steps += 1;
        let name = format!("{}-{kind}", self.steps);
        let dir = self.dir.join(&name);
        std::fs::create_dir(&dir)?;
        if let Some(store) = self.store.take() {
            std::fs::rename(store, dir.join("store"))?;
        }
        let mut cluster = Cluster::start_with_our_namesrv(self.setup, kind, &dir, CONF)?;
        let mut producer = Producer::start(self, &cluster, &dir)?;
        let wanted = self.undecided.clone();
        producer
            .wait("asked", "@ASKED", |asked| asked.keys().cloned().collect::<BTreeSet<_>>() == wanted)
            .with_context(|| format!("{name} asks about {wanted:?}"))?;
        if let Some(mark) = leave {
            producer.ask(&format!("leave {mark} {EACH}"), "@LEFT")?;
            for n in 0..EACH {
                self.committed.insert(format!("c{mark}{n}"));
                self.undecided.insert(format!("p{mark}{n}"));
            }
        }
        if let Some(which) = decide {
            producer.ask(&format!("decide {which}"), "@DECIDING")?;
            let all = which == "p.*";
            let settled = |body: &String| all || body.starts_with("pa") || body.starts_with("pb");
            for body in self.undecided.iter().filter(|body| settled(body)) {
                if body.ends_with(['0', '2', '4']) {
                    self.committed.insert(body.clone());
                }
            }
            self.undecided.retain(|body| !settled(body));
        }
        let committed = self.committed.clone();
        producer
            .wait("visible", "@VISIBLE", |seen| seen.keys().cloned().collect::<BTreeSet<_>>() == committed)
            .with_context(|| format!("{name} shows {committed:?}"))?;
        std::thread::sleep(QUIET);
        let asked = producer.counts("asked", "@ASKED")?;
        std::thread::sleep(QUIET);
        let again = producer.counts("asked", "@ASKED")?;
        let visible = producer.counts("visible", "@VISIBLE")?;
        ensure!(
            visible.len() == self.committed.len()
                && visible.iter().all(|(body, times)| self.may_be_visible(body, *times, &asked)),
            "{name}: visible are {visible:?}"
        );
        let settled = asked.keys().find(|body| !body.starts_with('p'));
        ensure!(settled.is_none(), "{name} asked about {settled:?}, which is settled");
        let still: BTreeSet<&String> =
            again.iter().filter(|(body, times)| asked.get(*body) != Some(times)).map(|it| it.0).collect();
        ensure!(
            still.iter().all(|body| self.undecided.contains(*body)),
            "{name} still asks about {still:?}, undecided are {:?}",
            self.undecided
        );
        let more = visible.values().sum::<u32>() as usize - visible.len();
        println!(
            "  {name}: {} undecided, {} visible, {more} of them again after a late answer",
            self.undecided.len(),
            visible.len()
        );
        self.visible = visible;
        drop(producer);
        if kill {
            cluster.kill_broker()?;
            drop(cluster);
        } else {
            cluster.stop()?;
        }
        self.store = Some(dir.join("store"));
        Ok(())
    }
}

/// The Java process that sends and decides.
struct Producer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    logs: PathBuf,
}

impl Producer {
    fn start(chain: &Chain<'_>, cluster: &Cluster, dir: &Path) -> Result<Producer> {
        let logs = dir.join("client");
        let mut command = java::client(chain.client, chain.classes, &logs)?;
        command.args(["HandOver", &cluster.namesrv_address(), &cluster.broker_address()]);
        command.stderr(std::fs::File::create(logs.join("stderr"))?);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("java")?;
        let input = child.stdin.take().context("stdin of the client")?;
        let output = BufReader::new(child.stdout.take().context("stdout of the client")?);
        let mut producer = Producer { child, input, output, logs };
        producer.read("@READY")?;
        Ok(producer)
    }

    fn read(&mut self, answer: &str) -> Result<String> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                bail!("the client ended ({}); see {}/stderr", self.child.wait()?, self.logs.display());
            }
            if let Some(rest) = line.strip_prefix(answer) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    fn ask(&mut self, command: &str, answer: &str) -> Result<String> {
        writeln!(self.input, "{command}")?;
        self.input.flush()?;
        self.read(answer)
    }

    /// How often each message, by its body.
    fn counts(&mut self, command: &str, answer: &str) -> Result<BTreeMap<String, u32>> {
        let text = self.ask(command, answer)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        words.chunks_exact(2).map(|pair| Ok((pair[0].to_owned(), pair[1].parse()?))).collect()
    }

    fn wait(
        &mut self,
        command: &str,
        answer: &str,
        holds: impl Fn(&BTreeMap<String, u32>) -> bool,
    ) -> Result<()> {
        let begin = Instant::now();
        loop {
            let counts = self.counts(command, answer)?;
            if holds(&counts) {
                return Ok(());
            }
            ensure!(begin.elapsed() < PATIENCE, "not in {} s, but {counts:?}", PATIENCE.as_secs());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
