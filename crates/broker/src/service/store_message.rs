//! From the store's outcome of an append to the answer that Java gives (`SendMessageProcessor.handlePutMessageResult`).

use raptormq_remoting::Refusal;
use raptormq_store::{AppendError, Store};
use raptormq_wire::ResponseCode;

/// The refusal of a message that was not stored.
pub fn refusal(store: &Store, error: AppendError) -> Refusal {
    match error {
        AppendError::MessageTooLarge { .. }
        | AppendError::TopicTooLong { .. }
        | AppendError::IllegalTopic(_)
        | AppendError::PropertiesTooLarge { .. }
        | AppendError::IllegalBatch(_) => illegal(store.max_message_size()),
        AppendError::Full(_) | AppendError::Closed => {
            Refusal::new(ResponseCode::SERVICE_NOT_AVAILABLE, not_available(store))
        }
        // What Java answers a request that waited in its queue, and one that came while the write was known to hang.
        AppendError::Busy { waited_ms: 0 } => Refusal::new(
            ResponseCode::SYSTEM_BUSY,
            "[REJECTREQUEST]system busy, start flow control for a while",
        ),
        AppendError::Busy { waited_ms } => {
            let remark = format!(
                "[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: {waited_ms}ms, size of queue: 0"
            );
            Refusal::new(ResponseCode::SYSTEM_BUSY, remark)
        }
        AppendError::Poisoned(reason) => {
            let remark =
                format!("{} The store refuses writes since an I/O error: {reason}", not_available(store));
            Refusal::new(ResponseCode::SERVICE_NOT_AVAILABLE, remark)
        }
    }
}

/// Java's `PutMessageStatus` of a failure, which is all that is told of a message given back.
pub fn status(error: &AppendError) -> &'static str {
    match error {
        AppendError::PropertiesTooLarge { .. } => "PROPERTIES_SIZE_EXCEEDED",
        AppendError::MessageTooLarge { .. }
        | AppendError::TopicTooLong { .. }
        | AppendError::IllegalTopic(_)
        | AppendError::IllegalBatch(_) => "MESSAGE_ILLEGAL",
        AppendError::Busy { .. } => "OS_PAGE_CACHE_BUSY",
        AppendError::Full(_) | AppendError::Closed | AppendError::Poisoned(_) => "SERVICE_NOT_AVAILABLE",
    }
}

/// The refusal of a message that is too large, or malformed.
pub fn illegal(max_message_size: usize) -> Refusal {
    let remark = format!(
        "the message is illegal, maybe msg body or properties length not matched. msg body length limit {max_message_size}B, msg properties length limit 32KB."
    );
    Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark)
}

fn not_available(store: &Store) -> String {
    let (log, queues) = (store.commit_log_disk_ratio(), store.consume_queue_disk_ratio());
    format!(
        "service not available now. It may be caused by one of the following reasons: the broker's disk is full [CL: {log:5.2} CQ: {queues:5.2} INDEX: {queues:5.2}], messages are put to the slave, message store has been shut down, etc."
    )
}
