//! Attributes of topics and groups, and how requests change them (`AttributeParser`, `AttributeUtil`).

use std::collections::{BTreeMap, BTreeSet};

/// Attributes by name.
pub type Attributes = BTreeMap<String, String>;

/// The values that an attribute may have.
enum Values {
    OneOf(&'static [&'static str]),
    Between(i64, i64),
    Boolean,
    Any,
}

impl Values {
    fn verify(&self, value: &str) -> Result<(), String> {
        match self {
            Values::OneOf(values) if !values.contains(&value) => {
                Err(format!("value is not in set: [{}]", values.join(", ")))
            }
            Values::Between(min, max) => match value.parse::<i64>() {
                Err(_) => Err(format!("For input string: \"{value}\"")),
                Ok(n) if n < *min || n > *max => Err(format!("value is not in range({min}, {max})")),
                Ok(_) => Ok(()),
            },
            Values::Boolean if !["true", "false"].iter().any(|b| value.eq_ignore_ascii_case(b)) => {
                Err("boolean attribute format is wrong.".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// An attribute that exists.
pub struct Rule {
    name: &'static str,
    changeable: bool,
    values: Values,
}

const fn rule(name: &'static str, changeable: bool, values: Values) -> Rule {
    Rule { name, changeable, values }
}

/// `TopicAttributes`.
pub const OF_TOPICS: &[Rule] = &[
    rule("queue.type", false, Values::OneOf(&["BatchCQ", "SimpleCQ"])),
    rule("cleanup.policy", false, Values::OneOf(&["DELETE", "COMPACTION"])),
    rule(
        "message.type",
        true,
        Values::OneOf(&[
            "UNSPECIFIED",
            "NORMAL",
            "FIFO",
            "DELAY",
            "TRANSACTION",
            "PRIORITY",
            "LITE",
            "MIXED",
        ]),
    ),
    rule("reserve.time", true, Values::Between(-1, i64::MAX)),
    rule("lite.topic.expiration", true, Values::Between(-1, i64::MAX)),
];

/// `SubscriptionGroupAttributes`.
pub const OF_GROUPS: &[Rule] = &[
    rule("priority.factor", true, Values::Between(0, 100)),
    rule("lite.bind.topic", true, Values::Any),
    rule("lite.sub.model", true, Values::OneOf(&["Shared", "Exclusive"])),
    rule("lite.sub.reset.offset.exclusive", true, Values::Boolean),
    rule("lite.sub.reset.offset.unsubscribe", true, Values::Boolean),
    rule("lite.sub.client.quota", true, Values::Between(-1, i64::MAX)),
    rule("lite.sub.client.max.event.cnt", true, Values::Between(10, i64::MAX)),
    rule("lite.sub.wildcard", true, Values::Any),
];

/// Reads `+key=value,-key,…` into changes by signed key.
///
/// # Errors
/// Java's message.
pub fn parse(text: &str) -> Result<Attributes, String> {
    let mut changes = Attributes::new();
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let (key, value) = match item.split_once('=') {
            Some((key, value)) if key.starts_with('+') => (key, value),
            Some((key, _)) => return Err(format!("add/alter attribute format is wrong: {key}")),
            None if item.starts_with('-') => (item, ""),
            None => return Err(format!("delete attribute format is wrong: {item}")),
        };
        if changes.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("key duplication: {key}"));
        }
    }
    Ok(changes)
}

/// Applies changes by signed key (`+key` with its value, `-key`) to the attributes of what exists, or to none when it
/// is created.
///
/// # Errors
/// Java's message; nothing is changed then.
pub fn alter(
    current: Option<&Attributes>,
    rules: &[Rule],
    changes: &Attributes,
) -> Result<Attributes, String> {
    let mut attributes = current.cloned().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for (key, value) in changes {
        let (sign, name) = key.split_at_checked(1).unwrap_or_default();
        if name.is_empty() || name.contains(['+', '-']) {
            return Err("kv string format wrong.".to_owned());
        }
        if !seen.insert(name) {
            return Err(format!("alter duplication key. key: {name}"));
        }
        let delete = match sign {
            "+" => false,
            _ if current.is_none() => {
                return Err(format!("only add attribute is supported while creating topic. key: {name}"));
            }
            "-" => true,
            _ => return Err(format!("wrong format key: {name}")),
        };
        if delete && !attributes.contains_key(name) {
            return Err(format!("attempt to delete a nonexistent key: {name}"));
        }
        let Some(rule) = rules.iter().find(|rule| rule.name == name) else {
            return Err(format!("unsupported key: {name}"));
        };
        if current.is_some() && !rule.changeable {
            return Err(format!("attempt to update an unchangeable attribute. key: {name}"));
        }
        if delete {
            attributes.remove(name);
        } else {
            rule.values.verify(value)?;
            attributes.insert(name.to_owned(), value.clone());
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn alter_text(current: Option<&Attributes>, rules: &[Rule], change: &str) -> Result<Attributes, String> {
        alter(current, rules, &parse(change)?)
    }

    #[test]
    fn attributes_are_added_changed_and_deleted_by_javas_rules() {
        let typed = with(&[("message.type", "NORMAL")]);
        let topic = |current, change| alter_text(current, OF_TOPICS, change);
        assert_eq!(topic(None, ""), Ok(with(&[])));
        assert_eq!(topic(Some(&typed), ""), Ok(typed.clone()));
        assert_eq!(topic(None, "+message.type=NORMAL"), Ok(typed.clone()));
        assert_eq!(topic(Some(&typed), "+message.type=FIFO"), Ok(with(&[("message.type", "FIFO")])));
        assert_eq!(topic(Some(&typed), "-message.type"), Ok(with(&[])));
        let policy = with(&[("cleanup.policy", "DELETE")]);
        for (current, change) in [
            (None, "-message.type"),
            (None, "message.type=NORMAL"),
            (None, "+no.such=1"),
            (None, "+message.type=ODD"),
            (None, "+"),
            (None, "+=1"),
            (None, "é=1"),
            (None, "+message.type=FIFO,+message.type=NORMAL"),
            (Some(&typed), "+message.type=FIFO,-message.type"),
            (Some(&typed), "+queue.type=SimpleCQ"),
            (Some(&typed), "-cleanup.policy"),
            (Some(&policy), "-cleanup.policy"),
        ] {
            assert!(topic(current, change).is_err(), "{change}");
        }
        let group = |change| alter_text(None, OF_GROUPS, change);
        let all = "+priority.factor=0,+lite.sub.model=Shared,+lite.sub.reset.offset.exclusive=TRUE,+lite.bind.topic=T";
        assert_eq!(group(all).map(|a| a.len()), Ok(4));
        for change in [
            "+priority.factor=101",
            "+priority.factor=x",
            "+lite.sub.model=shared",
            "+message.type=FIFO",
            "+lite.sub.reset.offset.exclusive=1",
        ] {
            assert!(group(change).is_err(), "{change}");
        }
    }
}
