//! Errors of the disk at every call: nothing panics, nothing acknowledged is lost, and space that comes back is used.

use std::sync::Arc;

use parking_lot::Mutex;
use raptormq_base::clock::ManualClock;

use super::disk::{Disk, Fault, Power};
use super::journal::{Journal, Must};
use super::{BEGIN_MS, Kind, check_image, config, effort, open, run, scratch};
use crate::fs::Fs;
use crate::*;

const STEPS: usize = 40;

fn calls_of(seed: u64, kind: Kind) -> u64 {
    let dir = scratch();
    let disk = Disk::new(dir.path(), None);
    run(&disk, dir.path(), &Mutex::new(Journal::new(seed)), seed, STEPS, kind);
    disk.calls()
}

/// The load with an error at its `n`-th call; then the power fails, or only the process dies.
fn fail_at(seed: u64, kind: Kind, fault: Fault) {
    let dir = scratch();
    let root = dir.path().join("store");
    std::fs::create_dir_all(&root).unwrap();
    let journal = Mutex::new(Journal::new(seed));
    let disk = Disk::new(&root, None);
    disk.fail(Some(fault));
    run(&disk, &root, &journal, seed, STEPS, kind);
    for (power, must) in
        [(Power::Kept, Must::Stored), (Power::Lost, Must::Flushed), (Power::Torn(fault.from), Must::Flushed)]
    {
        let image = dir.path().join("image");
        disk.image(&image, power);
        let what = format!("seed {seed}, {kind:?}, {fault:?}, {power:?}");
        check_image(&image, &journal.lock(), must, kind, &what);
        std::fs::remove_dir_all(&image).unwrap();
    }
}

#[test]
fn an_error_at_any_call_loses_nothing_acknowledged() {
    let mut cases = 0;
    for (seed, kind) in [(5, Kind { sync: false, ext: true }), (6, Kind { sync: true, ext: false })] {
        let calls = calls_of(seed, kind);
        let stride = (8 / effort()).max(1);
        for from in (1..=calls).step_by(stride as usize) {
            for error in [nix::libc::EIO, nix::libc::ENOSPC] {
                for count in [1, u64::MAX] {
                    fail_at(seed, kind, Fault { from, count, error });
                    cases += 1;
                }
            }
        }
        println!("seed {seed}, {kind:?}: {calls} calls");
    }
    println!("{cases} loads with an error");
    assert!(cases > 100);
}

/// Files that are read other than through maps, by the directory that they lie in.
const READ: [&str; 4] = ["commitlog", "consumequeue", "consumequeue_ext", "batchconsumequeue"];

#[test]
fn what_cannot_be_read_is_an_answer_and_is_there_when_it_can() {
    let kind = Kind { sync: false, ext: true };
    let dir = scratch();
    let journal = Mutex::new(Journal::new(9));
    let disk = Disk::new(dir.path(), None);
    let clock = Arc::new(ManualClock::new(BEGIN_MS));
    let mut config = config(dir.path(), kind);
    // Nothing of the log counts as being in memory.
    config.access_message_in_memory_max_ratio = 0;
    let store = open(config.clone(), Fs::watched(disk.clone()), &clock).unwrap();
    for _ in 0..300 {
        clock.advance_ms(10);
        let message = journal.lock().message(&mut super::Random::new(clock.wall_ms() as u64));
        journal.lock().stored(&message, &store.append(&message).unwrap());
    }
    let at_rest = || {
        // The second pass lets go of what the first has written.
        (0..2).for_each(|_| store.0.shared.flush_queues(true).unwrap());
        store.0.shared.follow_log().unwrap();
    };
    at_rest();
    journal.lock().check(&store, Must::All, &"before");
    let places = || {
        let queues = store.topics().into_iter().flat_map(|topic| {
            store
                .queues(&topic)
                .into_iter()
                .map(move |queue_id| (topic.clone(), queue_id))
                .collect::<Vec<_>>()
        });
        let mut places: Vec<_> = queues
            .map(|(topic, id)| (store.queue_min(&topic, id), store.queue_max(&topic, id), topic, id))
            .collect();
        places.sort();
        places
    };
    let before = places();
    for unreadable in READ {
        disk.fail_reads(Some(unreadable));
        let mut unread = 0;
        for (min, max, topic, queue_id) in &before {
            for offset in *min..*max {
                let filter = super::journal::Tag::new("a");
                for filter in [None, Some(Arc::new(filter) as Arc<dyn Filter>)] {
                    let request = GetRequest {
                        topic,
                        queue_id: *queue_id,
                        offset,
                        max_nums: 32,
                        max_bytes: None,
                        filter,
                    };
                    let result = match store.get(&request) {
                        Get::Ready(result) => result,
                        Get::Cold(cold) => cold.run(),
                    };
                    if result.status == GetStatus::OffsetFoundNull {
                        assert_eq!(result.messages, Vec::<Bytes>::new());
                        assert!(result.next_begin_offset >= offset, "{topic} {offset}: {result:?}");
                        unread += 1;
                    }
                    if request.filter.is_none() {
                        let end = offset + result.message_count as i64;
                        assert!(
                            result.next_begin_offset <= end,
                            "{topic} {offset}: a message is skipped: {result:?}"
                        );
                    }
                }
                let _ = store.physical_offset_of(topic, *queue_id, offset);
                let _ = store.offset_by_time(topic, *queue_id, BEGIN_MS + 10 * offset, Boundary::Upper);
                let _ = store.store_time(topic, *queue_id, offset);
            }
        }
        let _ = store.0.shared.follow_log();
        let message = journal.lock().message(&mut super::Random::new(unread));
        journal.lock().stored(&message, &store.append(&message).unwrap());
        let refused = disk.fail_reads(None);
        println!("{unreadable}: {refused} reads refused, {unread} answers without a message");
        assert!(refused > 0 && unread > 0, "{unreadable}: nothing was refused");
        journal.lock().check(&store, Must::All, &unreadable);
        at_rest();
    }
    let after = places();
    assert!(
        before.iter().all(|it| after.iter().any(|after| (it.0, &it.2, it.3) == (after.0, &after.2, after.3)))
    );
    drop(store);
    // A start that cannot read refuses, and destroys nothing.
    for unreadable in &READ[1..] {
        disk.fail_reads(Some(unreadable));
        match open(config.clone(), Fs::watched(disk.clone()), &clock) {
            Err(OpenError::Io { path, .. }) => {
                assert!(path.to_string_lossy().contains(unreadable), "{path:?}")
            }
            other => panic!("{unreadable}: {:?}", other.err()),
        }
        disk.fail_reads(None);
    }
    let store = open(config, Fs::watched(disk.clone()), &clock).unwrap();
    journal.lock().check(&store, Must::All, &"opened again");
}

#[test]
fn when_space_comes_back_writes_go_on_by_themselves() {
    let kind = Kind { sync: false, ext: true };
    let calls = calls_of(8, kind);
    let mut resumed = 0;
    for from in (1..=calls).step_by((3 / effort()).max(1) as usize) {
        let dir = scratch();
        let journal = Mutex::new(Journal::new(8));
        let disk = Disk::new(dir.path(), None);
        let clock = Arc::new(ManualClock::new(BEGIN_MS));
        let Ok(store) = open(config(dir.path(), kind), Fs::watched(disk.clone()), &clock) else { continue };
        disk.fail(Some(Fault { from, count: u64::MAX, error: nix::libc::ENOSPC }));
        let mut load = super::Load {
            store: store.clone(),
            clock: clock.clone(),
            random: super::Random::new(8),
            journal: &journal,
            kind,
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
