//! Transactions.

use super::RpcRequestHeader;
use crate::Header;

/// The request header of `CHECK_TRANSACTION_STATE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct CheckTransactionStateRequestHeader {
    /// The topic.
    pub topic: Option<String>,
    /// Queue offset of the half message.
    #[header(boxed)]
    pub tran_state_table_offset: i64,
    /// Byte offset of the message in the commit log.
    #[header(boxed)]
    pub commit_log_offset: i64,
    /// The message id.
    pub msg_id: Option<String>,
    /// The unique id of the message.
    pub transaction_id: Option<String>,
    /// The message id made of address and log offset.
    pub offset_msg_id: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The response header of "check transaction state".
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct CheckTransactionStateResponseHeader {
    /// The producer group.
    pub producer_group: String,
    /// Queue offset of the half message.
    #[header(boxed)]
    pub tran_state_table_offset: i64,
    /// Byte offset of the message in the commit log.
    #[header(boxed)]
    pub commit_log_offset: i64,
    /// The transaction type bits of the system flag.
    #[header(boxed)]
    pub commit_or_rollback: i32,
}

/// The request header of `END_TRANSACTION`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct EndTransactionRequestHeader {
    /// The topic.
    pub topic: Option<String>,
    /// The producer group.
    pub producer_group: String,
    /// Queue offset of the half message.
    #[header(boxed)]
    pub tran_state_table_offset: i64,
    /// Byte offset of the message in the commit log.
    #[header(boxed)]
    pub commit_log_offset: i64,
    /// The transaction type bits of the system flag.
    #[header(boxed)]
    pub commit_or_rollback: i32,
    /// True when this answers a check by the broker.
    pub from_transaction_check: Option<bool>,
    /// The message id.
    pub msg_id: String,
    /// The unique id of the message.
    pub transaction_id: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The response header of "end transaction".
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct EndTransactionResponseHeader {}

/// The request header of `RESUME_CHECK_HALF_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ResumeCheckHalfMessageRequestHeader {
    /// The topic.
    pub topic: Option<String>,
    /// The message id.
    pub msg_id: Option<String>,
}
