//! Facts about the machine that configuration defaults are made of.

use std::net::IpAddr;

use raptormq_base::config::Host;

use crate::java_option;

/// Looks at environment and network interfaces. The home directory is `home`, else `-Duser.home` in `JAVA_OPT` (by
/// which start scripts move Java's store), else `HOME`.
pub fn detect_host(home: Option<String>) -> Host {
    let env = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    Host {
        user_home: home
            .or_else(|| java_option("user.home"))
            .or_else(|| env("HOME"))
            .unwrap_or_else(|| "/".to_owned()),
        rocketmq_home: env("ROCKETMQ_HOME"),
        namesrv_addr: env("NAMESRV_ADDR"),
        hostname: hostname(),
        local_address: local_address(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// Name of the machine; Java falls back to `DEFAULT_BROKER` when it has none.
fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "DEFAULT_BROKER".to_owned() } else { name }
}

/// The choice of Java's `NetworkUtil.getLocalAddress`: no loopback, bridge or point-to-point interface; the first
/// public IPv4 address, else the last private one, else IPv6, else the loopback address.
fn local_address() -> String {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let candidates = interfaces
        .iter()
        .filter(|i| !i.is_loopback() && !i.is_p2p() && i.is_oper_up())
        .filter(|i| !std::path::Path::new(&format!("/sys/class/net/{}/bridge", i.name)).exists())
        .map(|i| i.ip());
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = candidates.partition(IpAddr::is_ipv4);
    let public = |ip: &&IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_private(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_unique_local(),
    };
    if let Some(ip) = v4.iter().find(public).or(v4.last()) {
        return ip.to_string();
    }
    match v6.iter().find(public).or(v6.first()) {
        Some(ip) => format!("[{ip}]"),
        None => "127.0.0.1".to_owned(),
    }
}

/// Raises the limit of open files as far as it may be raised, as a JVM does (`-XX:+MaxFDLimit`): queues in use, log
/// files and connections need one each.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%error, current = limit.current, "the limit of open files cannot be raised");
    }
}
