//! What a 4.9.7 broker cannot read of a log.

use std::collections::BTreeMap;
use std::path::Path;

use raptormq_message::{Record, flags, layout};

use super::Problem;

/// Why 4.9.7 cannot use a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    V2,
    Timer,
    Revive,
    Batch,
    Operations,
}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Self::V2 => {
                "record with a two-byte topic length: 4.9.7 cuts the commit log here when it recovers"
            }
            Self::Timer => "timer message: 4.9.7 keeps it but never delivers it",
            Self::Revive => {
                "state of a pop consumer: 4.9.7 ignores it, messages in flight are not given out again"
            }
            Self::Batch => "inner batch: 4.9.7 has no batch queues and does not find the messages in it",
            Self::Operations => {
                "several ends of transactions in one record: 4.9.7 ignores them and checks these transactions again"
            }
        }
    }

    fn of(record: &Record<'_>, magic: u32) -> Option<Self> {
        if magic == layout::MAGIC_V2 {
            return Some(Self::V2);
        }
        if record.topic == "rmq_sys_wheel_timer" {
            return Some(Self::Timer);
        }
        if record.topic.starts_with("rmq_sys_REVIVE_LOG_") {
            return Some(Self::Revive);
        }
        if record.sys_flag & flags::INNER_BATCH != 0 {
            return Some(Self::Batch);
        }
        (record.topic == "RMQ_SYS_TRANS_OP_HALF_TOPIC" && record.body.contains(&b','))
            .then_some(Self::Operations)
    }
}

/// Such records of one file of the log, counted by reason and topic.
#[derive(Debug, Default)]
pub(crate) struct Unreadable(BTreeMap<(Reason, String), (u64, u64)>);

/// Topics told apart in one file; a file with more of them is told as one.
const TOPICS_MAX: usize = 1_000;

impl Unreadable {
    /// Looks at the record at `at` in its file.
    pub(crate) fn look(&mut self, record: &Record<'_>, magic: u32, at: u64) {
        let Some(reason) = Reason::of(record, magic) else { return };
        let topic =
            if self.0.len() < TOPICS_MAX { record.topic.to_string() } else { "other topics".to_owned() };
        self.0.entry((reason, topic)).or_insert((at, 0)).1 += 1;
    }

    /// One line for each reason and topic, at the first such record, and the records counted.
    pub(crate) fn lines(self, path: &Path) -> impl Iterator<Item = (Problem, u64)> {
        self.0.into_iter().map(move |((reason, topic), (at, count))| {
            let times = if count == 1 { String::new() } else { format!(", {count} times from here on") };
            (Problem::new(path, at, format!("{topic}: {}{times}", reason.text())), count)
        })
    }
}
