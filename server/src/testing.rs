//! What the engines' tests share: services over the memory store, and a client at the other end of a pipe.

mod tricky;

use crate::accounts::{AccountDefaults, AccountRequest, create};
use crate::auth::Authenticator;
use crate::msgid::MessageIds;
use crate::net::{BoxIo, Conn, Listener, Net, TlsInfo, TlsUpgrade};
use crate::{Env, Limits, Services};
use async_trait::async_trait;
use gadwall_storage::body::SpoolConfig;
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::{Account, Address, LocalCounters, MailStore, ManualClock, SeededEntropy};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;

pub use tricky::TrickyStore;

/// Services with one account: `ann@example.org`, password `secret`.
pub struct World {
    pub services: Arc<Services>,
    pub account: Account,
    pub clock: Arc<ManualClock>,
}

impl World {
    pub async fn new() -> World {
        Self::with(Limits::default(), 100_000_000).await
    }

    /// With a certificate, as it seems.
    pub async fn with_tls() -> World {
        let mut world = Self::new().await;
        Arc::get_mut(&mut world.services).expect("nobody else has them yet").tls = Some(Arc::new(NoTls));
        world
    }

    pub async fn with(limits: Limits, quota: u64) -> World {
        let clock = Arc::new(ManualClock::default());
        let env = Env::inline(clock.clone(), Arc::new(SeededEntropy::new(1)));
        let store = Arc::new(MemoryStore::new(env.clock.clone(), env.entropy.clone()));
        Self::over(store, env, clock, limits, quota).await
    }

    /// The same over a store that can be made to fail.
    pub async fn tricky(limits: Limits, quota: u64) -> (World, Arc<TrickyStore>) {
        let clock = Arc::new(ManualClock::default());
        let env = Env::inline(clock.clone(), Arc::new(SeededEntropy::new(1)));
        let inner = Arc::new(MemoryStore::new(env.clock.clone(), env.entropy.clone()));
        let store = Arc::new(TrickyStore::new(inner));
        (Self::over(store.clone(), env, clock, limits, quota).await, store)
    }

    /// The same over a store of the test's own.
    pub async fn over(
        store: Arc<dyn MailStore>,
        env: Env,
        clock: Arc<ManualClock>,
        limits: Limits,
        quota: u64,
    ) -> World {
        let request = AccountRequest {
            address: Some(Address::parse("ann@example.org").unwrap()),
            password: Some("secret".into()),
            quota_bytes: Some(quota),
            ..AccountRequest::default()
        };
        let made = create(&*store, &env, &AccountDefaults::default(), env.op(), request).await.unwrap();
        let counters = Arc::new(LocalCounters::default());
        let spool = SpoolConfig { message_limit_bytes: limits.message_bytes, ..SpoolConfig::default() };
        let services = Services {
            auth: Arc::new(Authenticator::new(store.clone(), counters.clone(), env.clone())),
            counters,
            acme: None,
            message_ids: MessageIds::new([7; 32]),
            maildrops: Arc::default(),
            tls: None,
            spool,
            limits,
            hostname: "mx.test".into(),
            store,
            env,
        };
        World { services: Arc::new(services), account: made.account, clock }
    }

    /// A connection from this machine, whose other end is for an engine.
    pub fn connection(&self) -> (Conn, Talk) {
        self.connection_of(1 << 20)
    }

    /// One that holds so many bytes on their way, each way.
    pub fn connection_of(&self, bytes: usize) -> (Conn, Talk) {
        let (client, server) = tokio::io::duplex(bytes);
        let address = "127.0.0.1:1".parse().unwrap();
        let drain = CancellationToken::new();
        let conn = Conn {
            io: Box::new(server),
            peer: address,
            local: address,
            tls: None,
            id: 1,
            drain: drain.clone(),
        };
        (conn, Talk { io: client, received: Vec::new(), drain })
    }
}

/// A network of pipes: connections from any address to whatever is bound.
#[derive(Default)]
pub struct PipeNet(Mutex<BTreeMap<SocketAddr, UnboundedSender<(BoxIo, SocketAddr)>>>);

impl PipeNet {
    /// `None` when nobody listens there (any more).
    pub fn connect(&self, to: SocketAddr, from: &str) -> Option<DuplexStream> {
        let (client, server) = tokio::io::duplex(1 << 20);
        let bound = self.0.lock().unwrap();
        bound.get(&to)?.send((Box::new(server), from.parse().unwrap())).ok()?;
        Some(client)
    }
}

struct PipeListener(SocketAddr, UnboundedReceiver<(BoxIo, SocketAddr)>);

#[async_trait]
impl Listener for PipeListener {
    async fn accept(&mut self) -> io::Result<(BoxIo, SocketAddr)> {
        Ok(self.1.recv().await.expect("the network outlives its listeners"))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0)
    }
}

#[async_trait]
impl Net for PipeNet {
    async fn bind(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        self.0.lock().unwrap().insert(addr, sender);
        Ok(Box::new(PipeListener(addr, receiver)))
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<BoxIo> {
        let to = SocketAddr::new(host.parse().expect("an address"), port);
        let io = self.connect(to, "127.0.0.1:40000").ok_or(io::ErrorKind::ConnectionRefused)?;
        Ok(Box::new(io))
    }
}

/// Pretends to encrypt.
struct NoTls;

#[async_trait]
impl TlsUpgrade for NoTls {
    async fn accept(&self, io: BoxIo) -> std::io::Result<(BoxIo, TlsInfo)> {
        Ok((io, TlsInfo { version: "TLSv1.3".into(), cipher: "NULL".into(), server_name: None }))
    }
}

/// The client's end.
pub struct Talk {
    pub io: DuplexStream,
    received: Vec<u8>,
    pub drain: CancellationToken,
}

impl Talk {
    pub fn over(io: DuplexStream) -> Talk {
        Talk { io, received: Vec::new(), drain: CancellationToken::new() }
    }

    pub async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.io.write_all(text.as_ref()).await.unwrap();
    }

    /// One line, its end included.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.received.iter().position(|b| *b == b'\n') {
                let rest = self.received.split_off(end + 1);
                return String::from_utf8(std::mem::replace(&mut self.received, rest)).unwrap();
            }
            let read = self.io.read_buf(&mut self.received).await.unwrap();
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&self.received));
        }
    }

    /// The server says no more and closes.
    pub async fn closed(&mut self) {
        let mut rest = std::mem::take(&mut self.received);
        self.io.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }
}
