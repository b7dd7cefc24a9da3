//! The route of one topic.

use std::collections::BTreeMap;

use raptormq_wire::body::{BrokerData, QueueData, TopicRouteData};

use super::{BrokerAddr, MASTER_ID, PERM_WRITE, Registry};

/// Topics of this prefix exist to find the members of a group; their routes never name an acting master.
const SYNC_BROKER_MEMBER_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";

impl Registry {
    /// Where `topic` lives, or `None` when no known broker has it. With `acting_master`, the slave with the lowest id
    /// stands in as master of a broker name that has lost its own and allows it.
    pub fn pickup(&self, topic: &str, acting_master: bool) -> Option<TopicRouteData> {
        let queues = self.topics.get(topic)?;
        let brokers: Vec<BrokerData> =
            queues.keys().filter_map(|name| self.brokers.get(name)).cloned().collect();
        if brokers.is_empty() {
            return None;
        }
        let mut route = TopicRouteData {
            queue_datas: queues.values().cloned().collect(),
            filter_server_table: self.filter_servers_of(&brokers),
            topic_queue_mapping_by_broker: self.mappings.get(topic).cloned(),
            order_topic_conf: None,
            broker_datas: brokers,
        };
        if acting_master && !topic.starts_with(SYNC_BROKER_MEMBER_PREFIX) {
            for broker in &mut route.broker_datas {
                promote_slave(broker, queues);
            }
        }
        Some(route)
    }

    fn filter_servers_of(&self, brokers: &[BrokerData]) -> BTreeMap<String, Vec<String>> {
        let mut table = BTreeMap::new();
        if self.filter_servers.is_empty() {
            return table;
        }
        for data in brokers {
            for addr in data.broker_addrs.values() {
                let broker = BrokerAddr { cluster: data.cluster.clone(), addr: addr.clone() };
                if let Some(servers) = self.filter_servers.get(&broker) {
                    table.insert(addr.clone(), servers.clone());
                }
            }
        }
        table
    }
}

/// Only a name whose queues have lost the permission to write: without that, its master may still be coming back.
fn promote_slave(broker: &mut BrokerData, queues: &BTreeMap<String, QueueData>) {
    let writable = queues.get(&broker.broker_name).is_none_or(|queue| queue.perm & PERM_WRITE != 0);
    if writable || !broker.enable_acting_master || broker.broker_addrs.contains_key(&MASTER_ID) {
        return;
    }
    if let Some((_, acting)) = broker.broker_addrs.pop_first() {
        broker.broker_addrs.insert(MASTER_ID, acting);
    }
}
