//! Connections over TCP, with TLS from the start, by STARTTLS, or without.

use crate::runner::{Dial, Dialing};
use crate::talk::Stream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For each of: connecting, the greeting before STARTTLS, the handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line read before TLS, in bytes.
const LINE_LIMIT: usize = 8 << 10;

/// When a connection becomes private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tls {
    None,
    Starttls,
    Implicit,
}

/// Which certificates are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Those of public authorities, for the name that is dialled.
    Public,
    /// Any.
    Anything,
}

/// A server behind a port.
pub struct Tcp {
    host: String,
    port: u16,
    tls: Tls,
    connector: TlsConnector,
}

impl Tcp {
    pub fn new(host: &str, port: u16, tls: Tls, trust: Trust) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for every version");
        let config = match trust {
            Trust::Public => {
                let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Trust::Anything => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(TakesAny(provider)))
                .with_no_client_auth(),
        };
        Tcp { host: host.into(), port, tls, connector: TlsConnector::from(Arc::new(config)) }
    }

    async fn private(&self, plain: TcpStream) -> io::Result<impl Stream + use<>> {
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        within(self.connector.connect(name, plain)).await
    }

    async fn connected(&self) -> io::Result<Box<dyn Stream>> {
        // A client of other people's servers, outside any simulation.
        #[allow(clippy::disallowed_methods)]
        let mut plain = within(TcpStream::connect((self.host.as_str(), self.port))).await?;
        plain.set_nodelay(true)?;
        match self.tls {
            Tls::None => Ok(Box::new(plain)),
            Tls::Implicit => Ok(Box::new(self.private(plain).await?)),
            Tls::Starttls => {
                let greeting = within(line(&mut plain)).await?;
                plain.write_all(b"tls STARTTLS\r\n").await?;
                loop {
                    let answer = within(line(&mut plain)).await?;
                    if answer.starts_with(b"tls OK") {
                        break;
                    }
                    if answer.starts_with(b"tls ") {
                        let said = String::from_utf8_lossy(&answer).trim_end().to_owned();
                        return Err(io::Error::other(format!("STARTTLS is refused: {said}")));
                    }
                }
                // The greeting is not said again: a case finds it where it is without TLS.
                Ok(Box::new(Replayed { first: io::Cursor::new(greeting), rest: self.private(plain).await? }))
            }
        }
    }
}

impl Dial for Tcp {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(self.connected())
    }
}

async fn within<T>(doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, doing).await?
}

/// Byte by byte, so that nothing behind it is taken.
async fn line(io: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        if line.len() == LINE_LIMIT {
            return Err(io::Error::other("a line without end before TLS"));
        }
        line.push(io.read_u8().await?);
    }
    Ok(line)
}

/// Bytes that were read already, then the stream.
struct Replayed<S> {
    first: io::Cursor<Vec<u8>>,
    rest: S,
}

impl<S: Stream> AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.first).poll_read(cx, buf);
        if buf.filled().len() > before { read } else { Pin::new(&mut self.rest).poll_read(cx, buf) }
    }
}

impl<S: Stream> AsyncWrite for Replayed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(cx)
    }
}

/// Checks signatures, so that the handshake is a real one, but not who signs.
#[derive(Debug)]
struct TakesAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
