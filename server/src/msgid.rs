//! MSGIDs: public capabilities that open one message on the web, as Ethereal's do.
//!
//! 44 bytes (account, mailbox, UID, truncated HMAC-SHA-256 over them) in base64 with `.` and `-` for `+`
//! and `/`: 59 characters of `[A-Za-z0-9.-]`. Whoever holds one may read that message; nobody can make one
//! without the secret.

use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use gadwall_storage::{AccountId, MailboxId, MailboxRef, Uid};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::LazyLock;

const SIGNATURE_LEN: usize = 16;
const PAYLOAD_LEN: usize = 12 + 12 + 4;

static ENCODING: LazyLock<GeneralPurpose> = LazyLock::new(|| {
    let alphabet = Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-")
        .expect("64 different printable characters");
    GeneralPurpose::new(&alphabet, NO_PAD)
});

/// Makes and checks MSGIDs with one secret. Nodes that share the secret open each other's.
#[derive(Clone)]
pub struct MessageIds {
    secret: [u8; 32],
}

impl MessageIds {
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The MSGID of a message.
    pub fn sign(&self, at: MailboxRef, uid: Uid) -> String {
        let mut bytes = Vec::with_capacity(PAYLOAD_LEN + SIGNATURE_LEN);
        bytes.extend_from_slice(&at.account.0);
        bytes.extend_from_slice(&at.mailbox.0);
        bytes.extend_from_slice(&uid.get().to_be_bytes());
        let signature = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&signature[..SIGNATURE_LEN]);
        ENCODING.encode(bytes)
    }

    /// What a MSGID opens; `None` unless this secret made it. Takes the same time wherever it is wrong.
    pub fn verify(&self, msgid: &str) -> Option<(MailboxRef, Uid)> {
        let bytes = ENCODING.decode(msgid).ok().filter(|b| b.len() == PAYLOAD_LEN + SIGNATURE_LEN)?;
        let (payload, signature) = bytes.split_at(PAYLOAD_LEN);
        self.mac(payload).verify_truncated_left(signature).ok()?;
        let account = AccountId(payload[..12].try_into().ok()?);
        let mailbox = MailboxId(payload[12..24].try_into().ok()?);
        let uid = Uid::new(u32::from_be_bytes(payload[24..28].try_into().ok()?))?;
        Some((MailboxRef { account, mailbox }, uid))
    }

    fn mac(&self, payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.update(b"gadwall msgid v1\0");
        mac.update(payload);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (MailboxRef, Uid) {
        let at = MailboxRef { account: AccountId([1; 12]), mailbox: MailboxId([2; 12]) };
        (at, Uid::new(77).unwrap())
    }

    #[test]
    fn opens_what_it_signed_and_nothing_else() {
        let (at, uid) = sample();
        let ids = MessageIds::new([7; 32]);
        let msgid = ids.sign(at, uid);
        assert_eq!(msgid.len(), 59);
        assert!(msgid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'));
        assert_eq!(ids.verify(&msgid), Some((at, uid)));
        assert_eq!(MessageIds::new([8; 32]).verify(&msgid), None);
        for i in 0..msgid.len() {
            let mut other = msgid.clone().into_bytes();
            other[i] = if other[i] == b'A' { b'B' } else { b'A' };
            assert_eq!(ids.verify(std::str::from_utf8(&other).unwrap()), None, "changed at {i}");
        }
    }

    #[test]
    fn rubbish_opens_nothing() {
        let ids = MessageIds::new([7; 32]);
        for text in ["", "x", &"A".repeat(59), &"é".repeat(30), &"A".repeat(10_000)] {
            assert_eq!(ids.verify(text), None);
        }
    }
}
