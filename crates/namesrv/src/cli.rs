//! The process: flags, configuration, boot line, signals, exit code. Mirrors `NamesrvStartup`.

use std::sync::Arc;
use std::time::Duration;

use raptormq_base::clock::SystemClock;
use raptormq_runtime::console::say;
use raptormq_runtime::{
    NO_HOME_TEXT, StopSignals, detect_host, exit, init_logging, parse_args, print_config, raise_open_files,
    refuse_enforced_tls,
};

use crate::{Namesrv, SECTIONS, load};

/// How long connections may take to end.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// Runs the name server until a signal ends it; returns the exit code.
pub fn main(args: impl IntoIterator<Item = String>) -> i32 {
    let args = match parse_args("mqnamesrv", false, args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    init_logging();
    raise_open_files();
    let config = match load(&detect_host(None), args.config_file.as_deref(), args.strict) {
        Ok(config) => config,
        Err(error) => return failed(&error),
    };
    if let Some(file) = &args.config_file {
        say(&format!("load config properties file OK, {}", file.display()));
    }
    if args.print_all {
        print_config(&config, SECTIONS, false);
        return exit::OK;
    }
    if config.get("NamesrvConfig", "rocketmqHome").is_none() {
        say(NO_HOME_TEXT);
        return exit::NO_HOME;
    }
    if let Err(text) = refuse_enforced_tls() {
        tracing::error!("{text}");
        return exit::NOT_INITIALIZED;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    runtime.block_on(async {
        let mut signals = match StopSignals::install() {
            Ok(signals) => signals,
            Err(error) => return failed(&error),
        };
        let namesrv = match Namesrv::start(config, Arc::new(SystemClock::new())).await {
            Ok(namesrv) => namesrv,
            Err(error) => return failed(&error),
        };
        say(&namesrv.boot_line());
        tracing::info!("{}", namesrv.boot_line());
        let signal = signals.received().await;
        namesrv.stop(STOP_GRACE).await;
        signal.exit_code()
    })
}

fn failed(error: &dyn std::error::Error) -> i32 {
    tracing::error!("{error}");
    exit::FAILED
}
