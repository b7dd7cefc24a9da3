//! Over real loopback sockets: what a peer sees of the server, and the server of a misbehaving peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use raptormq_wire::{RemotingCommand, RequestCode, ResponseCode, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Answer, Client, Lane, Limits, Ports, Reply, Request, RouteTable, Server, held, later};

const ECHO: RequestCode = RequestCode(900_001);
const SLOW: RequestCode = RequestCode(900_002);
const PANIC: RequestCode = RequestCode(900_003);
const BACK: RequestCode = RequestCode(900_004);
const ASK: RequestCode = RequestCode(900_005);
const BIG: RequestCode = RequestCode(900_006);
const NARROW: RequestCode = RequestCode(900_007);
const WORK: RequestCode = RequestCode(900_010);
const HELD: RequestCode = RequestCode(900_009);

#[derive(Default)]
struct Service {
    handled: AtomicUsize,
}

impl Service {
    fn echo(&self, request: &Request) -> Answer {
        self.handled.fetch_add(1, Ordering::SeqCst);
        Ok(RemotingCommand::response(ResponseCode::SUCCESS, None).with_body(request.command.body.to_bytes()))
    }

    fn panic(&self, _: &Request) -> Answer {
        panic!("on purpose")
    }

    fn big(&self, _: &Request) -> Answer {
        self.handled.fetch_add(1, Ordering::SeqCst);
        Ok(RemotingCommand::response(ResponseCode::SUCCESS, None).with_body(Bytes::from(vec![7; 1 << 20])))
    }

    fn slow(self: &Arc<Self>, request: Request) -> Reply {
        let service = self.clone();
        later(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            service.echo(&request)
        })
    }

    /// Keeps its thread for a while.
    fn work(&self, _: &Request) -> Answer {
        std::thread::sleep(Duration::from_millis(5));
        Ok(RemotingCommand::response(ResponseCode::SUCCESS, None))
    }

    /// Waits for something that is not its own work.
    fn held(self: &Arc<Self>, request: Request) -> Reply {
        let service = self.clone();
        held(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            service.echo(&request).unwrap()
        })
    }

    /// Calls the client back on the connection of its request and answers with what the client said.
    fn back(self: &Arc<Self>, request: Request) -> Reply {
        later(async move {
            let answer = request.peer.call(RemotingCommand::request(ASK), Duration::from_secs(2)).await;
            let body = answer.map_or_else(|e| Bytes::from(e.to_string()), |a| a.body.to_bytes());
            Ok(RemotingCommand::response(ResponseCode::SUCCESS, None).with_body(body))
        })
    }

    fn asked(&self, _: &Request) -> Answer {
        Ok(RemotingCommand::response(ResponseCode::SUCCESS, None)
            .with_body(Bytes::from_static(b"from the client")))
    }
}

struct Fixture {
    server: Server,
    service: Arc<Service>,
    closed: Arc<AtomicUsize>,
}

fn start(limits: Limits, fast_port: bool) -> Fixture {
    let service = Arc::new(Service::default());
    let lane = Lane::new("test", 1000);
    let narrow = Lane::new("narrow", 1);
    let routes = RouteTable::new()
        .on(ECHO, Ports::Both, &lane, &service, Service::echo)
        .on(PANIC, Ports::Both, &lane, &service, Service::panic)
        .on(BIG, Ports::Main, &lane, &service, Service::big)
        .two_stage(SLOW, Ports::Both, &lane, &service, Service::slow)
        .two_stage(NARROW, Ports::Both, &narrow, &service, Service::slow)
        .on(WORK, Ports::Both, &lane, &service, Service::work)
        .two_stage(HELD, Ports::Both, &narrow, &service, Service::held)
        .two_stage(BACK, Ports::Both, &lane, &service, Service::back)
        .refuse(RequestCode(900_008), "no such feature");
    let closed = Arc::new(AtomicUsize::new(0));
    let counter = closed.clone();
    let on_close = Arc::new(move |_: &Arc<crate::Peer>| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(address, Arc::new(routes), fast_port, limits, on_close).unwrap();
    Fixture { server, service, closed }
}

fn client() -> Client {
    let service = Arc::new(Service::default());
    let routes = RouteTable::new().on(ASK, Ports::Both, &Lane::new("ask", 10), &service, Service::asked);
    Client::new(Arc::new(routes), Limits::default(), Duration::from_secs(1))
}

fn request(code: RequestCode, body: &'static str) -> RemotingCommand {
    RemotingCommand::request(code).with_body(Bytes::from_static(body.as_bytes()))
}

async fn call(fixture: &Fixture, code: RequestCode, body: &'static str) -> RemotingCommand {
    let address = fixture.server.local().to_string();
    client().call(&address, request(code, body), Duration::from_secs(3)).await.unwrap()
}

#[tokio::test]
async fn answers_and_refusals_reach_the_caller() {
    let fixture = start(Limits::default(), false);
    assert_eq!(&call(&fixture, ECHO, "hello").await.body.to_bytes()[..], b"hello");
    assert_eq!(&call(&fixture, SLOW, "later").await.body.to_bytes()[..], b"later");
    let unknown = call(&fixture, RequestCode(12345), "").await;
    assert_eq!((unknown.code, unknown.remark.as_deref()), (3, Some(" request type 12345 not supported")));
    let refused = call(&fixture, RequestCode(900_008), "").await;
    assert_eq!(refused.remark.as_deref(), Some(" request type 900008 not supported: no such feature"));
    assert_eq!(call(&fixture, PANIC, "").await.code, 1);
    assert_eq!(&call(&fixture, ECHO, "still here").await.body.to_bytes()[..], b"still here");
}

#[tokio::test]
async fn the_fast_port_leaves_out_what_only_the_main_port_answers() {
    let main = start(Limits::default(), false);
    let fast = start(Limits::default(), true);
    assert_eq!(call(&main, BIG, "").await.code, 0);
    assert_eq!(call(&fast, BIG, "").await.code, 3);
    assert_eq!(call(&fast, ECHO, "").await.code, 0);
}

#[tokio::test]
async fn the_server_calls_the_client_on_the_clients_connection() {
    let fixture = start(Limits::default(), false);
    assert_eq!(&call(&fixture, BACK, "").await.body.to_bytes()[..], b"from the client");
}

#[tokio::test]
async fn pipelined_requests_are_answered_each_with_its_opaque_and_oneway_ones_are_not() {
    let fixture = start(Limits::default(), false);
    let mut socket = TcpStream::connect(fixture.server.local()).await.unwrap();
    let mut bytes = BytesMut::new();
    for opaque in 0..100 {
        let mut command = request(if opaque % 3 == 0 { SLOW } else { ECHO }, "x");
        command.opaque = opaque;
        if opaque % 10 == 5 {
            command.set_oneway();
        }
        bytes.extend_from_slice(&frame::encode(&command));
    }
    socket.write_all(&bytes).await.unwrap();
    let mut seen = Vec::new();
    let mut input = BytesMut::new();
    while seen.len() < 90 {
        assert!(socket.read_buf(&mut input).await.unwrap() > 0);
        while let Some(bytes) = frame::split(&mut input, 1 << 20).unwrap() {
            let response = frame::decode(bytes).unwrap();
            assert!(response.is_response());
            seen.push(response.opaque);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..100).filter(|o| o % 10 != 5).collect::<Vec<_>>());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fixture.service.handled.load(Ordering::SeqCst), 100, "oneway requests are carried out");
}

#[tokio::test]
async fn a_full_lane_answers_busy() {
    let fixture = start(Limits::default(), false);
    let client = client();
    let address = fixture.server.local().to_string();
    let timeout = Duration::from_secs(2);
    let (first, second) = tokio::join!(
        client.call(&address, request(NARROW, "1"), timeout),
        client.call(&address, request(NARROW, "2"), timeout)
    );
    let codes = [first.unwrap().code, second.unwrap().code];
    assert!(codes.contains(&0) && codes.contains(&2), "{codes:?}");
    assert_eq!(client.call(&address, request(NARROW, "3"), timeout).await.unwrap().code, 0);
}

#[tokio::test]
async fn garbage_closes_its_connection_and_nothing_else() {
    let fixture = start(Limits::default(), false);
    let rows: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0xff; 64],
        &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0, 0, 0, 8, 9, 0, 0, 4, 1, 2, 3, 4],
        &[0, 0, 0, 4, 0, 0, 0, 0],
        &[0, 0, 0, 6, 0, 0, 0, 2, b'{', b'x'],
    ];
    for (at, bytes) in rows.iter().enumerate() {
        let mut socket = TcpStream::connect(fixture.server.local()).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(2), socket.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "row {at} left the connection open");
        assert!(rest.is_empty(), "row {at}");
    }
    assert_eq!(call(&fixture, ECHO, "ok").await.code, 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_reported_once() {
    let fixture = start(Limits { idle: Duration::from_millis(200), ..Limits::default() }, false);
    let mut socket = TcpStream::connect(fixture.server.local()).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(2), socket.read_to_end(&mut rest)).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(fixture.closed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_being_read() {
    let limits = Limits { write_budget: 4 << 20, ..Limits::default() };
    let fixture = start(limits, false);
    let mut socket = TcpStream::connect(fixture.server.local()).await.unwrap();
    let one = frame::encode(&request(BIG, ""));
    let many: Vec<u8> = one.iter().copied().cycle().take(one.len() * 200).collect();
    socket.write_all(&many).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The budget, the buffers of the sockets and one answer above, though many requests came in one read.
    let answered = fixture.service.handled.load(Ordering::SeqCst);
    assert!((4..30).contains(&answered), "{answered}");
    assert_eq!(call(&fixture, ECHO, "others are served").await.code, 0);
    // Every answer still arrives once the peer reads.
    let mut left = 200;
    let mut input = BytesMut::new();
    while left > 0 {
        assert!(socket.read_buf(&mut input).await.unwrap() > 0);
        while frame::split(&mut input, 2 << 20).unwrap().is_some() {
            left -= 1;
        }
    }
}

#[tokio::test]
async fn a_client_reconnects_after_the_server_came_back_and_reports_what_failed() {
    let fixture = start(Limits::default(), false);
    let address = fixture.server.local();
    let client = client();
    let timeout = Duration::from_millis(500);
    assert!(client.call(&address.to_string(), request(ECHO, "1"), timeout).await.is_ok());
    fixture.server.stop(Duration::from_secs(1)).await;
    assert!(client.call(&address.to_string(), request(ECHO, "2"), timeout).await.is_err());
    let routes = RouteTable::new().on(ECHO, Ports::Both, &Lane::new("x", 1), &fixture.service, Service::echo);
    let on_close = Arc::new(|_: &Arc<crate::Peer>| {});
    let _again = Server::start(address, Arc::new(routes), false, Limits::default(), on_close).unwrap();
    assert!(client.call(&address.to_string(), request(ECHO, "3"), timeout).await.is_ok());
}

#[tokio::test]
async fn a_long_row_of_requests_does_not_hold_up_an_answer_that_has_become_ready() {
    let fixture = start(Limits::default(), false);
    let mut socket = TcpStream::connect(fixture.server.local()).await.unwrap();
    let mut bytes = BytesMut::new();
    for opaque in 0..100 {
        let mut command = request(if opaque == 0 { NARROW } else { WORK }, "");
        command.opaque = opaque;
        bytes.extend_from_slice(&frame::encode(&command));
    }
    assert!(bytes.len() < 16 * 1024, "a few reads at most");
    socket.write_all(&bytes).await.unwrap();
    let mut input = BytesMut::new();
    let mut order = Vec::new();
    while order.len() < 100 {
        assert!(socket.read_buf(&mut input).await.unwrap() > 0);
        while let Some(bytes) = frame::split(&mut input, 1 << 20).unwrap() {
            order.push(frame::decode(bytes).unwrap().opaque);
        }
    }
    // Ready after 50 ms, of the 500 ms that the row takes.
    let at = order.iter().position(|opaque| *opaque == 0).unwrap();
    assert!(at < 40, "{at}");
}

#[tokio::test]
async fn held_requests_leave_their_lane() {
    let fixture = start(Limits::default(), false);
    let client = client();
    let address = fixture.server.local().to_string();
    let timeout = Duration::from_secs(2);
    let held = || client.call(&address, request(HELD, "held"), timeout);
    let narrow = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.call(&address, request(NARROW, "1"), timeout).await
    };
    let (first, second, third, other) = tokio::join!(held(), held(), held(), narrow);
    assert_eq!([first, second, third, other].map(|answer| answer.unwrap().code), [0; 4]);
}

#[tokio::test]
async fn an_address_that_does_not_answer_holds_up_no_other() {
    let fixture = start(Limits::default(), false);
    // A listener whose queue is full: further connections get no answer at all.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = socket.listen(0).unwrap();
    let dead = silent.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(dead)).await {
        queued.push(stream.unwrap());
    }
    let client = client();
    let begin = std::time::Instant::now();
    let call = |address: String| {
        let client = &client;
        async move {
            let answer = client.call(&address, request(ECHO, "x"), Duration::from_secs(2)).await;
            (answer.is_ok(), begin.elapsed())
        }
    };
    let alive = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        call(fixture.server.local().to_string()).await
    };
    let (dead, alive) = tokio::join!(call(dead.to_string()), alive);
    assert!(!dead.0 && dead.1 >= Duration::from_millis(900), "{dead:?}");
    assert!(alive.0 && alive.1 < Duration::from_millis(500), "{alive:?}");
    assert_eq!(client.connected(), 1, "nothing is kept of the dead address once another call was made");
}
