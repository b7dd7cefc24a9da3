//! Values of expressions, and how Java compares those of different types (`ComparisonExpression.__compare`).

use std::cmp::Ordering;

use crate::number::{parse_double, parse_int, parse_long, trimmed};

/// What an expression is worth for a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(&'a str),
}

/// Why an expression has no value for a message, which is then not delivered; the text is Java's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A text is compared with a number and is none.
    #[error("java.lang.NumberFormatException: For input string: \"{0}\"")]
    NotANumber(String),
    /// A text without a character is compared with a number that is not whole.
    #[error("java.lang.NumberFormatException: empty String")]
    Empty,
    /// Texts that are no numbers are compared by size.
    #[error("It's illegal to compare string by '>=', '>', '<', '<='. lv={left}, rv={right}")]
    NotComparable {
        /// Left of the sign.
        left: String,
        /// Right of it.
        right: String,
    },
    /// A truth value is compared with a text.
    #[error(
        "class java.lang.Boolean cannot be cast to class java.lang.String (java.lang.Boolean and java.lang.String are in module java.base of loader 'bootstrap')"
    )]
    NotAText,
    /// It would go through more of long property values than one message may cost; Java has no such bound.
    #[error("the expression reads too much of the message")]
    TooMuch,
}

/// How `left` is to `right`. Where the types cannot be compared, `left` counts as less.
pub(crate) fn compare(left: Value<'_>, right: Value<'_>) -> Result<Ordering, EvalError> {
    let not_a_number = |text: &str| EvalError::NotANumber(text.to_owned());
    let int = |text: &str| parse_int(text).ok_or_else(|| not_a_number(text));
    let long = |text: &str| parse_long(text).ok_or_else(|| not_a_number(text));
    let double = |text: &str| {
        parse_double(text).ok_or_else(|| match trimmed(text) {
            "" => EvalError::Empty,
            text => not_a_number(text),
        })
    };
    Ok(match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(&right),
        (Value::Bool(_), Value::Text(_)) => return Err(EvalError::NotAText),
        (Value::Text(left), Value::Bool(right)) => left.eq_ignore_ascii_case("true").cmp(&right),
        (Value::Int(left), Value::Int(right)) => left.cmp(&right),
        (Value::Int(left), Value::Long(right)) => i64::from(left).cmp(&right),
        (Value::Int(left), Value::Double(right)) => doubles(left.into(), right),
        (Value::Int(left), Value::Text(right)) => left.cmp(&int(right)?),
        (Value::Long(left), Value::Int(right)) => left.cmp(&right.into()),
        (Value::Long(left), Value::Long(right)) => left.cmp(&right),
        (Value::Long(left), Value::Double(right)) => doubles(left as f64, right),
        (Value::Long(left), Value::Text(right)) => left.cmp(&long(right)?),
        (Value::Double(left), Value::Int(right)) => doubles(left, right.into()),
        (Value::Double(left), Value::Long(right)) => doubles(left, right as f64),
        (Value::Double(left), Value::Double(right)) => doubles(left, right),
        (Value::Double(left), Value::Text(right)) => doubles(left, double(right)?),
        (Value::Text(left), Value::Int(right)) => int(left)?.cmp(&right),
        (Value::Text(left), Value::Long(right)) => long(left)?.cmp(&right),
        (Value::Text(left), Value::Double(right)) => doubles(double(left)?, right),
        (Value::Text(left), Value::Text(right)) => left.encode_utf16().cmp(right.encode_utf16()),
        _ => Ordering::Less,
    })
}

/// Compares for `<` and its like: two texts as doubles, since the order of texts means nothing here.
pub(crate) fn compare_sizes(left: Value<'_>, right: Value<'_>) -> Result<Ordering, EvalError> {
    let (Value::Text(left), Value::Text(right)) = (left, right) else { return compare(left, right) };
    match (parse_double(left), parse_double(right)) {
        (Some(left), Some(right)) => Ok(doubles(left, right)),
        _ => Err(EvalError::NotComparable { left: left.to_owned(), right: right.to_owned() }),
    }
}

/// `Double.compareTo`: NaN equals itself and is greater than everything, -0.0 is less than 0.0.
fn doubles(left: f64, right: f64) -> Ordering {
    let key = |value: f64| if value.is_nan() { f64::NAN.abs() } else { value };
    key(left).total_cmp(&key(right))
}
