//! Log lines go to stderr; stdout belongs to the boot lines that scripts wait for.

use tracing_subscriber::EnvFilter;

/// Starts logging at the level that `RAPTORMQ_LOG` names (`info` if unset; `tracing` filter syntax).
pub fn init_logging() {
    let filter = EnvFilter::try_from_env("RAPTORMQ_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A second initialization (tests start several servers in one process) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .try_init();
}
