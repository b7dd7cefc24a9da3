//! The broker: stores what producers send, gives consumers what they pull, and tells the name servers about it.
//!
//! [`assemble`](Broker::start) builds each service from exactly what it needs; [`routes`] is the request table;
//! `tables` hold what the broker knows besides messages; `service` answers clients, `admin` answers operators.

pub mod admin;
mod assemble;
pub mod config;
pub mod names;
pub mod registration;
pub mod rocksdb;
pub mod routes;
pub mod service;
pub mod stats;
pub mod tables;
pub mod topic_routes;

pub use assemble::{Broker, StartError, documented_rows};
