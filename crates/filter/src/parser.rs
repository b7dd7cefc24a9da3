//! From text to tree: the grammar of `SelectorParser.jj`, with the checks that the constructors of Java's expressions
//! make, in Java's order, so that of several errors the same one is told.

use std::collections::HashMap;
use std::sync::Arc;

use crate::expression::{Constant, Node, Part, Sign};
use crate::number::{double_to_string, parse_double, parse_long};
use crate::scan::{Ahead, Stop, Words, choice};
use crate::token::{LexicalError, kind};
use crate::value::{EvalError, compare};

/// The most UTF-16 units that an expression may have. Java has no such bound.
pub const MAX_UNITS: usize = 1 << 20;
/// How deep an expression may nest. Java's parser ends where its stack does, at some 1,000 parentheses.
pub const MAX_DEPTH: u32 = 256;
/// The most pieces an expression may be made of, each counted as often as it is evaluated. An element of a list is a
/// piece, and so is each further [`BLOCK`] bytes of a text or name. One evaluation reads at most as many blocks of
/// long property values.
pub const MAX_NODES: u32 = 100_000;
/// How many bytes of a text count as one piece.
pub const BLOCK: usize = 64;
/// How high a tree may grow sideways, as in `a IS NULL IS NULL IS NULL`.
const MAX_HEIGHT: u32 = 1_000;

/// An expression that is none. The text is that of Java's `MQFilterException`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A piece that is no word (`TokenMgrError`).
    #[error("org.apache.rocketmq.filter.parser.TokenMgrError: {0}")]
    Lexical(String),
    /// A word where it cannot stand, or no truth value where one must be (`ParseException`).
    #[error("org.apache.rocketmq.filter.parser.ParseException: {0}")]
    Syntax(String),
    /// Operands that do not go together.
    #[error("java.lang.RuntimeException: {0}")]
    Operands(String),
    /// A whole number that is too large.
    #[error("java.lang.NumberFormatException: For input string: \"{0}\"")]
    Number(String),
    /// BETWEEN with a text and a truth value.
    #[error("java.lang.ClassCastException: {0}")]
    Cast(EvalError),
    /// Too long, too deep or too many pieces. Java says the same of what is too deep for it.
    #[error("java.lang.StackOverflowError")]
    TooLarge,
}

impl From<LexicalError> for ParseError {
    fn from(error: LexicalError) -> Self {
        ParseError::Lexical(error.0)
    }
}

impl From<Stop> for ParseError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Lexical(error) => error.into(),
            Stop::TooLarge | Stop::Seen => ParseError::TooLarge,
        }
    }
}

type Names = HashMap<Arc<str>, usize>;

/// The pieces that a text counts for besides its node.
fn blocks(text: &str) -> u32 {
    u32::try_from(text.len() / BLOCK).unwrap_or(u32::MAX)
}

/// A tree with its size.
struct Tree {
    node: Node,
    height: u32,
    nodes: u32,
}

type Parsed = Result<Tree, ParseError>;

pub(crate) fn parse(text: &str) -> Result<(Node, Names), ParseError> {
    if text.len() > 3 * MAX_UNITS {
        return Err(ParseError::TooLarge);
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    if units.len() > MAX_UNITS {
        return Err(ParseError::TooLarge);
    }
    let mut parser = Parser { words: Words::new(units), names: Names::new(), depth: 0 };
    // What stands behind a whole expression is not looked at, in Java either.
    let tree = parser.or()?;
    let root = boolean(tree)?.node;
    Ok((root, parser.names))
}

struct Parser {
    words: Words,
    names: Names,
    depth: u32,
}

impl Parser {
    fn take(&mut self, kind: u8) -> Result<String, ParseError> {
        if let Some(word) = self.words.take(kind)? {
            return Ok(word.image.clone());
        }
        Err(self.unexpected(Some(kind)))
    }

    fn unexpected(&mut self, wanted: Option<u8>) -> ParseError {
        match self.words.unexpected(wanted) {
            Ok(text) => ParseError::Syntax(text),
            Err(stop) => stop.into(),
        }
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.words.peek()? == kind::OR {
            self.take(kind::OR)?;
            let right = self.and()?;
            left = join(left, right, Node::Any)?;
        }
        self.words.none_of(choice::OR);
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.equality()?;
        while self.words.peek()? == kind::AND {
            self.take(kind::AND)?;
            let right = self.equality()?;
            left = join(left, right, Node::All)?;
        }
        self.words.none_of(choice::AND);
        Ok(left)
    }

    fn equality(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        loop {
            match self.words.peek()? {
                kind::EQUAL => {
                    self.take(kind::EQUAL)?;
                    left = equal(left, self.comparison()?)?;
                }
                kind::NOT_EQUAL => {
                    self.take(kind::NOT_EQUAL)?;
                    left = not(equal(left, self.comparison()?)?)?;
                }
                kind::IS => {
                    self.words.none_of(choice::EQUAL);
                    if self.words.looks_like(Ahead::IsNull)? {
                        self.take(kind::IS)?;
                        self.take(kind::NULL)?;
                        left = is_null(left)?;
                    } else {
                        self.take(kind::IS)?;
                        self.take(kind::NOT)?;
                        self.take(kind::NULL)?;
                        left = not(is_null(left)?)?;
                    }
                }
                _ => {
                    self.words.none_of(choice::EQUALITY);
                    return Ok(left);
                }
            }
        }
    }

    fn comparison(&mut self) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let kind = self.words.peek()?;
            let sign = match kind {
                kind::GREATER => Sign::Greater,
                kind::GREATER_EQUAL => Sign::GreaterEqual,
                kind::LESS => Sign::Less,
                kind::LESS_EQUAL => Sign::LessEqual,
                kind::CONTAINS => {
                    left = self.text(left, Part::Inside, kind::CONTAINS, false)?;
                    continue;
                }
                kind::NOT | kind::BETWEEN | kind::IN | kind::STARTSWITH | kind::ENDSWITH => {
                    left = self.text_or_range(left, kind)?;
                    continue;
                }
                _ => {
                    self.words.none_of(choice::COMPARISON);
                    return Ok(left);
                }
            };
            self.take(kind)?;
            left = sized(sign, left, self.unary()?)?;
        }
    }

    /// The operators that Java tells apart one by one, which its error texts show.
    fn text_or_range(&mut self, left: Tree, kind: u8) -> Parsed {
        self.words.none_of(choice::COMPARE);
        if self.words.looks_like(Ahead::NotContains)? {
            return self.text(left, Part::Inside, kind::CONTAINS, true);
        }
        if kind == kind::STARTSWITH {
            return self.text(left, Part::Start, kind::STARTSWITH, false);
        }
        self.words.none_of(choice::STARTSWITH);
        if self.words.looks_like(Ahead::NotStartsWith)? {
            return self.text(left, Part::Start, kind::STARTSWITH, true);
        }
        if kind == kind::ENDSWITH {
            return self.text(left, Part::End, kind::ENDSWITH, false);
        }
        self.words.none_of(choice::ENDSWITH);
        if self.words.looks_like(Ahead::NotEndsWith)? {
            return self.text(left, Part::End, kind::ENDSWITH, true);
        }
        if kind == kind::BETWEEN {
            let [low, high] = self.range(false)?;
            return between(left, low, high);
        }
        self.words.none_of(choice::BETWEEN);
        if self.words.looks_like(Ahead::NotBetween)? {
            let [low, high] = self.range(true)?;
            let again = left.again();
            return join(sized(Sign::Less, left, low)?, sized(Sign::Greater, again, high)?, Node::Any);
        }
        if kind == kind::IN {
            return self.list(left, false);
        }
        self.words.none_of(choice::IN);
        if self.words.looks_like(Ahead::NotIn)? {
            return self.list(left, true);
        }
        Err(self.unexpected(None))
    }

    fn text(&mut self, left: Tree, part: Part, word: u8, not: bool) -> Parsed {
        if not {
            self.take(kind::NOT)?;
        }
        self.take(word)?;
        let search = self.string()?;
        left.under_with(blocks(&search), |operand| Node::Text {
            part,
            not,
            operand: Box::new(operand),
            search,
        })
    }

    fn range(&mut self, not: bool) -> Result<[Tree; 2], ParseError> {
        if not {
            self.take(kind::NOT)?;
        }
        self.take(kind::BETWEEN)?;
        let low = self.unary()?;
        self.take(kind::AND)?;
        Ok([low, self.unary()?])
    }

    fn list(&mut self, left: Tree, not: bool) -> Parsed {
        if not {
            self.take(kind::NOT)?;
        }
        self.take(kind::IN)?;
        self.take(kind::OPEN)?;
        let mut list = vec![self.string()?];
        while self.words.peek()? == kind::COMMA {
            self.take(kind::COMMA)?;
            list.push(self.string()?);
        }
        let pieces = list.iter().fold(0u32, |sum, text| sum.saturating_add(1).saturating_add(blocks(text)));
        self.words.none_of(if not { choice::NOT_IN_LIST } else { choice::IN_LIST });
        self.take(kind::CLOSE)?;
        if !matches!(left.node, Node::Property(..)) {
            let text = format!("Expected a property for In expression, got: {}", left.node);
            return Err(ParseError::Operands(text));
        }
        left.under_with(pieces, |property| Node::In { property: Box::new(property), not, list: list.into() })
    }

    fn unary(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::TooLarge);
        }
        let parsed = if self.words.looks_like(Ahead::Plus)? {
            self.take(kind::PLUS)?;
            self.unary()
        } else {
            self.unary_but_plus()
        };
        self.depth -= 1;
        parsed
    }

    fn unary_but_plus(&mut self) -> Parsed {
        match self.words.peek()? {
            kind::MINUS => {
                self.take(kind::MINUS)?;
                self.unary()?.under(|operand| Node::Negate(Box::new(operand)))
            }
            kind::NOT => {
                self.take(kind::NOT)?;
                not(boolean(self.unary()?)?)
            }
            kind::OPEN => {
                self.take(kind::OPEN)?;
                let inside = self.or()?;
                self.take(kind::CLOSE)?;
                Ok(inside)
            }
            kind::ID => {
                let name: Arc<str> = self.take(kind::ID)?.into();
                let next = self.names.len();
                let at = *self.names.entry(name.clone()).or_insert(next);
                let further = blocks(&name);
                Ok(Tree::leaf(Node::Property(name, at), further))
            }
            kind::STRING => Ok(constant(Constant::Text(self.string()?))),
            kind::DECIMAL => {
                let image = self.take(kind::DECIMAL)?;
                let digits = image.strip_suffix(['l', 'L']).unwrap_or(&image);
                let value = parse_long(digits).ok_or_else(|| ParseError::Number(digits.to_owned()))?;
                Ok(constant(i32::try_from(value).map_or(Constant::Long(value), Constant::Int)))
            }
            kind::FLOATING => {
                let image = self.take(kind::FLOATING)?;
                floating(&image).map(constant)
            }
            kind::TRUE => self.take(kind::TRUE).map(|_| constant(Constant::Bool(true))),
            kind::FALSE => self.take(kind::FALSE).map(|_| constant(Constant::Bool(false))),
            kind::NULL => self.take(kind::NULL).map(|_| constant(Constant::Null)),
            _ => {
                self.words.none_of(choice::UNARY);
                Err(self.unexpected(None))
            }
        }
    }

    /// A text without its quotes; each quote inside it takes the character after it along.
    fn string(&mut self) -> Result<Arc<str>, ParseError> {
        let image = self.take(kind::STRING)?;
        let mut text = String::with_capacity(image.len());
        let mut characters = image[1..image.len() - 1].chars();
        while let Some(c) = characters.next() {
            text.push(c);
            if c == '\'' {
                characters.next();
            }
        }
        Ok(text.into())
    }
}

impl Tree {
    /// A node without operands, with the pieces that it is besides.
    fn leaf(node: Node, further: u32) -> Self {
        Self { node, height: 1, nodes: further.saturating_add(1) }
    }

    /// A node above this one.
    fn under(self, above: impl FnOnce(Node) -> Node) -> Parsed {
        self.under_with(0, above)
    }

    /// A node above this one, with the pieces that it is besides.
    fn under_with(self, further: u32, above: impl FnOnce(Node) -> Node) -> Parsed {
        let nodes = self.nodes.saturating_add(further).saturating_add(1);
        Self { node: above(self.node), height: self.height + 1, nodes }.checked()
    }

    /// A node above these two.
    fn pair(left: Self, right: Self, above: impl FnOnce(Node, Node) -> Node) -> Parsed {
        Self {
            height: left.height.max(right.height) + 1,
            nodes: left.nodes.saturating_add(right.nodes).saturating_add(1),
            node: above(left.node, right.node),
        }
        .checked()
    }

    fn checked(self) -> Parsed {
        if self.height > MAX_HEIGHT || self.nodes > MAX_NODES {
            return Err(ParseError::TooLarge);
        }
        Ok(self)
    }

    /// The same once more, as BETWEEN evaluates it twice; texts and lists are shared.
    fn again(&self) -> Self {
        Self { node: self.node.clone(), height: self.height, nodes: self.nodes }
    }
}

fn constant(constant: Constant) -> Tree {
    let further = match &constant {
        Constant::Text(text) => blocks(text),
        _ => 0,
    };
    Tree::leaf(Node::Constant(constant), further)
}

fn floating(image: &str) -> Result<Constant, ParseError> {
    let refuse = |what: String| Err(ParseError::Operands(format!("{image} is {what}")));
    let value = parse_double(image).ok_or_else(|| ParseError::Number(image.to_owned()))?;
    if value > f64::MAX {
        return refuse(format!("greater than {}", double_to_string(f64::MAX)));
    }
    // Java's Double.MIN_VALUE is the smallest positive number, so that zero is refused, too.
    if value < 5e-324 {
        return refuse("less than 4.9E-324".to_owned());
    }
    Ok(Constant::Double(value))
}

/// `asBooleanExpression`.
fn boolean(tree: Tree) -> Parsed {
    if tree.node.is_boolean() {
        return Ok(tree);
    }
    if matches!(tree.node, Node::Property(..)) {
        return tree.under(|property| Node::Cast(Box::new(property)));
    }
    Err(ParseError::Syntax(format!("Expression will not result in a boolean value: {}", tree.node)))
}

fn not(tree: Tree) -> Parsed {
    tree.under(|operand| Node::Not(Box::new(operand)))
}

/// AND or OR: what is such a chain already becomes longer, which evaluates as Java's nested pairs do.
fn join(left: Tree, right: Tree, of: fn(Vec<Node>) -> Node) -> Parsed {
    let (left, right) = (boolean(left)?, boolean(right)?);
    let same = std::mem::discriminant(&of(Vec::new())) == std::mem::discriminant(&left.node);
    let longer = left.height.max(right.height + 1);
    let mut joined = Tree::pair(left, right, |left, right| match left {
        Node::All(mut nodes) | Node::Any(mut nodes) if same => {
            nodes.push(right);
            of(nodes)
        }
        left => of(vec![left, right]),
    });
    if let (true, Ok(tree)) = (same, &mut joined) {
        tree.height = longer;
    }
    joined
}

fn compared(sign: Sign, left: Tree, right: Tree) -> Parsed {
    Tree::pair(left, right, |left, right| Node::Compare(sign, Box::new([left, right])))
}

fn is_null(left: Tree) -> Parsed {
    compared(Sign::Equal, left, constant(Constant::Null))
}

/// `createEqual`.
fn equal(left: Tree, right: Tree) -> Parsed {
    for operand in [&left.node, &right.node] {
        if matches!(operand, Node::Constant(Constant::Null)) {
            return Err(ParseError::Operands(format!("'{operand}' cannot be compared.")));
        }
    }
    if let (Node::Constant(Constant::Bool(_)), Node::Constant(other)) = (&left.node, &right.node)
        && !matches!(other, Constant::Bool(_))
    {
        let text = format!("'{}' cannot be compared with '{}'", left.node, right.node);
        return Err(ParseError::Operands(text));
    }
    compared(Sign::Equal, left, right)
}

/// `createLessThan` and its like.
fn sized(sign: Sign, left: Tree, right: Tree) -> Parsed {
    for operand in [&left.node, &right.node] {
        let can = match operand {
            Node::Constant(constant) => constant.is_number(),
            other => !other.is_boolean(),
        };
        if !can {
            return Err(ParseError::Operands(format!("Value '{operand}' cannot be compared.")));
        }
    }
    compared(sign, left, right)
}

/// `createBetween`.
fn between(value: Tree, low: Tree, high: Tree) -> Parsed {
    if let (Node::Constant(from), Node::Constant(to)) = (&low.node, &high.node) {
        if *from == Constant::Null || *to == Constant::Null {
            let text = "Illegal values of between, values can not be null!";
            return Err(ParseError::Operands(text.to_owned()));
        }
        let order = compare(to.value(), from.value()).map_err(|error| match error {
            EvalError::NotAText => ParseError::Cast(error),
            other => ParseError::Operands(other.to_string()),
        })?;
        if order.is_lt() {
            return Err(ParseError::Operands(format!(
                "Illegal values of between, left value({}) must less than or equal to right value({})",
                from.plain(),
                to.plain()
            )));
        }
    }
    let again = value.again();
    join(sized(Sign::GreaterEqual, value, low)?, sized(Sign::LessEqual, again, high)?, Node::All)
}
