use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::{DEFAULT_MAX_LEN, FrameError, decode, encode, split};
use crate::testdata::{hex, vectors};
use crate::{Body, ExtFields, LanguageCode, RemotingCommand, RequestCode, ResponseCode, SerializeType};

fn check_parsed(command: &RemotingCommand, parsed: &Value, id: &str) {
    let int = |name: &str| parsed[name].as_i64().unwrap();
    assert_eq!(i64::from(command.code), int("code"), "{id}");
    match parsed["language"].as_str() {
        Some(name) => assert_eq!(command.language.name(), name, "{id}"),
        None => assert_eq!(command.language, LanguageCode::Unknown, "{id}"),
    }
    assert_eq!(i64::from(command.version), int("version"), "{id}");
    assert_eq!(i64::from(command.flag), int("flag"), "{id}");
    assert_eq!(command.is_response(), parsed["isResponse"].as_bool().unwrap(), "{id}");
    assert_eq!(command.is_oneway(), parsed["isOneway"].as_bool().unwrap(), "{id}");
    assert_eq!(command.remark.as_deref(), parsed["remark"].as_str(), "{id}");
    let mut expected = ExtFields::new();
    for (key, value) in parsed["extFields"].as_object().into_iter().flatten() {
        if let Some(value) = value.as_str() {
            expected.insert(key, value);
        }
    }
    assert_eq!(command.ext, expected, "{id}");
    assert_eq!(command.serialize.name(), parsed["serialize"].as_str().unwrap(), "{id}");
    if let Some(body) = parsed["bodyHex"].as_str() {
        if let Some(crc) = body.strip_prefix("crc32:") {
            let ours = crc32fast::hash(&command.body.to_bytes()) & 0x7FFF_FFFF;
            assert_eq!(ours.to_string(), crc, "{id}");
            return;
        }
        assert_eq!(command.body.to_bytes(), hex(body), "{id}");
    }
}

#[test]
fn javas_frames_decode_and_come_back_the_same() {
    let mut seen = 0;
    for group in ["remoting_frame", "real_client_frames"] {
        for vector in vectors(group).as_array().unwrap() {
            let id = vector["id"].as_str().unwrap();
            let Some(frame) = vector["frame_hex"].as_str() else {
                continue;
            };
            // The largest frames are recorded with their ends only.
            if frame.contains("...") {
                continue;
            }
            let mut buf = BytesMut::from(&hex(frame)[..]);
            let whole = buf.clone();
            let command = decode(split(&mut buf, DEFAULT_MAX_LEN).unwrap().unwrap()).unwrap();
            assert!(buf.is_empty(), "{id}");
            check_parsed(&command, &vector["parsed"], id);
            assert_eq!(i64::from(command.opaque), vector["parsed"]["opaque"].as_i64().unwrap(), "{id}");
            let ours = encode(&command);
            // An empty map and an entry without a value say nothing, so we do not write them.
            let says_nothing = vector["parsed"]["extFields"]
                .as_object()
                .is_some_and(|ext| ext.is_empty() || ext.values().any(Value::is_null));
            if !says_nothing {
                assert_eq!(ours, whole, "{id}: {}", String::from_utf8_lossy(&ours));
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn headers_java_tolerates_are_tolerated_and_those_it_refuses_are_refused() {
    for vector in vectors("json_header_decode").as_array().unwrap() {
        let id = vector["id"].as_str().unwrap();
        let header = vector["header_json"].as_str().unwrap();
        let mut frame = (header.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(header.as_bytes());
        let decoded = decode(frame.into());
        match vector["parsed"].as_object() {
            Some(_) => check_parsed(&decoded.unwrap(), &vector["parsed"], id),
            None => assert!(decoded.is_err(), "{id}"),
        }
    }
}

#[test]
fn malformed_frames_fail_where_java_fails() {
    for vector in vectors("malformed_frame").as_array().unwrap() {
        let id = vector["id"].as_str().unwrap();
        let decoded = decode(hex(vector["after_length_hex"].as_str().unwrap()));
        match vector["parsed"].as_object() {
            Some(_) => check_parsed(&decoded.unwrap(), &vector["parsed"], id),
            None => assert!(decoded.is_err(), "{id}"),
        }
    }
}

#[test]
fn ext_values_that_are_no_strings_become_strings() {
    let header = br#"{"code":1,"extFields":{"a":1,"b":true,"c":{"x":1},"d":null,"e":1.5}}"#;
    let mut frame = (header.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(header);
    let ext = decode(frame.into()).unwrap().ext;
    let expected: ExtFields =
        [("a", "1"), ("b", "true"), ("c", "{\"x\":1}"), ("e", "1.5")].into_iter().collect();
    assert_eq!(ext, expected);
}

#[test]
fn a_frame_is_split_off_only_when_whole() {
    let frame = encode(&RemotingCommand::request(RequestCode::HEART_BEAT).with_body(vec![7; 10]));
    let mut buf = BytesMut::new();
    for (index, byte) in frame.iter().enumerate() {
        assert_eq!(split(&mut buf, 1024).unwrap(), None, "{index}");
        buf.extend_from_slice(&[*byte]);
    }
    buf.extend_from_slice(&frame[..3]);
    let got = split(&mut buf, 1024).unwrap().unwrap();
    assert_eq!(decode(got).unwrap().body, Body::from(vec![7; 10]));
    assert_eq!(&buf[..], &frame[..3]);
}

#[test]
fn a_frame_over_the_limit_is_refused_at_its_length() {
    let exact = |total: u32| {
        let mut buf = BytesMut::from(&(total - 4).to_be_bytes()[..]);
        split(&mut buf, 100)
    };
    assert_eq!(exact(100), Ok(None));
    assert_eq!(exact(101), Err(FrameError::TooLong { len: 101, max: 100 }));
    let mut negative = BytesMut::from(&(-1i32).to_be_bytes()[..]);
    assert!(split(&mut negative, DEFAULT_MAX_LEN).is_err());
}

#[test]
fn escapes_survive_both_directions() {
    let text = "q\" b\\ s/ \u{1}\u{2}\u{8}\t\n\u{b}\u{c}\r\u{1f}\u{7f} é 中 😀";
    for serialize in [SerializeType::Json, SerializeType::RocketMq] {
        let mut command = RemotingCommand::request(RequestCode::SEND_MESSAGE);
        command.serialize = serialize;
        command.ext.insert("i", text);
        command.ext.insert(text, "v");
        command.remark = Some(text.to_owned());
        let frame = encode(&command);
        let again = decode(frame.slice(4..)).unwrap();
        assert_eq!(again, command);
    }
}

#[test]
fn escaped_surrogates_are_joined() {
    let header = br#"{"code":1,"extFields":{"a":"\ud83d\ude00","b":"\ud83d"},"remark":"\u4e2d\/"}"#;
    let mut frame = (header.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(header);
    let command = decode(frame.into()).unwrap();
    assert_eq!(command.ext.get("a"), Some("😀"));
    assert_eq!(command.ext.get("b"), Some("\u{fffd}"));
    assert_eq!(command.remark.as_deref(), Some("中/"));
}

#[test]
fn a_response_takes_the_form_of_its_request() {
    let mut request = RemotingCommand::request(RequestCode::PULL_MESSAGE);
    request.opaque = 77;
    request.serialize = SerializeType::RocketMq;
    let response = RemotingCommand::response_to(&request, ResponseCode::SUCCESS, None);
    assert_eq!((response.opaque, response.serialize), (77, SerializeType::RocketMq));
    assert!(response.is_response());
    assert_eq!(encode(&response)[4], 1);
}

#[test]
fn a_code_that_binary_cannot_hold_is_written_as_json() {
    let mut request = RemotingCommand::request(RequestCode::POP_MESSAGE);
    request.serialize = SerializeType::RocketMq;
    let again = decode(encode(&request).slice(4..)).unwrap();
    assert_eq!((again.code, again.serialize), (200_050, SerializeType::Json));
}

#[test]
fn no_damaged_frame_panics() {
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut command = RemotingCommand::request(RequestCode::SEND_MESSAGE_V2).with_body(vec![1, 2, 3]);
    command.remark = Some("é\"\\".into());
    command.ext.insert("a", "\u{1}é");
    command.ext.insert("b", "12");
    for serialize in [SerializeType::Json, SerializeType::RocketMq] {
        command.serialize = serialize;
        let frame = encode(&command);
        for _ in 0..20_000 {
            let mut damaged = frame[4..].to_vec();
            for _ in 0..=random() % 3 {
                let at = (random() % damaged.len() as u64) as usize;
                damaged[at] = random() as u8;
            }
            damaged.truncate((random() % (damaged.len() as u64 + 1)) as usize);
            let _ = decode(Bytes::from(damaged));
        }
    }
}

#[test]
fn a_header_of_a_million_fields_is_refused_quickly() {
    for serialize in [SerializeType::Json, SerializeType::RocketMq] {
        for (fields, fits) in [(1024, true), (1025, false), (1_000_000, false)] {
            let mut header = Vec::new();
            if serialize == SerializeType::Json {
                header.extend_from_slice(b"{\"code\":1,\"extFields\":{");
                for field in 0..fields {
                    header.extend_from_slice(
                        format!("{}\"{field}\":\"1\"", if field == 0 { "" } else { "," }).as_bytes(),
                    );
                }
                header.extend_from_slice(b"}}");
            } else {
                let mut entries = Vec::new();
                for field in 0..fields {
                    let key = format!("{field}");
                    entries.extend_from_slice(&(key.len() as u16).to_be_bytes());
                    entries.extend_from_slice(key.as_bytes());
                    entries.extend_from_slice(b"\0\0\0\x011");
                }
                header.extend_from_slice(&[0; 17]);
                header.extend_from_slice(&(entries.len() as u32).to_be_bytes());
                header.extend_from_slice(&entries);
            }
            let mut frame = ((serialize as u32) << 24 | header.len() as u32).to_be_bytes().to_vec();
            frame.extend_from_slice(&header);
            let decoded = decode(frame.into());
            match fits {
                true => assert_eq!(decoded.unwrap().ext.len(), fields),
                false => assert_eq!(decoded, Err(FrameError::TooManyFields), "{serialize:?} {fields}"),
            }
        }
    }
}
