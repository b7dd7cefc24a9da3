//! Java enumerations inside bodies. They travel by name and are read by name or ordinal.

use serde::{Deserialize, Serialize};

use crate::LanguageCode;
use crate::json::JavaEnum;

/// How a group gets its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ConsumeType {
    /// The application pulls.
    #[serde(rename = "CONSUME_ACTIVELY")]
    ConsumeActively,
    /// The client library pulls and hands over.
    #[default]
    #[serde(rename = "CONSUME_PASSIVELY")]
    ConsumePassively,
    /// The broker hands over for a while.
    #[serde(rename = "CONSUME_POP")]
    ConsumePop,
}

impl JavaEnum for ConsumeType {
    const VALUES: &'static [(Self, &'static str)] = &[
        (Self::ConsumeActively, "CONSUME_ACTIVELY"),
        (Self::ConsumePassively, "CONSUME_PASSIVELY"),
        (Self::ConsumePop, "CONSUME_POP"),
    ];
}

/// Who gets a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum MessageModel {
    /// Every consumer of the group.
    #[serde(rename = "BROADCASTING")]
    Broadcasting,
    /// One consumer of the group.
    #[default]
    #[serde(rename = "CLUSTERING")]
    Clustering,
    /// Consumers that chose the lite topic.
    #[serde(rename = "LITE_SELECTIVE")]
    LiteSelective,
}

impl JavaEnum for MessageModel {
    const VALUES: &'static [(Self, &'static str)] = &[
        (Self::Broadcasting, "BROADCASTING"),
        (Self::Clustering, "CLUSTERING"),
        (Self::LiteSelective, "LITE_SELECTIVE"),
    ];
}

/// Where a group without offsets starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ConsumeFromWhere {
    /// At the newest message.
    #[default]
    #[serde(rename = "CONSUME_FROM_LAST_OFFSET")]
    ConsumeFromLastOffset,
    /// Deprecated.
    #[serde(rename = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST")]
    ConsumeFromLastOffsetAndFromMinWhenBootFirst,
    /// Deprecated.
    #[serde(rename = "CONSUME_FROM_MIN_OFFSET")]
    ConsumeFromMinOffset,
    /// Deprecated.
    #[serde(rename = "CONSUME_FROM_MAX_OFFSET")]
    ConsumeFromMaxOffset,
    /// At the oldest message.
    #[serde(rename = "CONSUME_FROM_FIRST_OFFSET")]
    ConsumeFromFirstOffset,
    /// At a point in time.
    #[serde(rename = "CONSUME_FROM_TIMESTAMP")]
    ConsumeFromTimestamp,
}

impl JavaEnum for ConsumeFromWhere {
    const VALUES: &'static [(Self, &'static str)] = &[
        (Self::ConsumeFromLastOffset, "CONSUME_FROM_LAST_OFFSET"),
        (
            Self::ConsumeFromLastOffsetAndFromMinWhenBootFirst,
            "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        ),
        (Self::ConsumeFromMinOffset, "CONSUME_FROM_MIN_OFFSET"),
        (Self::ConsumeFromMaxOffset, "CONSUME_FROM_MAX_OFFSET"),
        (Self::ConsumeFromFirstOffset, "CONSUME_FROM_FIRST_OFFSET"),
        (Self::ConsumeFromTimestamp, "CONSUME_FROM_TIMESTAMP"),
    ];
}

/// Pull or pop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum MessageRequestMode {
    /// The client keeps the offsets.
    #[default]
    #[serde(rename = "PULL")]
    Pull,
    /// The broker does.
    #[serde(rename = "POP")]
    Pop,
}

impl JavaEnum for MessageRequestMode {
    const VALUES: &'static [(Self, &'static str)] = &[(Self::Pull, "PULL"), (Self::Pop, "POP")];
}

/// How many tags a message may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum TopicFilterType {
    /// One.
    #[default]
    #[serde(rename = "SINGLE_TAG")]
    SingleTag,
    /// Several.
    #[serde(rename = "MULTI_TAG")]
    MultiTag,
}

impl JavaEnum for TopicFilterType {
    const VALUES: &'static [(Self, &'static str)] =
        &[(Self::SingleTag, "SINGLE_TAG"), (Self::MultiTag, "MULTI_TAG")];
}

/// How the waits between deliveries grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum GroupRetryPolicyType {
    /// By a factor.
    #[serde(rename = "EXPONENTIAL")]
    Exponential,
    /// By a table.
    #[default]
    #[serde(rename = "CUSTOMIZED")]
    Customized,
}

impl JavaEnum for GroupRetryPolicyType {
    const VALUES: &'static [(Self, &'static str)] =
        &[(Self::Exponential, "EXPONENTIAL"), (Self::Customized, "CUSTOMIZED")];
}

/// What a client made of a message it was told to consume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum CMResult {
    /// Consumed.
    #[default]
    #[serde(rename = "CR_SUCCESS")]
    CrSuccess,
    /// To be delivered again.
    #[serde(rename = "CR_LATER")]
    CrLater,
    /// Rolled back.
    #[serde(rename = "CR_ROLLBACK")]
    CrRollback,
    /// Committed.
    #[serde(rename = "CR_COMMIT")]
    CrCommit,
    /// The listener threw.
    #[serde(rename = "CR_THROW_EXCEPTION")]
    CrThrowException,
    /// The listener returned null.
    #[serde(rename = "CR_RETURN_NULL")]
    CrReturnNull,
}

impl JavaEnum for CMResult {
    const VALUES: &'static [(Self, &'static str)] = &[
        (Self::CrSuccess, "CR_SUCCESS"),
        (Self::CrLater, "CR_LATER"),
        (Self::CrRollback, "CR_ROLLBACK"),
        (Self::CrCommit, "CR_COMMIT"),
        (Self::CrThrowException, "CR_THROW_EXCEPTION"),
        (Self::CrReturnNull, "CR_RETURN_NULL"),
    ];
}

impl Serialize for LanguageCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Java holds null here and leaves the member out.
            Self::Unknown => serializer.serialize_none(),
            known => serializer.serialize_str(known.name()),
        }
    }
}

impl<'de> Deserialize<'de> for LanguageCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(name) => Self::from_name(&name),
            serde_json::Value::Number(number) => Self::from_code(number.as_i64().unwrap_or(-1)),
            _ => Self::Unknown,
        })
    }
}
