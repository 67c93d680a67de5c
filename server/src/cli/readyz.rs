//! `gadwall readyz`: for scripts and containers that wait for the server.

use super::args::ReadyzArgs;
use super::exit::Failure;
use super::runfile::RunFile;
use crate::client::{Begin, Request, ask};
use crate::config::{Config, Door};
use crate::net::TokioNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Pause between two questions.
const AGAIN: Duration = Duration::from_millis(100);

/// Succeeds once the server says that it is ready; without `--wait`, asks once.
pub async fn run(config: &Config, args: &ReadyzArgs) -> Result<(), Failure> {
    let patience = args.wait.map(|span| span.0);
    let began = Instant::now();
    loop {
        let why = match once(config, args.address.as_deref()).await {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        let over = match patience {
            None => true,
            Some(Some(limit)) => began.elapsed() >= limit,
            Some(None) => false,
        };
        if over {
            return Err(Failure::failed(why));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn once(config: &Config, address: Option<&str>) -> Result<(), String> {
    let (host, port) = match address {
        Some(text) => text
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?)))
            .ok_or_else(|| format!("{text:?} is not HOST:PORT"))?,
        None => {
            let addr = http_address(config)
                .ok_or("no HTTP listener to ask: http is off in this configuration; give --address")?;
            (addr.ip().to_string(), addr.port())
        }
    };
    let begin = begin(config, &host);
    let request = Request { method: "GET", path: "/readyz", begin, ..Request::default() };
    match ask(&TokioNet, &host, port, &request, ANSWER).await {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(format!("not ready: {} {}", answer.status, answer.body.trim())),
        Err(e) => Err(format!("no answer from {host}:{port}: {e}")),
    }
}

/// Where the plain HTTP listener of `config` can be reached from this machine. With port 0, where the server that runs
/// on the same data says it is.
fn http_address(config: &Config) -> Option<SocketAddr> {
    let (_, addr) = config.doors.iter().find(|(door, _)| *door == Door::Http)?;
    let addr = match addr.port() {
        0 => RunFile::read(&config.data)?.http?,
        _ => *addr,
    };
    Some(reachable(addr))
}

/// How to begin with the server of this configuration: it sees us come from the address where it is.
pub fn begin(config: &Config, host: &str) -> Begin {
    let is_balancer = host.parse().is_ok_and(|ip| config.proxy_from.contains(ip));
    if is_balancer { Begin::ProxyLocal } else { Begin::Plain }
}

/// An address to connect to, for one that is listened on.
pub fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}
