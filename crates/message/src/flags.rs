//! The bits of SYSFLAG (`MessageSysFlag`).

/// The body is compressed; by what says [`COMPRESSION_MASK`].
pub const COMPRESSED: i32 = 0x1;
/// The topic filters by several tags.
pub const MULTI_TAGS: i32 = 0x1 << 1;
/// Not part of a transaction.
pub const TRANSACTION_NOT: i32 = 0;
/// A half message.
pub const TRANSACTION_PREPARED: i32 = 0x1 << 2;
/// A committed message.
pub const TRANSACTION_COMMIT: i32 = 0x2 << 2;
/// A rolled back message; also the mask of the transaction bits.
pub const TRANSACTION_ROLLBACK: i32 = 0x3 << 2;
/// BORNHOST has sixteen address bytes.
pub const BORNHOST_V6: i32 = 0x1 << 4;
/// STOREHOST has sixteen address bytes.
pub const STOREHOST_V6: i32 = 0x1 << 5;
/// The client must unwrap an inner batch.
pub const NEED_UNWRAP: i32 = 0x1 << 6;
/// The body holds a batch of messages.
pub const INNER_BATCH: i32 = 0x1 << 7;
/// Compressed by LZ4.
pub const COMPRESSION_LZ4: i32 = 0x1 << 8;
/// Compressed by ZSTD.
pub const COMPRESSION_ZSTD: i32 = 0x2 << 8;
/// Compressed by zlib; 0 means the same, from clients before 5.0.
pub const COMPRESSION_ZLIB: i32 = 0x3 << 8;
/// The bits that name the compression.
pub const COMPRESSION_MASK: i32 = 0x7 << 8;

/// The transaction bits of `sys_flag` (`getTransactionValue`).
pub const fn transaction_type(sys_flag: i32) -> i32 {
    sys_flag & TRANSACTION_ROLLBACK
}

/// `sys_flag` with its transaction bits replaced (`resetTransactionValue`).
pub const fn with_transaction_type(sys_flag: i32, transaction: i32) -> i32 {
    (sys_flag & !TRANSACTION_ROLLBACK) | (transaction & TRANSACTION_ROLLBACK)
}

/// `sys_flag` without the compressed bit (`clearCompressedFlag`).
pub const fn without_compressed(sys_flag: i32) -> i32 {
    sys_flag & !COMPRESSED
}

/// Whether records of this transaction type appear in a consume queue. Prepared and rolled back ones never do
/// (`CommitLogDispatcherBuildConsumeQueue`).
pub const fn is_dispatched(sys_flag: i32) -> bool {
    matches!(transaction_type(sys_flag), TRANSACTION_NOT | TRANSACTION_COMMIT)
}
