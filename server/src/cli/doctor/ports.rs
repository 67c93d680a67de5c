//! The addresses to listen on: free, or held by a server of ours.

use crate::config::{Config, Door};
use crate::net::{Listener, Net, TokioNet};
use gadwall_storage::operate::Finding;
use std::io::ErrorKind;
use std::net::SocketAddr;

pub async fn examine(config: &Config) -> Vec<Finding> {
    if config.doors.is_empty() {
        let fix = "give it at least one, as --smtp 127.0.0.1:1025";
        return vec![Finding::fail("listeners", "all are off", fix)];
    }
    let mut findings = Vec::new();
    // Held to the end, so that two that want the same address are found out.
    let mut held = Vec::new();
    for &(door, addr) in &config.doors {
        let (finding, listener) = one(door, addr).await;
        findings.push(finding);
        held.extend(listener);
    }
    findings
}

async fn one(door: Door, addr: SocketAddr) -> (Finding, Option<Box<dyn Listener>>) {
    let what = door.name();
    let e = match TokioNet.bind(addr).await {
        Ok(_) if addr.port() == 0 => return (Finding::ok(what, "any free port"), None),
        Ok(listener) => return (Finding::ok(what, format!("{addr} is free")), Some(listener)),
        Err(e) => e,
    };
    let fix_address = format!("choose another address with --{what}");
    let finding = match e.kind() {
        ErrorKind::AddrInUse => taken(what, addr, holder::of(addr.port())),
        ErrorKind::PermissionDenied => Finding::fail(
            what,
            format!("{addr} may not be listened on by this user"),
            format!(
                "grant CAP_NET_BIND_SERVICE, as the systemd unit does (or run this as root), or {fix_address}"
            ),
        ),
        ErrorKind::AddrNotAvailable => {
            Finding::fail(what, format!("{} is no address of this machine", addr.ip()), fix_address)
        }
        _ => Finding::fail(what, format!("{addr}: {e}"), fix_address),
    };
    (finding, None)
}

fn taken(what: &str, addr: SocketAddr, holder: Option<holder::Process>) -> Finding {
    let another = format!("choose another address with --{what}");
    match holder {
        Some(p) if p.is_this() => Finding::fail(what, format!("{addr} is given to two listeners"), another),
        Some(p) if p.is_ours() => Finding::ok(what, format!("{addr} is served by {p}")),
        Some(p) => {
            Finding::fail(what, format!("{addr} is held by {p}"), format!("stop that one, or {another}"))
        }
        None => Finding::fail(
            what,
            format!("{addr} is held by a process of another user"),
            format!(
                "ss -ltnp (as root) names it; run this as root or as its user if it is Gadwall, or {another}"
            ),
        ),
    }
}

/// Who listens on a port. Where there is no `/proc`, nobody knows.
mod holder {
    use std::path::Path;

    pub struct Process {
        pid: u32,
        name: String,
    }

    impl Process {
        pub fn is_this(&self) -> bool {
            self.pid == std::process::id()
        }

        /// Whether it runs the same program.
        pub fn is_ours(&self) -> bool {
            let ours = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
            !self.name.is_empty() && self.name == ours.trim()
        }
    }

    impl std::fmt::Display for Process {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{} (process {})", self.name, self.pid)
        }
    }

    pub fn of(port: u16) -> Option<Process> {
        let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .flat_map(|table| listening(&table, port))
            .collect();
        std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let holds = has_any(&entry.path(), &sockets);
            let name = || std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            holds.then(|| Process { pid, name: name().trim().to_owned() })
        })
    }

    fn has_any(process: &Path, sockets: &[String]) -> bool {
        let open = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        open.filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .any(|target| target.to_str().is_some_and(|target| sockets.iter().any(|s| s == target)))
    }

    /// The sockets that listen on `port`, as `/proc/PID/fd` has them.
    fn listening(table: &str, port: u16) -> Vec<String> {
        let of_line = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, found) = fields.get(1)?.rsplit_once(':')?;
            // 0A: LISTEN.
            let is_it = u16::from_str_radix(found, 16) == Ok(port) && *fields.get(3)? == "0A";
            is_it.then(|| Some(format!("socket:[{}]", fields.get(9)?)))?
        };
        table.lines().filter_map(of_line).collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_listening_sockets_of_the_port_count() {
            let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                0: 0100007F:0401 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n\
                1: 0100007F:0401 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n\
                2: 0100007F:0402 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0\n";
            assert_eq!(listening(table, 0x401), ["socket:[4711]"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::operate::Level;

    #[tokio::test]
    async fn two_listeners_on_one_address_are_found_out() {
        let listener = TokioNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (finding, _) = one(Door::Imap, addr).await;
        assert_eq!(finding.level, Level::Fail);
        #[cfg(target_os = "linux")]
        assert!(finding.detail.contains("two listeners"), "{finding:?}");
        drop(listener);
        let (finding, _held) = one(Door::Imap, addr).await;
        assert_eq!(finding.level, Level::Ok, "{finding:?}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_said_to_be_one() {
        let (finding, _) = one(Door::Smtp, "192.0.2.1:25".parse().unwrap()).await;
        assert!(finding.detail.contains("192.0.2.1 is no address of this machine"), "{finding:?}");
    }
}
