//! Accepts connections, learns for whom they are, counts them, wraps them in TLS, and hands them to the engines; and
//! asks them to leave when the server stops.

use crate::config::{Config, Door, Networks};
use crate::net::{BoxIo, Conn, Listener, TlsInfo, client_network, close};
use crate::{Services, http, imap, pop3, proxy, smtp};
use gadwall_storage::AccountId;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use tracing::field::Empty;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long the farewell takes per connection, until that is half of the drain time. A few sessions on a laptop are not
/// waited for.
const PACE: Duration = Duration::from_millis(10);

/// What every listener works with.
pub struct Doors {
    services: Arc<Services>,
    router: axum::Router,
    accept_anything: Option<AccountId>,
    next_id: AtomicU64,
    open: AtomicUsize,
    per_address: Mutex<BTreeMap<IpAddr, usize>>,
    max_connections: usize,
    max_per_address: usize,
    proxy_from: Networks,
    drain_for: Duration,
    /// Stops accepting, and asks every connection to finish.
    drain: CancellationToken,
    /// Over how long the connections are asked, once they are.
    spread: OnceLock<Duration>,
    /// Every connection in progress.
    pub tasks: TaskTracker,
}

impl Doors {
    pub fn new(
        services: Arc<Services>,
        router: axum::Router,
        accept_anything: Option<AccountId>,
        config: &Config,
    ) -> Self {
        Self {
            services,
            router,
            accept_anything,
            next_id: AtomicU64::new(1),
            open: AtomicUsize::new(0),
            per_address: Mutex::default(),
            max_connections: config.max_connections,
            max_per_address: config.max_connections_per_address,
            proxy_from: config.proxy_from.clone(),
            drain_for: config.drain,
            drain: CancellationToken::new(),
            spread: OnceLock::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Accepts on one listener until the server drains.
    pub async fn serve(self: Arc<Self>, door: Door, mut listener: Box<dyn Listener>) {
        let Ok(local) = listener.local_addr() else { return };
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.drain.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((io, peer)) => self.clone().admit(door, io, peer, local),
                Err(e) => {
                    // Out of descriptors, most likely: others may close before long.
                    tracing::warn!(door = door.name(), error = %e, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Cancelled when the server stops accepting.
    pub fn draining(&self) -> &CancellationToken {
        &self.drain
    }

    /// Stops accepting and asks the connections to leave, one after the other: all at once they would come back to the
    /// other nodes all at once.
    pub async fn drain(&self) {
        let open = u32::try_from(self.open.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        self.spread.get_or_init(|| (PACE * open).min(self.drain_for / 2));
        self.drain.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.drain_for, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "connections cut off at the end of the drain time");
        }
    }

    fn admit(self: Arc<Self>, door: Door, io: BoxIo, peer: SocketAddr, local: SocketAddr) {
        let is_proxied = self.proxy_from.contains(peer.ip());
        // A balancer's own address is nobody's: its clients are counted once they are known.
        let seat = Seat::take(&self).filter(|seat| is_proxied || seat.count(peer.ip()));
        let Some(seat) = seat else {
            tracing::warn!(door = door.name(), %peer, "connection refused: too many");
            self.tasks.spawn(turn_away(door, io));
            return;
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!("conn", id, door = door.name(), peer = Empty, via = Empty);
        span.record(if is_proxied { "via" } else { "peer" }, tracing::field::display(peer));
        let doors = self.clone();
        self.tasks.spawn(
            async move {
                let socket = Socket { io, peer, local };
                let socket =
                    if is_proxied { doors.unwrap(door, socket, &seat).await } else { doors.plain(socket) };
                if let Some(socket) = socket {
                    doors.connection(door, socket, id).await;
                }
            }
            .instrument(span),
        );
    }

    /// A connection that nobody may speak for.
    fn plain(&self, socket: Socket) -> Option<Socket> {
        match self.proxy_from.is_empty() {
            true => Some(socket),
            false => Some(Socket { io: proxy::refuse(socket.io), ..socket }),
        }
    }

    /// A connection from a balancer: whose it is stands in its header.
    async fn unwrap(&self, door: Door, socket: Socket, seat: &Seat) -> Option<Socket> {
        let (io, client) = match proxy::accept(socket.io).await {
            Ok(accepted) => accepted,
            Err(e) => {
                tracing::warn!(error = %e, "connection refused");
                return None;
            }
        };
        let peer = match client {
            // What is this machine to the balancer is another one to us, and has no privilege here.
            Some(client) if !is_loopback(client) || is_loopback(socket.peer) => client,
            _ => return Some(Socket { io, ..socket }),
        };
        tracing::Span::current().record("peer", tracing::field::display(peer));
        if !seat.count(peer.ip()) {
            tracing::warn!("connection refused: too many");
            turn_away(door, io).await;
            return None;
        }
        Some(Socket { io, peer, ..socket })
    }

    async fn connection(&self, door: Door, socket: Socket, id: u64) {
        let Socket { io, peer, local } = socket;
        let (io, tls) = match (&self.services.tls, door.is_implicit_tls()) {
            (Some(tls), true) => match self.handshake(tls.accept(io)).await {
                Ok(Ok((io, info))) => (io, Some(info)),
                Ok(Err(e)) => return tracing::info!(error = %e, "TLS handshake failed"),
                Err(_) => return tracing::info!("TLS handshake took too long"),
            },
            (None, true) => return,
            (_, false) => (io, None),
        };
        tracing::debug!("connected");
        let drain = CancellationToken::new();
        let conn = Conn { io, peer, local, tls, id, drain: drain.clone() };
        tokio::select! {
            biased;
            () = self.engine(door, conn) => {}
            () = self.farewell(id, drain) => {}
        }
        tracing::debug!("disconnected");
    }

    /// Asks one connection to leave when its turn has come.
    async fn farewell(&self, id: u64, leave: CancellationToken) {
        self.drain.cancelled().await;
        tokio::time::sleep(turn(id, self.spread.get().copied().unwrap_or_default())).await;
        leave.cancel();
        std::future::pending().await
    }

    async fn engine(&self, door: Door, conn: Conn) {
        let services = self.services.clone();
        match door {
            Door::Smtp | Door::Smtps => {
                let role = smtp::Role::Submission { accept_anything: self.accept_anything };
                smtp::serve(conn, services, role).await;
            }
            Door::Mx => smtp::serve(conn, services, smtp::Role::Exchanger).await,
            Door::Lmtp => smtp::serve(conn, services, smtp::Role::Lmtp).await,
            Door::Imap | Door::Imaps => imap::serve(conn, services).await,
            Door::Pop3 | Door::Pop3s => pop3::serve(conn, services).await,
            Door::Http | Door::Https => http::serve(conn, self.router.clone()).await,
        }
    }

    /// A handshake in time, and not beyond the drain: nothing has been promised yet.
    async fn handshake(
        &self,
        accepting: impl Future<Output = io::Result<(BoxIo, TlsInfo)>>,
    ) -> Result<io::Result<(BoxIo, TlsInfo)>, tokio::time::error::Elapsed> {
        tokio::select! {
            biased;
            accepted = tokio::time::timeout(HANDSHAKE, accepting) => accepted,
            () = self.drain.cancelled() => Ok(Err(io::Error::other("the server shuts down"))),
        }
    }
}

/// Says why, in the words of the protocol, to those there is no room for. It costs no more than a moment.
async fn turn_away(door: Door, mut io: BoxIo) {
    let last_word: &[u8] = match door {
        Door::Smtp | Door::Mx | Door::Lmtp => b"421 4.3.2 Too many connections, try again later\r\n",
        Door::Imap => b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n",
        Door::Pop3 => b"-ERR [SYS/TEMP] too many connections, try again later\r\n",
        Door::Http => {
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n\
              Connection: close\r\nContent-Length: 67\r\n\r\n\
              {\"error\":\"too many connections, try again\",\"code\":\"TooManyClients\"}"
        }
        // In clear it would be rubbish there, and a handshake costs more than those should get.
        Door::Smtps | Door::Imaps | Door::Pop3s | Door::Https => b"",
    };
    if let Err(e) = close(&mut io, last_word, Duration::from_secs(1)).await {
        tracing::debug!(error = %e, "the refusal was not taken");
    }
}

/// A connection as it was accepted.
struct Socket {
    io: BoxIo,
    peer: SocketAddr,
    local: SocketAddr,
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// When, in the time over which connections are asked to leave, the turn of this one is. Multiples of the golden ratio
/// lie evenly however many there are, and the same number always gets the same turn.
fn turn(id: u64, spread: Duration) -> Duration {
    let fraction = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    spread.mul_f64(fraction as f64 / (1u64 << 32) as f64)
}

/// A counted connection; gives its place back when dropped.
struct Seat {
    doors: Arc<Doors>,
    client: OnceLock<IpAddr>,
}

impl Seat {
    /// A place among all.
    fn take(doors: &Arc<Doors>) -> Option<Seat> {
        let seat = Seat { doors: doors.clone(), client: OnceLock::new() };
        // Where there was no place the seat gives it back.
        (doors.open.fetch_add(1, Ordering::Relaxed) < doors.max_connections).then_some(seat)
    }

    /// Counts it to its client, unless that is on this machine; false when that has enough.
    fn count(&self, address: IpAddr) -> bool {
        if address.to_canonical().is_loopback() {
            return true;
        }
        let client = client_network(address);
        let mut counts = self.doors.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if *count >= self.doors.max_per_address {
            return false;
        }
        *count += 1;
        let _ = self.client.set(client);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.doors.open.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = self.client.get() else { return };
        let mut counts = self.doors.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(client);
            }
        }
    }
}

#[cfg(test)]
mod tests;
