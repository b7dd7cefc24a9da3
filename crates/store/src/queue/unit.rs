//! One entry of a consume queue: `commitLogOffset 8 | size 4 | tagsCode 8`.

/// Bytes of a unit (`ConsumeQueue.CQ_STORE_UNIT_SIZE`).
pub(crate) const UNIT: u64 = 20;

/// Points to a record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) log_offset: i64,
    pub(crate) size: i32,
    pub(crate) tags_code: i64,
}

/// What fills the first file of a queue that does not begin at 0 up to its first message.
pub(crate) const PRE_BLANK: Unit = Unit { log_offset: 0, size: i32::MAX, tags_code: 0 };

impl Unit {
    pub(crate) fn encode(self) -> [u8; UNIT as usize] {
        let mut bytes = [0; UNIT as usize];
        bytes[..8].copy_from_slice(&self.log_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_be_bytes());
        bytes[12..].copy_from_slice(&self.tags_code.to_be_bytes());
        bytes
    }

    /// Reads a unit from the first bytes of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            log_offset: i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?),
            size: i32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?),
            tags_code: i64::from_be_bytes(bytes.get(12..20)?.try_into().ok()?),
        })
    }

    /// Whether this can be a unit at all; the first one that cannot ends the queue (`ConsumeQueue.recover`).
    pub(crate) fn is_valid(self) -> bool {
        self.log_offset >= 0 && self.size > 0
    }

    /// Log offset after the record; a filler has none.
    pub(crate) fn log_end(self) -> i64 {
        if self == PRE_BLANK {
            return 0;
        }
        self.log_offset.saturating_add(i64::from(self.size))
    }
}
