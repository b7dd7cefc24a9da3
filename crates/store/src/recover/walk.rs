//! The walk over the log: files are verified ahead, on other cores, while records of earlier ones are dispatched.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};
use raptormq_message::{Checks, DecodeError, Decoded, Record, decode, layout};

use crate::fs::{self, Fs, Named};
use crate::segment::map::Map;
use crate::types::OpenError;

/// Files that are verified before the one being dispatched is done.
const AHEAD: usize = 2;
/// How often a verifier tells how far it is, bytes.
const STEP: usize = 1 << 20;
/// What a disk writes at once or not at all, bytes.
const SECTOR: usize = 512;

/// Why the walk of a file ended.
#[derive(Debug)]
pub(super) enum Stop {
    /// At something that is not a record.
    NoRecord(DecodeError),
    /// At a record of which a loss of power left only a part.
    Torn,
    /// At a blank record, which ends the file.
    Blank,
    /// The file cannot be read.
    Failed(OpenError),
}

/// What counts as a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Bytes of a file.
    pub(super) len: u64,
    pub(super) checks: Checks,
    /// Whether a record may be torn: after a crash.
    pub(super) torn: bool,
}

/// How to go on after a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    /// With the first file of the log.
    StartOver,
}

/// Where the walk ended.
pub(super) enum Outcome {
    /// In file `index`, at log offset `end`.
    End {
        index: usize,
        end: u64,
        stop: Stop,
    },
    StartOver,
}

/// A file that is being verified.
#[derive(Default)]
struct Scan {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    map: Option<Arc<Map>>,
    /// Everything below is whole records.
    end: usize,
    stop: Option<Stop>,
}

impl Scan {
    fn run(&self, fs: &Fs, file: &Named, rule: Rule, given_up: &AtomicBool) {
        match open(fs, file, rule.len) {
            Ok(map) => {
                self.progress.lock().map = Some(map.clone());
                let ended = Ended { scan: self, file };
                let stop = self.verify(map.bytes(), rule, given_up);
                self.progress.lock().stop = Some(stop);
                drop(ended);
            }
            Err(error) => {
                self.progress.lock().stop = Some(Stop::Failed(fs::at(&file.path)(error)));
                self.changed.notify_all();
            }
        }
    }

    fn verify(&self, bytes: &[u8], rule: Rule, given_up: &AtomicBool) -> Stop {
        let (mut at, mut told) = (0, 0);
        let stop = loop {
            // No broker leaves less than a blank record's length free; where damage does, the file is full.
            if bytes.len() - at < layout::BLANK_LEN {
                break Stop::Blank;
            }
            match decode(&bytes[at..], rule.checks) {
                Ok(Decoded::Record(record)) if rule.torn && is_torn(bytes, at, &record) => break Stop::Torn,
                Ok(Decoded::Record(record)) => at += record.len,
                Ok(Decoded::Blank) => break Stop::Blank,
                Err(error) => break Stop::NoRecord(error),
            }
            if at - told >= STEP {
                told = at;
                self.progress.lock().end = at;
                self.changed.notify_all();
                if given_up.load(Ordering::Relaxed) {
                    break Stop::Blank;
                }
            }
        };
        self.progress.lock().end = at;
        stop
    }

    /// Waits until there is more than `at`, or the end. Returns where the verified part ends, and whether it will grow.
    fn wait(&self, at: usize) -> (Option<Arc<Map>>, usize, bool) {
        let mut progress = self.progress.lock();
        while progress.end <= at && progress.stop.is_none() {
            self.changed.wait(&mut progress);
        }
        (progress.map.clone(), progress.end, progress.stop.is_none())
    }
}

/// Tells the end of a scan, however it comes.
struct Ended<'a> {
    scan: &'a Scan,
    file: &'a Named,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let unfinished =
            || Stop::Failed(fs::at(&self.file.path)(io::Error::other("its verification broke off")));
        self.scan.progress.lock().stop.get_or_insert_with(unfinished);
        self.scan.changed.notify_all();
    }
}

fn open(fs: &Fs, file: &Named, len: u64) -> io::Result<Arc<Map>> {
    let map = Map::read_only(fs.open(&file.path, false)?.raw(), len as usize)?;
    map.will_be_read_once();
    Ok(map)
}

/// Whether a sector behind the body of the record at `at` reads as zeros: the body's checksum does not cover topic and
/// properties, and a loss of power can leave the sectors around. Java serves such a record as it is.
pub(super) fn is_torn(bytes: &[u8], at: usize, record: &Record<'_>) -> bool {
    let end = at + record.len;
    let topic = at + layout::body_at(record.sys_flag) + record.body.len();
    let mut sector = topic.next_multiple_of(SECTOR);
    while sector < end {
        let next = end.min(sector + SECTOR);
        if bytes[sector..next].iter().all(|byte| *byte == 0) {
            return true;
        }
        sector = next;
    }
    false
}

/// Walks the files from number `from` on, giving each record and its log offset to `each`, to the first thing that is
/// not a record.
pub(super) fn walk(
    fs: &Fs,
    files: &[Named],
    from: usize,
    rule: Rule,
    mut each: impl FnMut(&Record<'_>, u64) -> Result<Next, OpenError>,
) -> Result<Outcome, OpenError> {
    let scans: Vec<Scan> = files.iter().map(|_| Scan::default()).collect();
    let (next, given_up) = (AtomicUsize::new(from), AtomicBool::new(false));
    let current = Mutex::new(from);
    let moved = Condvar::new();
    let verify = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(scan), Some(file)) = (scans.get(index), files.get(index)) else { return };
            {
                let mut current = current.lock();
                while index > *current + AHEAD && !given_up.load(Ordering::Relaxed) {
                    moved.wait(&mut current);
                }
            }
            if given_up.load(Ordering::Relaxed) {
                return;
            }
            scan.run(fs, file, rule, &given_up);
        }
    };
    let mut dispatch = || {
        for (index, file) in files.iter().enumerate().skip(from) {
            *current.lock() = index;
            moved.notify_all();
            let mut at = 0;
            loop {
                let (map, end, grows) = scans[index].wait(at);
                let bytes = map.as_ref().map_or(&[][..], |map| map.bytes());
                while at < end {
                    // Verified before: only the lengths are looked at again.
                    let Ok(Decoded::Record(record)) = decode(&bytes[at..], Checks::Sizes) else { break };
                    if each(&record, file.start + at as u64)? == Next::StartOver {
                        return Ok(Outcome::StartOver);
                    }
                    at += record.len;
                }
                if !grows {
                    break;
                }
            }
            match scans[index].progress.lock().stop.take() {
                Some(Stop::Failed(error)) => return Err(error),
                Some(Stop::Blank) if index + 1 < files.len() => {}
                stop => {
                    let stop = stop.unwrap_or(Stop::Blank);
                    return Ok(Outcome::End { index, end: file.start + at as u64, stop });
                }
            }
        }
        Ok(Outcome::StartOver)
    };
    let verifiers =
        std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).clamp(1, 3));
    std::thread::scope(|scope| {
        // However the dispatch ends, nobody waits for it any longer.
        let _end = GiveUp { given_up: &given_up, current: &current, moved: &moved };
        for _ in 0..verifiers.min(files.len() - from) {
            std::thread::Builder::new()
                .name("store-recovery".to_owned())
                .spawn_scoped(scope, verify)
                .map_err(fs::at(&files[from].path))?;
        }
        dispatch()
    })
}

/// Ends the verifiers.
struct GiveUp<'a> {
    given_up: &'a AtomicBool,
    current: &'a Mutex<usize>,
    moved: &'a Condvar,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        let _current = self.current.lock();
        self.moved.notify_all();
    }
}
