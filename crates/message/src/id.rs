//! Message ids: where a message is stored (`MessageDecoder.createMessageId`), and the one that its producer made up
//! (`MessageClientIDSetter`).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

/// Text that is not an offset message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message id: 32 or 56 hexadecimal digits are expected")]
pub struct InvalidMessageId;

/// The id that tells broker and place: address, port and log offset in upper-case hexadecimal, 32 digits (56 with a v6
/// address).
pub fn offset_msg_id(host: SocketAddr, offset: u64) -> String {
    let mut id = String::with_capacity(56);
    push_ip(&mut id, host.ip());
    // Writing to a String cannot fail.
    let _ = write!(id, "{:08X}{offset:016X}", host.port());
    id
}

fn push_ip(id: &mut String, ip: IpAddr) {
    let _ = match ip {
        IpAddr::V4(ip) => write!(id, "{:08X}", u32::from(ip)),
        IpAddr::V6(ip) => write!(id, "{:032X}", u128::from(ip)),
    };
}

/// Reads an id made by [`offset_msg_id`], in either case (`MessageDecoder.decodeMessageId`).
///
/// # Errors
/// When the text has another length, other characters or a port above 65535.
pub fn parse_offset_msg_id(id: &str) -> Result<(SocketAddr, u64), InvalidMessageId> {
    let ip_digits = match id.len() {
        32 => 8,
        56 => 32,
        _ => return Err(InvalidMessageId),
    };
    if !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(InvalidMessageId);
    }
    let number =
        |from: usize, to: usize| u128::from_str_radix(&id[from..to], 16).map_err(|_| InvalidMessageId);
    let ip = number(0, ip_digits)?;
    let ip = if ip_digits == 8 { IpAddr::V4((ip as u32).into()) } else { IpAddr::V6(ip.into()) };
    let port = u16::try_from(number(ip_digits, ip_digits + 8)?).map_err(|_| InvalidMessageId)?;
    let offset = number(ip_digits + 8, ip_digits + 24)? as u64;
    Ok((SocketAddr::new(ip, port), offset))
}

/// The text of a unique id from its parts: address, the process id's lower 16 bits, the hash that tells class loaders
/// apart, milliseconds since the start of the month, counter.
pub fn unique_id(ip: IpAddr, pid: u32, loader: u32, since_month_ms: u32, counter: u16) -> String {
    let mut id = String::with_capacity(56);
    push_ip(&mut id, ip);
    let _ = write!(id, "{:04X}{loader:08X}{since_month_ms:08X}{counter:04X}", pid as u16);
    id
}

/// Makes the ids of messages that arrive without one.
#[derive(Debug)]
pub struct UniqueIds {
    ip: IpAddr,
    pid: u32,
    loader: u32,
    month_start_ms: fn(i64) -> i64,
    counter: AtomicU16,
}

impl UniqueIds {
    /// `month_start_ms` tells when the local month began that a time is in, both in ms since the epoch: readers of an
    /// id take its time from there (`MessageClientIDSetter.getNearlyTimeFromID`).
    pub fn new(ip: IpAddr, pid: u32, loader: u32, month_start_ms: fn(i64) -> i64) -> Self {
        Self { ip, pid, loader, month_start_ms, counter: AtomicU16::new(0) }
    }

    /// The next id, at `now_ms` of wall time.
    pub fn next(&self, now_ms: i64) -> String {
        let since_month_ms = now_ms - (self.month_start_ms)(now_ms);
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        unique_id(self.ip, self.pid, self.loader, since_month_ms as u32, counter)
    }
}
