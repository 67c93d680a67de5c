//! Password hashes and verifiers.

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use gadwall_storage::{Credentials, Entropy, ScramVerifier};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// RFC 7677 §4: at least 4096.
pub(super) const SCRAM_ITERATIONS: u32 = 4096;

/// What it costs to hash a new password, and so to guess one from its hash. No setting: only code can choose another
/// than the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    memory_kib: u32,
    passes: u32,
    scram_iterations: u32,
}

impl PasswordCost {
    /// As little as there can be: for simulations, whose passwords protect nothing.
    pub const LEAST: PasswordCost = PasswordCost { memory_kib: 8, passes: 1, scram_iterations: 1 };
}

impl Default for PasswordCost {
    /// Argon2id as OWASP recommends it: 19 MiB, two passes, one lane.
    fn default() -> Self {
        PasswordCost { memory_kib: 19_456, passes: 2, scram_iterations: SCRAM_ITERATIONS }
    }
}
/// A hash no password has (its output is nothing but zeros): unknown logins are checked against it, so that they
/// take as long as wrong passwords.
pub(super) const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Z2Fkd2FsbCBub2JvZHkhIQ$\
     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes a password. CPU heavy: call it on a blocking thread.
pub fn make_credentials(password: &str, cost: PasswordCost, entropy: &dyn Entropy) -> Credentials {
    let password = prepare(password);
    let salt: [u8; 16] = entropy.bytes();
    let hash = argon2(cost).hash_password_with_salt(password.as_bytes(), &salt);
    let scram_salt: [u8; 16] = entropy.bytes();
    Credentials {
        password_hash: hash.expect("a salt of 16 bytes and fixed parameters are valid").to_string(),
        scram_sha_256: scram_verifier(&password, &scram_salt, cost.scram_iterations),
    }
}

/// Whether `password` is what `hash` was made of. CPU heavy: as heavy as the hash says that making it was.
pub(crate) fn verify(password: &str, hash: &str) -> bool {
    argon2(PasswordCost::default()).verify_password(prepare(password).as_bytes(), hash).is_ok()
}

fn argon2(cost: PasswordCost) -> Argon2<'static> {
    let params =
        Params::new(cost.memory_kib, cost.passes, 1, None).expect("fixed parameters within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// A password of 18 characters from `[A-Za-z0-9]` (107 bits).
pub fn generate_password(entropy: &dyn Entropy) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut password = String::with_capacity(18);
    while password.len() < 18 {
        for byte in entropy.bytes::<32>() {
            // 248 = 4 * 62: bytes beyond would favour the first letters.
            if byte < 248 && password.len() < 18 {
                password.push(char::from(ALPHABET[usize::from(byte) % 62]));
            }
        }
    }
    password
}

/// What SASLprep (RFC 4013 §2) does to ordinary passwords: spaces become U+0020, invisible characters vanish, the
/// rest is NFKC. So a password typed on another keyboard is the same password.
pub(super) fn prepare(password: &str) -> String {
    let mapped = password.chars().filter_map(|c| match c {
        '\u{00a0}' | '\u{1680}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        '\u{00ad}' | '\u{034f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200c}' | '\u{200d}' => None,
        '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => None,
        c => Some(c),
    });
    mapped.nfkc().collect()
}

/// RFC 5802 §3: StoredKey and ServerKey of a prepared password.
pub(super) fn scram_verifier(password: &str, salt: &[u8], iterations: u32) -> ScramVerifier {
    let salted: [u8; 32] = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations);
    let client_key = hmac(&salted, b"Client Key");
    ScramVerifier {
        salt: salt.to_vec(),
        iterations,
        stored_key: Sha256::digest(client_key).into(),
        server_key: hmac(&salted, b"Server Key"),
    }
}

pub(super) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
