//! Strings inside JSON text: finding their end, undoing and making escapes.

use bytes::{BufMut, BytesMut};

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes of `word` that are zero. Borrows can mark more, but only above the lowest true mark.
fn has_zero(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// The index of the first `"` or `\` at or after `from`, or the length of `bytes`.
///
/// Eight bytes at a step: header values are mostly plain text, and this loop is what reading a header costs.
pub fn find_special(bytes: &[u8], from: usize) -> usize {
    find(bytes, from, b'"')
}

fn find(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let hit = has_zero(word ^ (LOW * u64::from(quote))) | has_zero(word ^ (LOW * u64::from(b'\\')));
        if hit != 0 {
            return at + (hit.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && bytes[at] != quote && bytes[at] != b'\\' {
        at += 1;
    }
    at
}

/// Appends the string that starts at `from`, just after its opening `quote`, to `out`; returns the index after the
/// closing quote, or `None` when the string does not end or has an escape that is none.
pub fn unescape_into(text: &str, from: usize, quote: u8, out: &mut String) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        let end = find(bytes, at, quote);
        out.push_str(&text[at..end]);
        let special = *bytes.get(end)?;
        if special == quote {
            return Some(end + 1);
        }
        let escape = *bytes.get(end + 1)?;
        at = end + 2;
        let plain = match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'\'' => '\'',
            b'b' => '\u{8}',
            b't' => '\t',
            b'n' => '\n',
            b'f' | b'F' => '\u{c}',
            b'r' => '\r',
            b'v' => '\u{b}',
            // fastjson's short forms of the control characters 0 to 7.
            b'0'..=b'7' => char::from(escape - b'0'),
            b'x' => {
                let unit = hex(bytes, at, 2)?;
                at += 2;
                char::from_u32(unit)?
            }
            b'u' => {
                let unit = hex(bytes, at, 4)?;
                at += 4;
                let (character, next) = join_surrogates(bytes, unit, at);
                at = next;
                character
            }
            _ => return None,
        };
        out.push(plain);
    }
}

/// A `\u` unit as a character: a pair of surrogates is joined, a lone one becomes the replacement character.
fn join_surrogates(bytes: &[u8], unit: u32, at: usize) -> (char, usize) {
    if let Some(character) = char::from_u32(unit) {
        return (character, at);
    }
    let low = (unit < 0xDC00 && bytes.get(at..at + 2) == Some(b"\\u"))
        .then(|| hex(bytes, at + 2, 4))
        .flatten()
        .filter(|low| (0xDC00..0xE000).contains(low));
    match low {
        Some(low) => {
            let joined = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER), at + 6)
        }
        None => (char::REPLACEMENT_CHARACTER, at),
    }
}

fn hex(bytes: &[u8], at: usize, width: usize) -> Option<u32> {
    bytes
        .get(at..at + width)?
        .iter()
        .try_fold(0u32, |value, byte| Some(value * 16 + char::from(*byte).to_digit(16)?))
}

/// Appends `text` in quotes with the escapes Java writes.
pub fn put_quoted(text: &str, out: &mut BytesMut) {
    out.put_u8(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    loop {
        let special = find_to_escape(bytes, written);
        out.put_slice(&bytes[written..special]);
        let Some(byte) = bytes.get(special) else { break };
        let (escape, len) = escape(*byte);
        out.put_slice(&escape[..len]);
        written = special + 1;
    }
    out.put_u8(b'"');
}

/// The index of the first byte at or after `from` that cannot stand in a string as it is, or the length of `bytes`.
fn find_to_escape(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        // As in `has_zero`, the lowest hit is exact.
        let control = word.wrapping_sub(LOW * u64::from(b' ')) & !word & HIGH;
        let hit =
            control | has_zero(word ^ (LOW * u64::from(b'"'))) | has_zero(word ^ (LOW * u64::from(b'\\')));
        if hit != 0 {
            return at + (hit.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && bytes[at] >= b' ' && bytes[at] != b'"' && bytes[at] != b'\\' {
        at += 1;
    }
    at
}

/// Room for the text of any `i64`.
pub const INT_WIDTH: usize = 20;

/// The decimal text of a number, at the end of `digits`.
pub fn int_text(value: i64, digits: &mut [u8; INT_WIDTH]) -> &str {
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    std::str::from_utf8(&digits[at..]).unwrap_or_default()
}

/// The escape of a quote, a backslash or a control character, and its length.
pub fn escape(byte: u8) -> ([u8; 6], usize) {
    let short = |letter: u8| ([b'\\', letter, 0, 0, 0, 0], 2);
    match byte {
        b'"' | b'\\' => short(byte),
        8 => short(b'b'),
        b'\t' => short(b't'),
        b'\n' => short(b'n'),
        12 => short(b'f'),
        b'\r' => short(b'r'),
        _ => {
            let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
            ([b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte)], 6)
        }
    }
}
