//! The expressions that consumers filter by, in `config/consumerFilter.json` (`ConsumerFilterManager`): compiled once a
//! subscription, and kept over a restart and for a day after the consumer has gone, since messages that come in the
//! meantime get bit maps for it.
//!
//! Tags are no part of this.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use raptormq_base::clock::Clock;
use raptormq_filter::{Bits, BloomFilter, Expression, ParseError};
use raptormq_message::props;
use raptormq_wire::body::{BloomFilterData, ConsumerFilterData, SubscriptionData};
use serde::{Deserialize, Serialize};

use super::{blocking, persist};

/// The one expression type besides tags (`ExpressionType.SQL92`).
pub const SQL92: &str = "SQL92";
/// Expressions of this many bytes or more are not kept compiled for pulls that carry them.
const CACHED_LEN_MAX: usize = 16 << 10;
/// How many are kept (`SelectorParser.PARSE_CACHE`).
const CACHED: usize = 100;
/// A consumer that is loaded counts as gone since this long, ms.
const DEAD_BEFORE_LOAD_MS: i64 = 30_000;

/// Whether an expression type means tags: that is also the case where none is named (`ExpressionType.isTagType`).
pub fn is_tag_type(expression_type: &str) -> bool {
    expression_type.is_empty() || expression_type == "TAG"
}

/// Why an expression cannot be compiled; the text is that of Java's exception, on a JDK 17.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Nobody compiles this type of expressions.
    #[error(
        "Cannot invoke \"org.apache.rocketmq.filter.FilterSpi.compile(String)\" because the return value of \
         \"org.apache.rocketmq.filter.FilterFactory.get(String)\" is null"
    )]
    Type,
    /// It is wrong.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

/// Compiles an expression that is not about tags (`FilterFactory.get(type).compile`).
///
/// # Errors
/// [`CompileError`].
pub fn compile(expression: &str, expression_type: &str) -> Result<Arc<Expression>, CompileError> {
    if expression_type != SQL92 {
        return Err(CompileError::Type);
    }
    Ok(Arc::new(Expression::parse(expression)?))
}

/// What one group wants of one topic (`ConsumerFilterData`).
#[derive(Debug, Clone)]
pub struct FilterData {
    data: ConsumerFilterData,
    compiled: Option<Arc<Expression>>,
}

impl FilterData {
    /// Version of the subscription, which its client counts up.
    pub fn client_version(&self) -> i64 {
        self.data.client_version
    }

    /// The expression, unless it came from a file and is wrong.
    pub fn compiled(&self) -> Option<&Arc<Expression>> {
        self.compiled.as_ref()
    }

    /// Whether a bit map that was made at `store_time` tells of this consumer: then the length and positions that count.
    pub fn bloom_at(&self, store_time: i64) -> Option<&BloomFilterData> {
        self.data.bloom_filter_data.as_ref().filter(|_| store_time > self.data.born_time)
    }

    fn is_dead(&self) -> bool {
        self.data.dead_time >= self.data.born_time
    }
}

type ByGroup = BTreeMap<String, Arc<FilterData>>;

/// consumerFilter.json, with Java's names.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FilterFile {
    filter_data_by_topic: BTreeMap<String, Option<FileTopic>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FileTopic {
    group_filter_data: BTreeMap<String, Option<ConsumerFilterData>>,
    topic: Option<String>,
}

/// Recently compiled expressions of pulls, with the time of their last use.
#[derive(Default)]
struct Cache {
    used: u64,
    compiled: HashMap<String, (Result<Arc<Expression>, CompileError>, u64)>,
}

/// All filters.
pub struct FilterTable {
    clock: Arc<dyn Clock>,
    path: PathBuf,
    bloom: BloomFilter,
    topics: RwLock<HashMap<String, ByGroup>>,
    cache: Mutex<Cache>,
    saving: Mutex<()>,
    changed: AtomicBool,
}

impl FilterTable {
    /// Reads the table, and touches nothing: the store, which needs it to recover, is not locked yet. Every consumer
    /// counts as gone until it comes back. Filters whose positions were computed with other parameters are all
    /// forgotten, as in Java.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn peek(
        path: PathBuf,
        bloom: BloomFilter,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, persist::LoadError> {
        let loaded: Option<FilterFile> = persist::peek(&path)?;
        let changed = loaded.is_some();
        let topics = loaded.and_then(|file| read(file, &bloom, clock.wall_ms())).unwrap_or_default();
        Ok(Self {
            clock,
            path,
            bloom,
            topics: RwLock::new(topics),
            cache: Mutex::default(),
            saving: Mutex::default(),
            changed: AtomicBool::new(changed),
        })
    }

    /// To be called once the directory is this broker's: a file that cannot be read is moved aside.
    ///
    /// # Errors
    /// As [`Self::peek`].
    pub fn settle(&self) -> Result<(), persist::LoadError> {
        persist::load::<FilterFile>(&self.path).map(drop)
    }

    /// What `group` wants of `topic`.
    pub fn get(&self, topic: &str, group: &str) -> Option<Arc<FilterData>> {
        self.topics.read().get(topic)?.get(group).cloned()
    }

    /// Whether positions belong to this broker's bit maps.
    pub fn is_valid(&self, bloom: &BloomFilterData) -> bool {
        self.bloom.is_valid(bloom.bit_num, &bloom.bit_pos)
    }

    /// Takes over what a full heartbeat says; filters of topics that it does not name any more count as gone.
    pub fn register(&self, group: &str, subscriptions: &[SubscriptionData]) {
        for subscription in subscriptions {
            if !is_tag_type(&subscription.expression_type) && !subscription.sub_string.is_empty() {
                self.register_one(group, subscription);
            }
        }
        let named = |topic: &str| subscriptions.iter().any(|it| it.topic == topic);
        self.die_where(|topic, of| of == group && !named(topic));
    }

    fn register_one(&self, group: &str, subscription: &SubscriptionData) {
        let SubscriptionData { topic, sub_string, expression_type, sub_version, .. } = subscription;
        let bloom = BloomFilterData {
            bit_num: i32::try_from(self.bloom.bits()).unwrap_or(i32::MAX),
            bit_pos: self.bloom.positions(&format!("{group}#{topic}")),
        };
        let mut compiled = None;
        // Another heartbeat or the end of a connection may come in between: then all is looked at again.
        loop {
            let old = self.get(topic, group);
            let revived = old.as_ref().map(|old| {
                let data = ConsumerFilterData {
                    client_version: *sub_version,
                    dead: false,
                    dead_time: 0,
                    ..old.data.clone()
                };
                FilterData { data, compiled: old.compiled.clone() }
            });
            if let Some(old) = &old {
                let version = old.data.client_version;
                if *sub_version < version || *sub_version == version && !old.is_dead() {
                    return;
                }
                let same = *sub_version == version
                    || old.data.expression.as_ref() == Some(sub_string)
                        && old.data.expression_type.as_ref() == Some(expression_type)
                        && old.data.bloom_filter_data.as_ref() == Some(&bloom);
                if same {
                    if self.replace(topic, group, Some(old), || revived) {
                        return;
                    }
                    continue;
                }
            }
            match compiled.get_or_insert_with(|| compile(sub_string, expression_type)) {
                Ok(compiled) => {
                    // Born at the moment from which on bit maps are made for it, which is under the lock.
                    let new = || {
                        let data = ConsumerFilterData {
                            bloom_filter_data: Some(bloom.clone()),
                            born_time: self.clock.wall_ms(),
                            client_version: *sub_version,
                            consumer_group: group.to_owned(),
                            dead: false,
                            dead_time: 0,
                            expression: Some(sub_string.clone()),
                            expression_type: Some(expression_type.clone()),
                            topic: topic.clone(),
                        };
                        Some(FilterData { data, compiled: Some(compiled.clone()) })
                    };
                    if self.replace(topic, group, old.as_ref(), new) {
                        tracing::info!(group, topic, expression = sub_string, "consumer filter registered");
                        return;
                    }
                }
                // Its pulls are told that there is no filter, as in Java; and this heartbeat comes again and again.
                Err(error) if old.is_none() => {
                    tracing::debug!(group, topic, expression = sub_string, %error, "consumer filter refused");
                    return;
                }
                Err(error) => {
                    if self.replace(topic, group, old.as_ref(), || None) {
                        tracing::error!(group, topic, expression = sub_string, %error, "consumer filter refused");
                        return;
                    }
                }
            }
        }
    }

    /// Puts what `new` makes, or nothing, in the place of `old`, and tells whether it has done so: not if something else
    /// is there by now. `new` runs under the lock.
    fn replace(
        &self,
        topic: &str,
        group: &str,
        old: Option<&Arc<FilterData>>,
        new: impl FnOnce() -> Option<FilterData>,
    ) -> bool {
        let mut topics = self.topics.write();
        let present = topics.get(topic).and_then(|groups| groups.get(group));
        let unchanged = match (present, old) {
            (Some(present), Some(old)) => Arc::ptr_eq(present, old),
            (None, None) => true,
            _ => false,
        };
        if !unchanged {
            return false;
        }
        if let Some(mut data) = new() {
            data.data.dead = data.is_dead();
            topics.entry(topic.to_owned()).or_default().insert(group.to_owned(), Arc::new(data));
        } else if let Some(groups) = topics.get_mut(topic) {
            groups.remove(group);
        }
        self.changed.store(true, Ordering::SeqCst);
        true
    }

    /// Filters of groups that nobody is connected for count as gone (`unRegister`).
    pub fn forget_unless(&self, is_connected: impl Fn(&str) -> bool) {
        self.die_where(|_, group| !is_connected(group));
    }

    fn die_where(&self, gone: impl Fn(&str, &str) -> bool) {
        if self.topics.read().is_empty() {
            return;
        }
        let found: Vec<Arc<FilterData>> = {
            let topics = self.topics.read();
            let all = topics
                .iter()
                .flat_map(|(topic, groups)| groups.iter().map(move |(g, data)| (topic, g, data)));
            let alive = all.filter(|(_, _, data)| !data.is_dead());
            alive.filter(|(topic, group, _)| gone(topic, group)).map(|(_, _, data)| data.clone()).collect()
        };
        for old in found {
            let (topic, group) = (&old.data.topic, &old.data.consumer_group);
            // Asked again under the lock: a consumer that has come meanwhile and found its filter alive keeps it.
            let dead = {
                let mut topics = self.topics.write();
                let present = topics.get_mut(topic).and_then(|groups| groups.get_mut(group));
                match present {
                    Some(present) if Arc::ptr_eq(present, &old) && gone(topic, group) => {
                        let dead_time = self.clock.wall_ms().max(old.data.born_time);
                        let data = ConsumerFilterData { dead_time, dead: true, ..old.data.clone() };
                        *present = Arc::new(FilterData { data, compiled: old.compiled.clone() });
                        self.changed.store(true, Ordering::SeqCst);
                        true
                    }
                    _ => false,
                }
            };
            if dead {
                tracing::info!(group, topic, "consumer filter is unused");
            }
        }
    }

    /// The bit map of a message for the filters of its topic; `None` where there are none
    /// (`CommitLogDispatcherCalcBitMap`).
    pub fn bit_map(&self, topic: &str, properties: &str) -> Option<Vec<u8>> {
        let topics = self.topics.read();
        let groups = topics.get(topic).filter(|groups| !groups.is_empty())?;
        // What is longer than an extension is in none.
        if self.bloom.bits() / 8 > i16::MAX as usize {
            return None;
        }
        let mut bits = Bits::of(&self.bloom);
        for data in groups.values() {
            if let (Some(compiled), Some(bloom)) = (&data.compiled, &data.data.bloom_filter_data)
                && compiled.matches(props::iter(properties))
            {
                bits.set(&bloom.bit_pos);
            }
        }
        Some(bits.into_bytes())
    }

    /// As [`compile`], for expressions that come again and again.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn compile_cached(
        &self,
        expression: &str,
        expression_type: &str,
    ) -> Result<Arc<Expression>, CompileError> {
        if expression_type != SQL92 || expression.len() >= CACHED_LEN_MAX {
            return compile(expression, expression_type);
        }
        let mut cache = self.cache.lock();
        cache.used += 1;
        let now = cache.used;
        if let Some((compiled, used)) = cache.compiled.get_mut(expression) {
            *used = now;
            return compiled.clone();
        }
        drop(cache);
        let compiled = compile(expression, expression_type);
        let mut cache = self.cache.lock();
        if cache.compiled.len() >= CACHED {
            let oldest =
                cache.compiled.iter().min_by_key(|(_, (_, used))| *used).map(|(text, _)| text.clone());
            oldest.and_then(|oldest| cache.compiled.remove(&oldest));
        }
        cache.compiled.insert(expression.to_owned(), (compiled.clone(), now));
        compiled
    }

    /// Forgets what is unused for longer than `keep_ms`, and writes the file if anything has changed.
    pub fn clean_and_save(&self, keep_ms: i64) {
        let now = self.clock.wall_ms();
        self.topics.write().retain(|topic, groups| {
            groups.retain(|group, data| {
                let keep = !data.is_dead() || now.saturating_sub(data.data.dead_time) < keep_ms;
                if !keep {
                    tracing::info!(group, topic, "consumer filter forgotten, it was unused too long");
                    self.changed.store(true, Ordering::SeqCst);
                }
                keep
            });
            !groups.is_empty()
        });
        if self.changed.swap(false, Ordering::SeqCst) {
            self.save();
        }
    }

    /// Writes the file. A failure is logged, and tried again by the next [`Self::clean_and_save`].
    fn save(&self) {
        let saved = blocking(|| {
            let _one_at_a_time = self.saving.lock();
            persist::save(&self.path, &self.file())
        });
        if let Err(error) = saved {
            tracing::error!(file = %self.path.display(), %error, "consumer filters are not persisted");
            self.changed.store(true, Ordering::SeqCst);
        }
    }

    fn file(&self) -> FilterFile {
        let topic = |(topic, groups): (&String, &ByGroup)| {
            let groups =
                groups.iter().map(|(group, data)| (group.clone(), Some(data.data.clone()))).collect();
            (topic.clone(), Some(FileTopic { group_filter_data: groups, topic: Some(topic.clone()) }))
        };
        FilterFile { filter_data_by_topic: self.topics.read().iter().map(topic).collect() }
    }
}

/// What a file says; `None` where a filter's positions were made with other parameters.
fn read(file: FilterFile, bloom: &BloomFilter, now: i64) -> Option<HashMap<String, ByGroup>> {
    let mut topics = HashMap::new();
    for (topic, groups) in file.filter_data_by_topic {
        let mut by_group = ByGroup::new();
        for (group, data) in groups.unwrap_or_default().group_filter_data {
            let Some(mut data) = data else { continue };
            let positions = data.bloom_filter_data.as_ref();
            if !positions.is_some_and(|it| bloom.is_valid(it.bit_num, &it.bit_pos)) {
                tracing::warn!(
                    group,
                    topic,
                    "the Bloom filter's parameters have changed, consumer filters are forgotten"
                );
                return None;
            }
            let expression_type = data.expression_type.as_deref().unwrap_or_default();
            let compiled = compile(data.expression.as_deref().unwrap_or_default(), expression_type);
            if let Err(error) = &compiled {
                tracing::error!(group, topic, expression = data.expression, %error, "consumer filter cannot be loaded");
            }
            if data.dead_time == 0 {
                data.dead_time = (now - DEAD_BEFORE_LOAD_MS).max(data.born_time);
            }
            data.dead = data.dead_time >= data.born_time;
            data.topic.clone_from(&topic);
            data.consumer_group.clone_from(&group);
            by_group.insert(group, Arc::new(FilterData { data, compiled: compiled.ok() }));
        }
        topics.insert(topic, by_group);
    }
    Some(topics)
}

#[cfg(test)]
mod tests;
