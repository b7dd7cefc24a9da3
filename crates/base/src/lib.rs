//! What the standard library lacks and every other crate needs: a clock seam, a watermark, Java's text rules and
//! the RocketMQ configuration-key table. No I/O runtime, no sockets, no store.

pub mod clock;
pub mod config;
pub mod java;
pub mod poison;
pub mod properties;
pub mod replace;
pub mod watermark;
