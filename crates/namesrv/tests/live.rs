//! A running name server: what a conversation on one connection does not show.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use raptormq_base::clock::SystemClock;
use raptormq_base::config::Host;
use raptormq_namesrv::{Namesrv, StartError, load};
use raptormq_wire::body::{RegisterBrokerBody, TopicConfig};
use raptormq_wire::header::{NotifyMinBrokerIdChangeRequestHeader, RegisterBrokerRequestHeader};
use raptormq_wire::{RemotingCommand, RequestCode, ResponseCode, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn start(dir: &Path, conf: &str) -> Result<Namesrv, StartError> {
    let file = dir.join("namesrv.conf");
    std::fs::write(&file, format!("listenPort=0\nbindAddress=127.0.0.1\n{conf}")).unwrap();
    let host = Host {
        user_home: dir.display().to_string(),
        rocketmq_home: Some("/rmq".into()),
        namesrv_addr: None,
        hostname: "box".into(),
        local_address: "127.0.0.1".into(),
        cpus: 2,
    };
    Namesrv::start(load(&host, Some(&file), false).unwrap(), Arc::new(SystemClock::new())).await
}

async fn read(stream: &mut TcpStream) -> RemotingCommand {
    let mut buf = BytesMut::new();
    loop {
        if let Some(frame) = frame::split(&mut buf, frame::DEFAULT_MAX_LEN).unwrap() {
            return frame::decode(frame).unwrap();
        }
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_buf(&mut buf)).await;
        assert_ne!(read.expect("a frame in time").unwrap(), 0, "closed");
    }
}

async fn call(stream: &mut TcpStream, request: RemotingCommand) -> RemotingCommand {
    stream.write_all(&frame::encode(&request)).await.unwrap();
    read(stream).await
}

fn registration(id: i64, addr: &str) -> RemotingCommand {
    let mut body = RegisterBrokerBody::default();
    for name in ["t1", "t2"] {
        let topic = TopicConfig { topic_name: name.into(), ..Default::default() };
        body.topic_config_serialize_wrapper.topic_config_table.insert(name.into(), topic);
    }
    let header = RegisterBrokerRequestHeader {
        broker_name: "a".into(),
        broker_addr: addr.into(),
        cluster_name: "c".into(),
        ha_server_addr: format!("{addr}0"),
        broker_id: id,
        enable_acting_master: Some(true),
        ..Default::default()
    };
    RemotingCommand::request(RequestCode::REGISTER_BROKER).with_header(&header).with_body(body.encode(false))
}

fn route(topic: &str) -> RemotingCommand {
    let mut request = RemotingCommand::request(RequestCode::GET_ROUTEINFO_BY_TOPIC);
    request.ext.insert("topic", topic);
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_wait_for_the_brokers_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let namesrv = start(dir.path(), "needWaitForService=true\nwaitSecondsForService=2").await.unwrap();
    let mut stream = TcpStream::connect(namesrv.local()).await.unwrap();
    assert_eq!(call(&mut stream, registration(0, "127.0.0.1:1")).await.code, 0);
    let early = call(&mut stream, route("t1")).await;
    assert_eq!((early.code, early.remark.as_deref()), (1, Some("name server not ready")));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(call(&mut stream, route("t1")).await.code, ResponseCode::SUCCESS.0);
    namesrv.stop(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_are_told_of_the_lowest_id() {
    let dir = tempfile::tempdir().unwrap();
    let namesrv = start(dir.path(), "notifyMinBrokerIdChanged=true").await.unwrap();
    let slave = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slave_addr = slave.local_addr().unwrap().to_string();
    let mut slave_conn = TcpStream::connect(namesrv.local()).await.unwrap();
    let mut master_conn = TcpStream::connect(namesrv.local()).await.unwrap();
    assert_eq!(call(&mut slave_conn, registration(1, &slave_addr)).await.code, 0);
    assert_eq!(call(&mut master_conn, registration(0, "127.0.0.1:9")).await.code, 0);

    let (mut told, _) = slave.accept().await.unwrap();
    let told_of = |request: &RemotingCommand| {
        assert_eq!(request.code, RequestCode::NOTIFY_MIN_BROKER_ID_CHANGE.0);
        assert!(request.is_oneway());
        request.header::<NotifyMinBrokerIdChangeRequestHeader>().unwrap()
    };
    let came = told_of(&read(&mut told).await);
    assert_eq!((came.min_broker_id, came.min_broker_addr.as_deref()), (Some(0), Some("127.0.0.1:9")));
    assert_eq!((came.ha_broker_addr.as_deref(), came.offline_broker_addr), (Some("127.0.0.1:90"), None));

    drop(master_conn);
    let left = told_of(&read(&mut told).await);
    assert_eq!((left.min_broker_id, left.min_broker_addr), (Some(1), Some(slave_addr)));
    assert_eq!(left.offline_broker_addr.as_deref(), Some("127.0.0.1:9"));
    namesrv.stop(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_survives_a_restart_and_a_damaged_file_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    let keyed = |code: RequestCode| {
        let mut request = RemotingCommand::request(code);
        for (name, value) in [("namespace", "n"), ("key", "k"), ("value", "v")] {
            request.ext.insert(name, value);
        }
        request
    };
    let namesrv = start(dir.path(), "").await.unwrap();
    let mut stream = TcpStream::connect(namesrv.local()).await.unwrap();
    assert_eq!(call(&mut stream, keyed(RequestCode::PUT_KV_CONFIG)).await.code, 0);
    namesrv.stop(Duration::from_secs(3)).await;

    let namesrv = start(dir.path(), "").await.unwrap();
    let mut stream = TcpStream::connect(namesrv.local()).await.unwrap();
    let answer = call(&mut stream, keyed(RequestCode::GET_KV_CONFIG)).await;
    assert_eq!(answer.ext.get("value"), Some("v"));
    namesrv.stop(Duration::from_secs(3)).await;

    std::fs::write(dir.path().join("namesrv/kvConfig.json"), "{").unwrap();
    assert!(matches!(start(dir.path(), "").await, Err(StartError::Kv(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_or_a_port_that_is_none_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let holder = std::net::TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let conf = format!("listenPort={taken}");
    assert!(matches!(start(dir.path(), &conf).await, Err(StartError::Listen(_))));
    drop(holder);
    assert!(matches!(start(dir.path(), "listenPort=70000").await, Err(StartError::Address(_, 70000))));
    assert!(matches!(start(dir.path(), "bindAddress=no such host").await, Err(StartError::Address(..))));
}
