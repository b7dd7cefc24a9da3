//! `raptormq bench`: a load generator that checks every answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::{Bytes, BytesMut};
use clap::{Args, Subcommand};
use hdrhistogram::Histogram;
use raptormq_wire::header::SendMessageRequestHeaderV2;
use raptormq_wire::{RemotingCommand, RequestCode, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What to measure.
#[derive(Subcommand)]
pub enum What {
    /// Send messages and tell throughput, latency and the server's CPU time per message.
    Send(SendOptions),
    /// Wait until the broker stores a message, trying again every millisecond.
    First {
        /// Broker.
        #[arg(long, default_value = "127.0.0.1:10911")]
        broker: SocketAddr,
        /// Give up after this many seconds.
        #[arg(long, default_value_t = 120)]
        seconds_max: u64,
    },
}

/// The load.
#[derive(Args, Clone)]
pub struct SendOptions {
    /// Broker.
    #[arg(long, default_value = "127.0.0.1:10911")]
    broker: SocketAddr,
    /// Topic; it is created by the first send, as a producer does.
    #[arg(long, default_value = "RaptorBench")]
    topic: String,
    /// Queues to spread over.
    #[arg(long, default_value_t = 4)]
    queues: i32,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Messages in all.
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// Stop after this many seconds even if not all messages are sent.
    #[arg(long, default_value_t = 60)]
    seconds_max: u64,
    /// Bytes of each body.
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// Process id of the server, for its CPU time.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl SendOptions {
    /// One message at a time to `topic`.
    fn new(topic: &str) -> Self {
        Self {
            broker: SocketAddr::from(([127, 0, 0, 1], 10911)),
            topic: topic.to_owned(),
            queues: 4,
            connections: 1,
            in_flight: 1,
            messages: 1,
            seconds_max: 60,
            size: 1024,
            server_pid: None,
            json: false,
        }
    }
}

/// Runs a measurement; the exit code.
pub fn run(what: What) -> anyhow::Result<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match what {
        What::Send(options) => {
            let enough = options.connections > 0 && options.in_flight > 0;
            ensure!(enough, "connections and requests in flight are at least 1");
            runtime.block_on(send(options))?;
        }
        What::First { broker, seconds_max } => runtime.block_on(first(broker, seconds_max))?,
    }
    Ok(0)
}

async fn first(broker: SocketAddr, seconds_max: u64) -> anyhow::Result<()> {
    let begin = Instant::now();
    let deadline = begin + Duration::from_secs(seconds_max);
    let options = SendOptions { broker, ..SendOptions::new("RaptorFirst") };
    loop {
        let attempt = async { Connection::open(&options, 0).await?.run(1, deadline).await };
        match attempt.await {
            Ok(()) => break,
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    println!("first message stored after {:.1} ms", begin.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}

async fn send(options: SendOptions) -> anyhow::Result<()> {
    // The first message creates the topic and is not measured.
    let mut first = Connection::open(&options, 0).await?;
    first.run(1, Instant::now() + Duration::from_secs(30)).await?;

    let cpu_before = options.server_pid.map(cpu_time).transpose()?;
    let begin = Instant::now();
    let deadline = begin + Duration::from_secs(options.seconds_max);
    let share = options.messages / options.connections as u64;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..options.connections {
        let options = options.clone();
        tasks.spawn(async move {
            let mut connection = Connection::open(&options, number).await?;
            connection.run(share.max(1), deadline).await?;
            anyhow::Ok(connection.latencies)
        });
    }
    let mut latencies = new_histogram()?;
    while let Some(done) = tasks.join_next().await {
        latencies.add(done.context("a connection's task")??)?;
    }
    let elapsed = begin.elapsed();
    let cpu = match (options.server_pid, cpu_before) {
        (Some(pid), Some(before)) => Some(cpu_time(pid)?.saturating_sub(before)),
        _ => None,
    };
    report(&options, &latencies, elapsed, cpu);
    Ok(())
}

fn report(options: &SendOptions, latencies: &Histogram<u64>, elapsed: Duration, cpu: Option<Duration>) {
    let messages = latencies.len();
    let rate = messages as f64 / elapsed.as_secs_f64();
    let quantile = |q: f64| latencies.value_at_quantile(q) as f64 / 1000.0;
    let (p50, p99, p999) = (quantile(0.5), quantile(0.99), quantile(0.999));
    let max = latencies.max() as f64 / 1000.0;
    let cpu_us = cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / messages as f64);
    let (connections, in_flight) = (options.connections, options.in_flight);
    if options.json {
        let cpu_us = cpu_us.map_or("null".to_owned(), |v| format!("{v:.3}"));
        println!(
            "{{\"connections\":{connections},\"inFlight\":{in_flight},\"size\":{},\"messages\":{messages},\"seconds\":{:.3},\"perSecond\":{rate:.0},\"p50Us\":{p50:.1},\"p99Us\":{p99:.1},\"p999Us\":{p999:.1},\"maxUs\":{max:.1},\"serverCpuUsPerMessage\":{cpu_us}}}",
            options.size,
            elapsed.as_secs_f64()
        );
        return;
    }
    println!(
        "{connections} connections x {in_flight} in flight, {} B bodies: every answer was SUCCESS",
        options.size
    );
    println!("{messages} messages in {:.2} s: {rate:.0} per second", elapsed.as_secs_f64());
    println!("latency us: p50 {p50:.1}  p99 {p99:.1}  p99.9 {p999:.1}  max {max:.1}");
    if let Some(cpu_us) = cpu_us {
        println!("server CPU: {cpu_us:.2} us per message");
    }
}

/// User and system time of a process and its threads so far (`/proc/PID/stat`, fields 14 and 15).
fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let after_name = text.rsplit_once(')').context("no process name in stat")?.1;
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

fn new_histogram() -> anyhow::Result<Histogram<u64>> {
    // Nanoseconds up to a minute, three significant digits.
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// One connection with a window of unanswered sends.
struct Connection {
    stream: TcpStream,
    /// Everything of a request but its opaque, length and queue is the same.
    header: SendMessageRequestHeaderV2,
    body: Bytes,
    queues: i32,
    in_flight: usize,
    latencies: Histogram<u64>,
    /// When the request with this opaque was written, modulo a length that reordered answers do not reach.
    written: Vec<Instant>,
}

impl Connection {
    async fn open(options: &SendOptions, number: usize) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(options.broker).await.context("cannot connect to the broker")?;
        stream.set_nodelay(true)?;
        let born = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
        let header = SendMessageRequestHeaderV2 {
            producer_group: "raptormq_bench".to_owned(),
            topic: options.topic.clone(),
            default_topic: "TBW102".to_owned(),
            default_topic_queue_nums: options.queues,
            born_timestamp: i64::try_from(born)?,
            properties: Some(format!(
                "UNIQ_KEY\u{1}7F000001000000000000{number:012X}\u{2}WAIT\u{1}true\u{2}"
            )),
            ..Default::default()
        };
        // A body that does not compress away to nothing anywhere on the path.
        let body: Vec<u8> = (0..options.size).map(|i| (i.wrapping_mul(31) ^ (i >> 3)) as u8).collect();
        Ok(Self {
            stream,
            header,
            body: body.into(),
            queues: options.queues.max(1),
            in_flight: options.in_flight,
            latencies: new_histogram()?,
            written: vec![Instant::now(); options.in_flight * 64],
        })
    }

    /// Sends `messages` messages, or as many as fit before `deadline`.
    async fn run(&mut self, messages: u64, deadline: Instant) -> anyhow::Result<()> {
        let (mut sent, mut answered) = (0u64, 0u64);
        let mut output = BytesMut::new();
        let mut input = BytesMut::with_capacity(64 * 1024);
        while answered < messages {
            let late = Instant::now() >= deadline;
            if late && sent == answered {
                break;
            }
            while !late && sent < messages && sent - answered < self.in_flight as u64 {
                self.push(sent, &mut output);
                sent += 1;
            }
            self.stream.write_all_buf(&mut output).await?;
            if self.stream.read_buf(&mut input).await? == 0 {
                bail!("the broker closed the connection");
            }
            while let Some(bytes) = frame::split(&mut input, 1 << 24)? {
                let response = frame::decode(bytes)?;
                ensure!(response.code == 0, "the broker answered {}: {:?}", response.code, response.remark);
                let slot = usize::try_from(response.opaque)? % self.written.len();
                let nanos = self.written[slot].elapsed().as_nanos();
                self.latencies.record(u64::try_from(nanos)?.max(1))?;
                answered += 1;
            }
            if input.capacity() - input.len() < 4096 {
                input.reserve(64 * 1024);
            }
        }
        Ok(())
    }

    fn push(&mut self, number: u64, output: &mut BytesMut) {
        let opaque = (number & 0x3fff_ffff) as i32;
        self.header.queue_id = opaque % self.queues;
        let mut request = RemotingCommand::request(RequestCode::SEND_MESSAGE_V2).with_header(&self.header);
        request.opaque = opaque;
        request.body = self.body.clone().into();
        frame::encode_head(&request, output);
        output.extend_from_slice(&self.body);
        let slot = opaque as usize % self.written.len();
        self.written[slot] = Instant::now();
    }
}
