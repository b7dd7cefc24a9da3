//! The queues of topics on all brokers, as the name servers tell them (`TopicRouteInfoManager`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use raptormq_remoting::Client;
use raptormq_wire::body::{MessageQueue, TopicRouteData};
use raptormq_wire::header::GetRouteInfoRequestHeader;
use raptormq_wire::{RemotingCommand, RequestCode, ResponseCode, json};
use tokio_util::sync::CancellationToken;

use crate::config::LiveConfig;
use crate::names::{self, perm};
use crate::registration::name_servers;

/// How long a name server may take to answer, and a request to wait for another one's question.
const PATIENCE: Duration = Duration::from_secs(3);
/// Queues of one topic that are taken from a name server; more is an error somewhere.
const QUEUES_MAX: usize = 1 << 20;

/// What was asked for, kept and asked for again.
pub struct TopicRoutes {
    client: Arc<Client>,
    live: Arc<LiveConfig>,
    queues: RwLock<HashMap<String, Arc<Vec<MessageQueue>>>>,
    /// One question at a time: many consumers of a topic ask for it at once.
    asking: tokio::sync::Mutex<()>,
}

impl TopicRoutes {
    /// Nothing is known yet.
    pub fn new(client: Arc<Client>, live: Arc<LiveConfig>) -> Self {
        Self { client, live, queues: RwLock::default(), asking: tokio::sync::Mutex::new(()) }
    }

    /// The queues that consumers of `topic` read, in Java's order, on all brokers; `None` where no name server knows
    /// the topic or none answers.
    pub async fn readable_queues(&self, topic: &str) -> Option<Arc<Vec<MessageQueue>>> {
        if let Some(known) = self.known(topic) {
            return Some(known);
        }
        if let Ok(_asking) = tokio::time::timeout(PATIENCE, self.asking.lock()).await
            && self.known(topic).is_none()
        {
            self.update(topic).await;
        }
        self.queues.read().get(topic).cloned()
    }

    fn known(&self, topic: &str) -> Option<Arc<Vec<MessageQueue>>> {
        self.queues.read().get(topic).filter(|queues| !queues.is_empty()).cloned()
    }

    /// Asks for every known topic again, once a period, until cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        loop {
            let period = self.live.broker().load_balance_poll_name_server_interval;
            let period = Duration::from_millis(u64::try_from(period).unwrap_or(0).max(100));
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
            let topics: Vec<String> = self.queues.read().keys().cloned().collect();
            for topic in topics {
                let _asking = self.asking.lock().await;
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = self.update(&topic) => {}
                }
            }
        }
    }

    /// Takes over what the first name server that answers says.
    async fn update(&self, topic: &str) {
        let header = GetRouteInfoRequestHeader { topic: topic.to_owned(), ..Default::default() };
        for server in name_servers(&self.live.broker()) {
            let request = RemotingCommand::request(RequestCode::GET_ROUTEINFO_BY_TOPIC).with_header(&header);
            match self.client.call(&server, request, PATIENCE).await {
                Ok(answer) => return self.take(topic, &answer),
                Err(error) => tracing::warn!(topic, server, %error, "the route is not known"),
            }
        }
    }

    fn take(&self, topic: &str, answer: &RemotingCommand) {
        if answer.code == ResponseCode::TOPIC_NOT_EXIST.0 {
            if !topic.starts_with(names::RETRY_PREFIX) {
                self.queues.write().remove(topic);
            }
            return;
        }
        if answer.code != ResponseCode::SUCCESS.0 {
            tracing::warn!(topic, code = answer.code, remark = answer.remark, "no route");
            return;
        }
        match json::from_slice::<TopicRouteData>(&answer.body.to_bytes()) {
            Ok(route) => {
                let queues = readable(topic, &route);
                let mut known = self.queues.write();
                if known.get(topic).is_none_or(|old| **old != queues) {
                    tracing::info!(topic, queues = queues.len(), "queues of a topic");
                    known.insert(topic.to_owned(), Arc::new(queues));
                }
            }
            Err(error) => tracing::warn!(topic, %error, "the route cannot be read"),
        }
    }
}

/// The queues that a route lets consumers read (`MQClientInstance.topicRouteData2TopicSubscribeInfo`).
fn readable(topic: &str, route: &TopicRouteData) -> Vec<MessageQueue> {
    let brokers = route.queue_datas.iter().filter(|data| perm::is_readable(data.perm));
    let queues = brokers.flat_map(|data| {
        (0..data.read_queue_nums).map(|queue_id| MessageQueue {
            topic: topic.to_owned(),
            broker_name: data.broker_name.clone(),
            queue_id,
        })
    });
    let mut queues: Vec<MessageQueue> = queues.take(QUEUES_MAX).collect();
    queues.sort_by(|a, b| {
        a.broker_name.encode_utf16().cmp(b.broker_name.encode_utf16()).then(a.queue_id.cmp(&b.queue_id))
    });
    queues.dedup();
    queues
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_wire::body::QueueData;

    #[test]
    fn readable_queues_of_all_brokers_are_in_order() {
        let data = |broker: &str, perm, queues| QueueData {
            broker_name: broker.to_owned(),
            perm,
            read_queue_nums: queues,
            write_queue_nums: 9,
            ..QueueData::default()
        };
        let brokers =
            vec![data("b", 6, 2), data("a", 4, 1), data("c", 2, 5), data("a", 6, 2), data("d", 6, -1)];
        let route = TopicRouteData { queue_datas: brokers, ..TopicRouteData::default() };
        let queues: Vec<_> = readable("T", &route).into_iter().map(|q| (q.broker_name, q.queue_id)).collect();
        assert_eq!(queues, [("a".into(), 0), ("a".into(), 1), ("b".into(), 0), ("b".into(), 1)]);
    }
}
