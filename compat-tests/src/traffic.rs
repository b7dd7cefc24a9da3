//! A Java process that makes traffic and is talked to by lines: a question on its stdin, a line with a prefix as answer.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long traffic may take to flow again after the broker booted.
const FLOW_LIMIT: Duration = Duration::from_secs(60);

/// The process; it is killed when this is dropped.
pub struct Traffic {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Traffic {
    /// Starts it and waits for its line `@GO`.
    pub fn start(mut command: Command, stderr: &Path) -> Result<Traffic> {
        command.stderr(std::fs::File::create(stderr)?);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("java")?;
        let input = child.stdin.take().context("stdin of the traffic")?;
        let output = BufReader::new(child.stdout.take().context("stdout of the traffic")?);
        let mut traffic = Traffic { child, input, output };
        traffic.line("@GO")?;
        Ok(traffic)
    }

    /// Sends a line that has no answer.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes())?;
        Ok(self.input.flush()?)
    }

    /// The rest of the next line that begins with `prefix`; those before it are printed.
    fn line(&mut self, prefix: &str) -> Result<String> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                bail!("the traffic ended ({}); see its stderr", self.child.wait()?);
            }
            if let Some(rest) = line.strip_prefix(prefix) {
                return Ok(rest.trim().to_owned());
            }
            print!("  {line}");
        }
    }

    /// Asks for a number.
    pub fn count(&mut self, question: &str, prefix: &str) -> Result<u64> {
        self.tell(question)?;
        Ok(self.line(prefix)?.parse()?)
    }

    /// Waits until that number is above `before`.
    pub fn flows(&mut self, question: &str, prefix: &str, before: u64) -> Result<()> {
        let end = Instant::now() + FLOW_LIMIT;
        while self.count(question, prefix)? <= before {
            ensure!(Instant::now() < end, "{question} stays at {before} for {} s", FLOW_LIMIT.as_secs());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Ends the traffic; the rest of the line `prefix` that it says at last.
    pub fn stop(&mut self, prefix: &str) -> Result<String> {
        self.tell("stop")?;
        let last = self.line(prefix)?;
        self.child.wait()?;
        Ok(last)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
