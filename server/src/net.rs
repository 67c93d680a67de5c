//! Sockets, handed in: tokio's in production, turmoil's in the simulation, pipes in tests.

use async_trait::async_trait;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A stream of any kind. Boxed once here instead of a type parameter everywhere.
pub type BoxIo = Box<dyn Io>;

/// Accepts connections.
#[async_trait]
pub trait Listener: Send {
    async fn accept(&mut self) -> io::Result<(BoxIo, SocketAddr)>;
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// Opens sockets.
#[async_trait]
pub trait Net: Send + Sync {
    async fn bind(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>>;
    /// Connects to a name or address.
    async fn dial(&self, host: &str, port: u16) -> io::Result<BoxIo>;
}

/// Turns a plain stream into an encrypted one: STARTTLS and implicit TLS.
#[async_trait]
pub trait TlsUpgrade: Send + Sync {
    async fn accept(&self, io: BoxIo) -> io::Result<(BoxIo, TlsInfo)>;
}

/// What was negotiated, for the session and for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.3`
    pub version: String,
    /// `TLS13_AES_256_GCM_SHA384`
    pub cipher: String,
    pub server_name: Option<String>,
}

/// One accepted connection, ready for an engine.
pub struct Conn {
    pub io: BoxIo,
    /// The client's address (the balancer's client where a PROXY header named one).
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// Set when the connection is encrypted from its first byte.
    pub tls: Option<TlsInfo>,
    /// Unique in this process; in every log line of the connection.
    pub id: u64,
    /// Cancelled when the server drains: finish the command in flight, say goodbye, return.
    pub drain: CancellationToken,
}

impl Conn {
    /// Whether a password may cross this connection: encrypted, or never leaving the machine.
    pub fn is_private(&self) -> bool {
        self.tls.is_some() || self.peer.ip().to_canonical().is_loopback()
    }
}

/// How slowly a peer may send what was asked for. Each [`Pace::BLOCK`], or the end, has to come within the patience:
/// a byte now and then would hold a connection for ever.
#[derive(Debug)]
pub struct Pace {
    patience: Duration,
    deadline: Instant,
    block: usize,
}

impl Pace {
    pub const BLOCK: usize = 16 << 10;

    pub fn new(patience: Duration) -> Self {
        Self { patience, deadline: Instant::now() + patience, block: 0 }
    }

    /// When the peer is given up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Notes what has come.
    pub fn received(&mut self, len: usize) {
        self.block += len;
        if self.block >= Self::BLOCK {
            *self = Self::new(self.patience);
        }
    }
}

/// The network a client owns: its address, or the /64 that one IPv6 subscriber gets.
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// Says a last word and closes. Ends in time, whatever the peer does.
pub async fn close(io: &mut BoxIo, last_word: &[u8], patience: Duration) -> io::Result<()> {
    let closing = async {
        io.write_all(last_word).await?;
        io.flush().await?;
        io.shutdown().await
    };
    tokio::time::timeout(patience, closing).await?
}

/// The machine's own sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioNet;

struct TokioListener(tokio::net::TcpListener);

#[async_trait]
impl Listener for TokioListener {
    async fn accept(&mut self) -> io::Result<(BoxIo, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[async_trait]
#[allow(clippy::disallowed_methods)] // The one place that opens the machine's sockets.
impl Net for TokioNet {
    async fn bind(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(TokioListener(tokio::net::TcpListener::bind(addr).await?)))
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<BoxIo> {
        let stream = tokio::net::TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
