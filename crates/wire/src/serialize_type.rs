//! How a command header is written.

/// The form of a command header (`SerializeType`). The number is the first byte of the frame's second word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum SerializeType {
    /// A JSON object.
    #[default]
    Json = 0,
    /// Fixed binary fields followed by length-prefixed entries. Codes are cut to 16 bits in this form.
    RocketMq = 1,
}

impl SerializeType {
    /// The type with this number; no other number exists.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Json),
            1 => Some(Self::RocketMq),
            _ => None,
        }
    }

    /// Java's constant name, as it appears in headers, boot lines and `ROCKETMQ_SERIALIZE_TYPE`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::RocketMq => "ROCKETMQ",
        }
    }

    /// The type named by `ROCKETMQ_SERIALIZE_TYPE`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "JSON" => Some(Self::Json),
            "ROCKETMQ" => Some(Self::RocketMq),
            _ => None,
        }
    }
}
