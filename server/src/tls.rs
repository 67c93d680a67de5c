//! TLS with rustls: certificates from files, read again when they change, self-signed, or ordered.

use crate::acme::AlpnAnswers;
use crate::acme::PROTOCOL;
use crate::net::{BoxIo, TlsInfo, TlsUpgrade};
use async_trait::async_trait;
use rustls::crypto::ring;
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

/// How often certificate files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// Accepts TLS with a certificate that can be exchanged while running.
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: Option<(PathBuf, PathBuf)>,
    /// Answers an authority that connects to see whether we are who we say.
    challenges: Option<AlpnAnswers>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Tls {
    /// Serves the certificate chain and key in two PEM files.
    pub fn from_files(cert: &Path, key: &Path) -> Result<Tls, TlsError> {
        let certified = read_pair(cert, key)?;
        Ok(Tls { files: Some((cert.into(), key.into())), ..Self::serving(certified)? })
    }

    /// Serves a self-signed certificate for `names`, kept in `directory` so that it stays the same.
    pub fn self_signed(names: &[String], directory: &Path) -> Result<Tls, TlsError> {
        let (cert, key) = (directory.join("self-signed.crt"), directory.join("self-signed.key"));
        if !(cert.exists() && key.exists()) {
            make_self_signed(names, &cert, &key)?;
        }
        Self::serving(read_pair(&cert, &key)?)
    }

    /// Serves what is installed, and until then something that nobody trusts. Answers TLS-ALPN-01.
    pub fn ordered(names: &[String], challenges: AlpnAnswers) -> Result<Tls, TlsError> {
        let made = rcgen::generate_simple_self_signed(names.to_vec())
            .map_err(|e| TlsError(format!("cannot make a certificate for the meantime: {e}")))?;
        let meantime = parse_pair(&made.cert.pem(), &made.signing_key.serialize_pem())?;
        Ok(Tls { challenges: Some(challenges), ..Self::serving(meantime)? })
    }

    /// Serves this from now on.
    pub fn install(&self, chain_pem: &str, key_pem: &str) -> Result<(), TlsError> {
        let fresh = Arc::new(parse_pair(chain_pem, key_pem)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn serving(certified: CertifiedKey) -> Result<Tls, TlsError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(certified))));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError(e.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), current, files: None, challenges: None })
    }

    /// Reads the files again; a pair that does not fit together leaves the old one in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some((cert, key)) = &self.files else { return Ok(()) };
        let fresh = Arc::new(read_pair(cert, key)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Watches the files for ever, reloading when either has changed, and at once on `now`.
    pub async fn watch(self: Arc<Self>, now: Arc<tokio::sync::Notify>) {
        let Some((cert, key)) = self.files.clone() else { return };
        let stamp = || (modified(&cert), modified(&key));
        let mut seen = stamp();
        loop {
            let asked = tokio::time::timeout(LOOK_AGAIN, now.notified()).await.is_ok();
            let found = stamp();
            if !asked && found == seen {
                continue;
            }
            match self.reload() {
                Ok(()) => {
                    tracing::info!(cert = %cert.display(), "certificate loaded");
                    seen = found;
                }
                // The two files are often replaced one after the other: the next look finds them matched.
                Err(e) => tracing::warn!(error = %e, "certificate not reloaded, the old one stays in use"),
            }
        }
    }
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

fn read_pair(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|e| TlsError(format!("cannot read a certificate from {}: {e}", cert.display())))?;
    if chain.is_empty() {
        return Err(TlsError(format!("{} holds no certificate", cert.display())));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| TlsError(format!("cannot read a private key from {}: {e}", key.display())))?;
    CertifiedKey::from_der(chain, private, &ring::default_provider())
        .map_err(|e| TlsError(format!("{} and {} do not fit together: {e}", cert.display(), key.display())))
}

fn parse_pair(chain_pem: &str, key_pem: &str) -> Result<CertifiedKey, TlsError> {
    let bad = |e: &dyn std::fmt::Display| TlsError(format!("not a certificate and its key: {e}"));
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|e| bad(&e))?;
    CertifiedKey::from_der(chain.map_err(|e| bad(&e))?, key, &ring::default_provider()).map_err(|e| bad(&e))
}

fn make_self_signed(names: &[String], cert: &Path, key: &Path) -> Result<(), TlsError> {
    let made = rcgen::generate_simple_self_signed(names.to_vec())
        .map_err(|e| TlsError(format!("cannot make a self-signed certificate: {e}")))?;
    let write = |path: &Path, text: String| {
        write_private(path, text.as_bytes())
            .map_err(|e| TlsError(format!("cannot write {}: {e}", path.display())))
    };
    write(key, made.signing_key.serialize_pem())?;
    write(cert, made.cert.pem())
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

#[async_trait]
impl TlsUpgrade for Tls {
    async fn accept(&self, io: BoxIo) -> io::Result<(BoxIo, TlsInfo)> {
        let stream = match &self.challenges {
            None => self.acceptor.accept(io).await?,
            Some(challenges) => {
                let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
                if let Some(name) = challenged(&start.client_hello()) {
                    start.into_stream(challenges.handshake(&name).await?).await?.shutdown().await?;
                    // RFC 8737 §3: the handshake was all there is to it.
                    return Err(io::Error::other("a challenge, which was answered"));
                }
                start.into_stream(self.acceptor.config().clone()).await?
            }
        };
        let (_, session) = stream.get_ref();
        let text = |t: Option<String>| t.unwrap_or_else(|| "unknown".into());
        let info = TlsInfo {
            version: text(session.protocol_version().and_then(|v| v.as_str().map(version_name))),
            cipher: text(
                session.negotiated_cipher_suite().and_then(|s| s.suite().as_str().map(str::to_owned)),
            ),
            server_name: session.server_name().map(str::to_owned),
        };
        Ok((Box::new(stream), info))
    }
}

/// The name that an authority asks about; `None` for everybody else.
fn challenged(hello: &ClientHello<'_>) -> Option<String> {
    let mut offered = hello.alpn()?;
    let is_authority = offered.next() == Some(PROTOCOL) && offered.next().is_none();
    is_authority.then(|| hello.server_name().unwrap_or_default().to_owned())
}

/// `TLSv1_3` as people write it.
fn version_name(rustls_name: &str) -> String {
    rustls_name.replace('_', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        Tls::self_signed(&["localhost".into()], dir.path()).unwrap();
        let first = std::fs::read(dir.path().join("self-signed.crt")).unwrap();
        Tls::self_signed(&["localhost".into()], dir.path()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("self-signed.crt")).unwrap(), first);
    }

    #[test]
    fn a_pair_that_does_not_fit_leaves_the_old_certificate_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for n in ["a", "b"] {
            make_self_signed(&["localhost".into()], &path(&format!("{n}.crt")), &path(&format!("{n}.key")))
                .unwrap();
        }
        std::fs::copy(path("a.crt"), path("live.crt")).unwrap();
        std::fs::copy(path("a.key"), path("live.key")).unwrap();
        let tls = Tls::from_files(&path("live.crt"), &path("live.key")).unwrap();
        let serving = |tls: &Tls| tls.current.0.read().unwrap().cert[0].clone();
        let old = serving(&tls);
        std::fs::copy(path("b.crt"), path("live.crt")).unwrap();
        assert!(tls.reload().unwrap_err().to_string().contains("do not fit together"));
        assert_eq!(serving(&tls), old);
        std::fs::copy(path("b.key"), path("live.key")).unwrap();
        tls.reload().unwrap();
        assert_ne!(serving(&tls), old);
    }

    #[test]
    fn a_missing_file_is_named() {
        let e = Tls::from_files(Path::new("/no/such.crt"), Path::new("/no/such.key")).err().unwrap();
        assert!(e.to_string().contains("/no/such.crt"), "{e}");
    }
}
