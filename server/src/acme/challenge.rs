//! The answer to TLS-ALPN-01 (RFC 8737): a certificate that only says that the challenge is known here.

use super::shelf::{Answer, Shelf};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::ring;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;

/// What the authority offers as its protocol, and nothing else (§6.2).
pub const PROTOCOL: &[u8] = b"acme-tls/1";

/// Answers from what lies on the shelf.
pub struct AlpnAnswers(Shelf);

impl AlpnAnswers {
    pub fn new(shelf: Shelf) -> Self {
        Self(shelf)
    }

    /// How the handshake with the authority that asks for `domain` is done.
    pub async fn handshake(&self, domain: &str) -> io::Result<Arc<rustls::ServerConfig>> {
        let answers = self.0.answers().await.map_err(io::Error::other)?;
        let answer = answers.iter().find(|answer| answer.domain.eq_ignore_ascii_case(domain));
        let answer = answer.ok_or_else(|| io::Error::other("nobody was challenged for this name"))?;
        config(answer).map(Arc::new).map_err(io::Error::other)
    }
}

fn config(answer: &Answer) -> Result<rustls::ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    // §3: self-signed, with the name and the digest of the key authorization in a critical extension.
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([answer.domain.clone()])?;
    let digest = Sha256::digest(answer.key_authorization.as_bytes());
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    let certificate = params.self_signed(&key)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Not checked against each other: rustls refuses to read a certificate with an extension that it must not ignore.
    let certified = CertifiedKey::new(
        vec![certificate.der().clone()],
        ring::default_provider().key_provider.load_private_key(private)?,
    );
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}
