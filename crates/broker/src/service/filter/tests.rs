use super::*;
use raptormq_base::clock::ManualClock;
use raptormq_filter::BloomFilter;

fn filters() -> Arc<FilterTable> {
    let bloom = BloomFilter::new(20, 32).unwrap();
    let path = std::path::PathBuf::from("/nonexistent/consumerFilter.json");
    Arc::new(FilterTable::peek(path, bloom, Arc::new(ManualClock::new(1000))).unwrap())
}

fn subscription(topic: &str, expression: &str) -> SubscriptionData {
    SubscriptionData {
        topic: topic.into(),
        sub_string: expression.into(),
        expression_type: "SQL92".into(),
        sub_version: 1,
        ..SubscriptionData::default()
    }
}

#[test]
fn bit_maps_count_from_the_birth_of_the_filter_on() {
    let filters = filters();
    let wanted = subscription("T", "a > 1");
    filters.register("G", std::slice::from_ref(&wanted));
    let filter = PullFilter::of_expression(&wanted, filters.get("T", "G"), &filters, false).unwrap();
    assert!(filter.looks_at_bit_maps() && filter.matches_queue(7));
    let hit = filters.bit_map("T", "a\u{1}2\u{2}").unwrap();
    let miss = filters.bit_map("T", "a\u{1}1\u{2}").unwrap();
    assert!(filter.matches_bit_map(1001, &hit));
    assert!(!filter.matches_bit_map(1001, &miss));
    assert!(filter.matches_bit_map(1000, &miss), "the message is older than the filter");
    assert!(filter.matches_bit_map(1001, &[]) && filter.matches_bit_map(1001, &miss[1..]));
    assert!(filter.wants(7, "a\u{1}2\u{2}") && !filter.wants(7, "a\u{1}1\u{2}"));
}

#[test]
fn a_pull_brings_its_expression_or_a_wrong_one() {
    let filters = filters();
    let of =
        |expression: &str| PullFilter::of_expression(&subscription("T", expression), None, &filters, false);
    let filter = of("a > 1").unwrap();
    assert!(!filter.looks_at_bit_maps() && !filter.wants(0, "a\u{1}1\u{2}"));
    assert!(of("a >").is_none(), "every message passes");
    assert!(filter.matches_record(b"no record"));
}

#[test]
fn a_retry_topic_is_filtered_as_the_topic_its_messages_come_from() {
    let filters = filters();
    let retry = subscription("%RETRY%G", "a > 100");
    filters.register("G", &[subscription("T", "a > 1"), retry.clone()]);
    let filter =
        |support| PullFilter::of_expression(&retry, filters.get("%RETRY%G", "G"), &filters, support).unwrap();
    for (properties, plain, by_topic) in [
        ("a\u{1}2\u{2}RETRY_TOPIC\u{1}T\u{2}", false, true),
        ("a\u{1}1\u{2}RETRY_TOPIC\u{1}T\u{2}", false, false),
        ("a\u{1}1\u{2}RETRY_TOPIC\u{1}U\u{2}", false, true),
        ("a\u{1}1\u{2}", false, true),
        ("a\u{1}101\u{2}", true, true),
    ] {
        assert_eq!(filter(false).wants(0, properties), plain, "{properties:?}");
        assert_eq!(filter(true).wants(0, properties), by_topic, "{properties:?}");
    }
}
