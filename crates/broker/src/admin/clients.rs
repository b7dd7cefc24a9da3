//! Who is connected.

use std::sync::Arc;

use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_wire::body::{Connection, ConsumerConnection, ProducerConnection};
use raptormq_wire::header::{GetConsumerConnectionListRequestHeader, GetProducerConnectionListRequestHeader};
use raptormq_wire::{ResponseCode, json};

use crate::service::success;
use crate::tables::consumers::ConsumerTable;
use crate::tables::producers::{ClientChannel, ProducerTable};

/// Lists connections.
pub struct ClientAdmin {
    /// Consumers.
    pub consumers: Arc<ConsumerTable>,
    /// Producers.
    pub producers: Arc<ProducerTable>,
}

impl ClientAdmin {
    /// GET_CONSUMER_CONNECTION_LIST.
    pub fn consumers(&self, request: &Request) -> Answer {
        let header: GetConsumerConnectionListRequestHeader = request.header()?;
        let Some(group) = self.consumers.group(&header.consumer_group) else {
            let remark = format!("the consumer group[{}] not online", header.consumer_group);
            return Err(Refusal::new(ResponseCode::CONSUMER_NOT_ONLINE, remark));
        };
        let subscriptions = group.subscriptions.iter();
        let list = ConsumerConnection {
            connection_set: group.channels.values().map(connection).collect(),
            consume_from_where: Some(group.consume_from_where),
            consume_type: Some(group.consume_type),
            message_model: Some(group.message_model),
            subscription_table: subscriptions.map(|(topic, s)| (topic.clone(), (**s).clone())).collect(),
        };
        Ok(success().with_body(json::to_vec(&list)))
    }

    /// GET_PRODUCER_CONNECTION_LIST.
    pub fn producers(&self, request: &Request) -> Answer {
        let header: GetProducerConnectionListRequestHeader = request.header()?;
        let Some(channels) = self.producers.of(&header.producer_group) else {
            let remark = format!("the producer group[{}] not exist", header.producer_group);
            return Err(Refusal::system_error(remark));
        };
        let list = ProducerConnection { connection_set: channels.iter().map(connection).collect() };
        Ok(success().with_body(json::to_vec(&list)))
    }
}

fn connection(channel: &ClientChannel) -> Connection {
    Connection {
        client_addr: channel.peer.remote().to_string(),
        client_id: channel.client_id.clone(),
        language: channel.language,
        version: channel.version,
    }
}
