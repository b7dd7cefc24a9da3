use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::json;
use crate::testdata::body_facts;

type Again = fn(&str) -> Result<String, json::JsonError>;

fn again<T: Serialize + DeserializeOwned>(text: &str) -> Result<String, json::JsonError> {
    json::from_str::<T>(text).map(|value| json::to_string(&value))
}

/// Every declared body under the name of its Java class: text in, our text out.
fn declared() -> BTreeMap<&'static str, Again> {
    [
        ("MessageQueue", again::<MessageQueue> as Again),
        ("MessageQueueForC", again::<MessageQueueForC> as Again),
        ("MessageQueueAssignment", again::<MessageQueueAssignment> as Again),
        ("DataVersion", again::<DataVersion> as Again),
        ("TopicConfig", again::<TopicConfig> as Again),
        ("TopicConfigSerializeWrapper", again::<TopicConfigSerializeWrapper> as Again),
        ("TopicConfigAndMappingSerializeWrapper", again::<TopicConfigAndMappingSerializeWrapper> as Again),
        ("CreateTopicListRequestBody", again::<CreateTopicListRequestBody> as Again),
        ("TopicList", again::<TopicList> as Again),
        ("TopicOffset", again::<TopicOffset> as Again),
        ("TopicStatsTable", again::<TopicStatsTable> as Again),
        ("LogicQueueMappingItem", again::<LogicQueueMappingItem> as Again),
        ("TopicQueueMappingInfo", again::<TopicQueueMappingInfo> as Again),
        ("TopicQueueMappingDetail", again::<TopicQueueMappingDetail> as Again),
        ("TopicQueueMappingSerializeWrapper", again::<TopicQueueMappingSerializeWrapper> as Again),
        ("RegisterBrokerBody", again::<RegisterBrokerBody> as Again),
        ("BrokerData", again::<BrokerData> as Again),
        ("BrokerMemberGroup", again::<BrokerMemberGroup> as Again),
        ("GetBrokerMemberGroupResponseBody", again::<GetBrokerMemberGroupResponseBody> as Again),
        ("ClusterInfo", again::<ClusterInfo> as Again),
        ("QueueData", again::<QueueData> as Again),
        ("TopicRouteData", again::<TopicRouteData> as Again),
        ("KVTable", again::<KVTable> as Again),
        ("KVConfigSerializeWrapper", again::<KVConfigSerializeWrapper> as Again),
        ("BrokerSyncInfo", again::<BrokerSyncInfo> as Again),
        ("SubscriptionData", again::<SubscriptionData> as Again),
        ("ConsumerData", again::<ConsumerData> as Again),
        ("ProducerData", again::<ProducerData> as Again),
        ("HeartbeatData", again::<HeartbeatData> as Again),
        ("CheckClientRequestBody", again::<CheckClientRequestBody> as Again),
        ("Connection", again::<Connection> as Again),
        ("ConsumerConnection", again::<ConsumerConnection> as Again),
        ("ProducerConnection", again::<ProducerConnection> as Again),
        ("ProducerInfo", again::<ProducerInfo> as Again),
        ("ProducerTableInfo", again::<ProducerTableInfo> as Again),
        ("GetConsumerListByGroupResponseBody", again::<GetConsumerListByGroupResponseBody> as Again),
        ("LockBatchRequestBody", again::<LockBatchRequestBody> as Again),
        ("LockBatchResponseBody", again::<LockBatchResponseBody> as Again),
        ("UnlockBatchRequestBody", again::<UnlockBatchRequestBody> as Again),
        ("QueryAssignmentRequestBody", again::<QueryAssignmentRequestBody> as Again),
        ("QueryAssignmentResponseBody", again::<QueryAssignmentResponseBody> as Again),
        ("SetMessageRequestModeRequestBody", again::<SetMessageRequestModeRequestBody> as Again),
        ("MessageRequestModeSerializeWrapper", again::<MessageRequestModeSerializeWrapper> as Again),
        ("ConsumeMessageDirectlyResult", again::<ConsumeMessageDirectlyResult> as Again),
        ("ConsumeStatus", again::<ConsumeStatus> as Again),
        ("ProcessQueueInfo", again::<ProcessQueueInfo> as Again),
        ("PopProcessQueueInfo", again::<PopProcessQueueInfo> as Again),
        ("ConsumerRunningInfo", again::<ConsumerRunningInfo> as Again),
        ("GetConsumerStatusBody", again::<GetConsumerStatusBody> as Again),
        ("SimpleSubscriptionData", again::<SimpleSubscriptionData> as Again),
        ("CustomizedRetryPolicy", again::<CustomizedRetryPolicy> as Again),
        ("ExponentialRetryPolicy", again::<ExponentialRetryPolicy> as Again),
        ("GroupRetryPolicy", again::<GroupRetryPolicy> as Again),
        ("SubscriptionGroupConfig", again::<SubscriptionGroupConfig> as Again),
        ("SubscriptionGroupList", again::<SubscriptionGroupList> as Again),
        ("SubscriptionGroupWrapper", again::<SubscriptionGroupWrapper> as Again),
        ("GroupForbidden", again::<GroupForbidden> as Again),
        ("GroupList", again::<GroupList> as Again),
        ("QuerySubscriptionResponseBody", again::<QuerySubscriptionResponseBody> as Again),
        ("ConsumerFilterData", again::<ConsumerFilterData> as Again),
        ("ConsumerOffsetSerializeWrapper", again::<ConsumerOffsetSerializeWrapper> as Again),
        ("DelayOffsetSerializeWrapper", again::<DelayOffsetSerializeWrapper> as Again),
        ("OffsetWrapper", again::<OffsetWrapper> as Again),
        ("ConsumeStats", again::<ConsumeStats> as Again),
        ("ConsumeStatsList", again::<ConsumeStatsList> as Again),
        ("ConsumeByWho", again::<ConsumeByWho> as Again),
        ("QueueTimeSpan", again::<QueueTimeSpan> as Again),
        ("QueryConsumeTimeSpanBody", again::<QueryConsumeTimeSpanBody> as Again),
        ("QueryCorrectionOffsetBody", again::<QueryCorrectionOffsetBody> as Again),
        ("ResetOffsetBody", again::<ResetOffsetBody> as Again),
        ("ResetOffsetBodyForC", again::<ResetOffsetBodyForC> as Again),
        ("OffsetMovedEvent", again::<OffsetMovedEvent> as Again),
        ("RollbackStats", again::<RollbackStats> as Again),
        ("QueueLevelConsumerManager$OrderInfo", again::<OrderInfo> as Again),
        ("AckMsg", again::<AckMsg> as Again),
        ("BatchAckMsg", again::<BatchAckMsg> as Again),
        ("BatchAck", again::<BatchAck> as Again),
        ("BatchAckMessageRequestBody", again::<BatchAckMessageRequestBody> as Again),
        ("PopCheckPoint", again::<PopCheckPoint> as Again),
        ("BrokerStatsItem", again::<BrokerStatsItem> as Again),
        ("BrokerStatsData", again::<BrokerStatsData> as Again),
        ("ConsumeQueueData", again::<ConsumeQueueData> as Again),
        ("QueryConsumeQueueResponseBody", again::<QueryConsumeQueueResponseBody> as Again),
        ("HARuntimeInfo", again::<HARuntimeInfo> as Again),
        ("HARuntimeInfo$HAClientRuntimeInfo", again::<HAClientRuntimeInfo> as Again),
        ("HARuntimeInfo$HAConnectionRuntimeInfo", again::<HAConnectionRuntimeInfo> as Again),
        ("TimerMetrics$Metric", again::<Metric> as Again),
        ("TimerMetrics$TimerMetricsSerializeWrapper", again::<TimerMetricsSerializeWrapper> as Again),
        (
            "TransactionMetrics$TransactionMetricsSerializeWrapper",
            again::<TransactionMetricsSerializeWrapper> as Again,
        ),
        ("CheckRocksdbCqWriteResult", again::<CheckRocksdbCqWriteResult> as Again),
    ]
    .into()
}

/// The text a version of Java wrote; some are recorded as a reference to an older version's.
fn emitted(class: &str, version: &str) -> Option<String> {
    let facts = body_facts();
    let text = facts[class]["emitted"][version].as_str()?.to_owned();
    match text.strip_prefix("same as ") {
        Some(older) => emitted(class, older),
        None => Some(text),
    }
}

#[test]
fn every_body_comes_back_as_the_text_java_wrote() {
    for (class, again) in declared() {
        let text = emitted(class, "5.5.0").unwrap_or_else(|| panic!("{class} has no recorded text"));
        assert_eq!(again(&text).as_deref(), Ok(text.as_str()), "{class}");
    }
}

#[test]
fn texts_of_older_versions_and_quoted_keys_are_read() {
    let (mut older, mut quoted) = (0, 0);
    for (class, again) in declared() {
        for version in ["4.9.7", "5.3.3"] {
            if let Some(text) = emitted(class, version) {
                let ours = again(&text).unwrap_or_else(|e| panic!("{class} {version}: {e}"));
                // Every member of the old text is still there.
                let (old, new): (serde_json::Value, serde_json::Value) =
                    (json::from_str(&text).unwrap(), json::from_str(&ours).unwrap());
                for (member, value) in old.as_object().unwrap() {
                    if new.get(member).is_none_or(|ours| is_scalar(value) && ours != value) {
                        assert!(DROPPED.contains(&(class, member.as_str())), "{class} {version}: {member}");
                    }
                }
                older += 1;
            }
        }
        let text = emitted(class, "5.5.0").unwrap();
        let standard = quote_integer_keys(&text);
        if standard != text {
            assert_eq!(again(&standard).as_deref(), Ok(text.as_str()), "{class} quoted");
            quoted += 1;
        }
        let unknown = text.replacen('{', "{\"zzUnknown\":[{\"a\":1},null],", 1);
        assert_eq!(again(&unknown).as_deref(), Ok(text.as_str()), "{class} unknown member");
    }
    assert!(older > 100 && quoted > 10, "{older} {quoted}");
}

/// Objects gain members from version to version; numbers and texts must stay.
fn is_scalar(value: &serde_json::Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// Members of older versions that 5.5.0 no longer has.
const DROPPED: [(&str, &str); 0] = [];

/// `{0:` and `,1:` become `{"0":` and `,"1":`; the recorded values hold no such text.
fn quote_integer_keys(text: &str) -> String {
    text.replace("{0:", "{\"0\":").replace(",1:", ",\"1\":")
}

#[test]
fn data_versions_compare_as_in_java() {
    let vectors = crate::testdata::vectors("data_version");
    for vector in vectors.as_array().unwrap() {
        let version = |name: &str| {
            let part = |at: usize| vector[name][at].as_i64().unwrap();
            DataVersion { state_version: part(0), timestamp: part(1), counter: part(2) }
        };
        let (a, b) = (version("a"), version("b"));
        assert_eq!(a.compare(&b) as i64, vector["compare"].as_i64().unwrap(), "{vector}");
        assert_eq!(a == b, vector["equals"].as_bool().unwrap(), "{vector}");
    }
}

#[test]
fn topic_lines_are_written_and_read_as_in_java() {
    for vector in crate::testdata::vectors("topic_config_line").as_array().unwrap() {
        let line = vector["encoded"].as_str().unwrap();
        if vector["decoded"].as_str().is_some_and(|decoded| decoded.starts_with("false")) {
            assert_eq!(TopicConfig::from_line(line), None, "{line}");
            continue;
        }
        let topic = TopicConfig::from_line(line).unwrap_or_else(|| panic!("{line}"));
        if let Some(decoded) = vector["decoded"].as_str() {
            let attributes =
                topic.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
            let ours = format!(
                "true {} r{} w{} p{} {} {{{}}}",
                topic.topic_name,
                topic.read_queue_nums,
                topic.write_queue_nums,
                topic.perm,
                json::to_string(&topic.topic_filter_type).trim_matches('"'),
                attributes.join(", ")
            );
            assert_eq!(ours, decoded);
        } else {
            assert_eq!(topic.to_line(), line);
        }
    }
    for broken in ["", "T 4 8 6", "T x 8 6 SINGLE_TAG", "T 4 8 6 NO_TAG"] {
        assert_eq!(TopicConfig::from_line(broken), None, "{broken}");
    }
}

#[test]
fn both_forms_of_a_registration_are_read() {
    for vector in crate::testdata::vectors("register_broker_body").as_array().unwrap() {
        let bytes = crate::testdata::hex(vector["hex"].as_str().unwrap());
        let compressed = vector["compressed"].as_bool().unwrap();
        let body = RegisterBrokerBody::decode(&bytes, compressed, crate::CURRENT_VERSION).unwrap();
        let wrapper = &body.topic_config_serialize_wrapper;
        assert_eq!(body.filter_server_list, ["127.0.0.1:1"]);
        assert_eq!(wrapper.data_version.counter, 3);
        let topic = &wrapper.topic_config_table["T"];
        assert_eq!((topic.read_queue_nums, topic.write_queue_nums, topic.perm), (4, 8, 6));
        assert_eq!(
            RegisterBrokerBody::decode(&body.encode(compressed), compressed, crate::CURRENT_VERSION),
            Ok(body.clone())
        );
        // Java 5 sends the compressed form under a header that denies it.
        assert_eq!(RegisterBrokerBody::decode(&bytes, false, crate::CURRENT_VERSION), Ok(body));
    }
}

#[test]
fn a_damaged_compressed_registration_is_an_error() {
    let mut body = RegisterBrokerBody::default();
    body.topic_config_serialize_wrapper
        .topic_config_table
        .insert("T".into(), TopicConfig { topic_name: "T".into(), ..Default::default() });
    let bytes = body.encode(true);
    for len in 0..bytes.len() - 4 {
        assert!(RegisterBrokerBody::decode(&bytes[..len], true, crate::CURRENT_VERSION).is_err(), "{len}");
    }
    for at in 2..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let _ = RegisterBrokerBody::decode(&damaged, true, crate::CURRENT_VERSION);
    }
}

#[test]
fn no_damaged_body_panics() {
    let mut seed = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound as u64) as usize
    };
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "'",
        "\\",
        "null",
        "-",
        "1e999",
        "\u{e9}",
        "99999999999999999999",
        "{1:2}",
        "\\ud8",
    ];
    for (class, again) in declared() {
        let text = emitted(class, "5.5.0").unwrap();
        let characters: Vec<char> = text.chars().collect();
        for _ in 0..300 {
            let (from, to) = (random(characters.len()), random(characters.len()));
            let mut damaged: String = characters[..from].iter().collect();
            damaged.push_str(pieces[random(pieces.len())]);
            damaged.extend(&characters[to..]);
            let _ = again(&damaged);
        }
    }
}
