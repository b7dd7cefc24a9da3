//! Messages that are remembered when they are acknowledged, and looked for afterwards.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::wire::{Answer, Wire};

/// Response codes of a send.
pub const OK: i32 = 0;
pub const FLUSH_DISK_TIMEOUT: i32 = 10;
pub const NOT_AVAILABLE: i32 = 14;
/// The topic of all cases, created by the first send.
pub const TOPIC: &str = "Faults";
pub const QUEUES: i32 = 4;

/// What was sent and what the broker said.
#[derive(Default)]
pub struct Ledger {
    next: u64,
    /// Number of the message at each acknowledged place.
    acknowledged: BTreeMap<(i32, i64), u64>,
    /// Messages by the code of their answer; -1 when there was none.
    pub codes: BTreeMap<i32, u64>,
    pub last_refusal: Option<Answer>,
}

/// A body that tells its number and differs from all others.
pub fn body(number: u64, size: usize) -> Vec<u8> {
    let mut text = format!("{number} ").into_bytes();
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    while text.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.extend_from_slice(&state.to_be_bytes());
    }
    text.truncate(size.max(24));
    text
}

impl Ledger {
    /// Sends one message of `size` bytes and notes the answer.
    pub fn send(&mut self, wire: &mut Wire, size: usize) -> Result<Answer> {
        let number = self.next;
        self.next += 1;
        let queue = (number % QUEUES as u64) as i32;
        let answer = wire.send(TOPIC, queue, body(number, size));
        self.note(number, queue, answer.as_ref().ok())?;
        answer
    }

    fn note(&mut self, number: u64, queue: i32, answer: Option<&Answer>) -> Result<()> {
        *self.codes.entry(answer.map_or(-1, |answer| answer.code)).or_default() += 1;
        let Some(answer) = answer else { return Ok(()) };
        if answer.code == OK {
            let offset = answer.offset.context("an acknowledgement without an offset")?;
            let before = self.acknowledged.insert((queue, offset), number);
            ensure!(before.is_none(), "queue {queue} offset {offset} was given twice");
        } else {
            self.last_refusal = Some(answer.clone());
        }
        Ok(())
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Reads all queues and looks for everything that was acknowledged. Returns how many messages there are.
    pub fn check(&self, wire: &mut Wire, size: usize) -> Result<usize> {
        let mut read = 0;
        let mut found = BTreeMap::new();
        for queue in 0..QUEUES {
            for message in wire.read(TOPIC, queue, 0)? {
                let text = String::from_utf8_lossy(&message.body[..24.min(message.body.len())]).into_owned();
                let number: u64 = text.split(' ').next().unwrap_or_default().parse().context("a body")?;
                ensure!(message.body == body(number, size), "the body of message {number} was altered");
                found.insert((queue, message.offset), number);
                read += 1;
            }
        }
        let lost: Vec<_> =
            self.acknowledged.iter().filter(|(place, number)| found.get(place) != Some(number)).collect();
        ensure!(lost.is_empty(), "{} acknowledged messages are lost, the first is {:?}", lost.len(), lost[0]);
        Ok(read)
    }
}

/// Senders in threads of their own; each has a connection and one message in flight.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
    longest_ms: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    pub fn start(port: u16, senders: usize, size: usize) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let longest_ms = Arc::new(AtomicU64::new(0));
        let threads = (0..senders)
            .map(|_| {
                let (stop, ledger, longest) = (stop.clone(), ledger.clone(), longest_ms.clone());
                std::thread::spawn(move || send_until(&stop, &ledger, &longest, port, size))
            })
            .collect();
        Traffic { stop, ledger, longest_ms, threads }
    }

    pub fn count(&self, code: i32) -> u64 {
        self.ledger.lock().map_or(0, |ledger| ledger.codes.get(&code).copied().unwrap_or(0))
    }

    /// The longest that an answer has taken.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.load(Ordering::Relaxed))
    }

    /// Waits until more than `more` further messages have this answer.
    pub fn await_code(&self, code: i32, more: u64, limit: Duration) -> Result<Duration> {
        let (begin, before) = (Instant::now(), self.count(code));
        while self.count(code) < before + more {
            ensure!(begin.elapsed() < limit, "no answer {code} in {} ms", limit.as_millis());
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(begin.elapsed())
    }

    pub fn finish(mut self) -> Result<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            ensure!(thread.join().is_ok(), "a sender panicked");
        }
        Ok(std::mem::take(&mut *self.ledger.lock().map_err(|_| anyhow::anyhow!("a sender panicked"))?))
    }
}

fn send_until(stop: &AtomicBool, ledger: &Mutex<Ledger>, longest_ms: &AtomicU64, port: u16, size: usize) {
    let mut wire = None;
    while !stop.load(Ordering::Relaxed) {
        if wire.is_none() {
            wire = Wire::connect(port, Duration::from_secs(10)).ok();
        }
        let Some(open) = &mut wire else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let number = match ledger.lock() {
            Ok(mut ledger) => {
                ledger.next += 1;
                ledger.next - 1
            }
            Err(_) => return,
        };
        let queue = (number % QUEUES as u64) as i32;
        let begin = Instant::now();
        let answer = open.send(TOPIC, queue, body(number, size)).ok();
        longest_ms.fetch_max(begin.elapsed().as_millis() as u64, Ordering::Relaxed);
        let refused = answer.as_ref().is_some_and(|answer| answer.code != OK);
        if answer.is_none() {
            wire = None;
        }
        match ledger.lock() {
            Ok(mut ledger) => {
                if ledger.note(number, queue, answer.as_ref()).is_err() {
                    // Counted as an answer that no broker gives; the case fails on it.
                    *ledger.codes.entry(i32::MIN).or_default() += 1;
                }
            }
            Err(_) => return,
        }
        if refused {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
