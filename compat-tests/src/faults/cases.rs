//! The cases. Each returns what it measured.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::Context;
use super::broker::{Broker, Disk};
use super::traffic::{FLUSH_DISK_TIMEOUT, Ledger, NOT_AVAILABLE, OK, TOPIC, Traffic};
use crate::java;
use crate::wire::Wire;

/// Small files, so that each case fills several; nothing acknowledged is deleted to make room.
const SMALL: &str = "mappedFileSizeCommitLog=4194304\nmappedFileSizeConsumeQueue=60000\nmaxHashSlotNum=1000\n\
    maxIndexNum=4000\ncleanFileForciblyEnable=false\n";
/// Writes must go on after this time once the cause is gone.
const RESUME: Duration = Duration::from_secs(10);
/// A stop may take this long.
const STOP: Duration = Duration::from_secs(10);

const SYNCS: &str = "fsync,fdatasync,msync,sync_file_range";

/// Sends until a message is refused; the refusal must be Java's.
fn send_until_refused(
    broker: &mut Broker<'_>,
    wire: &mut Wire,
    ledger: &mut Ledger,
    size: usize,
) -> Result<usize> {
    for sent in 0..10_000 {
        let answer = ledger.send(wire, size);
        broker.ensure_alive()?;
        let answer = answer?;
        if answer.code == OK {
            continue;
        }
        ensure!(answer.code == NOT_AVAILABLE, "refused with {} {}", answer.code, answer.remark);
        let wanted = "service not available now. It may be caused by one of the following reasons: the broker's disk is full";
        ensure!(answer.remark.contains(wanted), "the remark is {:?}", answer.remark);
        return Ok(sent);
    }
    anyhow::bail!("10,000 messages were stored on the full disk")
}

/// How long it takes until a message is stored again.
fn resume(wire: &mut Wire, ledger: &mut Ledger, size: usize) -> Result<Duration> {
    let begin = Instant::now();
    loop {
        let answer = ledger.send(wire, size)?;
        if answer.code == OK {
            return Ok(begin.elapsed());
        }
        ensure!(
            begin.elapsed() < RESUME,
            "still refused {} s after the cause is gone: {answer:?}",
            RESUME.as_secs()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the broker, starts it again, and looks for everything that was acknowledged.
fn check_after_kill(broker: &mut Broker<'_>, ledger: &Ledger, size: usize) -> Result<usize> {
    broker.kill()?;
    broker.start()?;
    ledger.check(&mut broker.connect()?, size)
}

/// The disk fills up under the broker: refused with Java's code and words, reads go on, space comes back.
pub fn disk_full(context: &Context<'_>) -> Result<String> {
    let size = 32 << 10;
    let mut broker = Broker::new(context.setup, context.kind, context.dir, Disk::Memory(64), SMALL)?;
    broker.ballast("ballast", 24)?;
    broker.start()?;
    let mut wire = broker.connect()?;
    let mut ledger = Ledger::default();
    let stored = send_until_refused(&mut broker, &mut wire, &mut ledger, size)?;
    // Reads and refusals go on, also on new connections.
    for _ in 0..20 {
        let answer = ledger.send(&mut broker.connect()?, size)?;
        ensure!(answer.code == NOT_AVAILABLE, "{answer:?} on the full disk");
    }
    ledger.check(&mut wire, size)?;
    std::fs::remove_file(broker.fs().join("ballast"))?;
    let first = resume(&mut wire, &mut ledger, size)?;
    // To the last byte, and under load.
    let filled = broker.fill("ballast")?;
    send_until_refused(&mut broker, &mut wire, &mut ledger, size)?;
    ledger.check(&mut wire, size)?;
    std::fs::remove_file(broker.fs().join("ballast"))?;
    let second = resume(&mut wire, &mut ledger, size)?;
    broker.ensure_alive()?;
    let read = check_after_kill(&mut broker, &ledger, size)?;
    Ok(format!(
        "refused after {stored} messages and after {} KiB of ballast, writes went on {} ms and {} ms after space came back, {} acknowledged and {read} read after a kill",
        filled >> 10,
        first.as_millis(),
        second.as_millis(),
        ledger.acknowledged()
    ))
}

/// Unpacks a store of Java, whose files are sparse, into the broker's file system; its properties.
fn unpack_java_store(dir: &Path, fs: &Path) -> Result<String> {
    let case = java::home().join("../crates/store/testdata/java-5.5.0/basic");
    let status = Command::new("tar").arg("-xSf").arg(case.join("store.tar.xz")).arg("-C").arg(fs).status()?;
    ensure!(status.success(), "tar: {status}");
    let conf = std::fs::read_to_string(case.join("broker.conf"))?;
    let own = ["storePath", "brokerName", "brokerClusterName", "brokerId", "brokerIP1", "fileReservedTime"];
    let kept = conf.lines().filter(|line| !own.iter().any(|key| line.starts_with(key)));
    std::fs::write(dir.join("taken-over.conf"), &conf)?;
    Ok(kept.flat_map(|line| [line, "\n"]).collect::<String>() + "cleanFileForciblyEnable=false\n")
}

/// Messages of the Java broker in the queue that the cases look at.
const OF_JAVA: (&str, i32, usize) = ("GoldenA", 0, 10);

fn check_java_messages(wire: &mut Wire) -> Result<()> {
    let (topic, queue, count) = OF_JAVA;
    let found = wire.read(topic, queue, 0)?.len();
    ensure!(found >= count, "{found} of Java's messages in {topic} {queue}");
    Ok(())
}

/// The blocks of a sparse file that Java left run out under the broker: an error, not a signal.
pub fn disk_full_on_a_java_store(context: &Context<'_>) -> Result<String> {
    let size = 4 << 10;
    let prepared = Broker::new(context.setup, context.kind, context.dir, Disk::Memory(32), "")?;
    let conf = unpack_java_store(context.dir, &prepared.fs())?;
    let mut broker = prepared.with_conf(conf);
    broker.start()?;
    let filled = broker.fill("ballast")?;
    let mut wire = broker.connect()?;
    let mut ledger = Ledger::default();
    // Queue files of Java are sparse as well.
    let mut to_java_queue = 0;
    for n in 0..50 {
        let (topic, queue, _) = OF_JAVA;
        let answer = wire.send(topic, queue, format!("on the full disk {n}").into_bytes());
        broker.ensure_alive()?;
        to_java_queue += usize::from(answer?.code == OK);
    }
    let stored = send_until_refused(&mut broker, &mut wire, &mut ledger, size)?;
    check_java_messages(&mut wire)?;
    std::fs::remove_file(broker.fs().join("ballast"))?;
    let resumed = resume(&mut wire, &mut ledger, size)?;
    for _ in 0..300 {
        ledger.send(&mut wire, size)?;
    }
    broker.ensure_alive()?;
    let read = check_after_kill(&mut broker, &ledger, size)?;
    let mut wire = broker.connect()?;
    check_java_messages(&mut wire)?;
    let (topic, queue, count) = OF_JAVA;
    let found = wire.read(topic, queue, 0)?.len();
    ensure!(
        found == count + to_java_queue,
        "{found} messages in {topic} {queue}, {to_java_queue} were added"
    );
    Ok(format!(
        "{} KiB of ballast after the start, {to_java_queue} and {stored} messages stored in what was allocated, writes went on {} ms after space came back, {} acknowledged and {read} read after a kill",
        filled >> 10,
        resumed.as_millis(),
        ledger.acknowledged()
    ))
}

/// No byte is free when the broker starts on Java's store: it serves what is there, and writes when it can.
pub fn disk_full_before_the_start(context: &Context<'_>) -> Result<String> {
    let size = 4 << 10;
    let prepared = Broker::new(context.setup, context.kind, context.dir, Disk::Memory(32), "")?;
    let conf = unpack_java_store(context.dir, &prepared.fs())?;
    let mut broker = prepared.with_conf(conf);
    broker.fill("ballast")?;
    if let Err(error) = broker.start() {
        let text = format!("{error:#}");
        ensure!(text.contains("No space left on device") && text.contains("/fs/store/"), "{text}");
        ensure!(text.contains("exit status: 253"), "{text}");
        std::fs::remove_file(broker.fs().join("ballast"))?;
        broker.start()?;
        check_java_messages(&mut broker.connect()?)?;
        return Ok("refused with the file and the reason, served when there was space".to_owned());
    }
    let mut wire = broker.connect()?;
    let mut ledger = Ledger::default();
    check_java_messages(&mut wire)?;
    let stored = send_until_refused(&mut broker, &mut wire, &mut ledger, size)?;
    check_java_messages(&mut wire)?;
    std::fs::remove_file(broker.fs().join("ballast"))?;
    let resumed = resume(&mut wire, &mut ledger, size)?;
    for _ in 0..300 {
        ledger.send(&mut wire, size)?;
    }
    let read = check_after_kill(&mut broker, &ledger, size)?;
    check_java_messages(&mut broker.connect()?)?;
    Ok(format!(
        "served on the full disk, {stored} messages stored, writes went on {} ms after space came back, {} acknowledged and {read} read after a kill",
        resumed.as_millis(),
        ledger.acknowledged()
    ))
}

/// A failed sync is never acknowledged, nor anything after it: the kernel may have dropped the pages.
pub fn fsync_error(context: &Context<'_>) -> Result<String> {
    let mut texts = Vec::new();
    for (name, fault) in [("every", "error=EIO"), ("one", "error=EIO:when=1")] {
        let dir = context.dir.join(name);
        let text = failing_syncs(context, &dir, fault).with_context(|| format!("{name} call fails"))?;
        texts.push(format!("{name} call: {text}"));
    }
    Ok(texts.join("; "))
}

fn failing_syncs(context: &Context<'_>, dir: &Path, fault: &str) -> Result<String> {
    let size = 1 << 10;
    let conf = format!("{SMALL}flushDiskType=SYNC_FLUSH\n");
    let mut broker = Broker::new(context.setup, context.kind, dir, Disk::Host, &conf)?;
    broker.start()?;
    let mut wire = broker.connect()?;
    let mut ledger = Ledger::default();
    for _ in 0..50 {
        let answer = ledger.send(&mut wire, size)?;
        ensure!(answer.code == OK, "before the fault: {answer:?}");
    }
    let injection = broker.inject(SYNCS, fault)?;
    let mut codes = Vec::new();
    for _ in 0..30 {
        codes.push(ledger.send(&mut wire, size)?.code);
    }
    let hits = injection.hits();
    ensure!(hits > 0, "no sync was tampered with");
    ensure!(!codes.contains(&OK), "acknowledged although a sync failed: {codes:?}");
    drop(injection);
    // The next sync would succeed, and say nothing about what the failed one lost.
    for _ in 0..20 {
        let answer = ledger.send(&mut broker.connect()?, size)?;
        ensure!(answer.code == NOT_AVAILABLE, "after the fault: {answer:?}");
    }
    let refusal = ledger.last_refusal.clone().context("a refusal")?;
    ensure!(refusal.remark.contains("os error 5"), "the reason is missing: {}", refusal.remark);
    ledger.check(&mut wire, size)?;
    broker.signal(Signal::TERM)?;
    let status = broker.wait(STOP)?;
    ensure!(
        !status.success() && status.code() != Some(143),
        "the stop ended with {status}, as if all were well"
    );
    ensure!(broker.store().join("abort").exists(), "the abort file is gone although data may not be on disk");
    ensure!(broker.said().contains("ERROR"), "nothing in the log");
    broker.start()?;
    let mut wire = broker.connect()?;
    let read = ledger.check(&mut wire, size)?;
    let answer = ledger.send(&mut wire, size)?;
    ensure!(answer.code == OK, "after the restart: {answer:?}");
    Ok(format!(
        "{hits} failed, answered {:?}, the stop ended with {status}, {read} messages after the restart",
        codes[0]
    ))
}

/// Syncs of three seconds: answered with FLUSH_DISK_TIMEOUT, with bounded memory, until the disk is quick again.
pub fn slow_fsync(context: &Context<'_>) -> Result<String> {
    let size = 1 << 10;
    let conf = format!("{SMALL}flushDiskType=SYNC_FLUSH\nsyncFlushTimeout=1000\n");
    let mut broker = Broker::new(context.setup, context.kind, context.dir, Disk::Host, &conf)?;
    broker.start()?;
    let traffic = Traffic::start(broker.port, 32, size);
    traffic.await_code(OK, 500, Duration::from_secs(20))?;
    let before = broker.resident()?;
    let injection = broker.inject(SYNCS, "delay_exit=3000000")?;
    traffic.await_code(FLUSH_DISK_TIMEOUT, 32, Duration::from_secs(20))?;
    std::thread::sleep(Duration::from_secs(5));
    let after = broker.resident()?;
    broker.ensure_alive()?;
    let longest = traffic.longest();
    ensure!(longest < Duration::from_secs(8), "an answer took {} ms", longest.as_millis());
    ensure!(after < before + (64 << 10), "memory went from {before} KiB to {after} KiB");
    let hits = injection.hits();
    drop(injection);
    let resumed = traffic.await_code(OK, 100, RESUME)?;
    let ledger = traffic.finish()?;
    let read = check_after_kill(&mut broker, &ledger, size)?;
    Ok(format!(
        "{hits} slow syncs, codes {:?}, longest answer {} ms, memory {before} to {after} KiB, writes went on after {} ms, {} acknowledged and {read} read after a kill",
        ledger.codes,
        longest.as_millis(),
        resumed.as_millis(),
        ledger.acknowledged()
    ))
}

/// ext4 turns itself read-only after an error of its own, as configured on most servers.
pub fn read_only_file_system(context: &Context<'_>) -> Result<String> {
    let size = 1 << 10;
    // Without synchronous flush the last moments may go with a file system that has lost its journal.
    let conf = format!("{SMALL}flushDiskType=SYNC_FLUSH\n");
    let mut broker = Broker::new(context.setup, context.kind, context.dir, Disk::Ext4(128), &conf)?;
    broker.start()?;
    let traffic = Traffic::start(broker.port, 4, size);
    traffic.await_code(OK, 500, Duration::from_secs(20))?;
    broker.trigger_read_only()?;
    let noticed = traffic.await_code(NOT_AVAILABLE, 20, Duration::from_secs(30))?;
    broker.ensure_alive()?;
    let ledger = traffic.finish()?;
    ledger.check(&mut broker.connect()?, size)?;
    broker.ensure_alive()?;
    broker.signal(Signal::TERM)?;
    let status = broker.wait(STOP)?;
    ensure!(status.code().is_some(), "the stop ended with {status}");
    ensure!(broker.said().to_lowercase().contains("read-only file system"), "the log does not say why");
    // It does not start on such a file system, and says so.
    let refused = broker.start().err().context("it started on a read-only file system")?.to_string();
    ensure!(refused.contains("Read-only file system"), "{refused}");
    broker.mount_again()?;
    broker.start()?;
    let read = ledger.check(&mut broker.connect()?, size)?;
    Ok(format!(
        "noticed after {} ms, the stop ended with {status}, {} acknowledged and {read} read after the repair",
        noticed.as_millis(),
        ledger.acknowledged()
    ))
}

/// Descriptors run out: for connections and for files.
pub fn few_descriptors(context: &Context<'_>) -> Result<String> {
    let size = 16 << 10;
    let mut broker = Broker::new(context.setup, context.kind, context.dir, Disk::Host, SMALL)?;
    broker.start()?;
    let mut wire = broker.connect()?;
    let mut ledger = Ledger::default();
    for _ in 0..20 {
        ensure!(ledger.send(&mut wire, size)?.code == OK, "before the limit");
    }
    let open = broker.descriptors()?;
    let usual = broker.limit_descriptors(open + 2)?;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.extend(Wire::connect(broker.port, Duration::from_millis(300)).ok());
    }
    let mut refused = 0;
    // Far enough for the log and the queues to need new files.
    for _ in 0..2000 {
        let answer = ledger.send(&mut wire, size);
        broker.ensure_alive()?;
        refused += usize::from(answer?.code != OK);
    }
    for n in 0..8 {
        let answer = wire.send(&format!("FaultsMore{n}"), 0, b"x".to_vec());
        broker.ensure_alive()?;
        answer?;
    }
    ledger.check(&mut wire, size)?;
    drop(idle);
    broker.limit_descriptors(usual)?;
    let resumed = resume(&mut wire, &mut ledger, size)?;
    let begin = Instant::now();
    while broker.connect().and_then(|mut wire| wire.max_offset(TOPIC, 0)).is_err() {
        ensure!(begin.elapsed() < RESUME, "no new connection");
    }
    broker.ensure_alive()?;
    ensure!(broker.said().contains("Too many open files"), "nothing in the log");
    let read = check_after_kill(&mut broker, &ledger, size)?;
    Ok(format!(
        "{open} descriptors and two more: {refused} of 2000 messages refused, writes went on after {} ms, {} acknowledged and {read} read after a kill",
        resumed.as_millis(),
        ledger.acknowledged()
    ))
}

/// Everything acknowledged before the end of a clean stop under load is there.
pub fn sigterm_under_load(context: &Context<'_>) -> Result<String> {
    let size = 1 << 10;
    let mut broker = Broker::new(context.setup, context.kind, context.dir, Disk::Host, SMALL)?;
    broker.start()?;
    let traffic = Traffic::start(broker.port, 16, size);
    let mut took = Vec::new();
    for _ in 0..3 {
        traffic.await_code(OK, 1000, Duration::from_secs(30))?;
        took.push(broker.stop(STOP)?.as_millis());
        broker.start()?;
    }
    traffic.await_code(OK, 100, Duration::from_secs(30))?;
    let ledger = traffic.finish()?;
    let read = ledger.check(&mut broker.connect()?, size)?;
    Ok(format!("stops took {took:?} ms, {} acknowledged and {read} read", ledger.acknowledged()))
}

/// An impatient operator asks twice, and a third time.
pub fn sigterm_twice(context: &Context<'_>) -> Result<String> {
    let size = 1 << 10;
    let mut broker = Broker::new(context.setup, context.kind, context.dir, Disk::Host, SMALL)?;
    broker.start()?;
    let traffic = Traffic::start(broker.port, 16, size);
    let mut took = Vec::new();
    for pause in [0, 5, 50] {
        traffic.await_code(OK, 1000, Duration::from_secs(30))?;
        let begin = Instant::now();
        for _ in 0..3 {
            // It may have ended already.
            let _ = broker.signal(Signal::TERM);
            std::thread::sleep(Duration::from_millis(pause));
        }
        let status = broker.wait(STOP)?;
        took.push(begin.elapsed().as_millis());
        ensure!(!broker.store().join("abort").exists(), "the abort file is there after {status}");
        broker.start()?;
    }
    traffic.await_code(OK, 100, Duration::from_secs(30))?;
    let ledger = traffic.finish()?;
    let read = ledger.check(&mut broker.connect()?, size)?;
    Ok(format!("stops took {took:?} ms, {} acknowledged and {read} read", ledger.acknowledged()))
}

/// Asked to stop while it recovers: it ends soon, and the next start finds everything.
pub fn sigterm_during_recovery(context: &Context<'_>) -> Result<String> {
    let size = 4 << 10;
    let mut broker = Broker::new(context.setup, context.kind, context.dir, Disk::Host, SMALL)?;
    broker.start()?;
    let traffic = Traffic::start(broker.port, 16, size);
    traffic.await_code(OK, 30_000, Duration::from_secs(60))?;
    let ledger = {
        broker.kill()?;
        traffic.finish()?
    };
    let mut during = 0;
    let mut longest = Duration::ZERO;
    for delay in [1, 5, 10, 20, 40, 80, 160] {
        // Everything has to be walked and built again.
        let store = broker.store();
        for name in ["checkpoint", "consumequeue", "index"] {
            let path = store.join(name);
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            removed.or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        }
        std::fs::write(store.join("abort"), "0")?;
        broker.spawn()?;
        std::thread::sleep(Duration::from_millis(delay));
        let begin = Instant::now();
        broker.signal(Signal::TERM)?;
        during += usize::from(!std::fs::read_to_string(broker.log())?.contains("boot success"));
        broker.wait(STOP).with_context(|| format!("{delay} ms after the start"))?;
        longest = longest.max(begin.elapsed());
    }
    ensure!(during > 0, "the recovery was over before each stop");
    broker.start()?;
    let read = ledger.check(&mut broker.connect()?, size)?;
    Ok(format!(
        "7 stops, {during} before the broker served, the longest took {} ms; {} acknowledged and {read} read",
        longest.as_millis(),
        ledger.acknowledged()
    ))
}
