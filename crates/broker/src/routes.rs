//! THE request table of the broker.

use std::sync::Arc;

use raptormq_remoting::{Lane, Ports::Both, Ports::Main, RouteTable};
use raptormq_wire::RequestCode as Code;

use crate::admin::clients::ClientAdmin;
use crate::admin::config::ConfigAdmin;
use crate::admin::groups::GroupAdmin;
use crate::admin::progress::ProgressAdmin;
use crate::admin::runtime::RuntimeAdmin;
use crate::admin::topics::TopicAdmin;
use crate::config::BrokerSettings;
use crate::service::assign::AssignService;
use crate::service::calls::CallService;
use crate::service::clients::ClientService;
use crate::service::offsets::OffsetService;
use crate::service::pull::PullService;
use crate::service::query::QueryService;
use crate::service::reply::ReplyService;
use crate::service::reset::ResetService;
use crate::service::send::SendService;
use crate::service::send_back::SendBackService;
use crate::service::transaction::TransactionService;

/// What the table's rows call.
pub struct Services {
    /// Sends.
    pub send: Arc<SendService>,
    /// Replies.
    pub reply: Arc<ReplyService>,
    /// Messages given back.
    pub send_back: Arc<SendBackService>,
    /// Transactions.
    pub transactions: Arc<TransactionService>,
    /// Pulls.
    pub pull: Arc<PullService>,
    /// Heartbeats, membership, locks.
    pub clients: Arc<ClientService>,
    /// Shares of queues.
    pub assign: Arc<AssignService>,
    /// Requests passed on to clients.
    pub calls: Arc<CallService>,
    /// Resets of offsets.
    pub reset: Arc<ResetService>,
    /// Offsets.
    pub offsets: Arc<OffsetService>,
    /// Queries.
    pub query: Arc<QueryService>,
    /// Topic administration.
    pub topic_admin: Arc<TopicAdmin>,
    /// Group administration.
    pub group_admin: Arc<GroupAdmin>,
    /// Progress in time.
    pub progress_admin: Arc<ProgressAdmin>,
    /// Connection lists.
    pub client_admin: Arc<ClientAdmin>,
    /// Configuration.
    pub config_admin: Arc<ConfigAdmin>,
    /// State.
    pub runtime_admin: Arc<RuntimeAdmin>,
}

/// Bounds of the lanes, from the queue capacities of Java's thread pools.
pub struct Lanes {
    send: Arc<Lane>,
    reply: Arc<Lane>,
    transaction: Arc<Lane>,
    pull: Arc<Lane>,
    query: Arc<Lane>,
    client: Arc<Lane>,
    heartbeat: Arc<Lane>,
    consumer: Arc<Lane>,
    assignment: Arc<Lane>,
    admin: Arc<Lane>,
}

impl Lanes {
    /// The lanes that `broker` configures.
    pub fn new(broker: &BrokerSettings) -> Self {
        let lane = |name, capacity: i32| Lane::new(name, usize::try_from(capacity).unwrap_or(0).max(1));
        Self {
            send: lane("send", broker.send_thread_pool_queue_capacity),
            reply: lane("reply", broker.reply_thread_pool_queue_capacity),
            transaction: lane("transaction", broker.end_transaction_pool_queue_capacity),
            pull: lane("pull", broker.pull_thread_pool_queue_capacity),
            query: lane("query", broker.query_thread_pool_queue_capacity),
            client: lane("client", broker.client_manager_thread_pool_queue_capacity),
            heartbeat: lane("heartbeat", broker.heartbeat_thread_pool_queue_capacity),
            consumer: lane("consumer", broker.consumer_manager_thread_pool_queue_capacity),
            assignment: lane("assignment", broker.load_balance_thread_pool_queue_capacity),
            admin: lane("admin", broker.admin_broker_thread_pool_queue_capacity),
        }
    }
}

/// Builds the table. A code that is not in it is one that Java's broker does not answer either.
#[rustfmt::skip]
pub fn table(s: &Services, l: &Lanes) -> RouteTable {
    RouteTable::new()
        // Producing: in arrival order up to the append, then waiting for the disk where that is configured.
        .two_stage(Code::SEND_MESSAGE,                        Both, &l.send,      &s.send,          SendService::send)
        .two_stage(Code::SEND_MESSAGE_V2,                     Both, &l.send,      &s.send,          SendService::send)
        .two_stage(Code::SEND_BATCH_MESSAGE,                  Both, &l.send,      &s.send,          SendService::send)
        .two_stage(Code::SEND_REPLY_MESSAGE,                  Both, &l.reply,     &s.reply,         ReplyService::reply)
        .two_stage(Code::SEND_REPLY_MESSAGE_V2,               Both, &l.reply,     &s.reply,         ReplyService::reply)
        .on       (Code::CONSUMER_SEND_MSG_BACK,              Both, &l.send,      &s.send_back,     SendBackService::send_back)
        .two_stage(Code::END_TRANSACTION,                     Both, &l.transaction, &s.transactions, TransactionService::end)
        .blocking (Code::RESUME_CHECK_HALF_MESSAGE,           Both, &l.admin,     &s.transactions,  TransactionService::resume)
        // Consuming: a pull that finds nothing is held.
        .two_stage(Code::PULL_MESSAGE,                        Main, &l.pull,      &s.pull,          PullService::pull)
        .two_stage(Code::LITE_PULL_MESSAGE,                   Main, &l.pull,      &s.pull,          PullService::pull)
        // Queries read the index and the log from disk.
        .blocking (Code::QUERY_MESSAGE,                       Both, &l.query,     &s.query,         QueryService::by_key)
        .blocking (Code::VIEW_MESSAGE_BY_ID,                  Both, &l.query,     &s.query,         QueryService::by_offset)
        // Clients make themselves known.
        .on       (Code::HEART_BEAT,                          Both, &l.heartbeat, &s.clients,       ClientService::heartbeat)
        .on       (Code::UNREGISTER_CLIENT,                   Both, &l.client,    &s.clients,       ClientService::unregister)
        .on       (Code::CHECK_CLIENT_CONFIG,                 Both, &l.client,    &s.clients,       ClientService::check)
        .on       (Code::GET_CONSUMER_LIST_BY_GROUP,          Both, &l.consumer,  &s.clients,       ClientService::consumer_list)
        .on       (Code::LOCK_BATCH_MQ,                       Both, &l.admin,     &s.clients,       ClientService::lock)
        .on       (Code::UNLOCK_BATCH_MQ,                     Both, &l.admin,     &s.clients,       ClientService::unlock)
        .two_stage(Code::QUERY_ASSIGNMENT,                    Both, &l.assignment, &s.assign,       AssignService::query)
        .blocking (Code::SET_MESSAGE_REQUEST_MODE,            Both, &l.assignment, &s.assign,       AssignService::set_mode)
        .blocking (Code::GET_ALL_MESSAGE_REQUEST_MODE,        Both, &l.admin,     &s.assign,        AssignService::all_modes)
        // Offsets.
        .on       (Code::QUERY_CONSUMER_OFFSET,               Both, &l.consumer,  &s.offsets,       OffsetService::query)
        .on       (Code::UPDATE_CONSUMER_OFFSET,              Both, &l.consumer,  &s.offsets,       OffsetService::update)
        .on       (Code::GET_MAX_OFFSET,                      Both, &l.admin,     &s.offsets,       OffsetService::max)
        .on       (Code::GET_MIN_OFFSET,                      Both, &l.admin,     &s.offsets,       OffsetService::min)
        .blocking (Code::SEARCH_OFFSET_BY_TIMESTAMP,          Both, &l.admin,     &s.offsets,       OffsetService::search)
        .blocking (Code::GET_EARLIEST_MSG_STORETIME,          Both, &l.admin,     &s.offsets,       OffsetService::earliest_time)
        .blocking (Code::QUERY_CORRECTION_OFFSET,             Both, &l.admin,     &s.offsets,       OffsetService::correction)
        .blocking (Code::INVOKE_BROKER_TO_RESET_OFFSET,       Both, &l.admin,     &s.reset,         ResetService::reset)
        // Asked of a consumer.
        .two_stage(Code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS, Both, &l.admin,    &s.calls,         CallService::consumer_status)
        .two_stage(Code::GET_CONSUMER_RUNNING_INFO,           Both, &l.admin,     &s.calls,         CallService::running_info)
        .two_stage(Code::CONSUME_MESSAGE_DIRECTLY,            Both, &l.admin,     &s.calls,         CallService::consume_directly)
        // Topics.
        .two_stage(Code::UPDATE_AND_CREATE_TOPIC,             Both, &l.admin,     &s.topic_admin,   TopicAdmin::update)
        .blocking (Code::DELETE_TOPIC_IN_BROKER,              Both, &l.admin,     &s.topic_admin,   TopicAdmin::delete)
        .blocking (Code::GET_ALL_TOPIC_CONFIG,                Both, &l.admin,     &s.topic_admin,   TopicAdmin::all)
        .on       (Code::GET_TOPIC_CONFIG,                    Both, &l.admin,     &s.topic_admin,   TopicAdmin::one)
        .blocking (Code::GET_TOPIC_STATS_INFO,                Both, &l.admin,     &s.topic_admin,   TopicAdmin::stats)
        // Groups.
        .blocking (Code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, Both, &l.admin,     &s.group_admin,   GroupAdmin::update)
        .blocking (Code::DELETE_SUBSCRIPTIONGROUP,            Both, &l.admin,     &s.group_admin,   GroupAdmin::delete)
        .blocking (Code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,    Both, &l.admin,     &s.group_admin,   GroupAdmin::all)
        .on       (Code::GET_SUBSCRIPTIONGROUP_CONFIG,        Both, &l.admin,     &s.group_admin,   GroupAdmin::one)
        .blocking (Code::GET_ALL_CONSUMER_OFFSET,             Both, &l.admin,     &s.group_admin,   GroupAdmin::all_offsets)
        .blocking (Code::GET_CONSUME_STATS,                   Both, &l.admin,     &s.group_admin,   GroupAdmin::consume_stats)
        .blocking (Code::QUERY_TOPIC_CONSUME_BY_WHO,          Both, &l.admin,     &s.group_admin,   GroupAdmin::of_topic)
        .blocking (Code::UPDATE_AND_GET_GROUP_FORBIDDEN,      Both, &l.admin,     &s.group_admin,   GroupAdmin::forbidden)
        .blocking (Code::QUERY_TOPICS_BY_CONSUMER,            Both, &l.admin,     &s.group_admin,   GroupAdmin::topics_of)
        .on       (Code::QUERY_SUBSCRIPTION_BY_CONSUMER,      Both, &l.admin,     &s.group_admin,   GroupAdmin::subscription)
        .blocking (Code::QUERY_CONSUME_TIME_SPAN,             Both, &l.admin,     &s.progress_admin, ProgressAdmin::time_span)
        .blocking (Code::CLONE_GROUP_OFFSET,                  Both, &l.admin,     &s.progress_admin, ProgressAdmin::clone_offsets)
        // Connections, configuration, state.
        .on       (Code::GET_CONSUMER_CONNECTION_LIST,        Both, &l.admin,     &s.client_admin,  ClientAdmin::consumers)
        .on       (Code::GET_PRODUCER_CONNECTION_LIST,        Both, &l.admin,     &s.client_admin,  ClientAdmin::producers)
        .on       (Code::GET_BROKER_CONFIG,                   Both, &l.admin,     &s.config_admin,  ConfigAdmin::get)
        .blocking (Code::UPDATE_BROKER_CONFIG,                Both, &l.admin,     &s.config_admin,  ConfigAdmin::update)
        .blocking (Code::GET_BROKER_RUNTIME_INFO,             Both, &l.admin,     &s.runtime_admin, RuntimeAdmin::info)
        .on       (Code::DELETE_EXPIRED_COMMITLOG,            Both, &l.admin,     &s.runtime_admin, RuntimeAdmin::delete_expired_files)
        .on       (Code::GET_ALL_DELAY_OFFSET,                Both, &l.admin,     &s.runtime_admin, RuntimeAdmin::delay_offsets)
        // What Java answers and this broker does not yet: refused with the reason, so that nobody waits for an effect.
        .refuse   (Code::UPDATE_AND_CREATE_TOPIC_LIST,              "this administration command is not supported yet")
        .refuse   (Code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,  "this administration command is not supported yet")
        .refuse   (Code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER,         "this administration command is not supported yet")
        .refuse   (Code::CLEAN_EXPIRED_CONSUMEQUEUE,                "this administration command is not supported yet")
        .refuse   (Code::VIEW_BROKER_STATS_DATA,                    "this administration command is not supported yet")
        .refuse   (Code::CLEAN_UNUSED_TOPIC,                        "this administration command is not supported yet")
        .refuse   (Code::GET_BROKER_CONSUME_STATS,                  "this administration command is not supported yet")
        .refuse   (Code::QUERY_CONSUME_QUEUE,                       "this administration command is not supported yet")
        .refuse   (Code::GET_ALL_PRODUCER_INFO,                     "this administration command is not supported yet")
        .refuse   (Code::GET_TIMER_CHECK_POINT,                     "timer messages are not supported yet")
        .refuse   (Code::GET_TIMER_METRICS,                         "timer messages are not supported yet")
        .refuse   (Code::RECALL_MESSAGE,                            "timer messages are not supported yet")
        .refuse   (Code::SWITCH_TIMER_ENGINE,                       "timer messages are not supported yet")
        .refuse   (Code::CHECK_ROCKSDB_CQ_WRITE_PROGRESS,           "there is no RocksDB store here")
        .refuse   (Code::EXPORT_ROCKSDB_CONFIG_TO_JSON,             "there is no RocksDB store here")
        .refuse   (Code::UPDATE_AND_CREATE_STATIC_TOPIC,            "static topics are not supported yet")
        .refuse   (Code::NOTIFY_MIN_BROKER_ID_CHANGE,               "there are no slaves yet")
        .refuse   (Code::EXCHANGE_BROKER_HA_INFO,                   "there are no slaves yet")
        .refuse   (Code::GET_BROKER_HA_STATUS,                      "there are no slaves yet")
        .refuse   (Code::RESET_MASTER_FLUSH_OFFSET,                 "there are no slaves yet")
        .refuse   (Code::GET_BROKER_EPOCH_CACHE,                    "there are no slaves yet")
        .refuse   (Code::NOTIFY_BROKER_ROLE_CHANGED,                "there are no slaves yet")
        .refuse   (Code::UPDATE_COLD_DATA_FLOW_CTR_CONFIG,          "cold data flow control is not supported yet")
        .refuse   (Code::REMOVE_COLD_DATA_FLOW_CTR_CONFIG,          "cold data flow control is not supported yet")
        .refuse   (Code::GET_COLD_DATA_FLOW_CTR_INFO,               "cold data flow control is not supported yet")
        .refuse   (Code::SET_COMMITLOG_READ_MODE,                   "cold data flow control is not supported yet")
        .refuse   (Code::AUTH_CREATE_USER,                          "users and ACLs are not supported yet")
        .refuse   (Code::AUTH_UPDATE_USER,                          "users and ACLs are not supported yet")
        .refuse   (Code::AUTH_DELETE_USER,                          "users and ACLs are not supported yet")
        .refuse   (Code::AUTH_GET_USER,                             "users and ACLs are not supported yet")
        .refuse   (Code::AUTH_LIST_USER,                            "users and ACLs are not supported yet")
        .refuse   (Code::AUTH_CREATE_ACL,                           "users and ACLs are not supported yet")
        .refuse   (Code::AUTH_UPDATE_ACL,                           "users and ACLs are not supported yet")
        .refuse   (Code::AUTH_DELETE_ACL,                           "users and ACLs are not supported yet")
        .refuse   (Code::AUTH_GET_ACL,                              "users and ACLs are not supported yet")
        .refuse   (Code::AUTH_LIST_ACL,                             "users and ACLs are not supported yet")
        .refuse   (Code::POP_MESSAGE,                               "POP consumption is not supported yet")
        .refuse   (Code::ACK_MESSAGE,                               "POP consumption is not supported yet")
        .refuse   (Code::PEEK_MESSAGE,                              "POP consumption is not supported yet")
        .refuse   (Code::CHANGE_MESSAGE_INVISIBLETIME,              "POP consumption is not supported yet")
        .refuse   (Code::NOTIFICATION,                              "POP consumption is not supported yet")
        .refuse   (Code::POLLING_INFO,                              "POP consumption is not supported yet")
        .refuse   (Code::POP_ROLLBACK,                              "POP consumption is not supported yet")
        .refuse   (Code::BATCH_ACK_MESSAGE,                         "POP consumption is not supported yet")
        .refuse   (Code::POP_LITE_MESSAGE,                          "lite topics are not supported yet")
        .refuse   (Code::LITE_SUBSCRIPTION_CTL,                     "lite topics are not supported yet")
        .refuse   (Code::GET_BROKER_LITE_INFO,                      "lite topics are not supported yet")
        .refuse   (Code::GET_PARENT_TOPIC_INFO,                     "lite topics are not supported yet")
        .refuse   (Code::GET_LITE_TOPIC_INFO,                       "lite topics are not supported yet")
        .refuse   (Code::GET_LITE_CLIENT_INFO,                      "lite topics are not supported yet")
        .refuse   (Code::GET_LITE_GROUP_INFO,                       "lite topics are not supported yet")
        .refuse   (Code::TRIGGER_LITE_DISPATCH,                     "lite topics are not supported yet")
}
