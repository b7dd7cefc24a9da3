//! Bytes on their way to the socket: heads and small bodies are gathered into one buffer, large bodies stay the slices
//! they are (a pulled record is written straight from the mapped log).

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};
use raptormq_wire::{RemotingCommand, frame};

/// Bodies of at least this many bytes are written from where they are instead of being copied.
const COPY_BELOW: usize = 4096;
/// A drained gather buffer larger than this is given back to the allocator.
const KEEP_CAPACITY: usize = 64 * 1024;
/// Slices handed to one `writev`.
pub(crate) const SLICES: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    sealed: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl Outbox {
    /// Bytes waiting.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a frame.
    pub(crate) fn push(&mut self, command: &RemotingCommand) {
        let before = self.tail.len();
        frame::encode_head(command, &mut self.tail);
        self.len += self.tail.len() - before;
        for chunk in command.body.chunks() {
            self.len += chunk.len();
            if chunk.len() < COPY_BELOW {
                self.tail.extend_from_slice(chunk);
            } else {
                if !self.tail.is_empty() {
                    self.sealed.push_back(self.tail.split().freeze());
                }
                self.sealed.push_back(chunk.clone());
            }
        }
    }

    /// The first bytes to write.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut count = 0;
        for chunk in self.sealed.iter().map(|b| &b[..]).chain(std::iter::once(&self.tail[..])) {
            if count == SLICES {
                break;
            }
            if !chunk.is_empty() {
                slices[count] = IoSlice::new(chunk);
                count += 1;
            }
        }
        count
    }

    /// Forgets the first `n` bytes, which have been written.
    pub(crate) fn advance(&mut self, mut n: usize) {
        self.len -= n;
        while n > 0 {
            let Some(first) = self.sealed.front_mut() else {
                self.tail.advance(n);
                break;
            };
            if n < first.len() {
                first.advance(n);
                return;
            }
            n -= first.len();
            self.sealed.pop_front();
        }
        if self.len == 0 {
            self.tail.clear();
            if self.tail.capacity() > KEEP_CAPACITY {
                self.tail = BytesMut::new();
            }
        }
    }
}
