//! The PROXY protocol (HAProxy's, versions 1 and 2): a balancer says first for whom it connects.
//!
//! From the configured addresses a header must come; from elsewhere none may. Knows no doors and no limits.

use crate::net::BoxIo;
use proxy_header::{Error, ParseConfig, ProxyHeader};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// How long a balancer may take: it has the header ready when it connects.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest header, in bytes: with what balancers add on certificates and names.
const LIMIT: usize = 4096;
const VERSION_1: &[u8] = b"PROXY ";
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What one says who connects for himself where a header must come (§2.2: LOCAL).
pub const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Reads the header that must come first. The client's address, if the balancer connects for one.
pub async fn accept(mut io: BoxIo) -> io::Result<(BoxIo, Option<SocketAddr>)> {
    let reading = async {
        let mut head = Vec::with_capacity(256);
        loop {
            if io.read_buf(&mut head).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            if let Some((client, length)) = parse(&head)? {
                return Ok((client, head.split_off(length)));
            }
        }
    };
    let (client, rest) = tokio::time::timeout(PATIENCE, reading)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no PROXY header came in time"))??;
    Ok((Beginning::over(io, rest, Watch::Done), client))
}

/// The client and the length of a whole header; `None` while there is more to come.
fn parse(head: &[u8]) -> io::Result<Option<(Option<SocketAddr>, usize)>> {
    let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    // The parser looks at the length before anything else.
    if ![VERSION_1, VERSION_2].iter().any(|version| version.starts_with(head) || head.starts_with(version)) {
        return invalid("the PROXY header that this address must send is missing");
    }
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    match ProxyHeader::parse(head, config) {
        Ok((header, length)) => Ok(Some((header.proxied_address().map(|address| address.source), length))),
        // The parser takes a line that ends too early for one that goes on.
        Err(Error::BufferTooShort) if head.starts_with(VERSION_1) && head.contains(&b'\n') => {
            invalid("a malformed PROXY header")
        }
        Err(Error::BufferTooShort) if head.len() < LIMIT => Ok(None),
        Err(Error::BufferTooShort) => invalid("a PROXY header without an end"),
        Err(_) => invalid("a malformed PROXY header"),
    }
}

/// A stream on which no header may come: one ends it before anything else is read from it.
pub fn refuse(io: BoxIo) -> BoxIo {
    Beginning::over(io, Vec::new(), Watch::For)
}

/// Whether the first bytes are still watched for a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    For,
    Done,
    /// One came.
    Refused,
}

/// A stream of which some was read already.
struct Beginning {
    io: BoxIo,
    /// What was read and not yet handed on.
    held: Vec<u8>,
    watch: Watch,
}

impl Beginning {
    fn over(io: BoxIo, held: Vec<u8>, watch: Watch) -> BoxIo {
        if held.is_empty() && watch == Watch::Done {
            return io;
        }
        Box::new(Beginning { io, held, watch })
    }

    /// Reads until it is clear whether a header begins here. No line of any protocol is complete before that, but for
    /// an empty one.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.watch == Watch::For {
            let mut space = [0; VERSION_2.len()];
            let mut chunk = ReadBuf::new(&mut space[self.held.len()..]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk))?;
            let ended = chunk.filled().is_empty();
            self.held.extend_from_slice(chunk.filled());
            let begins = |version: &[u8]| version.starts_with(&self.held);
            if self.held.starts_with(VERSION_1) || self.held == VERSION_2 {
                tracing::warn!("a PROXY header from an address that is not in proxy-from: closed");
                self.watch = Watch::Refused;
            } else if ended || !(begins(VERSION_1) || begins(VERSION_2)) {
                self.watch = Watch::Done;
            }
        }
        match self.watch {
            Watch::Refused => Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a PROXY header"))),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Beginning {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_watch(cx))?;
        if self.held.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let count = self.held.len().min(buf.remaining());
        buf.put_slice(&self.held[..count]);
        self.held.drain(..count);
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Beginning {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 143\r\n";
    /// IPv6, with one TLV.
    fn v2() -> Vec<u8> {
        let mut header = VERSION_2.to_vec();
        header.extend([0x21, 0x21, 0, 36 + 5]);
        header.extend(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).octets());
        header.extend(std::net::Ipv6Addr::LOCALHOST.octets());
        header.extend([0xc8, 0x22, 0, 143]);
        header.extend([0x02, 0, 2, b'h', b'i']);
        header
    }

    /// What is accepted when `sent` arrives in pieces of `piece` bytes, and what is read after the header.
    async fn accepted(sent: &[u8], piece: usize) -> io::Result<(Option<SocketAddr>, Vec<u8>)> {
        let (mut client, server) = tokio::io::duplex(piece);
        let sent = sent.to_vec();
        let sending = tokio::spawn(async move {
            let _ = client.write_all(&sent).await;
        });
        let (mut io, client) = accept(Box::new(server)).await?;
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await?;
        sending.await.unwrap();
        Ok((client, rest))
    }

    #[tokio::test]
    async fn both_versions_tell_the_client_however_they_arrive() {
        for (header, client) in [
            (V1.to_vec(), Some("192.0.2.7:51234")),
            (b"PROXY TCP6 2001:db8::7 ::1 51234 143\r\n".to_vec(), Some("[2001:db8::7]:51234")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (v2(), Some("[2001:db8::7]:51234")),
            (LOCAL.to_vec(), None),
        ] {
            let client: Option<SocketAddr> = client.map(|c| c.parse().unwrap());
            for piece in [1, 7, 4096] {
                for rest in [&b""[..], b"a LOGIN x y\r\n"] {
                    let sent = [&header[..], rest].concat();
                    let got = accepted(&sent, piece).await.unwrap();
                    assert_eq!(got, (client, rest.to_vec()), "{header:?} in {piece}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_header_there_is_no_connection() {
        let long = [VERSION_2, &[0x21, 0x11, 0xff, 0xff], &[0; 5000]].concat();
        for wrong in [
            &b"a LOGIN x y\r\n"[..],
            b"EHLO x\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 51234\r\n",
            b"PROXY TCP4 192.0.2.300 198.51.100.1 1 2\r\n",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
            &[b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(),
            &long,
        ] {
            let e = accepted(wrong, 4096).await.unwrap_err();
            assert_eq!(e.kind(), io::ErrorKind::InvalidData, "{wrong:?}: {e}");
        }
        assert_eq!(accepted(&V1[..20], 64).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (_silent, server) = tokio::io::duplex(64);
        let began = tokio::time::Instant::now();
        let Err(e) = accept(Box::new(server)).await else { panic!("nothing was sent") };
        assert_eq!((e.kind(), began.elapsed()), (io::ErrorKind::TimedOut, PATIENCE));
    }

    async fn passed(sent: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let (mut client, server) = tokio::io::duplex(piece);
        let sent = sent.to_vec();
        tokio::spawn(async move { client.write_all(&sent).await });
        let mut received = Vec::new();
        refuse(Box::new(server)).read_to_end(&mut received).await?;
        Ok(received)
    }

    #[tokio::test]
    async fn an_unasked_header_ends_the_connection_before_anything_is_read() {
        for piece in [1, 5, 4096] {
            for header in [V1, &v2(), LOCAL] {
                let sent = [header, b"a LOGIN x y\r\n"].concat();
                let e = passed(&sent, piece).await.unwrap_err();
                assert_eq!(e.kind(), io::ErrorKind::InvalidData);
            }
            for harmless in
                [&b""[..], b"P", b"PASS x\r\n", b"PROXIMA ", b"\r\n\r\nx", b"\x16\x03\x01", b"\r\n"]
            {
                assert_eq!(passed(harmless, piece).await.unwrap(), harmless);
            }
        }
    }
}
