//! What brokers send, and what is asked about them.

use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_wire::body::{
    DataVersion, GetBrokerMemberGroupResponseBody, RegisterBrokerBody, TopicConfigSerializeWrapper,
};
use raptormq_wire::header::{
    AddWritePermOfBrokerRequestHeader, AddWritePermOfBrokerResponseHeader, BrokerHeartbeatRequestHeader,
    GetBrokerMemberGroupRequestHeader, QueryDataVersionRequestHeader, QueryDataVersionResponseHeader,
    RegisterBrokerRequestHeader, RegisterBrokerResponseHeader, UnRegisterBrokerRequestHeader,
    WipeWritePermOfBrokerRequestHeader, WipeWritePermOfBrokerResponseHeader,
};
use raptormq_wire::{RemotingCommand, ResponseCode, json};

use super::{ok, ok_with, unreadable};
use crate::kv::NAMESPACE_ORDER_TOPIC_CONFIG;
use crate::registry::{BrokerAddr, Departure, Registration};
use crate::service::Service;

/// The ordinal of `V3_0_11`: older brokers send the topic table alone.
const V3_0_11: i32 = 37;

/// REGISTER_BROKER: a broker with all its topics.
pub fn register(service: &Service, request: &Request) -> Answer {
    let header: RegisterBrokerRequestHeader = request.header()?;
    let body = request.command.body.to_bytes();
    let expected = header.body_crc32.unwrap_or(0);
    if expected != 0 && expected != crc32(&body) {
        tracing::warn!(from = %request.peer.remote(), "registration with a wrong crc32");
        return Err(Refusal::system_error("crc32 not match"));
    }
    let (table, filter_servers) = decode(&request.command, &body, header.compressed)?;
    let registration = Registration {
        broker: BrokerAddr { cluster: header.cluster_name, addr: header.broker_addr },
        name: header.broker_name,
        id: header.broker_id,
        ha_addr: header.ha_server_addr,
        zone: request.command.ext.get("__ZONE_NAME").map(str::to_owned),
        timeout_ms: header.heartbeat_timeout_millis,
        acting_master: header.enable_acting_master,
        version: table.topic_config_serialize_wrapper.data_version,
        topics: table.topic_config_serialize_wrapper.topic_config_table,
        mappings: table.topic_config_serialize_wrapper.topic_queue_mapping_info_map,
        filter_servers,
        connection: request.peer.id(),
    };
    let settings = service.config.settings();
    let registered = service.registry.write().register(registration, service.now_ms(), settings.registry());
    let Ok((registered, effects)) = registered else {
        return Err(Refusal::system_error("register broker failed"));
    };
    service.remember(&request.peer);
    service.carry_out(effects);
    let response =
        RemotingCommand::response(ResponseCode::SUCCESS, None).with_header(&RegisterBrokerResponseHeader {
            ha_server_addr: registered.ha_addr,
            master_addr: registered.master_addr,
        });
    let order = settings.return_order_config.then(|| service.kv.list(NAMESPACE_ORDER_TOPIC_CONFIG)).flatten();
    Ok(match order {
        Some(table) => response.with_body(table),
        None => response,
    })
}

fn decode(
    command: &RemotingCommand,
    body: &[u8],
    compressed: bool,
) -> Result<(RegisterBrokerBody, Option<Vec<String>>), Refusal> {
    if command.version < V3_0_11 {
        let mut table = RegisterBrokerBody::default();
        if !body.is_empty() {
            let alone: TopicConfigSerializeWrapper = json::from_slice(body).map_err(unreadable)?;
            table.topic_config_serialize_wrapper.data_version = alone.data_version;
            table.topic_config_serialize_wrapper.topic_config_table = alone.topic_config_table;
        }
        return Ok((table, None));
    }
    if body.is_empty() {
        return Ok((RegisterBrokerBody::default(), Some(Vec::new())));
    }
    let mut table = RegisterBrokerBody::decode(body, compressed, command.version)
        .map_err(|error| Refusal::system_error(format!("Failed to decode RegisterBrokerBody: {error}")))?;
    let filter_servers = std::mem::take(&mut table.filter_server_list);
    Ok((table, Some(filter_servers)))
}

/// `UtilAll.crc32`: CRC-32 without its sign bit.
fn crc32(bytes: &[u8]) -> i32 {
    (crc32fast::hash(bytes) & 0x7FFF_FFFF) as i32
}

/// UNREGISTER_BROKER: queued, and answered before it is done, as in Java.
pub fn unregister(service: &Service, request: &Request) -> Answer {
    let header: UnRegisterBrokerRequestHeader = request.header()?;
    let departure = Departure {
        broker: BrokerAddr { cluster: header.cluster_name, addr: header.broker_addr },
        name: header.broker_name,
        id: header.broker_id,
        only_if: None,
    };
    if service.depart(departure).is_err() {
        tracing::warn!(from = %request.peer.remote(), "the queue of unregistrations is full");
        return Ok(RemotingCommand::response(ResponseCode::SYSTEM_ERROR, None));
    }
    ok()
}

/// BROKER_HEARTBEAT: alive, nothing new.
pub fn heartbeat(service: &Service, request: &Request) -> Answer {
    let header: BrokerHeartbeatRequestHeader = request.header()?;
    let broker = BrokerAddr { cluster: header.cluster_name, addr: header.broker_addr };
    service.registry.write().touch(&broker, service.now_ms());
    ok()
}

/// QUERY_DATA_VERSION: alive, and is my topic table known?
pub fn query_data_version(service: &Service, request: &Request) -> Answer {
    let header: QueryDataVersionRequestHeader = request.header()?;
    let body = request.command.body.to_bytes();
    let theirs: Option<DataVersion> = match &body[..] {
        [] => None,
        body => Some(json::from_slice(body).map_err(unreadable)?),
    };
    let broker = BrokerAddr { cluster: header.cluster_name, addr: header.broker_addr };
    let known = {
        let mut registry = service.registry.write();
        registry.touch(&broker, service.now_ms());
        registry.version_of(&broker).cloned()
    };
    let changed = known.is_none() || known != theirs;
    let response = RemotingCommand::response(ResponseCode::SUCCESS, None)
        .with_header(&QueryDataVersionResponseHeader { changed });
    Ok(match known {
        Some(version) => response.with_body(json::to_vec(&version)),
        None => response,
    })
}

/// GET_BROKER_MEMBER_GROUP: the addresses of a broker name.
pub fn member_group(service: &Service, request: &Request) -> Answer {
    let header: GetBrokerMemberGroupRequestHeader = request.header()?;
    let group = service.registry.read().member_group(&header.cluster_name, &header.broker_name);
    let body = json::to_vec(&GetBrokerMemberGroupResponseBody { broker_member_group: Some(group) });
    // Java forgets to clear the remark that its responses start with.
    let remark = Some("not set any response code".to_owned());
    Ok(RemotingCommand::response(ResponseCode::SUCCESS, remark).with_body(body))
}

/// GET_BROKER_CLUSTER_INFO: all brokers.
pub fn cluster_info(service: &Service, _: &Request) -> Answer {
    let info = service.registry.read().cluster_info();
    ok_with(json::to_vec(&info))
}

/// WIPE_WRITE_PERM_OF_BROKER: no more sends to a broker name.
pub fn wipe_write_perm(service: &Service, request: &Request) -> Answer {
    let header: WipeWritePermOfBrokerRequestHeader = request.header()?;
    let count = service.registry.write().set_writable(&header.broker_name, false);
    tracing::info!(broker = %header.broker_name, from = %request.peer.remote(), count, "write permission taken");
    Ok(RemotingCommand::response(ResponseCode::SUCCESS, None)
        .with_header(&WipeWritePermOfBrokerResponseHeader { wipe_topic_count: count }))
}

/// ADD_WRITE_PERM_OF_BROKER: sends to a broker name again.
pub fn add_write_perm(service: &Service, request: &Request) -> Answer {
    let header: AddWritePermOfBrokerRequestHeader = request.header()?;
    let count = service.registry.write().set_writable(&header.broker_name, true);
    tracing::info!(broker = %header.broker_name, from = %request.peer.remote(), count, "write permission given");
    Ok(RemotingCommand::response(ResponseCode::SUCCESS, None)
        .with_header(&AddWritePermOfBrokerResponseHeader { add_topic_count: count }))
}
