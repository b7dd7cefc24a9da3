//! A broker on a file system of its own, and the faults that are put on it from outside.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::servers::{self, Kind, Program, SMALL_JVM, Setup};
use crate::wire::Wire;

/// What a store lies on.
#[derive(Clone, Copy)]
pub enum Disk {
    /// The directory as it is.
    Host,
    /// A tmpfs of this many MiB in a mount namespace of its own.
    Memory(u32),
    /// An ext4 of this many MiB in a file, which turns read-only when told of an error.
    Ext4(u32),
}

/// One broker, started and ended again and again on one store.
pub struct Broker<'a> {
    setup: &'a Setup,
    kind: Kind,
    pub dir: PathBuf,
    pub port: u16,
    conf: String,
    /// Keeps the mount namespace.
    holder: Option<Child>,
    child: Option<Child>,
    boots: u32,
}

impl<'a> Broker<'a> {
    /// Prepares a broker whose home is `dir` and whose store is `dir/fs/store`.
    pub fn new(setup: &'a Setup, kind: &Kind, dir: &Path, disk: Disk, conf: &str) -> Result<Broker<'a>> {
        std::fs::create_dir_all(dir.join("conf"))?;
        std::fs::create_dir_all(dir.join("fs"))?;
        servers::write_logback(dir)?;
        let holder = hold(dir, disk)?;
        let (dir, conf) = (dir.to_owned(), conf.to_owned());
        let port = setup.ports()? + 3;
        Ok(Broker { setup, kind: kind.clone(), dir, port, conf, holder, child: None, boots: 0 })
    }

    /// The same with other properties.
    pub fn with_conf(mut self, conf: String) -> Self {
        self.conf = conf;
        self
    }

    /// The file system of the store, as seen from here.
    pub fn fs(&self) -> PathBuf {
        let own = self.dir.join("fs");
        match &self.holder {
            Some(holder) => {
                let root = PathBuf::from(format!("/proc/{}/root", holder.id()));
                root.join(own.strip_prefix("/").unwrap_or(&own))
            }
            None => own,
        }
    }

    pub fn store(&self) -> PathBuf {
        self.fs().join("store")
    }

    /// The command that starts the broker.
    fn command(&mut self) -> Result<Command> {
        let store = self.dir.join("fs/store");
        let conf = self.dir.join("conf/broker.conf");
        let text = format!(
            "brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\nbrokerIP1=127.0.0.1\n\
             listenPort={}\nhaListenPort={}\nstorePathRootDir={2}\nstorePathCommitLog={2}/commitlog\n\
             fileReservedTime=876000\n{3}\n",
            self.port,
            self.port + 1,
            store.display(),
            self.conf
        );
        std::fs::write(&conf, text)?;
        let jvm = SMALL_JVM.map(str::to_owned);
        let plain = servers::command(&self.kind, &self.setup.bin_dir, &self.dir, Program::Broker, &jvm)?;
        let mut command = match &self.holder {
            Some(holder) => {
                // It replaces itself with the broker, so that the process id is the broker's.
                let mut inside = Command::new("nsenter");
                inside.arg(format!("--mount=/proc/{}/ns/mnt", holder.id())).arg("--");
                inside.arg(plain.get_program()).args(plain.get_args());
                inside.env("ROCKETMQ_HOME", &self.dir).env("HOME", &self.dir).current_dir(&self.dir);
                inside
            }
            None => plain,
        };
        command.arg("-c").arg(&conf);
        Ok(command)
    }

    pub fn log(&self) -> PathBuf {
        self.dir.join(format!("broker-{}.out", self.boots))
    }

    /// Starts it and waits until it serves.
    pub fn start(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        let command = self.command()?;
        self.boots += 1;
        self.child = Some(servers::boot(command, &self.log())?);
        Ok(begin.elapsed())
    }

    /// Starts it and waits for nothing.
    pub fn spawn(&mut self) -> Result<()> {
        let mut command = self.command()?;
        self.boots += 1;
        let file = std::fs::File::create(self.log())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        self.child = Some(command.spawn().context("broker")?);
        Ok(())
    }

    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the broker does not run")?.id())
    }

    /// Everything it has said so far, in all its runs.
    pub fn said(&self) -> String {
        let mut all = String::new();
        for boot in 1..=self.boots {
            let bytes = std::fs::read(self.dir.join(format!("broker-{boot}.out"))).unwrap_or_default();
            all.push_str(&String::from_utf8_lossy(&bytes));
        }
        all
    }

    pub fn ensure_alive(&mut self) -> Result<()> {
        let child = self.child.as_mut().context("the broker does not run")?;
        if let Some(status) = child.try_wait()? {
            bail!("the broker ended by itself: {status}");
        }
        Ok(())
    }

    pub fn connect(&self) -> Result<Wire> {
        Wire::connect(self.port, Duration::from_secs(30))
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?).context("process id")?;
        kill_process(pid, signal).context("signal")
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let mut child = self.child.take().context("the broker does not run")?;
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > end {
                // Both fail only when it has ended already.
                let _ = child.kill();
                let _ = child.wait();
                bail!("still running after {} s", limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM; it must end cleanly within `limit`.
    pub fn stop(&mut self, limit: Duration) -> Result<Duration> {
        let begin = Instant::now();
        self.signal(Signal::TERM)?;
        let status = self.wait(limit)?;
        let took = begin.elapsed();
        ensure!(!self.store().join("abort").exists(), "the abort file is there after a stop ({status})");
        Ok(took)
    }

    pub fn kill(&mut self) -> Result<()> {
        self.ensure_alive()?;
        self.signal(Signal::KILL)?;
        self.wait(Duration::from_secs(10)).map(drop)
    }

    /// Fills the file system to the last byte with a file of this name.
    pub fn fill(&self, name: &str) -> Result<u64> {
        let mut file = std::fs::File::create(self.fs().join(name))?;
        let mut len = 0;
        for chunk in [1 << 20, 4096, 1] {
            let zeros = vec![0x55; chunk];
            loop {
                match file.write(&zeros) {
                    Ok(0) | Err(_) => break,
                    Ok(written) => len += written as u64,
                }
            }
        }
        Ok(len)
    }

    /// A file of `mib` MiB.
    pub fn ballast(&self, name: &str, mib: usize) -> Result<()> {
        let mut file = std::fs::File::create(self.fs().join(name))?;
        for _ in 0..mib {
            file.write_all(&[0x55; 1 << 20])?;
        }
        Ok(())
    }

    /// Tells the ext4 of an error, on which it turns read-only.
    pub fn trigger_read_only(&self) -> Result<()> {
        let holder = self.holder.as_ref().context("no namespace")?;
        let mounts = std::fs::read_to_string(format!("/proc/{}/mounts", holder.id()))?;
        let place = self.dir.join("fs").display().to_string();
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(&place)).context("no mount")?;
        let device = line
            .split(' ')
            .next()
            .and_then(|device| device.strip_prefix("/dev/"))
            .context(line.to_owned())?;
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        std::fs::write(&trigger, "1").context(trigger)
    }

    /// Repairs the ext4 and mounts it again.
    pub fn mount_again(&self) -> Result<()> {
        let (image, fs) =
            (self.dir.join("image").display().to_string(), self.dir.join("fs").display().to_string());
        self.inside("umount", &[&fs])?;
        // It ends with 1 when it has corrected something.
        self.inside("sh", &["-c", &format!("e2fsck -fy '{image}' > /dev/null 2>&1; [ $? -le 1 ]")])?;
        self.inside("mount", &["-o", "loop,errors=remount-ro", &image, &fs])
    }

    /// Runs `program` inside the mount namespace.
    fn inside(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let holder = self.holder.as_ref().context("no namespace")?;
        let output = Command::new("nsenter")
            .arg(format!("--mount=/proc/{}/ns/mnt", holder.id()))
            .args(["--", program])
            .args(arguments)
            .output()
            .with_context(|| program.to_owned())?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{program} {}: {text}", arguments.join(" "));
        Ok(())
    }

    /// Lets system calls of the running broker fail or linger (`strace -e inject`), until the result is dropped.
    pub fn inject(&self, calls: &str, fault: &str) -> Result<Injection> {
        let log = self.dir.join("strace.out");
        let mut child = Command::new("strace")
            .args(["-f", "-o"])
            .arg(&log)
            .args(["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:{fault}")])
            .args(["-p", &self.pid()?.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("strace")?;
        // It names each thread that it has attached to.
        let mut errors = child.stderr.take().context("stderr of strace")?;
        let mut said = Vec::new();
        let end = Instant::now() + Duration::from_secs(10);
        while !String::from_utf8_lossy(&said).contains("attached") {
            let mut chunk = [0; 4096];
            let read = errors.read(&mut chunk)?;
            said.extend_from_slice(&chunk[..read]);
            ensure!(read > 0 && Instant::now() < end, "strace: {}", String::from_utf8_lossy(&said));
        }
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        std::thread::sleep(Duration::from_millis(300));
        Ok(Injection { child, log })
    }

    /// Resident anonymous memory, KiB.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).context("RssAnon")?;
        Ok(line.split_whitespace().nth(1).context("RssAnon")?.parse()?)
    }

    pub fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()?))?.count())
    }

    /// Sets the soft limit of open files of the running broker; the one it had.
    pub fn limit_descriptors(&self, soft: usize) -> Result<usize> {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.pid()?))?;
        let line = limits.lines().find(|line| line.starts_with("Max open files")).context("limits")?;
        let before = line.split_whitespace().nth(3).context("limits")?.parse()?;
        let pid = self.pid()?.to_string();
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={soft}:")]).status()?;
        ensure!(status.success(), "prlimit: {status}");
        Ok(before)
    }
}

impl Drop for Broker<'_> {
    fn drop(&mut self) {
        for mut child in [self.child.take(), self.holder.take()].into_iter().flatten() {
            // Both fail only when it has ended already. The mounts go with the last process of the namespace.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A process that keeps a mount namespace with the disk at `dir/fs`.
fn hold(dir: &Path, disk: Disk) -> Result<Option<Child>> {
    let fs = dir.join("fs");
    let mount = match disk {
        Disk::Host => return Ok(None),
        Disk::Memory(mib) => format!("mount -t tmpfs -o size={mib}m tmpfs '{}'", fs.display()),
        Disk::Ext4(mib) => {
            let image = dir.join("image");
            std::fs::File::create(&image)?.set_len(u64::from(mib) << 20)?;
            format!(
                "mkfs.ext4 -q -F '{0}' && mount -o loop,errors=remount-ro '{0}' '{1}'",
                image.display(),
                fs.display()
            )
        }
    };
    let mut child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{mount} && echo mounted && exec sleep 3600"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("unshare")?;
    let mut said = [0; 7];
    let read = child.stdout.take().context("stdout")?.read_exact(&mut said);
    if read.is_err() {
        let mut text = String::new();
        child.stderr.take().context("stderr")?.read_to_string(&mut text)?;
        child.wait()?;
        bail!("{mount}: {text}");
    }
    Ok(Some(child))
}

/// A running `strace`.
pub struct Injection {
    child: Child,
    log: PathBuf,
}

impl Injection {
    /// How many calls were tampered with.
    pub fn hits(&self) -> usize {
        let text = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).matches("(INJECTED)").count()
            + String::from_utf8_lossy(&text).matches("(DELAYED)").count()
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // SIGTERM lets it detach first; a broker that is stopped for good would stay stopped after SIGKILL.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
