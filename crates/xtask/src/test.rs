//! The list of steps of `cargo xtask test`.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::steps::{Counts, Report, run as command};
use crate::{prerequisites, tidy};

/// A step that runs a program of this workspace or cargo itself.
struct Step {
    name: &'static str,
    /// Needs the release binaries and the Java programs.
    compat: bool,
    arguments: &'static [&'static str],
}

const fn cargo(name: &'static str, arguments: &'static [&'static str]) -> Step {
    Step { name, compat: false, arguments }
}

const fn compat(name: &'static str, arguments: &'static [&'static str]) -> Step {
    Step { name, compat: true, arguments }
}

const SOURCE: [Step; 3] = [
    cargo("fmt", &["fmt", "--all", "--check"]),
    cargo("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    cargo("unit and integration tests", &["test", "--workspace"]),
];

const BUILD: Step = cargo(
    "release build",
    &["build", "--release", "--workspace", "--bin", "mqnamesrv", "--bin", "mqbroker", "--bin", "raptormq"],
);

const CI: [Step; 8] = [
    compat(
        "client 5.5.0 on our servers",
        &["run", "--servers", "ours", "--clients", "5.5.0", "--second-try"],
    ),
    compat(
        "clients 5.3.3 and 4.9.7 on our servers",
        &["run", "--servers", "ours", "--clients", "5.3.3,4.9.7", "--smoke", "--second-try"],
    ),
    compat(
        "client 5.5.0 on RocketMQ 5.5.0",
        &["run", "--servers", "java-5.5.0", "--clients", "5.5.0", "--smoke", "--second-try"],
    ),
    compat(
        "kill -9, asynchronous flush",
        &["kill9", "--cycles", "5", "--flush", "async", "--messages-max", "100000"],
    ),
    compat(
        "kill -9, synchronous flush",
        &["kill9", "--cycles", "5", "--flush", "sync", "--messages-max", "100000"],
    ),
    compat("every delivery of mixed traffic under kill -9", &["audit", "--cycles", "4"]),
    compat("a store from RocketMQ 5.5.0 and 4.9.7 to us and back", &["hand-back", "--java", "5.5.0,4.9.7"]),
    compat("faults of disk, descriptors and operator", &["faults"]),
];

const FULL: [Step; 7] = [
    compat("all clients on both makes of servers", &["run", "--second-try"]),
    compat("100 times kill -9, asynchronous flush", &["kill9", "--cycles", "100", "--flush", "async"]),
    compat("100 times kill -9, synchronous flush", &["kill9", "--cycles", "100", "--flush", "sync"]),
    compat("clients of other languages on both makes of servers", &["languages"]),
    compat("every delivery of mixed traffic under 50 times kill -9", &["audit", "--cycles", "50"]),
    compat(
        "a store from RocketMQ 5.5.0, 5.3.3 and 4.9.7 to us and back, twice",
        &["hand-back", "--java", "5.5.0,5.3.3,4.9.7", "--rounds", "2"],
    ),
    compat("faults of disk, descriptors and operator", &["faults"]),
];

/// Runs the steps; true when nothing failed.
pub fn run(root: &Path, full: bool, only: Option<&str>) -> Result<bool> {
    let chosen = |name: &str| only.is_none_or(|text| name.contains(text));
    let mut report = Report::default();
    let mut ready = true;
    if chosen("prerequisites") {
        ready &= report.step("prerequisites", || prerequisites::check().map(|()| one()));
    }
    if chosen("tidy") {
        report.step("tidy", || {
            let complaints = tidy::check(root)?;
            complaints.iter().for_each(|complaint| println!("{complaint}"));
            ensure!(complaints.is_empty(), "{} complaints", complaints.len());
            Ok(one())
        });
    }
    for step in SOURCE.iter().filter(|step| chosen(step.name)) {
        report.step(step.name, || command(root, "cargo", step.arguments));
    }
    let steps: &[Step] = if full { &FULL } else { &CI };
    let steps: Vec<&Step> = steps.iter().filter(|step| chosen(step.name)).collect();
    if full && chosen("documentation") {
        report.step("documentation", || command(root, "cargo", &["doc", "--workspace", "--no-deps"]));
    }
    if chosen(BUILD.name) || !steps.is_empty() {
        ready &= report.step(BUILD.name, || command(root, "cargo", BUILD.arguments));
        ready &= report.step("official jars", || {
            for version in ["5.5.0", "5.3.3", "4.9.7"] {
                let counts = command(root, "bash", &["compat-tests/oracle/java-jars.sh", version])?;
                ensure!(counts.failed == 0, "the jars of {version} cannot be fetched");
            }
            Ok(one())
        });
    }
    for step in steps {
        if !step.compat || ready {
            let arguments = [&["run", "--quiet", "--package", "compat-tests", "--"], step.arguments].concat();
            report.step(step.name, || command(root, "cargo", &arguments));
        } else {
            report.skip(step.name, "an earlier step failed");
        }
    }
    report.print();
    Ok(report.sums.failed == 0 && report.sums.passed > 0)
}

fn one() -> Counts {
    Counts { passed: 1, ..Counts::default() }
}
