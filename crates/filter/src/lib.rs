//! Filters of subscriptions: RocketMQ's SQL92 over message properties (`rocketmq-filter`), and the Bloom filter that
//! keeps its results beside the consume queue.
//!
//! No I/O and no clock. Whatever the text, parsing ends in an expression or a [`ParseError`] whose text is Java's, and
//! evaluation ends after at most [`MAX_NODES`] steps.

mod bloom;
mod expression;
mod number;
mod parser;
mod scan;
mod token;
mod value;

pub use bloom::{Bits, BloomFilter, IllegalBloom};
pub use expression::Expression;
pub use parser::{MAX_DEPTH, MAX_NODES, MAX_UNITS, ParseError};
pub use value::EvalError;
