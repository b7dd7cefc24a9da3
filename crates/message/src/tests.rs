//! Vectors made by the Java classes (testdata/java-5.5.0), and what no input may do.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use crate::batch::{BatchItem, decode_batch, encode_batch};
use crate::layout::CRC_PROPERTY_LEN;
use crate::props::Properties;
use crate::*;

fn vectors(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../testdata/java-5.5.0/codec_vectors.json")).unwrap();
    let found = all[kind].as_array().unwrap().clone();
    assert!(!found.is_empty(), "{kind}");
    found
}

fn hex(text: &Value) -> Bytes {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Java prints a socket address as `/10.1.2.3:40000`, a v6 one uncompressed.
fn host(text: &Value) -> SocketAddr {
    text.as_str().unwrap().trim_start_matches('/').parse().unwrap()
}

fn record(bytes: &[u8], checks: Checks) -> Record<'_> {
    match decode(bytes, checks).unwrap() {
        Decoded::Record(record) => record,
        Decoded::Blank => panic!("blank"),
    }
}

fn to_new(record: &Record<'_>) -> NewMessage {
    NewMessage {
        topic: Arc::from(&*record.topic),
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
    }
}

#[test]
fn records_of_java_decode_to_the_same_fields_and_encode_to_the_same_bytes() {
    for vector in vectors("store_record") {
        let name = vector["name"].as_str().unwrap();
        if vector["encode_error"] == "PROPERTIES_SIZE_EXCEEDED" {
            let template = vectors("store_record");
            let bytes = hex(&template[0]["hex"]);
            let mut message = to_new(&record(&bytes, Checks::BodyCrc));
            message.properties = Bytes::from(vec![b'p'; 32_768]);
            assert_eq!(encoded_len(&message), Err(EncodeError::PropertiesTooLong { bytes: 32_768 }));
            message.properties = Bytes::from(vec![b'p'; 32_767]);
            assert!(encoded_len(&message).is_ok());
            continue;
        }
        let bytes = hex(&vector["hex"]);
        let want = &vector["decoded"];
        if want.is_null() {
            // A V1 record whose topic length has its sign bit set: Java reads it as negative and refuses.
            assert!(name.contains("wrong on purpose"), "{name}");
            assert!(matches!(decode(&bytes, Checks::Sizes), Err(DecodeError::Sizes { .. })), "{name}");
            continue;
        }
        let with_crc = vector["crcEnabled"] == true;
        let got = record(&bytes, Checks::BodyCrc);
        if with_crc {
            record(&bytes, Checks::PropertyCrc);
        }
        assert_eq!(got.topic, want["topic"].as_str().unwrap(), "{name}");
        assert_eq!(i64::from(got.queue_id), want["queueId"].as_i64().unwrap(), "{name}");
        assert_eq!(got.len as i64, want["storeSize"].as_i64().unwrap(), "{name}");
        assert_eq!(got.queue_offset, want["queueOffset"].as_i64().unwrap(), "{name}");
        assert_eq!(got.log_offset, want["commitLogOffset"].as_i64().unwrap(), "{name}");
        assert_eq!(got.born_timestamp, want["bornTimestamp"].as_i64().unwrap(), "{name}");
        assert_eq!(got.born_host, host(&want["bornHost"]), "{name}");
        assert_eq!(got.store_timestamp, want["storeTimestamp"].as_i64().unwrap(), "{name}");
        assert_eq!(got.store_host, host(&want["storeHost"]), "{name}");
        assert_eq!(i64::from(got.body_crc), want["bodyCRC"].as_i64().unwrap(), "{name}");
        assert_eq!(i64::from(got.reconsume_times), want["reconsumeTimes"].as_i64().unwrap(), "{name}");
        assert_eq!(
            got.prepared_transaction_offset,
            want["preparedTransactionOffset"].as_i64().unwrap(),
            "{name}"
        );
        assert_eq!(i64::from(got.flag), want["flag"].as_i64().unwrap(), "{name}");
        assert_eq!(got.offset_msg_id(), want["msgId"].as_str().unwrap(), "{name}");
        if got.sys_flag & flags::COMPRESSED == 0 {
            let body = if want["bodyHex"].is_null() { Bytes::new() } else { hex(&want["bodyHex"]) };
            assert_eq!(got.body, body, "{name}");
            assert_eq!(i64::from(got.sys_flag), want["sysFlag"].as_i64().unwrap(), "{name}");
        }
        let wanted = want["properties"].as_object().cloned().unwrap_or_default();
        assert_eq!(props::iter(&got.properties).count(), wanted.len(), "{name}");
        for (key, value) in &wanted {
            assert_eq!(props::get(&got.properties, key), value.as_str(), "{name}: {key}");
        }

        let mut message = to_new(&got);
        if with_crc {
            // Java's input ended before the property that the store appended, and the separator it may have added.
            let end =
                message.properties.len() - CRC_PROPERTY_LEN - usize::from(name.contains("without trailing"));
            message.properties.truncate(end);
        }
        let forced_v2 = name == "v2 short topic both v6";
        let positions =
            Positions { queue_offset: 77, log_offset: 4096, store_timestamp: got.store_timestamp };
        let prepared = Prepared::new(&message, with_crc).unwrap();
        if !forced_v2 {
            assert_eq!(prepared.to_vec(&message, &positions), bytes, "{name}");
        }
        let owned = decode_message(&bytes).unwrap();
        assert_eq!((&*owned.topic, &owned.body[..]), (&*got.topic, got.body), "{name}");
        assert_eq!(owned.properties_str(), got.properties, "{name}");
    }
}

#[test]
fn a_message_that_a_java_client_encoded_decodes() {
    let vector = &vectors("message_ext_encode")[0];
    let bytes = hex(&vector["hex"]);
    let got = record(&bytes, Checks::Sizes);
    assert_eq!(got.offset_msg_id(), vector["decoded"]["msgId"].as_str().unwrap());
    assert_eq!(
        (got.body, &*got.topic, &*got.properties),
        (&b"hello"[..], "TopicTest", "a\u{1}1\u{2}b\u{1}2\u{2}")
    );
}

#[test]
fn batch_bodies_come_apart_as_java_takes_them_apart() {
    for vector in vectors("batch_body") {
        let body = hex(&vector["hex"]);
        let items = decode_batch(&body).unwrap();
        let messages = vector["messages"].as_array().unwrap();
        assert_eq!(items.len(), messages.len());
        for (item, message) in items.iter().zip(messages) {
            assert_eq!(i64::from(item.flag), message["flag"].as_i64().unwrap());
            assert_eq!(item.body, hex(&message["bodyHex"]));
            let text = std::str::from_utf8(&item.properties).unwrap();
            for (key, value) in message["properties"].as_object().unwrap() {
                assert_eq!(props::get(text, key), value.as_str());
            }
        }
        assert_eq!(encode_batch(&items), body);
        for cut in 1..body.len() {
            let whole = [33, 57].contains(&cut);
            assert_eq!(decode_batch(&body.slice(..cut)).is_ok(), whole, "cut at {cut}");
        }
    }
}

#[test]
fn a_batch_becomes_the_records_that_java_makes_of_it() {
    let batch = decode_batch(&hex(&vectors("batch_body")[0]["hex"])).unwrap();
    for vector in vectors("batch_store") {
        let with_crc = vector["crcEnabled"] == true;
        let mut got = Vec::new();
        for BatchItem { flag, body, properties } in batch.clone() {
            let message = NewMessage {
                topic: "TopicTest".into(),
                queue_id: 1,
                flag,
                sys_flag: 0,
                born_timestamp: 5,
                born_host: "127.0.0.1:6".parse().unwrap(),
                store_host: "127.0.0.2:8".parse().unwrap(),
                reconsume_times: 0,
                prepared_transaction_offset: 0,
                body,
                properties,
            };
            let positions = Positions { store_timestamp: 6, ..Positions::default() };
            let mut bytes = Prepared::new(&message, with_crc).unwrap().to_vec(&message, &positions);
            if with_crc {
                // The vector was taken before Java fills in the checksum.
                let at = bytes.len() - CRC_PROPERTY_LEN;
                assert!(bytes[at..].starts_with(b"__CRC32#\x01"));
                bytes[at..].fill(0);
            }
            got.extend(bytes);
        }
        assert_eq!(got, hex(&vector["hex"]), "{}", vector["name"]);
    }
}

#[test]
fn property_strings_read_and_write_as_in_java() {
    for vector in vectors("properties_string") {
        let bytes = hex(&vector["string_hex"]);
        let text = std::str::from_utf8(&bytes).unwrap();
        let encoded = vector["kind"] == "encode";
        let want = if encoded { &vector["decoded_back"] } else { &vector["map"] };
        let parsed = Properties::parse(text);
        assert_eq!(parsed.len(), want.as_object().unwrap().len(), "{}", vector["id"]);
        for (key, value) in want.as_object().unwrap() {
            assert_eq!(parsed.get(key), value.as_str(), "{}", vector["id"]);
            assert_eq!(props::get(text, key), value.as_str(), "{}", vector["id"]);
        }
        if encoded {
            let source = vector["map"].as_object().unwrap();
            let list: Properties =
                source.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
            assert_eq!(list.encode(), text, "{}", vector["id"]);
        }
    }
}

#[test]
fn properties_are_edited_in_place() {
    let mut list = Properties::parse("a\u{1}1\u{2}b\u{1}2\u{2}c\u{1}3");
    list.set("b", "x");
    assert_eq!(list.remove("a"), Some("1".to_owned()));
    assert_eq!(list.remove("a"), None);
    list.set("d", "4");
    assert_eq!(list.encode(), "b\u{1}x\u{2}c\u{1}3\u{2}d\u{1}4\u{2}");
    assert!(list.contains("c") && !list.is_empty());
    assert_eq!(list.iter().map(|(key, _)| key).collect::<String>(), "bcd");
    let found = props::StoreProperties::parse(
        "KEYS\u{1}k1 k2\u{2}TAGS\u{1}t\u{2}UNIQ_KEY\u{1}u\u{2}DELAY\u{1}3\u{2}",
    );
    assert_eq!(
        (found.keys, found.tags, found.unique_key, found.delay),
        (Some("k1 k2"), Some("t"), Some("u"), Some("3"))
    );
}

#[test]
fn message_ids_of_java() {
    for vector in vectors("offset_msg_id") {
        let id = vector["id"].as_str().unwrap();
        let ip = vector["host"].as_str().unwrap().parse().unwrap();
        let host = SocketAddr::new(ip, vector["port"].as_u64().unwrap() as u16);
        let offset = vector["offset"].as_u64().unwrap();
        assert_eq!(offset_msg_id(host, offset), id);
        assert_eq!(parse_offset_msg_id(id), Ok((host, offset)));
        assert_eq!(parse_offset_msg_id(&id.to_lowercase()), Ok((host, offset)));
    }
    for id in [
        "",
        "7F00",
        "+F00000100002A9F0000000000000000",
        "7F00000100012A9F0000000000000000",
        "é00000010000A9F0000000000000000",
    ] {
        assert_eq!(parse_offset_msg_id(id), Err(InvalidMessageId), "{id}");
    }
    for vector in vectors("uniq_id").iter().filter(|vector| vector["pid"].is_u64()) {
        let id = vector["id"].as_str().unwrap();
        let ip = vector["ip"].as_str().unwrap().parse().unwrap();
        let tail = &id[id.len() - 20..];
        let number = |from: usize, to: usize| u32::from_str_radix(&tail[from..to], 16).unwrap();
        let made = unique_id(
            ip,
            vector["pid"].as_u64().unwrap() as u32,
            number(0, 8),
            number(8, 16),
            number(16, 20) as u16,
        );
        assert_eq!(made, id);
    }
    let ids = UniqueIds::new("172.17.0.1".parse().unwrap(), 2748, 0x18B4_AAC2, |_| 1_706_745_600_000);
    // 2024-02-29T00:00:01Z is 28 days and one second into its month.
    assert_eq!(ids.next(1_709_164_801_000), "AC1100010ABC18B4AAC2903213E80000");
    assert_eq!(ids.next(1_709_164_801_000), "AC1100010ABC18B4AAC2903213E80001");
    let east_start = |_| 1_706_745_600_000 - 8 * 3_600_000;
    let east = UniqueIds::new("172.17.0.1".parse().unwrap(), 2748, 0x18B4_AAC2, east_start);
    assert_eq!(
        &east.next(1_709_164_801_000)[20..28],
        format!("{:08X}", (28u64 * 24 + 8) * 3_600_000 + 1_000)
    );
}

#[test]
fn hashes_checksums_and_names_of_java() {
    for vector in vectors("string_hash") {
        let text = vector["string"].as_str().unwrap();
        assert_eq!(tags_code(Some(text)), vector["tagsCode"].as_i64().unwrap(), "{text}");
    }
    assert_eq!((tags_code(None), tags_code(Some(""))), (0, 0));
    for vector in vectors("crc32") {
        assert_eq!(
            u64::from(body_crc(&hex(&vector["bytes_hex"]))),
            vector["UtilAll.crc32"].as_u64().unwrap()
        );
    }
    for vector in vectors("crc32_property") {
        let Ok(crc) = u32::try_from(vector["crc"].as_i64().unwrap()) else { continue };
        assert_eq!(crate::record::crc_property(crc)[..], hex(&vector["property_bytes_hex"])[..]);
    }
    for vector in vectors("file_name") {
        assert_eq!(file_name(vector["offset"].as_u64().unwrap()), vector["name"].as_str().unwrap());
    }
}

#[test]
fn what_is_not_a_record_is_refused_as_java_refuses_it() {
    let bytes = hex(&vectors("store_record")[0]["hex"]).to_vec();
    let total = bytes.len();
    let poke = |at: usize, with: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + with.len()].copy_from_slice(with);
        changed
    };
    let mut following = bytes.clone();
    following.extend_from_slice(&bytes);
    assert_eq!(record(&following, Checks::BodyCrc).len, total);
    for cut in 0..total {
        assert!(decode(&bytes[..cut], Checks::BodyCrc).is_err(), "cut at {cut}");
    }
    assert_eq!(decode(&[0; 4096], Checks::BodyCrc), Err(DecodeError::Magic(0)));
    assert_eq!(decode(&blank(8), Checks::BodyCrc), Ok(Decoded::Blank));
    assert!(matches!(decode(&blank(9), Checks::BodyCrc), Err(DecodeError::Cut { total: 9, .. })));
    let body_at = layout::body_at(0);
    assert!(matches!(decode(&poke(body_at, b"j"), Checks::BodyCrc), Err(DecodeError::Crc { .. })));
    assert!(decode(&poke(body_at, b"j"), Checks::Sizes).is_ok());
    assert!(matches!(decode(&poke(total - 3, b"9"), Checks::PropertyCrc), Err(DecodeError::Crc { .. })));
    for size in [-1, i32::MIN, 0, 8, 90, total as i32 - 1] {
        assert!(decode(&poke(0, &size.to_be_bytes()), Checks::Sizes).is_err(), "{size}");
    }
    assert!(matches!(decode(&poke(0, &i32::MAX.to_be_bytes()), Checks::Sizes), Err(DecodeError::Cut { .. })));
    // A length field that is negative counts as zero, so this one no longer adds up.
    assert!(matches!(decode(&poke(body_at - 4, &[0xFF; 4]), Checks::Sizes), Err(DecodeError::Sizes { .. })));
}

proptest! {
    #[test]
    fn damaged_records_never_panic(at in 0usize..143, with in any::<u8>(), cut in 0usize..144) {
        let mut bytes = hex(&vectors("store_record")[0]["hex"]).to_vec();
        bytes[at] = with;
        bytes.truncate(cut);
        let _ = decode(&bytes, Checks::BodyCrc);
        let _ = decode(&bytes, Checks::PropertyCrc);
        let _ = decode_batch(&Bytes::from(bytes));
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same(
        topic in "[a-zA-Z%_-]{0,300}", body in proptest::collection::vec(any::<u8>(), 0..300),
        props in "([a-z]{1,5}\u{1}[a-z ]{1,9}\u{2}){0,5}", v6 in any::<[bool; 2]>(), numbers in any::<[i64; 4]>(), crc in any::<bool>(),
    ) {
        let host = |v6: bool| -> SocketAddr { if v6 { "[2001:db8::1]:65535" } else { "10.0.0.1:1" }.parse().unwrap() };
        let message = NewMessage {
            topic: topic.as_str().into(), queue_id: numbers[0] as i32, flag: numbers[1] as i32, sys_flag: 0,
            born_timestamp: numbers[2], born_host: host(v6[0]), store_host: host(v6[1]), reconsume_times: 3,
            prepared_transaction_offset: numbers[3], body: body.into(), properties: Bytes::from(props),
        };
        let positions = Positions { queue_offset: numbers[0], log_offset: numbers[1] as u64, store_timestamp: numbers[3] };
        let prepared = Prepared::new(&message, crc).unwrap();
        prop_assert_eq!(encoded_len(&message).unwrap(), Prepared::new(&message, false).unwrap().len());
        let bytes = prepared.to_vec(&message, &positions);
        let got = record(&bytes, if crc { Checks::PropertyCrc } else { Checks::BodyCrc });
        prop_assert_eq!(got.len, bytes.len());
        prop_assert_eq!(got.queue_offset, positions.queue_offset);
        prop_assert_eq!(got.log_offset as u64, positions.log_offset);
        prop_assert_eq!(got.store_timestamp, positions.store_timestamp);
        prop_assert!(got.properties.as_bytes().starts_with(&message.properties));
        let mut back = to_new(&got);
        back.properties = message.properties.clone();
        back.sys_flag = 0;
        prop_assert_eq!(back, message);
    }
}
