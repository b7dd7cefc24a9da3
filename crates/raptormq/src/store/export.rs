//! `raptormq store export`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use raptormq_message::{Checks, Decoded, Record, decode, flags, props};
use raptormq_store::offline::{Item, dispatched_to};
use serde::Serialize;

use super::{PROBLEMS, Place, SOUND};

/// Which messages, and where to.
#[derive(Args)]
pub struct Selection {
    /// Only this topic; a %LMQ% queue's name stands for the messages that were dispatched to it.
    #[arg(long)]
    topic: Option<String>,
    /// Only this queue.
    #[arg(long, requires = "topic")]
    queue: Option<i32>,
    /// Only from this position in the queue on.
    #[arg(long, requires = "topic")]
    from: Option<i64>,
    /// Only below this position in the queue.
    #[arg(long, requires = "topic")]
    to: Option<i64>,
    /// File to write; stdout otherwise.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// One line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    topic: &'a str,
    queue_id: i32,
    queue_offset: i64,
    commit_log_offset: u64,
    /// The producer's id, or the offset id of a message without one.
    msg_id: &'a str,
    offset_msg_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uniq_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a str>,
    properties: BTreeMap<&'a str, &'a str>,
    born_timestamp: i64,
    store_timestamp: i64,
    born_host: String,
    store_host: String,
    sys_flag: i32,
    flag: i32,
    reconsume_times: i32,
    prepared_transaction_offset: i64,
    /// `zlib`, `lz4`, `zstd`: the body is as stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    compression: Option<&'static str>,
    /// `utf8` or `base64`.
    body_encoding: &'static str,
    body: std::borrow::Cow<'a, str>,
    /// What is wrong with the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<&'a str>,
    /// Position in the queue that was asked for, where that is not the message's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    lmq_queue_offset: Option<i64>,
}

impl Selection {
    /// Whether a message is wanted, and at which position of another queue than its own.
    fn matches(&self, record: &Record<'_>) -> Option<Option<i64>> {
        let Some(topic) = &self.topic else { return Some(None) };
        let (id, position, lmq) = if *topic == record.topic {
            (record.queue_id, record.queue_offset, None)
        } else {
            let position = dispatched_to(record).find(|(queue, _)| queue == topic)?.1;
            (if topic.starts_with("%LMQ%") { 0 } else { record.queue_id }, position, Some(position))
        };
        let wanted = self.queue.is_none_or(|queue| queue == id)
            && self.from.is_none_or(|from| position >= from)
            && self.to.is_none_or(|to| position < to);
        wanted.then_some(lmq)
    }
}

pub fn run(place: &Place, selection: &Selection) -> anyhow::Result<i32> {
    let mut out: Box<dyn Write> = match &selection.out {
        Some(path) => Box::new(BufWriter::with_capacity(1 << 20, File::create(path)?)),
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
    };
    let mut damaged = false;
    let mut written = Ok(());
    let each = |item: Item<'_>| {
        match item {
            Item::Damage { path, at, text } => {
                damaged = true;
                eprintln!("{}:{at}: {text}", path.display());
            }
            Item::Record { log_offset, record, damage } => {
                let Some(lmq) = selection.matches(record) else { return true };
                damaged |= damage.is_some();
                written = write(&mut out, log_offset, record, damage.as_deref(), lmq);
            }
        }
        written.is_ok()
    };
    if place.dir.is_file() {
        each_kept(&place.dir, each)?;
    } else {
        place.open()?.each(each)?;
    }
    written?;
    out.flush()?;
    Ok(if damaged { PROBLEMS } else { SOUND })
}

/// The records of a file that recovery made in `cutoff/`: one after the other, each saying where in the log it was.
fn each_kept(path: &Path, mut each: impl FnMut(Item<'_>) -> bool) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let len = file.metadata()?.len();
    let mut file = BufReader::with_capacity(1 << 20, file);
    let (mut at, mut bytes) = (0, Vec::new());
    while at < len {
        let mut size = [0; 4];
        file.read_exact(&mut size)?;
        let rest = len - at;
        let size = u64::from(u32::from_be_bytes(size));
        ensure!((4..=rest).contains(&size), "{}:{at}: not a record of {size} bytes", path.display());
        bytes.clear();
        bytes.extend_from_slice(&(size as u32).to_be_bytes());
        file.by_ref().take(size - 4).read_to_end(&mut bytes)?;
        let record = match decode(&bytes, Checks::BodyCrc) {
            Ok(Decoded::Record(record)) => record,
            Ok(Decoded::Blank) => bail!("{}:{at}: not a record", path.display()),
            Err(error) => bail!("{}:{at}: {error}", path.display()),
        };
        let log_offset = u64::try_from(record.log_offset).unwrap_or(0);
        if !each(Item::Record { log_offset, record: &record, damage: None }) {
            break;
        }
        at += size;
    }
    Ok(())
}

fn write(
    out: &mut impl Write,
    log_offset: u64,
    record: &Record<'_>,
    damage: Option<&str>,
    lmq_queue_offset: Option<i64>,
) -> std::io::Result<()> {
    let found = record.store_properties();
    let offset_msg_id = record.offset_msg_id();
    let compressed = record.sys_flag & flags::COMPRESSED != 0;
    let (body_encoding, body) = match std::str::from_utf8(record.body) {
        Ok(text) if !compressed => ("utf8", text.into()),
        _ => ("base64", STANDARD.encode(record.body).into()),
    };
    let line = Line {
        topic: &record.topic,
        queue_id: record.queue_id,
        queue_offset: record.queue_offset,
        commit_log_offset: log_offset,
        msg_id: found.unique_key.unwrap_or(&offset_msg_id),
        offset_msg_id: &offset_msg_id,
        uniq_key: found.unique_key,
        keys: found.keys,
        tags: found.tags,
        properties: props::iter(&record.properties).collect(),
        born_timestamp: record.born_timestamp,
        store_timestamp: record.store_timestamp,
        born_host: record.born_host.to_string(),
        store_host: record.store_host.to_string(),
        sys_flag: record.sys_flag,
        flag: record.flag,
        reconsume_times: record.reconsume_times,
        prepared_transaction_offset: record.prepared_transaction_offset,
        compression: match record.sys_flag & flags::COMPRESSION_MASK {
            _ if !compressed => None,
            flags::COMPRESSION_LZ4 => Some("lz4"),
            flags::COMPRESSION_ZSTD => Some("zstd"),
            _ => Some("zlib"),
        },
        body_encoding,
        body,
        damage,
        lmq_queue_offset,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}
