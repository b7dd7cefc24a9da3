//! Starting, restarting, killing and stopping a name server and a broker of either make.
//!
//! Both makes are started by the same steps: a properties file, a process with its output in a file, and a wait for the
//! words `boot success`. Processes are ended by their own handle, never by name.

use std::fmt;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::java;

/// How long a server may take until it says that it has booted.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// How long a server may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// `java.nio`, lock files and the cleaner of direct buffers need these since Java 16.
const OPENS: [&str; 8] = [
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.math=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
];

/// Flags for many short-lived Java servers on a small machine.
pub const SMALL_JVM: [&str; 2] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// Who made the servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Apache RocketMQ of this version.
    Java(String),
    /// The binaries of this workspace.
    Ours,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("java-") {
            Some(version) if !version.is_empty() => Ok(Kind::Java(version.to_owned())),
            _ if text == "ours" => Ok(Kind::Ours),
            _ => Err(format!("{text} is neither `ours` nor `java-VERSION`")),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Java(version) => write!(f, "java-{version}"),
            Kind::Ours => f.write_str("ours"),
        }
    }
}

/// Directories and ports of one invocation.
pub struct Setup {
    pub work: PathBuf,
    pub bin_dir: PathBuf,
    pub keep: bool,
    next_port: AtomicU16,
}

impl Setup {
    pub fn new(work: Option<PathBuf>, bin_dir: Option<PathBuf>, keep: bool, port_base: u16) -> Result<Setup> {
        let exe = std::env::current_exe()?;
        let target =
            exe.parent().and_then(Path::parent).context("this program lies in no target directory")?;
        let work = work.unwrap_or_else(|| target.join("compat"));
        std::fs::create_dir_all(&work)?;
        let work = work.canonicalize()?;
        let bin_dir = bin_dir.unwrap_or_else(|| target.join("release"));
        Ok(Setup { work, bin_dir, keep, next_port: AtomicU16::new(port_base) })
    }

    /// A new, empty directory for one run.
    pub fn run_dir(&self, name: &str) -> Result<PathBuf> {
        for n in 0.. {
            let dir = self.work.join(format!("{name}-{n}"));
            match std::fs::create_dir(&dir) {
                Ok(()) => return Ok(dir),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e).context(dir.display().to_string()),
            }
        }
        unreachable!("the loop has no other end")
    }

    /// Removes the directory of a run that went well, or the bulk of one that did not.
    pub fn finish(&self, dir: &Path, ok: bool) -> Result<()> {
        if self.keep {
            println!("kept {}", dir.display());
        } else if ok {
            std::fs::remove_dir_all(dir)?;
        } else {
            println!("logs and store of the failed run: {}", dir.display());
        }
        Ok(())
    }

    /// The first of five consecutive free ports: name server, then the broker's fast port (its own less 2), a spare one,
    /// the broker's, and its replication port.
    pub fn ports(&self) -> Result<u16> {
        for _ in 0..200 {
            let base = self.next_port.fetch_add(10, Ordering::Relaxed);
            if (base..base + 5).all(|port| TcpListener::bind(("0.0.0.0", port)).is_ok()) {
                return Ok(base);
            }
        }
        bail!("no five free ports in a row")
    }
}

/// A name server and a broker on loopback.
pub struct Cluster {
    kind: Kind,
    namesrv_kind: Kind,
    dir: PathBuf,
    bin_dir: PathBuf,
    namesrv_port: u16,
    broker_port: u16,
    namesrv: Option<Child>,
    broker: Option<Child>,
    extra: String,
    jvm: Vec<String>,
    boots: u32,
}

impl Cluster {
    /// Starts both. `extra` is appended to the broker's properties. The store is `DIR/store`, which may exist.
    pub fn start(setup: &Setup, kind: &Kind, dir: &Path, extra: &str) -> Result<Cluster> {
        let mut cluster = Cluster::with_namesrv(setup, kind, dir, extra, &SMALL_JVM)?;
        cluster.start_broker()?;
        Ok(cluster)
    }

    /// Starts a broker of `kind` beside a name server of ours, which starts faster.
    pub fn start_with_our_namesrv(setup: &Setup, kind: &Kind, dir: &Path, extra: &str) -> Result<Cluster> {
        let mut cluster = Cluster::with_namesrv(setup, &Kind::Ours, dir, extra, &SMALL_JVM)?;
        cluster.kind = kind.clone();
        cluster.start_broker()?;
        Ok(cluster)
    }

    /// Starts the name server alone; `jvm` are the flags of both Java processes besides their heap.
    pub fn with_namesrv(
        setup: &Setup,
        kind: &Kind,
        dir: &Path,
        extra: &str,
        jvm: &[&str],
    ) -> Result<Cluster> {
        let base = setup.ports()?;
        std::fs::create_dir_all(dir.join("conf"))?;
        let mut cluster = Cluster {
            kind: kind.clone(),
            namesrv_kind: kind.clone(),
            dir: dir.to_owned(),
            bin_dir: setup.bin_dir.clone(),
            namesrv_port: base,
            broker_port: base + 3,
            namesrv: None,
            broker: None,
            extra: extra.to_owned(),
            jvm: jvm.iter().map(|flag| (*flag).to_owned()).collect(),
            boots: 0,
        };
        write_logback(dir)?;
        cluster.start_namesrv()?;
        Ok(cluster)
    }

    /// Process ids of name server and broker.
    pub fn pids(&self) -> Result<(u32, u32)> {
        let id = |child: &Option<Child>| child.as_ref().map(Child::id).context("it does not run");
        Ok((id(&self.namesrv)?, id(&self.broker)?))
    }

    pub fn namesrv_address(&self) -> String {
        format!("127.0.0.1:{}", self.namesrv_port)
    }

    pub fn broker_address(&self) -> String {
        format!("127.0.0.1:{}", self.broker_port)
    }

    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// SIGTERM, wait, start again.
    pub fn restart_broker(&mut self) -> Result<()> {
        self.stop_broker()?;
        self.start_broker()
    }

    /// SIGKILL.
    pub fn kill_broker(&mut self) -> Result<()> {
        let mut broker = self.broker.take().context("the broker does not run")?;
        ensure!(broker.try_wait()?.is_none(), "the broker ended by itself before it was killed");
        broker.kill()?;
        broker.wait()?;
        Ok(())
    }

    pub fn start_broker(&mut self) -> Result<()> {
        let store = self.store();
        let conf = self.dir.join("conf/broker.conf");
        let text = format!(
            "brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\nbrokerIP1=127.0.0.1\n\
             listenPort={}\nhaListenPort={}\nstorePathRootDir={}\nstorePathCommitLog={}/commitlog\n{}\n",
            self.broker_port,
            self.broker_port + 1,
            store.display(),
            store.display(),
            self.extra
        );
        std::fs::write(&conf, text)?;
        let mut command = command(&self.kind, &self.bin_dir, &self.dir, Program::Broker, &self.jvm)?;
        command.arg("-c").arg(&conf).arg("-n").arg(self.namesrv_address());
        self.boots += 1;
        let log = self.dir.join(format!("broker-{}.out", self.boots));
        self.broker = Some(boot(command, &log)?);
        Ok(())
    }

    /// SIGTERM and wait; an error when it does not end or leaves its abort file.
    pub fn stop_broker(&mut self) -> Result<()> {
        if let Some(broker) = self.broker.take() {
            let status = stop(broker).context("broker")?;
            ensure!(
                !self.store().join("abort").exists(),
                "the broker left its abort file (it ended with {status})"
            );
        }
        Ok(())
    }

    /// Stops both. Dropping a cluster kills what still runs.
    pub fn stop(mut self) -> Result<()> {
        self.stop_broker()?;
        if let Some(namesrv) = self.namesrv.take() {
            stop(namesrv).context("name server")?;
        }
        Ok(())
    }

    fn start_namesrv(&mut self) -> Result<()> {
        let conf = self.dir.join("conf/namesrv.conf");
        let text = format!(
            "listenPort={}\nkvConfigPath={}/namesrv/kvConfig.json\n",
            self.namesrv_port,
            self.dir.display()
        );
        std::fs::write(&conf, text)?;
        let mut command = command(&self.namesrv_kind, &self.bin_dir, &self.dir, Program::Namesrv, &self.jvm)?;
        command.arg("-c").arg(&conf);
        self.namesrv = Some(boot(command, &self.dir.join("namesrv.out"))?);
        Ok(())
    }
}

/// The command line of a server without its arguments; `dir` is its home. `jvm` are Java's flags besides its heap.
pub fn command(kind: &Kind, bin_dir: &Path, dir: &Path, program: Program, jvm: &[String]) -> Result<Command> {
    let (binary, main_class, heap) = match program {
        Program::Namesrv => ("mqnamesrv", "org.apache.rocketmq.namesrv.NamesrvStartup", "128m"),
        Program::Broker => ("mqbroker", "org.apache.rocketmq.broker.BrokerStartup", "512m"),
    };
    let mut command = match kind {
        Kind::Ours => Command::new(bin_dir.join(binary)),
        Kind::Java(version) => {
            let mut java = Command::new("java");
            // A later heap flag wins.
            java.arg(format!("-Xms{heap}")).arg(format!("-Xmx{heap}")).args(jvm);
            java.arg("-XX:MaxDirectMemorySize=2g").args(OPENS).arg(format!("-Duser.home={}", dir.display()));
            java.arg("-cp").arg(format!("{}/*", java::jars(version)?.display())).arg(main_class);
            java
        }
    };
    command.env("ROCKETMQ_HOME", dir).env("HOME", dir).current_dir(dir);
    Ok(command)
}

/// Which server.
#[derive(Clone, Copy)]
pub enum Program {
    Namesrv,
    Broker,
}

/// 4.x servers insist on a logback file of their own.
pub fn write_logback(dir: &Path) -> Result<()> {
    for who in ["broker", "namesrv"] {
        let text = format!(
            "<configuration><appender name=\"f\" class=\"ch.qos.logback.core.FileAppender\"><file>{}/{who}.log</file>\
             <encoder><pattern>%d %p %t - %m%n</pattern></encoder></appender>\
             <root level=\"WARN\"><appender-ref ref=\"f\"/></root></configuration>\n",
            dir.display()
        );
        std::fs::write(dir.join(format!("conf/logback_{who}.xml")), text)?;
    }
    Ok(())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in [self.broker.take(), self.namesrv.take()].into_iter().flatten() {
            kill(child);
        }
    }
}

fn kill(mut child: Child) {
    // Both fail only when it has ended already, which is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}

/// Starts a server with its output in `log` and waits for its boot line.
pub fn boot(mut command: Command, log: &Path) -> Result<Child> {
    let file = File::create(log)?;
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child = command.spawn().with_context(|| program.clone())?;
    let end = Instant::now() + BOOT_LIMIT;
    loop {
        let said = std::fs::read(log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        if said.contains("boot success") {
            return Ok(child);
        }
        let tail = || {
            said.lines().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
        };
        if let Some(status) = child.try_wait()? {
            bail!("{program} ended with {status} before `boot success`:\n{}", tail());
        }
        if Instant::now() > end {
            kill(child);
            bail!("{program}: no `boot success` in {} s:\n{}", BOOT_LIMIT.as_secs(), tail());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn stop(mut child: Child) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        bail!("ended by itself with {status}");
    }
    let pid =
        i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).context("process id")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let end = Instant::now() + STOP_LIMIT;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > end {
            kill(child);
            bail!("still running {} s after SIGTERM", STOP_LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_and_shown_alike() {
        for text in ["ours", "java-5.5.0", "java-4.9.7"] {
            assert_eq!(text.parse::<Kind>().unwrap().to_string(), text);
        }
        assert!("java-".parse::<Kind>().is_err());
        assert!("theirs".parse::<Kind>().is_err());
    }

    #[test]
    fn a_server_that_ends_early_is_reported_with_its_output() {
        let log = std::env::temp_dir().join(format!("compat-boot-{}.out", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo cannot bind; exit 3"]);
        let error = boot(command, &log).unwrap_err().to_string();
        std::fs::remove_file(&log).unwrap();
        assert!(error.contains("cannot bind") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_booted_server_ends_on_sigterm() {
        let log = std::env::temp_dir().join(format!("compat-stop-{}.out", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo boot success; exec sleep 100"]);
        let child = boot(command, &log).unwrap();
        std::fs::remove_file(&log).unwrap();
        assert!(!stop(child).unwrap().success());
    }
}
