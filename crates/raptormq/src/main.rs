//! `raptormq`: name server and broker in one process, ready for clients; and tools around them.

mod bench;
mod serve;
mod store;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "raptormq", version, about = "RocketMQ's name server and broker in one process")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Measure a running server, RaptorMQ or RocketMQ.
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Look into a store directory, Java's or ours, that no broker has open.
    Store {
        #[command(subcommand)]
        what: store::What,
    },
}

fn main() {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => serve::run(cli.serve),
        Some(Command::Bench { what }) => bench::run(what),
        Some(Command::Store { what }) => store::run(what),
    };
    match outcome {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(raptormq_runtime::exit::FAILED);
        }
    }
}
