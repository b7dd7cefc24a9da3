//! The body of a route reply: which JSON it is written in, and what a client in one zone gets to see.

use raptormq_wire::body::TopicRouteData;
use raptormq_wire::{ExtFields, json};

/// The ordinal of `V4_9_4`: from here on clients read standard JSON.
const V4_9_4: i32 = 401;

const ZONE_MODE: &str = "__ZONE_MODE";
const ZONE_NAME: &str = "__ZONE_NAME";

/// Writes a route for the client that asked with this version and these ext fields.
///
/// A client in zone mode gets the brokers of its zone, always in the old form with bare integer keys: Java's zone
/// hook reads the body back and writes it with its default writer.
pub fn encode(route: TopicRouteData, client_version: i32, standard_json: bool, ext: &ExtFields) -> String {
    if let Some(zone) = zone(ext) {
        return json::to_string(&in_zone(route, zone));
    }
    if standard_json || client_version >= V4_9_4 {
        json::to_standard_string(&route)
    } else {
        json::to_string(&route)
    }
}

/// The zone a client wants its routes limited to.
fn zone(ext: &ExtFields) -> Option<&str> {
    let on = ext.get(ZONE_MODE).is_some_and(|mode| mode.eq_ignore_ascii_case("true"));
    ext.get(ZONE_NAME).filter(|name| on && !name.trim().is_empty())
}

/// Keeps the brokers of `zone`, and those of any zone that have no master: their slaves are better than nothing.
fn in_zone(mut route: TopicRouteData, zone: &str) -> TopicRouteData {
    let (kept, removed): (Vec<_>, Vec<_>) = route.broker_datas.into_iter().partition(|broker| {
        !broker.broker_addrs.contains_key(&crate::registry::MASTER_ID)
            || broker.zone_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(zone))
    });
    route.broker_datas = kept;
    route.queue_datas.retain(|queue| removed.iter().all(|broker| broker.broker_name != queue.broker_name));
    for addr in removed.iter().flat_map(|broker| broker.broker_addrs.values()) {
        route.filter_server_table.remove(addr);
    }
    route
}

#[cfg(test)]
mod tests {
    use raptormq_wire::body::{BrokerData, QueueData};

    use super::*;

    fn route() -> TopicRouteData {
        let broker = |name: &str, zone: Option<&str>, id: i64| BrokerData {
            broker_name: name.into(),
            cluster: "c".into(),
            zone_name: zone.map(str::to_owned),
            broker_addrs: [(id, format!("{name}:1"))].into(),
            ..Default::default()
        };
        let queue = |name: &str| QueueData { broker_name: name.into(), perm: 6, ..Default::default() };
        TopicRouteData {
            broker_datas: vec![broker("a", Some("Z1"), 0), broker("b", Some("z2"), 0), broker("c", None, 1)],
            queue_datas: vec![queue("a"), queue("b"), queue("c")],
            filter_server_table: [("a:1".into(), vec!["f".into()]), ("b:1".into(), vec!["f".into()])].into(),
            ..Default::default()
        }
    }

    fn ext(entries: &[(&'static str, &'static str)]) -> ExtFields {
        entries.iter().copied().collect()
    }

    #[test]
    fn old_clients_get_bare_keys_and_new_ones_quoted_keys() {
        let old = encode(route(), 400, false, &ExtFields::new());
        assert!(old.contains("\"brokerAddrs\":{0:\"a:1\"}"), "{old}");
        for text in
            [encode(route(), 401, false, &ExtFields::new()), encode(route(), 63, true, &ExtFields::new())]
        {
            assert!(text.contains("\"brokerAddrs\":{\"0\":\"a:1\"}"), "{text}");
        }
    }

    #[test]
    fn zone_mode_leaves_the_zone_and_masterless_names() {
        let text = encode(route(), 513, true, &ext(&[(ZONE_MODE, "TRUE"), (ZONE_NAME, "z1")]));
        let seen: TopicRouteData = json::from_str(&text).unwrap();
        let names: Vec<_> = seen.broker_datas.iter().map(|b| b.broker_name.as_str()).collect();
        let queues: Vec<_> = seen.queue_datas.iter().map(|q| q.broker_name.as_str()).collect();
        assert_eq!((names, queues), (vec!["a", "c"], vec!["a", "c"]));
        assert_eq!(seen.filter_server_table.keys().collect::<Vec<_>>(), ["a:1"]);
        assert!(text.contains("{0:\"a:1\"}"), "{text}");
    }

    #[test]
    fn without_mode_or_name_nothing_is_left_out() {
        for entries in
            [&[(ZONE_NAME, "z1")][..], &[(ZONE_MODE, "true")], &[(ZONE_MODE, "true"), (ZONE_NAME, " ")]]
        {
            let text = encode(route(), 513, false, &ext(entries));
            assert_eq!(json::from_str::<TopicRouteData>(&text).unwrap().broker_datas.len(), 3);
        }
    }
}
