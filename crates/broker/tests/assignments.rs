//! Which queues Java's broker assigns to which client: `compat-tests/oracle/Assignments.java` asked 5.5.0 for 240 groups.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::collections::BTreeMap;

use raptormq_broker::service::assign::{Strategy, allocate_for_pop, in_javas_order};
use raptormq_wire::body::MessageQueue;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    strategy: String,
    /// Of POP; missing where the queues are pulled from.
    share: Option<i32>,
    queues: Vec<String>,
    clients: Vec<String>,
    /// By client; `None` where Java's strategy throws.
    assigned: BTreeMap<String, Option<Vec<String>>>,
}

fn queue(text: &str) -> MessageQueue {
    let (broker, id) = text.rsplit_once(':').unwrap();
    MessageQueue { topic: "T".into(), broker_name: broker.into(), queue_id: id.parse().unwrap() }
}

#[test]
fn each_client_gets_the_queues_that_java_gives_it() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("data/assignments-5.5.0.json")).unwrap();
    let mut compared = 0;
    for case in &cases {
        let strategy = Strategy::named(&case.strategy).unwrap();
        let mut queues: Vec<MessageQueue> = case.queues.iter().map(|q| queue(q)).collect();
        queues.sort();
        let clients = in_javas_order(case.clients.clone());
        for (client, expected) in &case.assigned {
            let assigned = match case.share {
                None => strategy.allocate(client, &queues, &clients),
                Some(share) => allocate_for_pop(strategy, client, &queues, &clients, share),
            };
            let expected: Option<Vec<_>> = expected.as_ref().map(|e| e.iter().map(|q| queue(q)).collect());
            assert_eq!(assigned, expected, "{} {:?} {client} of {clients:?}", case.strategy, case.share);
            compared += 1;
        }
    }
    assert!(compared > 1500, "{compared}");
    assert_eq!(Strategy::named("CONSISTENT_HASH"), None, "Java's broker does not know it either");
}
