//! Accepts connections, counts them, wraps them in TLS, and hands them to the engines.

use crate::config::{Config, Door};
use crate::net::{BoxIo, Conn, Listener};
use crate::{Services, http, imap, pop3, smtp};
use gadwall_storage::AccountId;
use std::collections::BTreeMap;
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
            (Some(tls), true) => match tokio::time::timeout(HANDSHAKE, tls.accept(io)).await {
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
}

/// A counted connection; gives its place back when dropped.
struct Seat {
    doors: Arc<Doors>,
    address: Option<IpAddr>,
}

impl Seat {
    fn take(doors: &Arc<Doors>, address: IpAddr) -> Option<Seat> {
        let address = address.to_canonical();
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
