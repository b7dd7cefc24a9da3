//! Any text as a filter expression, and as the properties that it is evaluated for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use raptormq_filter::Expression;
use raptormq_message::props;

fuzz_target!(|input: (&str, &str)| {
    let (text, properties) = input;
    match Expression::parse(text) {
        Ok(expression) => {
            let _ = expression.evaluate(props::iter(properties));
            let _ = expression.to_string();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
