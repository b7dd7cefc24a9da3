//! The check: half messages that nobody has settled are stored once more behind the others, and their producers are asked
//! (`TransactionalMessageCheckService`, `TransactionalMessageServiceImpl.check`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use raptormq_message::props::keys;
use raptormq_message::{Positions as Place, decode_message, offset_msg_id};
use raptormq_store::{GetRequest, GetStatus};
use raptormq_wire::header::{CheckTransactionStateRequestHeader, RpcRequestHeader};
use raptormq_wire::{RemotingCommand, RequestCode};
use tokio_util::sync::CancellationToken;

use super::half::{Half, QUEUE};
use super::ledger::{LookBack, Positions};
use super::{GROUP, READ, TransactionService, read};
use crate::names;

/// How long one check may take (`MAX_PROCESS_TIME_LIMIT`).
const ROUND_MAX: Duration = Duration::from_secs(60);

/// The rules of one check.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// `transactionTimeOut`, ms.
    pub(super) timeout_ms: i64,
    /// `transactionCheckMax`.
    pub(super) check_max: i32,
    /// `fileReservedTime`, ms.
    pub(super) reserved_ms: i64,
}

/// What becomes of a half message that is not settled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It, and those behind it, are too young.
    Wait,
    /// Its own immunity time has not passed: those behind it are looked at.
    Immune,
    /// Its producer is asked for this time.
    Check(i32),
    /// It was checked too often, or is too old: it goes to TRANS_CHECK_MAX_TIME_TOPIC.
    GiveUp(Option<i32>),
}

/// Decides about a half message of the age `age_ms`, which is negative when the producer's clock is ahead.
pub(super) fn verdict(half: &Half, age_ms: i64, rules: &Rules) -> Verdict {
    let times = match half.check_times() {
        Some(times) if times >= rules.check_max => return Verdict::GiveUp(None),
        Some(times) => times + 1,
        None => 1,
    };
    if age_ms > rules.reserved_ms {
        return Verdict::GiveUp(Some(times));
    }
    match half.properties.get(keys::CHECK_IMMUNITY_TIME_IN_SECONDS) {
        Some(seconds) => {
            let immunity_ms = match seconds.parse::<i64>() {
                Ok(-1) | Err(_) => rules.timeout_ms,
                Ok(seconds) => seconds.saturating_mul(1000),
            };
            if age_ms <= immunity_ms { Verdict::Immune } else { Verdict::Check(times) }
        }
        None if (0..=rules.timeout_ms).contains(&age_ms) => Verdict::Wait,
        None => Verdict::Check(times),
    }
}

/// A question to one of a group's producers.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) group: String,
    pub(super) header: CheckTransactionStateRequestHeader,
    pub(super) body: Bytes,
}

/// How far a check has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    /// Everything that the positions rest on is below this offset of the log.
    log_end: u64,
    pub(super) positions: Positions,
}

impl TransactionService {
    /// Checks once an interval until cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut waiting: Option<Reached> = None;
        loop {
            let interval = u64::try_from(self.parts.live.broker().transaction_check_interval).unwrap_or(0);
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(interval.max(10))) => {}
            }
            let (service, stop) = (self.clone(), cancel.clone());
            let round = move || service.round_with_producers(&|| stop.is_cancelled());
            match tokio::task::spawn_blocking(round).await {
                Ok(reached) => {
                    waiting = waiting.filter(|older| !self.commit_flushed(older));
                    if waiting.is_none() && !self.commit_flushed(&reached) {
                        waiting = Some(reached);
                    }
                }
                Err(error) => tracing::error!(%error, "a check of half messages failed"),
            }
        }
    }

    /// Commits progress if what it rests on is on disk; whether it is. Were the offset ahead of the log, a power failure
    /// would lose half messages that were stored once more; Java takes that risk.
    fn commit_flushed(&self, reached: &Reached) -> bool {
        let flushed = self.parts.store.flushed_offset() >= reached.log_end;
        if flushed {
            self.commit_positions(reached.positions);
        }
        flushed
    }

    /// Commits how far the check has come, for a stop that has brought the log to disk; whether that is so.
    pub fn commit_all(&self) -> bool {
        let reached = self.reached();
        self.commit_flushed(&reached)
    }

    fn reached(&self) -> Reached {
        let positions = self.ledger.lock().positions();
        Reached { log_end: self.parts.store.commit_log_max(), positions }
    }

    /// The half queue's offset first: an op record is never taken for forgotten before the half messages it settles.
    pub(super) fn commit_positions(&self, positions: Positions) {
        let offsets = &self.parts.offsets;
        let places = [(names::HALF_TOPIC, positions.half), (names::OP_HALF_TOPIC, positions.op)];
        for (topic, offset) in places {
            let committed = offsets.get(GROUP, topic, QUEUE);
            if committed.unwrap_or_else(|| self.parts.store.queue_min(topic, QUEUE)) != offset {
                offsets.commit(GROUP, topic, QUEUE, offset);
            }
        }
    }

    /// One check: up to the first half message that is too young, the end that the queue has now, or `stop`. Blocks.
    pub(super) fn round(&self, stop: &dyn Fn() -> bool, ask: &mut dyn FnMut(Question)) -> Reached {
        self.look_back();
        self.pay_owed();
        let broker = self.parts.live.broker();
        let rules = Rules {
            timeout_ms: broker.transaction_time_out,
            check_max: broker.transaction_check_max,
            reserved_ms: i64::from(self.parts.live.store().file_reserved_time).saturating_mul(3_600_000),
        };
        let begin = self.parts.clock.monotonic();
        let end = self.parts.store.queue_max(names::HALF_TOPIC, QUEUE);
        while !stop() && self.parts.clock.monotonic().saturating_sub(begin) < ROUND_MAX {
            if !self.some(end, &rules, ask) {
                break;
            }
        }
        self.reached()
    }

    /// Looks at some half messages before `end`; whether there is more to look at.
    fn some(&self, end: i64, rules: &Rules, ask: &mut dyn FnMut(Question)) -> bool {
        let from = self.ledger.lock().position();
        if from >= end {
            return false;
        }
        let request = GetRequest {
            topic: names::HALF_TOPIC,
            queue_id: QUEUE,
            offset: from,
            max_nums: READ,
            max_bytes: None,
            filter: None,
        };
        let got = self.parts.store.get_blocking(&request);
        match got.status {
            GetStatus::Found => {
                let mut found = got.messages.iter().zip(&got.queue_offsets);
                found.all(|(record, at)| *at < end && self.judge(record, *at, rules, ask))
            }
            _ if got.next_begin_offset > from => {
                let (status, to) = (got.status.name(), got.next_begin_offset);
                tracing::error!(from, to, status, "half messages are gone, they cannot be checked");
                self.ledger.lock().passed(to);
                true
            }
            _ => false,
        }
    }

    /// Decides about one half message; whether those behind it are to be looked at.
    fn judge(&self, record: &Bytes, at: i64, rules: &Rules, ask: &mut dyn FnMut(Question)) -> bool {
        let half = decode_message(record).ok().and_then(Half::of);
        let mut ledger = self.ledger.lock();
        let Some(half) = half else {
            tracing::error!(at, "no half message in the queue of half messages, skipped");
            ledger.passed(at + 1);
            return true;
        };
        if ledger.is_settled(at, half.prepared_offset()) {
            ledger.passed(at + 1);
            return true;
        }
        let age_ms = self.parts.clock.wall_ms().saturating_sub(half.message.born_timestamp);
        let (again, times) = match verdict(&half, age_ms, rules) {
            Verdict::Wait => return false,
            Verdict::Immune => (half.immune(), None),
            Verdict::Check(times) => (half.checked(times), Some(times)),
            Verdict::GiveUp(times) => {
                if !self.give_up_topic() {
                    return false;
                }
                tracing::error!(
                    at,
                    topic = half.real_topic,
                    group = half.producer_group,
                    "a half message is given up, it goes to {}",
                    names::TRANS_CHECK_MAX_TIME_TOPIC
                );
                (half.given_up(times), None)
            }
        };
        // Java goes on after a failure, and loses the message where it was to be given up.
        let copy = match self.parts.store.append_again(&again) {
            Ok(copy) => copy,
            Err(error) if error.is_lasting() => {
                let (log_offset, topic, group) =
                    (half.message.log_offset, &half.real_topic, &half.producer_group);
                tracing::error!(
                    at,
                    log_offset,
                    topic,
                    group,
                    %error,
                    "a half message can never be stored once more: its producer is asked for the last time"
                );
                ledger.passed(at + 1);
                drop(ledger);
                let place = Place {
                    queue_offset: half.message.queue_offset,
                    log_offset: u64::try_from(half.message.log_offset).unwrap_or(0),
                    store_timestamp: half.message.store_timestamp,
                };
                self.ask_about(&half, times.or(half.check_times()).unwrap_or(0), place, ask);
                return true;
            }
            Err(error) => {
                tracing::error!(at, %error, "a half message cannot be stored once more yet");
                return false;
            }
        };
        if let Some(times) = times {
            ledger.put_back(at, copy.queue_offset);
            ledger.passed(at + 1);
            drop(ledger);
            let place = Place {
                queue_offset: copy.queue_offset,
                log_offset: copy.log_offset,
                store_timestamp: copy.store_timestamp,
            };
            self.ask_about(&half, times, place, ask);
        } else {
            ledger.passed(at + 1);
        }
        true
    }

    fn give_up_topic(&self) -> bool {
        match self.parts.topics.create_on_send_back(names::TRANS_CHECK_MAX_TIME_TOPIC, 1, false, 0) {
            Some((_, created)) => {
                if created {
                    self.parts.registration.register_soon();
                }
                true
            }
            None => false,
        }
    }

    /// Asks about the half message at `place`: `half`, or its copy.
    fn ask_about(&self, half: &Half, times: i32, place: Place, ask: &mut dyn FnMut(Question)) {
        let Some(body) = half.shown(times, &place) else { return };
        let id = half.properties.get(keys::UNIQ_KEY).map(str::to_owned);
        let header = CheckTransactionStateRequestHeader {
            topic: Some(names::HALF_TOPIC.to_owned()),
            tran_state_table_offset: place.queue_offset,
            commit_log_offset: i64::try_from(place.log_offset).unwrap_or(i64::MAX),
            msg_id: id.clone(),
            transaction_id: id,
            offset_msg_id: Some(offset_msg_id(half.message.store_host, place.log_offset)),
            inherited: RpcRequestHeader {
                bname: Some(self.parts.live.broker().broker_name.clone()),
                ..Default::default()
            },
        };
        ask(Question { group: half.producer_group.clone(), header, body: body.into() });
    }

    /// One check whose questions go to the producers.
    fn round_with_producers(&self, stop: &dyn Fn() -> bool) -> Reached {
        let (mut unasked, mut of) = (0u64, None);
        let reached = self.round(stop, &mut |question| {
            if !self.ask(&question) {
                unasked += 1;
                of = Some(question.group);
            }
        });
        if let Some(group) = of {
            tracing::warn!(
                unasked,
                group,
                "half messages whose groups have no producer; this is the last one's"
            );
        }
        reached
    }

    /// Asks one of the group's producers, each in turn; whether there is one. The question comes again in any case.
    fn ask(&self, question: &Question) -> bool {
        let mut producers = self.parts.producers.of(&question.group).unwrap_or_default();
        producers.sort_unstable_by_key(|producer| producer.peer.id());
        let first = self.next_producer.fetch_add(1, Ordering::Relaxed);
        for n in 0..producers.len() {
            let producer = &producers[first.wrapping_add(n) % producers.len()];
            let request = RemotingCommand::request(RequestCode::CHECK_TRANSACTION_STATE)
                .with_header(&question.header)
                .with_body(question.body.clone());
            match producer.peer.oneway(request) {
                Ok(()) => return true,
                Err(error) => tracing::debug!(client = producer.client_id, %error, "a producer is not asked"),
            }
        }
        false
    }

    /// Finds what an earlier run is done with without having committed so.
    fn look_back(&self) {
        if self.looked_back.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut look = LookBack::default();
        let (from, passed) = {
            let ledger = self.ledger.lock();
            (ledger.position(), ledger.settled_and_passed())
        };
        for half in passed {
            read(&self.parts.store, names::HALF_TOPIC, half..half + 1, |_, record| {
                if let Some(half) = decode_message(&record).ok().and_then(Half::of) {
                    look.settled(half.transaction());
                }
            });
        }
        let end = self.parts.store.queue_max(names::HALF_TOPIC, QUEUE);
        read(&self.parts.store, names::HALF_TOPIC, from..end, |at, record| {
            if let Some(half) = decode_message(&record).ok().and_then(Half::of) {
                let transaction = half.transaction();
                look.see(at, transaction, half.is_copy());
                if self.ledger.lock().is_settled(at, half.prepared_offset()) {
                    look.settled(transaction);
                }
            }
        });
        self.ledger.lock().resume(look.done());
    }

    /// Stores the op records that could not be stored when their transactions were settled.
    fn pay_owed(&self) {
        // Not under one lock for all: transactions end meanwhile.
        while self.pay_one() {}
    }

    /// Whether there was one, and it is stored.
    fn pay_one(&self) -> bool {
        let mut ledger = self.ledger.lock();
        let Some(half) = ledger.owed() else { return false };
        let stored = self.append_op(half);
        if let Ok((offset, half_end)) = stored {
            ledger.paid(offset, half_end);
        }
        stored.is_ok()
    }
}
