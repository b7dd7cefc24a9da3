//! What a typed header is, apart from any single one.

use crate::ExtFields;

/// A typed command header (`CommandCustomHeader`): the meaning of a command's ext fields.
///
/// Implemented with `#[derive(Header)]`. The rules are Java's where a rule can be kept without a null: a missing
/// primitive is 0 or false, unknown entries are ignored, a number that does not parse is absent. A missing or
/// unreadable *required* field, which Java decodes to null and then trips over inside the handler, is an error here.
pub trait Header: Sized {
    /// The simple name of the Java class.
    const JAVA: &'static str;

    /// Reads the header out of a command's ext fields.
    fn decode(ext: &ExtFields) -> Result<Self, HeaderError>;

    /// Writes every present field into `ext`.
    fn encode(&self, ext: &mut ExtFields);

    /// Appends every field, inherited ones included, as Java reflection lists them.
    fn fields(out: &mut Vec<FieldInfo>);
}

/// One field of a typed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldInfo {
    /// The name on the wire.
    pub name: &'static str,
    /// The Java type.
    pub ty: FieldType,
    /// True when Java marks the field `@CFNotNull`, or when it is a primitive without `@CFNullable`.
    pub required: bool,
}

/// The Java type of a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// `String`.
    String,
    /// `int`.
    Int,
    /// `Integer`.
    BoxedInt,
    /// `long`.
    Long,
    /// `Long`.
    BoxedLong,
    /// `boolean`.
    Boolean,
    /// `Boolean`.
    BoxedBoolean,
}

/// Why a typed header cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A required field is absent.
    #[error("the custom field <{0}> is null")]
    Missing(&'static str),
    /// A field holds something that is not of its type.
    #[error("the custom field <{name}> has the value [{value}], which is no {expected}")]
    Invalid {
        /// The field's name on the wire.
        name: &'static str,
        /// What the sender wrote, cut to a readable length.
        value: String,
        /// The Java type it should have.
        expected: &'static str,
    },
}

/// The scalar rules; called by derived code only.
#[doc(hidden)]
pub mod scalar {
    use super::{ExtFields, HeaderError};

    /// A Java scalar that travels as text.
    pub trait Scalar: Sized {
        const JAVA: &'static str;
        fn parse(text: &str) -> Option<Self>;
        fn put(&self, ext: &mut ExtFields, name: &str);
    }

    impl Scalar for i32 {
        const JAVA: &'static str = "int";
        fn parse(text: &str) -> Option<Self> {
            text.parse().ok()
        }
        fn put(&self, ext: &mut ExtFields, name: &str) {
            ext.insert_int(name, i64::from(*self));
        }
    }

    impl Scalar for i64 {
        const JAVA: &'static str = "long";
        fn parse(text: &str) -> Option<Self> {
            text.parse().ok()
        }
        fn put(&self, ext: &mut ExtFields, name: &str) {
            ext.insert_int(name, *self);
        }
    }

    impl Scalar for bool {
        const JAVA: &'static str = "boolean";
        /// `Boolean.parseBoolean`: everything but "true" is false.
        fn parse(text: &str) -> Option<Self> {
            Some(text.eq_ignore_ascii_case("true"))
        }
        fn put(&self, ext: &mut ExtFields, name: &str) {
            ext.insert_bool(name, *self);
        }
    }

    impl Scalar for String {
        const JAVA: &'static str = "String";
        fn parse(text: &str) -> Option<Self> {
            Some(text.to_owned())
        }
        fn put(&self, ext: &mut ExtFields, name: &str) {
            ext.insert(name, self);
        }
    }

    fn invalid<T: Scalar>(name: &'static str, text: &str) -> HeaderError {
        HeaderError::Invalid { name, value: text.chars().take(64).collect(), expected: T::JAVA }
    }

    /// A field that must be there and must parse.
    pub fn required<T: Scalar>(ext: &ExtFields, name: &'static str) -> Result<T, HeaderError> {
        let text = ext.get(name).ok_or(HeaderError::Missing(name))?;
        T::parse(text).ok_or_else(|| invalid::<T>(name, text))
    }

    /// A field that may be missing. Java logs what does not parse and leaves the field null; a fast header throws.
    pub fn optional<T: Scalar>(
        ext: &ExtFields,
        name: &'static str,
        fast: bool,
    ) -> Result<Option<T>, HeaderError> {
        match ext.get(name) {
            None => Ok(None),
            Some(text) => match T::parse(text) {
                None if fast => Err(invalid::<T>(name, text)),
                parsed => Ok(parsed),
            },
        }
    }

    /// A Java primitive: its zero when missing, and when unreadable outside a fast header.
    pub fn primitive<T: Scalar + Default>(
        ext: &ExtFields,
        name: &'static str,
        fast: bool,
    ) -> Result<T, HeaderError> {
        Ok(optional(ext, name, fast)?.unwrap_or_default())
    }
}
