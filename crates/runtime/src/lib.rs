//! Process concerns of the servers: command line, host facts, conf files, logging and signals. Used by the mains only.

mod cli;
mod conf;
pub mod console;
mod host;
mod java_options;
mod logging;
mod signals;

pub use cli::{ServerArgs, parse_args};
pub use conf::{ConfError, load_config, print_config};
pub use host::{detect_host, raise_open_files};
pub use java_options::{StoreOptions, frame_max, java_option, refuse_enforced_tls, store_options};
pub use logging::init_logging;
pub use signals::{Stop, StopSignals};

/// Exit codes of the Java start-up classes, as the operating system shows them.
pub mod exit {
    /// `-h`, `-p`, `-m`, and a clean stop that no signal asked for.
    pub const OK: i32 = 0;
    /// A flag that does not exist.
    pub const BAD_FLAG: i32 = 1;
    /// An exception during start (`System.exit(-1)`).
    pub const FAILED: i32 = 255;
    /// ROCKETMQ_HOME is not set (`-2`).
    pub const NO_HOME: i32 = 254;
    /// Initialization failed, an illegal name server address, an illegal slave id (`-3`).
    pub const NOT_INITIALIZED: i32 = 253;
    /// Controller mode and DLedger together (`-4`).
    pub const CONFLICTING_MODES: i32 = 252;
}

/// What a server prints when ROCKETMQ_HOME is missing, without a line end, as Java does.
pub const NO_HOME_TEXT: &str = "Please set the ROCKETMQ_HOME variable in your environment to match the location of the RocketMQ installation";
