//! RocketMQ's remoting layer on tokio: listeners, connections, the request table, calls in both directions.
//!
//! A connection is one task. It reads what has arrived, hands every frame to its handler in arrival order, collects the
//! answers that are ready and writes them at once; answers that must wait (a flush, a held pull) are polled beside the
//! reads. Bounds: frame size, connections, idle time, bytes waiting to be written, requests waiting for an answer.
//!
//! Knows frames and codes, but nothing of topics, brokers or files. No other crate spawns per-connection tasks.

mod client;
mod conn;
mod outbox;
mod peer;
mod router;
mod server;

pub use client::{CallError, Client};
pub use conn::Limits;
pub use peer::{Peer, PeerGone};
pub use router::{Answer, Lane, Ports, Refusal, Reply, Request, RouteTable, Row, held, later};
pub use server::{OnClose, Server};

#[cfg(test)]
mod tests;
