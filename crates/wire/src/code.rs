//! The numbers of requests and responses.

mod request;
mod response;

pub use request::RequestCode;
pub use response::ResponseCode;
