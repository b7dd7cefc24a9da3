use super::{RequestCode, ResponseCode};
use crate::testdata::code_facts;

#[test]
fn every_code_java_names_is_named() {
    let facts = code_facts();
    let check = |list: &str, ours: Vec<(i64, &str)>| {
        let mut java: Vec<(i64, &str)> = facts[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|code| (code["value"].as_i64().unwrap(), code["name"].as_str().unwrap()))
            .collect();
        java.sort();
        assert_eq!(ours, java, "{list}");
    };
    check("request_codes", RequestCode::ALL.iter().map(|(code, name)| (i64::from(code.0), *name)).collect());
    check(
        "response_codes",
        ResponseCode::ALL.iter().map(|(code, name)| (i64::from(code.0), *name)).collect(),
    );
}

#[test]
fn a_code_shows_its_name_and_number() {
    assert_eq!(RequestCode::SEND_MESSAGE_V2.to_string(), "SEND_MESSAGE_V2(310)");
    assert_eq!(RequestCode(-5).to_string(), "-5");
    assert_eq!(ResponseCode::TOPIC_NOT_EXIST.name(), Some("TOPIC_NOT_EXIST"));
}
