use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{from_str, to_standard_string, to_string};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, PartialOrd, Eq, Ord)]
#[serde(default, rename_all = "camelCase")]
struct Queue {
    topic: String,
    broker_name: String,
    queue_id: i32,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Everything {
    zulu: Option<String>,
    alpha: i64,
    flag: bool,
    ratio: f64,
    by_id: BTreeMap<i64, String>,
    by_queue: BTreeMap<Queue, i32>,
    list: Vec<i32>,
}

fn sample() -> Everything {
    Everything {
        zulu: Some("a\"\u{1}é".into()),
        alpha: -7,
        flag: true,
        ratio: 2.0,
        by_id: [(0, "m".to_owned()), (1, "s".to_owned())].into(),
        by_queue: [(Queue { topic: "t".into(), broker_name: "b".into(), queue_id: 3 }, 9)].into(),
        list: vec![1, 2],
    }
}

#[test]
fn members_are_alphabetical_integer_keys_bare_and_object_keys_objects() {
    let text = to_string(&sample());
    assert_eq!(
        text,
        "{\"alpha\":-7,\"byId\":{0:\"m\",1:\"s\"},\"byQueue\":{{\"brokerName\":\"b\",\"queueId\":3,\"topic\":\"t\"}:9},\
         \"flag\":true,\"list\":[1,2],\"ratio\":2.0,\"zulu\":\"a\\\"\\u0001é\"}"
    );
    assert_eq!(from_str::<Everything>(&text).unwrap(), sample());
}

#[test]
fn nulls_are_left_out() {
    assert_eq!(
        to_string(&Everything::default()),
        "{\"alpha\":0,\"byId\":{},\"byQueue\":{},\"flag\":false,\"list\":[],\"ratio\":0.0}"
    );
    let map: BTreeMap<&str, Option<i32>> = [("a", None), ("b", Some(1)), ("c", None), ("d", Some(2))].into();
    assert_eq!(to_string(&map), "{\"b\":1,\"d\":2}");
}

#[test]
fn standard_json_quotes_integer_keys() {
    let map: BTreeMap<i64, &str> = [(0, "é😀")].into();
    assert_eq!(to_standard_string(&map), "{\"0\":\"é😀\"}");
}

#[test]
fn what_fastjson_tolerates_is_read() {
    for text in [
        r#"{"alpha":"-7","byId":{"0":"m",1:"s"},"byQueue":{{"brokerName":"b","queueId":3,"topic":"t"}:9},"flag":"true","list":[1,"2",],"ratio":"2","zulu":"a\"\u0001é",}"#,
        r#"{'alpha':-7.9,'unknown':[1,{"x":{1:2}}],"byId":{0:"m",1:"s"},"byQueue":{"{\"brokerName\":\"b\",\"queueId\":3,\"topic\":\"t\"}":9},"flag":1,"list":[1,2],"ratio":2,"zulu":"a\"\x01\u00e9"}"#,
    ] {
        assert_eq!(from_str::<Everything>(text).unwrap(), sample(), "{text}");
    }
    let nulls =
        r#"{"alpha":null,"byId":null,"byQueue":null,"flag":null,"list":null,"ratio":null,"zulu":null}"#;
    assert_eq!(from_str::<Everything>(nulls).unwrap(), Everything::default());
}

#[test]
fn what_is_no_json_is_refused_and_never_panics() {
    for text in [
        "",
        "{",
        "{alpha:1}",
        "{\"alpha\":1} x",
        "[1,2",
        "{\"alpha\" 1}",
        "{\"alpha\":\"x\"}",
        "{\"zulu\":\"a",
        "{\"list\":[1 2]}",
        "{\"alpha\":99999999999999999999}",
        "{\"zulu\":\"\\u12\"}",
        "{\"list\":{}}",
        "{\"byId\":{\"x\":1}}",
    ] {
        assert!(from_str::<Everything>(text).is_err(), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert!(from_str::<serde_json::Value>(&deep).is_err());
    assert!(from_str::<Everything>(&format!("{{\"unknown\":{deep}")).is_err());
}

#[test]
fn doubles_have_javas_text() {
    for (value, text) in [
        (0.0, "0.0"),
        (1.5, "1.5"),
        (0.75, "0.75"),
        (1e7, "1.0E7"),
        (123456789.5, "1.234567895E8"),
        (1e-4, "1.0E-4"),
        (9999999.0, "9999999.0"),
    ] {
        assert_eq!(to_string(&value), text);
    }
}
