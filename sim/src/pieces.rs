//! Short reads and writes: while they are on, some calls move a few bytes only, as on a connection whose buffers are
//! small or whose segments come in pieces. The simulated network itself delivers what was written in one.

use crate::seed::stream;
use gadwall::net::{BoxIo, Listener, Net};
use rand::RngExt;
use rand::rngs::StdRng;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes a short call moves at most.
const LONGEST: usize = 64;

/// Whether calls are short, and which. Clones are one.
#[derive(Clone)]
pub struct Pieces(Arc<Mutex<Inner>>);

struct Inner {
    rng: StdRng,
    short: Option<Short>,
    /// Calls that were.
    count: u64,
}

/// How short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// Of a hundred calls.
    pub percent: u32,
    /// Bytes, at most.
    pub longest: usize,
}

impl Pieces {
    pub fn new(seed: u64) -> Self {
        let inner = Inner { rng: stream(seed, "pieces"), short: None, count: 0 };
        Pieces(Arc::new(Mutex::new(inner)))
    }

    /// From now on; `None`: all calls move what they can.
    pub fn set(&self, short: Option<Short>) {
        self.lock().short = short;
    }

    /// How many calls have been short.
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// How many bytes the next call may move, if it is a short one; at least one.
    fn next(&self) -> Option<usize> {
        let mut inner = self.lock();
        let Short { percent, longest } = inner.short?;
        let len = (inner.rng.random_range(0..100) < percent)
            .then(|| inner.rng.random_range(1..=longest.clamp(1, LONGEST)));
        inner.count += u64::from(len.is_some());
        len
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().expect("no holder of the lock panics")
    }

    fn cut(&self, io: BoxIo) -> BoxIo {
        Box::new(Cut { io, pieces: self.clone() })
    }
}

/// A network whose reads and writes may be short.
pub struct PiecedNet<N> {
    pub net: N,
    pub pieces: Pieces,
}

#[async_trait::async_trait]
impl<N: Net> Net for PiecedNet<N> {
    async fn bind(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let listener = self.net.bind(addr).await?;
        Ok(Box::new(PiecedListener { listener, pieces: self.pieces.clone() }))
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<BoxIo> {
        Ok(self.pieces.cut(self.net.dial(host, port).await?))
    }
}

struct PiecedListener {
    listener: Box<dyn Listener>,
    pieces: Pieces,
}

#[async_trait::async_trait]
impl Listener for PiecedListener {
    async fn accept(&mut self) -> io::Result<(BoxIo, SocketAddr)> {
        let (io, peer) = self.listener.accept().await?;
        Ok((self.pieces.cut(io), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

struct Cut {
    io: BoxIo,
    pieces: Pieces,
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(len) = self.pieces.next() else { return Pin::new(&mut self.io).poll_read(cx, buf) };
        let mut piece = [0; LONGEST];
        let mut piece = ReadBuf::new(&mut piece[..len.min(buf.remaining())]);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut piece);
        buf.put_slice(piece.filled());
        polled
    }
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let len = self.pieces.next().map_or(bytes.len(), |len| len.min(bytes.len()));
        Pin::new(&mut self.io).poll_write(cx, &bytes[..len])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn all_bytes_come_in_their_order_and_no_call_moves_more_than_it_may() {
        let pieces = Pieces::new(1);
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (mut ours, mut theirs) = (pieces.cut(Box::new(ours)), pieces.cut(Box::new(theirs)));
        let sent: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
        assert_eq!(ours.write(&sent).await.unwrap(), sent.len(), "nothing is short before it is said to be");
        pieces.set(Some(Short { percent: 100, longest: 7 }));
        assert!(ours.write(&sent).await.unwrap() <= 7);
        let mut got = vec![0; 5000];
        assert!(theirs.read(&mut got).await.unwrap() <= 7);
        assert_eq!(pieces.count(), 2);
        let already = got.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        theirs.read_exact(&mut got[already..]).await.unwrap();
        assert_eq!(got, sent);
    }
}
