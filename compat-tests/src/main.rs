//! Runs the official Java clients, in several versions, against our servers and against RocketMQ's own.
//!
//! The scenarios are Java programs in `java/src/main/java`; this binary fetches the jars (`oracle/java-jars.sh`),
//! compiles the scenarios once per client version, starts servers on free loopback ports, and judges. Nothing outside
//! this directory is needed but a JDK (17 or newer), Maven, and for our servers their release binaries.

mod audit;
mod bench;
mod benchstore;
mod faults;
mod handback;
mod handover;
mod java;
mod kill9;
mod languages;
mod matrix;
mod servers;
mod traffic;
mod verify;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::servers::Kind;

#[derive(Parser)]
#[command(name = "compat-tests", about = "Official Java clients against our servers and RocketMQ's")]
struct Cli {
    #[command(flatten)]
    places: Places,
    #[command(subcommand)]
    command: Command,
}

/// Where things are.
#[derive(Args, Clone)]
struct Places {
    /// Directory for classes, server directories and logs; those of successful runs are removed.
    #[arg(long, global = true)]
    work: Option<PathBuf>,
    /// Directory with our release binaries; by default `release` in the target directory this program is in.
    #[arg(long, global = true)]
    bin_dir: Option<PathBuf>,
    /// Keep the directories of successful runs, too.
    #[arg(long, global = true)]
    keep: bool,
    /// First port to try.
    #[arg(long, global = true, default_value_t = 22100)]
    port_base: u16,
}

#[derive(Subcommand)]
enum Command {
    /// Run the scenarios for each pair of server and client.
    Run {
        /// `ours` or `java-VERSION`.
        #[arg(long, value_delimiter = ',', default_value = "java-5.5.0,ours")]
        servers: Vec<Kind>,
        /// Client versions.
        #[arg(long, value_delimiter = ',', default_value = "5.5.0,5.3.3,4.9.7")]
        clients: Vec<String>,
        /// Only scenarios whose name matches this Java regular expression.
        #[arg(long)]
        only: Option<String>,
        /// Only the smoke set.
        #[arg(long)]
        smoke: bool,
        /// Scenarios that run at the same time.
        #[arg(long, default_value_t = 6)]
        parallel: usize,
        /// Run a scenario that failed once more, alone, before it counts as failed.
        #[arg(long)]
        second_try: bool,
    },
    /// Kill a broker with SIGKILL again and again under acknowledged traffic, then compare what it stored.
    Kill9(kill9::Options),
    /// Kill a broker again and again under normal, delayed, transactional, ordered and retried messages, and judge every
    /// delivery.
    Audit(audit::Options),
    /// Pass a store directory from Java to us and back, after clean stops and kills, and compare at each step.
    HandBack(handback::Options),
    /// The clients of other languages.
    Languages(languages::Options),
    /// Full disks, failing and slow syncs, a read-only file system, few descriptors, signals: on real processes, as root.
    Faults(faults::Options),
    /// Read a store directory back through a server of ours and through Java's, and compare.
    VerifyStore(verify::Options),
    /// Measure how long Java's broker and ours take to open the same large store, after a stop and after a kill.
    BenchStore(benchstore::Options),
    /// Measure Java's servers and ours in turn: start, memory at rest, throughput, latency, CPU time per message.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compat-tests: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<bool> {
    let places =
        servers::Setup::new(cli.places.work, cli.places.bin_dir, cli.places.keep, cli.places.port_base)?;
    match cli.command {
        Command::Run { servers, clients, only, smoke, parallel, second_try } => {
            let choice = matrix::Choice { only, smoke, parallel, second_try };
            matrix::run(&places, &servers, &clients, &choice)
        }
        Command::Kill9(options) => kill9::run(&places, &options),
        Command::Audit(options) => audit::run(&places, &options),
        Command::HandBack(options) => handback::run(&places, &options),
        Command::Languages(options) => languages::run(&places, &options),
        Command::Faults(options) => faults::run(&places, &options),
        Command::VerifyStore(options) => verify::run(&places, &options),
        Command::BenchStore(options) => benchstore::run(&places, &options),
        Command::Bench(options) => bench::run(&places, &options),
    }
}
