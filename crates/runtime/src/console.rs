//! Words to whoever started the process. A reader that has gone away (`mqbroker -p | head -1`) is no reason to fail.

use std::io::Write;

/// Writes a line to stdout.
pub fn say(line: &str) {
    print(&format!("{line}\n"));
}

/// Writes text to stdout as it is.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody is left to be told of a failure.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to stderr.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
