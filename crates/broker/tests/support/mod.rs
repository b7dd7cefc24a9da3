//! A broker as a process of its own in a temporary directory, and a plain connection to it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use raptormq_wire::header::{
    CreateTopicRequestHeader, PullMessageRequestHeader, RpcRequestHeader, SendMessageRequestHeader,
};
use raptormq_wire::{Header, RemotingCommand, RequestCode, frame, json};
use serde_json::Value;

/// Bits of a pull's system flag.
pub const COMMIT: i32 = 1;
pub const SUSPEND: i32 = 2;
pub const SUBSCRIPTION: i32 = 4;

/// `mqbroker` with an environment that says nothing but where home is.
pub fn mqbroker(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqbroker"));
    for name in ["JAVA_OPT", "JAVA_OPT_EXT", "NAMESRV_ADDR", "ROCKETMQ_SERIALIZE_TYPE", "RAPTORMQ_LOG"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("ROCKETMQ_HOME", home).stdin(Stdio::null());
    command
}

/// Runs a command that is expected to end by itself.
pub fn run(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(20)).is_err() {
            let _ = Command::new("kill").args(["-9", &id]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    guard.join().unwrap();
    output
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a conf file for a broker on `port` with a small store in `home/store`.
pub fn conf(home: &Path, port: u16, extra: &str) -> PathBuf {
    let file = home.join(format!("broker-{port}.conf"));
    let text = format!(
        "brokerName=b\nbrokerClusterName=c\nbrokerIP1=127.0.0.1\nlistenPort={port}\nbindAddress=127.0.0.1\n\
         storePathRootDir={0}/store\nstorePathCommitLog={0}/store/commitlog\nmappedFileSizeCommitLog=4194304\n\
         mappedFileSizeConsumeQueue=6000\nmaxHashSlotNum=1000\nmaxIndexNum=4000\n{extra}\n",
        home.display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// A running broker; killed when dropped.
pub struct Running {
    child: Child,
    pub port: u16,
    pub boot_line: String,
}

impl Running {
    pub fn start(home: &Path, port: u16, extra: &str) -> Self {
        Self::spawn(mqbroker(home).arg("-c").arg(conf(home, port, extra)), port)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn spawn(command: &mut Command, port: u16) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut boot_line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut boot_line).unwrap();
        assert!(boot_line.contains("boot success"), "{boot_line}");
        Self { child, port, boot_line }
    }

    pub fn connect(&self) -> Wire {
        Wire::connect(self.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal and returns the exit code, or `None` when the signal itself ended the process.
    pub fn signal(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "the broker does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection.
pub struct Wire {
    pub stream: TcpStream,
    input: BytesMut,
    opaque: i32,
    /// What the broker asked in between.
    pub asked: VecDeque<RemotingCommand>,
}

impl Wire {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, input: BytesMut::new(), opaque: 0, asked: VecDeque::new() }
    }

    /// Sends a request and returns its number.
    pub fn post(&mut self, mut request: RemotingCommand) -> i32 {
        self.opaque += 1;
        request.opaque = self.opaque;
        self.stream.write_all(&frame::encode(&request)).unwrap();
        self.opaque
    }

    /// The next frame; `None` when the connection has ended or nothing comes within `patience`.
    pub fn next(&mut self, patience: Duration) -> Option<RemotingCommand> {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        loop {
            if let Some(bytes) = frame::split(&mut self.input, 64 << 20).unwrap() {
                return Some(frame::decode(bytes).unwrap());
            }
            let mut chunk = [0; 64 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.input.extend_from_slice(&chunk[..n]),
            }
        }
    }

    /// The next answer, whichever it is.
    pub fn answer(&mut self) -> RemotingCommand {
        loop {
            let command = self.next(Duration::from_secs(10)).expect("an answer");
            if command.is_response() {
                return command;
            }
            self.asked.push_back(command);
        }
    }

    /// The next request of the broker.
    pub fn asked(&mut self, patience: Duration) -> Option<RemotingCommand> {
        if let Some(command) = self.asked.pop_front() {
            return Some(command);
        }
        self.next(patience).inspect(|command| assert!(!command.is_response()))
    }

    pub fn request(&mut self, request: RemotingCommand) -> RemotingCommand {
        let opaque = self.post(request);
        let answer = self.answer();
        assert_eq!(answer.opaque, opaque);
        answer
    }

    pub fn call(
        &mut self,
        code: RequestCode,
        header: &impl Header,
        body: impl Into<Bytes>,
    ) -> RemotingCommand {
        self.request(RemotingCommand::request(code).with_header(header).with_body(body.into()))
    }

    pub fn plain(&mut self, code: RequestCode, body: impl Into<Bytes>) -> RemotingCommand {
        self.call(code, &RpcRequestHeader::default(), body)
    }

    /// The table of GET_BROKER_RUNTIME_INFO.
    pub fn runtime_info(&mut self, key: &str) -> String {
        let answer = self.plain(RequestCode::GET_BROKER_RUNTIME_INFO, Bytes::new());
        let table: Value = json::from_slice(&answer.body.to_bytes()).unwrap();
        table["table"][key].as_str().unwrap_or_default().to_owned()
    }

    pub fn create_topic(&mut self, topic: &str, queues: i32) {
        let answer =
            self.call(RequestCode::UPDATE_AND_CREATE_TOPIC, &topic_header(topic, queues), Bytes::new());
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
    }
}

pub fn topic_header(topic: &str, queues: i32) -> CreateTopicRequestHeader {
    CreateTopicRequestHeader {
        topic: topic.into(),
        default_topic: "TBW102".into(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: 6,
        topic_filter_type: "SINGLE_TAG".into(),
        ..Default::default()
    }
}

pub fn send(topic: &str, properties: &str, body: &[u8]) -> RemotingCommand {
    let header = SendMessageRequestHeader {
        producer_group: "P".into(),
        topic: topic.into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        born_timestamp: 1,
        properties: Some(properties.into()),
        ..Default::default()
    };
    RemotingCommand::request(RequestCode::SEND_MESSAGE)
        .with_header(&header)
        .with_body(Bytes::copy_from_slice(body))
}

/// A pull of `group` that carries a subscription to everything.
pub fn pull_header(group: &str, topic: &str, offset: i64) -> PullMessageRequestHeader {
    PullMessageRequestHeader {
        consumer_group: group.into(),
        topic: topic.into(),
        queue_offset: offset,
        max_msg_nums: 32,
        sys_flag: SUBSCRIPTION,
        subscription: Some("*".into()),
        expression_type: Some("TAG".into()),
        ..Default::default()
    }
}

pub fn pull(header: &PullMessageRequestHeader) -> RemotingCommand {
    RemotingCommand::request(RequestCode::PULL_MESSAGE).with_header(header)
}

/// The records of a pull's answer.
pub fn records(answer: &RemotingCommand) -> Vec<Bytes> {
    let mut body = answer.body.to_bytes();
    let mut records = Vec::new();
    while !body.is_empty() {
        let len = u32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
        records.push(body.split_to(len));
    }
    records
}

pub fn field(answer: &RemotingCommand, name: &str) -> i64 {
    answer.ext.get(name).unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}
