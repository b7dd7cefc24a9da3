//! PULL_MESSAGE and LITE_PULL_MESSAGE (`PullMessageProcessor`, `PullRequestHoldService`).

use std::sync::Arc;
use std::time::Duration;

use raptormq_base::java;
use raptormq_remoting::{Peer, Refusal, Reply, Request, held, later};
use raptormq_store::{Filter, Get, GetRequest, GetResult, GetStatus, Store};
use raptormq_wire::body::{
    ConsumeType, MessageModel, SubscriptionData, SubscriptionGroupConfig, TopicConfig,
};
use raptormq_wire::header::{PullMessageRequestHeader, PullMessageResponseHeader};
use raptormq_wire::{Body, RemotingCommand, RequestCode, ResponseCode};

use super::filter::PullFilter;
use super::send::auto_create_group;
use crate::config::LiveConfig;
use crate::names::{self, FAQ, perm};
use crate::stats::Stats;
use crate::tables::arrivals::{Arrivals, Wanted};
use crate::tables::consumers::ConsumerTable;
use crate::tables::filters::{FilterData, FilterTable, is_tag_type};
use crate::tables::groups::GroupTable;
use crate::tables::offsets::OffsetTable;
use crate::tables::topics::TopicTable;

/// Bits of a pull's system flag (`PullSysFlag`).
mod flag {
    pub(super) const COMMIT_OFFSET: i32 = 1;
    pub(super) const SUSPEND: i32 = 1 << 1;
    pub(super) const SUBSCRIPTION: i32 = 1 << 2;
}

/// `ForbiddenType`: why a pull is forbidden, for the client's log.
mod forbidden {
    pub(super) const BROKER: i32 = 1;
    pub(super) const GROUP: i32 = 2;
    pub(super) const TOPIC: i32 = 3;
    pub(super) const BROADCASTING_DISABLE: i32 = 4;
    pub(super) const SUBSCRIPTION: i32 = 5;
}

/// A held pull looks again this often whatever happens, as Java's hold service does.
const HOLD_CHECK: Duration = Duration::from_secs(5);

/// Answers pulls, and holds those that find nothing.
pub struct PullService {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics.
    pub topics: Arc<TopicTable>,
    /// Groups.
    pub groups: Arc<GroupTable>,
    /// Consumers with their subscriptions.
    pub consumers: Arc<ConsumerTable>,
    /// Expressions that consumers filter by.
    pub filters: Arc<FilterTable>,
    /// Offsets that a pull commits.
    pub offsets: Arc<OffsetTable>,
    /// Wakes held pulls.
    pub arrivals: Arc<Arrivals>,
    /// The store.
    pub store: Store,
    /// Figures.
    pub stats: Arc<Stats>,
}

/// A pull that has passed its checks.
struct Pull {
    header: PullMessageRequestHeader,
    code: RequestCode,
    peer: Arc<Peer>,
    group: Arc<SubscriptionGroupConfig>,
    topic: Arc<TopicConfig>,
    filter: Option<Arc<PullFilter>>,
}

impl PullService {
    /// PULL_MESSAGE and LITE_PULL_MESSAGE.
    pub fn pull(self: &Arc<Self>, request: Request) -> Reply {
        let pull = match self.check(&request) {
            Ok(pull) => pull,
            Err(forbidden) => return Reply::Now(forbidden.into()),
        };
        let service = self.clone();
        match self.get(&pull) {
            Get::Ready(result) => match self.answer_or_hold(&pull, result, true) {
                Some(response) => Reply::Now(response),
                None => held(async move { service.hold(pull).await }),
            },
            Get::Cold(cold) => later(async move {
                let result = run_blocking(cold).await?;
                match service.answer_or_hold(&pull, result, true) {
                    Some(response) => Ok(response),
                    None => Ok(service.hold(pull).await),
                }
            }),
        }
    }

    fn check(&self, request: &Request) -> Result<Pull, Forbidden> {
        let mut header: PullMessageRequestHeader = request.header()?;
        let code = RequestCode(request.command.code);
        let (group, topic) = self.admit(&header, code, &request.peer)?;
        let filter = self.filter(&header, &group, &request.peer)?;
        // It may be long, and is not needed while the pull is held.
        header.subscription = None;
        Ok(Pull { header, code, peer: request.peer.clone(), group, topic, filter })
    }

    /// What has changed while the pull was held counts, as in Java, where a woken pull is processed anew.
    fn check_again(&self, pull: &mut Pull) -> Result<(), Forbidden> {
        (pull.group, pull.topic) = self.admit(&pull.header, pull.code, &pull.peer)?;
        if pull.header.sys_flag & flag::SUBSCRIPTION == 0 {
            pull.filter = self.filter(&pull.header, &pull.group, &pull.peer)?;
        }
        Ok(())
    }

    fn filter(
        &self,
        header: &PullMessageRequestHeader,
        group: &SubscriptionGroupConfig,
        peer: &Peer,
    ) -> Result<Option<Arc<PullFilter>>, Forbidden> {
        let subscription = self.subscription(header, group)?;
        if is_tag_type(&subscription.expression_type) {
            self.check_pull_consumer(header, peer)?;
            return Ok(PullFilter::of_tags(&subscription));
        }
        let registered = match header.sys_flag & flag::SUBSCRIPTION {
            0 => Some(self.registered(header)?),
            _ => None,
        };
        let broker = self.live.broker();
        if !broker.enable_property_filter {
            return Err(filter_refused(&subscription.expression_type).into());
        }
        self.check_pull_consumer(header, peer)?;
        let support_retry = broker.filter_support_retry;
        Ok(PullFilter::of_expression(&subscription, registered, &self.filters, support_retry))
    }

    /// The expression that the group's heartbeats have registered.
    fn registered(&self, header: &PullMessageRequestHeader) -> Result<Arc<FilterData>, Refusal> {
        let Some(data) = self.filters.get(&header.topic, &header.consumer_group) else {
            let remark = "The broker's consumer filter data is not exist!Your expression may be wrong!";
            return Err(Refusal::new(ResponseCode::FILTER_DATA_NOT_EXIST, remark));
        };
        if data.client_version() < header.sub_version {
            let remark = "the consumer's consumer filter data not latest";
            return Err(Refusal::new(ResponseCode::FILTER_DATA_NOT_LATEST, remark));
        }
        Ok(data)
    }

    /// The group and topic, if the pull is allowed at all.
    fn admit(
        &self,
        header: &PullMessageRequestHeader,
        code: RequestCode,
        peer: &Peer,
    ) -> Result<(Arc<SubscriptionGroupConfig>, Arc<TopicConfig>), Forbidden> {
        let broker = self.live.broker();
        if !perm::is_readable(broker.broker_permission) {
            let remark = format!("the broker[{}] pulling message is forbidden", broker.broker_ip1);
            return Err(Forbidden::no_permission(remark, forbidden::BROKER));
        }
        if code == RequestCode::LITE_PULL_MESSAGE && !broker.lite_pull_message_enable {
            let remark = format!("the broker[{}] for lite pull consumer is forbidden", broker.broker_ip1);
            return Err(Forbidden::no_permission(remark, forbidden::BROKER));
        }
        let name = &header.consumer_group;
        let Some(group) = self.groups.find(name, auto_create_group(&broker, name)) else {
            let remark = format!("subscription group [{name}] does not exist, {FAQ}");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark).into());
        };
        if !group.consume_enable {
            let remark = format!("subscription group no permission, {name}");
            return Err(Forbidden::no_permission(remark, forbidden::GROUP));
        }
        let Some(topic) = self.topics.get(&header.topic) else {
            let remark = format!("topic[{}] not exist, apply first please! {FAQ}", header.topic);
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark).into());
        };
        if !perm::is_readable(topic.perm) {
            let remark = format!("the topic[{}] pulling message is forbidden", header.topic);
            return Err(Forbidden::no_permission(remark, forbidden::TOPIC));
        }
        if header.queue_id < 0 || header.queue_id >= topic.read_queue_nums {
            let remark = format!(
                "queueId[{}] is illegal, topic:[{}] topicConfig.readQueueNums:[{}] consumer:[/{}]",
                header.queue_id,
                header.topic,
                topic.read_queue_nums,
                peer.remote()
            );
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark).into());
        }
        Ok((group, topic))
    }

    /// What the pull wants: its own subscription, or that of its group's last heartbeat.
    fn subscription(
        &self,
        header: &PullMessageRequestHeader,
        group: &SubscriptionGroupConfig,
    ) -> Result<Arc<SubscriptionData>, Forbidden> {
        let name = &header.consumer_group;
        if header.sys_flag & flag::SUBSCRIPTION != 0 {
            let expression_type = header.expression_type.as_deref();
            let subscription =
                subscription_data(&header.topic, header.subscription.as_deref(), expression_type);
            let subscription = Arc::new(subscription.map_err(|EmptyExpression| {
                let remark = "parse the consumer's subscription failed";
                Refusal::new(ResponseCode::SUBSCRIPTION_PARSE_FAILED, remark)
            })?);
            self.consumers.carry(name, &subscription);
            return Ok(subscription);
        }
        let not_exist =
            |what: &str| Refusal::new(ResponseCode::SUBSCRIPTION_NOT_EXIST, format!("{what}{FAQ}"));
        let found = self
            .consumers
            .with_group(name, |g| (g.message_model, g.subscriptions.get(&header.topic).cloned()));
        let Some((model, subscription)) = found else {
            return Err(not_exist("the consumer's group info not exist").into());
        };
        if !group.consume_broadcast_enable && model == MessageModel::Broadcasting {
            let remark = format!("the consumer group[{name}] can not consume by broadcast way");
            return Err(Forbidden::no_permission(remark, forbidden::BROADCASTING_DISABLE));
        }
        if self.groups.is_read_forbidden(name, &header.topic) {
            let remark = format!("the consumer group[{name}] is forbidden for topic[{}]", header.topic);
            return Err(Forbidden::no_permission(remark, forbidden::SUBSCRIPTION));
        }
        let Some(subscription) = subscription else {
            return Err(not_exist("the consumer's subscription not exist").into());
        };
        if subscription.sub_version < header.sub_version {
            let remark = "the consumer's subscription not latest";
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_NOT_LATEST, remark).into());
        }
        Ok(subscription)
    }

    fn check_pull_consumer(&self, header: &PullMessageRequestHeader, peer: &Peer) -> Result<(), Refusal> {
        if !self.live.broker().reject_pull_consumer_enable {
            return Ok(());
        }
        let pushed_or_known = self.consumers.with_group(&header.consumer_group, |g| {
            g.consume_type != ConsumeType::ConsumeActively || g.channels.contains_key(&peer.id())
        });
        if pushed_or_known == Some(true) || header.consumer_group == names::TOOLS_GROUP {
            return Ok(());
        }
        let remark =
            format!("the consumer's group info not exist, or the pull consumer is rejected by server.{FAQ}");
        Err(Refusal::new(ResponseCode::SUBSCRIPTION_NOT_EXIST, remark))
    }

    fn get(&self, pull: &Pull) -> Get {
        let header = &pull.header;
        let reset = self.offsets.take_reset(&header.consumer_group, &header.topic, header.queue_id);
        if let Some(offset) = reset.filter(|_| self.live.broker().use_server_side_reset_offset) {
            return Get::Ready(self.moved_to(header, offset));
        }
        self.store.get(&GetRequest {
            topic: &pull.header.topic,
            queue_id: pull.header.queue_id,
            offset: pull.header.queue_offset,
            max_nums: pull.header.max_msg_nums,
            max_bytes: pull.header.max_msg_bytes.and_then(|n| usize::try_from(n).ok()),
            filter: pull.filter.clone().map(|f| f as Arc<dyn Filter>),
        })
    }

    /// What a pull of a queue finds whose offset an administrator has set.
    fn moved_to(&self, header: &PullMessageRequestHeader, offset: i64) -> GetResult {
        GetResult {
            status: GetStatus::OffsetReset,
            next_begin_offset: offset,
            min_offset: self.store.queue_min(&header.topic, header.queue_id),
            max_offset: self.store.queue_max(&header.topic, header.queue_id),
            messages: Vec::new(),
            queue_offsets: Vec::new(),
            message_count: 0,
            bytes: 0,
            suggest_slave: false,
        }
    }

    /// The answer, or `None` where the pull is to be held: it found nothing, may be held, and is the first look.
    fn answer_or_hold(&self, pull: &Pull, result: GetResult, first: bool) -> Option<RemotingCommand> {
        let header = &pull.header;
        let group = &header.consumer_group;
        self.offsets.pulled(group, &header.topic, header.queue_id, result.next_begin_offset);
        // What was consumed before a reset does not count any more.
        let reset = result.status == GetStatus::OffsetReset;
        if first && !reset && header.sys_flag & flag::COMMIT_OFFSET != 0 {
            self.offsets.commit(group, &header.topic, header.queue_id, header.commit_offset);
        }
        let code = response_code(result.status, header.queue_offset);
        if code == ResponseCode::PULL_NOT_FOUND && first && header.sys_flag & flag::SUSPEND != 0 {
            return None;
        }
        if code == ResponseCode::PULL_OFFSET_MOVED {
            tracing::warn!(
                group,
                topic = header.topic,
                queue_id = header.queue_id,
                asked = header.queue_offset,
                next = result.next_begin_offset,
                "pull offset corrected"
            );
        }
        let answer = PullMessageResponseHeader {
            suggest_which_broker_id: self.suggested_broker(&pull.group, result.suggest_slave),
            next_begin_offset: result.next_begin_offset,
            min_offset: result.min_offset,
            max_offset: result.max_offset,
            topic_sys_flag: Some(pull.topic.topic_sys_flag),
            group_sys_flag: Some(pull.group.group_sys_flag),
            ..Default::default()
        };
        let remark = Some(result.status.name().to_owned());
        let mut response = RemotingCommand::response(code, remark).with_header(&answer);
        if code == ResponseCode::SUCCESS {
            self.stats.get(result.message_count as u64, result.bytes as u64);
            response.body = Body::from(result.messages);
        }
        Some(response)
    }

    /// The replica that the client should pull from next: as the group says, with `slaveReadEnable`.
    fn suggested_broker(&self, group: &SubscriptionGroupConfig, slowly: bool) -> i64 {
        match (self.live.broker().slave_read_enable, slowly) {
            (false, _) => 0,
            (true, true) => group.which_broker_when_consume_slowly,
            (true, false) => group.broker_id,
        }
    }

    /// Waits until a wanted message comes, somebody changes the queue's offsets, or the client's patience ends; then
    /// looks once more and answers in any case.
    async fn hold(&self, mut pull: Pull) -> RemotingCommand {
        let broker = self.live.broker();
        let patience = if broker.long_polling_enable {
            pull.header.suspend_timeout_millis
        } else {
            broker.short_polling_time_mills
        };
        let deadline = tokio::time::Instant::now()
            + Duration::from_millis(u64::try_from(patience).unwrap_or(0).min(600_000));
        // The end of the queue at the last look that found nothing: only a longer queue is looked at at once.
        let mut looked_at = i64::MIN;
        loop {
            let header = &pull.header;
            let filter = pull.filter.clone().map(|filter| -> Wanted {
                Arc::new(move |tags_code, properties| filter.wants(tags_code, properties))
            });
            let mut wait =
                self.arrivals.register(&header.topic, header.queue_id, header.queue_offset, filter);
            let end = self.store.queue_max(&header.topic, header.queue_id);
            // A reset wakes those that are registered; one just before is seen here.
            let reset = self.offsets.has_reset(&header.consumer_group, &header.topic, header.queue_id);
            if !reset && (end <= header.queue_offset || end == looked_at) {
                let check = deadline.min(tokio::time::Instant::now() + HOLD_CHECK);
                let _ = tokio::time::timeout_at(check, wait.woken()).await;
            }
            drop(wait);
            looked_at = end;
            if let Err(forbidden) = self.check_again(&mut pull) {
                return forbidden.into();
            }
            let result = match self.get(&pull) {
                Get::Ready(result) => result,
                Get::Cold(cold) => match run_blocking(cold).await {
                    Ok(result) => result,
                    Err(refusal) => return refusal.into(),
                },
            };
            let nothing =
                response_code(result.status, pull.header.queue_offset) == ResponseCode::PULL_NOT_FOUND;
            if nothing && tokio::time::Instant::now() < deadline {
                continue;
            }
            if let Some(response) = self.answer_or_hold(&pull, result, false) {
                return response;
            }
        }
    }
}

async fn run_blocking(cold: raptormq_store::ColdGet) -> Result<GetResult, Refusal> {
    let read = tokio::task::spawn_blocking(move || cold.run()).await;
    read.map_err(|_| Refusal::system_error("reading the log failed"))
}

fn response_code(status: GetStatus, asked_offset: i64) -> ResponseCode {
    match status {
        GetStatus::Found => ResponseCode::SUCCESS,
        GetStatus::MessageWasRemoving | GetStatus::NoMatchedMessage => ResponseCode::PULL_RETRY_IMMEDIATELY,
        GetStatus::NoMatchedLogicQueue | GetStatus::NoMessageInQueue if asked_offset != 0 => {
            ResponseCode::PULL_OFFSET_MOVED
        }
        GetStatus::NoMatchedLogicQueue
        | GetStatus::NoMessageInQueue
        | GetStatus::OffsetFoundNull
        | GetStatus::OffsetOverflowOne => ResponseCode::PULL_NOT_FOUND,
        GetStatus::OffsetOverflowBadly | GetStatus::OffsetReset | GetStatus::OffsetTooSmall => {
            ResponseCode::PULL_OFFSET_MOVED
        }
    }
}

/// A refusal of a pull with Java's `forbiddenType`, where there is one.
struct Forbidden {
    refusal: Refusal,
    kind: Option<i32>,
}

impl Forbidden {
    fn no_permission(remark: String, kind: i32) -> Self {
        Self { refusal: Refusal::new(ResponseCode::NO_PERMISSION, remark), kind: Some(kind) }
    }
}

impl From<Forbidden> for RemotingCommand {
    fn from(forbidden: Forbidden) -> Self {
        let mut response = RemotingCommand::from(forbidden.refusal);
        if let Some(kind) = forbidden.kind {
            response.ext.insert_int("forbiddenType", kind.into());
        }
        response
    }
}

impl From<Refusal> for Forbidden {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, kind: None }
    }
}

/// The refusal of an expression that is not about tags while `enablePropertyFilter` is off.
pub fn filter_refused(expression_type: &str) -> Refusal {
    Refusal::system_error(format!(
        "The broker does not support consumer to filter message by {expression_type}"
    ))
}

/// An expression that names no tag, or one of another type that is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmptyExpression;

/// The subscription that an expression means (`FilterAPI.build`).
///
/// # Errors
/// [`EmptyExpression`].
pub fn subscription_data(
    topic: &str,
    expression: Option<&str>,
    expression_type: Option<&str>,
) -> Result<SubscriptionData, EmptyExpression> {
    let mut data = SubscriptionData { topic: topic.to_owned(), ..SubscriptionData::default() };
    let kind = expression_type.unwrap_or("TAG");
    if kind != "TAG" {
        data.expression_type = kind.to_owned();
        data.sub_string = expression.filter(|e| !e.is_empty()).ok_or(EmptyExpression)?.to_owned();
        return Ok(data);
    }
    match expression {
        None | Some("" | "*") => data.sub_string = "*".to_owned(),
        Some(expression) => {
            data.sub_string = expression.to_owned();
            let pieces = expression.split("||").map(str::trim).filter(|t| !t.is_empty());
            data.tags_set = pieces.map(str::to_owned).collect();
            data.code_set = data.tags_set.iter().map(|t| java::string_hash(t)).collect();
            // Java's split yields no piece where all are empty, which is the error.
            if expression.split("||").all(str::is_empty) {
                return Err(EmptyExpression);
            }
        }
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_become_tags_and_their_hashes() {
        let tags = |e: Option<&str>| {
            subscription_data("T", e, Some("TAG")).map(|d| (d.sub_string, d.tags_set.len()))
        };
        for all in [None, Some(""), Some("*")] {
            assert_eq!(tags(all), Ok(("*".to_owned(), 0)));
        }
        assert_eq!(tags(Some("A || B||")), Ok(("A || B||".to_owned(), 2)));
        assert_eq!(tags(Some("||")), Err(EmptyExpression));
        let data = subscription_data("T", Some("TagA||TagB"), None).unwrap();
        let filter = PullFilter::of_tags(&data).unwrap();
        assert!(filter.matches_queue(raptormq_message::tags_code(Some("TagA"))));
        assert!(!filter.matches_queue(raptormq_message::tags_code(Some("TagC"))));
        assert!(!filter.matches_queue(0));
        assert!(PullFilter::of_tags(&subscription_data("T", Some("*"), None).unwrap()).is_none());
    }

    #[test]
    fn each_status_has_javas_code() {
        for (status, at_zero, elsewhere) in [
            (GetStatus::Found, 0, 0),
            (GetStatus::NoMatchedMessage, 20, 20),
            (GetStatus::MessageWasRemoving, 20, 20),
            (GetStatus::NoMatchedLogicQueue, 19, 21),
            (GetStatus::NoMessageInQueue, 19, 21),
            (GetStatus::OffsetFoundNull, 19, 19),
            (GetStatus::OffsetOverflowOne, 19, 19),
            (GetStatus::OffsetOverflowBadly, 21, 21),
            (GetStatus::OffsetTooSmall, 21, 21),
            (GetStatus::OffsetReset, 21, 21),
        ] {
            assert_eq!(
                (response_code(status, 0).0, response_code(status, 7).0),
                (at_zero, elsewhere),
                "{status:?}"
            );
        }
    }
}
