//! What administrators ask of clients through the broker (`AdminBrokerProcessor.callConsumer`, `Broker2Client`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use raptormq_base::java;
use raptormq_message::parse_offset_msg_id;
use raptormq_remoting::{Answer, CallError, Refusal, Reply, Request, later};
use raptormq_store::Store;
use raptormq_wire::body::{GetConsumerStatusBody, MessageQueue};
use raptormq_wire::header::{
    ConsumeMessageDirectlyResultRequestHeader, GetConsumerRunningInfoRequestHeader,
    GetConsumerStatusRequestHeader,
};
use raptormq_wire::{ExtFields, RemotingCommand, RequestCode, ResponseCode, json};

use super::body;
use super::send::auto_create_group;
use crate::config::LiveConfig;
use crate::tables::consumers::ConsumerTable;
use crate::tables::groups::GroupTable;
use crate::tables::producers::ClientChannel;
use crate::tables::topics::TopicTable;

/// How long a client may take to answer (`Broker2Client.callClient`).
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to tell its offsets.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// Ordinal of `MQVersion.V3_0_7_SNAPSHOT`, since which clients can be told offsets and asked for theirs.
pub(super) const V3_0_7: i32 = 28;
/// Ordinal of `MQVersion.V3_1_8_SNAPSHOT`, since which clients tell about themselves and consume on demand.
const V3_1_8: i32 = 62;

/// Passes requests on to consumers.
pub struct CallService {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// Topics, for their flags.
    pub topics: Arc<TopicTable>,
    /// Groups, for theirs.
    pub groups: Arc<GroupTable>,
    /// Whom to ask.
    pub consumers: Arc<ConsumerTable>,
    /// The messages that clients consume on demand.
    pub store: Store,
}

impl CallService {
    /// GET_CONSUMER_RUNNING_INFO: what the client answers, with the stacks of its threads if they are asked for.
    pub fn running_info(self: &Arc<Self>, request: Request) -> Reply {
        let header: GetConsumerRunningInfoRequestHeader = match request.header() {
            Ok(header) => header,
            Err(refusal) => return Err(refusal).into(),
        };
        let call = RemotingCommand::request(RequestCode::GET_CONSUMER_RUNNING_INFO);
        let service = self.clone();
        later(async move {
            let ext = request.command.ext.clone();
            service.pass_on(&request, call, ext, header.consumer_group, header.client_id).await
        })
    }

    /// CONSUME_MESSAGE_DIRECTLY: the client is handed one message, whatever its offsets, and tells the outcome.
    pub fn consume_directly(self: &Arc<Self>, request: Request) -> Reply {
        let header: ConsumeMessageDirectlyResultRequestHeader = match request.header() {
            Ok(header) => header,
            Err(refusal) => return Err(refusal).into(),
        };
        let broker = self.live.broker();
        let mut ext = request.command.ext.clone();
        ext.insert("brokerName", &broker.broker_name);
        let named = |name: &&String| !name.is_empty();
        if let Some(topic) = header.topic.as_ref().filter(named).and_then(|t| self.topics.get(t)) {
            ext.insert_int("topicSysFlag", topic.topic_sys_flag.into());
        }
        let group = Some(&header.consumer_group).filter(named);
        let auto = auto_create_group(&broker, &header.consumer_group);
        if let Some(group) = group.and_then(|group| self.groups.find(group, auto)) {
            ext.insert_int("groupSysFlag", group.group_sys_flag.into());
        }
        let service = self.clone();
        later(async move {
            let (reader, id) = (service.clone(), header.msg_id.unwrap_or_default());
            let message = tokio::task::spawn_blocking(move || reader.message(&id)).await;
            let message = message.unwrap_or_else(|_| Err(Refusal::system_error("the handler failed")))?;
            let call = RemotingCommand::request(RequestCode::CONSUME_MESSAGE_DIRECTLY).with_body(message);
            let client_id = header.client_id.unwrap_or_else(|| "null".to_owned());
            service.pass_on(&request, call, ext, header.consumer_group, client_id).await
        })
    }

    /// The record that a message id names. Blocks. Java fails with an exception's text where there is none.
    fn message(&self, id: &str) -> Result<bytes::Bytes, Refusal> {
        let (_, offset) = parse_offset_msg_id(id)
            .map_err(|_| Refusal::system_error(format!("the message id {id} is illegal")))?;
        let record = self.store.record_at(offset);
        record.ok_or_else(|| Refusal::system_error(format!("can not find message by the offset, {offset}")))
    }

    async fn pass_on(
        &self,
        request: &Request,
        mut call: RemotingCommand,
        ext: ExtFields,
        group: String,
        client_id: String,
    ) -> Answer {
        let Some(client) = self.consumers.find(&group, &client_id) else {
            let remark = format!("The Consumer <{group}> <{client_id}> not online");
            return Err(Refusal::system_error(remark));
        };
        if client.version < V3_1_8 {
            let version = version_name(client.version);
            let remark = format!(
                "The Consumer <{client_id}> Version <{version}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT"
            );
            return Err(Refusal::system_error(remark));
        }
        tracing::info!(group, client_id, code = call.code, by = %request.peer.remote(), "asking a consumer");
        call.ext = ext;
        let answer = client.peer.call(call, CALL_TIMEOUT).await;
        answer.map_err(|error| not_answered(&group, &client_id, &error))
    }

    /// INVOKE_BROKER_TO_GET_CONSUMER_STATUS: the offsets that each online client of a group, or one of them, has in
    /// memory for a topic. A client that does not answer is left out.
    pub fn consumer_status(self: &Arc<Self>, request: Request) -> Reply {
        let header: GetConsumerStatusRequestHeader = match request.header() {
            Ok(header) => header,
            Err(refusal) => return Err(refusal).into(),
        };
        let asked = header.client_addr.as_deref().filter(|id| !java::is_blank(id));
        let clients = match self.clients(&header.group, asked) {
            Ok(clients) => clients,
            Err(refusal) => return Err(refusal).into(),
        };
        let question = GetConsumerStatusRequestHeader { client_addr: None, ..header.clone() };
        later(async move {
            let asking = clients.into_iter().map(|client| async {
                let table = offsets_of(&client, &question).await?;
                Some((client.client_id, table))
            });
            let consumer_table = join_all(asking).await.into_iter().flatten().collect();
            let answer = GetConsumerStatusBody { consumer_table, ..Default::default() };
            Ok(without_remark().with_body(json::to_vec(&answer)))
        })
    }

    fn clients(&self, group: &str, asked: Option<&str>) -> Result<Vec<ClientChannel>, Refusal> {
        let online = self.consumers.group(group).map(|g| g.channels).unwrap_or_default();
        if online.is_empty() {
            let remark = format!("No Any Consumer online in the consumer group: [{group}]");
            return Err(Refusal::system_error(remark));
        }
        for client in online.values() {
            check_version(client)?;
        }
        Ok(online.into_values().filter(|client| asked.is_none_or(|id| id == client.client_id)).collect())
    }
}

/// A success whose remark Java leaves as it is before there is one.
pub(super) fn without_remark() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SUCCESS, Some("not set any response code".to_owned()))
}

async fn offsets_of(
    client: &ClientChannel,
    question: &GetConsumerStatusRequestHeader,
) -> Option<BTreeMap<MessageQueue, i64>> {
    let question =
        RemotingCommand::request(RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT).with_header(question);
    match client.peer.call(question, STATUS_TIMEOUT).await {
        Ok(answer) if answer.code == ResponseCode::SUCCESS.0 && !answer.body.is_empty() => {
            let table = body::<GetConsumerStatusBody>(&answer);
            table.map(|body| body.message_queue_table).ok()
        }
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(client = client.client_id, %error, "a consumer did not tell its offsets");
            None
        }
    }
}

/// Refuses a client that is too old to be told or asked about offsets.
pub(super) fn check_version(client: &ClientChannel) -> Result<(), Refusal> {
    if client.version >= V3_0_7 {
        return Ok(());
    }
    let version = version_name(client.version);
    Err(Refusal::system_error(format!("the client does not support this feature. version={version}")))
}

/// Java's answers where its call ends in an exception.
fn not_answered(group: &str, client_id: &str, error: &CallError) -> Refusal {
    let package = "org.apache.rocketmq.remoting.exception";
    match error {
        CallError::Timeout(address, limit) => {
            let ms = limit.as_millis();
            let remark = format!(
                "consumer <{group}> <{client_id}> Timeout: {package}.RemotingTimeoutException: wait response on the channel </{address}> timeout, {ms}(ms)"
            );
            Refusal::new(ResponseCode::CONSUME_MSG_TIMEOUT, remark)
        }
        CallError::Send(_) | CallError::Connect(_) => Refusal::system_error(format!(
            "invoke consumer <{group}> <{client_id}> Exception: {package}.RemotingSendRequestException: {error}"
        )),
    }
}

/// The name of a version before 3.1.8 by its ordinal (`MQVersion.getVersionDesc`).
fn version_name(ordinal: i32) -> String {
    const FIRST: [&str; 16] = [
        "SNAPSHOT",
        "ALPHA1",
        "BETA1",
        "BETA2",
        "BETA3",
        "BETA4",
        "BETA5",
        "BETA6_SNAPSHOT",
        "BETA6",
        "BETA7_SNAPSHOT",
        "BETA7",
        "BETA8_SNAPSHOT",
        "BETA8",
        "BETA9_SNAPSHOT",
        "BETA9",
        "FINAL",
    ];
    let snapshot = if ordinal % 2 == 0 { "_SNAPSHOT" } else { "" };
    match ordinal {
        0..16 => format!("V3_0_0_{}", FIRST[ordinal as usize]),
        16..46 => format!("V3_0_{}{snapshot}", (ordinal - 16) / 2 + 1),
        46.. => format!("V3_1_{}{snapshot}", (ordinal - 46) / 2),
        _ => ordinal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_have_javas_names() {
        let names: Vec<String> =
            [0, 7, 15, 16, 27, 28, 45, 46, 61, 62].into_iter().map(version_name).collect();
        let expected = [
            "V3_0_0_SNAPSHOT",
            "V3_0_0_BETA6_SNAPSHOT",
            "V3_0_0_FINAL",
            "V3_0_1_SNAPSHOT",
            "V3_0_6",
            "V3_0_7_SNAPSHOT",
            "V3_0_15",
            "V3_1_0_SNAPSHOT",
            "V3_1_7",
            "V3_1_8_SNAPSHOT",
        ];
        assert_eq!(names, expected);
        assert_eq!(version_name(-3), "-3");
    }
}
