//! The message store: commit log, consume queues, key index, on the files of Java's broker.
//!
//! What lies on disk below `storePathRootDir`: `lock`, `abort`, `checkpoint`, `commitlog/%020d`,
//! `consumequeue/<topic>/<queueId>/%020d`, `index/<time>`. A Java broker of 4.9 or 5.x opens the same directory.
//!
//! An append runs to completion in the caller's thread: a short lock, one copy into the mapped file, then the queues
//! and the index. Threads exist only for what may wait for the disk: allocating, flushing, deleting. The store knows
//! no request codes, no headers and no sockets.

#![deny(unsafe_code)]

mod checkpoint;
mod config;
mod dispatch;
mod fs;
mod guard;
mod index;
mod log;
pub mod offline;
mod queue;
mod recover;
mod retention;
mod segment;
mod state;
mod types;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard, RwLock};
use raptormq_base::clock::Clock;
use raptormq_base::poison::Poison;
use raptormq_base::watermark::Watermark;
use raptormq_message::props::{self, Properties, keys};
use raptormq_message::{NewMessage, Prepared, flags};

pub use self::config::{FilterBitMaps, FlushMode, StoreConfig};
pub use self::types::{
    AppendError, Appended, Arrival, Boundary, Filter, FlushOutcome, GetRequest, GetResult, GetStatus,
    OpenError, QueryResult, StopError,
};

use self::checkpoint::Checkpoint;
use self::dispatch::{Dispatcher, Sinks};
use self::fs::Fs;
use self::guard::{Abort, Lock};
use self::index::Index;
use self::log::appender::Appender;
use self::queue::batch::BATCH_UNIT;
use self::queue::ext::{END_BLANK, EXT_MIN};
use self::queue::one::ConsumeQueue;
use self::queue::one::Wait;
use self::queue::table::{Queue, Queues, is_dir_name};
use self::queue::unit::UNIT;
use self::segment::alloc::Allocator;
use self::segment::{LogDirs, Segment, Segments};
use self::state::{Block, Shared, Signal};

/// An open store. Clones share it. When the last clone is dropped without [`Store::stop`], the store ends as after a
/// crash: `abort` stays and the next start recovers.
#[derive(Clone)]
pub struct Store(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The answer to [`Store::get`].
pub enum Get {
    /// Here it is.
    Ready(GetResult),
    /// It has to be read from disk: run this where blocking is allowed.
    Cold(ColdGet),
}

/// A read that may wait for the disk.
pub struct ColdGet {
    store: Store,
    topic: String,
    request: GetRequest<'static>,
}

impl ColdGet {
    /// Reads, blocking the thread.
    pub fn run(self) -> GetResult {
        self.store.get_blocking(&GetRequest { topic: &self.topic, ..self.request })
    }
}

impl Store {
    /// Takes the `lock`, recovers what the last run left, writes `abort` and starts the threads. `arrivals` is called
    /// by whoever dispatches, in log order, once for each message that becomes visible from now on; it must be quick,
    /// and of the store it may only read.
    ///
    /// # Errors
    /// When another broker holds the directory, a file has not the configured size, or the file system fails.
    /// Damaged content is not an error: the log ends where it begins.
    pub fn open(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        arrivals: impl Fn(&Arrival<'_>) + Send + Sync + 'static,
    ) -> Result<Store, OpenError> {
        let store = Self::open_at_rest(config, Fs::default(), clock, Box::new(arrivals))?;
        store.start_threads()?;
        Ok(store)
    }

    /// Everything but the threads: whoever opens a store so does their work.
    fn open_at_rest(
        config: StoreConfig,
        fs: Fs,
        clock: Arc<dyn Clock>,
        arrivals: Box<dispatch::Announce>,
    ) -> Result<Store, OpenError> {
        let config = checked(config)?;
        let queue_dir = config.consume_queue_dir();
        for dir in config.all_log_dirs().into_iter().chain([config.root.as_path(), &queue_dir]) {
            fs.create_dir_all(dir).map_err(fs::at(dir))?;
        }
        let lock = Lock::take(&config.root)?;
        refuse_rocksdb(&queue_dir)?;
        // Lengths are looked at before anything is changed.
        fs::queue_files(&fs, &config.all_log_dirs(), config.commit_log_file_size)?;
        let abort = Abort::at(&config.root, &fs);
        let last_exit_ok = !abort.exists();

        let mut queues = Queues::new(fs.clone(), queue_dir, config.consume_queue_file_size)
            .with_batches(config.batch_consume_queue_file_size, &config.batch_topics);
        if config.enable_consume_queue_ext {
            queues = queues.with_exts(config.consume_queue_ext_file_size);
        }
        queues.load()?;
        let path = config.root.join("checkpoint");
        let checkpoint = Checkpoint::open(&fs, &path).map_err(fs::at(&path))?;
        let index = if config.message_index_enable {
            let index = Index::new(fs.clone(), config.index_dir(), config.index_slots, config.index_items);
            index.load(last_exit_ok, &checkpoint)?;
            Some(index)
        } else {
            None
        };
        let sinks = Sinks::new(queues, index, checkpoint, clock, config.delay_levels.clone(), arrivals)
            .with_multi_dispatch(config.enable_multi_dispatch, config.enable_lmq)
            .with_filter_bit_maps(config.filter_bit_maps.clone());
        let mut dispatcher = Dispatcher::new(0);
        let recovered = recover::recover(&config, &fs, &sinks, &mut dispatcher, last_exit_ok)?;
        let dirs = LogDirs::new(fs.clone(), config.writable_log_dirs());
        let (segments, last) = open_segments(&config, &fs, &dirs, &recovered)?;
        let end = recovered.end;

        abort.create().map_err(fs::at(&config.root.join("abort")))?;
        // A map that was made a moment ago has no writer yet.
        let appender = Appender::new(last.clone(), end).expect("the last file's map has no writer yet");
        let memory = near_memory(&config).into();
        let shared = Arc::new(Shared {
            allocator: Allocator::new(dirs, last, end),
            segments,
            appender: Mutex::new(appender),
            stalled: AtomicBool::new(false),
            sinks,
            dispatcher: Mutex::new(dispatcher),
            queue_flusher: Mutex::new(recovered.flusher),
            appended: AtomicU64::new(end),
            appended_timestamp: AtomicI64::new(recovered.timestamp),
            dispatched: AtomicU64::new(end),
            flushed: Watermark::new(end),
            flushed_timestamp: AtomicI64::new(recovered.timestamp),
            flushing: Mutex::new(()),
            flusher_idle: AtomicBool::new(false),
            poison: Poison::default(),
            blocks: Mutex::default(),
            blocked: AtomicBool::new(false),
            manual_deletes: AtomicI64::new(0),
            log_signal: Signal::default(),
            queue_signal: Signal::default(),
            retention_signal: Signal::default(),
            abort,
            lock: Mutex::new(Some(lock)),
            memory,
            live: RwLock::new(Arc::new(config.clone())),
            config,
            fs,
        });
        if let Some(last) = shared.segments.all().last()
            && let Err(error) = last.allocate(end)
        {
            // A full disk must not keep consumers from what is there.
            if !fs::is_no_space(&error) {
                return Err(fs::at(last.path())(error));
            }
            shared
                .block(Block::Log, Some(format!("the current commit log file cannot be allocated: {error}")));
        }
        Ok(Store(Arc::new(Running { shared, threads: Mutex::default() })))
    }

    fn start_threads(&self) -> Result<(), OpenError> {
        self.0.spawn("allocator", |shared| shared.allocator.run())?;
        self.0.spawn("flusher", Shared::run_log_flusher)?;
        self.0.spawn("queue-flush", Shared::run_queue_flusher)?;
        self.0.spawn("retention", Shared::run_retention)
    }

    /// The configuration with which the store was opened.
    pub fn config(&self) -> &StoreConfig {
        &self.0.shared.config
    }

    /// Changes what can be changed while the store is open, at once: limits of messages and answers, the numbers of the
    /// flush mode and the periods of the flushes, the rules of retention. Everything else of `config` counts from the
    /// next start on.
    pub fn reconfigure(&self, mut config: StoreConfig) {
        let shared = &*self.0.shared;
        let same_mode = std::mem::discriminant(&config.flush) == std::mem::discriminant(&shared.config.flush);
        if !same_mode {
            config.flush = shared.live().flush;
        }
        shared.memory.store(near_memory(&config), Ordering::Relaxed);
        *shared.live.write() = Arc::new(config);
    }

    /// The largest body, bytes (`maxMessageSize`).
    pub fn max_message_size(&self) -> usize {
        self.0.shared.live().max_message_size
    }

    /// Appends one message and makes it visible, as far as the flush mode allows at once.
    ///
    /// # Errors
    /// The message is not in the log.
    pub fn append(&self, message: &NewMessage) -> Result<Appended, AppendError> {
        let shared = &*self.0.shared;
        shared.append_one(message, shared.live().max_message_size)
    }

    /// Appends a message that is in the log already in another form: `maxMessageSize`, which may have been lowered since,
    /// does not count.
    ///
    /// # Errors
    /// The message is not in the log once more.
    pub fn append_again(&self, message: &NewMessage) -> Result<Appended, AppendError> {
        self.0.shared.append_one(message, usize::MAX)
    }

    /// Appends messages of one queue with consecutive positions, all or none, in one file of the log.
    ///
    /// # Errors
    /// None of the messages is in the log.
    pub fn append_batch(&self, messages: &[NewMessage]) -> Result<Vec<Appended>, AppendError> {
        let shared = &*self.0.shared;
        let first = messages.first().ok_or(AppendError::IllegalBatch("it has no message"))?;
        if messages.iter().any(|it| it.topic != first.topic || it.queue_id != first.queue_id) {
            return Err(AppendError::IllegalBatch("its messages have different queues"));
        }
        let dispatched = |it: &NewMessage| flags::is_dispatched(it.sys_flag);
        if messages.iter().any(|it| dispatched(it) != dispatched(first)) {
            return Err(AppendError::IllegalBatch("it mixes transactions"));
        }
        let max = shared.live().max_message_size;
        let prepared = messages.iter().map(|it| shared.prepare(it, max)).collect::<Result<Vec<_>, _>>()?;
        let mut all = Vec::with_capacity(messages.len());
        shared.append(messages, &prepared, |appended| all.push(appended))?;
        shared.after_append();
        Ok(all)
    }

    /// Waits until everything below `next_offset` is on disk, if the store flushes synchronously and `wait` is set
    /// (the message's `WAIT` property).
    pub async fn flushed(&self, next_offset: u64, wait: bool) -> FlushOutcome {
        let shared = &*self.0.shared;
        let FlushMode::Sync { timeout_ms } = shared.live().flush else { return FlushOutcome::Done };
        if !wait {
            return FlushOutcome::Done;
        }
        match tokio::time::timeout(Duration::from_millis(timeout_ms), shared.flushed.wait(next_offset)).await
        {
            Ok(Ok(())) => FlushOutcome::Done,
            Ok(Err(_)) => {
                FlushOutcome::Failed(shared.poison.reason().unwrap_or("store is closed").to_owned())
            }
            Err(_) => FlushOutcome::Timeout,
        }
    }

    /// Messages of a queue, from memory where they are expected there.
    pub fn get(&self, request: &GetRequest<'_>) -> Get {
        match self.0.shared.get(request, Wait::No) {
            Ok(result) => Get::Ready(result),
            Err(_) => {
                let owned = GetRequest { topic: "", filter: request.filter.clone(), ..*request };
                Get::Cold(ColdGet { store: self.clone(), topic: request.topic.to_owned(), request: owned })
            }
        }
    }

    /// Messages of a queue, read from disk where needed.
    pub fn get_blocking(&self, request: &GetRequest<'_>) -> GetResult {
        match self.0.shared.get(request, Wait::Yes) {
            Ok(result) => result,
            Err(_) => unreachable!("a read that may wait does not refuse to"),
        }
    }

    /// Position of the first message (`getMinOffsetInQueue`); 0 without a queue.
    pub fn queue_min(&self, topic: &str, queue_id: i32) -> i64 {
        self.queue(topic, queue_id).map_or(0, |queue| queue.range().0)
    }

    /// Position after the last visible message (`getMaxOffsetInQueue`); 0 without a queue.
    pub fn queue_max(&self, topic: &str, queue_id: i32) -> i64 {
        self.queue(topic, queue_id).map_or(0, |queue| queue.range().1)
    }

    /// The position that the next append gets (`getMaxOffsetInQueue` not committed); 0 without a queue.
    pub fn queue_next(&self, topic: &str, queue_id: i32) -> i64 {
        self.queue(topic, queue_id).map_or(0, |queue| queue.next_offset().load(Ordering::SeqCst))
    }

    fn queue(&self, topic: &str, queue_id: i32) -> Option<Queue> {
        self.0.shared.sinks.queues.find(topic, queue_id)
    }

    /// Makes the queues of `topic` batch queues (attribute `queue.type=BatchCQ`): to be called before its first
    /// message. A deletion of the topic undoes it.
    pub fn use_batch_queues(&self, topic: &str) {
        if is_dir_name(topic) {
            self.0.shared.sinks.queues.batches().declare(topic);
        }
    }

    /// The whole record that begins at `offset`; `None` when none begins there.
    pub fn record_at(&self, offset: u64) -> Option<Bytes> {
        self.0.shared.record_at(offset)
    }

    /// Store time of a message, ms; -1 when there is none (`getMessageStoreTimeStamp`).
    pub fn store_time(&self, topic: &str, queue_id: i32, queue_offset: i64) -> i64 {
        self.0.shared.queue_store_time(topic, queue_id, queue_offset)
    }

    /// Store time of a queue's first message, ms; -1 when there is none (`getEarliestMessageTime`).
    pub fn earliest_time(&self, topic: &str, queue_id: i32) -> i64 {
        self.store_time(topic, queue_id, self.queue_min(topic, queue_id))
    }

    /// Store time of the log's first message, ms; -1 when it is empty.
    pub fn earliest_log_time(&self) -> i64 {
        self.0.shared.earliest_log_time()
    }

    /// Position in a queue by store time, kept inside its range; 0 without a queue (`getOffsetInQueueByTime`).
    pub fn offset_by_time(&self, topic: &str, queue_id: i32, timestamp: i64, boundary: Boundary) -> i64 {
        self.0.shared.offset_by_time(topic, queue_id, timestamp, boundary)
    }

    /// Where in the log a message of a queue is (`getCommitLogOffsetInQueue`).
    pub fn physical_offset_of(&self, topic: &str, queue_id: i32, queue_offset: i64) -> Option<u64> {
        let (log_offset, _) = self.queue(topic, queue_id)?.place(queue_offset)?;
        u64::try_from(log_offset).ok()
    }

    /// Messages whose unique key or one of whose keys has the hash of `key`, stored between two times, ms
    /// (`queryMessage`).
    pub fn query(&self, topic: &str, key: &str, max: usize, begin: i64, end: i64) -> QueryResult {
        self.0.shared.query(topic, key, max, begin, end)
    }

    /// First byte of the log.
    pub fn commit_log_min(&self) -> u64 {
        self.0.shared.log_min()
    }

    /// Byte after the last record.
    pub fn commit_log_max(&self) -> u64 {
        self.0.shared.log_max()
    }

    /// Everything below is on disk.
    pub fn flushed_offset(&self) -> u64 {
        self.0.shared.flushed.get()
    }

    /// Brings what is in the log to disk. Blocks.
    ///
    /// # Errors
    /// The reason why it cannot be; the store then refuses writes.
    pub fn flush(&self) -> Result<(), String> {
        self.0.shared.flush_log()
    }

    /// Bytes of the log that consumers may see but that are not in the queues yet.
    pub fn dispatch_behind(&self) -> u64 {
        self.0.shared.confirmed().saturating_sub(self.0.shared.dispatched.load(Ordering::SeqCst))
    }

    /// Used share of the disk that holds the commit log, of the emptiest if there are several, 0 to 1; -1 when
    /// unknown.
    pub fn commit_log_disk_ratio(&self) -> f64 {
        self.0.shared.log_disk_used()
    }

    /// Used share of the disk that holds the consume queues, 0 to 1; -1 when unknown.
    pub fn consume_queue_disk_ratio(&self) -> f64 {
        fs::disk_used(&self.config().consume_queue_dir())
    }

    /// Deletes the queues of a topic; its records stay in the log until their files expire. Returns whether there
    /// were any. A later append begins at position 0 again.
    pub fn delete_topic(&self, topic: &str) -> bool {
        let shared = &*self.0.shared;
        let mut flusher = shared.queue_flusher.lock();
        let _no_append = shared.appender.lock();
        // A record dispatched after the deletion would bring its queue back, at a position that no append continues.
        if matches!(shared.config.flush, FlushMode::Sync { .. }) && shared.flush_log().is_err() {
            return false;
        }
        let mut dispatcher = shared.dispatcher.lock();
        if let Err(broken) = dispatcher.run(&shared.sinks, &shared.segments, shared.confirmed()) {
            shared.fail(format!("dispatch stopped: {}", broken.0));
        }
        shared.dispatched.store(dispatcher.at, Ordering::SeqCst);
        dispatcher.forget_queue();
        flusher.forget(topic);
        match shared.sinks.queues.remove(topic) {
            None => false,
            Some(Ok(())) => true,
            Some(Err(error)) => {
                tracing::error!(topic, %error, "files of a deleted topic cannot be deleted");
                true
            }
        }
    }

    /// Topics that have queues, in no order.
    pub fn topics(&self) -> Vec<String> {
        self.0.shared.sinks.queues.topics()
    }

    /// Ids of a topic's queues, ascending.
    pub fn queues(&self, topic: &str) -> Vec<i32> {
        self.0.shared.sinks.queues.ids(topic)
    }

    /// Lets the next 20 runs of retention delete expired files whatever the hour (`executeDeleteFilesManually`).
    pub fn delete_expired_files(&self) {
        self.0.shared.manual_deletes.store(retention::MANUAL_RUNS, Ordering::SeqCst);
        self.0.shared.retention_signal.kick();
    }

    /// Whether appends are accepted.
    ///
    /// # Errors
    /// Why not: an earlier I/O error, or no space.
    pub fn writable(&self) -> Result<(), String> {
        let shared = &*self.0.shared;
        if let Some(refusal) = shared.refusal() {
            return Err(refusal.to_string());
        }
        match shared.allocator.failure() {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    /// Writes everything to disk and closes the store: appends are refused, log, queues and index are synced, the
    /// checkpoint is written, `abort` is deleted, the lock is released. A second call does nothing.
    ///
    /// # Errors
    /// When something could not be written, now or earlier. The store is closed, but `abort` stays.
    pub fn stop(&self) -> Result<(), StopError> {
        let shared = &*self.0.shared;
        if std::mem::replace(&mut shared.appender.lock().closed, true) {
            return Ok(());
        }
        let outcome = shared.finish();
        self.0.end_threads();
        shared.flushed.close();
        drop(shared.lock.lock().take());
        outcome.map_err(StopError::Unclean)
    }
}

/// Messages as they are stored, and the light queues that they are in with their next positions.
type InLightQueues = (Vec<NewMessage>, Vec<Prepared>, Vec<(Arc<ConsumeQueue>, i64)>);

impl Shared {
    fn append_one(&self, message: &NewMessage, max: usize) -> Result<Appended, AppendError> {
        let prepared = self.prepare(message, max)?;
        let appended = self.append(std::slice::from_ref(message), &[prepared], |appended| appended)?;
        self.after_append();
        Ok(appended)
    }

    /// Measures a message whose body may have `max` bytes.
    fn prepare(&self, message: &NewMessage, max: usize) -> Result<Prepared, AppendError> {
        if message.body.len() > max {
            return Err(AppendError::MessageTooLarge { bytes: message.body.len(), max });
        }
        if message.topic.len() > 255 {
            return Err(AppendError::TopicTooLong { bytes: message.topic.len() });
        }
        if !is_dir_name(&message.topic) {
            return Err(AppendError::IllegalTopic(message.topic.to_string()));
        }
        let prepared = Prepared::new(message, self.config.append_prop_crc)?;
        // `MessageExtEncoder` allows 64 KiB around the body.
        let max = max.saturating_add(64 << 10);
        if prepared.len() > max {
            return Err(AppendError::MessageTooLarge { bytes: prepared.len(), max });
        }
        Ok(prepared)
    }

    /// The right to append. A write may stall for seconds when the system holds up writers to a slow disk: callers then
    /// give up after a while, and while that goes on without waiting, so that they hold up nothing else
    /// (`DefaultMessageStore.isOSPageCacheBusy`).
    fn appender(&self) -> Result<MutexGuard<'_, Appender>, AppendError> {
        let mut waited_ms = 0;
        let appender = self.appender.try_lock().or_else(|| {
            if self.stalled.load(Ordering::Relaxed) {
                return None;
            }
            waited_ms = self.live().append_busy_ms;
            self.appender.try_lock_for(Duration::from_millis(waited_ms))
        });
        let stalled = appender.is_none();
        if self.stalled.load(Ordering::Relaxed) != stalled {
            self.stalled.store(stalled, Ordering::Relaxed);
        }
        appender.ok_or(AppendError::Busy { waited_ms })
    }

    /// Appends records of one queue. `each` gets the place of each record; the last answer is returned.
    fn append<R>(
        &self,
        messages: &[NewMessage],
        prepared: &[Prepared],
        mut each: impl FnMut(Appended) -> R,
    ) -> Result<R, AppendError> {
        let first = &messages[0];
        let in_queue = flags::is_dispatched(first.sys_flag);
        let mut queue = self.sinks.queues.find_or_create(&first.topic, first.queue_id);
        let mut appender = self.appender()?;
        if appender.closed {
            return Err(AppendError::Closed);
        }
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        while queue.deleted().load(Ordering::Acquire) {
            queue = self.sinks.queues.find_or_create(&first.topic, first.queue_id);
        }
        let mut queue_offset = if in_queue { queue.next_offset().load(Ordering::Relaxed) } else { 0 };
        let batch = self.inner_batch(&queue, messages, prepared, queue_offset)?;
        let (messages, prepared, count) = match &batch {
            Some((message, prepared, count)) => {
                (std::slice::from_ref(message), std::slice::from_ref(prepared), *count)
            }
            None => (messages, prepared, 1),
        };
        let light = self.in_light_queues(messages, prepared)?;
        let (messages, prepared) = match &light {
            Some((messages, prepared, _)) => (&messages[..], &prepared[..]),
            None => (messages, prepared),
        };
        appender.reserve(prepared.iter().map(Prepared::len).sum(), &self.segments, &self.allocator)?;
        let store_timestamp = self.sinks.clock.wall_ms();
        let mut last = None;
        for (message, prepared) in messages.iter().zip(prepared) {
            let log_offset = appender.write(prepared, message, queue_offset, store_timestamp)?;
            let len = prepared.len() as u32;
            let next_offset = log_offset + u64::from(len);
            last = Some(each(Appended { log_offset, next_offset, queue_offset, store_timestamp, len }));
            queue_offset += if in_queue { count } else { 0 };
        }
        if in_queue {
            queue.next_offset().store(queue_offset, Ordering::SeqCst);
        }
        for (queue, next) in light.into_iter().flat_map(|(_, _, queues)| queues) {
            queue.next_offset.store(next, Ordering::SeqCst);
        }
        let position = appender.position();
        self.appended.store(position, Ordering::SeqCst);
        self.appended_timestamp.store(store_timestamp, Ordering::SeqCst);
        drop(appender);
        self.allocator.advanced(position);
        last.ok_or(AppendError::IllegalBatch("it has no message"))
    }

    /// Messages that name light queues say their positions there, which only the append knows
    /// (`LmqDispatch.wrapLmqDispatch`): the messages with that property, and the queues with their next positions.
    #[inline]
    fn in_light_queues(
        &self,
        messages: &[NewMessage],
        prepared: &[Prepared],
    ) -> Result<Option<InLightQueues>, AppendError> {
        let names = |message: &NewMessage| {
            let text = str::from_utf8(&message.properties).ok()?;
            props::get(text, keys::INNER_MULTI_DISPATCH).map(|names| names.contains("%LMQ%"))
        };
        if !self.config.enable_lmq || !messages.iter().any(|it| names(it) == Some(true)) {
            return Ok(None);
        }
        let mut next: Vec<(Arc<ConsumeQueue>, i64)> = Vec::new();
        let mut changed = (Vec::new(), Vec::new());
        for (message, prepared) in messages.iter().zip(prepared) {
            let mut properties = Properties::parse(str::from_utf8(&message.properties).unwrap_or_default());
            let names = properties.get(keys::INNER_MULTI_DISPATCH).unwrap_or_default().to_owned();
            if names.trim().is_empty() || !dispatch::allows_light_queues(&message.topic) {
                changed.0.push(message.clone());
                changed.1.push(prepared.with_properties_of(message)?);
                continue;
            }
            let positions = names.split(',').map(|name| {
                // Java writes nothing for other queues, and then cannot dispatch to any.
                if !dispatch::is_light(name) || !is_dir_name(name) {
                    return String::new();
                }
                let queue = self.sinks.queues.get_or_create(name, 0);
                let place = next.iter().position(|(it, _)| Arc::ptr_eq(it, &queue)).unwrap_or_else(|| {
                    let begin = queue.next_offset.load(Ordering::Relaxed);
                    next.push((queue, begin));
                    next.len() - 1
                });
                next[place].1 += 1;
                (next[place].1 - 1).to_string()
            });
            let positions = positions.collect::<Vec<_>>().join(",");
            properties.set(keys::INNER_MULTI_QUEUE_OFFSET, positions);
            let message = NewMessage { properties: properties.encode().into(), ..message.clone() };
            changed.1.push(prepared.with_properties_of(&message)?);
            changed.0.push(message);
        }
        Ok(Some((changed.0, changed.1, next)))
    }

    /// A record with a batch of messages says the position of the first one, which only the append knows
    /// (`BatchConsumeQueue.assignQueueOffset`): the message with that property, and how many there are.
    #[inline]
    fn inner_batch(
        &self,
        queue: &Queue,
        messages: &[NewMessage],
        prepared: &[Prepared],
        base: i64,
    ) -> Result<Option<(NewMessage, Prepared, i64)>, AppendError> {
        let ([message], [prepared]) = (messages, prepared) else { return Ok(None) };
        if message.sys_flag & flags::INNER_BATCH == 0 {
            return Ok(None);
        }
        if matches!(queue, Queue::Simple(_)) {
            return Err(AppendError::IllegalBatch("its topic has no batch queues"));
        }
        let text = str::from_utf8(&message.properties)
            .map_err(|_| AppendError::IllegalBatch("its properties are no text"))?;
        let mut properties = Properties::parse(text);
        let count = properties.get(keys::INNER_NUM).map_or(Ok(1), str::parse::<i16>);
        let count =
            count.map_err(|_| AppendError::IllegalBatch("it does not say how many messages it has"))?;
        properties.set(keys::INNER_BASE, base.to_string());
        let message = NewMessage { properties: properties.encode().into(), ..message.clone() };
        let prepared = prepared.with_properties_of(&message)?;
        Ok(Some((message, prepared, count.max(1).into())))
    }

    #[inline]
    fn after_append(&self) {
        if matches!(self.config.flush, FlushMode::Sync { .. }) {
            self.wake_flusher();
        }
        self.dispatch();
    }

    /// The last writes of a store that takes no more appends.
    fn finish(&self) -> Result<(), String> {
        self.flush_log()?;
        self.dispatch();
        // Another thread may be dispatching: wait for it, and see that nothing is left.
        drop(self.dispatcher.lock());
        self.dispatch();
        self.flush_queues(true)?;
        if let Some(index) = &self.sinks.index {
            index.sync().map_err(|error| format!("the index cannot be written: {error}"))?;
        }
        if self.queue_flusher.lock().unsure {
            return Err("a sync of consume queues failed earlier".to_owned());
        }
        if self.dispatched.load(Ordering::SeqCst) != self.appended.load(Ordering::SeqCst) {
            return Err("not everything is dispatched".to_owned());
        }
        if let Some(reason) = self.poison.reason() {
            return Err(reason.to_owned());
        }
        self.abort.remove().map_err(|error| format!("abort cannot be deleted: {error}"))
    }
}

impl Running {
    fn spawn(&self, name: &str, body: fn(&Shared)) -> Result<(), OpenError> {
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name(format!("store-{name}")).spawn(move || body(&shared));
        self.threads.lock().push(thread.map_err(fs::at(&self.shared.config.root))?);
        Ok(())
    }

    fn end_threads(&self) {
        self.shared.allocator.stop();
        self.shared.log_signal.stop();
        self.shared.queue_signal.stop();
        self.shared.retention_signal.stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_threads();
    }
}

/// Refuses sizes with which no store can work, and rounds as Java does.
fn checked(mut config: StoreConfig) -> Result<StoreConfig, OpenError> {
    let refuse = |key, value, why| Err(OpenError::Config { key, value, why });
    if !(1_024..=i32::MAX as u64).contains(&config.commit_log_file_size) {
        return refuse("mappedFileSizeCommitLog", config.commit_log_file_size, "1024 to 2147483647 bytes");
    }
    if config.consume_queue_file_size == 0 || config.consume_queue_file_size > i32::MAX as u64 - UNIT {
        return refuse(
            "mappedFileSizeConsumeQueue",
            config.consume_queue_file_size,
            "20 to 2147483627 bytes",
        );
    }
    config.consume_queue_file_size = config.consume_queue_file_size.div_ceil(UNIT) * UNIT;
    let batch_len = config.batch_consume_queue_file_size;
    if batch_len == 0 || batch_len > i32::MAX as u64 || !batch_len.is_multiple_of(BATCH_UNIT) {
        return refuse(
            "mapperFileSizeBatchConsumeQueue",
            batch_len,
            "a multiple of 46 up to 2147483647 bytes",
        );
    }
    let ext_len = config.consume_queue_ext_file_size;
    if config.enable_consume_queue_ext && !(EXT_MIN as u64 + END_BLANK..=i32::MAX as u64).contains(&ext_len) {
        return refuse("mappedFileSizeConsumeQueueExt", ext_len, "24 to 2147483647 bytes");
    }
    if config.index_slots == 0 || config.index_slots > i32::MAX as u32 {
        return refuse("maxHashSlotNum", config.index_slots.into(), "at least 1");
    }
    if config.index_items < 2 || config.index_items > i32::MAX as u32 {
        return refuse("maxIndexNum", config.index_items.into(), "at least 2");
    }
    Ok(config)
}

/// A store that keeps its consume queues in RocksDB cannot be served: refused before anything is changed.
fn refuse_rocksdb(queue_dir: &Path) -> Result<(), OpenError> {
    let path = queue_dir.join("CURRENT");
    if path.exists() { Err(OpenError::RocksDb { path }) } else { Ok(()) }
}

/// Maps the files; the last one, made when there is none, is the one to append to.
fn open_segments(
    config: &StoreConfig,
    fs: &Fs,
    dirs: &LogDirs,
    recovered: &recover::Recovered,
) -> Result<(Segments, Arc<Segment>), OpenError> {
    let len = config.commit_log_file_size;
    let mut list = Vec::with_capacity(recovered.files.len() + 1);
    if let Some((last, full)) = recovered.files.split_last() {
        for file in full {
            list.push(Arc::new(
                Segment::open_full(fs, &file.path, file.start, len).map_err(fs::at(&file.path))?,
            ));
        }
        let last =
            Segment::open_last(fs, &last.path, last.start, len, recovered.end).map_err(fs::at(&last.path))?;
        list.push(Arc::new(last));
    } else {
        let made = dirs.create(recovered.end, len);
        list.push(Arc::new(made.map_err(fs::at(dirs.writable().first().unwrap_or(&config.root)))?));
    }
    let last = list[list.len() - 1].clone();
    Ok((Segments::new(list), last))
}

/// What counts as near to the log's end, bytes.
fn near_memory(config: &StoreConfig) -> u64 {
    (total_memory() / 100).saturating_mul(config.access_message_in_memory_max_ratio)
}

/// Memory of the machine, bytes.
fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
