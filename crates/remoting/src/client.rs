//! Calls to other servers: one connection per address, opened when first needed and reopened after it has ended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raptormq_wire::RemotingCommand;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::conn::{Connection, Limits};
use crate::peer::Peer;
use crate::router::RouteTable;

/// Why a call has no answer. The texts are those of Java's `RemotingConnectException`, `RemotingSendRequestException`
/// and `RemotingTimeoutException`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection to the address.
    #[error("connect to {0} failed")]
    Connect(String),
    /// The connection ended before the answer.
    #[error("send request to <{0}> failed")]
    Send(String),
    /// No answer in time.
    #[error("wait response on the channel <{0}> timeout, {1:?}")]
    Timeout(String, Duration),
}

/// The connection to an address, once there is one.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Peer>>>>;

/// The outbound side of a server. Requests that arrive on its connections are answered from its own request table.
pub struct Client {
    routes: Arc<RouteTable>,
    limits: Limits,
    connect_timeout: Duration,
    /// One lock per address: an address that does not answer holds up nobody who calls another one.
    peers: parking_lot::Mutex<HashMap<String, Slot>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Client {
    /// A client without connections; `routes` answers what the other side asks on them.
    pub fn new(routes: Arc<RouteTable>, limits: Limits, connect_timeout: Duration) -> Self {
        Self {
            routes,
            limits,
            connect_timeout,
            peers: parking_lot::Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Sends `request` to `address` (`host:port`) and waits for the answer.
    ///
    /// # Errors
    /// [`CallError`]. A call is not repeated: whether it took effect is then unknown.
    pub async fn call(
        &self,
        address: &str,
        request: RemotingCommand,
        timeout: Duration,
    ) -> Result<RemotingCommand, CallError> {
        let begin = tokio::time::Instant::now();
        let peer = self.peer(address).await?;
        peer.call(request, timeout.saturating_sub(begin.elapsed())).await
    }

    /// Sends a request that expects no answer.
    ///
    /// # Errors
    /// [`CallError`] when it could not be queued on a connection.
    pub async fn oneway(&self, address: &str, request: RemotingCommand) -> Result<(), CallError> {
        self.peer(address).await?.oneway(request).map_err(|_| CallError::Send(address.to_owned()))
    }

    /// Ends all connections.
    pub async fn stop(&self, grace: Duration) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(grace, self.tasks.wait()).await;
    }

    async fn peer(&self, address: &str) -> Result<Arc<Peer>, CallError> {
        let slot = self.slot(address);
        let mut slot = slot.lock().await;
        if let Some(peer) = slot.as_ref().filter(|peer| !peer.is_closed()) {
            return Ok(peer.clone());
        }
        let connect = tokio::time::timeout(self.connect_timeout, TcpStream::connect(address)).await;
        let Ok(Ok(stream)) = connect else { return Err(CallError::Connect(address.to_owned())) };
        let peer = self.adopt(stream).map_err(|_| CallError::Connect(address.to_owned()))?;
        *slot = Some(peer.clone());
        Ok(peer)
    }

    /// The slot of an address. Those of addresses that are neither connected nor being called are forgotten.
    fn slot(&self, address: &str) -> Slot {
        let mut peers = self.peers.lock();
        let in_use = |slot: &Slot| {
            Arc::strong_count(slot) > 1
                || slot.try_lock().is_ok_and(|peer| peer.as_ref().is_some_and(|peer| !peer.is_closed()))
        };
        peers.retain(|_, slot| in_use(slot));
        peers.entry(address.to_owned()).or_default().clone()
    }

    /// The number of addresses that are remembered.
    #[cfg(test)]
    pub(crate) fn connected(&self) -> usize {
        self.slot("");
        self.peers.lock().len() - 1
    }

    fn adopt(&self, stream: TcpStream) -> std::io::Result<Arc<Peer>> {
        stream.set_nodelay(true)?;
        let (remote, local): (SocketAddr, SocketAddr) = (stream.peer_addr()?, stream.local_addr()?);
        let closed = self.stop.child_token();
        let (peer, outgoing) = Peer::new(remote, local, self.limits.write_budget, closed.clone());
        let connection = Connection {
            peer: peer.clone(),
            routes: self.routes.clone(),
            fast_port: false,
            limits: self.limits.clone(),
            outgoing,
            closed,
        };
        self.tasks.spawn(async move {
            if let Some(reason) = connection.run(stream).await {
                tracing::info!(%remote, reason, "connection to server closed");
            }
        });
        Ok(peer)
    }
}
