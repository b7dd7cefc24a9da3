//! The words of an expression, cut as the token manager that JavaCC made of `SelectorParser.jj` does it: the longest
//! match counts, of equally long ones the keyword.
//!
//! Places are counted in UTF-16 units and errors name lines and columns as Java's `SimpleCharStream` counts them.

use std::fmt::Write as _;

/// The kinds of words, numbered as in `SelectorParserConstants`, because sets of them are bit masks in error texts.
pub(crate) mod kind {
    pub(crate) const EOF: u8 = 0;
    pub(crate) const NOT: u8 = 8;
    pub(crate) const AND: u8 = 9;
    pub(crate) const OR: u8 = 10;
    pub(crate) const BETWEEN: u8 = 11;
    pub(crate) const IN: u8 = 12;
    pub(crate) const TRUE: u8 = 13;
    pub(crate) const FALSE: u8 = 14;
    pub(crate) const NULL: u8 = 15;
    pub(crate) const IS: u8 = 16;
    pub(crate) const CONTAINS: u8 = 17;
    pub(crate) const STARTSWITH: u8 = 18;
    pub(crate) const ENDSWITH: u8 = 19;
    pub(crate) const DECIMAL: u8 = 20;
    pub(crate) const FLOATING: u8 = 21;
    pub(crate) const STRING: u8 = 23;
    pub(crate) const ID: u8 = 24;
    pub(crate) const EQUAL: u8 = 25;
    pub(crate) const NOT_EQUAL: u8 = 26;
    pub(crate) const GREATER: u8 = 27;
    pub(crate) const GREATER_EQUAL: u8 = 28;
    pub(crate) const LESS: u8 = 29;
    pub(crate) const LESS_EQUAL: u8 = 30;
    pub(crate) const OPEN: u8 = 31;
    pub(crate) const COMMA: u8 = 32;
    pub(crate) const CLOSE: u8 = 33;
    pub(crate) const PLUS: u8 = 34;
    pub(crate) const MINUS: u8 = 35;
    /// How many there are.
    pub(crate) const COUNT: u8 = 36;
}

const KEYWORDS: [(&str, u8); 12] = [
    ("NOT", kind::NOT),
    ("AND", kind::AND),
    ("OR", kind::OR),
    ("BETWEEN", kind::BETWEEN),
    ("IN", kind::IN),
    ("TRUE", kind::TRUE),
    ("FALSE", kind::FALSE),
    ("NULL", kind::NULL),
    ("IS", kind::IS),
    ("CONTAINS", kind::CONTAINS),
    ("STARTSWITH", kind::STARTSWITH),
    ("ENDSWITH", kind::ENDSWITH),
];

/// What error texts call a kind (`TOKEN_IMAGE`).
pub(crate) fn image_of(kind: u8) -> String {
    let literal = match kind {
        kind::EOF => return "<EOF>".to_owned(),
        kind::DECIMAL => return "<DECIMAL_LITERAL>".to_owned(),
        kind::FLOATING => return "<FLOATING_POINT_LITERAL>".to_owned(),
        kind::STRING => return "<STRING_LITERAL>".to_owned(),
        kind::ID => return "<ID>".to_owned(),
        kind::EQUAL => "=",
        kind::NOT_EQUAL => "<>",
        kind::GREATER => ">",
        kind::GREATER_EQUAL => ">=",
        kind::LESS => "<",
        kind::LESS_EQUAL => "<=",
        kind::OPEN => "(",
        kind::COMMA => ",",
        kind::CLOSE => ")",
        kind::PLUS => "+",
        kind::MINUS => "-",
        _ => KEYWORDS.iter().find(|(_, it)| *it == kind).map_or("", |(word, _)| word),
    };
    format!("\"{literal}\"")
}

/// One word.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: u8,
    /// The word as it stands in the expression.
    pub(crate) image: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A piece that begins no word; the text is that of Java's `TokenMgrError`.
#[derive(Debug)]
pub(crate) struct LexicalError(pub(crate) String);

/// Cuts words off, one at a time.
pub(crate) struct Lexer {
    units: Vec<u16>,
    /// Line and column of each unit.
    places: Vec<(u32, u32)>,
    at: usize,
}

impl Lexer {
    pub(crate) fn new(units: Vec<u16>) -> Self {
        let places = places(&units);
        Self { units, places, at: 0 }
    }

    /// The next word; the end is a word of kind [`kind::EOF`] at the place of the last unit.
    pub(crate) fn next(&mut self) -> Result<Token, LexicalError> {
        loop {
            let start = self.at;
            let Some(&first) = self.units.get(start) else {
                let (line, column) = self.places.last().copied().unwrap_or((0, 0));
                return Ok(Token { kind: kind::EOF, image: String::new(), line, column });
            };
            let Some((kind, len)) = self.word(start, first) else { return Err(self.error(start)) };
            self.at = start + len;
            if let Some(kind) = kind {
                let (line, column) = self.places[start];
                let image = String::from_utf16_lossy(&self.units[start..self.at]);
                return Ok(Token { kind, image, line, column });
            }
        }
    }

    fn is(&self, at: usize, c: char) -> bool {
        self.units.get(at).is_some_and(|unit| u32::from(*unit) == u32::from(c))
    }

    fn digit(&self, at: usize) -> bool {
        self.units.get(at).is_some_and(|unit| (0x30..0x3a).contains(unit))
    }

    fn digits(&self, at: usize) -> usize {
        (at..).take_while(|at| self.digit(*at)).count()
    }

    /// Kind and length of the word at `start`, without kind where it is skipped; `None` where there is none.
    fn word(&self, start: usize, first: u16) -> Option<(Option<u8>, usize)> {
        let first = char::from_u32(first.into()).unwrap_or(char::REPLACEMENT_CHARACTER);
        let next = |c| self.is(start + 1, c);
        let word = |kind, len| Some((Some(kind), len));
        match first {
            ' ' | '\t' | '\n' | '\r' | '\u{c}' => Some((None, 1)),
            '(' => word(kind::OPEN, 1),
            ')' => word(kind::CLOSE, 1),
            ',' => word(kind::COMMA, 1),
            '+' => word(kind::PLUS, 1),
            '=' => word(kind::EQUAL, 1),
            '<' if next('>') => word(kind::NOT_EQUAL, 2),
            '<' if next('=') => word(kind::LESS_EQUAL, 2),
            '<' => word(kind::LESS, 1),
            '>' if next('=') => word(kind::GREATER_EQUAL, 2),
            '>' => word(kind::GREATER, 1),
            '-' => match self.line_comment(start) {
                Some(len) => Some((None, len)),
                None => word(kind::MINUS, 1),
            },
            '/' => self.block_comment(start).map(|len| (None, len)),
            '\'' => self.text(start).and_then(|len| word(kind::STRING, len)),
            '0'..='9' | '.' => self.number(start).map(|(kind, len)| (Some(kind), len)),
            'a'..='z' | 'A'..='Z' | '_' | '$' => {
                let part = |unit: &&u16| {
                    u8::try_from(**unit).is_ok_and(|b| b.is_ascii_alphanumeric() || b"_$".contains(&b))
                };
                let len = self.units[start..].iter().take_while(part).count();
                let image = String::from_utf16_lossy(&self.units[start..start + len]);
                let keyword = KEYWORDS.iter().find(|(word, _)| image.eq_ignore_ascii_case(word));
                word(keyword.map_or(kind::ID, |(_, kind)| *kind), len)
            }
            _ => None,
        }
    }

    /// A comment to the end of the line, which must have an end.
    fn line_comment(&self, start: usize) -> Option<usize> {
        if !self.is(start + 1, '-') {
            return None;
        }
        let end = (start + 2..self.units.len()).find(|at| self.is(*at, '\n') || self.is(*at, '\r'))?;
        let two = self.is(end, '\r') && self.is(end + 1, '\n');
        Some(end + 1 + usize::from(two) - start)
    }

    fn block_comment(&self, start: usize) -> Option<usize> {
        if !self.is(start + 1, '*') {
            return None;
        }
        let end = (start + 2..self.units.len()).find(|at| self.is(*at, '*') && self.is(*at + 1, '/'))?;
        Some(end + 2 - start)
    }

    /// A text between quotes, in which two quotes stand for one. Where those two are followed by no further quote, the
    /// first of them ends the text.
    fn text(&self, start: usize) -> Option<usize> {
        let mut at = start + 1;
        let mut matched = None;
        while at < self.units.len() {
            if self.is(at, '\'') {
                matched = Some(at + 1 - start);
                if !self.is(at + 1, '\'') {
                    break;
                }
                at += 1;
            }
            at += 1;
        }
        matched
    }

    fn number(&self, start: usize) -> Option<(u8, usize)> {
        let whole = self.digits(start);
        let dot = start + whole;
        if self.is(dot, '.') {
            let part = self.digits(dot + 1);
            if whole + part > 0 {
                let end = dot + 1 + part;
                return Some((kind::FLOATING, end + self.exponent(end) - start));
            }
            return None;
        }
        match self.exponent(dot) {
            0 if self.is(start, '0') => Some((kind::DECIMAL, 1)),
            0 => {
                let suffix = self.is(dot, 'l') || self.is(dot, 'L');
                Some((kind::DECIMAL, whole + usize::from(suffix)))
            }
            exponent => Some((kind::FLOATING, whole + exponent)),
        }
    }

    fn exponent(&self, at: usize) -> usize {
        if !self.is(at, 'e') && !self.is(at, 'E') {
            return 0;
        }
        let sign = usize::from(self.is(at + 1, '+') || self.is(at + 1, '-'));
        match self.digits(at + 1 + sign) {
            0 => 0,
            digits => 1 + sign + digits,
        }
    }

    /// How many units at `start`, where no word is, can begin one; the unit behind them cannot continue it.
    fn viable(&self, start: usize) -> usize {
        let rest = self.units.len() - start;
        match self.units[start] {
            0x27 => rest,
            0x2f if self.is(start + 1, '*') => rest,
            0x2e | 0x2f => 1,
            _ => 0,
        }
    }

    fn error(&self, start: usize) -> LexicalError {
        let viable = self.viable(start);
        // Java's manager has read one unit more than it could use, if there is one, and at least one.
        let read = (viable + 1).min(self.units.len() - start);
        let last = start + read - 1;
        let (mut line, mut column) = self.places[last];
        let unit = self.units[last];
        let after = |units: usize| {
            if read <= 1 { String::new() } else { escaped(&self.units[start..start + units]) }
        };
        let found = if last + 1 == self.units.len() {
            if matches!(unit, 0x0a | 0x0d) {
                (line, column) = (line + 1, 0);
            } else {
                column += 1;
            }
            format!("<EOF> after : \"{}\"", after(read))
        } else {
            format!("\"{}\" ({unit}), after : \"{}\"", escaped(&[unit]), after(read - 1))
        };
        LexicalError(format!("Lexical error at line {line}, column {column}.  Encountered: {found}"))
    }
}

/// Line and column of each unit: a tab goes to the next multiple of eight, CR LF is one end of line.
fn places(units: &[u16]) -> Vec<(u32, u32)> {
    let (mut line, mut column) = (1u32, 0u32);
    let (mut after_cr, mut after_lf) = (false, false);
    let mut places = Vec::with_capacity(units.len());
    for unit in units {
        column += 1;
        if after_lf || after_cr && *unit != 0x0a {
            (line, column) = (line + 1, 1);
        }
        after_lf = *unit == 0x0a;
        after_cr = *unit == 0x0d;
        if *unit == 0x09 {
            column -= 1;
            column += 8 - column % 8;
        }
        places.push((line, column));
    }
    places
}

/// `add_escapes` of Java's error texts.
pub(crate) fn escaped(units: &[u16]) -> String {
    let mut text = String::with_capacity(units.len());
    for unit in units {
        match unit {
            0 => {}
            0x08 => text.push_str("\\b"),
            0x09 => text.push_str("\\t"),
            0x0a => text.push_str("\\n"),
            0x0c => text.push_str("\\f"),
            0x0d => text.push_str("\\r"),
            0x22 => text.push_str("\\\""),
            0x27 => text.push_str("\\'"),
            0x5c => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(*unit as u8)),
            _ => {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}
