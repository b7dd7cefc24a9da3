//! The JSON bodies, named as in Java and grouped by what they are about.
//!
//! Read them with `json::from_slice`, write them with `json::to_vec`.

mod client;
mod enums;
mod group;
mod mapping;
mod offset;
mod pop;
mod queue;
mod register;
mod route;
mod stats;
#[cfg(test)]
mod tests;
mod topic;

pub use client::*;
pub use enums::*;
pub use group::*;
pub use mapping::*;
pub use offset::*;
pub use pop::*;
pub use queue::*;
pub use register::*;
pub use route::*;
pub use stats::*;
pub use topic::*;
