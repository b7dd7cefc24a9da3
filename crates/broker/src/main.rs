//! `mqbroker`.

use std::process::exit;
use std::sync::Arc;

use anyhow::Context as _;
use raptormq_base::clock::SystemClock;
use raptormq_broker::Broker;
use raptormq_broker::config::{HONOURED, Resolved};
use raptormq_runtime::console::{complain, print, say};
use raptormq_runtime::{NO_HOME_TEXT, StopSignals, detect_host, exit as code, init_logging, load_config};
use raptormq_runtime::{parse_args, print_config, raise_open_files, refuse_enforced_tls};

/// The sections that `-p` and `-m` print: Java leaves out `MessageStoreConfig`.
const PRINTED: &[&str] = &["BrokerConfig", "NettyServerConfig", "NettyClientConfig", "AuthConfig"];

fn main() {
    let args = parse_args("mqbroker", true, std::env::args().skip(1)).unwrap_or_else(|code| exit(code));
    init_logging();
    raise_open_files();
    let host = detect_host(None);
    let mut config = Resolved::defaults(&host);
    if let Err(error) = load_config(&mut config, args.config_file.as_deref(), HONOURED, args.strict) {
        complain(&error.to_string());
        exit(code::FAILED);
    }
    if args.print_all || args.print_important {
        print_config(&config, PRINTED, !args.print_all);
        exit(code::OK);
    }
    if let Some(address) = &args.namesrv_addr {
        config.set("namesrvAddr", address);
    }
    if config.get("BrokerConfig", "rocketmqHome").is_none() {
        print(NO_HOME_TEXT);
        exit(code::NO_HOME);
    }
    if let Err(text) = refuse_enforced_tls() {
        say(&text);
        exit(code::NOT_INITIALIZED);
    }
    let resolved = Resolved::resolve(config, args.config_file).unwrap_or_else(|refused| {
        say(&refused.to_string());
        exit(refused.exit_code);
    });
    match run(resolved) {
        Ok(code) => exit(code),
        Err(error) => {
            complain(&format!("{error:#}"));
            exit(code::FAILED);
        }
    }
}

/// Runs the broker until a signal asks it to stop; the exit code.
fn run(resolved: Resolved) -> anyhow::Result<i32> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("tokio runtime")?;
    runtime.block_on(async {
        // Before the start: a signal that comes while it lasts then ends the broker cleanly afterwards.
        let mut signals = StopSignals::install().context("signal handlers")?;
        let broker = match Broker::start(resolved, Arc::new(SystemClock::new())).await {
            Ok(broker) => broker,
            Err(error) => {
                complain(&error.to_string());
                return Ok(error.exit_code());
            }
        };
        say(&broker.boot_line());
        tracing::info!("{}", broker.boot_line());
        let stop = signals.received().await;
        tracing::info!(?stop, "stopping");
        match broker.stop().await {
            Ok(()) => Ok(stop.exit_code()),
            Err(error) => {
                tracing::error!(%error, "stopped, not cleanly");
                Ok(1)
            }
        }
    })
}
