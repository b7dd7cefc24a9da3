//! A plain connection to a broker, one request at a time: it shows the codes that a client library would hide.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use raptormq_message::{Checks, Decoded, decode};
use raptormq_wire::header::{GetMaxOffsetRequestHeader, PullMessageRequestHeader, SendMessageRequestHeader};
use raptormq_wire::{Header, RemotingCommand, RequestCode, frame};

/// The pull carries its subscription.
const SUBSCRIPTION: i32 = 4;

/// What a broker said to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: i32,
    pub remark: String,
    /// The queue offset when it was stored.
    pub offset: Option<i64>,
}

/// A message that was read.
pub struct Found {
    pub offset: i64,
    pub body: Vec<u8>,
}

pub struct Wire {
    stream: TcpStream,
    input: BytesMut,
    opaque: i32,
}

impl Wire {
    /// Connects; requests without an answer for `patience` are an error.
    pub fn connect(port: u16, patience: Duration) -> Result<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, input: BytesMut::new(), opaque: 0 })
    }

    fn call(&mut self, code: RequestCode, header: &impl Header, body: Bytes) -> Result<RemotingCommand> {
        let mut request = RemotingCommand::request(code).with_header(header).with_body(body);
        self.opaque += 1;
        request.opaque = self.opaque;
        self.stream.write_all(&frame::encode(&request))?;
        loop {
            if let Some(bytes) = frame::split(&mut self.input, 64 << 20)? {
                let answer = frame::decode(bytes)?;
                if answer.is_response() && answer.opaque == self.opaque {
                    return Ok(answer);
                }
                continue;
            }
            let mut chunk = [0; 64 * 1024];
            let read = self.stream.read(&mut chunk).context("no answer")?;
            ensure!(read > 0, "the connection was closed");
            self.input.extend_from_slice(&chunk[..read]);
        }
    }

    /// Sends a message without keys or tags; the topic is created as a producer would.
    pub fn send(&mut self, topic: &str, queue_id: i32, body: Vec<u8>) -> Result<Answer> {
        let header = SendMessageRequestHeader {
            producer_group: "faults".into(),
            topic: topic.into(),
            default_topic: "TBW102".into(),
            default_topic_queue_nums: 4,
            queue_id,
            born_timestamp: 1,
            properties: Some(String::new()),
            ..Default::default()
        };
        let answer = self.call(RequestCode::SEND_MESSAGE, &header, body.into())?;
        Ok(Answer {
            code: answer.code,
            remark: answer.remark.as_ref().map(ToString::to_string).unwrap_or_default(),
            offset: answer.ext.get("queueOffset").and_then(|offset| offset.parse().ok()),
        })
    }

    pub fn max_offset(&mut self, topic: &str, queue_id: i32) -> Result<i64> {
        let header = GetMaxOffsetRequestHeader { topic: topic.into(), queue_id, ..Default::default() };
        let answer = self.call(RequestCode::GET_MAX_OFFSET, &header, Bytes::new())?;
        let offset = answer.ext.get("offset").with_context(|| format!("max offset: {:?}", answer.remark))?;
        Ok(offset.parse()?)
    }

    /// Every message of a queue from `from` on, with bodies and offsets checked.
    pub fn read(&mut self, topic: &str, queue_id: i32, from: i64) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        let mut next = from;
        let max = self.max_offset(topic, queue_id)?;
        while next < max {
            let header = PullMessageRequestHeader {
                consumer_group: "faults".into(),
                topic: topic.into(),
                queue_id,
                queue_offset: next,
                max_msg_nums: 32,
                sys_flag: SUBSCRIPTION,
                subscription: Some("*".into()),
                expression_type: Some("TAG".into()),
                ..Default::default()
            };
            let answer = self.call(RequestCode::PULL_MESSAGE, &header, Bytes::new())?;
            ensure!(answer.code == 0, "pull {topic} {queue_id} {next}: {} {:?}", answer.code, answer.remark);
            let mut body = answer.body.to_bytes();
            while !body.is_empty() {
                let len = u32::from_be_bytes(body[..4].try_into()?) as usize;
                let bytes = body.split_to(len);
                let Ok(Decoded::Record(record)) = decode(&bytes, Checks::BodyCrc) else {
                    bail!("{topic} {queue_id} {next}: not a record");
                };
                ensure!(
                    record.queue_offset == next,
                    "{topic} {queue_id}: {} after {next}",
                    record.queue_offset
                );
                all.push(Found { offset: next, body: record.body.to_vec() });
                next += 1;
            }
        }
        Ok(all)
    }
}
