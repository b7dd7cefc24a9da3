//! Filters of subscriptions: RocketMQ's SQL92 over message properties (`rocketmq-filter`), and the Bloom filter that
//! keeps its results beside the consume queue.
//!
//! No I/O and no clock. Whatever the text, parsing ends in an expression or a [`ParseError`] whose text is Java's. An
//! expression has at most [`MAX_NODES`] pieces, which bounds its memory: lists and long texts count for more than one, and
//! what is evaluated twice counts twice. Evaluation visits each of them once at most, and goes through at most
//! [`MAX_NODES`] blocks of [`BLOCK`] bytes of property values that are a block long or longer; beyond that it is an
//! [`EvalError`].

mod bloom;
mod expression;
mod number;
mod parser;
mod scan;
mod token;
mod value;

pub use bloom::{Bits, BloomFilter, IllegalBloom};
pub use expression::Expression;
pub use parser::{BLOCK, MAX_DEPTH, MAX_NODES, MAX_UNITS, ParseError};
pub use value::EvalError;
