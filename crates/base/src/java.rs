//! Small pieces of Java's behaviour that are visible on the wire or on disk.

/// `java.lang.String.hashCode`: over UTF-16 units, wrapping at 32 bits.
pub fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Length as `java.lang.String.length` counts it: UTF-16 units, not bytes and not code points.
pub fn string_length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// `StringUtils.isBlank` of commons-lang: empty or only white space as `Character.isWhitespace` sees it.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() && !matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_equal_javas() {
        for (text, hash) in [("", 0), ("TagA", 2598919), ("abc", 96354), ("中文", 646394), ("😀", 1772899)]
        {
            assert_eq!(string_hash(text), hash, "{text}");
        }
    }
}
