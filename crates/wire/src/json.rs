//! JSON as Java's fastjson reads and writes it.
//!
//! Reading is tolerant: map keys may be bare integers or whole objects, numbers may come as text, names in single
//! quotes, with trailing commas and unknown members; null stands for the zero of any type. Writing gives the text
//! Java writes: members in alphabetical order, nulls left out, integer keys bare, object keys as objects.
//!
//! Both sides are serde back ends, so a body is a plain struct with `#[serde(rename_all = "camelCase", default)]`.

mod read;
pub(crate) mod text;
mod write;

#[cfg(test)]
mod tests;

pub use read::{JsonError, from_slice, from_str};
pub use write::{to_standard_string, to_string, to_vec};

/// An enumeration of Java's, written by its constant name.
pub trait JavaEnum: Sized + Copy + 'static {
    /// Every value with its constant name, in order of its ordinal.
    const VALUES: &'static [(Self, &'static str)];
}

/// Reads an enumeration as Java does: a name or an ordinal; anything unknown is absent.
pub fn java_enum<'de, D, E>(deserializer: D) -> Result<Option<E>, D::Error>
where
    D: serde::Deserializer<'de>,
    E: JavaEnum,
{
    use serde::Deserialize as _;
    let value = serde_json::Value::deserialize(deserializer)?;
    let found = match &value {
        serde_json::Value::String(name) => E::VALUES.iter().find(|(_, known)| known == name),
        serde_json::Value::Number(number) => number
            .as_u64()
            .and_then(|ordinal| usize::try_from(ordinal).ok())
            .and_then(|ordinal| E::VALUES.get(ordinal)),
        _ => None,
    };
    Ok(found.map(|(value, _)| *value))
}

/// `java_enum` with the type's default for what is absent or unknown.
pub fn java_enum_or_default<'de, D, E>(deserializer: D) -> Result<E, D::Error>
where
    D: serde::Deserializer<'de>,
    E: JavaEnum + Default,
{
    Ok(java_enum(deserializer)?.unwrap_or_default())
}
