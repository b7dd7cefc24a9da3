//! The broker's state in key-value form (`AdminBrokerProcessor.prepareRuntimeInfo`).

use std::collections::BTreeMap;
use std::sync::Arc;

use raptormq_base::clock::Clock;
use raptormq_remoting::{Answer, Request};
use raptormq_store::Store;
use raptormq_wire::body::KVTable;
use raptormq_wire::json;

use crate::config::LiveConfig;
use crate::service::schedule::ScheduleService;
use crate::service::success;
use crate::stats::Stats;

/// Tells how the broker does.
pub struct RuntimeAdmin {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// The store.
    pub store: Store,
    /// Figures.
    pub stats: Arc<Stats>,
    /// Progress of the delay levels.
    pub schedule: Arc<ScheduleService>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// When the broker started, ms since the epoch.
    pub boot_ms: i64,
}

impl RuntimeAdmin {
    /// DELETE_EXPIRED_COMMITLOG: expired files go within the next runs of retention, whatever the hour.
    pub fn delete_expired_files(&self, _: &Request) -> Answer {
        self.store.delete_expired_files();
        Ok(success())
    }

    /// GET_BROKER_RUNTIME_INFO: the keys for which there are real values.
    pub fn info(&self, _: &Request) -> Answer {
        let (put, get) = self.stats.messages();
        let behind = self.store.commit_log_max().saturating_sub(self.store.flushed_offset());
        let seconds = (self.clock.wall_ms() - self.boot_ms).max(0) / 1000;
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        let runtime = format!(
            "[ {days} days, {} hours, {} minutes, {} seconds ]",
            rest / 3600,
            rest / 60 % 60,
            rest % 60
        );
        let ratio = |value: f64| value.to_string();
        let table: BTreeMap<String, String> = [
            ("brokerVersionDesc", "V5_5_0".to_owned()),
            ("brokerVersion", raptormq_wire::CURRENT_VERSION.to_string()),
            ("serverImplementation", concat!("RaptorMQ ", env!("CARGO_PKG_VERSION")).to_owned()),
            ("bootTimestamp", self.boot_ms.to_string()),
            ("runtime", runtime),
            ("brokerActive", "true".to_owned()),
            ("commitLogMinOffset", self.store.commit_log_min().to_string()),
            ("commitLogMaxOffset", self.store.commit_log_max().to_string()),
            ("dispatchBehindBytes", self.store.dispatch_behind().to_string()),
            ("dispatchMaxBuffer", "0".to_owned()),
            ("earliestMessageTimeStamp", self.store.earliest_log_time().to_string()),
            ("remainHowManyDataToFlush", human_bytes(behind)),
            ("commitLogDiskRatio", ratio(self.store.commit_log_disk_ratio())),
            ("consumeQueueDiskRatio", ratio(self.store.consume_queue_disk_ratio())),
            ("msgPutTotalTodayNow", put.to_string()),
            ("msgGetTotalTodayNow", get.to_string()),
            (
                "startAcceptSendRequestTimeStamp",
                self.live.broker().start_accept_send_request_time_stamp.to_string(),
            ),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .chain(self.schedule_offsets())
        .collect();
        Ok(success().with_body(json::to_vec(&KVTable { table })))
    }

    /// GET_ALL_DELAY_OFFSET.
    pub fn delay_offsets(&self, _: &Request) -> Answer {
        Ok(success().with_body(json::to_vec(&self.schedule.file())))
    }

    fn schedule_offsets(&self) -> Vec<(String, String)> {
        let max = |level: i32| self.store.queue_max(crate::names::SCHEDULE_TOPIC, level - 1);
        let offsets = self.schedule.file().offset_table.into_iter();
        offsets
            .map(|(level, offset)| {
                (format!("scheduleMessageOffset_{level}"), format!("{offset},{}", max(level)))
            })
            .collect()
    }
}

/// `MixAll.humanReadableByteCount` with binary units.
fn human_bytes(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut units = ["KiB", "MiB", "GiB", "TiB", "PiB"].iter();
    let mut unit = units.next();
    value /= 1024.0;
    while value >= 1024.0 {
        let Some(next) = units.next() else { break };
        unit = Some(next);
        value /= 1024.0;
    }
    format!("{value:.1} {}", unit.unwrap_or(&"B"))
}

#[cfg(test)]
mod tests {
    use super::human_bytes;

    #[test]
    fn bytes_are_shown_in_binary_units() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB")] {
            assert_eq!(human_bytes(bytes), text);
        }
    }
}
