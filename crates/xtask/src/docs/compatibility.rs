//! docs/COMPATIBILITY.md: features, written by hand in `features.md`, and every request code, from the tables that
//! requests go through.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use raptormq_broker::config::Resolved;
use raptormq_namesrv::Treatment;
use raptormq_remoting::{Ports, Row};
use raptormq_wire::RequestCode;

use super::{evidence, host};

const CODES: &str = "crates/wire/testdata/codes.json";

/// What is known of one code.
struct Line {
    code: RequestCode,
    name: &'static str,
    /// Which of Java's processes answer it.
    java: Vec<String>,
    broker: Option<Row>,
    name_server: Option<&'static str>,
}

pub fn text(root: &Path) -> Result<String> {
    let lines = lines(root)?;
    let mut out = include_str!("features.md").to_owned();
    let count = |wanted: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| wanted(line)).count();
    let java = count(&|line| line.java.iter().any(|process| process == "broker"));
    let served = count(&|line| line.broker.as_ref().is_some_and(|row| row.treatment.is_ok()));
    let shown = count(&|line| {
        line.broker.as_ref().is_some_and(|row| row.treatment.is_ok())
            && !evidence::of_broker(line.name).is_empty()
    });
    let refused = count(&|line| line.broker.as_ref().is_some_and(|row| row.treatment.is_err()));
    let java_names = count(&|line| line.java.iter().any(|process| process == "namesrv"));
    let names = count(&|line| line.name_server.is_some());
    let all = lines.len();
    writeln!(
        out,
        "
## Request codes

RocketMQ names {all} request codes. Its broker answers {java}: this broker serves {served} and refuses {refused} with a reason.
Its name server answers {java_names}: this one serves {names}.

A refused code is answered REQUEST_CODE_NOT_SUPPORTED with Java's text, ` request type N not supported`, then a colon and
the reason below. A code that is in neither table is answered as Java answers it, without a reason.

Ports: a broker listens on `listenPort` and on the fast port two below; what is marked \"main port\" is not answered on
the fast port, as in Java.

The last column names the tests that send the code to this implementation: scenarios of compat-tests, which run with the
official Java clients, or Rust tests with data recorded from Java. {shown} of the {served} codes that the broker serves have
one; where it says \"no scenario yet\", the code is implemented and nobody has shown it against Java.

### Broker

| Code | Name | Treatment | Shown by |
|---:|---|---|---|"
    )?;
    for line in &lines {
        let Some(row) = &line.broker else { continue };
        let treatment = match row.treatment {
            Ok(lane) if row.ports == Ports::Main => format!("served, lane {lane}, main port"),
            Ok(lane) => format!("served, lane {lane}"),
            Err(reason) => format!("refused: {reason}"),
        };
        let tests = match row.treatment {
            Err(_) => String::new(),
            Ok(_) => shown_by(line.name),
        };
        writeln!(out, "| {} | {} | {treatment} | {tests} |", line.code.0, line.name)?;
    }
    out.push_str("\n### Name server\n\n| Code | Name | Treatment | Shown by |\n|---:|---|---|---|\n");
    for line in &lines {
        let Some(lane) = line.name_server else { continue };
        writeln!(
            out,
            "| {} | {} | served, lane {lane} | `{}` |",
            line.code.0,
            line.name,
            evidence::of_name_server()
        )?;
    }
    out.push_str(
        "\n### Answered by neither\n\n\
         Requests that Java's broker and name server do not answer either; both servers answer them \
         REQUEST_CODE_NOT_SUPPORTED.\n\n| Code | Name | In Java |\n|---:|---|---|\n",
    );
    for line in lines.iter().filter(|line| line.broker.is_none() && line.name_server.is_none()) {
        let java = match line.java.as_slice() {
            [] => "no process of 5.5.0 answers it".to_owned(),
            some => format!("answered by the {}", some.join(" and the ")),
        };
        writeln!(out, "| {} | {} | {java} |", line.code.0, line.name)?;
    }
    Ok(out)
}

fn shown_by(name: &str) -> String {
    match evidence::of_broker(name) {
        [] => "no scenario yet".to_owned(),
        tests => tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", "),
    }
}

fn lines(root: &Path) -> Result<Vec<Line>> {
    let java = java(root)?;
    let broker = broker_rows()?;
    let name_server: BTreeMap<RequestCode, Treatment> =
        raptormq_namesrv::treatments().into_iter().map(|treatment| (treatment.code, treatment)).collect();
    let line = |(code, name): &(RequestCode, &'static str)| Line {
        code: *code,
        name,
        java: java.get(&code.0).cloned().unwrap_or_default(),
        broker: broker.iter().find(|row| row.code == *code).cloned(),
        name_server: name_server.get(code).and_then(|treatment| treatment.lane),
    };
    let mut lines: Vec<Line> = RequestCode::ALL.iter().map(line).collect();
    lines.sort_by_key(|line| line.code);
    Ok(lines)
}

/// The processes of RocketMQ that answer each code, as read from its classes.
fn java(root: &Path) -> Result<BTreeMap<i32, Vec<String>>> {
    let text = std::fs::read(root.join(CODES)).context(CODES)?;
    let facts: serde_json::Value = serde_json::from_slice(&text).context(CODES)?;
    let codes = facts["request_codes"].as_array().ok_or_else(|| anyhow!("{CODES}: no request_codes"))?;
    let mut java = BTreeMap::new();
    for code in codes {
        let value = code["value"].as_i64().and_then(|value| i32::try_from(value).ok());
        let value = value.ok_or_else(|| anyhow!("{CODES}: a code without a value"))?;
        let processes = code["handled_by"].as_object().map(|by| by.keys().cloned().collect());
        java.insert(value, processes.unwrap_or_default());
    }
    Ok(java)
}

fn broker_rows() -> Result<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let mut config = Resolved::defaults(&host(2));
    config.set_in("MessageStoreConfig", "storePathRootDir", directory.path().display().to_string());
    config.set_in("BrokerConfig", "brokerIP1", "127.0.0.1");
    config.set_in("BrokerConfig", "namesrvAddr", "");
    let resolved = Resolved::resolve(config, None)?;
    Ok(raptormq_broker::documented_rows(&resolved, directory.path())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_java_answers_is_served_or_refused_with_a_reason() {
        let lines = lines(&crate::root().unwrap()).unwrap();
        assert!(lines.len() > 150, "{}", lines.len());
        let mut missing = Vec::new();
        for line in &lines {
            let by = |process: &str| line.java.iter().any(|p| p == process);
            let reason = line.broker.as_ref().map(|row| row.treatment.err().unwrap_or("served"));
            if by("broker") && reason.is_none_or(str::is_empty) {
                missing.push(format!("broker: {}", line.name));
            }
            if by("namesrv") != line.name_server.is_some() {
                missing.push(format!("name server: {}", line.name));
            }
            if reason.is_some() && !by("broker") {
                missing.push(format!("Java's broker does not answer {}", line.name));
            }
        }
        assert!(missing.is_empty(), "{missing:#?}");
    }

    #[test]
    fn the_document_has_every_code_once() {
        let text = text(&crate::root().unwrap()).unwrap();
        for (code, name) in RequestCode::ALL {
            let rows =
                text.lines().filter(|line| line.starts_with(&format!("| {} | {name} | ", code.0))).count();
            assert!((1..=2).contains(&rows), "{name}: {rows}");
        }
    }
}
