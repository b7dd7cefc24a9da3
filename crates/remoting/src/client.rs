//! Calls to other servers: one connection per address, opened when first needed and reopened after it has ended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raptormq_wire::RemotingCommand;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
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

/// The outbound side of a server. Requests that arrive on its connections are answered from its own request table.
pub struct Client {
    routes: Arc<RouteTable>,
    limits: Limits,
    connect_timeout: Duration,
    peers: Mutex<HashMap<String, Arc<Peer>>>,
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
            peers: Mutex::default(),
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
        let mut peers = self.peers.lock().await;
        peers.retain(|_, peer| !peer.is_closed());
        if let Some(peer) = peers.get(address) {
            return Ok(peer.clone());
        }
        let connect = tokio::time::timeout(self.connect_timeout, TcpStream::connect(address)).await;
        let Ok(Ok(stream)) = connect else { return Err(CallError::Connect(address.to_owned())) };
        let peer = self.adopt(stream).map_err(|_| CallError::Connect(address.to_owned()))?;
        peers.insert(address.to_owned(), peer.clone());
        Ok(peer)
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
