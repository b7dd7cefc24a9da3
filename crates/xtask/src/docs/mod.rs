//! Documents that are made from the tables the servers run on: `cargo xtask docs` writes them, `cargo xtask tidy`
//! complains when one is out of date.

mod compatibility;
mod evidence;
mod keys;

use std::path::Path;

use anyhow::{Context, Result};
use raptormq_base::config::Host;

/// Path and text of each document.
fn documents(root: &Path) -> Result<[(&'static str, String); 2]> {
    Ok([("docs/COMPATIBILITY.md", compatibility::text(root)?), ("docs/CONFIG.md", keys::text(root)?)])
}

/// Writes the documents below `root`.
pub fn write(root: &Path) -> Result<()> {
    for (path, text) in documents(root)? {
        std::fs::write(root.join(path), text).with_context(|| path.to_owned())?;
        println!("{path}");
    }
    Ok(())
}

/// A complaint about each document that is not what [`write`] would make it.
pub fn check(root: &Path) -> Result<Vec<String>> {
    Ok(stale(root, &documents(root)?))
}

fn stale(root: &Path, documents: &[(&str, String)]) -> Vec<String> {
    let differs =
        |path: &str, text: &str| std::fs::read_to_string(root.join(path)).ok().as_deref() != Some(text);
    let stale = documents.iter().filter(|(path, text)| differs(path, text));
    stale.map(|(path, _)| format!("{path}: out of date, run `cargo xtask docs`")).collect()
}

/// A host on which defaults show where they come from.
fn host(cpus: usize) -> Host {
    Host {
        user_home: "$HOME".to_owned(),
        rocketmq_home: Some("$ROCKETMQ_HOME".to_owned()),
        namesrv_addr: Some("$NAMESRV_ADDR".to_owned()),
        hostname: "the host's name".to_owned(),
        local_address: "the host's address".to_owned(),
        cpus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_changed_document_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let documents = ["same", "changed", "missing"].map(|name| (name, "text\n".to_owned()));
        std::fs::write(directory.path().join("same"), "text\n").unwrap();
        std::fs::write(directory.path().join("changed"), "text\n\n").unwrap();
        let complaints = stale(directory.path(), &documents);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(
            complaints[0].starts_with("changed:") && complaints[1].starts_with("missing:"),
            "{complaints:?}"
        );
    }
}
