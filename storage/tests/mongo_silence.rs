//! Connections that fall silent without being closed, as when a firewall forgets them, keep nobody from his mail.
#![allow(clippy::disallowed_methods)] // The test's own sockets.

mod mongodb;

use gadwall_storage::contract::*;
use mongodb::{Tuned, uri};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Connections to a server, of which some can be made to say nothing any more.
#[derive(Clone)]
struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<Connection>>,
    /// How many of those that are made next are silent from the start.
    stillborn: AtomicUsize,
    /// How many were.
    were_stillborn: AtomicUsize,
}

#[derive(Clone, Default)]
struct Connection {
    is_silent: watch::Sender<bool>,
    /// Whether it carries commands: those have a session, which what monitors ask has not.
    is_used: watch::Sender<bool>,
}

impl Wire {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Self { port, shared: Arc::default() };
        let shared = wire.shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let connection = Connection::default();
                let left = &shared.stillborn;
                if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                    connection.is_silent.send_replace(true);
                    shared.were_stillborn.fetch_add(1, Ordering::Relaxed);
                }
                shared.connections.lock().unwrap().push(connection.clone());
                let server = TcpStream::connect(&server).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(relay(from_client, to_server, connection.clone()));
                tokio::spawn(relay(from_server, to_client, connection));
            }
        });
        wire
    }

    /// Makes what carries commands silent, and as many handshakes as the driver makes at a time.
    fn fall_silent(&self) {
        self.shared.stillborn.store(2, Ordering::Relaxed);
        let connections = self.shared.connections.lock().unwrap();
        let used: Vec<_> = connections.iter().filter(|connection| *connection.is_used.borrow()).collect();
        assert!(!used.is_empty(), "none carries commands");
        used.iter().for_each(|connection| _ = connection.is_silent.send_replace(true));
    }
}

/// Ends with either side; what is silent keeps both open and passes nothing on.
async fn relay(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, connection: Connection) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        if bytes.windows(4).any(|window| window == b"lsid") {
            connection.is_used.send_replace(true);
        }
        if *connection.is_silent.borrow() {
            continue;
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn calls_get_through_when_connections_have_fallen_silent() {
    let server = uri().trim_start_matches("mongodb://").split('/').next().unwrap().to_owned();
    let wire = Wire::to(server).await;
    let backend = Tuned {
        uri: format!("mongodb://127.0.0.1:{}/?directConnection=true", wire.port),
        tune: |options| {
            options.timing.command = Duration::from_secs(3);
            options.timing.kept = Duration::ZERO;
            options.deadline = Duration::from_secs(60);
        },
    };
    let w = World::new(&backend).await;
    let mut users = Vec::new();
    for i in 0..12 {
        users.push(w.user(&format!("user{i}")).await);
    }
    wire.fall_silent();
    // As many accounts, since what one account writes at a time goes into one transaction.
    let appends = users.iter().map(|user| w.append(user.inbox, &["a message"]));
    let appended = futures_util::future::join_all(appends).await;
    assert_eq!(appended, vec![vec![uid(1)]; 12]);
    assert_eq!(
        wire.shared.were_stillborn.load(Ordering::Relaxed),
        2,
        "no handshake was left without an answer"
    );
}
