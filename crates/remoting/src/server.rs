//! A listener: accepts connections within its bounds and serves each from one request table.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::conn::{Connection, Limits};
use crate::peer::Peer;
use crate::router::RouteTable;

/// Called once for each connection that has ended, whatever ended it.
pub type OnClose = Arc<dyn Fn(&Arc<Peer>) + Send + Sync>;

/// A running listener. Dropping it without [`Server::stop`] leaves it running.
pub struct Server {
    local: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Listens on `address` and serves `routes`. `fast_port` leaves out the codes that only the main port answers.
    ///
    /// # Errors
    /// The bind error, which names the address.
    pub fn start(
        address: SocketAddr,
        routes: Arc<RouteTable>,
        fast_port: bool,
        limits: Limits,
        on_close: OnClose,
    ) -> io::Result<Self> {
        let listener = listen(address)
            .map_err(|e| io::Error::new(e.kind(), format!("cannot listen on {address}: {e}")))?;
        let local = listener.local_addr()?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let accept = Accept { routes, fast_port, limits, on_close, stop: stop.clone(), tasks: tasks.clone() };
        tasks.spawn(accept.run(listener));
        Ok(Self { local, stop, tasks })
    }

    /// The address that it listens on.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Stops accepting, ends every connection and waits at most `grace` for their tasks.
    pub async fn stop(&self, grace: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(address = %self.local, connections = self.tasks.len(), "connections did not end in time");
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

struct Accept {
    routes: Arc<RouteTable>,
    fast_port: bool,
    limits: Limits,
    on_close: OnClose,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Accept {
    async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                // The accept loop itself is one of the tasks.
                Ok(_) if self.tasks.len() > self.limits.connections_max => {
                    tracing::warn!(limit = self.limits.connections_max, "too many connections, one refused");
                }
                Ok((stream, remote)) => self.serve(stream, remote),
                Err(error) => {
                    // Out of descriptors, most likely: those that exist go on, and accepting resumes by itself.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, remote: SocketAddr) {
        let Ok(local) = stream.local_addr() else { return };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%remote, %error, "TCP_NODELAY");
        }
        let closed = self.stop.child_token();
        let (peer, outgoing) = Peer::new(remote, local, self.limits.write_budget, closed.clone());
        let connection = Connection {
            peer: peer.clone(),
            routes: self.routes.clone(),
            fast_port: self.fast_port,
            limits: self.limits.clone(),
            outgoing,
            closed,
        };
        let on_close = self.on_close.clone();
        self.tasks.spawn(async move {
            if let Some(reason) = connection.run(stream).await {
                tracing::info!(%remote, reason, "connection closed");
            }
            on_close(&peer);
        });
    }
}
