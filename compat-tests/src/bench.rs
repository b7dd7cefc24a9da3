//! Side by side on one machine: Java's servers and ours in turn, each on an empty store, driven by `raptormq bench`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::servers::{Cluster, Kind, Setup};

/// The servers as an operator would run them on a small machine: 2 GiB of heap, the JVM's own choice of collector and
/// compilers.
pub const JVM: [&str; 2] = ["-Xms2g", "-Xmx2g"];
/// Connections and requests in flight on each.
const LOADS: [(u32, u32); 3] = [(1, 1), (1, 32), (8, 32)];

#[derive(Args)]
pub struct Options {
    /// Runs of each server; they alternate.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Servers.
    #[arg(long, value_delimiter = ',', default_value = "java-5.5.0,ours")]
    servers: Vec<Kind>,
    /// Seconds of load before anything is measured, so that the JVM has compiled what matters.
    #[arg(long, default_value_t = 10)]
    warm_seconds: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// GiB of page cache to fill before each server starts, by reading a file of holes: the state of a machine on
    /// which a broker has run for a while. On an empty virtual machine each new page of the log otherwise costs
    /// microseconds in the host, whoever writes it.
    #[arg(long, default_value_t = 0)]
    fill_gib: u64,
    /// Extra broker properties, `key=value`.
    #[arg(long)]
    set: Vec<String>,
    /// File for the raw figures, one JSON object a line.
    #[arg(long)]
    raw: Option<PathBuf>,
}

/// Measures and prints the medians; true unless something could not be measured.
pub fn run(setup: &Setup, options: &Options) -> Result<bool> {
    let mut rows = Vec::new();
    for run in 1..=options.runs {
        for kind in &options.servers {
            for mut row in measure(setup, kind, options).with_context(|| kind.to_string())? {
                row["server"] = json!(kind.to_string());
                row["run"] = json!(run);
                println!("{row}");
                rows.push(row);
            }
        }
    }
    if let Some(path) = &options.raw {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(path, text)?;
    }
    summary(&rows, &options.servers);
    Ok(true)
}

fn measure(setup: &Setup, kind: &Kind, options: &Options) -> Result<Vec<Value>> {
    let dir = setup.run_dir("bench")?;
    let filler = dir.join("filler");
    fill(&filler, options.fill_gib)?;
    let extra = options.set.join("\n");
    let mut cluster = Cluster::with_namesrv(setup, kind, &dir, &extra, &JVM)?;
    let raptormq = setup.bin_dir.join("raptormq");
    let mut rows = Vec::new();

    let broker = cluster.broker_address();
    let mut first = Command::new(&raptormq)
        .args(["bench", "first", "--broker", &broker])
        .stdout(Stdio::null())
        .spawn()
        .context("raptormq")?;
    let begin = Instant::now();
    let waiting = std::thread::spawn(move || first.wait().map(|status| (status, begin.elapsed())));
    cluster.start_broker()?;
    let (status, elapsed) = waiting.join().ok().context("the waiting thread")??;
    ensure!(status.success(), "no first SEND_OK");
    rows.push(json!({ "what": "start", "ms": elapsed.as_secs_f64() * 1000.0 }));

    std::thread::sleep(Duration::from_secs(5));
    let (namesrv, broker_pid) = cluster.pids()?;
    for (name, pid) in [("namesrv", namesrv), ("broker", broker_pid)] {
        let (anon, file) = memory(pid)?;
        rows.push(json!({ "what": "idle", "process": name, "rssAnonKiB": anon, "rssFileKiB": file }));
    }

    let send = |connections: u32, in_flight: u32, seconds: u32| -> Result<Value> {
        let output = Command::new(&raptormq)
            .args(["bench", "send", "--json", "--messages", "1000000000"])
            .args(["--broker", &broker])
            .args(["--connections", &connections.to_string(), "--in-flight", &in_flight.to_string()])
            .args(["--seconds-max", &seconds.to_string(), "--server-pid", &broker_pid.to_string()])
            .output()
            .context("raptormq")?;
        ensure!(output.status.success(), "bench send: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    send(8, 32, options.warm_seconds)?;
    for (connections, in_flight) in LOADS {
        let mut row = send(connections, in_flight, options.seconds)?;
        row["what"] = json!("send");
        rows.push(row);
    }
    cluster.stop()?;
    setup.finish(&dir, true)?;
    Ok(rows)
}

/// Reads a file of holes, which fills the page cache without touching the disk.
fn fill(path: &Path, gib: u64) -> Result<()> {
    let mut file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
    file.set_len(gib << 30)?;
    std::io::copy(&mut file, &mut std::io::sink())?;
    Ok(())
}

/// RssAnon and RssFile of a process, KiB.
fn memory(pid: u32) -> Result<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find(|line| line.starts_with(name)).with_context(|| name.to_owned())?;
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).with_context(|| name.to_owned())
    };
    Ok((field("RssAnon:")?, field("RssFile:")?))
}

/// Medians per server and figure, and the ratio of the first server's to the last's.
fn summary(rows: &[Value], servers: &[Kind]) {
    let mut figures: BTreeMap<String, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    for row in rows {
        let server = row["server"].as_str().unwrap_or_default().to_owned();
        let prefix = match row["what"].as_str() {
            Some("send") => format!("send {}x{}", row["connections"], row["inFlight"]),
            Some("idle") => format!("idle {}", row["process"].as_str().unwrap_or_default()),
            other => other.unwrap_or_default().to_owned(),
        };
        for key in [
            "ms",
            "rssAnonKiB",
            "rssFileKiB",
            "perSecond",
            "p50Us",
            "p99Us",
            "p999Us",
            "serverCpuUsPerMessage",
        ] {
            if let Some(value) = row[key].as_f64() {
                figures
                    .entry(format!("{prefix} {key}"))
                    .or_default()
                    .entry(server.clone())
                    .or_default()
                    .push(value);
            }
        }
    }
    let names: Vec<String> = servers.iter().map(Kind::to_string).collect();
    println!("| median of runs | {} | ratio |", names.join(" | "));
    println!("|---|{}---:|", "---:|".repeat(names.len()));
    for (figure, by_server) in figures {
        let medians: Vec<f64> =
            names.iter().map(|name| by_server.get(name).map_or(f64::NAN, |values| median(values))).collect();
        let ratio = medians.first().zip(medians.last()).map_or(f64::NAN, |(first, last)| first / last);
        let cells: Vec<String> = medians.iter().map(|value| format!("{value:.1}")).collect();
        println!("| {figure} | {} | {ratio:.2} |", cells.join(" | "));
    }
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}
