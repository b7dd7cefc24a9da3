//! The golden expressions: parsed, written, evaluated and refused by RocketMQ's own classes.

use raptormq_filter::Expression;
use serde_json::Value;

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_vector() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/java-5.5.0/sql92_vectors.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let vectors = golden["vectors"].as_array().unwrap();
    assert_eq!(vectors.len() as u64, golden["count"].as_u64().unwrap());
    let (mut refused, mut cases) = (0, 0);
    for vector in vectors {
        let text = vector["expr"].as_str().unwrap();
        let expression = match Expression::parse(text) {
            Ok(expression) => expression,
            Err(error) => {
                let expected = vector["parse_error"].as_str().unwrap_or_else(|| panic!("{text}: {error}"));
                // The golden file cuts long texts off.
                let found = format!("MQFilterException: {}", one_line(&error.to_string()));
                let own = expected.split(" | c").next().unwrap().trim_end_matches(" |");
                assert!(
                    found == own || found.starts_with(own) && expected.chars().count() >= 300,
                    "{text}: {found} != {expected}"
                );
                refused += 1;
                continue;
            }
        };
        assert_eq!(Some(expression.to_string().as_str()), vector["normalized"].as_str(), "{text}");
        for case in vector["cases"].as_array().unwrap() {
            let properties = case["properties"].as_object().unwrap();
            let properties =
                || properties.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
            let found = expression.evaluate(properties());
            match (&found, case.get("eval_error").and_then(Value::as_str)) {
                (Ok(value), None) => assert_eq!(*value, case["result"].as_bool(), "{text} {case}"),
                (Err(error), Some(expected)) => {
                    let expected = expected.split(" | cause").next().unwrap();
                    assert_eq!(format!("RuntimeException: {error}"), expected, "{text} {case}");
                }
                _ => panic!("{text}: {found:?} {case}"),
            }
            assert_eq!(Some(expression.matches(properties())), case["delivered"].as_bool(), "{text} {case}");
            cases += 1;
        }
    }
    println!("{} expressions, {refused} of them refused, {cases} cases", vectors.len());
    assert!(refused > 50 && cases > 1000, "the golden file has more: {refused} {cases}");
}
