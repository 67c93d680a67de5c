//! The trace of a run: every byte that passes over a traced network, in order, with time and connection, folded into
//! one digest. Two runs of a seed have one trace, or the simulation does not replay and nothing it finds can be trusted.

use gadwall::net::{BoxIo, Listener, Net};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Collects what passes. Cheap to clone; all clones are one trace.
#[derive(Clone, Default)]
pub struct Trace {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    digest: blake3::Hasher,
    connections: u64,
    /// Where each piece is told, for finding where two runs part.
    steps: Option<Box<dyn Write + Send>>,
}

impl Inner {
    fn tell(&mut self, step: impl FnOnce() -> String) {
        if let Some(steps) = &mut self.steps {
            // A diagnosis that can't be written is no reason to stop what is being diagnosed.
            let _ = writeln!(steps, "{}", step());
        }
    }
}

/// Which way bytes went, as their host sees it.
#[derive(Clone, Copy)]
enum Way {
    In = 0,
    Out = 1,
}

impl Trace {
    /// One that also tells every piece, a line each.
    pub fn telling(steps: Box<dyn Write + Send>) -> Self {
        let trace = Trace::default();
        trace.lock().steps = Some(steps);
        trace
    }

    /// Something else that has to be the same in two runs.
    pub fn note(&self, what: &str) {
        let mut inner = self.lock();
        inner.digest.update(&what.len().to_le_bytes());
        inner.digest.update(what.as_bytes());
        inner.tell(|| what.to_owned());
    }

    pub fn digest(&self) -> String {
        self.lock().digest.finalize().to_hex().to_string()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of the lock panics")
    }

    fn passed(&self, connection: u64, way: Way, bytes: &[u8]) {
        let at = turmoil::sim_elapsed().unwrap_or_default();
        let mut inner = self.lock();
        inner.digest.update(&at.as_nanos().to_le_bytes());
        inner.digest.update(&connection.to_le_bytes());
        inner.digest.update(&[way as u8]);
        // Or the end of one piece could not be told from the beginning of the next.
        inner.digest.update(&bytes.len().to_le_bytes());
        inner.digest.update(bytes);
        inner.tell(|| {
            let way = ["in", "out"][way as usize];
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).escape_debug().to_string();
            format!("{at:?} #{connection} {way} {}: {shown}", bytes.len())
        });
    }

    fn watch(&self, io: BoxIo) -> BoxIo {
        let mut inner = self.lock();
        inner.connections += 1;
        let connection = inner.connections;
        drop(inner);
        Box::new(Watched { io, connection, trace: self.clone() })
    }
}

/// A network whose bytes all go into the trace.
pub struct TracedNet<N> {
    pub net: N,
    pub trace: Trace,
}

#[async_trait::async_trait]
impl<N: Net> Net for TracedNet<N> {
    async fn bind(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let listener = self.net.bind(addr).await?;
        Ok(Box::new(TracedListener { listener, trace: self.trace.clone() }))
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<BoxIo> {
        Ok(self.trace.watch(self.net.dial(host, port).await?))
    }
}

struct TracedListener {
    listener: Box<dyn Listener>,
    trace: Trace,
}

#[async_trait::async_trait]
impl Listener for TracedListener {
    async fn accept(&mut self) -> io::Result<(BoxIo, SocketAddr)> {
        let (io, peer) = self.listener.accept().await?;
        Ok((self.trace.watch(io), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

struct Watched {
    io: BoxIo,
    connection: u64,
    trace: Trace,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.trace.passed(self.connection, Way::In, &buf.filled()[before..]);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(len)) = polled {
            self.trace.passed(self.connection, Way::Out, &bytes[..len]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
