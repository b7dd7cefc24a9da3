//! Looking ahead without parsing, and what error texts tell of it, as the parser that JavaCC generates does both.
//!
//! The texts name every word that could have stood at the place of the error, and what was looked for in vain at the
//! last lookaheads; both depend on how the generated parser counts its steps, so the counting is repeated here.

use crate::token::{Lexer, LexicalError, Token, escaped, image_of, kind};

/// How deep a lookahead may nest. It visits fewer functions per level than the parser.
const MAX_SCAN_DEPTH: u32 = 512;
/// How many words all lookaheads together may visit.
const MAX_SCANNED: u64 = 2_000_000;

/// The lookaheads of the grammar, numbered as Java's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    IsNull = 0,
    NotContains = 1,
    NotStartsWith = 2,
    NotEndsWith = 3,
    NotBetween = 4,
    NotIn = 5,
    Plus = 6,
}

const AHEADS: [Ahead; 7] = [
    Ahead::IsNull,
    Ahead::NotContains,
    Ahead::NotStartsWith,
    Ahead::NotEndsWith,
    Ahead::NotBetween,
    Ahead::NotIn,
    Ahead::Plus,
];

/// The kinds that may stand where the grammar chooses, one bit each.
const fn set(kinds: &[u8]) -> u64 {
    let mut set = 0;
    let mut at = 0;
    while at < kinds.len() {
        set |= 1 << kinds[at];
        at += 1;
    }
    set
}

const LITERALS: u64 =
    set(&[kind::TRUE, kind::FALSE, kind::NULL, kind::DECIMAL, kind::FLOATING, kind::STRING]);

/// The places where the grammar chooses and may find nothing (`jjLa1`).
pub(crate) mod choice {
    pub(crate) const OR: usize = 0;
    pub(crate) const AND: usize = 1;
    pub(crate) const EQUALITY: usize = 2;
    pub(crate) const EQUAL: usize = 3;
    pub(crate) const COMPARISON: usize = 4;
    pub(crate) const IN_LIST: usize = 5;
    pub(crate) const NOT_IN_LIST: usize = 6;
    pub(crate) const COMPARE: usize = 7;
    pub(crate) const STARTSWITH: usize = 8;
    pub(crate) const ENDSWITH: usize = 9;
    pub(crate) const BETWEEN: usize = 10;
    pub(crate) const IN: usize = 11;
    pub(crate) const UNARY: usize = 12;
    pub(crate) const COUNT: usize = 13;
}

const COMPARE: u64 = set(&[kind::GREATER, kind::GREATER_EQUAL, kind::LESS, kind::LESS_EQUAL, kind::CONTAINS]);
const TEXT_OR_RANGE: u64 = set(&[kind::NOT, kind::BETWEEN, kind::IN, kind::STARTSWITH, kind::ENDSWITH]);
const PRIMARY: u64 = LITERALS | set(&[kind::ID, kind::OPEN]);

/// What may stand at each choice (`jjLa10` and `jjLa11`).
const CHOICES: [u64; choice::COUNT] = [
    set(&[kind::OR]),
    set(&[kind::AND]),
    set(&[kind::IS, kind::EQUAL, kind::NOT_EQUAL]),
    set(&[kind::EQUAL, kind::NOT_EQUAL]),
    COMPARE | TEXT_OR_RANGE,
    set(&[kind::COMMA]),
    set(&[kind::COMMA]),
    COMPARE,
    set(&[kind::STARTSWITH]),
    set(&[kind::ENDSWITH]),
    set(&[kind::BETWEEN]),
    set(&[kind::IN]),
    PRIMARY | set(&[kind::NOT, kind::MINUS]),
];

/// Why a scan stops.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A piece that is no word.
    Lexical(LexicalError),
    /// Too deep or too long.
    TooLarge,
    /// The lookahead has seen as many words as it may, all of them right.
    Seen,
}

impl From<LexicalError> for Stop {
    fn from(error: LexicalError) -> Self {
        Stop::Lexical(error)
    }
}

type Matches = Result<bool, Stop>;

/// A lookahead that was made (`JJCalls`).
#[derive(Debug, Clone, Copy)]
struct Call {
    /// The step up to which it is worth telling.
    until: i64,
    first: usize,
    limit: i64,
}

/// The words read so far and the position among them.
pub(crate) struct Words {
    lexer: Lexer,
    /// The first stands before the expression.
    words: Vec<Token>,
    /// The last one used up.
    at: usize,
    /// How many were used up (`jjGen`).
    step: i64,
    /// The step at which each choice found nothing (`jjLa1`).
    choices: [i64; choice::COUNT],
    calls: [Vec<Call>; 7],
    // Of the present lookahead: the word it is at, the farthest one, and how many more it may see.
    scan: usize,
    farthest: usize,
    left: i64,
    depth: u32,
    scanned: u64,
    // Of the present error text: what was looked for since the error, and the sequences to name.
    telling: bool,
    sought: Vec<u8>,
    sequences: Vec<Vec<u8>>,
}

impl Words {
    pub(crate) fn new(units: Vec<u16>) -> Self {
        let before = Token { kind: kind::EOF, image: String::new(), line: 0, column: 0 };
        Self {
            lexer: Lexer::new(units),
            words: vec![before],
            at: 0,
            step: 0,
            choices: [-1; choice::COUNT],
            calls: Default::default(),
            scan: 0,
            farthest: 0,
            left: 0,
            depth: 0,
            scanned: 0,
            telling: false,
            sought: Vec::new(),
            sequences: Vec::new(),
        }
    }

    fn fetch(&mut self, at: usize) -> Result<(), LexicalError> {
        while self.words.len() <= at {
            let word = self.lexer.next()?;
            self.words.push(word);
        }
        Ok(())
    }

    /// The kind of the next word.
    pub(crate) fn peek(&mut self) -> Result<u8, LexicalError> {
        self.fetch(self.at + 1)?;
        Ok(self.words[self.at + 1].kind)
    }

    /// Notes that the next word is none of a choice.
    pub(crate) fn none_of(&mut self, choice: usize) {
        self.choices[choice] = self.step;
    }

    /// Uses up the next word if it is of this kind.
    pub(crate) fn take(&mut self, kind: u8) -> Result<Option<&Token>, LexicalError> {
        if self.peek()? != kind {
            return Ok(None);
        }
        self.at += 1;
        self.step += 1;
        Ok(Some(&self.words[self.at]))
    }

    /// Whether what follows is `ahead`, as far as Java looks.
    pub(crate) fn looks_like(&mut self, ahead: Ahead) -> Matches {
        let limit = if ahead == Ahead::Plus { i64::from(i32::MAX) } else { 2 };
        (self.left, self.scan, self.farthest) = (limit, self.at, self.at);
        let matches = match self.ahead(ahead) {
            Err(Stop::Seen) => Ok(true),
            other => other,
        };
        let call = Call { until: self.step + limit - self.left, first: self.at, limit };
        let calls = &mut self.calls[ahead as usize];
        match calls.iter_mut().find(|old| old.until <= self.step) {
            Some(old) => *old = call,
            None => calls.push(call),
        }
        matches
    }

    /// The text of Java's `ParseException` for the next word, where `wanted` was the only possible one, if any was.
    pub(crate) fn unexpected(&mut self, wanted: Option<u8>) -> Result<String, Stop> {
        let mut expected = wanted.map_or(0, |kind| 1u64 << kind);
        for (at, choices) in self.choices.iter().zip(CHOICES) {
            if *at == self.step {
                expected |= choices;
            }
        }
        self.sequences =
            (0..kind::COUNT).filter(|kind| expected >> kind & 1 == 1).map(|kind| vec![kind]).collect();
        self.sought.clear();
        self.telling = true;
        for ahead in AHEADS {
            self.tell(ahead)?;
        }
        self.telling = false;
        self.note(kind::EOF, 0);
        Ok(self.message())
    }

    /// Repeats the lookaheads of one kind that were made since the last word was used up (`jj_rescan_token`).
    fn tell(&mut self, ahead: Ahead) -> Result<(), Stop> {
        for at in 0..self.calls[ahead as usize].len() {
            let call = self.calls[ahead as usize][at];
            if call.until > self.step {
                (self.left, self.scan, self.farthest) = (call.limit, call.first, call.first);
                match self.ahead(ahead) {
                    Err(Stop::Seen) => return Ok(()),
                    other => other?,
                };
            }
        }
        Ok(())
    }

    /// `jj_add_error_token`. A sequence is added unless Java takes it for one that is there, which it also does when
    /// the last one there has another length.
    fn note(&mut self, kind: u8, position: usize) {
        if position >= 100 {
            return;
        }
        if position == self.sought.len() + 1 {
            self.sought.push(kind);
        } else if !self.sought.is_empty() {
            let mut exists = false;
            for old in &self.sequences {
                exists = old.len() != self.sought.len() || *old == self.sought;
                if *old == self.sought {
                    break;
                }
            }
            if !exists {
                self.sequences.push(self.sought.clone());
            }
            if position != 0 {
                self.sought.resize(position, kind::EOF);
                self.sought[position - 1] = kind;
            }
        }
    }

    fn message(&self) -> String {
        let longest = self.sequences.iter().map(Vec::len).max().unwrap_or(0);
        let mut text = "Encountered \"".to_owned();
        for (at, word) in self.words[self.at + 1..].iter().take(longest).enumerate() {
            if at != 0 {
                text.push(' ');
            }
            if word.kind == kind::EOF {
                text.push_str(&image_of(kind::EOF));
                break;
            }
            let image: Vec<u16> = word.image.encode_utf16().collect();
            text.push_str(&format!(" {} \"{} \"", image_of(word.kind), escaped(&image)));
        }
        if let Some(next) = self.words.get(self.at + 1) {
            text.push_str(&format!("\" at line {}, column {}.\n", next.line, next.column));
        }
        text.push_str(if self.sequences.len() == 1 {
            "Was expecting:\n    "
        } else {
            "Was expecting one of:\n    "
        });
        for sequence in &self.sequences {
            for kind in sequence {
                text.push_str(&image_of(*kind));
                text.push(' ');
            }
            if sequence.last() != Some(&kind::EOF) {
                text.push_str("...");
            }
            text.push_str("\n    ");
        }
        text
    }

    // The grammar as the lookahead reads it: each function tells whether its piece follows, and has moved on if so.

    fn ahead(&mut self, ahead: Ahead) -> Matches {
        let not = |words: &mut Self, kind| -> Matches { Ok(words.word(kind::NOT)? && words.word(kind)?) };
        match ahead {
            Ahead::IsNull => Ok(self.word(kind::IS)? && self.word(kind::NULL)?),
            Ahead::NotContains => Ok(not(self, kind::CONTAINS)? && self.word(kind::STRING)?),
            Ahead::NotStartsWith => Ok(not(self, kind::STARTSWITH)? && self.word(kind::STRING)?),
            Ahead::NotEndsWith => Ok(not(self, kind::ENDSWITH)? && self.word(kind::STRING)?),
            Ahead::NotBetween => Ok(self.word(kind::NOT)? && self.between()?),
            Ahead::NotIn => Ok(self.word(kind::NOT)? && self.in_list()?),
            Ahead::Plus => Ok(self.word(kind::PLUS)? && self.unary()?),
        }
    }

    /// `jj_scan_token`.
    fn word(&mut self, kind: u8) -> Matches {
        self.scanned += 1;
        if self.scanned > MAX_SCANNED {
            return Err(Stop::TooLarge);
        }
        if self.scan == self.farthest {
            self.left -= 1;
            self.fetch(self.scan + 1)?;
            self.farthest += 1;
        }
        self.scan += 1;
        if self.telling && self.scan >= self.at {
            self.note(kind, self.scan - self.at);
        }
        if self.words[self.scan].kind != kind {
            return Ok(false);
        }
        if self.left == 0 && self.scan == self.farthest {
            return Err(Stop::Seen);
        }
        Ok(true)
    }

    /// The first of the pieces that follows, if one does.
    fn first_of(&mut self, pieces: &[fn(&mut Self) -> Matches]) -> Matches {
        let start = self.scan;
        for piece in pieces {
            self.scan = start;
            if piece(self)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// As many pieces as follow.
    fn repeated(&mut self, piece: fn(&mut Self) -> Matches) -> Matches {
        loop {
            let start = self.scan;
            if !piece(self)? {
                self.scan = start;
                return Ok(true);
            }
        }
    }

    fn or(&mut self) -> Matches {
        Ok(self.and()? && self.repeated(|words| Ok(words.word(kind::OR)? && words.and()?))?)
    }

    fn and(&mut self) -> Matches {
        Ok(self.equality()? && self.repeated(|words| Ok(words.word(kind::AND)? && words.equality()?))?)
    }

    fn equality(&mut self) -> Matches {
        Ok(self.comparison()?
            && self.repeated(|words| {
                words.first_of(&[
                    |words| Ok(words.word(kind::EQUAL)? && words.comparison()?),
                    |words| Ok(words.word(kind::NOT_EQUAL)? && words.comparison()?),
                    |words| words.ahead(Ahead::IsNull),
                    |words| Ok(words.word(kind::IS)? && words.word(kind::NOT)? && words.word(kind::NULL)?),
                ])
            })?)
    }

    fn comparison(&mut self) -> Matches {
        Ok(self.unary()?
            && self.repeated(|words| {
                words.first_of(&[
                    |words| Ok(words.word(kind::GREATER)? && words.unary()?),
                    |words| Ok(words.word(kind::GREATER_EQUAL)? && words.unary()?),
                    |words| Ok(words.word(kind::LESS)? && words.unary()?),
                    |words| Ok(words.word(kind::LESS_EQUAL)? && words.unary()?),
                    |words| Ok(words.word(kind::CONTAINS)? && words.word(kind::STRING)?),
                    |words| words.ahead(Ahead::NotContains),
                    |words| Ok(words.word(kind::STARTSWITH)? && words.word(kind::STRING)?),
                    |words| words.ahead(Ahead::NotStartsWith),
                    |words| Ok(words.word(kind::ENDSWITH)? && words.word(kind::STRING)?),
                    |words| words.ahead(Ahead::NotEndsWith),
                    |words| words.between(),
                    |words| words.ahead(Ahead::NotBetween),
                    |words| words.in_list(),
                    |words| words.ahead(Ahead::NotIn),
                ])
            })?)
    }

    fn between(&mut self) -> Matches {
        Ok(self.word(kind::BETWEEN)? && self.unary()? && self.word(kind::AND)? && self.unary()?)
    }

    fn in_list(&mut self) -> Matches {
        Ok(self.word(kind::IN)?
            && self.word(kind::OPEN)?
            && self.word(kind::STRING)?
            && self.repeated(|words| Ok(words.word(kind::COMMA)? && words.word(kind::STRING)?))?
            && self.word(kind::CLOSE)?)
    }

    fn unary(&mut self) -> Matches {
        self.depth += 1;
        if self.depth > MAX_SCAN_DEPTH {
            return Err(Stop::TooLarge);
        }
        let matches = self.first_of(&[
            |words| Ok(words.word(kind::PLUS)? && words.unary()?),
            |words| Ok(words.word(kind::MINUS)? && words.unary()?),
            |words| Ok(words.word(kind::NOT)? && words.unary()?),
            |words| words.word(kind::STRING),
            |words| words.word(kind::DECIMAL),
            |words| words.word(kind::FLOATING),
            |words| words.word(kind::TRUE),
            |words| words.word(kind::FALSE),
            |words| words.word(kind::NULL),
            |words| words.word(kind::ID),
            |words| Ok(words.word(kind::OPEN)? && words.or()? && words.word(kind::CLOSE)?),
        ]);
        self.depth -= 1;
        matches
    }
}
