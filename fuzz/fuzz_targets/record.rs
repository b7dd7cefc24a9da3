//! Any bytes as a record: whatever is taken for one stays inside them and can be written again.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use raptormq_message::{Checks, Decoded, NewMessage, Positions, Prepared, decode, decode_message};

fuzz_target!(|bytes: &[u8]| {
    for checks in [Checks::BodyCrc, Checks::PropertyCrc] {
        let _ = decode(bytes, checks);
    }
    let _ = decode_message(&Bytes::copy_from_slice(bytes));
    let Ok(Decoded::Record(record)) = decode(bytes, Checks::Sizes) else { return };
    assert!(record.len <= bytes.len());
    let _ = (record.store_properties(), record.offset_msg_id());
    let message = NewMessage {
        topic: record.topic.as_ref().into(),
        queue_id: record.queue_id,
        flag: record.flag,
        sys_flag: record.sys_flag,
        born_timestamp: record.born_timestamp,
        born_host: record.born_host,
        store_host: record.store_host,
        reconsume_times: record.reconsume_times,
        prepared_transaction_offset: record.prepared_transaction_offset,
        body: Bytes::copy_from_slice(record.body),
        properties: Bytes::copy_from_slice(record.properties.as_bytes()),
    };
    let positions = Positions {
        queue_offset: record.queue_offset,
        log_offset: record.log_offset as u64,
        store_timestamp: record.store_timestamp,
    };
    // Text that is not UTF-8 grows when it is replaced, and may then fit no more.
    let Ok(prepared) = Prepared::new(&message, false) else { return };
    let again = prepared.to_vec(&message, &positions);
    let Ok(Decoded::Record(second)) = decode(&again, Checks::BodyCrc) else { panic!("it was written as a record") };
    assert_eq!((&second.topic, second.body, &second.properties), (&record.topic, record.body, &record.properties));
    assert_eq!(second.queue_offset, record.queue_offset);
});
