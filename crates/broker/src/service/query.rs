//! Finding stored messages by key or id (`QueryMessageProcessor`).

use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_store::Store;
use raptormq_wire::header::{
    QueryMessageRequestHeader, QueryMessageResponseHeader, ViewMessageRequestHeader,
};
use raptormq_wire::{Body, ResponseCode};

use super::success;

/// Messages that a query by unique key looks at (`defaultQueryMaxNum`).
const UNIQUE_KEY_MAX: usize = 32;

/// Answers queries.
pub struct QueryService {
    /// The store.
    pub store: Store,
}

impl QueryService {
    /// QUERY_MESSAGE.
    pub fn by_key(&self, request: &Request) -> Answer {
        let header: QueryMessageRequestHeader = request.header()?;
        let unique = request.command.ext.get("_UNIQUE_KEY_QUERY") == Some("true");
        let max = if unique { UNIQUE_KEY_MAX } else { usize::try_from(header.max_num).unwrap_or(0) };
        // Tags are indexed under this prefix.
        let by_tag = !unique && header.index_type.as_deref() == Some("T");
        let key = if by_tag { format!("T#{}", header.key) } else { header.key };
        let found = self.store.query(&header.topic, &key, max, header.begin_timestamp, header.end_timestamp);
        if found.messages.is_empty() {
            let remark = "can not find message, maybe time range not correct";
            return Err(Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark));
        }
        let answer = QueryMessageResponseHeader {
            index_last_update_timestamp: found.index_last_update_timestamp,
            index_last_update_phyoffset: found.index_last_update_phyoffset,
        };
        Ok(success().with_header(&answer).with_body(Body::from(found.messages)))
    }

    /// VIEW_MESSAGE_BY_ID.
    pub fn by_offset(&self, request: &Request) -> Answer {
        let header: ViewMessageRequestHeader = request.header()?;
        let record = u64::try_from(header.offset).ok().and_then(|offset| self.store.record_at(offset));
        match record {
            Some(record) => Ok(success().with_body(record)),
            None => {
                Err(Refusal::system_error(format!("can not find message by the offset, {}", header.offset)))
            }
        }
    }
}
