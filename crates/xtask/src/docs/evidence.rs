//! Which test shows that a request code works: kept by hand, checked to name tests that exist.

/// A conversation recorded with a Java 5.5.0 name server and held with ours.
const NAME_SERVER_GOLDEN: &str = "crates/namesrv/tests/java_golden.rs";
/// Stores of Java brokers served over the wire.
const TAKE_OVER: &str = "crates/broker/tests/takeover.rs";

/// The service of transactions over a real store.
const TRANSACTIONS: &str = "crates/broker/src/service/transaction/tests.rs";
/// Groups, their bans, modes and offsets, over the wire.
const GROUPS: &str = "crates/broker/tests/groups.rs";

/// Scenarios of `compat-tests/java` by name, and Rust tests by path, for codes that brokers answer.
pub const BROKER: &[(&str, &[&str])] = &[
    ("SEND_MESSAGE", &["send_empty_properties", "refuse_send", TAKE_OVER]),
    ("SEND_MESSAGE_V2", &["send_sync", "send_async", "send_oneway", "send_large", "refuse_too_large"]),
    ("SEND_BATCH_MESSAGE", &["send_batch"]),
    ("SEND_REPLY_MESSAGE", &["reply_refused"]),
    ("SEND_REPLY_MESSAGE_V2", &["reply_to_request", "reply_asynchronously", "reply_refused"]),
    ("CONSUMER_SEND_MSG_BACK", &["send_back", "retry_default_delay", "retry_to_dlq", "retry_batch_part"]),
    ("END_TRANSACTION", &["tx_commit_rollback", "tx_check", "tx_end_refused", TRANSACTIONS]),
    ("RESUME_CHECK_HALF_MESSAGE", &["tx_check_max", TRANSACTIONS]),
    (
        "PULL_MESSAGE",
        &[
            "push_concurrently",
            "push_long_polling",
            "pull_plain",
            "sql_push",
            "sql_pull",
            "refuse_pull",
            TAKE_OVER,
        ],
    ),
    ("LITE_PULL_MESSAGE", &["lite_subscribe", "lite_assign_seek"]),
    ("QUERY_MESSAGE", &["query_by_key", "refuse_admin"]),
    ("VIEW_MESSAGE_BY_ID", &["query_by_id"]),
    ("CHECK_CLIENT_CONFIG", &["sql_refused", "sql_off"]),
    ("HEART_BEAT", &["push_concurrently", "push_tags", "rebalance_killed"]),
    ("UNREGISTER_CLIENT", &["rebalance_join_leave", "group_notifications"]),
    ("GET_CONSUMER_LIST_BY_GROUP", &["rebalance_join_leave", "refuse_admin"]),
    ("QUERY_ASSIGNMENT", &["assign_push", "assign_queues", "crates/broker/tests/assignments.rs"]),
    ("SET_MESSAGE_REQUEST_MODE", &["assign_mode", GROUPS]),
    ("GET_ALL_MESSAGE_REQUEST_MODE", &["assign_mode"]),
    (
        "INVOKE_BROKER_TO_RESET_OFFSET",
        &["reset_offset_online", "reset_offset_offline", "reset_offset_by_clients"],
    ),
    ("INVOKE_BROKER_TO_GET_CONSUMER_STATUS", &["calls_consumer_status", "calls_refused"]),
    ("GET_CONSUMER_RUNNING_INFO", &["calls_running_info", "calls_refused"]),
    ("CONSUME_MESSAGE_DIRECTLY", &["calls_consume_directly", "calls_refused"]),
    ("QUERY_CORRECTION_OFFSET", &["offsets_correction", GROUPS]),
    ("UPDATE_AND_GET_GROUP_FORBIDDEN", &["group_forbidden", GROUPS]),
    ("UPDATE_AND_CREATE_SUBSCRIPTIONGROUP", &["group_config", "group_disabled"]),
    ("GET_SUBSCRIPTIONGROUP_CONFIG", &["group_config"]),
    ("DELETE_SUBSCRIPTIONGROUP", &["group_config"]),
    ("QUERY_CONSUME_TIME_SPAN", &["group_time_span"]),
    ("CLONE_GROUP_OFFSET", &["group_clone_offsets"]),
    ("GET_CONSUME_STATS", &["group_lag"]),
    ("GET_TOPIC_CONFIG", &["order_topic", "unit_mode"]),
    ("QUERY_TOPIC_CONSUME_BY_WHO", &["group_subscriptions"]),
    ("QUERY_TOPICS_BY_CONSUMER", &["group_subscriptions"]),
    ("QUERY_SUBSCRIPTION_BY_CONSUMER", &["group_subscriptions"]),
    ("UPDATE_BROKER_CONFIG", &["broker_permission", "reset_offset_by_clients"]),
    ("LOCK_BATCH_MQ", &["order_locks", "order_killed", "push_orderly"]),
    ("UNLOCK_BATCH_MQ", &["order_locks", "order_join_leave"]),
    ("QUERY_CONSUMER_OFFSET", &["offsets_of_group", "offset_survives_consumer_restart", TAKE_OVER]),
    ("UPDATE_CONSUMER_OFFSET", &["offsets_of_group", "offset_survives_consumer_restart"]),
    ("GET_MAX_OFFSET", &["offsets_of_queue", TAKE_OVER]),
    ("GET_MIN_OFFSET", &["offsets_of_queue", "refuse_admin", TAKE_OVER]),
    ("SEARCH_OFFSET_BY_TIMESTAMP", &["offsets_of_queue", "consume_from_timestamp"]),
    ("GET_EARLIEST_MSG_STORETIME", &["offsets_of_queue"]),
    ("UPDATE_AND_CREATE_TOPIC", &["pull_plain", "queues_grow_and_shrink", "refuse_admin"]),
    ("DELETE_TOPIC_IN_BROKER", &["topic_deleted_under_load"]),
    ("CHECK_CLIENT_CONFIG", &["sql_refused"]),
    ("GET_ALL_TOPIC_CONFIG", &[TAKE_OVER]),
    ("GET_ALL_SUBSCRIPTIONGROUP_CONFIG", &[TAKE_OVER]),
];

/// The same for name servers.
pub fn of_name_server() -> &'static str {
    NAME_SERVER_GOLDEN
}

/// What shows that a broker answers the code of this name.
pub fn of_broker(name: &str) -> &'static [&'static str] {
    BROKER.iter().find(|(code, _)| *code == name).map_or(&[], |(_, tests)| tests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_wire::RequestCode;

    #[test]
    fn every_test_and_code_that_is_named_exists() {
        let root = crate::root().unwrap();
        let mut scenarios = String::new();
        for file in std::fs::read_dir(root.join("compat-tests/java/src/main/java")).unwrap() {
            scenarios.push_str(&std::fs::read_to_string(file.unwrap().path()).unwrap());
        }
        for (code, tests) in BROKER {
            assert!(RequestCode::ALL.iter().any(|(_, name)| name == code), "{code}");
            for test in *tests {
                let exists = if test.ends_with(".rs") {
                    root.join(test).exists()
                } else {
                    scenarios.contains(&format!("Scenario.Named(\"{test}\""))
                };
                assert!(exists, "{code}: {test}");
            }
        }
    }

    #[test]
    fn the_recorded_conversation_has_every_code_of_the_name_server() {
        let root = crate::root().unwrap();
        assert!(root.join(NAME_SERVER_GOLDEN).exists());
        let text = std::fs::read(root.join("crates/namesrv/testdata/java-5.5.0.json")).unwrap();
        let golden: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let steps = golden["steps"].as_array().unwrap();
        for treatment in raptormq_namesrv::treatments().iter().filter(|t| t.lane.is_some()) {
            let asked = |step: &serde_json::Value| step["code"].as_i64() == Some(treatment.code.0.into());
            assert!(steps.iter().any(asked), "{}", treatment.name);
        }
    }
}
