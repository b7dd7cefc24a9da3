use std::collections::BTreeMap;

use proptest::prelude::*;
use raptormq_wire::body::{DataVersion, QueueData, TopicConfig};

use super::*;

const ACTING: RegistryOptions =
    RegistryOptions { delete_missing_topics: false, notify_min_broker_id: true, support_acting_master: true };

fn topics(names: &[&str]) -> BTreeMap<String, TopicConfig> {
    names
        .iter()
        .map(|name| {
            ((*name).to_owned(), TopicConfig { topic_name: (*name).to_owned(), ..Default::default() })
        })
        .collect()
}

fn registration(name: &str, id: i64, addr: &str, table: &[&str]) -> Registration {
    Registration {
        broker: BrokerAddr { cluster: "c".into(), addr: addr.into() },
        name: name.into(),
        id,
        ha_addr: format!("{addr}-ha"),
        zone: None,
        timeout_ms: None,
        acting_master: Some(false),
        version: DataVersion { counter: 1, ..Default::default() },
        topics: topics(table),
        mappings: BTreeMap::new(),
        filter_servers: Some(Vec::new()),
        connection: 1,
    }
}

fn departure(name: &str, id: i64, addr: &str) -> Departure {
    Departure {
        broker: BrokerAddr { cluster: "c".into(), addr: addr.into() },
        name: name.into(),
        id,
        only_if: None,
    }
}

fn registered(all: Vec<Registration>) -> Registry {
    let mut registry = Registry::default();
    for registration in all {
        registry.register(registration, 0, ACTING).unwrap();
    }
    registry
}

fn perm(registry: &Registry, topic: &str, name: &str) -> Option<i32> {
    Some(registry.topics.get(topic)?.get(name)?.perm)
}

#[test]
fn a_master_publishes_its_topics_and_a_slave_learns_of_it() {
    let mut registry = registered(vec![registration("a", 0, "m:1", &["t", "u"])]);
    let (reply, effects) =
        registry.register(registration("a", 1, "s:1", &["t", "u", "slave-only"]), 0, ACTING).unwrap();
    assert_eq!(reply.master_addr.as_deref(), Some("m:1"));
    assert_eq!(reply.ha_addr.as_deref(), Some("m:1-ha"));
    assert!(effects.is_empty());
    assert_eq!(registry.all_topics().topic_list.into_iter().collect::<Vec<_>>(), ["t", "u"]);
    let route = registry.pickup("t", false).unwrap();
    assert_eq!(route.broker_datas[0].broker_addrs, [(0, "m:1".into()), (1, "s:1".into())].into());
    assert!(registry.pickup("slave-only", false).is_none());
}

#[test]
fn a_first_registration_with_one_topic_is_refused_and_a_later_one_is_not() {
    let mut registry = Registry::default();
    assert_eq!(registry.register(registration("a", 0, "m:1", &["t"]), 0, ACTING), Err(FirstWithOneTopic));
    registry.register(registration("a", 0, "m:1", &["t", "u"]), 0, ACTING).unwrap();
    registry.register(registration("a", 0, "m:1", &["v"]), 0, ACTING).unwrap();
    assert!(registry.pickup("t", false).is_some(), "a registration adds topics, it does not remove any");
}

#[test]
fn topics_that_are_gone_are_removed_only_when_configured() {
    let mut registry = registered(vec![registration("a", 0, "m:1", &["t", "u"])]);
    let options = RegistryOptions { delete_missing_topics: true, ..ACTING };
    registry.register(registration("a", 0, "m:1", &["u", "v"]), 0, options).unwrap();
    assert_eq!(registry.all_topics().topic_list.into_iter().collect::<Vec<_>>(), ["u", "v"]);
}

#[test]
fn an_unchanged_version_brings_no_change_of_a_known_topic() {
    let mut registry = registered(vec![registration("a", 0, "m:1", &["t", "u"])]);
    assert_eq!(registry.set_writable("a", false), 2);
    registry.register(registration("a", 0, "m:1", &["t", "u"]), 0, ACTING).unwrap();
    assert_eq!(perm(&registry, "t", "a"), Some(4), "wiping outlives registrations of the same version");
    let mut newer = registration("a", 0, "m:1", &["t", "u"]);
    newer.version.counter = 2;
    registry.register(newer, 0, ACTING).unwrap();
    assert_eq!(perm(&registry, "t", "a"), Some(6));
}

#[test]
fn an_older_state_version_does_not_take_over_an_id() {
    let mut old = registration("a", 0, "m:1", &["t", "u"]);
    old.version.state_version = 5;
    let mut registry = registered(vec![old]);
    registry.register(registration("a", 0, "m:2", &["t", "u"]), 0, ACTING).unwrap();
    assert_eq!(registry.brokers["a"].broker_addrs[&0], "m:1");
    let mut newer = registration("a", 0, "m:2", &["t", "u"]);
    newer.version.state_version = 5;
    registry.register(newer, 0, ACTING).unwrap();
    assert_eq!(registry.brokers["a"].broker_addrs[&0], "m:2");
}

#[test]
fn a_slave_that_became_master_keeps_one_id() {
    let mut registry = registered(vec![registration("a", 1, "s:1", &["t", "u"])]);
    registry.register(registration("a", 0, "s:1", &["t", "u"]), 0, ACTING).unwrap();
    assert_eq!(registry.brokers["a"].broker_addrs, [(0, "s:1".into())].into());
}

#[test]
fn a_slave_acts_for_a_lost_master_read_only() {
    let acting = |id: i64, addr: &str| Registration {
        acting_master: Some(true),
        ..registration("a", id, addr, &["t", "u"])
    };
    let mut registry = registered(vec![acting(0, "m:1"), acting(1, "s:1"), acting(2, "s:2")]);
    let effects = registry.unregister(&[departure("a", 0, "m:1")], ACTING);
    assert_eq!(perm(&registry, "t", "a"), Some(4));
    assert_eq!(
        effects,
        [Effect::MinBrokerIdChanged {
            notify: vec!["s:1".into(), "s:2".into()],
            min_id: 1,
            min_addr: "s:1".into(),
            offline_addr: Some("m:1".into()),
            ha_addr: None,
        }]
    );
    let addrs = |registry: &Registry, acting| {
        registry.pickup("t", acting).unwrap().broker_datas[0].broker_addrs.clone()
    };
    assert_eq!(addrs(&registry, true), [(0, "s:1".into()), (2, "s:2".into())].into());
    assert_eq!(addrs(&registry, false), [(1, "s:1".into()), (2, "s:2".into())].into());

    let (_, effects) = registry.register(acting(0, "m:1"), 0, ACTING).unwrap();
    assert_eq!(
        effects,
        [Effect::MinBrokerIdChanged {
            notify: vec!["s:1".into(), "s:2".into()],
            min_id: 0,
            min_addr: "m:1".into(),
            offline_addr: None,
            ha_addr: Some("m:1-ha".into()),
        }]
    );
}

#[test]
fn the_slaves_of_old_brokers_never_publish() {
    let old = Registration { acting_master: None, ..registration("a", 1, "s:1", &["t", "u"]) };
    let registry = registered(vec![old]);
    assert!(registry.all_topics().topic_list.is_empty());
    let new = registered(vec![registration("a", 1, "s:1", &["t", "u"])]);
    assert_eq!(new.all_topics().topic_list.len(), 2);
}

#[test]
fn silence_ends_a_broker_unless_it_speaks_or_reconnects_first() {
    let mut own_limit = registration("b", 0, "b:1", &["t", "u"]);
    own_limit.timeout_ms = Some(500);
    own_limit.connection = 2;
    let mut registry = registered(vec![registration("a", 0, "a:1", &["t", "u"]), own_limit]);
    assert_eq!(registry.expired(500), (vec![], vec![]));
    let (departures, effects) = registry.expired(501);
    assert_eq!(effects, [Effect::Close { connection: 2 }]);
    assert_eq!(departures.len(), 1);
    registry.touch(&departures[0].broker, 502);
    registry.unregister(&departures, ACTING);
    assert!(registry.brokers.contains_key("b"));

    let (departures, _) = registry.expired(2_000);
    registry.unregister(&departures, ACTING);
    assert!(!registry.brokers.contains_key("b"));
    assert_eq!(registry.expired(DEFAULT_BROKER_TIMEOUT_MS).0, []);
    assert_eq!(registry.expired(DEFAULT_BROKER_TIMEOUT_MS + 1).0.len(), 1);
}

#[test]
fn a_closed_connection_takes_its_broker_unless_it_has_a_new_one() {
    let mut registry = registered(vec![registration("a", 0, "a:1", &["t", "u"])]);
    let late = registry.disconnected(1);
    assert_eq!(registry.disconnected(9), []);
    registry
        .register(Registration { connection: 2, ..registration("a", 0, "a:1", &["t", "u"]) }, 5, ACTING)
        .unwrap();
    registry.unregister(&late, ACTING);
    assert!(registry.pickup("t", false).is_some());
    let now = registry.disconnected(2);
    registry.unregister(&now, ACTING);
    assert!(registry.pickup("t", false).is_none());
    assert_eq!(registry.cluster_info(), ClusterInfo::default());
}

#[test]
fn topics_can_be_entered_and_deleted_by_operators() {
    let queue = |name: &str| QueueData { broker_name: name.into(), ..Default::default() };
    let mut registry = registered(vec![
        registration("a", 0, "a:1", &["t", "u"]),
        Registration {
            broker: BrokerAddr { cluster: "d".into(), addr: "b:1".into() },
            ..registration("b", 0, "b:1", &["t", "u"])
        },
    ]);
    registry.register_topic("new", vec![queue("a"), queue("nobody")]);
    assert!(!registry.topics.contains_key("new"));
    registry.register_topic("new", vec![queue("a")]);
    registry.register_topic("new", vec![queue("b"), queue("nobody")]);
    assert_eq!(registry.topics["new"].keys().collect::<Vec<_>>(), ["a", "b"]);
    registry.delete_topic("new", Some("nowhere"));
    registry.delete_topic("new", Some("c"));
    assert_eq!(registry.topics["new"].keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(registry.topics_of_cluster("d").topic_list.len(), 3);
    assert_eq!(registry.topics_of_cluster("nowhere").topic_list.len(), 0);
    registry.delete_topic("new", Some("d"));
    assert!(!registry.topics.contains_key("new"));
    registry.delete_topic("t", None);
    assert!(!registry.topics.contains_key("t"));
    assert_eq!(registry.system_topics().topic_list.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(registry.system_topics().broker_addr.as_deref(), Some("a:1"));
}

#[test]
fn unit_lists_follow_the_topic_flags() {
    let mut with_flags = registration("a", 0, "a:1", &["none", "sub", "unit", "both"]);
    for (name, flags) in [("unit", 1), ("sub", 2), ("both", 3)] {
        with_flags.topics.get_mut(name).unwrap().topic_sys_flag = flags;
    }
    let registry = registered(vec![with_flags]);
    let list = |list: TopicList| list.topic_list.into_iter().collect::<Vec<_>>();
    assert_eq!(list(registry.unit_topics()), ["both", "unit"]);
    assert_eq!(list(registry.unit_sub_topics()), ["both", "sub"]);
    assert_eq!(list(registry.unit_sub_ununit_topics()), ["sub"]);
}

#[test]
fn filter_servers_are_listed_until_none_are_left() {
    let with = |servers: Option<&[&str]>| Registration {
        filter_servers: servers.map(|s| s.iter().map(|f| (*f).to_owned()).collect()),
        ..registration("a", 0, "a:1", &["t", "u"])
    };
    let mut registry = registered(vec![with(Some(&["f:1"])), with(None)]);
    assert_eq!(registry.pickup("t", false).unwrap().filter_server_table["a:1"], ["f:1"]);
    registry.register(with(Some(&[])), 0, ACTING).unwrap();
    assert!(registry.pickup("t", false).unwrap().filter_server_table.is_empty());
}

#[derive(Clone, Debug)]
enum Event {
    Register { name: u8, id: u8, addr: u8, topics: u8, acting: Option<bool>, state: u8, connection: u8 },
    Unregister { name: u8, id: u8, addr: u8 },
    Touch { addr: u8 },
    Disconnect { connection: u8 },
    Expire,
    RegisterTopic { topic: u8, name: u8 },
    DeleteTopic { topic: u8, cluster: bool },
    Wipe { name: u8 },
}

fn event() -> impl Strategy<Value = Event> {
    let small = 0u8..3;
    prop_oneof![
        5 => (small.clone(), small.clone(), 0u8..5, 0u8..16, any::<Option<bool>>(), small.clone(), small.clone()).prop_map(
            |(name, id, addr, topics, acting, state, connection)| Event::Register { name, id, addr, topics, acting, state, connection }
        ),
        2 => (small.clone(), small.clone(), 0u8..5).prop_map(|(name, id, addr)| Event::Unregister { name, id, addr }),
        1 => (0u8..5).prop_map(|addr| Event::Touch { addr }),
        1 => small.clone().prop_map(|connection| Event::Disconnect { connection }),
        1 => Just(Event::Expire),
        1 => (0u8..5, small.clone()).prop_map(|(topic, name)| Event::RegisterTopic { topic, name }),
        1 => (0u8..5, any::<bool>()).prop_map(|(topic, cluster)| Event::DeleteTopic { topic, cluster }),
        1 => small.prop_map(|name| Event::Wipe { name }),
    ]
}

fn apply(registry: &mut Registry, event: Event, now: i64) {
    let name = |n: u8| format!("b{n}");
    let addr = |n: u8| format!("addr{n}");
    match event {
        Event::Register { name: n, id, addr: a, topics: bits, acting, state, connection } => {
            let names: Vec<String> =
                (0..4).filter(|bit| bits & (1 << bit) != 0).map(|bit| format!("t{bit}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut r = registration(&name(n), i64::from(id), &addr(a), &names);
            r.acting_master = acting;
            r.version.state_version = i64::from(state);
            r.connection = u64::from(connection);
            let had = registry.live.contains_key(&r.broker);
            let refused = registry.register(r.clone(), now, ACTING).is_err();
            assert!(!refused || names.len() == 1);
            assert!(
                !refused || had == registry.live.contains_key(&r.broker),
                "a refusal leaves liveness alone"
            );
        }
        Event::Unregister { name: n, id, addr: a } => {
            registry.unregister(&[departure(&name(n), i64::from(id), &addr(a))], ACTING);
            let gone = BrokerAddr { cluster: "c".into(), addr: addr(a) };
            assert!(!registry.live.contains_key(&gone));
        }
        Event::Touch { addr: a } => registry.touch(&BrokerAddr { cluster: "c".into(), addr: addr(a) }, now),
        Event::Disconnect { connection } => {
            let departures = registry.disconnected(u64::from(connection));
            registry.unregister(&departures, ACTING);
            assert_eq!(registry.disconnected(u64::from(connection)), []);
        }
        Event::Expire => {
            let (departures, _) = registry.expired(now);
            registry.unregister(&departures, ACTING);
            assert_eq!(registry.expired(now).0, []);
        }
        Event::RegisterTopic { topic, name: n } => {
            registry.register_topic(
                &format!("t{topic}"),
                vec![QueueData { broker_name: name(n), ..Default::default() }],
            );
        }
        Event::DeleteTopic { topic, cluster } => {
            registry.delete_topic(&format!("t{topic}"), cluster.then_some("c"))
        }
        Event::Wipe { name: n } => {
            registry.set_writable(&name(n), false);
        }
    }
}

fn check_invariants(registry: &Registry) {
    for (name, data) in &registry.brokers {
        assert_eq!(*name, data.broker_name);
        let mut addrs: Vec<_> = data.broker_addrs.values().collect();
        addrs.sort();
        addrs.dedup();
        assert_eq!(addrs.len(), data.broker_addrs.len(), "an address under two ids: {data:?}");
        assert!(registry.clusters[&data.cluster].contains(name));
    }
    for (cluster, names) in &registry.clusters {
        assert!(!names.is_empty(), "{cluster}");
        assert!(names.iter().all(|name| registry.brokers.contains_key(name)));
    }
    for (topic, queues) in &registry.topics {
        assert!(!queues.is_empty(), "{topic}");
        for (name, queue) in queues {
            assert_eq!(*name, queue.broker_name);
            assert!(registry.brokers.contains_key(name), "{topic} on the unknown {name}");
        }
    }
    for topic in registry.topics.keys() {
        let route = registry.pickup(topic, true).expect("a topic in the table has a route");
        for data in &route.broker_datas {
            let known = &registry.brokers[&data.broker_name].broker_addrs;
            assert_eq!(data.broker_addrs.len(), known.len());
            assert!(data.broker_addrs.values().all(|addr| known.values().any(|other| other == addr)));
        }
    }
}

proptest! {
    #[test]
    fn any_history_keeps_the_invariants(events in prop::collection::vec((event(), 0i64..100_000), 0..60)) {
        let mut registry = Registry::default();
        let mut now = 0;
        for (event, pause) in events {
            now += pause;
            apply(&mut registry, event, now);
            check_invariants(&registry);
        }
    }
}
