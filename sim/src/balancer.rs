//! A layer-4 balancer as `deploy/haproxy` sets one up: round robin over the nodes that are ready, the PROXY protocol in
//! front of each connection, bytes passed on both ways.
//!
//! Knows nothing of what is in the bytes. Where TCP's own keepalive would find out that a machine is gone, which the
//! simulated network has not, it cuts the sessions of a node that is no longer ready.

use crate::clients::Door;
use gadwall::net::{BoxIo, Net};
use gadwall::proxy;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What `deploy/haproxy/haproxy.cfg` says: `inter`, `timeout check`, `fall`, `rise`.
const CHECK_EVERY: Duration = Duration::from_secs(1);
const CHECK: Duration = Duration::from_secs(3);
const FALL: u32 = 2;
const RISE: u32 = 2;
/// `timeout connect`, `timeout tunnel`.
const CONNECT: Duration = Duration::from_secs(3);
const TUNNEL: Duration = Duration::from_secs(35 * 60);
/// How long one side may still speak when the other has ended (`timeout client-fin`), and may take to take anything.
const LINGER: Duration = Duration::from_secs(30);
/// How much is passed on at a time.
const PIECE: usize = 16 << 10;
/// The beginning of a PROXY header, version 2 (the PROXY protocol, §2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The services that are balanced.
const DOORS: [Door; 5] = [Door::Smtp, Door::Mx, Door::Imap, Door::Pop3, Door::Http];

/// Balances over hosts.
pub struct Balancer {
    net: Arc<dyn Net>,
    backends: Vec<Backend>,
}

struct Backend {
    host: String,
    health: Mutex<Health>,
}

/// What the checks of a backend have shown.
struct Health {
    ready: bool,
    /// Checks in a row that said otherwise.
    contrary: u32,
    /// Cancelled when it falls; its sessions end then.
    fallen: CancellationToken,
}

/// A connection of a client.
struct Client {
    io: BoxIo,
    peer: SocketAddr,
    local: SocketAddr,
}

impl Balancer {
    pub fn new(net: Arc<dyn Net>, hosts: &[String]) -> Self {
        let backend = |host: &String| Backend { host: host.clone(), health: Mutex::new(Health::new()) };
        Self { net, backends: hosts.iter().map(backend).collect() }
    }

    /// Balances on the host that this is called on, until its host goes or a listener fails.
    pub async fn run(self) -> io::Result<()> {
        let balancer = Arc::new(self);
        for index in 0..balancer.backends.len() {
            tokio::spawn(balancer.clone().watch(index));
        }
        let mut serving = Vec::new();
        for door in DOORS {
            serving.push(tokio::spawn(balancer.clone().serve(door.port())));
        }
        for one in serving {
            one.await.map_err(io::Error::other)??;
        }
        Ok(())
    }

    async fn serve(self: Arc<Self>, port: u16) -> io::Result<()> {
        let mut listener = self.net.bind(SocketAddr::new([0, 0, 0, 0].into(), port)).await?;
        let local = listener.local_addr()?;
        let mut turn = 0;
        loop {
            let (io, peer) = listener.accept().await?;
            tokio::spawn(self.clone().session(Client { io, peer, local }, turn));
            turn += 1;
        }
    }

    /// One session. A backend that can't be reached is passed over (`option redispatch`).
    async fn session(self: Arc<Self>, client: Client, turn: usize) {
        for step in 0..self.backends.len() {
            let backend = &self.backends[(turn + step) % self.backends.len()];
            let Some(fallen) = backend.fallen_unless_ready() else { continue };
            let dialled = timeout(CONNECT, self.net.dial(&backend.host, client.local.port())).await;
            let Ok(Ok(mut io)) = dialled else { continue };
            let header = header(client.peer, client.local);
            if !matches!(timeout(LINGER, io.write_all(&header)).await, Ok(Ok(()))) {
                continue;
            }
            tokio::select! {
                biased;
                () = fallen.cancelled() => {}
                () = tunnel(client.io, io) => {}
            }
            return;
        }
    }

    /// Checks a backend for ever.
    async fn watch(self: Arc<Self>, index: usize) {
        let backend = &self.backends[index];
        loop {
            let checked = timeout(CHECK, self.is_ready(&backend.host)).await;
            backend
                .health
                .lock()
                .expect("no holder of the lock panics")
                .take(matches!(checked, Ok(Ok(true))));
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }

    /// `option httpchk GET /readyz` with `check-send-proxy`.
    async fn is_ready(&self, host: &str) -> io::Result<bool> {
        let mut io = self.net.dial(host, Door::Http.port()).await?;
        io.write_all(proxy::LOCAL).await?;
        io.write_all(b"GET /readyz HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n").await?;
        let mut said = Vec::new();
        let status = b"HTTP/1.1 200";
        while said.len() < status.len() {
            if io.read_buf(&mut said).await? == 0 {
                return Ok(false);
            }
        }
        Ok(said.starts_with(status))
    }
}

impl Backend {
    /// What is cancelled when it falls, if it is ready now.
    fn fallen_unless_ready(&self) -> Option<CancellationToken> {
        let health = self.health.lock().expect("no holder of the lock panics");
        health.ready.then(|| health.fallen.clone())
    }
}

impl Health {
    /// Taken for ready until a check says otherwise, as HAProxy takes its servers.
    fn new() -> Self {
        Self { ready: true, contrary: 0, fallen: CancellationToken::new() }
    }

    fn take(&mut self, ready: bool) {
        if ready == self.ready {
            self.contrary = 0;
            return;
        }
        self.contrary += 1;
        if self.contrary < if ready { RISE } else { FALL } {
            return;
        }
        (self.ready, self.contrary) = (ready, 0);
        match ready {
            true => self.fallen = CancellationToken::new(),
            false => self.fallen.cancel(),
        }
    }
}

/// Passes on what comes, both ways, until both sides have ended.
async fn tunnel(client: BoxIo, backend: BoxIo) {
    let ((from_client, to_client), (from_backend, to_backend)) = (split(client), split(backend));
    let (up, down) = (pump(from_client, to_backend), pump(from_backend, to_client));
    tokio::pin!(up, down);
    // However the first one ended, the other one may have something to say yet.
    let _ = tokio::select! {
        biased;
        _ = &mut up => timeout(LINGER, down).await,
        _ = &mut down => timeout(LINGER, up).await,
    };
}

async fn pump(mut from: ReadHalf<BoxIo>, mut to: WriteHalf<BoxIo>) -> io::Result<()> {
    let passed = pass(&mut from, &mut to).await;
    timeout(LINGER, to.shutdown()).await??;
    passed
}

async fn pass(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let len = timeout(TUNNEL, from.read(&mut piece)).await??;
        if len == 0 {
            return Ok(());
        }
        timeout(LINGER, to.write_all(&piece[..len])).await??;
        timeout(LINGER, to.flush()).await??;
    }
}

/// A PROXY header: PROXY, TCP, and who speaks to whom.
fn header(peer: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let mut header = [SIGNATURE, &[0x21]].concat();
    match (peer.ip(), local.ip()) {
        (IpAddr::V4(peer), IpAddr::V4(local)) => {
            header.extend([0x11, 0, 12]);
            header.extend(peer.octets());
            header.extend(local.octets());
        }
        (peer, local) => {
            header.extend([0x21, 0, 36]);
            header.extend(mapped(peer).octets());
            header.extend(mapped(local).octets());
        }
    }
    header.extend(peer.port().to_be_bytes());
    header.extend(local.port().to_be_bytes());
    header
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_header_tells_the_server_who_connects() {
        for (peer, local) in [("10.1.2.3:456", "10.0.0.1:25"), ("[fd00::7]:456", "[fd00::1]:25")] {
            let said =
                [header(peer.parse().unwrap(), local.parse().unwrap()), b"EHLO a\r\n".to_vec()].concat();
            let (mut io, client) = proxy::accept(Box::new(io::Cursor::new(said))).await.unwrap();
            assert_eq!(client, Some(peer.parse().unwrap()));
            let mut rest = String::new();
            io.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "EHLO a\r\n");
        }
    }

    #[test]
    fn two_checks_turn_a_backend_and_one_does_not() {
        let mut health = Health::new();
        let fallen = health.fallen.clone();
        for ready in [false, true, false] {
            health.take(ready);
        }
        assert!(health.ready && !fallen.is_cancelled());
        health.take(false);
        assert!(!health.ready && fallen.is_cancelled());
        health.take(true);
        assert!(!health.ready);
        health.take(true);
        assert!(health.ready && !health.fallen.is_cancelled());
    }
}
