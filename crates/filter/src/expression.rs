//! The tree of an expression, how it is written in error texts, and its value for a message.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use raptormq_base::java::string_hash;

use crate::number::double_to_string;
use crate::parser::{self, BLOCK, MAX_NODES, ParseError};
use crate::value::{EvalError, Value, compare, compare_sizes};

/// A filter, compiled once and evaluated for many messages.
#[derive(Debug, Clone)]
pub struct Expression {
    root: Node,
    /// The properties it reads; a [`Node::Property`] holds the place here.
    names: HashMap<Arc<str>, usize>,
}

impl Expression {
    /// Compiles SQL92 (`SelectorParser.parse`).
    ///
    /// # Errors
    /// [`ParseError`] with Java's text.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (root, names) = parser::parse(text)?;
        Ok(Self { root, names })
    }

    /// The value for a message with these properties, of which the last of a name counts; `None` for an unknown one,
    /// which does not match either.
    ///
    /// # Errors
    /// [`EvalError`] where a comparison has no answer; such a message does not match.
    pub fn evaluate<'a>(
        &self,
        properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<bool>, EvalError> {
        let mut values = vec![Value::Null; self.names.len()];
        for (name, value) in properties {
            if let Some(at) = self.names.get(name) {
                values[*at] = Value::Text(value);
            }
        }
        self.root.truth(&Message { values, left: Cell::new(MAX_NODES) })
    }

    /// Whether a message with these properties is wanted.
    pub fn matches<'a>(&self, properties: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
        self.evaluate(properties) == Ok(Some(true))
    }
}

/// What an expression reads of one message.
struct Message<'a> {
    /// The values of the properties that it names.
    values: Vec<Value<'a>>,
    /// How many more blocks of long texts it may read.
    left: Cell<u32>,
}

impl Message<'_> {
    /// Counts that so many bytes are gone through. Texts of less than a block are free: the bound on the pieces of an
    /// expression bounds how often they are read.
    fn reads(&self, bytes: usize) -> Result<(), EvalError> {
        let blocks = u32::try_from(bytes / BLOCK).unwrap_or(u32::MAX);
        let left = self.left.get().checked_sub(blocks).ok_or(EvalError::TooMuch)?;
        self.left.set(left);
        Ok(())
    }

    /// The same for two values that are compared.
    fn reads_both(&self, left: Value<'_>, right: Value<'_>) -> Result<(), EvalError> {
        for value in [left, right] {
            if let Value::Text(text) = value {
                self.reads(text.len())?;
            }
        }
        Ok(())
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

/// A constant of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    Null,
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(Arc<str>),
}

impl Constant {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Constant::Null => Value::Null,
            Constant::Bool(value) => Value::Bool(*value),
            Constant::Int(value) => Value::Int(*value),
            Constant::Long(value) => Value::Long(*value),
            Constant::Double(value) => Value::Double(*value),
            Constant::Text(value) => Value::Text(value),
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Constant::Int(_) | Constant::Long(_) | Constant::Double(_))
    }

    /// `Object.toString` of the value.
    pub(crate) fn plain(&self) -> String {
        match self {
            Constant::Null => "null".to_owned(),
            Constant::Bool(value) => value.to_string(),
            Constant::Int(value) => value.to_string(),
            Constant::Long(value) => value.to_string(),
            Constant::Double(value) => double_to_string(*value),
            Constant::Text(value) => value.to_string(),
        }
    }
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Equal,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

impl Sign {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Sign::Equal => order.is_eq(),
            Sign::Greater => order.is_gt(),
            Sign::GreaterEqual => order.is_ge(),
            Sign::Less => order.is_lt(),
            Sign::LessEqual => order.is_le(),
        }
    }
}

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Inside,
    Start,
    End,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Constant(Constant),
    Property(Arc<str>, usize),
    Negate(Box<Node>),
    Not(Box<Node>),
    /// A property where a truth value is wanted.
    Cast(Box<Node>),
    Compare(Sign, Box<[Node; 2]>),
    /// AND of all.
    All(Vec<Node>),
    /// OR of all.
    Any(Vec<Node>),
    In {
        property: Box<Node>,
        not: bool,
        list: Arc<[Arc<str>]>,
    },
    Text {
        part: Part,
        not: bool,
        operand: Box<Node>,
        search: Arc<str>,
    },
}

impl Node {
    /// Whether Java counts it as an expression with a truth value.
    pub(crate) fn is_boolean(&self) -> bool {
        match self {
            Node::Constant(constant) => matches!(constant, Constant::Null | Constant::Bool(_)),
            Node::Property(..) | Node::Negate(_) => false,
            _ => true,
        }
    }

    /// The value where a truth value is wanted; every such place holds a node that has one.
    fn truth(&self, message: &Message<'_>) -> Result<Option<bool>, EvalError> {
        match self {
            Node::Not(operand) => Ok(operand.truth(message)?.map(|value| !value)),
            Node::Cast(operand) => Ok(match operand.value(message)? {
                Value::Null => None,
                Value::Bool(value) => Some(value),
                _ => Some(false),
            }),
            Node::All(nodes) => decided_by(false, nodes, message),
            Node::Any(nodes) => decided_by(true, nodes, message),
            Node::Compare(sign, operands) => {
                let [left, right] = &**operands;
                let left = left.value(message)?;
                if *sign == Sign::Equal {
                    let right = right.value(message)?;
                    match (left, right) {
                        // Texts are gone through as long as they are equal.
                        (Value::Text(left), Value::Text(right)) => {
                            message.reads(left.len().min(right.len()))?
                        }
                        _ => message.reads_both(left, right)?,
                    }
                    return equal(left, right);
                }
                if left == Value::Null {
                    return Ok(None);
                }
                match right.value(message)? {
                    Value::Null => Ok(None),
                    right => {
                        message.reads_both(left, right)?;
                        Ok(Some(sign.holds(compare_sizes(left, right)?)))
                    }
                }
            }
            Node::In { property, not, list } => Ok(match property.value(message)? {
                Value::Text(text) => Some(list.iter().any(|it| **it == *text) != *not),
                _ => None,
            }),
            Node::Text { part, not, operand, search } => {
                if search.is_empty() {
                    return Ok(Some(false));
                }
                let Value::Text(text) = operand.value(message)? else { return Ok(Some(false)) };
                if *part == Part::Inside {
                    message.reads(text.len())?;
                }
                let found = match part {
                    Part::Inside => text.contains(&**search),
                    Part::Start => text.starts_with(&**search),
                    Part::End => text.ends_with(&**search),
                };
                Ok(Some(found != *not))
            }
            Node::Constant(_) | Node::Property(..) | Node::Negate(_) => Ok(match self.value(message)? {
                Value::Bool(value) => Some(value),
                _ => None,
            }),
        }
    }

    fn value<'a>(&'a self, message: &Message<'a>) -> Result<Value<'a>, EvalError> {
        Ok(match self {
            Node::Constant(constant) => constant.value(),
            Node::Property(_, at) => message.values.get(*at).copied().unwrap_or(Value::Null),
            Node::Negate(operand) => match operand.value(message)? {
                Value::Int(value) => Value::Int(value.wrapping_neg()),
                Value::Long(value) => Value::Long(value.wrapping_neg()),
                Value::Double(value) => Value::Double(-value),
                _ => Value::Null,
            },
            _ => self.truth(message)?.map_or(Value::Null, Value::Bool),
        })
    }
}

/// AND (`decisive` is false) or OR (true): the first decisive value is the result, else an unknown one, if any.
fn decided_by(decisive: bool, nodes: &[Node], message: &Message<'_>) -> Result<Option<bool>, EvalError> {
    let mut result = Some(!decisive);
    for node in nodes {
        match node.truth(message)? {
            Some(value) if value == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}

fn equal(left: Value<'_>, right: Value<'_>) -> Result<Option<bool>, EvalError> {
    match (left, right) {
        (Value::Null, Value::Null) => Ok(Some(true)),
        (Value::Null, _) => Ok(None),
        (_, Value::Null) => Ok(Some(false)),
        _ => Ok(Some(compare(left, right)?.is_eq())),
    }
}

impl Display for Constant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Constant::Null => f.write_str("NULL"),
            Constant::Bool(true) => f.write_str("TRUE"),
            Constant::Bool(false) => f.write_str("FALSE"),
            Constant::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            number => f.write_str(&number.plain()),
        }
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let chain = |f: &mut Formatter<'_>, nodes: &[Node], sign: &str| {
            (1..nodes.len()).try_for_each(|_| f.write_str("("))?;
            for (at, node) in nodes.iter().enumerate() {
                match at {
                    0 => node.fmt(f)?,
                    _ => write!(f, " {sign} {node})")?,
                }
            }
            Ok(())
        };
        match self {
            Node::Constant(constant) => constant.fmt(f),
            Node::Property(name, _) => f.write_str(name),
            Node::Negate(operand) => write!(f, "(- {operand})"),
            Node::Not(operand) => write!(f, "(NOT {operand})"),
            Node::Cast(operand) => operand.fmt(f),
            Node::Compare(sign, operands) => {
                let sign = match sign {
                    Sign::Equal => "==",
                    Sign::Greater => ">",
                    Sign::GreaterEqual => ">=",
                    Sign::Less => "<",
                    Sign::LessEqual => "<=",
                };
                write!(f, "({} {sign} {})", operands[0], operands[1])
            }
            Node::All(nodes) => chain(f, nodes, "&&"),
            Node::Any(nodes) => chain(f, nodes, "||"),
            Node::In { property, not, list } => {
                let not = if *not { "NOT " } else { "" };
                write!(f, "{property} {not}IN ( {} )", in_java_order(list).join(", "))
            }
            Node::Text { part, not, operand, .. } => {
                let not = if *not { "NOT " } else { "" };
                let part = match part {
                    Part::Inside => "CONTAINS",
                    Part::Start => "STARTSWITH",
                    Part::End => "ENDSWITH",
                };
                write!(f, "({not}{part} {operand})")
            }
        }
    }
}

/// The order in which Java goes through a list: that of a `HashSet` where it has five elements or more.
fn in_java_order(list: &[Arc<str>]) -> Vec<&str> {
    let mut ordered: Vec<&str> = list.iter().map(|text| &**text).collect();
    if list.len() < 5 {
        return ordered;
    }
    let buckets = ((list.len() as f32 / 0.75) as usize + 1).max(16).next_power_of_two();
    let bucket = |text: &str| {
        let hash = string_hash(text) as u32;
        (hash ^ hash >> 16) as usize & (buckets - 1)
    };
    let mut seen = std::collections::HashSet::new();
    ordered.retain(|text| seen.insert(*text));
    ordered.sort_by_key(|text| bucket(text));
    ordered
}
