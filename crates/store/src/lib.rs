//! The message store: commit log, consume queues, key index.
#![allow(unused_variables, missing_docs)]
mod config;
mod types;
pub use config::{FlushMode, StoreConfig};
pub use types::{
    AppendError, Appended, Arrival, Boundary, Filter, FlushOutcome, GetRequest, GetResult, GetStatus, OpenError,
    QueryResult, StopError,
};

use std::sync::Arc;

use bytes::Bytes;
use raptormq_base::clock::Clock;
use raptormq_message::NewMessage;

pub enum Get {
    Ready(GetResult),
    Cold(ColdGet),
}
pub struct ColdGet(());
impl ColdGet {
    /// Blocking.
    pub fn run(self) -> GetResult {
        unreachable!()
    }
}
#[derive(Clone)]
pub struct Store(Arc<()>);
impl Store {
    pub fn open(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        arrivals: impl Fn(&Arrival<'_>) + Send + Sync + 'static,
    ) -> Result<Store, OpenError> {
        unreachable!()
    }
    pub fn config(&self) -> &StoreConfig {
        unreachable!()
    }
    pub fn append(&self, message: &NewMessage) -> Result<Appended, AppendError> {
        unreachable!()
    }
    pub fn append_batch(&self, messages: &[NewMessage]) -> Result<Vec<Appended>, AppendError> {
        unreachable!()
    }
    pub async fn flushed(&self, next_offset: u64, wait: bool) -> FlushOutcome {
        unreachable!()
    }
    pub fn get(&self, request: &GetRequest<'_>) -> Get {
        unreachable!()
    }
    /// Blocking variant of get (reads from disk where needed).
    pub fn get_blocking(&self, request: &GetRequest<'_>) -> GetResult {
        unreachable!()
    }
    pub fn queue_min(&self, topic: &str, queue_id: i32) -> i64 {
        unreachable!()
    }
    pub fn queue_max(&self, topic: &str, queue_id: i32) -> i64 {
        unreachable!()
    }
    /// Next queue offset that an append gets (Java getMaxOffsetInQueue(committed=false)).
    pub fn queue_next(&self, topic: &str, queue_id: i32) -> i64 {
        unreachable!()
    }
    pub fn record_at(&self, offset: u64) -> Option<Bytes> {
        unreachable!()
    }
    /// -1 when there is none, as Java.
    pub fn store_time(&self, topic: &str, queue_id: i32, queue_offset: i64) -> i64 {
        unreachable!()
    }
    pub fn earliest_time(&self, topic: &str, queue_id: i32) -> i64 {
        unreachable!()
    }
    /// Earliest message of the whole log (Java getEarliestMessageTime()).
    pub fn earliest_log_time(&self) -> i64 {
        unreachable!()
    }
    pub fn offset_by_time(&self, topic: &str, queue_id: i32, timestamp: i64, boundary: Boundary) -> i64 {
        unreachable!()
    }
    pub fn physical_offset_of(&self, topic: &str, queue_id: i32, queue_offset: i64) -> Option<u64> {
        unreachable!()
    }
    pub fn query(&self, topic: &str, key: &str, max: usize, begin: i64, end: i64) -> QueryResult {
        unreachable!()
    }
    pub fn commit_log_min(&self) -> u64 {
        unreachable!()
    }
    pub fn commit_log_max(&self) -> u64 {
        unreachable!()
    }
    pub fn flushed_offset(&self) -> u64 {
        unreachable!()
    }
    pub fn dispatch_behind(&self) -> u64 {
        unreachable!()
    }
    /// Used share of the commit log's disk, 0.0–1.0 (-1.0 unknown), as Java's commitLogDiskRatio.
    pub fn commit_log_disk_ratio(&self) -> f64 {
        unreachable!()
    }
    pub fn consume_queue_disk_ratio(&self) -> f64 {
        unreachable!()
    }
    /// Frees the topic's queues; true when it had any.
    pub fn delete_topic(&self, topic: &str) -> bool {
        unreachable!()
    }
    /// Topics that have queues.
    pub fn topics(&self) -> Vec<String> {
        unreachable!()
    }
    /// Queue ids of a topic, ascending.
    pub fn queues(&self, topic: &str) -> Vec<i32> {
        unreachable!()
    }
    /// Deletes expired files in the next 20 retention runs whatever the hour (DELETE_EXPIRED_COMMITLOG).
    pub fn delete_expired_files(&self) {
        unreachable!()
    }
    /// Why writes are refused, if they are.
    pub fn writable(&self) -> Result<(), String> {
        unreachable!()
    }
    pub fn stop(&self) -> Result<(), StopError> {
        unreachable!()
    }
}
