//! Which half messages are settled, and how far the check has come: the state behind the offsets that the group
//! `CID_RMQ_SYS_TRANS` commits for the half and the op queue.
//!
//! The check walks the half queue. It passes a half message that is settled, or that it has stored once more behind the
//! others. An op record may be forgotten — its offset committed — only when the check has passed every copy of its half
//! message that there was when the record was read: until then one of them could ask whether it is settled. Java forgets
//! op records of half messages that it has passed at once, and so checks transactions again that were settled meanwhile.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

/// Positions that the group `CID_RMQ_SYS_TRANS` commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// In the half queue: everything below is settled or was stored once more.
    pub half: i64,
    /// In the op queue: what is below says nothing about half messages from `half` on.
    pub op: i64,
}

/// One half message that an op record settles. There are as many as transactions end while the oldest undecided one is
/// too young to be checked.
#[derive(Debug)]
struct Op {
    offset: i64,
    half: i64,
    /// The check must come this far before the record can be forgotten.
    barrier: i64,
}

/// Where a copy comes from: the transaction's first half message, and the copy before this one. Producers settle the
/// one that their send was answered with, or the one that they were last asked about.
#[derive(Debug, Clone, Copy)]
struct Origin {
    first: i64,
    last: i64,
}

/// The state of the check.
#[derive(Debug)]
pub struct Ledger {
    position: i64,
    next_op: i64,
    ops: VecDeque<Op>,
    /// Half messages that `ops` and `owed` name, and how often.
    settled: HashMap<i64, u32>,
    /// Settled, but the op record could not be stored yet.
    owed: Vec<i64>,
    copies: HashMap<i64, Origin>,
    /// Half messages that an earlier run has stored once more, without having committed that it passed them, and copies
    /// of half messages that it saw settled.
    done: HashSet<i64>,
}

impl Ledger {
    /// A ledger that begins at `positions`; op records from there on are to be told by [`Ledger::settle`].
    pub fn new(positions: Positions) -> Self {
        Self {
            position: positions.half,
            next_op: positions.op,
            ops: VecDeque::new(),
            settled: HashMap::new(),
            owed: Vec::new(),
            copies: HashMap::new(),
            done: HashSet::new(),
        }
    }

    /// The next half message to look at.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// What may be committed.
    pub fn positions(&self) -> Positions {
        Positions { half: self.position, op: self.ops.front().map_or(self.next_op, |op| op.offset) }
    }

    /// The op record at `offset` says that `halves` are settled; `half_end` is the end of the half queue now. Records
    /// are told in the order of their queue.
    pub fn settle(&mut self, offset: i64, halves: &[i64], half_end: i64) {
        self.next_op = offset + 1;
        for half in halves {
            *self.settled.entry(*half).or_default() += 1;
            self.ops.push_back(Op { offset, half: *half, barrier: half_end });
        }
        self.forget();
    }

    /// `half` is settled, but no op record says so yet. Saying so again changes nothing.
    pub fn owe(&mut self, half: i64) {
        if let Entry::Vacant(entry) = self.settled.entry(half) {
            entry.insert(1);
            self.owed.push(half);
        }
    }

    /// A half message for which an op record is still to be stored.
    pub fn owed(&self) -> Option<i64> {
        self.owed.last().copied()
    }

    /// The op record of [`Ledger::owed`] is stored at `offset`.
    pub fn paid(&mut self, offset: i64, half_end: i64) {
        if let Some(half) = self.owed.pop() {
            self.release(half);
            self.settle(offset, &[half], half_end);
        }
    }

    /// What an earlier run is done with.
    pub fn resume(&mut self, done: HashSet<i64>) {
        self.done = done;
    }

    /// The settled half messages that the check has passed.
    pub fn settled_and_passed(&self) -> Vec<i64> {
        let mut halves: Vec<i64> =
            self.settled.keys().copied().filter(|half| *half < self.position).collect();
        halves.sort_unstable();
        halves
    }

    /// Whether the half message at `half` needs no check: it, or the one it is a copy of, is settled, or its copy stands
    /// behind it. `prepared` is what it says itself of where it comes from (`TRAN_PREPARED_QUEUE_OFFSET`).
    pub fn is_settled(&self, half: i64, prepared: Option<i64>) -> bool {
        let settled = |at: i64| self.settled.contains_key(&at);
        settled(half)
            || prepared.is_some_and(settled)
            || self.copies.get(&half).is_some_and(|origin| settled(origin.first) || settled(origin.last))
            || self.done.contains(&half)
    }

    /// The half message at `half` was stored once more, at `copy`.
    pub fn put_back(&mut self, half: i64, copy: i64) {
        let first = self.copies.get(&half).map_or(half, |origin| origin.first);
        self.copies.insert(copy, Origin { first, last: half });
    }

    /// The check is done with everything below `position`.
    pub fn passed(&mut self, position: i64) {
        if position == self.position + 1 {
            self.copies.remove(&self.position);
            self.done.remove(&self.position);
        } else {
            // A stretch of the queue is gone with its files.
            self.copies.retain(|half, _| *half >= position);
            self.done.retain(|half| *half >= position);
        }
        self.position = position;
        self.forget();
    }

    fn forget(&mut self) {
        while let Some(op) = self.ops.pop_front_if(|op| op.barrier <= self.position) {
            self.release(op.half);
        }
    }

    fn release(&mut self, half: i64) {
        if let Some(times) = self.settled.get_mut(&half) {
            *times -= 1;
            if *times == 0 {
                self.settled.remove(&half);
            }
        }
    }

    /// How many settled half messages are remembered.
    pub fn remembered(&self) -> usize {
        self.ops.len()
    }
}

/// Finds what an earlier run is done with although its committed offset does not tell: half messages whose copy stands
/// behind them already, and copies of half messages that are settled. Told the half messages in the order of their queue,
/// from the committed position on.
#[derive(Debug, Default)]
pub struct LookBack {
    /// Half messages of one transaction that have no copy yet, oldest first, by what they have in common.
    open: HashMap<u64, VecDeque<i64>>,
    settled: HashSet<u64>,
    done: HashSet<i64>,
}

impl LookBack {
    /// A half message of `transaction`, which is the same for all copies of one, is settled.
    pub fn settled(&mut self, transaction: u64) {
        self.settled.insert(transaction);
    }

    /// The half message at `half`. Copies are stored in the order of what they are copies of.
    pub fn see(&mut self, half: i64, transaction: u64, is_copy: bool) {
        if is_copy && self.settled.contains(&transaction) {
            self.done.insert(half);
            return;
        }
        let open = self.open.entry(transaction).or_default();
        if is_copy && let Some(original) = open.pop_front() {
            self.done.insert(original);
        }
        open.push_back(half);
    }

    /// What was found.
    pub fn done(self) -> HashSet<i64> {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(Positions { half: 0, op: 0 })
    }

    #[test]
    fn an_op_record_is_forgotten_when_no_copy_can_ask_for_it_any_more() {
        let mut ledger = ledger();
        ledger.put_back(0, 3);
        ledger.passed(1);
        // The transaction's first half message is settled while its copy waits at 3.
        ledger.settle(0, &[0], 5);
        assert!(ledger.is_settled(3, None) && !ledger.is_settled(2, None));
        assert_eq!(ledger.positions(), Positions { half: 1, op: 0 });
        for position in 2..=4 {
            ledger.passed(position);
            assert_eq!(ledger.positions().op, 0);
        }
        ledger.passed(5);
        assert_eq!((ledger.positions(), ledger.remembered()), (Positions { half: 5, op: 1 }, 0));
        assert!(!ledger.is_settled(0, None), "forgotten");
    }

    #[test]
    fn copies_are_settled_with_the_first_and_with_the_one_before() {
        let mut ledger = ledger();
        for (half, copy) in [(0, 1), (1, 2), (2, 3)] {
            ledger.put_back(half, copy);
            ledger.passed(copy);
        }
        ledger.settle(0, &[2], 4);
        assert!(ledger.is_settled(3, None));
        let mut other = self::ledger();
        other.settle(0, &[7], 9);
        assert!(other.is_settled(8, Some(7)) && !other.is_settled(8, Some(6)));
    }

    #[test]
    fn what_is_owed_counts_as_settled_until_its_record_is_stored() {
        let mut ledger = ledger();
        ledger.owe(4);
        assert!(ledger.is_settled(4, None));
        assert_eq!(ledger.owed(), Some(4));
        ledger.paid(0, 6);
        assert_eq!((ledger.owed(), ledger.is_settled(4, None)), (None, true));
        ledger.passed(6);
        assert!(!ledger.is_settled(4, None));
        assert_eq!(ledger.positions(), Positions { half: 6, op: 1 });
    }

    #[test]
    fn what_is_settled_is_owed_once_at_most() {
        let mut ledger = ledger();
        ledger.owe(4);
        ledger.owe(4);
        ledger.paid(0, 6);
        assert_eq!(ledger.owed(), None);
        ledger.owe(4);
        assert_eq!(ledger.owed(), None, "its op record is stored");
        ledger.passed(6);
        assert!(!ledger.is_settled(4, None));
    }

    #[test]
    fn a_stretch_that_is_gone_leaves_nothing_behind() {
        let mut ledger = ledger();
        ledger.resume(HashSet::from([1, 2, 50]));
        ledger.put_back(0, 40);
        ledger.passed(45);
        assert!(ledger.copies.is_empty());
        assert!(ledger.is_settled(50, None) && !ledger.is_settled(2, None));
    }

    #[test]
    fn each_copy_supersedes_one_half_message_of_its_transaction() {
        let mut seen = LookBack::default();
        seen.settled(4);
        for (half, transaction, is_copy) in [
            (10, 1, false),
            (11, 2, false),
            (12, 1, true),
            (13, 3, true), // its original is passed already
            (14, 1, true),
            (15, 2, false), // the same transaction sent twice
            (16, 2, true),
            (17, 4, true),  // a copy of a settled one
            (18, 4, false), // resumed
        ] {
            seen.see(half, transaction, is_copy);
        }
        assert_eq!(seen.done(), HashSet::from([10, 12, 11, 17]));
    }
}
