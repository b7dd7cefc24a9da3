//! Faults of disk, descriptors and operator on a real broker process. Nothing acknowledged may be lost, the process
//! may not end by itself, and when the fault is gone writes go on without a restart, unless a sync has failed.

mod broker;
mod cases;
mod traffic;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::servers::{Kind, Setup};

#[derive(Args)]
pub struct Options {
    /// `ours` or `java-VERSION`; Java's broker fails most of them, see what it answers.
    #[arg(long, default_value = "ours")]
    server: Kind,
    /// Only cases whose name contains this text.
    #[arg(long)]
    only: Option<String>,
}

/// What a case works with.
struct Context<'a> {
    setup: &'a Setup,
    kind: &'a Kind,
    dir: &'a Path,
}

struct Case {
    name: &'static str,
    /// Programs it needs.
    needs: &'static [&'static str],
    body: fn(&Context<'_>) -> Result<String>,
}

const CASES: [Case; 10] = [
    Case { name: "disk_full", needs: &["unshare", "nsenter"], body: cases::disk_full },
    Case {
        name: "disk_full_on_a_java_store",
        needs: &["unshare", "nsenter"],
        body: cases::disk_full_on_a_java_store,
    },
    Case {
        name: "disk_full_before_the_start",
        needs: &["unshare", "nsenter"],
        body: cases::disk_full_before_the_start,
    },
    Case { name: "fsync_error", needs: &["strace"], body: cases::fsync_error },
    Case { name: "slow_fsync", needs: &["strace"], body: cases::slow_fsync },
    Case {
        name: "read_only_file_system",
        needs: &["unshare", "nsenter", "mkfs.ext4"],
        body: cases::read_only_file_system,
    },
    Case { name: "few_descriptors", needs: &["prlimit"], body: cases::few_descriptors },
    Case { name: "sigterm_under_load", needs: &[], body: cases::sigterm_under_load },
    Case { name: "sigterm_twice", needs: &[], body: cases::sigterm_twice },
    Case { name: "sigterm_during_recovery", needs: &[], body: cases::sigterm_during_recovery },
];

/// Runs the cases one after the other; true when none failed.
pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let is_root = rustix::process::geteuid().is_root();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let chosen = |case: &&Case| options.only.as_ref().is_none_or(|text| case.name.contains(text.as_str()));
    for case in CASES.iter().filter(chosen) {
        let missing = case.needs.iter().find(|program| !is_there(program));
        if let Some(program) = missing {
            skipped += 1;
            println!("SKIP {}: {program} is not installed", case.name);
            continue;
        }
        if !case.needs.is_empty() && !is_root {
            skipped += 1;
            println!("SKIP {}: it needs root for mounts, limits and strace of its own broker", case.name);
            continue;
        }
        let dir = setup.run_dir(&format!("fault-{}", case.name))?;
        let begin = Instant::now();
        let outcome = (case.body)(&Context { setup, kind: &options.server, dir: &dir });
        let ms = begin.elapsed().as_millis();
        match &outcome {
            Ok(text) => {
                passed += 1;
                println!("PASS {}: {text} ({ms} ms)", case.name);
            }
            Err(error) => {
                failed += 1;
                println!("FAIL {}: {error:#} ({ms} ms)", case.name);
            }
        }
        setup.finish(&dir, outcome.is_ok())?;
    }
    if passed + failed + skipped == 0 {
        failed = 1; // a text that selects nothing is a mistake
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(failed == 0)
}

fn is_there(program: &str) -> bool {
    let status = Command::new("sh").args(["-c", "command -v \"$0\" > /dev/null", program]).status();
    status.is_ok_and(|status| status.success())
}
