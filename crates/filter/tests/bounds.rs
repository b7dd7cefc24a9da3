//! No text makes the parser panic, run out of stack or take long, and no message makes an expression do so.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use raptormq_filter::{EvalError, Expression, MAX_UNITS, ParseError};

/// Runs `work` on half the stack that a worker thread has.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).expect("a thread").join().expect("no panic");
}

#[test]
fn depth_is_bounded() {
    on_a_small_stack(|| {
        for (open, close, most) in [
            ("(", ")", 255),
            ("NOT ", "", 255),
            ("NOT (", ")", 127),
            ("- ", "", 255),
            ("+", "", 255),
            ("+(", ")", 127),
            ("(a = 1 AND ", ")", 255),
            ("", " IS NULL", 990),
            ("", " = TRUE", 990),
            ("a = 1 OR ", "", 20_000),
            ("a > 1 AND ", "", 20_000),
            ("NOT (TRUE AND ", ")", 127),
        ] {
            let inside = if open.starts_with('-') || open.starts_with('+') { "a" } else { "a = 1" };
            let nested = |times: usize| {
                let text = format!("{}{inside}{}", open.repeat(times), close.repeat(times));
                if inside == "a" { format!("{text} IS NULL") } else { text }
            };
            let started = Instant::now();
            let parsed = Expression::parse(&nested(most));
            let expression = parsed.unwrap_or_else(|error| panic!("{open:?} {close:?}: {error}"));
            let _ = expression.evaluate([("a", "1")]);
            let _ = expression.to_string();
            assert_eq!(
                Expression::parse(&nested(MAX_UNITS / 16)).unwrap_err(),
                ParseError::TooLarge,
                "{open:?} {close:?}"
            );
            assert!(started.elapsed() < Duration::from_secs(20), "{open:?}: {:?}", started.elapsed());
        }
    });
}

#[test]
fn what_is_evaluated_twice_counts_twice() {
    let mut text = "a = 1".to_owned();
    for _ in 0..40 {
        text = format!("-({text}) BETWEEN 1 AND 2");
    }
    assert_eq!(Expression::parse(&text).unwrap_err(), ParseError::TooLarge);
}

#[test]
fn long_texts_and_lists_count_for_more_than_one_piece() {
    let twice = |inside: &str, times: usize| {
        let mut text = inside.to_owned();
        for _ in 0..times {
            text = format!("-({text}) BETWEEN 1 AND 2");
        }
        Expression::parse(&text)
    };
    let long = "x".repeat(MAX_UNITS - 400);
    for inside in [
        format!("a IN ('{long}')"),
        format!("a NOT IN ('y', '{long}')"),
        format!("a CONTAINS '{long}'"),
        format!("a = '{long}'"),
        format!("a OR b OR c{long}"),
    ] {
        let head = &inside[..12];
        assert!(twice(&inside, 2).is_ok(), "{head}");
        assert_eq!(twice(&inside, 13).map(drop), Err(ParseError::TooLarge), "{head}");
        assert_eq!(twice(&inside, 3).map(drop), Err(ParseError::TooLarge), "{head}");
    }
    let list = |items: usize| Expression::parse(&format!("a IN ({}'')", "'',".repeat(items - 1)));
    assert!(list(99_998).is_ok());
    assert_eq!(list(99_999).map(drop), Err(ParseError::TooLarge));
    assert_eq!(list(250_000).map(drop), Err(ParseError::TooLarge));
}

#[test]
fn what_is_read_of_a_message_is_bounded() {
    let longest = "0".repeat(32_000);
    for term in ["a CONTAINS 'x'", "a NOT CONTAINS '0'", "a > 1", "a = 1", "a < b", "a <> b"] {
        let of = |times: usize| {
            let text = vec![term; times].join(" OR ");
            let expression = Expression::parse(&text).expect(term);
            let value = if term.ends_with('b') { &longest } else { "0" };
            let short = expression.evaluate([("a", "0"), ("b", "0")]);
            assert_eq!(short, Ok(Some(false)), "{term}");
            expression.evaluate([("a", longest.as_str()), ("b", value)])
        };
        assert_eq!(of(90), Ok(Some(false)), "{term}");
        assert_eq!(of(201), Err(EvalError::TooMuch), "{term}");
    }
    // What cannot be long is not counted: only as much of a value is looked at as the expression has text.
    for term in ["a STARTSWITH 'x'", "a ENDSWITH 'x'", "a IN ('x', 'y')", "a = 'x'"] {
        let expression = Expression::parse(&vec![term; 20_000].join(" OR ")).expect(term);
        assert_eq!(expression.evaluate([("a", longest.as_str())]), Ok(Some(false)), "{term}");
    }
}

#[test]
fn length_is_bounded() {
    let long = |units: usize| format!("a IN ('{}')", "x".repeat(units - 9));
    assert!(Expression::parse(&long(MAX_UNITS)).is_ok());
    assert_eq!(Expression::parse(&long(MAX_UNITS + 1)).unwrap_err(), ParseError::TooLarge);
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(
            [
                "a", "b", "NOT", "and", "OR", "BETWEEN", "IN", "TRUE", "false", "NULL", "IS", "CONTAINS", "STARTSWITH",
                "ENDSWITH", "=", "<>", ">", ">=", "<", "<=", "(", ")", ",", "+", "-", "'x'", "'it''s'", "1", "2L", "1.5",
                "9999999999", "99999999999999999999", "'3'", " ", "\n", "--", "/*", "*/", "'", ".", "5e", "IS NOT NULL",
            ]
            .as_slice()
        )
        .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_text_is_an_expression_or_an_error(text in any::<String>(), value in any::<String>()) {
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.evaluate([("a", value.as_str())]);
        }
    }

    #[test]
    fn any_words_are_an_expression_or_an_error(
        words in prop::collection::vec(word(), 0..40),
        space in prop::sample::select(["", " "].as_slice()),
        values in prop::collection::vec(prop_oneof![any::<String>(), any::<i64>().prop_map(|n| n.to_string()), any::<f64>().prop_map(|n| n.to_string())], 2),
    ) {
        let text = words.join(space);
        match Expression::parse(&text) {
            Ok(expression) => {
                let _ = expression.to_string();
                let _ = expression.evaluate([("a", values[0].as_str()), ("b", values[1].as_str())]);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
