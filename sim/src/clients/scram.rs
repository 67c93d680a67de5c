//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the client's side: the only mechanism with which a password may cross a network
//! that is not encrypted.

use crate::history::Login;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Salted passwords, which RFC 5802 §3 lets a client keep. All clones are one store.
#[derive(Clone, Default)]
pub struct Keys {
    salted: Arc<Mutex<BTreeMap<Known, [u8; 32]>>>,
}

/// Login with password, and the salt.
type Known = (Login, Vec<u8>);

/// An exchange.
pub struct Scram {
    keys: Keys,
    login: String,
    password: String,
    bare: String,
    server: Option<[u8; 32]>,
}

impl Scram {
    pub fn new(keys: Keys, login: &str, password: &str, nonce: u64) -> Self {
        let bare = format!("n={login},r={nonce:016x}");
        Self { keys, login: login.into(), password: password.into(), bare, server: None }
    }

    /// The first message, encoded.
    pub fn first(&self) -> String {
        STANDARD.encode(format!("n,,{}", self.bare))
    }

    /// Answers a challenge; both encoded. An error says what the server did wrong.
    pub fn answer(&mut self, challenge: &str) -> Result<String, String> {
        let wrong = |why: &str| format!("SCRAM: {why}: {challenge:?}");
        let challenge = STANDARD.decode(challenge).map_err(|_| wrong("no base64"))?;
        let challenge = String::from_utf8(challenge).map_err(|_| wrong("no text"))?;
        match self.server {
            None => {
                Ok(STANDARD.encode(self.prove(&challenge).ok_or_else(|| wrong("a malformed challenge"))?))
            }
            Some(server) if challenge == format!("v={}", STANDARD.encode(server)) => Ok(String::new()),
            Some(_) => Err(wrong("the server does not know the password")),
        }
    }

    fn prove(&mut self, challenge: &str) -> Option<String> {
        let field = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name));
        let (nonce, salt, rounds) = (field("r=")?, STANDARD.decode(field("s=")?).ok()?, field("i=")?);
        let salted = self.salted(salt, rounds.parse().ok()?);
        let without_proof = format!("c=biws,r={nonce}");
        let transcript = format!("{},{challenge},{without_proof}", self.bare);
        let client_key = hmac(&salted, b"Client Key");
        let signature = hmac(&Sha256::digest(client_key), transcript.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, byte)| key ^ byte).collect();
        self.server = Some(hmac(&hmac(&salted, b"Server Key"), transcript.as_bytes()));
        Some(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    fn salted(&self, salt: Vec<u8>, rounds: u32) -> [u8; 32] {
        let mut known = self.keys.salted.lock().expect("no holder of the lock panics");
        let key = (format!("{}\0{}", self.login, self.password), salt);
        let salt = key.1.clone();
        *known.entry(key).or_insert_with(|| {
            pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(self.password.as_bytes(), &salt, rounds)
        })
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
