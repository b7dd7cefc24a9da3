//! Invariants of the source tree that no compiler checks.
//!
//! Each rule is a function of one file's path and text, or of the tree; a complaint names the file and says what to do.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::docs;

/// The one file that may contain blocks the compiler cannot vouch for.
const MAPS: &str = "crates/store/src/segment/map.rs";
/// Packages that are no part of the servers.
const TOOLS: [&str; 2] = ["crates/xtask/", "compat-tests/"];

/// All complaints about the tracked files below `root`, and about those not yet tracked but not ignored.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for path in files(root)? {
        let Ok(bytes) = std::fs::read(root.join(&path)) else { continue }; // deleted, but not yet committed
        let Ok(text) = String::from_utf8(bytes) else { continue };
        complaints.extend(name(&path));
        if path.contains("testdata/") || path == "Cargo.lock" {
            continue;
        }
        complaints.extend(lines(&path, &text));
        if path.ends_with("Cargo.toml") {
            complaints.extend(dependencies(&path, &text));
        }
    }
    complaints.extend(docs::check(root)?);
    Ok(complaints)
}

fn files(root: &Path) -> Result<Vec<String>> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(arguments).current_dir(root).output().context("git")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn name(path: &str) -> Option<String> {
    let stem = Path::new(path).file_stem()?.to_str()?;
    let vague = path.ends_with(".rs")
        && ["common", "util", "utils", "core", "helper", "helpers", "misc"].contains(&stem);
    vague.then(|| format!("{path}: name the module after what it owns"))
}

fn lines(path: &str, text: &str) -> Vec<String> {
    // Written in two parts, so that this file does not complain about itself.
    let block = concat!("un", "safe");
    let markers = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let machine = [
        concat!("/ro", "ot/."),
        concat!("/wo", "rk/main"),
        concat!("/wo", "rk/shared"),
        concat!("/tmp/", "rmq"),
        concat!("/tmp/", "lead"),
    ];
    let is_rust = path.ends_with(".rs");
    let mut complaints = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let mut complain = |what: &str| complaints.push(format!("{path}:{}: {what}", n + 1));
        if markers.iter().any(|marker| {
            words(line).any(|word| word == marker.trim_end_matches(':')) && line.contains(marker)
        }) {
            complain("finish it, or say in a sentence what is left out and why");
        }
        if machine.iter().any(|place| line.contains(place)) {
            complain("a path of one machine");
        }
        if !is_rust {
            continue;
        }
        let code = line.split("//").next().unwrap_or_default();
        if path != MAPS && words(code).any(|word| word == block) {
            complain(&format!("{block} code belongs in {MAPS}"));
        }
        if words(code).any(|word| word == "anyhow") && !may_use_anyhow(path) {
            complain("give the error a type; anyhow is for main.rs, tools and tests");
        }
        let pure = path.starts_with("crates/wire/src/") || path.starts_with("crates/message/src/");
        let does_io = ["std::fs", "TcpStream", "TcpListener", "SystemTime", "Instant::now", "tokio::"];
        if pure && !is_test(path) && does_io.iter().any(|word| code.contains(word)) {
            complain("wire and message do no I/O and read no clock");
        }
    }
    complaints
}

fn may_use_anyhow(path: &str) -> bool {
    let is_main = path.ends_with("/main.rs") || path.contains("/src/bin/");
    is_main
        || is_test(path)
        || TOOLS.iter().any(|tool| path.starts_with(tool))
        || path.starts_with("crates/raptormq/")
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.ends_with("/testdata.rs")
        || path.contains("/tests/")
        || path.contains("/benches/")
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Edges between crates that must not exist.
fn dependencies(path: &str, text: &str) -> Vec<String> {
    let forbidden: &[(&str, &[&str])] = &[
        ("crates/base/Cargo.toml", &["raptormq-"]),
        (
            "crates/wire/Cargo.toml",
            &["tokio", "rustix", "raptormq-store", "raptormq-message", "raptormq-remoting", "anyhow"],
        ),
        (
            "crates/message/Cargo.toml",
            &["tokio", "rustix", "raptormq-store", "raptormq-wire", "raptormq-remoting", "anyhow"],
        ),
        (
            "crates/store/Cargo.toml",
            &["tokio-", "raptormq-wire", "raptormq-remoting", "raptormq-broker", "anyhow"],
        ),
        ("crates/remoting/Cargo.toml", &["raptormq-store", "raptormq-broker", "raptormq-namesrv", "anyhow"]),
        ("crates/namesrv/Cargo.toml", &["raptormq-store", "raptormq-broker"]),
    ];
    let Some((_, names)) = forbidden.iter().find(|(file, _)| *file == path) else { return Vec::new() };
    let mut section = "";
    let mut complaints = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        if section == "[dependencies]" {
            for name in names.iter().filter(|name| line.starts_with(**name)) {
                complaints.push(format!("{path}: must not depend on {name} ({line})"));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_about_lines_complains_and_is_silent_where_it_does_not_apply() {
        let block = concat!("un", "safe { read() }");
        let marker = concat!("// TO", "DO later");
        let place = concat!("see /ro", "ot/.cache");
        let table = [
            ("crates/store/src/log.rs", block, 1),
            (MAPS, block, 0),
            ("crates/store/src/log.rs", concat!("// un", "safe is elsewhere"), 0),
            ("crates/store/src/log.rs", concat!("#![deny(un", "safe_code)]"), 0),
            ("crates/broker/src/send.rs", "use anyhow::Result;", 1),
            ("crates/broker/src/main.rs", "use anyhow::Result;", 0),
            ("crates/broker/src/send/tests.rs", "use anyhow::Result;", 0),
            ("crates/wire/src/frame.rs", "std::fs::read(path)", 1),
            ("crates/wire/src/tests.rs", "std::fs::read(path)", 0),
            ("crates/store/src/log.rs", "std::fs::read(path)", 0),
            ("docs/README.md", marker, 1),
            ("docs/README.md", "Todos los mensajes", 0),
            ("docs/README.md", place, 1),
            ("docs/README.md", "store in $HOME/store", 0),
        ];
        for (path, line, expected) in table {
            assert_eq!(lines(path, line).len(), expected, "{path}: {line}");
        }
    }

    #[test]
    fn vague_names_are_refused() {
        assert!(name("crates/store/src/util.rs").is_some());
        assert!(name("crates/store/src/common/mod.rs").is_none());
        assert!(name("crates/store/src/segment.rs").is_none());
    }

    #[test]
    fn forbidden_edges_are_found_in_dependencies_only() {
        let text = "[dependencies]\nbytes.workspace = true\nraptormq-wire.workspace = true\n[dev-dependencies]\nanyhow = \"1\"\n";
        assert_eq!(dependencies("crates/store/Cargo.toml", text).len(), 1);
        assert_eq!(dependencies("crates/broker/Cargo.toml", text).len(), 0);
    }

    #[test]
    fn this_workspace_lists_its_files() {
        let root = crate::root().unwrap();
        assert!(files(&root).unwrap().iter().any(|path| path == "crates/xtask/src/tidy.rs"));
    }
}
