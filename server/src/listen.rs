//! Accepts connections, counts them, wraps them in TLS, and hands them to the engines.

use crate::config::{Config, Door};
use crate::net::{BoxIo, Conn, Listener, TlsInfo, client_network, close};
use crate::{Services, http, imap, pop3, smtp};
use gadwall_storage::AccountId;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);

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
    /// Stops accepting, and asks every connection to finish.
    pub drain: CancellationToken,
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
            drain: CancellationToken::new(),
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

    fn admit(self: Arc<Self>, door: Door, io: BoxIo, peer: SocketAddr, local: SocketAddr) {
        let Some(seat) = Seat::take(&self, peer.ip()) else {
            tracing::warn!(door = door.name(), %peer, "connection refused: too many");
            self.tasks.spawn(turn_away(door, io));
            return;
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!("conn", id, door = door.name(), %peer);
        let doors = self.clone();
        self.tasks.spawn(
            async move {
                let _seat = seat;
                doors.connection(door, io, peer, local, id).await;
            }
            .instrument(span),
        );
    }

    async fn connection(&self, door: Door, io: BoxIo, peer: SocketAddr, local: SocketAddr, id: u64) {
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
        let conn = Conn { io, peer, local, tls, id, drain: self.drain.child_token() };
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
        tracing::debug!("disconnected");
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

/// A counted connection; gives its place back when dropped.
struct Seat {
    doors: Arc<Doors>,
    address: Option<IpAddr>,
}

impl Seat {
    fn take(doors: &Arc<Doors>, address: IpAddr) -> Option<Seat> {
        let address = client_network(address);
        if doors.open.fetch_add(1, Ordering::Relaxed) >= doors.max_connections {
            doors.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut seat = Seat { doors: doors.clone(), address: None };
        if !address.is_loopback() {
            let mut counts = doors.per_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if *count >= doors.max_per_address {
                return None; // The seat gives its place back.
            }
            *count += 1;
            seat.address = Some(address);
        }
        Some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.doors.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut counts = self.doors.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::http::router;
    use crate::testing::World;
    use tokio::io::AsyncReadExt;

    /// What clients of `door` hear when nobody is let in.
    async fn heard(door: Door, peers: &[&str], settings: &str) -> Vec<String> {
        let world = World::new().await;
        let mut settings = Settings::from_toml(settings).unwrap();
        settings.data = Some("/nowhere".into());
        let config = Config::resolve(settings).unwrap();
        let (_serving, is_serving) = tokio::sync::watch::channel(true);
        let router = router(world.services.clone(), crate::http::tests::config(), is_serving);
        let doors = Arc::new(Doors::new(world.services.clone(), router, None, &config));
        let mut clients = Vec::new();
        for peer in peers {
            let (client, server) = tokio::io::duplex(1 << 16);
            let local = "127.0.0.1:25".parse().unwrap();
            doors.clone().admit(door, Box::new(server), format!("{peer}:4000").parse().unwrap(), local);
            clients.push(client);
        }
        let mut heard = Vec::new();
        for mut client in clients {
            let mut buffer = vec![0; 1 << 12];
            let len = client.read(&mut buffer).await.unwrap();
            heard.push(String::from_utf8(buffer[..len].to_vec()).unwrap());
        }
        heard
    }

    #[tokio::test]
    async fn those_there_is_no_room_for_are_told_so_in_their_protocol() {
        for (door, start) in [
            (Door::Smtp, "421 4.3.2 "),
            (Door::Mx, "421 4.3.2 "),
            (Door::Lmtp, "421 4.3.2 "),
            (Door::Imap, "* BYE [UNAVAILABLE] "),
            (Door::Pop3, "-ERR [SYS/TEMP] "),
            (Door::Http, "HTTP/1.1 503 Service Unavailable\r\n"),
        ] {
            let heard = heard(door, &["192.0.2.1"], "max-connections = 0").await;
            assert!(heard[0].starts_with(start), "{heard:?}");
            if door == Door::Http {
                let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
                assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
                assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
            }
        }
    }

    #[tokio::test]
    async fn one_network_gets_its_share_and_this_machine_all_it_wants() {
        let settings = "max-connections-per-address = 1";
        let peers = ["[2001:db8::1]", "[2001:db8::2:1]", "[2001:db8:0:1::1]", "127.0.0.1", "127.0.0.1"];
        let codes: Vec<String> =
            heard(Door::Smtp, &peers, settings).await.iter().map(|text| text[..3].to_owned()).collect();
        assert_eq!(codes, ["220", "421", "220", "220", "220"]);
    }
}
