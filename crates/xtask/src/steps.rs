//! Running a step, showing its output as it comes, and counting what it says it did.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

/// Tests passed, failed and skipped.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The steps that ran, for the table at the end.
#[derive(Default)]
pub struct Report {
    lines: Vec<String>,
    pub sums: Counts,
}

impl Report {
    /// Runs a step that counts as one test unless its output tells more. Returns whether it succeeded.
    pub fn step(&mut self, name: &str, body: impl FnOnce() -> Result<Counts>) -> bool {
        println!("=== {name}");
        let start = Instant::now();
        let counts = body().unwrap_or_else(|error| {
            println!("{name}: {error:#}");
            Counts { failed: 1, ..Counts::default() }
        });
        let ok = counts.failed == 0;
        let word = if ok { "ok" } else { "FAILED" };
        let line = format!("{word:<7} {:>5.1} s  {name} ({counts})", start.elapsed().as_secs_f64());
        println!("{line}");
        self.lines.push(line);
        self.sums.add(counts);
        ok
    }

    /// Counts a step that could not run because an earlier one failed.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.lines.push(format!("skipped          {name} ({why})"));
        self.sums.skipped += 1;
    }

    /// Prints the table; the sums are its last line.
    pub fn print(&self) {
        println!("=== all steps");
        self.lines.iter().for_each(|line| println!("{line}"));
        println!("{}", self.sums);
    }
}

/// Runs a command in `root` with its output shown, and takes the counts from it. A command that tells none counts as
/// one test, passed or failed by its exit status; one that ends badly without telling of a failure has one.
pub fn run(root: &Path, program: &str, arguments: &[&str]) -> Result<Counts> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| program.to_owned())?;
    let output = child.stdout.take().context("stdout of the step")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        tally.read(&line);
    }
    Ok(tally.close(child.wait()?.success()))
}

/// Counts of one command's output: the sum over cargo's test binaries, or the last line of a program that ends with
/// `N passed, N failed, N skipped`.
#[derive(Default)]
struct Tally {
    cargo: Option<Counts>,
    last: Option<Counts>,
}

impl Tally {
    fn read(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            let mut counts = Counts::default();
            for part in rest.split(['.', ';']) {
                match part.trim().split_once(' ') {
                    Some((n, "passed")) => counts.passed += n.parse::<u64>().unwrap_or(0),
                    Some((n, "failed")) => counts.failed += n.parse::<u64>().unwrap_or(0),
                    Some((n, "ignored")) => counts.skipped += n.parse::<u64>().unwrap_or(0),
                    _ => {}
                }
            }
            self.cargo.get_or_insert_default().add(counts);
        } else if let Some(counts) = sums(line) {
            self.last = Some(counts);
        }
    }

    fn close(self, success: bool) -> Counts {
        let told = self.cargo.or(self.last);
        let mut counts = told.unwrap_or(Counts { passed: u64::from(success), ..Counts::default() });
        if !success && counts.failed == 0 {
            counts.failed = 1;
        }
        counts
    }
}

/// Reads `N passed, N failed, N skipped`.
fn sums(line: &str) -> Option<Counts> {
    let mut parts = line.split(", ");
    let mut next = |word: &str| parts.next()?.strip_suffix(word)?.trim().parse().ok();
    let counts = Counts { passed: next("passed")?, failed: next("failed")?, skipped: next("skipped")? };
    parts.next().is_none().then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str], success: bool) -> Counts {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        tally.close(success)
    }

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts { passed, failed, skipped }
    }

    #[test]
    fn cargo_test_binaries_are_added() {
        let lines = [
            "test result: ok. 9 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.04s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ];
        assert_eq!(tally(&lines, false), counts(12, 2, 1));
    }

    #[test]
    fn of_a_program_with_sums_the_last_line_counts() {
        let lines = [
            "3 passed, 0 failed, 0 skipped",
            "server x: 1 passed, 2 failed",
            "40 passed, 1 failed, 2 skipped",
        ];
        assert_eq!(tally(&lines, false), counts(40, 1, 2));
    }

    #[test]
    fn a_silent_command_counts_by_its_status() {
        assert_eq!(tally(&["hello"], true), counts(1, 0, 0));
        assert_eq!(tally(&["hello"], false), counts(0, 1, 0));
    }

    #[test]
    fn a_bad_end_is_a_failure_even_if_none_was_told() {
        assert_eq!(tally(&["5 passed, 0 failed, 0 skipped"], false), counts(5, 1, 0));
    }

    #[test]
    fn a_step_that_cannot_run_fails() {
        let mut report = Report::default();
        assert!(!report.step("nothing", || run(Path::new("."), "no-such-program-anywhere", &[])));
        assert_eq!(report.sums, counts(0, 1, 0));
    }
}
