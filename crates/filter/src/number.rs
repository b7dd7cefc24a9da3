//! Numbers as `Integer.valueOf`, `Long.valueOf`, `Double.valueOf` and `Double.toString` read and write them.

/// The digit zero of every script whose digits `Character.digit` knows; the other nine follow each.
const ZEROS: [u16; 37] = [
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66,
    0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50,
    0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

/// `Long.valueOf(String)`.
pub(crate) fn parse_long(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    digits.chars().try_fold(0i64, |value, c| {
        let digit = digit(c)?;
        let value = value.checked_mul(10)?;
        if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

/// `Integer.valueOf(String)`.
pub(crate) fn parse_int(text: &str) -> Option<i32> {
    parse_long(text)?.try_into().ok()
}

fn digit(c: char) -> Option<i64> {
    if let Some(digit) = c.to_digit(10) {
        return Some(digit.into());
    }
    let unit = u16::try_from(u32::from(c)).ok()?;
    let zero = ZEROS.iter().rev().find(|zero| **zero <= unit)?;
    (unit - zero < 10).then(|| i64::from(unit - zero))
}

/// `Double.valueOf(String)`: with blanks around it, `f` or `d` behind it, in hexadecimal, `NaN` and `Infinity`.
pub(crate) fn parse_double(text: &str) -> Option<f64> {
    let text = trimmed(text);
    let (negative, number) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = match number {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ if number.starts_with("0x") || number.starts_with("0X") => parse_hex(&number[2..])?,
        _ => parse_decimal(number)?,
    };
    Some(if negative { -value } else { value })
}

/// `String.trim`.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn without_suffix(number: &str) -> &str {
    number.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(number)
}

fn parse_decimal(number: &str) -> Option<f64> {
    let number = without_suffix(number);
    // Rust reads the same form, and the words that are handled above.
    let begins = number.as_bytes().first()?;
    (begins.is_ascii_digit() || *begins == b'.').then(|| number.parse().ok()).flatten()
}

/// What follows `0x`: `hex[.hex]p[sign]digits`.
fn parse_hex(number: &str) -> Option<f64> {
    let (mantissa, exponent) = without_suffix(number).split_once(['p', 'P'])?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let (negative, digits) = match exponent.as_bytes().first()? {
        b'-' => (true, &exponent[1..]),
        b'+' => (false, &exponent[1..]),
        _ => (false, exponent),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // More than this is zero or infinite whatever the mantissa: a text has fewer than 2^40 digits.
    let exponent = digits.parse::<i64>().unwrap_or(i64::MAX).min(1 << 50);
    let mut exponent = if negative { -exponent } else { exponent };
    exponent -= 4 * i64::try_from(part.len()).ok()?;
    let mut bits: u64 = 0;
    let mut lost = false;
    for c in whole.chars().chain(part.chars()) {
        let digit = u64::from(c.to_digit(16)?);
        if bits >> 58 == 0 {
            bits = bits << 4 | digit;
        } else {
            lost |= digit != 0;
            exponent += 4;
        }
    }
    Some(scale(bits, lost, exponent))
}

/// `bits * 2^exponent` rounded once to the nearest, to even when between; `lost` where bits below were cut off.
fn scale(bits: u64, lost: bool, exponent: i64) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    // The weight of the last bit that a double of this size has.
    let top = i64::from(63 - bits.leading_zeros()) + exponent;
    let last = (top - 52).max(-1074);
    let drop = last - exponent;
    let (kept, up) = if drop <= 0 {
        // At most 52 places to the left, as the top bit ends at 52; an infinite one ends below.
        (if top > 1023 { bits } else { bits << drop.unsigned_abs() }, false)
    } else if drop > 64 {
        (0, false)
    } else {
        let kept = if drop == 64 { 0 } else { bits >> drop };
        let rest = bits << (64 - drop);
        let half = 1u64 << 63;
        (kept, rest > half || rest == half && (lost || kept & 1 == 1))
    };
    if top > 1023 {
        return f64::INFINITY;
    }
    let kept = kept + u64::from(up);
    // Both factors are exact: `kept` has at most 53 bits and `last` is a double's own exponent.
    kept as f64 * power_of_two(last)
}

fn power_of_two(exponent: i64) -> f64 {
    match exponent {
        ..-1022 => f64::from_bits(1 << (exponent + 1074).max(0)),
        _ => f64::from_bits(((exponent + 1023) as u64) << 52),
    }
}

/// `Double.toString`.
pub(crate) fn double_to_string(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    // Two digits at least, of which Java takes those nearest to the value here.
    if value.abs() == 5e-324 {
        return if value > 0.0 { "4.9E-324" } else { "-4.9E-324" }.to_owned();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        let check = |text: &str, long, int| {
            assert_eq!(parse_long(text), long, "{text:?}");
            assert_eq!(parse_int(text), int, "{text:?}");
        };
        check("0", Some(0), Some(0));
        check("+12", Some(12), Some(12));
        check("-2147483648", Some(-2147483648), Some(i32::MIN));
        check("2147483648", Some(2147483648), None);
        check("-9223372036854775808", Some(i64::MIN), None);
        check("9223372036854775808", None, None);
        check("٣4", Some(34), Some(34));
        check("５", Some(5), Some(5));
        for bad in ["", "-", "+", " 1", "1 ", "1.0", "1L", "𝟏", "+-1", "a", "/", ":"] {
            check(bad, None, None);
        }
    }

    #[test]
    fn doubles() {
        let check = |text: &str, expected: Option<f64>| {
            let found = parse_double(text).map(f64::to_bits);
            assert_eq!(found, expected.map(f64::to_bits), "{text:?}");
        };
        check(" 1.5\n", Some(1.5));
        check("1.f", Some(1.0));
        check(".5D", Some(0.5));
        check("-0", Some(-0.0));
        check("1e400", Some(f64::INFINITY));
        check("1e99999999999999999999", Some(f64::INFINITY));
        check("-Infinity", Some(f64::NEG_INFINITY));
        check("0x1p3", Some(8.0));
        check("0X.8p0f", Some(0.5));
        check("0x1.fffffffffffff8p1023", Some(f64::INFINITY));
        check("0x1.fffffffffffff7p1023", Some(f64::MAX));
        check("0x1p-1074", Some(5e-324));
        check("0x1p-1075", Some(0.0));
        check("0x1.8p-1075", Some(5e-324));
        check("0x1.0000000000000800000000000001p0", Some(1.0 + f64::EPSILON));
        check("0x1.00000000000008p0", Some(1.0));
        check("0x1.00000000000018p0", Some(1.0 + 2.0 * f64::EPSILON));
        check("0x0p99999999999", Some(0.0));
        check("0x1p99999999999999999999", Some(f64::INFINITY));
        check("0x1p-99999999999999999999", Some(0.0));
        for bad in [
            "", " ", ".", "e1", "1e", "1ff", "nan", "inf", "infinity", "+", "-", "0x1", "0xp1", "0x.p1",
            "1_0", "0x1pf", "\u{a0}1", "+-1", "１",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn texts_of_doubles() {
        for (value, text) in [
            (3.0, "3.0"),
            (100.5, "100.5"),
            (0.001, "0.001"),
            (9.999e-4, "9.999E-4"),
            (1e7, "1.0E7"),
            (9999999.0, "9999999.0"),
            (f64::MAX, "1.7976931348623157E308"),
            (0.0, "0.0"),
            (5e-324, "4.9E-324"),
            (1e-323, "1.0E-323"),
            (1e23, "1.0E23"),
            (-1.25e-5, "-1.25E-5"),
        ] {
            assert_eq!(double_to_string(value), text);
        }
    }
}
