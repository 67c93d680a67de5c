//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side: pure computation over messages, no store.

use super::AuthError;
use super::password::{SCRAM_ITERATIONS, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::ScramVerifier;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The client's first message.
pub(super) struct ClientFirst {
    pub login: String,
    /// `n,,` or `y,,`, with the authorization id: what the client's final message must repeat.
    gs2_header: String,
    bare: String,
    nonce: String,
}

/// The server's state between its two messages.
pub(super) struct Challenge {
    gs2_header: String,
    nonce: String,
    /// client-first-message-bare and server-first-message, joined by a comma.
    transcript: String,
    verifier: ScramVerifier,
}

/// Longest nonce a client may send.
const NONCE_LIMIT: usize = 256;

impl ClientFirst {
    /// RFC 5802 §7: `gs2-header n=login,r=nonce[,extensions]`.
    pub fn parse(message: &[u8]) -> Result<Self, AuthError> {
        let text = std::str::from_utf8(message).map_err(|_| AuthError::Malformed)?;
        let mut parts = text.splitn(3, ',');
        let (flag, authzid) = (parts.next(), parts.next());
        let (Some(flag @ ("n" | "y")), Some(authzid), Some(bare)) = (flag, authzid, parts.next()) else {
            // `p=…` asks for channel binding, which SCRAM-SHA-256 without -PLUS has not.
            return Err(AuthError::Malformed);
        };
        let mut attributes = bare.split(',');
        let login = attributes.next().and_then(|a| a.strip_prefix("n=")).ok_or(AuthError::Malformed)?;
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or(AuthError::Malformed)?;
        if nonce.is_empty() || nonce.len() > NONCE_LIMIT || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(AuthError::Malformed);
        }
        let login = unescape(login)?;
        match authzid.strip_prefix("a=").map(unescape).transpose()? {
            None if !authzid.is_empty() => return Err(AuthError::Malformed),
            // Acting as somebody else is not offered.
            Some(other) if other != login => return Err(AuthError::Invalid),
            _ => {}
        }
        let gs2_header = format!("{flag},{authzid},");
        Ok(Self { login, gs2_header, bare: bare.into(), nonce: nonce.into() })
    }

    /// The server's first message.
    pub fn challenge(self, verifier: ScramVerifier, server_nonce: [u8; 18]) -> (Challenge, Vec<u8>) {
        let nonce = format!("{}{}", self.nonce, STANDARD.encode(server_nonce));
        let message = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let transcript = format!("{},{message}", self.bare);
        (Challenge { gs2_header: self.gs2_header, nonce, transcript, verifier }, message.into_bytes())
    }
}

impl Challenge {
    /// Checks `c=binding,r=nonce[,extensions],p=proof`; answers the server's final message.
    pub fn verify(&self, message: &[u8]) -> Result<Vec<u8>, AuthError> {
        let text = std::str::from_utf8(message).map_err(|_| AuthError::Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(AuthError::Malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|a| a.strip_prefix("c=")).ok_or(AuthError::Malformed)?;
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or(AuthError::Malformed)?;
        let binding = STANDARD.decode(binding).map_err(|_| AuthError::Malformed)?;
        let proof = STANDARD.decode(proof).map_err(|_| AuthError::Malformed)?;
        let proof: [u8; 32] = proof.try_into().map_err(|_| AuthError::Malformed)?;
        if binding != self.gs2_header.as_bytes() || nonce != self.nonce {
            return Err(AuthError::Invalid);
        }
        let transcript = format!("{},{without_proof}", self.transcript);
        let signature = hmac(&self.verifier.stored_key, transcript.as_bytes());
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(byte, s)| *byte ^= s);
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        if !bool::from(stored_key.ct_eq(&self.verifier.stored_key)) {
            return Err(AuthError::Invalid);
        }
        let signature = hmac(&self.verifier.server_key, transcript.as_bytes());
        Ok(format!("v={}", STANDARD.encode(signature)).into_bytes())
    }
}

/// What a login that does not exist is challenged with: the same salt every time, as a real one would have, and keys
/// nobody has.
pub(super) fn nobody(key: &[u8; 32], login: &str) -> ScramVerifier {
    let bytes = hmac(key, format!("scram salt\0{login}").as_bytes());
    ScramVerifier {
        salt: bytes[..16].to_vec(),
        iterations: SCRAM_ITERATIONS,
        stored_key: hmac(&bytes, b"stored"),
        server_key: hmac(&bytes, b"server"),
    }
}

/// RFC 5802 §5.1: `=2C` is a comma, `=3D` an equals sign, and nothing else starts with `=`.
fn unescape(text: &str) -> Result<String, AuthError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        out.push_str(before);
        let (c, tail) = match after.get(..2) {
            Some("2C") => (',', &after[2..]),
            Some("3D") => ('=', &after[2..]),
            _ => return Err(AuthError::Malformed),
        };
        out.push(c);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}
