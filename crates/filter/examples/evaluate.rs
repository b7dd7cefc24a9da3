//! Reads lines of JSON `{"expr": …, "text": … | "error": …, "cases": [{"p": {…}, "r": …}]}`, made by running RocketMQ's
//! `SelectorParser`, and tells which of them come out differently here.

use std::io::BufRead;

use raptormq_filter::Expression;
use serde_json::Value;

fn main() {
    let (mut expressions, mut refused, mut cases, mut different) = (0, 0, 0, 0);
    let mut tell = |what: &str, text: &str, ours: &str, java: &str| {
        if ours != java {
            different += 1;
            println!("{what} of {text:?}\n  here: {ours:?}\n  Java: {java:?}");
        }
    };
    for line in std::io::stdin().lock().lines() {
        let vector: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let text = vector["expr"].as_str().expect("as described");
        expressions += 1;
        let expression = match Expression::parse(text) {
            Ok(expression) => expression,
            Err(error) => {
                refused += 1;
                tell("error", text, &error.to_string(), vector["error"].as_str().unwrap_or("accepted"));
                continue;
            }
        };
        let ours = expression.to_string();
        tell("form", text, &ours, vector["text"].as_str().or(vector["error"].as_str()).unwrap_or_default());
        for case in vector["cases"].as_array().into_iter().flatten() {
            cases += 1;
            let properties = case["p"].as_object().expect("as described").iter();
            let found = expression.evaluate(
                properties.map(|(name, value)| (name.as_str(), value.as_str().expect("as described"))),
            );
            let ours = match found {
                Ok(value) => value.map_or("null".to_owned(), |value| value.to_string()),
                Err(error) => format!("E:{error}"),
            };
            tell(&format!("value for {}", case["p"]), text, &ours, case["r"].as_str().expect("as described"));
        }
    }
    println!("{expressions} expressions, {refused} refused, {cases} cases, {different} different");
}
