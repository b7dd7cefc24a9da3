//! One request or response.

use crate::{Body, ExtFields, Header, HeaderError, LanguageCode, RequestCode, SerializeType};

/// The version we send: the ordinal of `V5_5_0` in Java's `MQVersion`. Peers choose body forms by it.
pub const CURRENT_VERSION: i32 = 513;

const FLAG_RESPONSE: i32 = 1;
const FLAG_ONEWAY: i32 = 1 << 1;

/// `RemotingCommand`: what one frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemotingCommand {
    /// A request code, or in a response a response code.
    pub code: i32,
    /// The sender's language.
    pub language: LanguageCode,
    /// The sender's version as an ordinal of `MQVersion`.
    pub version: i32,
    /// Ties a response to its request on the same connection.
    pub opaque: i32,
    /// Bit 0: response. Bit 1: oneway. Other bits are kept and not interpreted.
    pub flag: i32,
    /// A human-readable reason, usually of a failure.
    pub remark: Option<String>,
    /// The typed header as strings.
    pub ext: ExtFields,
    /// The bytes after the header.
    pub body: Body,
    /// The form of the header. A response takes the form of its request.
    pub serialize: SerializeType,
}

impl RemotingCommand {
    /// A request from us; the connection sets `opaque` when it sends it.
    pub fn request(code: RequestCode) -> Self {
        Self {
            code: code.0,
            language: LanguageCode::Java,
            version: CURRENT_VERSION,
            opaque: 0,
            flag: 0,
            remark: None,
            ext: ExtFields::new(),
            body: Body::empty(),
            serialize: SerializeType::Json,
        }
    }

    /// A response; the connection gives it the opaque and the header form of its request.
    pub fn response(code: impl Into<i32>, remark: Option<String>) -> Self {
        Self { code: code.into(), flag: FLAG_RESPONSE, remark, ..Self::request(RequestCode(0)) }
    }

    /// The response to `request`: same opaque, same header form.
    pub fn response_to(request: &RemotingCommand, code: impl Into<i32>, remark: Option<String>) -> Self {
        Self { opaque: request.opaque, serialize: request.serialize, ..Self::response(code, remark) }
    }

    /// True for a response, false for a request.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Makes this command a response.
    pub fn set_response(&mut self) {
        self.flag |= FLAG_RESPONSE;
    }

    /// True when the sender waits for no response.
    pub fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }

    /// Says that no response is expected.
    pub fn set_oneway(&mut self) {
        self.flag |= FLAG_ONEWAY;
    }

    /// The same command with the typed header's fields added to `ext`.
    pub fn with_header(mut self, header: &impl Header) -> Self {
        header.encode(&mut self.ext);
        self
    }

    /// The same command with this body.
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Reads the typed header out of `ext`.
    pub fn header<H: Header>(&self) -> Result<H, HeaderError> {
        H::decode(&self.ext)
    }
}
