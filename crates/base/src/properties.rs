//! The text format of `java.util.Properties`: ISO-8859-1 bytes, `#` and `!` comments, `=`, `:` or blank separators,
//! `\` escapes and continued lines; a later key wins.

/// One key with its value and the number of the line on which it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key after unescaping.
    pub key: String,
    /// The value after unescaping; trailing blanks are part of it, as in Java.
    pub value: String,
    /// 1-based line.
    pub line: usize,
}

/// Parses a properties file. Never fails: whatever Java cannot read as an escape (`\u` without four hex digits, for
/// which Java refuses the file) is kept as text.
pub fn parse(bytes: &[u8]) -> Vec<Entry> {
    let text: Vec<char> = bytes.iter().map(|b| char::from(*b)).collect();
    parse_chars(&text)
}

/// Parses properties that arrive as UTF-8 text (the body of an update-config request).
pub fn parse_text(text: &str) -> Vec<Entry> {
    parse_chars(&text.chars().collect::<Vec<_>>())
}

fn parse_chars(text: &[char]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut natural = split_lines(text).into_iter().enumerate().peekable();
    while let Some((number, line)) = natural.next() {
        let start = line.iter().position(|c| !is_blank(*c)).unwrap_or(line.len());
        let line = &line[start..];
        if line.is_empty() || line[0] == '#' || line[0] == '!' {
            continue;
        }
        let mut logical = line.to_vec();
        while ends_in_odd_backslashes(&logical) {
            logical.pop();
            let Some((_, next)) = natural.next() else { break };
            let start = next.iter().position(|c| !is_blank(*c)).unwrap_or(next.len());
            logical.extend_from_slice(&next[start..]);
        }
        let (key, value) = split_pair(&logical);
        entries.retain(|e| e.key != key);
        entries.push(Entry { key, value, line: number + 1 });
    }
    entries
}

/// Escapes a value so that both [`parse`] and `java.util.Properties.load` read it back.
pub fn escape_value(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for (at, c) in value.chars().enumerate() {
        match c {
            ' ' if at == 0 => out.push_str("\\ "),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{c}' => out.push_str("\\f"),
            '\\' => out.push_str("\\\\"),
            c if (' '..='~').contains(&c) => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    out
}

fn split_lines(text: &[char]) -> Vec<&[char]> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at] == '\n' || text[at] == '\r' {
            lines.push(&text[start..at]);
            if text[at] == '\r' && text.get(at + 1) == Some(&'\n') {
                at += 1;
            }
            start = at + 1;
        }
        at += 1;
    }
    lines.push(&text[start..]);
    lines
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn ends_in_odd_backslashes(line: &[char]) -> bool {
    line.iter().rev().take_while(|c| **c == '\\').count() % 2 == 1
}

fn split_pair(line: &[char]) -> (String, String) {
    let mut end = 0;
    while end < line.len() && !matches!(line[end], '=' | ':') && !is_blank(line[end]) {
        end += if line[end] == '\\' { 2 } else { 1 };
    }
    let end = end.min(line.len());
    let mut start = end;
    while start < line.len() && is_blank(line[start]) {
        start += 1;
    }
    if start < line.len() && matches!(line[start], '=' | ':') {
        start += 1;
        while start < line.len() && is_blank(line[start]) {
            start += 1;
        }
    }
    (unescape(&line[..end]), unescape(&line[start..]))
}

fn unescape(text: &[char]) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let mut c = text[at];
        at += 1;
        if c == '\\' && at < text.len() {
            c = text[at];
            at += 1;
            if c == 'u' {
                let digits: String = text.iter().skip(at).take(4).collect();
                if let (4, Ok(unit)) = (digits.len(), u16::from_str_radix(&digits, 16)) {
                    units.push(unit);
                    at += 4;
                    continue;
                }
            }
            c = match c {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                'f' => '\u{c}',
                other => other,
            };
        }
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let got = parse(text.as_bytes());
        let got: Vec<_> = got.iter().map(|e| (e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn reads_what_java_reads() {
        check("a=1\nb = 2 \n  c:3\n", &[("a", "1"), ("b", "2 "), ("c", "3")]);
        check("# x\n! y\n\n  # z\na b c", &[("a", "b c")]);
        check("a=1\na=2", &[("a", "2")]);
        check("path=C:\\\\dir\\tx", &[("path", "C:\\dir\tx")]);
        check("a=1,\\\n    2", &[("a", "1,2")]);
        check("k\\=1=v\\u4e2d", &[("k=1", "v中")]);
        check("pair=\\uD83D\\uDE00", &[("pair", "😀")]);
        check("alone", &[("alone", "")]);
        check("<!-- x -->\r\na=b\r\n", &[("<!--", "x -->"), ("a", "b")]);
        check("bad=\\u12", &[("bad", "u12")]);
        check("end=\\", &[("end", "")]);
    }

    #[test]
    fn escaped_values_come_back() {
        for value in [" lead", "a\\b", "line\nbreak", "中 é 😀", "x=y:z#!"] {
            assert_eq!(parse(format!("k={}", escape_value(value)).as_bytes())[0].value, value);
        }
    }
}
