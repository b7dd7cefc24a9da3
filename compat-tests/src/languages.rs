//! The clients of other languages: Go, C++ (by way of its Python wheel) and Node.js, each a small program in `clients/`.
//!
//! A language whose tools are missing is skipped. What the programs need is fetched from the registry of their language.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::java;
use crate::servers::{Cluster, Kind, Setup};
use crate::wire::Wire;

#[derive(Args)]
pub struct Options {
    /// `ours` or `java-VERSION`.
    #[arg(long, value_delimiter = ',', default_value = "java-5.5.0,ours")]
    servers: Vec<Kind>,
    /// `go`, `python`, `node`.
    #[arg(long, value_delimiter = ',', default_value = "go,python,node")]
    clients: Vec<String>,
}

#[derive(Default)]
struct Sums {
    passed: u64,
    failed: u64,
    skipped: u64,
}

pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let mut sums = Sums::default();
    for kind in &options.servers {
        let dir = setup.run_dir(&format!("languages-{kind}"))?;
        let conf = "enablePropertyFilter=true\ntransactionCheckInterval=5000";
        let cluster = Cluster::start(setup, kind, &dir, conf)?;
        let before = sums.failed;
        for client in &options.clients {
            println!("--- {client} on {kind}");
            match one(&cluster, client, &dir) {
                Ok(Some((passed, failed))) => {
                    sums.passed += passed;
                    sums.failed += failed;
                }
                Ok(None) => sums.skipped += 1,
                Err(error) => {
                    println!("FAIL {client}: {error:#}");
                    sums.failed += 1;
                }
            }
        }
        cluster.stop()?;
        setup.finish(&dir, sums.failed == before)?;
    }
    println!("{} passed, {} failed, {} skipped", sums.passed, sums.failed, sums.skipped);
    Ok(sums.failed == 0 && sums.passed > 0)
}

/// Runs one program; how many of its cases passed and failed, `None` where its tools are missing.
fn one(cluster: &Cluster, client: &str, dir: &Path) -> Result<Option<(u64, u64)>> {
    let sources = java::home().join("clients").join(client);
    let work = dir.join(client);
    std::fs::create_dir_all(&work)?;
    for entry in std::fs::read_dir(&sources).with_context(|| format!("no client {client}"))? {
        let path = entry?.path();
        std::fs::copy(&path, work.join(path.file_name().unwrap_or_default()))?;
    }
    let tool = match client {
        "node" => "npm",
        "python" => "python3",
        other => other,
    };
    let there = Command::new(tool).arg(if tool == "go" { "version" } else { "--version" }).output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!("SKIP {client}: there is no {tool}");
        return Ok(None);
    }
    let namesrv = cluster.namesrv_address();
    let mut program = match client {
        "go" => {
            prepare(&work, &["go", "build", "-o", "client", "."])?;
            let mut program = Command::new(work.join("client"));
            // RocketMQ 5.5.0 refuses this client's replies, which have no body.
            program.args(["-par", "4", "-except", "request-reply", &namesrv]);
            program
        }
        "python" => {
            prepare(&work, &["python3", "-m", "venv", "env"])?;
            prepare(&work, &["env/bin/pip", "install", "--quiet", "-r", "requirements.txt"])?;
            let mut program = Command::new(work.join("env/bin/python"));
            program.args(["client.py", &namesrv, "LanguagesPython"]);
            program
        }
        _ => {
            prepare(&work, &["npm", "install", "--silent", "--no-audit", "--no-fund"])?;
            // This client sends to topics only that exist.
            let topic = "LanguagesNode";
            let port = cluster.broker_address().rsplit(':').next().and_then(|port| port.parse().ok());
            let mut wire = Wire::connect(port.context("port")?, Duration::from_secs(10))?;
            ensure!(wire.send(topic, 0, b"first".to_vec())?.code == 0, "no topic");
            let mut program = Command::new("node");
            program.args(["client.js", &namesrv, topic]);
            program
        }
    };
    program.current_dir(&work).env("HOME", &work).stdin(Stdio::null());
    let output = program.stderr(std::fs::File::create(work.join("stderr"))?).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let last = text.lines().last().unwrap_or_default();
    let numbers: Vec<u64> = last.split(' ').filter_map(|word| word.parse().ok()).collect();
    ensure!(numbers.len() == 3 && last.ends_with(" skipped"), "it ended with {}", output.status);
    Ok(Some((numbers[0], numbers[1])))
}

fn prepare(work: &Path, words: &[&str]) -> Result<()> {
    let program = if words[0].contains('/') { work.join(words[0]).into_os_string() } else { words[0].into() };
    let output =
        Command::new(program).args(&words[1..]).current_dir(work).output().context(words[0].to_owned())?;
    ensure!(
        output.status.success(),
        "{}: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
