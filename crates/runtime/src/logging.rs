//! Log lines go to stderr; stdout belongs to the boot lines that scripts wait for.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging at the level that `RAPTORMQ_LOG` names: `info` if unset, else a level or a list such as
/// `warn,raptormq_store=debug`.
pub fn init_logging() {
    let wanted = std::env::var("RAPTORMQ_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    // Without its own reports of lines that could not be written: they go to stderr too, and panic when it is closed.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false);
    // A second initialization (tests start several servers in one process) keeps the first.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}
