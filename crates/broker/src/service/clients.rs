//! Heartbeats and membership of clients (`ClientManageProcessor`, parts of `ConsumerManageProcessor`), and the locks of
//! ordered consumption.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raptormq_remoting::{Answer, Peer, Refusal, Request};
use raptormq_wire::body::{
    CheckClientRequestBody, ConsumeType, ConsumerData, GetConsumerListByGroupResponseBody, HeartbeatData,
    LockBatchRequestBody, LockBatchResponseBody, SubscriptionData, UnlockBatchRequestBody,
};
use raptormq_wire::header::{
    GetConsumerListByGroupRequestHeader, NotifyConsumerIdsChangedRequestHeader, UnregisterClientRequestHeader,
};
use raptormq_wire::{RemotingCommand, RequestCode, ResponseCode, json};

use super::pull::filter_refused;
use super::send::auto_create_group;
use super::{body, success};
use crate::config::LiveConfig;
use crate::names;
use crate::registration::Registration;
use crate::tables::consumers::{ConsumerTable, MembersChanged};
use crate::tables::filters::{FilterTable, compile, is_tag_type};
use crate::tables::groups::GroupTable;
use crate::tables::locks::QueueLocks;
use crate::tables::producers::{ClientChannel, ProducerTable};
use crate::tables::topics::TopicTable;

/// Keeps track of the clients.
pub struct ClientService {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics, for the retry topics of new groups.
    pub topics: Arc<TopicTable>,
    /// Groups.
    pub groups: Arc<GroupTable>,
    /// Consumers.
    pub consumers: Arc<ConsumerTable>,
    /// Producers.
    pub producers: Arc<ProducerTable>,
    /// Expressions that consumers filter by.
    pub filters: Arc<FilterTable>,
    /// Locks.
    pub locks: Arc<QueueLocks>,
    /// New retry topics are registered.
    pub registration: Arc<Registration>,
    /// Members of groups that have changed and are told later.
    pub pending: Mutex<HashMap<String, Vec<Arc<Peer>>>>,
}

impl ClientService {
    /// HEART_BEAT. One with a fingerprint is of version 2: it may leave out its subscriptions, and is told whether
    /// others of its group have another fingerprint.
    pub fn heartbeat(&self, request: &Request) -> Answer {
        let data: HeartbeatData = body(&request.command)?;
        let fingerprint = data.heartbeat_fingerprint;
        let channel = channel(request, &data.client_id);
        let reject_pull = self.live.broker().reject_pull_consumer_enable;
        let mut changed_by_others = fingerprint == 0;
        for consumer in &data.consumer_data_set {
            if reject_pull && consumer.consume_type == Some(ConsumeType::ConsumeActively) {
                continue;
            }
            let without_subscriptions = fingerprint != 0 && data.without_sub;
            self.register_consumer(consumer, channel.clone(), without_subscriptions);
            changed_by_others |=
                self.consumers.must_resend(&consumer.group_name, fingerprint, without_subscriptions);
        }
        for producer in &data.producer_data_set {
            self.producers.register(&producer.group_name, channel.clone());
        }
        let mut response = success();
        response.ext.insert("IS_SUPPORT_HEART_BEAT_V2", "true");
        response.ext.insert("IS_SUB_CHANGE", if changed_by_others { "true" } else { "false" });
        Ok(response)
    }

    fn register_consumer(&self, data: &ConsumerData, channel: ClientChannel, without_subscriptions: bool) {
        let name = &data.group_name;
        let Some(group) = self.groups.find(name, auto_create_group(&self.live.broker(), name)) else {
            return;
        };
        let ordered = |topic: &str| self.topics.get(topic).is_some_and(|t| t.order);
        let order = data.subscription_data_set.iter().any(|s| ordered(&s.topic));
        let retry_topic = names::retry_topic(name);
        let sys_flag = names::topic_sys_flag(false, data.unit_mode);
        let created = self.topics.create_on_send_back(&retry_topic, group.retry_queue_nums, order, sys_flag);
        if created.is_some_and(|(_, changed)| changed) {
            self.registration.register_soon();
        }
        let changed = self.consumers.register(data, channel, without_subscriptions);
        if !without_subscriptions {
            self.filters.register(name, &data.subscription_data_set);
        }
        if group.notify_consumer_ids_changed_enable {
            self.notify(changed);
        }
    }

    /// UNREGISTER_CLIENT.
    pub fn unregister(&self, request: &Request) -> Answer {
        let header: UnregisterClientRequestHeader = request.header()?;
        if let Some(group) = &header.producer_group {
            self.producers.unregister(group, &request.peer);
        }
        if let Some(group) = &header.consumer_group {
            let changed = self.consumers.unregister(group, &request.peer);
            self.forget_filters();
            if self.groups.get(group).is_none_or(|g| g.notify_consumer_ids_changed_enable) {
                self.notify(changed);
            }
        }
        Ok(success())
    }

    /// CHECK_CLIENT_CONFIG: whether an expression can be used.
    pub fn check(&self, request: &Request) -> Answer {
        // Java takes a request without a body for one without a subscription.
        if request.command.body.is_empty() {
            return Ok(success());
        }
        let check: CheckClientRequestBody = body(&request.command)?;
        let Some(subscription) = check.subscription_data else { return Ok(success()) };
        let SubscriptionData { expression_type, sub_string, .. } = subscription;
        if is_tag_type(&expression_type) {
            return Ok(success());
        }
        if !self.live.broker().enable_property_filter {
            return Err(filter_refused(&expression_type));
        }
        match compile(&sub_string, &expression_type) {
            Ok(_) => Ok(success()),
            Err(error) => {
                let CheckClientRequestBody { client_id, group, .. } = check;
                tracing::warn!(client_id, group, expression = sub_string, %error, "expression refused");
                Err(Refusal::new(ResponseCode::SUBSCRIPTION_PARSE_FAILED, error.to_string()))
            }
        }
    }

    /// GET_CONSUMER_LIST_BY_GROUP.
    pub fn consumer_list(&self, request: &Request) -> Answer {
        let header: GetConsumerListByGroupRequestHeader = request.header()?;
        let consumer_id_list = self.consumers.client_ids(&header.consumer_group);
        if consumer_id_list.is_empty() {
            let remark = format!("no consumer for this group, {}", header.consumer_group);
            return Err(Refusal::system_error(remark));
        }
        Ok(success().with_body(json::to_vec(&GetConsumerListByGroupResponseBody { consumer_id_list })))
    }

    /// LOCK_BATCH_MQ.
    pub fn lock(&self, request: &Request) -> Answer {
        let wanted: LockBatchRequestBody = body(&request.command)?;
        let queues = wanted.mq_set.into_iter().collect();
        let granted = self.locks.lock(&wanted.consumer_group, queues, &wanted.client_id);
        let granted = LockBatchResponseBody { lock_ok_mq_set: granted.into_iter().collect() };
        Ok(success().with_body(json::to_vec(&granted)))
    }

    /// UNLOCK_BATCH_MQ.
    pub fn unlock(&self, request: &Request) -> Answer {
        let given_back: UnlockBatchRequestBody = body(&request.command)?;
        let queues: Vec<_> = given_back.mq_set.into_iter().collect();
        self.locks.unlock(&given_back.consumer_group, &queues, &given_back.client_id);
        Ok(success())
    }

    /// Tells the members of a group that they have changed: at once, or with the next [`Self::tell_pending`]
    /// (`DefaultConsumerIdsChangeListener`).
    fn notify(&self, changed: Option<MembersChanged>) {
        let Some(MembersChanged { group, peers }) = changed else { return };
        let broker = self.live.broker();
        if !broker.notify_consumer_ids_changed_enable {
            return;
        }
        if broker.real_time_notify_consumer_change {
            tell(group, &peers);
        } else {
            self.pending.lock().insert(group, peers);
        }
    }

    /// Tells the members of the groups that have changed since the last time, without `realTimeNotifyConsumerChange`.
    pub fn tell_pending(&self) {
        let pending = std::mem::take(&mut *self.pending.lock());
        if self.live.broker().notify_consumer_ids_changed_enable {
            pending.into_iter().for_each(|(group, peers)| tell(group, &peers));
        }
    }

    /// A connection has ended: its clients are gone, and the others of their groups are told.
    pub fn closed(&self, peer: &Peer) {
        self.producers.closed(peer);
        for (group, client_id) in self.consumers.last_connections(peer) {
            self.locks.abandon(&group, &client_id);
        }
        for changed in self.consumers.closed(peer) {
            self.notify(Some(changed));
        }
        self.forget_filters();
    }

    /// Filters of groups that have lost their last member count as gone.
    fn forget_filters(&self) {
        self.filters.forget_unless(|group| self.consumers.with_group(group, |_| ()).is_some());
    }

    /// Drops the clients that are silent.
    pub fn expire(&self) {
        let broker = self.live.broker();
        let ms = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let limit = ms(broker.channel_expired_timeout);
        self.locks.forget_expired();
        self.producers.expire(limit);
        let lost = |group: &str, client_id: &str| self.locks.abandon(group, client_id);
        for changed in self.consumers.expire(limit, ms(broker.subscription_expired_timeout), lost) {
            self.notify(Some(changed));
        }
        self.forget_filters();
    }
}

fn channel(request: &Request, client_id: &str) -> ClientChannel {
    ClientChannel {
        peer: request.peer.clone(),
        client_id: client_id.to_owned(),
        language: request.command.language,
        version: request.command.version,
        last_update: Duration::ZERO,
    }
}

/// Tells the members of a group to look at it again (NOTIFY_CONSUMER_IDS_CHANGED).
fn tell(group: String, peers: &[Arc<Peer>]) {
    let header = NotifyConsumerIdsChangedRequestHeader { consumer_group: group, ..Default::default() };
    for peer in peers {
        let request = RemotingCommand::request(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED).with_header(&header);
        if let Err(error) = peer.oneway(request) {
            tracing::debug!(remote = %peer.remote(), %error, "not notified");
        }
    }
}
