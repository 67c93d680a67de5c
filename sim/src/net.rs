//! Sockets of a simulated host.

use async_trait::async_trait;
use gadwall::net::{BoxIo, Listener, Net};
use std::io;
use std::net::SocketAddr;
use turmoil::net::{TcpListener, TcpStream};

/// The network of the host it is used on.
#[derive(Debug, Clone, Copy, Default)]
pub struct TurmoilNet;

struct TurmoilListener(TcpListener);

#[async_trait]
impl Listener for TurmoilListener {
    async fn accept(&mut self) -> io::Result<(BoxIo, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((Box::new(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[async_trait]
impl Net for TurmoilNet {
    async fn bind(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(TurmoilListener(TcpListener::bind(addr).await?)))
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<BoxIo> {
        Ok(Box::new(TcpStream::connect((host, port)).await?))
    }
}
