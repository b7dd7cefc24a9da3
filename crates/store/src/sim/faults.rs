//! Errors of the disk at every call: nothing panics, nothing acknowledged is lost, and space that comes back is used.

use std::sync::Arc;

use parking_lot::Mutex;
use raptormq_base::clock::ManualClock;

use super::disk::{Disk, Fault, Power};
use super::journal::{Journal, Must};
use super::{BEGIN_MS, check_image, config, effort, open, run, scratch};
use crate::fs::Fs;

const STEPS: usize = 40;

fn calls_of(seed: u64, sync: bool) -> u64 {
    let dir = scratch();
    let disk = Disk::new(dir.path(), None);
    run(&disk, dir.path(), &Mutex::new(Journal::new(seed)), seed, STEPS, sync);
    disk.calls()
}

/// The load with an error at its `n`-th call; then the power fails, or only the process dies.
fn fail_at(seed: u64, sync: bool, fault: Fault) {
    let dir = scratch();
    let root = dir.path().join("store");
    std::fs::create_dir_all(&root).unwrap();
    let journal = Mutex::new(Journal::new(seed));
    let disk = Disk::new(&root, None);
    disk.fail(Some(fault));
    run(&disk, &root, &journal, seed, STEPS, sync);
    for (power, must) in
        [(Power::Kept, Must::Stored), (Power::Lost, Must::Flushed), (Power::Torn(fault.from), Must::Flushed)]
    {
        let image = dir.path().join("image");
        disk.image(&image, power);
        let what = format!("seed {seed}, sync {sync}, {fault:?}, {power:?}");
        check_image(&image, &journal.lock(), must, sync, &what);
        std::fs::remove_dir_all(&image).unwrap();
    }
}

#[test]
fn an_error_at_any_call_loses_nothing_acknowledged() {
    let mut cases = 0;
    for (seed, sync) in [(5, false), (6, true)] {
        let calls = calls_of(seed, sync);
        let stride = (6 / effort()).max(1);
        for from in (1..=calls).step_by(stride as usize) {
            for error in [nix::libc::EIO, nix::libc::ENOSPC] {
                for count in [1, u64::MAX] {
                    fail_at(seed, sync, Fault { from, count, error });
                    cases += 1;
                }
            }
        }
        println!("seed {seed}, sync {sync}: {calls} calls");
    }
    println!("{cases} loads with an error");
    assert!(cases > 100);
}

#[test]
fn when_space_comes_back_writes_go_on_by_themselves() {
    let calls = calls_of(8, false);
    let mut resumed = 0;
    for from in (1..=calls).step_by((3 / effort()).max(1) as usize) {
        let dir = scratch();
        let journal = Mutex::new(Journal::new(8));
        let disk = Disk::new(dir.path(), None);
        let clock = Arc::new(ManualClock::new(BEGIN_MS));
        let Ok(store) = open(config(dir.path(), false), Fs::watched(disk.clone()), &clock) else { continue };
        disk.fail(Some(Fault { from, count: u64::MAX, error: nix::libc::ENOSPC }));
        let mut load = super::Load {
            store: store.clone(),
            clock: clock.clone(),
            random: super::Random::new(8),
            journal: &journal,
            sync: false,
        };
        (0..STEPS).for_each(|_| load.step());
        disk.fail(None);
        // What the threads do within two seconds.
        let shared = &store.0.shared;
        shared.allocator.step();
        shared.watch_space(0.1, 0.1);
        let _ = shared.flush_queues(false);
        if store.0.shared.poison.reason().is_some() {
            // A sync that was refused for lack of space is a failed sync: nobody knows what is on disk.
            continue;
        }
        let message = journal.lock().message(&mut super::Random::new(1));
        let appended =
            store.append(&message).unwrap_or_else(|error| panic!("no space from call {from}: {error}"));
        journal.lock().stored(&message, &appended);
        journal.lock().check(&store, Must::All, &format!("no space from call {from}"));
        resumed += 1;
    }
    println!("{resumed} of {calls} stores without space went on");
    assert!(resumed > 20);
}
