//! The request table: which code is answered by which handler, on which port, within which bound.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use raptormq_wire::{Header, HeaderError, RemotingCommand, RequestCode, ResponseCode};

use crate::peer::Peer;

/// A request with the connection it came from.
#[derive(Debug)]
pub struct Request {
    /// The decoded frame.
    pub command: RemotingCommand,
    /// Where it came from.
    pub peer: Arc<Peer>,
}

impl Request {
    /// Decodes the typed header.
    ///
    /// # Errors
    /// A [`Refusal`] with SYSTEM_ERROR where a needed field is missing or malformed; Java ends in the same code, by a
    /// `NullPointerException` or `NumberFormatException` in the processor.
    pub fn header<H: Header>(&self) -> Result<H, Refusal> {
        Ok(self.command.header::<H>()?)
    }
}

/// An answer that says no: a response code and the remark that the client shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {remark}")]
pub struct Refusal {
    /// Response code.
    pub code: ResponseCode,
    /// Remark as Java words it.
    pub remark: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self { code, remark: remark.into() }
    }

    /// SYSTEM_ERROR with a remark.
    pub fn system_error(remark: impl Into<String>) -> Self {
        Self::new(ResponseCode::SYSTEM_ERROR, remark)
    }
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self::system_error(error.to_string())
    }
}

impl From<Refusal> for RemotingCommand {
    fn from(refusal: Refusal) -> Self {
        RemotingCommand::response(refusal.code, Some(refusal.remark))
    }
}

/// What a handler that answers at once returns.
pub type Answer = Result<RemotingCommand, Refusal>;

/// What a handler returns in general.
pub enum Reply {
    /// The answer is ready.
    Now(RemotingCommand),
    /// The answer comes later; the connection goes on reading meanwhile.
    Later(Pin<Box<dyn Future<Output = RemotingCommand> + Send>>),
    /// The answer comes when something happens that is none of this request's work (a held pull). It no longer counts
    /// against its [`Lane`]; how many a connection may have is bounded by `Limits::unanswered_max`.
    Held(Pin<Box<dyn Future<Output = RemotingCommand> + Send>>),
    /// There is no answer on this connection.
    Nothing,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Reply::Now(answer.unwrap_or_else(RemotingCommand::from))
    }
}

/// A reply that waits for `future`.
pub fn later(future: impl Future<Output = Answer> + Send + 'static) -> Reply {
    Reply::Later(Box::pin(async move { future.await.unwrap_or_else(RemotingCommand::from) }))
}

/// A reply that is held until `future` answers it.
pub fn held(future: impl Future<Output = RemotingCommand> + Send + 'static) -> Reply {
    Reply::Held(Box::pin(future))
}

/// A class of requests with a bound on how many may be unanswered, as Java bounds the queue of each thread pool.
#[derive(Debug)]
pub struct Lane {
    /// Name for logs and documentation.
    pub name: &'static str,
    capacity: usize,
    in_flight: AtomicUsize,
}

impl Lane {
    /// A lane for at most `capacity` unanswered requests.
    pub fn new(name: &'static str, capacity: usize) -> Arc<Self> {
        Arc::new(Self { name, capacity, in_flight: AtomicUsize::new(0) })
    }

    /// Requests waiting for their answer.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn enter(self: &Arc<Self>) -> Option<LaneGuard> {
        if self.in_flight.fetch_add(1, Ordering::Relaxed) >= self.capacity {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(LaneGuard(self.clone()))
    }
}

struct LaneGuard(Arc<Lane>);

impl Drop for LaneGuard {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The ports on which a code is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// Only the main port.
    Main,
    /// The main port and the fast port (`listenPort - 2`), which has no pull and pop.
    Both,
}

type Handler = Box<dyn Fn(Request) -> Reply + Send + Sync>;

/// One row of the table, for documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The code.
    pub code: RequestCode,
    /// Where it is answered.
    pub ports: Ports,
    /// Its lane, or the reason why it is refused.
    pub treatment: Result<&'static str, &'static str>,
}

struct Route {
    row: Row,
    lane: Option<Arc<Lane>>,
    handler: Handler,
}

/// Code → handler. Built once at start; a code named twice is an error in the program and panics then.
#[derive(Default)]
pub struct RouteTable {
    routes: HashMap<RequestCode, Route>,
}

impl RouteTable {
    /// An empty table: every code is answered REQUEST_CODE_NOT_SUPPORTED.
    pub fn new() -> Self {
        Self::default()
    }

    /// `code` is answered at once, on the connection's task: the handler must not block.
    pub fn on<S: Send + Sync + 'static>(
        self,
        code: RequestCode,
        ports: Ports,
        lane: &Arc<Lane>,
        service: &Arc<S>,
        handler: fn(&S, &Request) -> Answer,
    ) -> Self {
        let service = service.clone();
        self.insert(code, ports, lane, Box::new(move |request| handler(&service, &request).into()))
    }

    /// `code` is answered by a handler that may wait: it runs in arrival order up to the [`Reply`] it returns.
    pub fn two_stage<S: Send + Sync + 'static>(
        self,
        code: RequestCode,
        ports: Ports,
        lane: &Arc<Lane>,
        service: &Arc<S>,
        handler: fn(&Arc<S>, Request) -> Reply,
    ) -> Self {
        let service = service.clone();
        self.insert(code, ports, lane, Box::new(move |request| handler(&service, request)))
    }

    /// `code` is answered by a handler that blocks or computes for long: it runs on the blocking pool.
    pub fn blocking<S: Send + Sync + 'static>(
        self,
        code: RequestCode,
        ports: Ports,
        lane: &Arc<Lane>,
        service: &Arc<S>,
        handler: fn(&S, &Request) -> Answer,
    ) -> Self {
        let service = service.clone();
        let handler = move |request: Request| {
            let service = service.clone();
            later(async move {
                tokio::task::spawn_blocking(move || handler(&service, &request))
                    .await
                    .unwrap_or_else(|_| Err(Refusal::system_error("the handler failed")))
            })
        };
        self.insert(code, ports, lane, Box::new(handler))
    }

    /// `code` is one that Java answers and this server does not, for `reason`.
    pub fn refuse(mut self, code: RequestCode, reason: &'static str) -> Self {
        let row = Row { code, ports: Ports::Both, treatment: Err(reason) };
        let text = format!("{}: {reason}", not_supported_remark(code));
        let handler =
            move |_| Reply::from(Err(Refusal::new(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, text.clone())));
        self.add(Route { row, lane: None, handler: Box::new(handler) });
        self
    }

    /// The rows, by code.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.routes.values().map(|r| r.row.clone()).collect();
        rows.sort_by_key(|r| r.code);
        rows
    }

    fn insert(mut self, code: RequestCode, ports: Ports, lane: &Arc<Lane>, handler: Handler) -> Self {
        let row = Row { code, ports, treatment: Ok(lane.name) };
        self.add(Route { row, lane: Some(lane.clone()), handler });
        self
    }

    fn add(&mut self, route: Route) {
        let code = route.row.code;
        let before = self.routes.insert(code, route);
        assert!(before.is_none(), "request code {} is routed twice", code.0);
    }

    /// Runs the handler of a request. A panic of a handler is its request's failure and nobody else's.
    pub(crate) fn dispatch(&self, request: Request, fast_port: bool) -> Reply {
        let code = RequestCode(request.command.code);
        let route = self.routes.get(&code).filter(|r| !(fast_port && r.row.ports == Ports::Main));
        let Some(route) = route else {
            let refusal = Refusal::new(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, not_supported_remark(code));
            return Reply::from(Err(refusal));
        };
        let guard = match route.lane.as_ref().map(Lane::enter) {
            Some(None) => return overloaded(),
            Some(Some(guard)) => Some(guard),
            None => None,
        };
        match std::panic::catch_unwind(AssertUnwindSafe(|| (route.handler)(request))) {
            Ok(Reply::Later(future)) => Reply::Later(Box::pin(async move {
                let _guard = guard;
                AssertUnwindSafe(future).catch_unwind().await.unwrap_or_else(|_| panicked(code))
            })),
            Ok(Reply::Held(future)) => Reply::Held(Box::pin(async move {
                AssertUnwindSafe(future).catch_unwind().await.unwrap_or_else(|_| panicked(code))
            })),
            Ok(reply) => reply,
            Err(_) => Reply::Now(panicked(code)),
        }
    }
}

/// The remark with which Java refuses a code that has no processor.
fn not_supported_remark(code: RequestCode) -> String {
    format!(" request type {} not supported", code.0)
}

fn overloaded() -> Reply {
    Reply::from(Err(Refusal::new(
        ResponseCode::SYSTEM_BUSY,
        "[OVERLOAD]system busy, start flow control for a while",
    )))
}

fn panicked(code: RequestCode) -> RemotingCommand {
    tracing::error!(code = code.0, "a request handler panicked");
    RemotingCommand::response(
        ResponseCode::SYSTEM_ERROR,
        Some(format!("the handler of request {} failed", code.0)),
    )
}
