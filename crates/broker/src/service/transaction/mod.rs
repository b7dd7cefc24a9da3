//! Transactions: a half message waits in RMQ_SYS_TRANS_HALF_TOPIC until its producer commits it or rolls it back, or is
//! asked about it (`EndTransactionProcessor`, `TransactionalMessageServiceImpl`).
//!
//! A commit stores the final message and then the op record, a rollback the op record alone, both under the lock of the
//! [`Ledger`]. The check takes the same lock to decide about a half message, so that it never asks about one that is being
//! settled.

mod check;
pub mod half;
pub mod ledger;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use raptormq_base::clock::Clock;
use raptormq_message::props::keys;
use raptormq_message::{decode_message, flags, parse_offset_msg_id};
use raptormq_remoting::{Answer, Refusal, Reply, Request, later};
use raptormq_store::{AppendError, Get, GetRequest, GetStatus, Store};
use raptormq_wire::header::{EndTransactionRequestHeader, ResumeCheckHalfMessageRequestHeader};
use raptormq_wire::{RemotingCommand, ResponseCode};

use self::half::{Half, QUEUE};
use self::ledger::{Ledger, Positions};
use super::success;
use crate::config::LiveConfig;
use crate::names;
use crate::registration::Registration;
use crate::stats::Stats;
use crate::tables::offsets::OffsetTable;
use crate::tables::producers::ProducerTable;
use crate::tables::topics::TopicTable;

/// Group whose offsets in the half and the op queue tell how far the check has come.
const GROUP: &str = "CID_RMQ_SYS_TRANS";
/// Where Java keeps half messages with `transRocksDBEnable=true`; what became of them is in RocksDB.
const ROCKSDB_HALF_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC";
/// How long the end of a transaction waits for its half message to be in its queue.
const DISPATCH_MAX: Duration = Duration::from_secs(3);
/// Messages of one read.
const READ: i32 = 32;
/// The remark of an answer that Java never gives one (`RemotingCommand.createResponseCommand`).
const NO_REMARK: &str = "not set any response code";
const RESUME_FAILED: &str = "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC.";

/// What [`TransactionService`] works with.
pub struct Parts {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics, for TRANS_CHECK_MAX_TIME_TOPIC.
    pub topics: Arc<TopicTable>,
    /// Where the check's progress is committed.
    pub offsets: Arc<OffsetTable>,
    /// Who is asked.
    pub producers: Arc<ProducerTable>,
    /// A new topic is registered.
    pub registration: Arc<Registration>,
    /// The store.
    pub store: Store,
    /// Address stored with op records.
    pub store_host: SocketAddr,
    /// Number of delay levels.
    pub delay_level_max: usize,
    /// Figures.
    pub stats: Arc<Stats>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Settles transactions, and asks about those that nobody settles.
pub struct TransactionService {
    parts: Parts,
    ledger: Mutex<Ledger>,
    /// Whether what an earlier run left half done was looked for.
    looked_back: AtomicBool,
    next_producer: AtomicUsize,
}

impl TransactionService {
    /// Reads the op records that the committed offsets leave. Blocks.
    pub fn load(parts: Parts) -> Self {
        let store = &parts.store;
        let committed = |topic: &str| {
            let (min, max) = (store.queue_min(topic, QUEUE), store.queue_max(topic, QUEUE));
            let offset = parts.offsets.get(GROUP, topic, QUEUE).unwrap_or(min);
            let kept = offset.clamp(min, max.max(min));
            if offset != kept {
                tracing::warn!(topic, offset, kept, "committed offset of {GROUP} is outside the queue");
            }
            kept
        };
        let begin = Positions { half: committed(names::HALF_TOPIC), op: committed(names::OP_HALF_TOPIC) };
        let mut ledger = Ledger::new(begin);
        let half_end = store.queue_max(names::HALF_TOPIC, QUEUE);
        let op_end = store.queue_max(names::OP_HALF_TOPIC, QUEUE);
        read(store, names::OP_HALF_TOPIC, begin.op..op_end, |at, record| {
            if let Ok(op) = decode_message(&record) {
                ledger.settle(at, &half::settled_by(&op), half_end);
            }
        });
        if store.queue_max(ROCKSDB_HALF_TOPIC, QUEUE) > 0 {
            tracing::error!(
                "half messages in {ROCKSDB_HALF_TOPIC} are not checked: Java kept in RocksDB which of them are settled"
            );
        }
        tracing::info!(
            half = begin.half,
            op = begin.op,
            remembered = ledger.remembered(),
            "half messages are checked from here on"
        );
        Self {
            parts,
            ledger: Mutex::new(ledger),
            looked_back: AtomicBool::new(false),
            next_producer: AtomicUsize::new(0),
        }
    }

    /// END_TRANSACTION. A transaction that is still undecided has no answer.
    pub fn end(self: &Arc<Self>, request: Request) -> Reply {
        let header: EndTransactionRequestHeader = match request.header() {
            Ok(header) => header,
            Err(refusal) => return Err(refusal).into(),
        };
        let commit = match header.commit_or_rollback {
            flags::TRANSACTION_COMMIT => true,
            flags::TRANSACTION_ROLLBACK => false,
            _ => return Reply::Nothing,
        };
        let remote = request.peer.remote();
        if let Some(half) = self.at_hand(&header) {
            return self.end_found(remote, &header, commit, Ok(half)).into();
        }
        let service = self.clone();
        later(async move {
            let end = move || service.end_found(remote, &header, commit, service.look_up(&header));
            let ended = tokio::task::spawn_blocking(end).await;
            ended.unwrap_or_else(|_| Err(Refusal::system_error("the handler failed")))
        })
    }

    fn end_found(
        &self,
        remote: SocketAddr,
        header: &EndTransactionRequestHeader,
        commit: bool,
        found: Result<Half, Refusal>,
    ) -> Answer {
        let checked = found.and_then(|half| self.check_end(header, commit, half));
        let half = checked.inspect_err(|refusal| {
            let (offset, code, remark) = (header.commit_log_offset, refusal.code.0, &refusal.remark);
            tracing::warn!(%remote, offset, commit, code, remark, "a transaction is not ended");
        })?;
        if commit { self.commit(&half) } else { self.roll_back(&half) }
    }

    /// The half message that is to be settled, if it is in its queue where the request says, and in memory. Others are
    /// looked up where blocking is allowed.
    fn at_hand(&self, header: &EndTransactionRequestHeader) -> Option<Half> {
        let request = GetRequest {
            topic: names::HALF_TOPIC,
            queue_id: QUEUE,
            offset: header.tran_state_table_offset,
            max_nums: 1,
            max_bytes: None,
            filter: None,
        };
        let Get::Ready(got) = self.parts.store.get(&request) else { return None };
        let half = Half::of(decode_message(got.messages.first()?).ok()?)?;
        let message = &half.message;
        let same = (message.queue_offset, message.log_offset)
            == (header.tran_state_table_offset, header.commit_log_offset);
        same.then_some(half)
    }

    /// The same for any request. Blocks: the record may have to be read from disk, and a half message that was stored just
    /// now may not be in its queue yet.
    fn look_up(&self, header: &EndTransactionRequestHeader) -> Result<Half, Refusal> {
        let store = &self.parts.store;
        let record = u64::try_from(header.commit_log_offset).ok().and_then(|at| store.record_at(at));
        // Java takes any message that says a real topic, one in TRANS_CHECK_MAX_TIME_TOPIC for instance.
        let message = record
            .and_then(|record| decode_message(&record).ok())
            .filter(|message| *message.topic == *names::HALF_TOPIC);
        let Some(half) = message.and_then(Half::of) else {
            return Err(Refusal::system_error("Find prepared transaction message failed"));
        };
        Ok(half)
    }

    /// Whether the request may settle `half` (`rejectCommitOrRollback`, `checkPrepareMessage`).
    fn check_end(
        &self,
        header: &EndTransactionRequestHeader,
        commit: bool,
        half: Half,
    ) -> Result<Half, Refusal> {
        if self.is_too_late(header, &half) {
            return Err(Refusal::new(ResponseCode::ILLEGAL_OPERATION, NO_REMARK));
        }
        if half.producer_group != header.producer_group || half.producer_group.is_empty() {
            return Err(Refusal::system_error("The producer group wrong"));
        }
        let in_queue = || self.place_in_queue(header.tran_state_table_offset);
        if half.message.queue_offset != header.tran_state_table_offset
            // A body may hold what looks like a half message: only the queue tells.
            || in_queue() != Some(half.message.log_offset)
        {
            return Err(Refusal::system_error("The transaction state table offset wrong"));
        }
        if half.message.log_offset != header.commit_log_offset {
            return Err(Refusal::system_error("The commit log offset wrong"));
        }
        if commit && names::is_send_forbidden(&half.real_topic) {
            let remark = format!("Sending message to topic[{}] is forbidden.", half.real_topic);
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        Ok(half)
    }

    /// Where in the log the half message at `at` is. One that was stored just now is waited for: it is not in its queue yet.
    fn place_in_queue(&self, at: i64) -> Option<i64> {
        let store = &self.parts.store;
        let begin = Instant::now();
        while at >= store.queue_max(names::HALF_TOPIC, QUEUE)
            && at < store.queue_next(names::HALF_TOPIC, QUEUE)
            && begin.elapsed() < DISPATCH_MAX
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        store.physical_offset_of(names::HALF_TOPIC, QUEUE, at).and_then(|place| i64::try_from(place).ok())
    }

    /// Whether a message with an immunity time of its own is ended after that, and not because it was checked
    /// (`rejectCommitOrRollback`).
    fn is_too_late(&self, header: &EndTransactionRequestHeader, half: &Half) -> bool {
        if header.from_transaction_check == Some(true) {
            return false;
        }
        let immunity = half.properties.get(keys::CHECK_IMMUNITY_TIME_IN_SECONDS).unwrap_or_default();
        if immunity.is_empty() {
            return false;
        }
        let immunity_ms = immunity.parse::<i64>().map_or(0, |seconds| seconds.saturating_mul(1000));
        let immunity_ms = immunity_ms.max(self.parts.live.broker().transaction_time_out);
        self.parts.clock.wall_ms().saturating_sub(half.message.born_timestamp) > immunity_ms
    }

    fn commit(&self, half: &Half) -> Answer {
        let message = half.committed(self.parts.delay_level_max);
        let mut ledger = self.ledger.lock();
        let appended = self.parts.store.append(&message).map_err(|error| self.not_stored(error))?;
        self.parts.stats.put(1, u64::from(appended.len));
        self.settle(&mut ledger, half.message.queue_offset);
        Ok(success())
    }

    fn roll_back(&self, half: &Half) -> Answer {
        self.settle(&mut self.ledger.lock(), half.message.queue_offset);
        Ok(RemotingCommand::response(ResponseCode::SUCCESS, Some(NO_REMARK.to_owned())))
    }

    /// Stores the op record, now or, when that is impossible, before the next check. A crash until then means that the
    /// producer is asked.
    fn settle(&self, ledger: &mut Ledger, half: i64) {
        match self.append_op(half) {
            Ok((offset, half_end)) => ledger.settle(offset, &[half], half_end),
            Err(error) => {
                tracing::error!(half, %error, "the op record of a settled transaction cannot be stored yet");
                ledger.owe(half);
            }
        }
    }

    /// Stores an op record; its position, and the end of the half queue.
    fn append_op(&self, half: i64) -> Result<(i64, i64), AppendError> {
        let op = half::op(half, self.parts.clock.wall_ms(), self.parts.store_host);
        let appended = self.parts.store.append(&op)?;
        Ok((appended.queue_offset, self.parts.store.queue_next(names::HALF_TOPIC, QUEUE)))
    }

    /// `EndTransactionProcessor.sendFinalMessage`.
    fn not_stored(&self, error: AppendError) -> Refusal {
        match error {
            AppendError::Full(_) | AppendError::Closed | AppendError::Poisoned(_) => {
                Refusal::new(ResponseCode::SERVICE_NOT_AVAILABLE, "Service not available now.")
            }
            AppendError::Busy { .. } => {
                Refusal::system_error("OS page cache busy, please try another machine")
            }
            _ => {
                let max = self.parts.store.max_message_size();
                let remark = format!(
                    "The message is illegal, maybe msg body or properties length not matched. msg body length limit {max}B, msg properties length limit 32KB."
                );
                Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark)
            }
        }
    }

    /// RESUME_CHECK_HALF_MESSAGE: a half message that was given up is checked again.
    pub fn resume(&self, request: &Request) -> Answer {
        let header: ResumeCheckHalfMessageRequestHeader = request.header()?;
        let failed = || Refusal::system_error(RESUME_FAILED);
        let (_, offset) =
            parse_offset_msg_id(header.msg_id.as_deref().unwrap_or_default()).map_err(|_| failed())?;
        let record = self.parts.store.record_at(offset).ok_or_else(failed)?;
        let half = decode_message(&record).ok().and_then(Half::of).ok_or_else(failed)?;
        match self.parts.store.append_again(&half.resumed()) {
            Ok(_) => Ok(success()),
            Err(error) => {
                tracing::error!(%error, offset, "a half message cannot be put back");
                Err(Refusal::system_error("Put message back to RMQ_SYS_TRANS_HALF_TOPIC failed."))
            }
        }
    }
}

/// Reads these positions of the only queue of `topic`, as far as they are there. Blocks.
fn read(store: &Store, topic: &str, range: std::ops::Range<i64>, mut each: impl FnMut(i64, bytes::Bytes)) {
    let mut offset = range.start;
    while offset < range.end {
        let max_nums = i32::try_from(range.end - offset).unwrap_or(READ).min(READ);
        let request = GetRequest { topic, queue_id: QUEUE, offset, max_nums, max_bytes: None, filter: None };
        let got = store.get_blocking(&request);
        if got.status == GetStatus::Found {
            for (record, at) in got.messages.into_iter().zip(got.queue_offsets) {
                if at < range.end {
                    each(at, record);
                }
            }
        }
        if got.next_begin_offset <= offset {
            break;
        }
        offset = got.next_begin_offset;
    }
}
