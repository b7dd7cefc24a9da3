//! The scenarios for each pair of server and client version.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::java;
use crate::servers::{Cluster, Kind, Setup};

/// With more failures than these something is wrong that a second try does not mend.
const SECOND_TRIES: usize = 8;
/// A broker refuses what waited 200 ms for a send thread, which a cold JVM on a loaded machine does.
const PATIENT: &str = "waitTimeMillsInSendQueue=5000";
/// Filters by SQL92 are off by default; a scenario switches them off.
const FILTERS: &str = "enablePropertyFilter=true";

/// Transactions are checked every two seconds from the age of three on; Java's op records follow at once.
const TRANSACTIONS: &str = "transactionTimeOut=3000\ntransactionCheckInterval=2000\ntransactionCheckMax=40\n\
    transactionOpBatchInterval=100";

/// Which scenarios run, and how.
pub struct Choice {
    pub only: Option<String>,
    pub smoke: bool,
    pub parallel: usize,
    pub second_try: bool,
}

/// What became of each scenario of one cell.
#[derive(Default)]
struct Outcome {
    of: BTreeMap<String, State>,
    /// The program ended without its last line, or a server could not be started or stopped.
    broken: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Passed,
    Failed,
    Skipped,
}

impl Outcome {
    fn count(&self, state: State) -> usize {
        self.of.values().filter(|one| **one == state).count()
    }

    fn failed(&self) -> usize {
        self.count(State::Failed) + usize::from(self.broken.is_some())
    }
}

/// Runs all cells one after the other, prints a table and the sums; true when nothing failed.
pub fn run(setup: &Setup, kinds: &[Kind], clients: &[String], choice: &Choice) -> Result<bool> {
    let mut table = Vec::new();
    let mut sums = [0; 3];
    for client in clients {
        let classes = setup.work.join(format!("classes-{client}"));
        java::compile(client, &classes)?;
        for kind in kinds {
            println!("--- server {kind}, client {client}");
            let start = Instant::now();
            let dir = setup.run_dir(&format!("run-{kind}-client-{client}"))?;
            let outcome = cell(setup, kind, client, &classes, &dir, choice);
            if let Some(why) = &outcome.broken {
                println!("FAIL server {kind}, client {client}: {why}");
            }
            setup.finish(&dir, outcome.failed() == 0)?;
            let figures = [outcome.count(State::Passed), outcome.failed(), outcome.count(State::Skipped)];
            for (sum, figure) in sums.iter_mut().zip(figures) {
                *sum += figure;
            }
            let names: Vec<&str> =
                outcome.of.iter().filter(|(_, s)| **s == State::Failed).map(|(n, _)| n.as_str()).collect();
            table.push(format!(
                "{:<12} {:<8} {:>6} {:>6} {:>7} {:>5} s  {}",
                kind.to_string(),
                client,
                figures[0],
                figures[1],
                figures[2],
                start.elapsed().as_secs(),
                names.join(" ")
            ));
        }
    }
    println!("server       client   passed failed skipped    time  failed scenarios");
    table.iter().for_each(|line| println!("{line}"));
    println!("{} passed, {} failed, {} skipped", sums[0], sums[1], sums[2]);
    Ok(sums[1] == 0 && sums[0] > 0)
}

fn cell(setup: &Setup, kind: &Kind, client: &str, classes: &Path, dir: &Path, choice: &Choice) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(error) = scenarios(setup, kind, client, classes, dir, choice, &mut outcome) {
        outcome.broken = Some(format!("{error:#}"));
    }
    outcome
}

fn scenarios(
    setup: &Setup,
    kind: &Kind,
    client: &str,
    classes: &Path,
    dir: &Path,
    choice: &Choice,
    outcome: &mut Outcome,
) -> Result<()> {
    let conf = [PATIENT, FILTERS, TRANSACTIONS].join("\n");
    let mut cluster = Cluster::start(setup, kind, dir, &conf)?;
    let mut arguments = vec!["--parallel".to_owned(), choice.parallel.to_string()];
    if let Some(only) = &choice.only {
        arguments.extend(["--only".to_owned(), only.clone()]);
    }
    if choice.smoke {
        arguments.push("--smoke".to_owned());
    }
    one_process(&mut cluster, client, classes, &dir.join("client"), &arguments, outcome)?;
    let failed: Vec<String> =
        outcome.of.iter().filter(|(_, s)| **s == State::Failed).map(|(n, _)| n.clone()).collect();
    if choice.second_try && !failed.is_empty() && failed.len() <= SECOND_TRIES {
        println!("second try, one at a time: {}", failed.join(" "));
        let only = format!("^({})$", failed.join("|"));
        let arguments = ["--parallel".to_owned(), "1".to_owned(), "--only".to_owned(), only];
        one_process(&mut cluster, client, classes, &dir.join("client-again"), &arguments, outcome)?;
    }
    cluster.stop()
}

/// One run of `Scenarios`; serves its wishes for a restart of the broker.
fn one_process(
    cluster: &mut Cluster,
    client: &str,
    classes: &Path,
    log_dir: &Path,
    arguments: &[String],
    outcome: &mut Outcome,
) -> Result<()> {
    let mut command = java::client(client, classes, log_dir)?;
    command.arg("Scenarios").args(["--namesrv", &cluster.namesrv_address()]);
    command.args(["--broker", &cluster.broker_address()]).arg("--restartable").args(arguments);
    command.stderr(std::fs::File::create(log_dir.join("stderr"))?);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("java")?;
    let mut input = child.stdin.take().context("stdin of the scenarios")?;
    let output = child.stdout.take().context("stdout of the scenarios")?;
    let mut ended = false;
    let mut restart = Ok(());
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line == "@RESTART_BROKER" {
            println!("restarting the broker");
            restart = cluster.restart_broker();
            let answer: &[u8] = if restart.is_ok() { b"done\n" } else { b"failed\n" };
            input.write_all(answer)?;
            input.flush()?;
            continue;
        }
        println!("{line}");
        if let Some((name, state)) = judged(&line) {
            outcome.of.insert(name.to_owned(), state);
        }
        ended |= line.ends_with(" skipped") && line.contains(" passed, ");
    }
    let status = child.wait()?;
    restart.context("restarting the broker")?;
    anyhow::ensure!(ended, "the scenarios ended with {status} before their last line");
    anyhow::ensure!(!outcome.of.is_empty(), "no scenario has such a name");
    Ok(())
}

/// The scenario and its state, if the line tells one.
fn judged(line: &str) -> Option<(&str, State)> {
    let (word, rest) = line.split_once(' ')?;
    let state = match word {
        "PASS" => State::Passed,
        "FAIL" => State::Failed,
        "SKIP" => State::Skipped,
        _ => return None,
    };
    let (name, _) = rest.split_once(':')?;
    Some((name, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_verdicts_are_judged() {
        assert_eq!(judged("PASS send_sync: 12 ms"), Some(("send_sync", State::Passed)));
        assert_eq!(judged("FAIL push: expected 1, got 2: no"), Some(("push", State::Failed)));
        assert_eq!(judged("SKIP restart: not here"), Some(("restart", State::Skipped)));
        assert_eq!(judged("  send_sync: PASS x: y"), None);
        assert_eq!(judged("3 passed, 0 failed, 0 skipped"), None);
    }
}
