//! Sharing the queues of a topic out to the clients of a group (`QueryAssignmentProcessor`).

use std::sync::Arc;

use raptormq_remoting::{Answer, Refusal, Reply, Request, later};
use raptormq_wire::body::{
    MessageModel, MessageQueue, MessageQueueAssignment, MessageRequestMode, QueryAssignmentRequestBody,
    QueryAssignmentResponseBody, SetMessageRequestModeRequestBody,
};
use raptormq_wire::{ResponseCode, json};

use super::send::auto_create_group;
use super::{body, success};
use crate::config::LiveConfig;
use crate::names;
use crate::tables::consumers::ConsumerTable;
use crate::tables::groups::GroupTable;
use crate::tables::request_modes::RequestModeTable;
use crate::tables::topics::TopicTable;
use crate::topic_routes::TopicRoutes;

/// Why a mode cannot be set.
const NO_POP: &str = "POP consumption is not supported yet";

/// Assigns queues.
pub struct AssignService {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// Groups.
    pub groups: Arc<GroupTable>,
    /// The clients that share.
    pub consumers: Arc<ConsumerTable>,
    /// The modes that were set.
    pub modes: Arc<RequestModeTable>,
    /// The queues to share.
    pub routes: Arc<TopicRoutes>,
    /// Whether POP is served. While it is not, a group for which it was set, on a Java broker or as the default, is
    /// assigned queues to pull from: its clients would wait for answers to POP for ever.
    pub pop: bool,
}

impl AssignService {
    /// QUERY_ASSIGNMENT.
    pub fn query(self: &Arc<Self>, request: Request) -> Reply {
        let service = self.clone();
        later(async move {
            let query: QueryAssignmentRequestBody = body(&request.command)?;
            let mode = service.mode(&query.topic, &query.consumer_group);
            let queues = service.assigned(&query, &mode).await?;
            let message_queue_assignments = queues.map(|mut queues| {
                // Java's is a set.
                queues.sort();
                queues.dedup();
                let assignment = |message_queue| MessageQueueAssignment {
                    message_queue,
                    mode: mode.mode,
                    ..MessageQueueAssignment::default()
                };
                queues.into_iter().map(assignment).collect()
            });
            let answer = QueryAssignmentResponseBody { message_queue_assignments };
            Ok(success().with_body(json::to_vec(&answer)))
        })
    }

    /// How a group gets a topic's messages: as it was set, or as the configuration says; retried ones by pulls.
    fn mode(&self, topic: &str, group: &str) -> SetMessageRequestModeRequestBody {
        let mut mode = self.modes.get(topic, group).unwrap_or_else(|| {
            let broker = self.live.broker();
            let pop = broker.default_message_request_mode == "POP" && !topic.starts_with(names::RETRY_PREFIX);
            SetMessageRequestModeRequestBody {
                topic: topic.to_owned(),
                consumer_group: group.to_owned(),
                mode: if pop { MessageRequestMode::Pop } else { MessageRequestMode::Pull },
                pop_share_queue_num: if pop { broker.default_pop_share_queue_num } else { 0 },
            }
        });
        if mode.mode == MessageRequestMode::Pop && !self.pop {
            tracing::debug!(topic, group, "assigned to pull in place of POP");
            mode.mode = MessageRequestMode::Pull;
        }
        mode
    }

    /// The queues of the client that asks. None of them means that it should give up what it has, `None` that it should
    /// keep it.
    async fn assigned(
        &self,
        query: &QueryAssignmentRequestBody,
        mode: &SetMessageRequestModeRequestBody,
    ) -> Result<Option<Vec<MessageQueue>>, Refusal> {
        let topic = &query.topic;
        match query.message_model {
            None => return Err(Refusal::system_error("the message model is missing")),
            Some(MessageModel::LiteSelective) => return Ok(None),
            Some(MessageModel::Broadcasting) => return Ok(self.queues(topic).await),
            Some(MessageModel::Clustering) => {}
        }
        let queues = if names::is_lmq(topic) {
            let broker_name = self.live.broker().broker_name.clone();
            Some(vec![MessageQueue { topic: topic.clone(), broker_name, queue_id: 0 }])
        } else {
            self.queues(topic).await
        };
        let Some(queues) = queues else { return Ok(None) };
        if !self.live.broker().server_load_balancer_enable {
            return Ok(Some(queues));
        }
        let clients = in_javas_order(self.consumers.client_ids(&query.consumer_group));
        if clients.is_empty() {
            return Ok(None);
        }
        let Some(strategy) = query.strategy_name.as_deref().and_then(Strategy::named) else {
            tracing::warn!(group = query.consumer_group, strategy = query.strategy_name, "unknown strategy");
            return Ok(None);
        };
        Ok(match mode.mode {
            MessageRequestMode::Pull => strategy.allocate(&query.client_id, &queues, &clients),
            MessageRequestMode::Pop => {
                allocate_for_pop(strategy, &query.client_id, &queues, &clients, mode.pop_share_queue_num)
            }
        })
    }

    async fn queues(&self, topic: &str) -> Option<Vec<MessageQueue>> {
        self.routes.readable_queues(topic).await.map(|queues| (*queues).clone())
    }

    /// SET_MESSAGE_REQUEST_MODE.
    pub fn set_mode(&self, request: &Request) -> Answer {
        let mode: SetMessageRequestModeRequestBody = body(&request.command)?;
        let (topic, group) = (&mode.topic, &mode.consumer_group);
        if topic.starts_with(names::RETRY_PREFIX) {
            let remark = "retry topic is not allowed to set mode";
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        if !self.topics.contains(topic) {
            let remark = format!("topic[{topic}] not exist");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        }
        if self.groups.find(group, auto_create_group(&self.live.broker(), group)).is_none() {
            let remark = "subscription group does not exist";
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        if mode.mode == MessageRequestMode::Pop && !self.pop {
            return Err(Refusal::new(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, NO_POP));
        }
        tracing::info!(topic, group, mode = ?mode.mode, by = %request.peer.remote(), "message request mode set");
        self.modes.set(mode);
        Ok(success())
    }

    /// GET_ALL_MESSAGE_REQUEST_MODE.
    pub fn all_modes(&self, _: &Request) -> Answer {
        Ok(success().with_body(json::to_vec(&self.modes.wrapper())))
    }
}

/// Client ids sorted by their UTF-16 units: each client must be given what Java would give it.
pub fn in_javas_order(mut clients: Vec<String>) -> Vec<String> {
    clients.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
    clients
}

/// How queues are shared out: what Java's broker knows of its clients' strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Neighbouring queues, `AVG` (`AllocateMessageQueueAveragely`).
    Averagely,
    /// One after the other, `AVG_BY_CIRCLE` (`AllocateMessageQueueAveragelyByCircle`).
    AveragelyByCircle,
}

impl Strategy {
    /// The strategy that clients name so.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "AVG" => Some(Self::Averagely),
            "AVG_BY_CIRCLE" => Some(Self::AveragelyByCircle),
            _ => None,
        }
    }

    /// The queues of `client`. Both lists are sorted; a client that has two connections is in `clients` twice.
    /// `None` where Java's strategy throws: without a client, queues or clients.
    pub fn allocate(
        self,
        client: &str,
        queues: &[MessageQueue],
        clients: &[String],
    ) -> Option<Vec<MessageQueue>> {
        if client.is_empty() || queues.is_empty() || clients.is_empty() {
            return None;
        }
        let Some(index) = clients.iter().position(|c| c == client) else { return Some(Vec::new()) };
        match self {
            Self::AveragelyByCircle => {
                Some(queues.iter().skip(index).step_by(clients.len()).cloned().collect())
            }
            Self::Averagely => {
                let rest = queues.len() % clients.len();
                let has_one_more = index < rest;
                let size = match queues.len() / clients.len() {
                    _ if queues.len() <= clients.len() => 1,
                    size => size + usize::from(has_one_more),
                };
                let start = index * size + if has_one_more { 0 } else { rest };
                Some(queues.iter().skip(start).take(size).cloned().collect())
            }
        }
    }
}

/// The queues that `client` pops from: its own and those of the `share` clients after it, or all of every broker, named
/// by the queue -1 (`QueryAssignmentProcessor.allocate4Pop`).
pub fn allocate_for_pop(
    strategy: Strategy,
    client: &str,
    queues: &[MessageQueue],
    clients: &[String],
    share: i32,
) -> Option<Vec<MessageQueue>> {
    let share = match usize::try_from(share) {
        Ok(share) if share > 0 && share + 1 < clients.len() => share,
        _ => {
            return Some(queues.iter().map(|queue| MessageQueue { queue_id: -1, ..queue.clone() }).collect());
        }
    };
    if clients.len() <= queues.len() {
        let mut allocated = strategy.allocate(client, queues, clients)?;
        if let Some(index) = clients.iter().position(|c| c == client) {
            for next in 1..=share {
                let next = &clients[(index + next) % clients.len()];
                allocated.extend(strategy.allocate(next, queues, clients)?);
            }
        }
        return Some(allocated);
    }
    // More clients than queues: each gets one.
    if raptormq_base::java::is_blank(client) || queues.is_empty() {
        return None;
    }
    let index = clients.iter().position(|c| c == client);
    Some(index.map(|index| queues[index % queues.len()].clone()).into_iter().collect())
}
