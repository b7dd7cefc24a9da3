//! Which topic and group names are legal, which belong to the system, and the permission and flag bits of topics.

use raptormq_base::java;

/// Topic whose presence lets producers create topics by sending (`TopicValidator.AUTO_CREATE_TOPIC_KEY_TOPIC`).
pub const AUTO_CREATE_TOPIC: &str = "TBW102";
/// Topic that holds messages until their delay level has passed; queue = level - 1.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Topic of the broker's benchmark.
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// Topic of half messages.
pub const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Topic that records which half messages are settled.
pub const OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Topic for half messages that were checked too often.
pub const TRANS_CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Topic of message traces.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Topic of the broker's self test.
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// Topic of offset corrections.
pub const OFFSET_MOVED_EVENT: &str = "OFFSET_MOVED_EVENT";
/// Topic of the RocksDB offset store.
pub const CHECKPOINT_TOPIC: &str = "CHECKPOINT_TOPIC";
/// Topic of timer messages.
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Prefix of system topics.
pub const SYSTEM_TOPIC_PREFIX: &str = "rmq_sys_";
/// Prefix of a group's retry topic.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of a group's dead-letter topic.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// Prefix of light message queues and of the groups that consume them (`MixAll.LMQ_PREFIX`).
pub const LMQ_PREFIX: &str = "%LMQ%";
/// Prefix of the groups that the system itself consumes with.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";
/// The group that mqadmin and the verification tools pull with.
pub const TOOLS_GROUP: &str = "TOOLS_CONSUMER";

/// Groups that exist on every broker, with whether they are there from the start with broadcast set explicitly
/// (`SubscriptionGroupManager.init`).
pub const SYSTEM_GROUPS: &[&str] = &[
    TOOLS_GROUP,
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_RMQ_SYS_TRANS",
];

const SYSTEM_TOPICS: &[&str] = &[
    AUTO_CREATE_TOPIC,
    SCHEDULE_TOPIC,
    BENCHMARK_TOPIC,
    HALF_TOPIC,
    TRACE_TOPIC,
    OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT,
    CHECKPOINT_TOPIC,
];

/// The page that Java's remarks point to.
pub const FAQ: &str = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";

/// Queues that a topic may be given. Java takes any number and then builds answers of so many entries.
pub const QUEUES_MAX: i32 = 65_536;

const TOPIC_LENGTH_MAX: usize = 127;
const RETRY_OR_DLQ_LENGTH_MAX: usize = 255;
const GROUP_LENGTH_MAX: usize = 120;

/// Permission bits (`PermName`).
pub mod perm {
    /// Derived topics inherit the rest.
    pub const INHERIT: i32 = 1;
    /// Producers may send.
    pub const WRITE: i32 = 1 << 1;
    /// Consumers may pull.
    pub const READ: i32 = 1 << 2;

    /// Whether `perm` lets producers send.
    pub fn is_writable(perm: i32) -> bool {
        perm & WRITE != 0
    }

    /// Whether `perm` lets consumers pull.
    pub fn is_readable(perm: i32) -> bool {
        perm & READ != 0
    }

    /// Whether derived topics inherit `perm`.
    pub fn is_inherited(perm: i32) -> bool {
        perm & INHERIT != 0
    }

    /// Whether `perm` is a value that Java accepts (`PermName.isValid`: below 8).
    pub fn is_valid(perm: i32) -> bool {
        (0..8).contains(&perm)
    }
}

/// `TopicSysFlag`: unit and unit-subscription bits.
pub fn topic_sys_flag(unit: bool, unit_sub: bool) -> i32 {
    i32::from(unit) | i32::from(unit_sub) << 1
}

/// The retry topic of a group.
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// The dead-letter topic of a group.
pub fn dlq_topic(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

/// Whether clients may not send to `topic`.
pub fn is_send_forbidden(topic: &str) -> bool {
    [
        SCHEDULE_TOPIC,
        HALF_TOPIC,
        OP_HALF_TOPIC,
        TRANS_CHECK_MAX_TIME_TOPIC,
        SELF_TEST_TOPIC,
        OFFSET_MOVED_EVENT,
    ]
    .contains(&topic)
}

/// Whether a topic or a group is a light message queue's (`MixAll.isLmq`).
pub fn is_lmq(name: &str) -> bool {
    name.starts_with(LMQ_PREFIX)
}

/// Whether `topic` is a system topic by its name alone.
pub fn is_system_topic(topic: &str) -> bool {
    SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_TOPIC_PREFIX)
}

fn has_illegal_characters(name: &str) -> bool {
    !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'%' | b'-' | b'_' | b'|'))
}

/// Checks a topic name. The character set leaves no way to write a path.
///
/// # Errors
/// The remark that Java answers with (`TopicValidator.validateTopic`).
pub fn validate_topic(topic: &str) -> Result<(), String> {
    if java::is_blank(topic) {
        return Err("The specified topic is blank.".to_owned());
    }
    if has_illegal_characters(topic) {
        return Err(format!(
            "The specified topic: {topic}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        ));
    }
    if topic.starts_with(RETRY_PREFIX) || topic.starts_with(DLQ_PREFIX) {
        if topic.len() > RETRY_OR_DLQ_LENGTH_MAX {
            return Err(format!(
                "The specified topic is DLQ or Retry topic: {topic}, and it's longer than topic max length: {RETRY_OR_DLQ_LENGTH_MAX}"
            ));
        }
    } else if topic.len() > TOPIC_LENGTH_MAX {
        return Err(format!(
            "The specified topic: {topic}, is longer than topic max length: {TOPIC_LENGTH_MAX}"
        ));
    }
    Ok(())
}

/// Checks a group name.
///
/// # Errors
/// The remark that Java answers with (`TopicValidator.validateGroup`).
pub fn validate_group(group: &str) -> Result<(), String> {
    if java::is_blank(group) {
        return Err("The specified group is blank.".to_owned());
    }
    if has_illegal_characters(group) {
        return Err(format!(
            "The specified group: {group}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        ));
    }
    if group.len() > GROUP_LENGTH_MAX {
        return Err(format!(
            "The specified group: {group}, is longer than group max length: {GROUP_LENGTH_MAX}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_store_are_illegal() {
        for name in ["../x", "a/b", "a\0b", "..", ".", "C:x", "ä", "a b", "", " ", "%00/"] {
            assert!(validate_topic(name).is_err(), "{name:?}");
            assert!(validate_group(name).is_err(), "{name:?}");
        }
        for name in ["a", "%RETRY%g", "T_1-x|y", &"t".repeat(127)] {
            assert_eq!(validate_topic(name), Ok(()), "{name}");
        }
        assert!(validate_topic(&"t".repeat(128)).is_err());
        assert!(validate_group(&"g".repeat(121)).is_err());
        assert_eq!(validate_topic(&format!("%RETRY%{}", "t".repeat(248))), Ok(()));
    }
}
