//! One connection as one task.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream::{FuturesUnordered, StreamExt};
use raptormq_wire::{RemotingCommand, SerializeType, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::outbox::{Outbox, SLICES};
use crate::peer::Peer;
use crate::router::{Reply, Request, RouteTable};

/// Bounds of a connection.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest frame in bytes, its length field included (`com.rocketmq.remoting.frameMaxLength`).
    pub frame_max: usize,
    /// A connection on which nothing was read or written for this long is closed.
    pub idle: Duration,
    /// Bytes that may wait to be written; above it nothing more is read from that connection.
    pub write_budget: usize,
    /// Requests of one connection that may wait for their answer; above it nothing more is read.
    pub unanswered_max: usize,
    /// Connections of one listener; above it new ones are closed at once.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_max: 16 * 1024 * 1024,
            idle: Duration::from_secs(120),
            write_budget: 32 * 1024 * 1024,
            unanswered_max: 100_000,
            connections_max: 100_000,
        }
    }
}

/// Room for one read grows with the traffic between these bounds.
const READ_MIN: usize = 4 * 1024;
const READ_MAX: usize = 256 * 1024;

/// After this long with the requests of one read it is the turn of what has become ready meanwhile.
const SLICE: Duration = Duration::from_millis(10);
/// Requests between two looks at the clock.
const LOOK_AT_CLOCK: usize = 16;

pub(crate) struct Connection {
    pub(crate) peer: Arc<Peer>,
    pub(crate) routes: Arc<RouteTable>,
    pub(crate) fast_port: bool,
    pub(crate) limits: Limits,
    pub(crate) outgoing: mpsc::UnboundedReceiver<RemotingCommand>,
    pub(crate) closed: CancellationToken,
}

type Unanswered = FuturesUnordered<std::pin::Pin<Box<dyn Future<Output = RemotingCommand> + Send>>>;

/// What became of the input of a connection.
enum Handled {
    /// Every whole frame was handled.
    All,
    /// Frames are left: for want of room until answers have gone out, or because others must have their turn.
    Paused,
    /// The connection is to be closed, for this reason.
    Close(String),
}

impl Connection {
    /// Serves the connection until it ends, and says why it did (`None`: the peer closed it or we were asked to).
    pub(crate) async fn run(mut self, mut stream: TcpStream) -> Option<String> {
        let reason = self.serve(&mut stream).await;
        self.peer.ended();
        reason
    }

    async fn serve(&mut self, stream: &mut TcpStream) -> Option<String> {
        let (mut reader, mut writer) = stream.split();
        let mut input = BytesMut::new();
        let mut read_size = READ_MIN;
        let mut out = Outbox::default();
        let mut unanswered = Unanswered::new();
        let mut last_activity = Instant::now();
        let idle = tokio::time::sleep_until(last_activity + self.limits.idle);
        tokio::pin!(idle);
        let mut unhandled = false;
        loop {
            let room = out.len() < self.limits.write_budget;
            let reading = !unhandled && room && unanswered.len() < self.limits.unanswered_max;
            if reading && input.capacity() - input.len() < read_size / 2 {
                input.reserve(read_size);
            }
            // The order is a priority: answers leave first, new requests are read last, so that neither a busy reader
            // nor a busy writer starves the rest.
            tokio::select! {
                biased;
                written = write_some(&mut writer, &out), if !out.is_empty() => match written {
                    Ok(0) => return Some("the peer takes no more bytes".into()),
                    Ok(n) => {
                        out.advance(n);
                        last_activity = Instant::now();
                    }
                    Err(error) => return closed_or(error),
                },
                () = self.closed.cancelled() => {
                    let _ = tokio::time::timeout(Duration::from_millis(500), write_all(&mut writer, &mut out)).await;
                    return None;
                }
                Some(response) = unanswered.next(), if room && !unanswered.is_empty() => out.push(&response),
                Some(command) = self.outgoing.recv(), if room => {
                    self.peer.taken(&command);
                    out.push(&command);
                }
                () = &mut idle => {
                    if last_activity.elapsed() >= self.limits.idle {
                        return Some("idle for too long".into());
                    }
                    idle.as_mut().reset(last_activity + self.limits.idle);
                }
                read = reader.read_buf(&mut input), if reading => match read {
                    Ok(0) => return None,
                    Ok(n) => {
                        read_size = next_read_size(read_size, n);
                        last_activity = Instant::now();
                        match self.handle_input(&mut input, &mut out, &unanswered) {
                            Handled::All => {}
                            Handled::Paused => unhandled = true,
                            Handled::Close(reason) => return Some(reason),
                        }
                        if input.is_empty() && input.capacity() > 4 * read_size {
                            input = BytesMut::new();
                        }
                    }
                    Err(error) => return closed_or(error),
                },
                () = tokio::task::yield_now(), if unhandled && room && unanswered.len() < self.limits.unanswered_max => {
                    match self.handle_input(&mut input, &mut out, &unanswered) {
                        Handled::All => unhandled = false,
                        Handled::Paused => {}
                        Handled::Close(reason) => return Some(reason),
                    }
                }
            }
        }
    }

    /// Handles the whole frames of the input, in order, as long as their answers have room, and not for too long.
    fn handle_input(&self, input: &mut BytesMut, out: &mut Outbox, unanswered: &Unanswered) -> Handled {
        let begin = Instant::now();
        for handled in 1_usize.. {
            if out.len() >= self.limits.write_budget || unanswered.len() >= self.limits.unanswered_max {
                return Handled::Paused;
            }
            if handled % LOOK_AT_CLOCK == 0 && begin.elapsed() >= SLICE {
                return Handled::Paused;
            }
            let command = match frame::split(input, self.limits.frame_max) {
                Ok(None) => return Handled::All,
                Ok(Some(bytes)) => frame::decode(bytes),
                Err(error) => return Handled::Close(error.to_string()),
            };
            match command {
                Ok(command) if command.is_response() => self.peer.answered(command),
                Ok(command) => self.handle_request(command, out, unanswered),
                Err(error) => return Handled::Close(error.to_string()),
            }
        }
        Handled::Paused
    }

    fn handle_request(&self, command: RemotingCommand, out: &mut Outbox, unanswered: &Unanswered) {
        let to =
            ReplyTo { opaque: command.opaque, oneway: command.is_oneway(), serialize: command.serialize };
        match self.routes.dispatch(Request { command, peer: self.peer.clone() }, self.fast_port) {
            Reply::Nothing => {}
            Reply::Now(response) => {
                if let Some(response) = to.address(response) {
                    out.push(&response);
                }
            }
            // A oneway request is still carried out to its end; its answer is not written.
            Reply::Later(future) if to.oneway => {
                tokio::spawn(future);
            }
            // Nothing is carried out while it is held, so there is nothing to do for nobody.
            Reply::Held(_) if to.oneway => {}
            Reply::Later(future) | Reply::Held(future) => {
                unanswered.push(Box::pin(async move { to.stamp(future.await) }))
            }
        }
    }
}

/// What of a request its answer repeats.
#[derive(Clone, Copy)]
struct ReplyTo {
    opaque: i32,
    oneway: bool,
    serialize: SerializeType,
}

impl ReplyTo {
    fn address(self, response: RemotingCommand) -> Option<RemotingCommand> {
        (!self.oneway).then(|| self.stamp(response))
    }

    fn stamp(self, mut response: RemotingCommand) -> RemotingCommand {
        response.opaque = self.opaque;
        response.serialize = self.serialize;
        response.set_response();
        response
    }
}

async fn write_some(writer: &mut tokio::net::tcp::WriteHalf<'_>, out: &Outbox) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let count = out.slices(&mut slices);
    writer.write_vectored(&slices[..count]).await
}

async fn write_all(writer: &mut tokio::net::tcp::WriteHalf<'_>, out: &mut Outbox) -> io::Result<()> {
    while !out.is_empty() {
        let n = write_some(writer, out).await?;
        if n == 0 {
            break;
        }
        out.advance(n);
    }
    writer.shutdown().await
}

fn next_read_size(size: usize, read: usize) -> usize {
    if read >= size {
        (size * 2).min(READ_MAX)
    } else if read < size / 8 {
        (size / 2).max(READ_MIN)
    } else {
        size
    }
}

/// A reset is how many clients say goodbye; anything else is worth a line in the log.
fn closed_or(error: io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => None,
        _ => Some(error.to_string()),
    }
}
