//! The other end of a live connection, as handlers see it: its address, and a way to send it requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raptormq_wire::RemotingCommand;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::client::CallError;

/// The connection has ended, or its peer reads so slowly that nothing more may be queued for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerGone {
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
    /// The bytes queued for this peer have reached the connection's write budget.
    #[error("the peer does not read: its write budget is used up")]
    Slow,
}

/// Requests of this process are numbered like Java's, by one counter for all connections.
static NEXT_OPAQUE: AtomicI32 = AtomicI32::new(0);
static NEXT_PEER: AtomicU64 = AtomicU64::new(1);

/// One live connection.
#[derive(Debug)]
pub struct Peer {
    id: u64,
    remote: SocketAddr,
    local: SocketAddr,
    outgoing: mpsc::UnboundedSender<RemotingCommand>,
    /// Bytes given to `outgoing` that the connection task has not taken yet.
    queued: AtomicUsize,
    write_budget: usize,
    calls: Mutex<HashMap<i32, oneshot::Sender<RemotingCommand>>>,
    closed: CancellationToken,
}

impl Peer {
    pub(crate) fn new(
        remote: SocketAddr,
        local: SocketAddr,
        write_budget: usize,
        closed: CancellationToken,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<RemotingCommand>) {
        let (outgoing, receiver) = mpsc::unbounded_channel();
        let peer = Self {
            id: NEXT_PEER.fetch_add(1, Ordering::Relaxed),
            remote,
            local,
            outgoing,
            queued: AtomicUsize::new(0),
            write_budget,
            calls: Mutex::default(),
            closed,
        };
        (Arc::new(peer), receiver)
    }

    /// A number that no other connection of this process has had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The peer's address; its `Display` is what Java calls the channel's remote address (`1.2.3.4:5`).
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Our address on this connection.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Ends the connection; what is queued may be lost.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Queues a request that expects no answer.
    ///
    /// # Errors
    /// [`PeerGone`] when it cannot be queued.
    pub fn oneway(&self, mut request: RemotingCommand) -> Result<(), PeerGone> {
        request.opaque = next_opaque();
        request.set_oneway();
        self.queue(request)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`CallError`] when it cannot be sent, when no answer comes within `timeout`, or when the connection ends first.
    pub async fn call(
        &self,
        mut request: RemotingCommand,
        timeout: Duration,
    ) -> Result<RemotingCommand, CallError> {
        let opaque = next_opaque();
        request.opaque = opaque;
        let (sender, receiver) = oneshot::channel();
        self.calls.lock().insert(opaque, sender);
        let _forget = ForgetCall { peer: self, opaque };
        self.queue(request).map_err(|_| CallError::Send(self.remote.to_string()))?;
        match tokio::time::timeout(timeout, receiver).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) => Err(CallError::Send(self.remote.to_string())),
            Err(_) => Err(CallError::Timeout(self.remote.to_string(), timeout)),
        }
    }

    fn queue(&self, command: RemotingCommand) -> Result<(), PeerGone> {
        if self.is_closed() {
            return Err(PeerGone::Closed);
        }
        let size = queued_size(&command);
        if self.queued.fetch_add(size, Ordering::AcqRel) + size > self.write_budget {
            self.queued.fetch_sub(size, Ordering::AcqRel);
            return Err(PeerGone::Slow);
        }
        self.outgoing.send(command).map_err(|_| PeerGone::Closed)
    }

    /// The connection task has taken `command` out of the queue.
    pub(crate) fn taken(&self, command: &RemotingCommand) {
        self.queued.fetch_sub(queued_size(command), Ordering::AcqRel);
    }

    /// An answer has arrived; one that nobody waits for any more is dropped, as Java does.
    pub(crate) fn answered(&self, response: RemotingCommand) {
        let waiting = self.calls.lock().remove(&response.opaque);
        if let Some(waiting) = waiting {
            let _ = waiting.send(response);
        }
    }

    /// The connection has ended: every call fails now.
    pub(crate) fn ended(&self) {
        self.closed.cancel();
        self.calls.lock().clear();
    }
}

/// What a queued command counts: its texts and its body, and a flat share for the rest.
fn queued_size(command: &RemotingCommand) -> usize {
    command.body.len() + command.ext.text_len() + command.remark.as_ref().map_or(0, String::len) + 512
}

fn next_opaque() -> i32 {
    NEXT_OPAQUE.fetch_add(1, Ordering::Relaxed)
}

struct ForgetCall<'a> {
    peer: &'a Peer,
    opaque: i32,
}

impl Drop for ForgetCall<'_> {
    fn drop(&mut self) {
        self.peer.calls.lock().remove(&self.opaque);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_wire::RequestCode;

    #[test]
    fn long_headers_use_up_the_budget_and_give_it_back() {
        let address = "127.0.0.1:1".parse().unwrap();
        let (peer, mut outgoing) = Peer::new(address, address, 100_000, CancellationToken::new());
        let long = || {
            let mut command = RemotingCommand::request(RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT);
            command.ext.insert("properties", &"x".repeat(30_000));
            command.remark = Some("y".repeat(10_000));
            command
        };
        assert_eq!((peer.oneway(long()), peer.oneway(long())), (Ok(()), Ok(())));
        assert_eq!(peer.oneway(long()), Err(PeerGone::Slow));
        peer.taken(&outgoing.try_recv().unwrap());
        assert_eq!(peer.oneway(long()), Ok(()));
        while let Ok(command) = outgoing.try_recv() {
            peer.taken(&command);
        }
        assert_eq!(peer.queued.load(Ordering::SeqCst), 0);
    }
}
