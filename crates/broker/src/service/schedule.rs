//! Delay levels: messages wait in SCHEDULE_TOPIC_XXXX, one queue a level, and are moved to their real topic when the
//! level's time has passed (`ScheduleMessageService`). Progress is in `config/delayOffset.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raptormq_base::clock::Clock;
use raptormq_message::props::{self, keys};
use raptormq_message::{Message, NewMessage, decode_message};
use raptormq_store::{Filter, Get, GetRequest, GetResult, GetStatus, Store};
use raptormq_wire::body::{DataVersion, DelayOffsetSerializeWrapper};
use tokio_util::sync::CancellationToken;

use crate::names;
use crate::tables::arrivals::Arrivals;
use crate::tables::persist;

/// After a message could not be stored, and as the longest sleep towards a due time: a step of the wall clock is
/// noticed within it.
const PAUSE: Duration = Duration::from_millis(100);
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// A level without messages looks again this often even if nobody wakes it.
const IDLE: Duration = Duration::from_secs(60);

struct Progress {
    offsets: BTreeMap<i32, i64>,
    version: DataVersion,
    moves: i64,
}

/// Moves due messages.
pub struct ScheduleService {
    store: Store,
    arrivals: Arc<Arrivals>,
    clock: Arc<dyn Clock>,
    levels_ms: Vec<i64>,
    version_step: i64,
    path: PathBuf,
    progress: Mutex<Progress>,
    saving: Mutex<()>,
    /// Progress that waits until the messages that it has delivered, those below the log offset, are on disk.
    waiting: Mutex<Option<(u64, DelayOffsetSerializeWrapper)>>,
}

/// Lets everything through and remembers the due times, which queue units carry in place of a tag hash; `None` where
/// a unit's extension is lost.
#[derive(Default)]
struct DueTimes(Mutex<Vec<Option<i64>>>);

impl Filter for DueTimes {
    fn matches_queue(&self, tags_code: i64) -> bool {
        self.0.lock().push(Some(tags_code));
        true
    }

    fn matches_unknown(&self) -> bool {
        self.0.lock().push(None);
        true
    }
}

impl ScheduleService {
    /// Loads the progress of each level.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn load(
        store: Store,
        arrivals: Arc<Arrivals>,
        clock: Arc<dyn Clock>,
        levels_ms: Vec<i64>,
        version_step: i64,
        path: PathBuf,
    ) -> Result<Self, persist::LoadError> {
        let loaded = persist::load::<DelayOffsetSerializeWrapper>(&path)?.unwrap_or_default();
        let version =
            loaded.data_version.unwrap_or(DataVersion { timestamp: clock.wall_ms(), ..Default::default() });
        let progress = Mutex::new(Progress { offsets: loaded.offset_table, version, moves: 0 });
        let version_step = version_step.max(1);
        Ok(Self {
            store,
            arrivals,
            clock,
            levels_ms,
            version_step,
            path,
            progress,
            saving: Mutex::new(()),
            waiting: Mutex::new(None),
        })
    }

    /// Serves all levels until cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let levels = (1..).zip(self.levels_ms.clone()).map(|(level, delay_ms)| {
            let (service, cancel) = (self.clone(), cancel.clone());
            async move {
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = service.run_level(level, delay_ms) => {}
                }
            }
        });
        futures_util::future::join_all(levels).await;
    }

    /// The file's content.
    pub fn file(&self) -> DelayOffsetSerializeWrapper {
        let progress = self.progress.lock();
        DelayOffsetSerializeWrapper {
            data_version: Some(progress.version.clone()),
            offset_table: progress.offsets.clone(),
        }
    }

    /// Writes the progress as far as what it delivered is on disk; the rest waits for the next call. Blocks. The file is
    /// synced: were it ahead of the log, a power failure would lose delayed messages that were safe before.
    pub fn save_what_is_on_disk(&self) {
        let mut waiting = self.waiting.lock();
        let (end, file) = waiting.take().unwrap_or_else(|| self.deliveries());
        if self.store.flushed_offset() < end {
            *waiting = Some((end, file));
            return;
        }
        self.write(&file);
        let (end, newer) = self.deliveries();
        if self.store.flushed_offset() >= end {
            self.write(&newer);
        } else {
            *waiting = Some((end, newer));
        }
    }

    /// The progress, and an end of the log that is above all that it has delivered.
    fn deliveries(&self) -> (u64, DelayOffsetSerializeWrapper) {
        let file = self.file();
        (self.store.commit_log_max(), file)
    }

    fn write(&self, file: &DelayOffsetSerializeWrapper) {
        let _one_at_a_time = self.saving.lock();
        if let Err(error) = persist::save(&self.path, file) {
            tracing::error!(file = %self.path.display(), %error, "delay offsets are not persisted");
        }
    }

    async fn run_level(&self, level: i32, delay_ms: i64) {
        let queue_id = level - 1;
        loop {
            let offset = self.progress.lock().offsets.get(&level).copied().unwrap_or(0);
            let mut arrival = self.arrivals.register(names::SCHEDULE_TOPIC, queue_id, offset, None);
            let (result, due_times) = self.read(queue_id, offset).await;
            match result.status {
                GetStatus::Found => {
                    drop(arrival);
                    match self.deliver_due(level, delay_ms, &result, &due_times) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        // A long backlog must neither hold up the other levels nor a stop.
                        None => tokio::task::yield_now().await,
                    }
                }
                GetStatus::OffsetTooSmall | GetStatus::OffsetOverflowBadly | GetStatus::OffsetFoundNull => {
                    let corrected = result.next_begin_offset;
                    tracing::error!(level, offset, corrected, "delay offset is outside its queue");
                    self.moved(level, corrected);
                    tokio::time::sleep(PAUSE).await;
                }
                _ => {
                    let _ = tokio::time::timeout(IDLE, arrival.woken()).await;
                }
            }
        }
    }

    async fn read(&self, queue_id: i32, offset: i64) -> (GetResult, Vec<Option<i64>>) {
        let due_times = Arc::new(DueTimes::default());
        let request = GetRequest {
            topic: names::SCHEDULE_TOPIC,
            queue_id,
            offset,
            max_nums: 32,
            max_bytes: None,
            filter: Some(due_times.clone()),
        };
        let result = match self.store.get(&request) {
            Get::Ready(result) => result,
            Get::Cold(cold) => match tokio::task::spawn_blocking(move || cold.run()).await {
                Ok(result) => result,
                Err(_) => self.store.get_blocking(&request),
            },
        };
        let due_times = std::mem::take(&mut *due_times.0.lock());
        (result, due_times)
    }

    /// Moves what is due, in order; returns how long to pause before the next look, if at all.
    fn deliver_due(
        &self,
        level: i32,
        delay_ms: i64,
        result: &GetResult,
        due_times: &[Option<i64>],
    ) -> Option<Duration> {
        for ((record, queue_offset), due) in result.messages.iter().zip(&result.queue_offsets).zip(due_times)
        {
            let now = self.clock.wall_ms();
            let message = decode_message(record).ok();
            let stored = message.as_ref().map_or(now, |message| message.store_timestamp);
            let due = due.unwrap_or(stored.saturating_add(delay_ms));
            // A due time further away than the level's delay comes from a clock that was ahead.
            let due = if due > now + delay_ms { now } else { due };
            if due > now {
                self.moved(level, *queue_offset);
                return Some(Duration::from_millis(u64::try_from(due - now).unwrap_or(0)).min(SLEEP_MAX));
            }
            let log_offset = message.as_ref().map(|message| message.log_offset);
            match message.and_then(|m| real_message(&m)) {
                Some(message) => match self.store.append_again(&message) {
                    Ok(_) => {}
                    Err(error) if error.is_lasting() => {
                        let topic = &*message.topic;
                        tracing::error!(level, queue_offset, log_offset, topic, %error, "a delayed message can never be delivered, skipped");
                    }
                    Err(error) => {
                        tracing::error!(level, queue_offset, %error, "a delayed message cannot be delivered yet");
                        self.moved(level, *queue_offset);
                        return Some(PAUSE);
                    }
                },
                None => tracing::error!(level, queue_offset, "a delayed message has no real topic, skipped"),
            }
            self.moved(level, queue_offset + 1);
        }
        if result.messages.is_empty() {
            self.moved(level, result.next_begin_offset);
        }
        None
    }

    fn moved(&self, level: i32, offset: i64) {
        let mut progress = self.progress.lock();
        if progress.offsets.insert(level, offset) == Some(offset) {
            return;
        }
        progress.moves += 1;
        if progress.moves % self.version_step == 0 {
            progress.version.advance(0, self.clock.wall_ms());
        }
    }
}

/// The message for its real topic and queue; its properties stay as they are, as in Java.
fn real_message(message: &Message) -> Option<NewMessage> {
    let text = message.properties_str();
    let topic = props::get(&text, keys::REAL_TOPIC)?;
    let queue_id = props::get(&text, keys::REAL_QUEUE_ID)?.parse().ok()?;
    if topic == names::HALF_TOPIC {
        return None;
    }
    Some(NewMessage {
        topic: topic.into(),
        queue_id,
        flag: message.flag,
        sys_flag: message.sys_flag,
        born_timestamp: message.born_timestamp,
        born_host: message.born_host,
        store_host: message.store_host,
        reconsume_times: message.reconsume_times,
        prepared_transaction_offset: 0,
        body: message.body.clone(),
        properties: message.properties.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_base::clock::SystemClock;
    use raptormq_store::{FlushMode, StoreConfig};

    fn delayed(body: &'static [u8]) -> NewMessage {
        let host = "127.0.0.1:10911".parse().unwrap();
        let mut message = NewMessage {
            topic: "T".into(),
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 1,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: body.into(),
            properties: Default::default(),
        };
        super::super::delay(&mut message, 1, 1);
        message
    }

    #[tokio::test]
    async fn progress_is_saved_when_what_it_delivered_is_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let never = u64::from(u32::MAX);
        let config = StoreConfig {
            flush: FlushMode::Async { interval_ms: never, least_pages: never, thorough_interval_ms: never },
            commit_log_file_size: 1 << 20,
            delay_levels: vec![1],
            ..StoreConfig::at(directory.path())
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let arrivals = Arc::new(Arrivals::default());
        let told = arrivals.clone();
        let store = Store::open(config, clock.clone(), move |a| {
            told.arrived(a.topic, a.queue_id, a.queue_offset, a.tags_code, a.properties);
        })
        .unwrap();
        let path = directory.path().join("config").join("delayOffset.json");
        let schedule =
            ScheduleService::load(store.clone(), arrivals, clock, vec![1], 500, path.clone()).unwrap();
        let schedule = Arc::new(schedule);
        let cancel = CancellationToken::new();
        let running = tokio::spawn(schedule.clone().run(cancel.clone()));

        for _ in 0..200 {
            store.append(&delayed(b"x")).unwrap();
        }
        let begin = std::time::Instant::now();
        while store.queue_max("T", 0) < 200 {
            assert!(begin.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
        running.await.unwrap();
        let offset = || schedule.file().offset_table.get(&1).copied();
        assert_eq!(offset(), Some(200));

        for _ in 0..3 {
            schedule.save_what_is_on_disk();
            assert!(!path.exists(), "the deliveries are in memory only");
        }
        store.stop().unwrap();
        schedule.save_what_is_on_disk();
        let saved: DelayOffsetSerializeWrapper = persist::load(&path).unwrap().unwrap();
        assert_eq!(saved.offset_table.get(&1), Some(&200));
    }

    #[tokio::test]
    async fn a_stepped_clock_delivers_what_is_due_then_and_what_it_stored_in_its_future() {
        let directory = tempfile::tempdir().unwrap();
        let hour = 3_600_000;
        let clock = Arc::new(raptormq_base::clock::ManualClock::new(1_700_000_000_000));
        let start = clock.wall_ms();
        let config = StoreConfig {
            commit_log_file_size: 1 << 20,
            delay_levels: vec![hour],
            ..StoreConfig::at(directory.path())
        };
        let shared: Arc<dyn Clock> = clock.clone();
        let arrivals = Arc::new(Arrivals::default());
        let told = arrivals.clone();
        let store = Store::open(config, shared.clone(), move |a| {
            told.arrived(a.topic, a.queue_id, a.queue_offset, a.tags_code, a.properties);
        })
        .unwrap();
        let path = directory.path().join("config").join("delayOffset.json");
        let schedule = ScheduleService::load(store.clone(), arrivals, shared, vec![hour], 500, path).unwrap();
        let cancel = CancellationToken::new();
        let running = tokio::spawn(Arc::new(schedule).run(cancel.clone()));
        let waits = async |count: i64| {
            let begin = std::time::Instant::now();
            while store.queue_max("T", 0) < count {
                assert!(begin.elapsed() < Duration::from_secs(10), "{} of {count}", store.queue_max("T", 0));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(store.queue_max("T", 0), count);
        };

        store.append(&delayed(b"a")).unwrap();
        clock.set_wall_ms(start + hour - 1);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        waits(0).await;
        // Forward: due as soon as the step is noticed.
        clock.set_wall_ms(start + hour);
        waits(1).await;
        // Back: due in two hours by its store time, but no message of this level waits longer than one.
        store.append(&delayed(b"b")).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        waits(1).await;
        clock.set_wall_ms(start);
        waits(2).await;
        cancel.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_message_that_can_never_be_stored_does_not_hold_up_its_level() {
        let directory = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            commit_log_file_size: 1 << 20,
            delay_levels: vec![1],
            ..StoreConfig::at(directory.path())
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let arrivals = Arc::new(Arrivals::default());
        let told = arrivals.clone();
        let store = Store::open(config.clone(), clock.clone(), move |a| {
            told.arrived(a.topic, a.queue_id, a.queue_offset, a.tags_code, a.properties);
        })
        .unwrap();
        let mut bad = delayed(b"bad");
        bad.properties = "REAL_TOPIC\u{1}no/topic\u{2}REAL_QID\u{1}0\u{2}DELAY\u{1}1\u{2}".into();
        for message in [delayed(b"before"), bad, delayed(&[7; 1000])] {
            store.append(&message).unwrap();
        }
        // What was taken before the limit was lowered is delivered.
        store.reconfigure(StoreConfig { max_message_size: 100, ..config });
        assert!(store.append(&delayed(&[7; 1000])).is_err());
        let path = directory.path().join("delayOffset.json");
        let schedule = ScheduleService::load(store.clone(), arrivals, clock, vec![1], 500, path).unwrap();
        let schedule = Arc::new(schedule);
        let cancel = CancellationToken::new();
        let running = tokio::spawn(schedule.clone().run(cancel.clone()));
        let begin = std::time::Instant::now();
        while schedule.file().offset_table.get(&1) != Some(&3) || store.queue_max("T", 0) < 2 {
            assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", schedule.file());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(store.queue_max("T", 0), 2);
        cancel.cancel();
        running.await.unwrap();
    }
}
