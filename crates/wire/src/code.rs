//! The numbers of requests and responses.

mod request;
mod response;
#[cfg(test)]
mod tests;

pub use request::RequestCode;
pub use response::ResponseCode;
