//! The name server: which brokers are alive, and on which of them each topic lives.
//!
//! Everything but the key-value configuration is in memory and comes back with the brokers' next registrations, so
//! name servers know nothing of each other. The tables are a state machine ([`registry`]) behind one lock; handlers
//! decode, ask it, and answer. Effects on the outside (closing connections, telling brokers of a new lowest id) are
//! values that [`service`](Namesrv) carries out.

mod cli;
mod config;
mod handler;
mod kv;
pub mod registry;
mod route;
mod routes;
mod server;
mod service;

pub use cli::main;
pub use config::{SECTIONS, load};
pub use kv::{KvError, KvStore};
pub use routes::{Treatment, treatments};
pub use server::{Namesrv, StartError};
