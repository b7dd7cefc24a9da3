//! The RocketMQ remoting protocol without I/O: frames, command headers in JSON and binary form, the typed headers of
//! every request and response, and the JSON bodies. Bytes in, values out; nothing here opens a socket, reads a
//! clock or keeps state.
//!
//! What comes from the network is never trusted: a length is compared with the bytes that are there before
//! anything is allocated, and nesting is bounded.

// The derive macro names this crate by its outside name.
extern crate self as raptormq_wire;

pub mod body;
mod body_bytes;
pub mod code;
mod command;
mod ext;
pub mod frame;
pub mod header;
mod header_trait;
pub mod json;
mod language;
mod serialize_type;
#[cfg(test)]
mod testdata;

pub use body_bytes::Body;
pub use code::{RequestCode, ResponseCode};
pub use command::{CURRENT_VERSION, RemotingCommand};
pub use ext::ExtFields;
pub use frame::FrameError;
pub use header_trait::{FieldInfo, FieldType, Header, HeaderError, scalar};
pub use language::LanguageCode;
pub use raptormq_derive::Header;
pub use serialize_type::SerializeType;
