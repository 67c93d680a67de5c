//! How a stream to a server is made: the one way to the network.

use async_trait::async_trait;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

pub type Stream = Box<dyn Duplex>;

/// Connects to a name or address. Callers put a deadline on it.
#[async_trait]
pub trait Dial: Send + Sync {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Stream>;
}

/// The machine's own sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpDial;

#[async_trait]
#[allow(clippy::disallowed_methods)] // The one place of this backend that opens the machine's sockets.
impl Dial for TcpDial {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Stream> {
        let stream = tokio::net::TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
