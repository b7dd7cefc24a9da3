//! Name server and broker together, with nothing to configure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use raptormq_base::clock::SystemClock;
use raptormq_broker::Broker;
use raptormq_broker::config::{HONOURED, Resolved};
use raptormq_namesrv::Namesrv;
use raptormq_runtime::console::say;
use raptormq_runtime::{
    StopSignals, detect_host, init_logging, load_config, raise_open_files, refuse_enforced_tls,
};

const STOP_GRACE: Duration = Duration::from_secs(3);

/// Where to keep data and where to listen.
#[derive(Args)]
pub struct Options {
    /// Directory for messages, offsets and configuration; created if missing.
    #[arg(long, default_value = "raptormq-data")]
    data: PathBuf,
    /// Port of the name server.
    #[arg(long, default_value_t = 9876)]
    namesrv_port: u16,
    /// Port of the broker; the fast port is two below.
    #[arg(long, default_value_t = 10911)]
    broker_port: u16,
    /// Address that clients are told to reach the broker at.
    #[arg(long, default_value = "127.0.0.1")]
    advertise: String,
    /// A broker.conf whose keys win over the flags above.
    #[arg(short = 'c', long)]
    config: Option<PathBuf>,
}

/// Serves until a signal asks to stop; the exit code.
pub fn run(options: Options) -> anyhow::Result<i32> {
    init_logging();
    raise_open_files();
    refuse_enforced_tls().map_err(anyhow::Error::msg)?;
    std::fs::create_dir_all(&options.data)
        .with_context(|| format!("cannot create {}", options.data.display()))?;
    let data = std::path::absolute(&options.data).context("the data directory")?;
    let host = detect_host(Some(data.display().to_string()));

    let mut namesrv = raptormq_namesrv::load(&host, None, false)?;
    namesrv.set_in("NettyServerConfig", "listenPort", options.namesrv_port.to_string());
    let mut broker = Resolved::defaults(&host);
    broker.set_in("NettyServerConfig", "listenPort", options.broker_port.to_string());
    broker.set_in("BrokerConfig", "brokerIP1", &*options.advertise);
    broker.set_in("BrokerConfig", "brokerIP2", &*options.advertise);
    broker.set_in("BrokerConfig", "brokerName", "broker-a");
    broker.set_in("BrokerConfig", "namesrvAddr", format!("127.0.0.1:{}", options.namesrv_port));
    load_config(&mut broker, options.config.as_deref(), HONOURED, false)?;
    let broker = Resolved::resolve(broker, options.config)?;

    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("tokio runtime")?;
    runtime.block_on(async {
        let mut signals = StopSignals::install().context("signal handlers")?;
        let clock = Arc::new(SystemClock::new());
        let namesrv = Namesrv::start(namesrv, clock.clone()).await?;
        say(&namesrv.boot_line());
        let broker = match Broker::start(broker, clock).await {
            Ok(broker) => broker,
            Err(error) => {
                namesrv.stop(STOP_GRACE).await;
                return Err(error.into());
            }
        };
        say(&broker.boot_line());
        let stop = signals.received().await;
        tracing::info!(?stop, "stopping");
        let stopped = broker.stop().await;
        namesrv.stop(STOP_GRACE).await;
        match stopped {
            Ok(()) => Ok(stop.exit_code()),
            Err(error) => {
                tracing::error!(%error, "stopped, not cleanly");
                Ok(1)
            }
        }
    })
}
