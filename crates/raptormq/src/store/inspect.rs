//! `raptormq store inspect`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use raptormq_store::offline::Inspection;
use serde_json::{Value, json};

use super::{Place, SOUND};

/// Larger tables are told by their length only.
const TABLE_MAX: u64 = 256 << 20;

pub fn run(place: &Place, as_json: bool) -> anyhow::Result<i32> {
    let inspection = place.open()?.inspect()?;
    let tables: Vec<Value> = inspection.config.iter().map(|file| table(&file.path, file.len)).collect();
    let text =
        if as_json { format!("{:#}\n", json_of(&inspection, tables)) } else { text_of(&inspection, &tables) };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(SOUND)
}

/// One file of `config`: how it reads as Java's JSON, if it is of that kind.
fn table(path: &Path, len: u64) -> Value {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.strip_suffix(".bak").unwrap_or(&name);
    let is_json = stem.ends_with(".json") || matches!(stem, "timermetrics" | "transactionMetrics");
    let mut state = match is_json {
        false => "not JSON".to_owned(),
        true if len == 0 => "empty".to_owned(),
        true if len > TABLE_MAX => "too long to be read here".to_owned(),
        true => match std::fs::read(path) {
            Err(error) => error.to_string(),
            Ok(bytes) => match raptormq_wire::json::from_slice::<Value>(&bytes) {
                Ok(_) => "readable".to_owned(),
                Err(error) => format!("not readable: {error}"),
            },
        },
    };
    if name.ends_with(".tmp") {
        state = "left by a write that did not end".to_owned();
    }
    json!({ "name": name, "bytes": len, "state": state })
}

fn json_of(it: &Inspection, tables: Vec<Value>) -> Value {
    let problem = |it: &raptormq_store::offline::Problem| json!({ "file": it.path.display().to_string(), "offset": it.offset, "text": it.text });
    let file = |it: &raptormq_store::offline::FileInfo| json!({ "file": it.path.display().to_string(), "bytes": it.len });
    let queue = |it: &raptormq_store::offline::QueueInfo| {
        json!({
            "topic": it.topic, "queueId": it.queue_id, "batch": it.batch, "ext": it.ext, "minOffset": it.min,
            "maxOffset": it.max, "units": it.units, "files": it.files,
        })
    };
    let index = |it: &raptormq_store::offline::IndexInfo| {
        json!({
            "file": it.path.display().to_string(), "bytes": it.len, "entries": it.count,
            "beginTimestamp": it.begin_timestamp, "endTimestamp": it.end_timestamp,
            "beginPhyOffset": it.begin_log_offset, "endPhyOffset": it.end_log_offset,
        })
    };
    json!({
        "commitLog": {
            "fileSize": it.log.file_len,
            "files": it.log.files.iter().map(file).collect::<Vec<_>>(),
            "minOffset": it.log.min,
            "maxOffset": it.log.end,
            "lastRecord": it.log.last.as_ref().map(|last| json!({
                "commitLogOffset": last.log_offset, "topic": last.topic, "queueId": last.queue_id,
                "queueOffset": last.queue_offset, "storeTimestamp": last.store_timestamp,
            })),
            "behindEnd": it.log.behind_end.as_ref().map(problem),
        },
        "checkpoint": it.checkpoint.map(|it| json!({
            "physicMsgTimestamp": it.physic_msg_timestamp, "logicsMsgTimestamp": it.logics_msg_timestamp,
            "indexMsgTimestamp": it.index_msg_timestamp, "masterFlushedOffset": it.master_flushed_offset,
            "confirmPhyOffset": it.confirm_phy_offset, "logicsPhysicalOffset": it.logics_physical_offset,
        })),
        "abort": it.abort,
        "queues": it.queues.iter().map(queue).collect::<Vec<_>>(),
        "index": it.index.iter().map(index).collect::<Vec<_>>(),
        "config": tables,
        "others": it.others.iter().map(file).collect::<Vec<_>>(),
        "problems": it.oddities.iter().map(problem).collect::<Vec<_>>(),
    })
}

fn text_of(it: &Inspection, tables: &[Value]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    let log = &it.log;
    line(format!(
        "commit log: {} files of {} bytes, {} to {}",
        log.files.len(),
        log.file_len,
        log.min,
        log.end
    ));
    for file in &log.files {
        line(format!("  {}  {} bytes", file.path.display(), file.len));
    }
    if let Some(last) = &log.last {
        let (topic, id, at) = (&last.topic, last.queue_id, last.queue_offset);
        line(format!(
            "  last record: {}, number {at} of {topic} {id}, stored {}",
            last.log_offset, last.store_timestamp
        ));
    }
    if let Some(behind) = &log.behind_end {
        line(format!("  behind it: {behind}"));
    }
    line(match &it.abort {
        None => "abort: not there, the last run ended cleanly".to_owned(),
        Some(pid) => format!("abort: process {}, the last run did not end cleanly", pid.trim()),
    });
    match &it.checkpoint {
        None => line("checkpoint: not there".to_owned()),
        Some(it) => line(format!(
            "checkpoint: physicMsgTimestamp {}, logicsMsgTimestamp {}, indexMsgTimestamp {}, masterFlushedOffset {}, \
             confirmPhyOffset {}, logicsPhysicalOffset {}",
            it.physic_msg_timestamp,
            it.logics_msg_timestamp,
            it.index_msg_timestamp,
            it.master_flushed_offset,
            it.confirm_phy_offset,
            it.logics_physical_offset
        )),
    }
    line(format!("queues: {}", it.queues.len()));
    for queue in &it.queues {
        let kind = match (queue.batch, queue.ext) {
            (true, _) => ", batches",
            (false, true) => ", with extensions",
            (false, false) => "",
        };
        let (topic, id, min, max) = (&queue.topic, queue.queue_id, queue.min, queue.max);
        line(format!("  {topic} {id}: {min} to {max}, {} units in {} files{kind}", queue.units, queue.files));
    }
    line(format!("index: {} files", it.index.len()));
    for file in &it.index {
        line(format!(
            "  {}  {} entries, stored {} to {}, log {} to {}",
            file.path.display(),
            file.count,
            file.begin_timestamp,
            file.end_timestamp,
            file.begin_log_offset,
            file.end_log_offset
        ));
    }
    line(format!("config: {} files", tables.len()));
    for table in tables {
        let text = |key: &str| table[key].as_str().unwrap_or_default().to_owned();
        line(format!("  {}  {} bytes, {}", text("name"), table["bytes"], text("state")));
    }
    for file in &it.others {
        line(format!("also there: {}  {} bytes", file.path.display(), file.len));
    }
    line(format!("problems: {}", it.oddities.len()));
    it.oddities.iter().for_each(|problem| line(format!("  {problem}")));
    out
}
