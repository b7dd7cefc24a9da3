//! Jars, compilation and command lines of the Java programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// This directory in the source tree; the scenarios and the oracle scripts are read from it.
pub fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The directory with the official jars of `version`, fetched through Maven when they are not there yet.
pub fn jars(version: &str) -> Result<PathBuf> {
    let script = home().join("oracle/java-jars.sh");
    let output = Command::new("bash").arg(&script).arg(version).output().context("bash")?;
    if !output.status.success() {
        bail!("{}: {}", script.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// The `-cp` of a client program. Server jars are left out: each brings a logging configuration of its own, and the
/// client library would take one of those.
pub fn client_class_path(classes: &Path, version: &str) -> Result<String> {
    const SERVERS: [&str; 7] =
        ["broker", "namesrv", "proxy", "controller", "container", "tiered-store", "store"];
    let mut entries = vec![classes.display().to_string()];
    for entry in std::fs::read_dir(jars(version)?)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_server = SERVERS.iter().any(|module| name == format!("rocketmq-{module}-{version}.jar"));
        if name.ends_with(".jar") && !is_server {
            entries.push(path.display().to_string());
        }
    }
    entries.sort();
    Ok(entries.join(":"))
}

/// Compiles the scenarios, and `Verify`, against the jars of `version` into `out`.
pub fn compile(version: &str, out: &Path) -> Result<()> {
    let sources = home().join("java/src/main/java");
    std::fs::create_dir_all(out)?;
    let mut command = Command::new("javac");
    command.args(["-nowarn", "-Xlint:none", "-encoding", "UTF-8", "-d"]).arg(out);
    command.arg("-cp").arg(format!("{}/*", jars(version)?.display()));
    command.arg(home().join("oracle/Verify.java"));
    for entry in std::fs::read_dir(&sources)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "java") {
            command.arg(path);
        }
    }
    let output = command.output().context("javac (a JDK 17 or newer is needed)")?;
    if !output.status.success() {
        bail!("javac with client {version}:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// A client JVM that logs warnings to `log_dir` and keeps its other files there, too.
pub fn client(version: &str, classes: &Path, log_dir: &Path) -> Result<Command> {
    std::fs::create_dir_all(log_dir)?;
    let dir = log_dir.display();
    let mut command = Command::new("java");
    command.args(["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8"]);
    command.args(["-Drocketmq.client.logUseSlf4j=false", "-Drocketmq.client.logLevel=WARN"]);
    command.arg(format!("-Drocketmq.client.logRoot={dir}"));
    command
        .arg(format!("-Drmq.logback.configurationFile={}", home().join("java/client-logback.xml").display()));
    command.arg(format!("-Duser.home={dir}"));
    command.arg(format!("-Drocketmq.client.localOffsetStoreDir={dir}/offsets"));
    command.arg("-cp").arg(client_class_path(classes, version)?);
    Ok(command)
}
