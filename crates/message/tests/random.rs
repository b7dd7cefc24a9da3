//! Records, batches, properties and ids of any content: what is written is read back, what is not one is refused, and
//! nothing is read beyond the bytes that belong to a record.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use raptormq_message::batch::{BatchItem, decode_batch, encode_batch};
use raptormq_message::props::{self, Properties, StoreProperties};
use raptormq_message::{
    Checks, DecodeError, Decoded, NewMessage, Positions, Prepared, decode, decode_message, flags, layout,
    offset_msg_id, parse_offset_msg_id,
};

fn host() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<u32>().prop_map(|ip| IpAddr::V4(Ipv4Addr::from(ip))),
        any::<u128>().prop_map(|ip| IpAddr::V6(Ipv6Addr::from(ip))),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// Any message that fits into a record: topics of V1 and V2, bytes of any kind in body and user fields.
fn message() -> impl Strategy<Value = NewMessage> {
    let topic =
        prop_oneof![3 => "[a-zA-Z0-9%_-]{0,127}", 1 => "[a-zA-Z0-9%_-]{128,300}", 1 => "[中é😀x]{0,31}"];
    let numbers = (any::<i32>(), any::<i32>(), any::<i32>(), any::<i64>(), any::<i32>(), any::<i64>());
    (topic, numbers, host(), host(), vec(any::<u8>(), 0..600), properties()).prop_map(
        |(topic, numbers, born_host, store_host, body, properties)| {
            let (queue_id, flag, sys_flag, born_timestamp, reconsume_times, prepared) = numbers;
            NewMessage {
                topic: topic.into(),
                queue_id,
                flag,
                sys_flag,
                born_timestamp,
                born_host,
                store_host,
                reconsume_times,
                prepared_transaction_offset: prepared,
                body: body.into(),
                properties: properties.into(),
            }
        },
    )
}

fn properties() -> impl Strategy<Value = String> {
    vec(("[A-Z_]{1,12}", "[^\u{1}\u{2}]{1,30}"), 0..6)
        .prop_map(|pairs| pairs.iter().map(|(key, value)| format!("{key}\u{1}{value}\u{2}")).collect())
}

fn positions() -> impl Strategy<Value = Positions> {
    (any::<i64>(), any::<i64>(), any::<i64>()).prop_map(|(queue_offset, log_offset, store_timestamp)| {
        Positions { queue_offset, log_offset: log_offset as u64, store_timestamp }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_field_comes_back(message in message(), positions in positions(), crc: bool, behind in vec(any::<u8>(), 0..40)) {
        let prepared = Prepared::new(&message, crc).unwrap();
        let mut bytes = prepared.to_vec(&message, &positions);
        let len = bytes.len();
        prop_assert_eq!(len, prepared.len());
        // What follows a record in the log has no influence on it.
        bytes.extend(&behind);
        let checks = if crc { Checks::PropertyCrc } else { Checks::BodyCrc };
        let Ok(Decoded::Record(record)) = decode(&bytes, checks) else {
            panic!("{:?}", decode(&bytes, checks));
        };
        prop_assert_eq!(record.len, len);
        prop_assert_eq!(&record.topic, &*message.topic);
        prop_assert_eq!(record.body, &message.body[..]);
        let v6 = flags::BORNHOST_V6 | flags::STOREHOST_V6;
        prop_assert_eq!(record.sys_flag & !v6, message.sys_flag & !v6);
        prop_assert_eq!((record.born_host, record.store_host), (message.born_host, message.store_host));
        let ours = (message.queue_id, message.flag, message.born_timestamp, message.reconsume_times);
        prop_assert_eq!((record.queue_id, record.flag, record.born_timestamp, record.reconsume_times), ours);
        prop_assert_eq!(record.prepared_transaction_offset, message.prepared_transaction_offset);
        let placed = (positions.queue_offset, positions.log_offset as i64, positions.store_timestamp);
        prop_assert_eq!((record.queue_offset, record.log_offset, record.store_timestamp), placed);
        prop_assert!(record.properties.as_bytes().starts_with(&message.properties));
        prop_assert_eq!(record.properties.len() - message.properties.len(), if crc { layout::CRC_PROPERTY_LEN } else { 0 });
        let magic = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
        let v2 = message.topic.encode_utf16().count() > layout::TOPIC_V1_MAX;
        prop_assert_eq!(magic, if v2 { layout::MAGIC_V2 } else { layout::MAGIC_V1 });

        let owned = decode_message(&Bytes::copy_from_slice(&bytes[..len])).unwrap();
        prop_assert_eq!(&*owned.topic, &*message.topic);
        prop_assert_eq!(&owned.body, &message.body);
        prop_assert_eq!(owned.properties_str(), record.properties.clone());
        prop_assert_eq!(owned.offset_msg_id(), record.offset_msg_id());
    }

    /// Cut anywhere, a record is none: never a shorter one, never one of other bytes.
    #[test]
    fn a_cut_record_is_refused(message in message(), positions in positions(), cut in 0usize..1_000) {
        let bytes = Prepared::new(&message, false).unwrap().to_vec(&message, &positions);
        let cut = cut % bytes.len();
        let refused = decode(&bytes[..cut], Checks::Sizes);
        prop_assert!(matches!(refused, Err(DecodeError::Cut { .. })), "{:?}", refused);
    }

    /// A changed body is noticed, and whatever a changed byte makes of the lengths stays inside the record's bytes.
    #[test]
    fn a_changed_byte_harms_nobody_else(
        message in message(),
        positions in positions(),
        at in 0usize..1_000,
        bit in 0u8..8,
    ) {
        let mut bytes = Prepared::new(&message, true).unwrap().to_vec(&message, &positions);
        let original = bytes.clone();
        let digits = bytes.len() - layout::CRC_PROPERTY_LEN;
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let decoded = decode(&bytes, Checks::PropertyCrc);
        // The checksum's property is not covered by itself: its name, digits and separators can change unseen.
        let covered = at < bytes.len() - layout::CRC_PROPERTY_LEN;
        if let Ok(Decoded::Record(record)) = &decoded {
            // A record may lose an end that holds its length, never gain one.
            prop_assert_eq!(record.len, bytes.len());
            let hidden = crc32fast::hash(&original[..digits]) ^ crc32fast::hash(&bytes[..digits]);
            prop_assert!(!covered || hidden == 0x8000_0000, "byte {} of {}", at, bytes.len());
        }
        if let Ok(Decoded::Record(record)) = decode(&bytes, Checks::Sizes) {
            prop_assert_eq!(record.len, bytes.len());
            prop_assert!(record.body.as_ptr_range().end <= bytes.as_ptr_range().end);
        }
    }

    #[test]
    fn a_changed_body_fails_its_checksum(message in message(), positions in positions(), at in 0usize..600, bit in 0u8..8) {
        prop_assume!(!message.body.is_empty());
        let bytes = Prepared::new(&message, false).unwrap().to_vec(&message, &positions);
        let Ok(Decoded::Record(record)) = decode(&bytes, Checks::BodyCrc) else { panic!() };
        let body_at = record.body.as_ptr() as usize - bytes.as_ptr() as usize;
        let mut damaged = bytes.clone();
        damaged[body_at + at % message.body.len()] ^= 1 << bit;
        let refused = decode(&damaged, Checks::BodyCrc);
        // The stored checksum lacks the top bit: changes that only that bit would show pass, in Java as here.
        let full = |bytes: &[u8]| crc32fast::hash(&bytes[body_at..body_at + message.body.len()]);
        let only_top = (full(&bytes) ^ full(&damaged)) == 0x8000_0000;
        prop_assert!(only_top || matches!(refused, Err(DecodeError::Crc { .. })), "{:?}", refused);
    }

    #[test]
    fn any_bytes_decode_to_something(bytes in vec(any::<u8>(), 0..400), magic in 0usize..4, total in any::<Option<u16>>()) {
        let mut bytes = bytes;
        if let (Some(magic), true) =
            ([layout::MAGIC_V1, layout::MAGIC_V2, layout::MAGIC_BLANK].get(magic), bytes.len() >= 8)
        {
            bytes[4..8].copy_from_slice(&magic.to_be_bytes());
            let total = total.map_or(bytes.len() as u32, u32::from);
            bytes[..4].copy_from_slice(&total.to_be_bytes());
        }
        for checks in [Checks::Sizes, Checks::BodyCrc, Checks::PropertyCrc] {
            if let Ok(Decoded::Record(record)) = decode(&bytes, checks) {
                prop_assert!(record.len <= bytes.len() && record.len >= layout::RECORD_MIN);
                // What was taken for a record does not depend on what follows.
                prop_assert!(decode(&bytes[..record.len], checks).is_ok());
            }
        }
        let _ = decode_message(&Bytes::from(bytes.clone()));
        let _ = decode_batch(&Bytes::from(bytes));
    }

    #[test]
    fn batches_come_apart_as_they_were_put_together(
        items in vec((any::<i32>(), vec(any::<u8>(), 0..80), properties()), 0..8),
        cut in any::<Option<u16>>(),
    ) {
        let items: Vec<BatchItem> = items
            .into_iter()
            .map(|(flag, body, properties)| BatchItem { flag, body: body.into(), properties: properties.into() })
            .collect();
        let bytes = encode_batch(&items);
        prop_assert_eq!(decode_batch(&bytes).unwrap(), items.clone());
        if let Some(cut) = cut {
            let cut = usize::from(cut) % (bytes.len() + 1);
            match decode_batch(&bytes.slice(..cut)) {
                Ok(first) => prop_assert_eq!(&first[..], &items[..first.len()]),
                Err(error) => prop_assert!(error.at <= cut),
            }
        }
    }

    #[test]
    fn property_strings_of_any_text_are_read(text in "[\u{0}-\u{4}A-Z #\u{1F600}]{0,200}") {
        let all: Vec<(&str, &str)> = props::iter(&text).collect();
        for (key, value) in &all {
            prop_assert!(!key.is_empty() && !value.is_empty());
            prop_assert!(props::get(&text, key).is_some());
        }
        let _ = StoreProperties::parse(&text);
        // Reading what was written changes nothing more.
        let once = Properties::parse(&text);
        prop_assert_eq!(Properties::parse(&once.encode()).encode(), once.encode());
    }

    #[test]
    fn offset_ids_come_back(host in host(), offset: u64, any_text in "[0-9A-Fa-fx]{0,60}") {
        prop_assert_eq!(parse_offset_msg_id(&offset_msg_id(host, offset)), Ok((host, offset)));
        if let Ok((host, offset)) = parse_offset_msg_id(&any_text) {
            prop_assert!(offset_msg_id(host, offset).eq_ignore_ascii_case(&any_text));
        }
    }
}
