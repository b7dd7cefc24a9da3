//! A JDK and Maven for the compatibility tests.

use std::process::Command;

use anyhow::{Result, bail};

/// The oldest Java the scenarios compile with.
const JAVA_MIN: u32 = 17;
const PACKAGES: [&str; 2] = ["openjdk-17-jdk-headless", "maven"];

/// Installs what is missing when that is possible (root on a Debian), or says what to install.
pub fn check() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    println!("missing: {}", missing.join(", "));
    let is_root = output("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    if !is_root || output("apt-get", &["--version"]).is_none() {
        bail!("install a JDK {JAVA_MIN} or newer and Maven (Debian: apt-get install {})", PACKAGES.join(" "));
    }
    for arguments in
        [&["update"][..], &["install", "-y", "--no-install-recommends", PACKAGES[0], PACKAGES[1]]]
    {
        let status =
            Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status()?;
        if !status.success() {
            bail!("apt-get {}: {status}", arguments.join(" "));
        }
    }
    match self::missing() {
        still if still.is_empty() => Ok(()),
        still => bail!("still missing after the installation: {}", still.join(", ")),
    }
}

fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    match output("javac", &["-version"]).as_deref().and_then(major) {
        Some(version) if version >= JAVA_MIN => {}
        Some(version) => missing.push(format!("JDK {JAVA_MIN} (this is {version})")),
        None => missing.push(format!("JDK {JAVA_MIN}")),
    }
    if output("java", &["-version"]).is_none() {
        missing.push("java".to_owned());
    }
    if output("mvn", &["--version"]).is_none() {
        missing.push("mvn".to_owned());
    }
    missing
}

/// What a program prints, on either stream, if it can be run.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    output.status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The major version in `javac 17.0.15`; Java 8 calls itself 1.8.
fn major(text: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix("javac "))?;
    let mut numbers = line.split(['.', '-', '_', ' ']).map_while(|part| part.parse().ok());
    match numbers.next()? {
        1 => numbers.next(),
        number => Some(number),
    }
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions_of_java_are_understood() {
        assert_eq!(major("javac 17.0.15\n"), Some(17));
        assert_eq!(major("Picked up JAVA_TOOL_OPTIONS: -Dx\njavac 21-ea\n"), Some(21));
        assert_eq!(major("javac 1.8.0_412"), Some(8));
        assert_eq!(major("no such thing"), None);
    }
}
