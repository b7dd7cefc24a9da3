//! What was sent, what was acknowledged, and whether a store has it: the judge of the crash tests.

use std::collections::BTreeMap;
use std::fmt::Display;

use bytes::Bytes;
use raptormq_message::{Checks, Decoded, decode, flags, tags_code};

use super::disk::Random;
use super::{BATCH_TOPIC, TOPICS};
use crate::*;

/// Tags of the messages.
const TAGS: [&str; 3] = ["a", "b", "c"];

/// Wants one tag.
pub(super) struct Tag {
    tag: &'static str,
    /// Whether it takes messages of which the queue does not know the tag.
    unknown: bool,
}

impl Tag {
    pub(super) fn new(tag: &'static str) -> Self {
        Self { tag, unknown: true }
    }
}

impl Filter for Tag {
    fn matches_queue(&self, code: i64) -> bool {
        code == tags_code(Some(self.tag))
    }
    fn matches_unknown(&self) -> bool {
        self.unknown
    }
}

/// Which messages a store must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Must {
    /// Everything that an append was answered for.
    Stored,
    /// Everything below the last answered sync.
    Flushed,
    /// Everything in the journal.
    All,
}

#[derive(Debug, Clone)]
pub(super) struct Sent {
    body: Bytes,
    properties: Bytes,
    /// How many messages the record holds.
    count: i64,
    tag: &'static str,
    /// The next three once an append was answered.
    stored: bool,
    pub(super) log_offset: u64,
    next_offset: u64,
    queue_offset: i64,
    topic: String,
    queue_id: i32,
    /// Retention or the deletion of its topic may have taken it.
    may_be_gone: bool,
    /// Its topic was deleted: it must not be looked for.
    topic_deleted: bool,
    /// It may be back from a deletion that was crashed, without its extension.
    tag_may_be_lost: bool,
}

/// Everything ever sent, by number.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    pub(super) seed: u64,
    sent: BTreeMap<u64, Sent>,
    flushed: u64,
}

impl Journal {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, sent: BTreeMap::new(), flushed: 0 }
    }

    /// A new message, which exists nowhere else; some of those for batch queues are several in one record.
    pub(super) fn message(&mut self, random: &mut Random) -> NewMessage {
        let many = random.below(6) as i64;
        self.new_message(random, many)
    }

    /// A new message in a record of its own.
    pub(super) fn single(&mut self, random: &mut Random) -> NewMessage {
        self.new_message(random, 0)
    }

    fn new_message(&mut self, random: &mut Random, many: i64) -> NewMessage {
        let number = self.sent.len() as u64;
        let topic = TOPICS[random.below(TOPICS.len())];
        let queue_id = random.below(2) as i32;
        let mut body = format!("{}/{number}/", self.seed).into_bytes();
        let len = [3, 60, 300, 1_400][random.below(4)];
        body.extend((0..random.below(len)).map(|at| (at * 7 + number as usize) as u8 | 1));
        let filler = "p".repeat(1 + random.below(500));
        let light = ["", "INNER_MULTI_DISPATCH\u{1}%LMQ%x,%LMQ%y\u{2}"][random.below(2)];
        let many = if topic == BATCH_TOPIC { many } else { 0 };
        let inner = if many > 0 { format!("INNER_NUM\u{1}{many}\u{2}") } else { String::new() };
        let tag = TAGS[random.below(TAGS.len())];
        let properties = format!(
            "UNIQ_KEY\u{1}U{number}\u{2}KEYS\u{1}k{number} k\u{2}DELAY\u{1}3\u{2}TAGS\u{1}{tag}\u{2}f\u{1}{filler}\u{2}{inner}{light}"
        );
        let (body, properties) = (Bytes::from(body), Bytes::from(properties));
        let sent = Sent {
            body: body.clone(),
            properties: properties.clone(),
            count: many.max(1),
            tag,
            stored: false,
            log_offset: 0,
            next_offset: 0,
            queue_offset: 0,
            topic: topic.to_owned(),
            queue_id,
            may_be_gone: false,
            topic_deleted: false,
            tag_may_be_lost: false,
        };
        self.sent.insert(number, sent);
        NewMessage {
            topic: topic.into(),
            queue_id,
            flag: 0,
            sys_flag: if many > 0 { flags::INNER_BATCH } else { 0 },
            born_timestamp: 0,
            born_host: "10.0.0.1:5".parse().unwrap(),
            store_host: "[::1]:10911".parse().unwrap(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            properties,
        }
    }

    fn number(body: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(body.splitn(3, |byte| *byte == b'/').nth(1)?).ok()?;
        text.parse().ok()
    }

    pub(super) fn stored(&mut self, message: &NewMessage, appended: &Appended) {
        let sent = self.sent.get_mut(&Self::number(&message.body).unwrap()).unwrap();
        sent.stored = true;
        (sent.log_offset, sent.next_offset) = (appended.log_offset, appended.next_offset);
        sent.queue_offset = appended.queue_offset;
        (sent.topic, sent.queue_id) = (message.topic.to_string(), message.queue_id);
    }

    pub(super) fn flushed(&mut self, to: u64) {
        self.flushed = self.flushed.max(to);
    }

    pub(super) fn release(&mut self, which: impl Fn(&Sent) -> bool) {
        self.sent
            .values_mut()
            .filter(|sent| sent.stored && which(sent))
            .for_each(|sent| sent.may_be_gone = true);
    }

    pub(super) fn forget_topic(&mut self, topic: &str) {
        for sent in self.sent.values_mut().filter(|sent| sent.stored && sent.topic == topic) {
            (sent.may_be_gone, sent.topic_deleted, sent.tag_may_be_lost) = (true, true, true);
        }
    }

    /// From here on the store must have exactly what it has now.
    pub(super) fn adopt(&mut self, store: &Store) {
        let mut sent = BTreeMap::new();
        each(store, |topic, queue_id, queue_offset, record, number| {
            if topic.starts_with("%LMQ%") {
                return;
            }
            let mut known = self.sent[&number].clone();
            known.stored = true;
            (known.may_be_gone, known.topic_deleted) = (false, false);
            (known.topic, known.queue_id, known.queue_offset) = (topic.to_owned(), queue_id, queue_offset);
            known.log_offset = record.log_offset as u64;
            known.next_offset = known.log_offset + record.len as u64;
            sent.insert(number, known);
        });
        // Numbers go on after all that were ever given.
        let next = self.sent.len() as u64;
        for number in 0..next {
            sent.entry(number).or_insert_with(|| Sent { stored: false, ..self.sent[&number].clone() });
        }
        self.sent = sent;
    }

    /// Whether who wants the tag of the message at a place finds it, and others do not: they must not either when
    /// queues have extensions, or never had; without those that they had, nobody knows the tags.
    fn check_tags(store: &Store, (topic, queue_id, offset): (&str, i32, i64), sent: &Sent, place: &str) {
        let ext = store.config().enable_consume_queue_ext && !sent.tag_may_be_lost;
        let tag = sent.tag;
        for wanted in TAGS {
            let filter = Tag { tag: wanted, unknown: !ext };
            let result = store.get_blocking(&request(topic, queue_id, offset, Some(filter)));
            let found = result.queue_offsets.first() == Some(&offset);
            assert!(
                found == (wanted == tag) || found && !ext,
                "{place}: wanted {wanted}, it has {tag}: {found}"
            );
        }
    }

    /// Whether the store has what it must have, and nothing that was never sent.
    pub(super) fn check(&self, store: &Store, must: Must, what: &dyn Display) {
        let mut served = BTreeMap::new();
        each(store, |topic, queue_id, queue_offset, record, number| {
            let sent = self.sent.get(&number).unwrap_or_else(|| panic!("{what}: {number} was never sent"));
            let place = format!("{what}: message {number} in {topic} {queue_id} at {queue_offset}");
            let position = light_positions(record).into_iter().find(|(name, _)| name == topic);
            if topic != "SCHEDULE_TOPIC_XXXX" {
                Self::check_tags(store, (topic, queue_id, queue_offset), sent, &place);
            }
            if topic.starts_with("%LMQ%") {
                assert_eq!(position.map(|(_, position)| position), Some(queue_offset), "{place}");
                assert!(record.body == &sent.body[..], "{place}: altered body");
                return;
            }
            assert!(record.body == &sent.body[..], "{place}: altered body");
            assert!(
                record.properties.as_bytes().starts_with(&sent.properties),
                "{place}: altered properties {:?} of {:?}",
                record.properties,
                str::from_utf8(&sent.properties)
            );
            assert_eq!((&*record.topic, record.queue_id), (topic, queue_id), "{place}");
            assert_eq!((record.queue_offset, count_of(record)), (queue_offset, sent.count), "{place}");
            assert!(
                served.insert(number, (topic.to_owned(), queue_id, queue_offset)).is_none(),
                "{place}: twice"
            );
        });
        for (number, sent) in &self.sent {
            let wanted = sent.stored
                && !sent.may_be_gone
                && match must {
                    Must::Stored | Must::All => true,
                    Must::Flushed => sent.next_offset <= self.flushed,
                };
            if wanted {
                let found = served.get(number);
                let place = (sent.topic.clone(), sent.queue_id, sent.queue_offset);
                assert_eq!(found, Some(&place), "{what}: message {number} at {} of the log", sent.log_offset);
            }
        }
        // Every record of the log that belongs to a queue is in it.
        let mut at = store.commit_log_min();
        while at < store.commit_log_max() {
            let Some(bytes) = store.record_at(at) else {
                let len = store.config().commit_log_file_size;
                at = at / len * len + len;
                continue;
            };
            let Ok(Decoded::Record(record)) = decode(&bytes, Checks::BodyCrc) else {
                panic!("{what}: no record at {at}")
            };
            let deleted =
                self.sent.get(&Self::number(record.body).unwrap()).is_some_and(|sent| sent.topic_deleted);
            for offset in record.queue_offset..record.queue_offset + count_of(&record) {
                let unit = store.physical_offset_of(&record.topic, record.queue_id, offset);
                assert!(deleted || unit == Some(at), "{what}: the record at {at} is in no queue: {unit:?}");
            }
            for (name, position) in light_positions(&record) {
                let unit = store.physical_offset_of(&name, 0, position);
                assert!(
                    unit == Some(at),
                    "{what}: the record at {at} is not in {name} at {position}: {unit:?}, {} to {} {:?}",
                    store.queue_min(&name, 0),
                    store.queue_max(&name, 0),
                    (0..4).map(|it| store.physical_offset_of(&name, 0, it)).collect::<Vec<_>>()
                );
            }
            at += bytes.len() as u64;
        }
        for number in [0, self.sent.len() as u64 / 2] {
            let found = store.query("A", &format!("k{number}"), 32, 0, i64::MAX);
            assert!(found.messages.len() <= 32);
        }
    }
}

/// How many messages a record holds.
fn count_of(record: &raptormq_message::Record<'_>) -> i64 {
    raptormq_message::props::get(&record.properties, "INNER_NUM").map_or(1, |count| count.parse().unwrap())
}

/// The light queues that a record names, and its positions there.
fn light_positions(record: &raptormq_message::Record<'_>) -> Vec<(String, i64)> {
    let property = |key| raptormq_message::props::get(&record.properties, key).unwrap_or_default();
    if record.topic == "SCHEDULE_TOPIC_XXXX" {
        return Vec::new();
    }
    let names = property("INNER_MULTI_DISPATCH").split(',').map(str::to_owned);
    names.zip(property("INNER_MULTI_QUEUE_OFFSET").split(',').filter_map(|it| it.parse().ok())).collect()
}

/// Every message of every queue.
fn each(store: &Store, mut body: impl FnMut(&str, i32, i64, &raptormq_message::Record<'_>, u64)) {
    for topic in store.topics() {
        for queue_id in store.queues(&topic) {
            let (min, max) = (store.queue_min(&topic, queue_id), store.queue_max(&topic, queue_id));
            // An empty batch queue begins at -1, as Java's.
            let min = min.max(0);
            assert_eq!(store.queue_next(&topic, queue_id), max, "{topic} {queue_id}");
            let mut offset = min;
            while offset < max {
                let request = request(&topic, queue_id, offset, None);
                let result = store.get_blocking(&request);
                let place = format!("{topic} {queue_id} {offset} of {min}..{max}");
                assert_eq!(
                    (result.status, &result.queue_offsets[..]),
                    (GetStatus::Found, &[offset][..]),
                    "{place}"
                );
                let decoded = decode(&result.messages[0], Checks::BodyCrc);
                let Ok(Decoded::Record(record)) = decoded else { panic!("{place}: {decoded:?}") };
                body(&topic, queue_id, offset, &record, Journal::number(record.body).unwrap());
                // The positions of batches follow each other without a gap.
                offset += if topic == BATCH_TOPIC { count_of(&record) } else { 1 };
                assert_eq!(result.next_begin_offset, offset, "{place}");
            }
            assert!(offset == max.max(min), "{topic} {queue_id} {offset} of {min}..{max}");
        }
    }
}

fn request(topic: &str, queue_id: i32, offset: i64, tag: Option<Tag>) -> GetRequest<'_> {
    let filter = tag.map(|tag| Arc::new(tag) as Arc<dyn Filter>);
    GetRequest { topic, queue_id, offset, max_nums: 1, max_bytes: None, filter }
}
