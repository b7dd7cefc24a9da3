//! A store directory that goes from Java to us and back, again and again.
//!
//! Each broker in turn opens what the other make left, after a clean stop and after a kill under load, shows everything
//! in it, takes a mixed load, and leaves it again. What the two makes show of the same directory is compared — queues,
//! the SHA-256 of every record, keys, topics, groups, committed and delay offsets — and every acknowledged message of
//! every load must be among it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::handover;
use crate::java;
use crate::kill9::copy_sparse;
use crate::servers::{Cluster, Kind, Setup};
use crate::verify::Comparison;

/// The level whose messages are never due here.
const LONG_LEVEL: u32 = 19;
/// Small files, so that each load fills several; a level that is due in ten years; half messages are never checked.
const CONF: &str = "mappedFileSizeCommitLog=1048576\nmappedFileSizeConsumeQueue=6000\nmaxHashSlotNum=500\n\
    maxIndexNum=400\nfileReservedTime=876000\n\
    messageDelayLevel=1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h 3650d\n\
    transactionTimeOut=315360000000\ntransactionCheckInterval=315360000000\n";

#[derive(Args)]
pub struct Options {
    /// Versions of the Java broker, each with a directory of its own; they run at the same time.
    #[arg(long, value_delimiter = ',', default_value = "5.5.0,4.9.7")]
    java: Vec<String>,
    /// Version of the client that sends, consumes and reads.
    #[arg(long, default_value = "5.5.0")]
    client: String,
    /// Milliseconds of load in each step, after each kind of message was acknowledged once.
    #[arg(long, default_value_t = 1500)]
    load_ms: u64,
    /// How often the directory goes there and back.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
}

/// Runs the chain for each version; true when none of them found a difference.
pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let classes = setup.work.join(format!("classes-{}", options.client));
    java::compile(&options.client, &classes)?;
    for version in &options.java {
        java::jars(version)?;
    }
    let outcomes: Vec<(String, Result<()>)> = std::thread::scope(|scope| {
        let mut chains = Vec::new();
        for version in &options.java {
            let classes = &classes;
            let name = format!("hand-back {version}");
            chains.push((name, scope.spawn(move || chain(setup, options, classes, version))));
            let name = format!("hand-over of transactions {version}");
            let client = &options.client;
            chains.push((name, scope.spawn(move || handover::run(setup, client, classes, version))));
        }
        let panicked = |_| Err(anyhow::anyhow!("the chain panicked"));
        chains.into_iter().map(|(name, chain)| (name, chain.join().unwrap_or_else(panicked))).collect()
    });
    let mut failed = 0;
    for (name, outcome) in &outcomes {
        match outcome {
            Ok(()) => println!("PASS {name}"),
            Err(error) => {
                failed += 1;
                println!("FAIL {name}: {error:#}");
            }
        }
    }
    println!("{} passed, {failed} failed, 0 skipped", outcomes.len() - failed);
    Ok(failed == 0)
}

fn chain(setup: &Setup, options: &Options, classes: &Path, version: &str) -> Result<()> {
    let dir = setup.run_dir(&format!("hand-back-{version}"))?;
    let mut chain = Chain {
        setup,
        options,
        classes,
        java: Kind::Java(version.to_owned()),
        dir: dir.clone(),
        steps: 0,
        store: None,
        left_at: 0,
        acknowledged: Vec::new(),
        started: Instant::now(),
    };
    let outcome = chain.run();
    setup.finish(&dir, outcome.is_ok())?;
    outcome
}

/// How a broker ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// SIGTERM at rest.
    Clean,
    /// SIGKILL under load.
    Killed,
}

/// A directory and what must be in it.
struct Chain<'a> {
    setup: &'a Setup,
    options: &'a Options,
    classes: &'a Path,
    java: Kind,
    dir: PathBuf,
    steps: u32,
    /// Where the last broker left it.
    store: Option<PathBuf>,
    /// When the last broker ended, ms: what is stored later, deliveries for instance, is not what it left.
    left_at: i64,
    acknowledged: Vec<Acknowledged>,
    started: Instant,
}

impl Chain<'_> {
    fn run(&mut self) -> Result<()> {
        let java = self.java.clone();
        let mut shown = if java == Kind::Java("5.5.0".to_owned()) {
            Some(self.unpack_golden()?)
        } else {
            // Java makes the directory, with half messages that nobody decides.
            self.serve(&java, None, End::Clean)?
        };
        for _ in 0..self.options.rounds {
            // Each opens what the other stopped cleanly, and shows what that one showed at last.
            shown = self.serve(&Kind::Ours, shown.as_ref(), End::Clean)?;
            shown = self.serve(&java, shown.as_ref(), End::Clean)?;
            self.serve(&Kind::Ours, shown.as_ref(), End::Killed)?;
            // Both open what ours left when it was killed; Java goes on with it and is killed as well.
            let killed = self.shown_by_a_copy(&Kind::Ours)?;
            self.serve(&java, Some(&killed), End::Killed)?;
            let killed = self.shown_by_a_copy(&java)?;
            shown = self.serve(&Kind::Ours, Some(&killed), End::Clean)?;
        }
        // What ours leaves after that recovery is opened by Java once more.
        let last = self.shown_by_a_copy(&java)?;
        self.compare("in the end", shown.as_ref(), &last)
    }

    /// The recorded directory of 5.5.0 that has half messages and delayed ones; what Java showed of it.
    fn unpack_golden(&mut self) -> Result<Value> {
        let case = java::home().join("../crates/store/testdata/java-5.5.0/sched");
        let archive = case.join("store.tar.xz");
        let status = Command::new("tar").arg("-xSf").arg(&archive).arg("-C").arg(&self.dir).status()?;
        ensure!(status.success(), "{}: {status}", archive.display());
        self.store = Some(self.dir.join("store"));
        self.left_at = now()?;
        serde_json::from_slice(&std::fs::read(case.join("manifest.json"))?).context("manifest")
    }

    /// A broker of `kind` opens the directory and must show `wanted`; then it takes a load and ends. After a clean
    /// end, what it showed right before.
    fn serve(&mut self, kind: &Kind, wanted: Option<&Value>, end: End) -> Result<Option<Value>> {
        let (dir, name) = self.next(kind)?;
        if let Some(store) = self.store.take() {
            std::fs::rename(&store, dir.join("store"))?;
        }
        let mut cluster =
            Cluster::start_with_our_namesrv(self.setup, kind, &dir, CONF).with_context(|| name.clone())?;
        let mut client = Client::start(self, &cluster, &dir, &name)?;
        if let Some(wanted) = wanted {
            let found = client.show()?;
            self.compare(&name, Some(wanted), &found)?;
        }
        client.load()?;
        std::thread::sleep(Duration::from_millis(self.options.load_ms));
        let mut shown = None;
        match end {
            End::Clean => {
                let sent = client.stop()?;
                let manifest = client.show()?;
                self.say(&format!("{name}: {sent}"));
                self.acknowledged.extend(client.ledger()?);
                self.check_acknowledged(&name, &manifest)?;
                shown = Some(manifest);
                cluster.stop()?;
                self.verify(&dir, &name)?;
            }
            End::Killed => {
                cluster.kill_broker()?;
                drop(cluster);
                let ledger = client.ledger()?;
                self.say(&format!("{name}: {} acknowledged, killed under load", ledger.len()));
                self.acknowledged.extend(ledger);
            }
        }
        self.store = Some(dir.join("store"));
        self.left_at = now()?;
        Ok(shown)
    }

    /// What a broker of `kind` shows of a copy of the directory. It is killed: Java takes ten seconds to stop.
    fn shown_by_a_copy(&mut self, kind: &Kind) -> Result<Value> {
        let (dir, name) = self.next(kind)?;
        let store = self.store.as_ref().context("a store")?;
        copy_sparse(store, &dir.join("store"))?;
        let cluster =
            Cluster::start_with_our_namesrv(self.setup, kind, &dir, CONF).with_context(|| name.clone())?;
        let manifest = Client::start(self, &cluster, &dir, &name)?.show()?;
        self.check_acknowledged(&name, &manifest)?;
        drop(cluster);
        if !self.setup.keep {
            std::fs::remove_dir_all(dir.join("store"))?;
        }
        Ok(manifest)
    }

    /// What a clean stop left is sound: every checksum, every queue unit and index entry, and nothing that this
    /// version of Java could not read.
    fn verify(&self, dir: &Path, name: &str) -> Result<()> {
        let mut command = Command::new(self.setup.bin_dir.join("raptormq"));
        command.args(["store", "verify"]).arg(dir.join("store")).arg("-c").arg(dir.join("conf/broker.conf"));
        if self.java == Kind::Java("4.9.7".to_owned()) {
            command.args(["--for", "4.9.7"]);
        }
        let output = command.output().context("raptormq")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{name}: raptormq store verify ended with {}:\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        self.say(&format!("{name}: {}", text.trim().lines().last().unwrap_or_default()));
        Ok(())
    }

    fn next(&mut self, kind: &Kind) -> Result<(PathBuf, String)> {
        self.steps += 1;
        let name = format!("{}-{kind}", self.steps);
        let dir = self.dir.join(&name);
        std::fs::create_dir(&dir)?;
        Ok((dir, name))
    }

    fn compare(&self, name: &str, wanted: Option<&Value>, found: &Value) -> Result<()> {
        let wanted = wanted.context("nothing to compare with")?;
        let differences =
            Comparison { since: self.left_at, long_level: Some(LONG_LEVEL) }.differences(wanted, found);
        let count = |list: &str| found[list].as_array().map_or(0, Vec::len);
        self.say(&format!(
            "{name}: {} messages in {} queues, {} keys, {} differences",
            count("messages"),
            count("queues"),
            count("indexQueries"),
            differences.len()
        ));
        ensure!(
            differences.is_empty(),
            "{name} shows something else than the broker before it:\n  {}",
            differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n  ")
        );
        self.check_acknowledged(name, found)
    }

    /// Every acknowledged message is there; those of plain queues where they were acknowledged.
    fn check_acknowledged(&self, name: &str, manifest: &Value) -> Result<()> {
        let mut at: BTreeMap<(&str, i64, i64), (&str, &str)> = BTreeMap::new();
        let mut bodies = BTreeSet::new();
        for message in manifest["messages"].as_array().into_iter().flatten() {
            let text = |key: &str| message[key].as_str().unwrap_or_default();
            let place = (text("topic"), message["queueId"].as_i64(), message["queueOffset"].as_i64());
            if let (topic, Some(queue), Some(offset)) = place {
                at.insert((topic, queue, offset), (key_of(message), text("bodySha256")));
            }
            bodies.insert((key_of(message), text("bodySha256")));
        }
        let lost: Vec<&Acknowledged> = self
            .acknowledged
            .iter()
            .filter(|one| {
                let wanted = (one.key.as_str(), one.sha256.as_str());
                match one.kind.as_str() {
                    "delayed" | "half" => !bodies.contains(&wanted),
                    _ => at.get(&(one.topic.as_str(), one.queue, one.offset)) != Some(&wanted),
                }
            })
            .collect();
        ensure!(
            lost.is_empty(),
            "{name}: {} of {} acknowledged messages are not there, the first is {:?}",
            lost.len(),
            self.acknowledged.len(),
            lost[0]
        );
        Ok(())
    }

    fn say(&self, text: &str) {
        println!("  {} {:>5.1} s  {text}", self.java, self.started.elapsed().as_secs_f64());
    }
}

/// The last of a message's keys, which no other one has.
fn key_of(message: &Value) -> &str {
    message["keys"].as_str().and_then(|keys| keys.split(' ').next_back()).unwrap_or_default()
}

fn now() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// A line of the ledger.
#[derive(Debug)]
struct Acknowledged {
    kind: String,
    topic: String,
    queue: i64,
    offset: i64,
    key: String,
    sha256: String,
}

/// The Java process that sends, consumes and reads back.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    dir: PathBuf,
}

impl Client {
    fn start(chain: &Chain<'_>, cluster: &Cluster, dir: &Path, name: &str) -> Result<Client> {
        let logs = dir.join("client");
        let mut command = java::client(&chain.options.client, chain.classes, &logs)?;
        command.args(["HandBack", &cluster.namesrv_address(), &cluster.broker_address()]);
        command.arg(cluster.store()).arg(dir.join("ledger")).args([name, &LONG_LEVEL.to_string()]);
        command.stderr(std::fs::File::create(logs.join("stderr"))?);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("java")?;
        let input = child.stdin.take().context("stdin of the client")?;
        let output = BufReader::new(child.stdout.take().context("stdout of the client")?);
        Ok(Client { child, input, output, dir: dir.to_owned() })
    }

    /// Says `command` and returns the rest of the line that begins with `answer`.
    fn ask(&mut self, command: &str, answer: &str) -> Result<String> {
        writeln!(self.input, "{command}")?;
        self.input.flush()?;
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                bail!("the client ended ({}); see {}/client/stderr", self.child.wait()?, self.dir.display());
            }
            if let Some(rest) = line.strip_prefix(answer) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    /// Everything that the broker shows of its store.
    fn show(&mut self) -> Result<Value> {
        let file = self.dir.join("manifest.json");
        self.ask(&format!("show {}", file.display()), "@SHOWN")?;
        serde_json::from_slice(&std::fs::read(file)?).context("manifest")
    }

    fn load(&mut self) -> Result<()> {
        self.ask("load", "@GO").map(drop)
    }

    fn stop(&mut self) -> Result<String> {
        Ok(format!("acknowledged {}", self.ask("stop", "@SENT")?))
    }

    /// What was acknowledged; the process is ended if it still runs.
    fn ledger(&mut self) -> Result<Vec<Acknowledged>> {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let text = std::fs::read_to_string(self.dir.join("ledger"))?;
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(parse).collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Result<Acknowledged> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [kind, topic, queue, offset, key, sha256] = fields[..] else {
        bail!("a line of the ledger: {line}");
    };
    Ok(Acknowledged {
        kind: kind.to_owned(),
        topic: topic.to_owned(),
        queue: queue.parse()?,
        offset: offset.parse()?,
        key: key.to_owned(),
        sha256: sha256.to_owned(),
    })
}
