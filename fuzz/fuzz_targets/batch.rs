//! Any bytes as the body of a batch.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use raptormq_message::batch::{decode_batch, encode_batch};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(items) = decode_batch(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(decode_batch(&encode_batch(&items)).as_ref(), Ok(&items));
    }
});
