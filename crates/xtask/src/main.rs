//! What developers and CI run besides cargo itself: `cargo xtask test`, `cargo xtask test --full`, `cargo xtask tidy`,
//! `cargo xtask docs`.

mod docs;
mod prerequisites;
mod steps;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks of this workspace")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything CI checks: formatting, lints, tests, and the official Java clients against our servers.
    Test {
        /// All client versions against both makes of servers, and 100 kills in each flush mode; takes much longer.
        #[arg(long)]
        full: bool,
        /// Only steps whose name contains this text.
        #[arg(long)]
        only: Option<String>,
    },
    /// Cheap invariants of the source tree, and whether the generated documents are up to date.
    Tidy,
    /// Writes the documents that are made from the servers' tables.
    Docs,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<bool> {
    let root = root()?;
    match cli.command {
        Command::Test { full, only } => test::run(&root, full, only.as_deref()),
        Command::Docs => docs::write(&root).map(|()| true),
        Command::Tidy => {
            let complaints = tidy::check(&root)?;
            complaints.iter().for_each(|complaint| println!("{complaint}"));
            println!("tidy: {} complaints", complaints.len());
            Ok(complaints.is_empty())
        }
    }
}

/// The workspace this program was built in.
fn root() -> Result<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).map(PathBuf::from).context("xtask does not lie in crates/ of a workspace")
}
