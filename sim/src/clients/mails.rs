//! The bytes of every mail: they follow from the run's seed and the numbers of mail and attempt, so that whoever gets
//! them back can tell whether they are whole.

use crate::history::Attempt;
use crate::seed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Attachments that mails share, so that their content is stored once and collected late.
const SHARED: u32 = 4;

/// Makes mails, and recognises them. All clones are one.
#[derive(Debug, Clone)]
pub struct Mails {
    seed: u64,
    /// Made so far, without the line that numbers the attempt: each is looked at again and again.
    made: Arc<Mutex<BTreeMap<u32, Arc<[u8]>>>>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognised {
    pub attempt: Option<Attempt>,
    /// Whether all bytes are those sent, after the lines that a server may put before them.
    pub intact: bool,
}

impl Mails {
    /// Those of a run.
    pub fn new(seed: u64) -> Self {
        Self { seed, made: Arc::default() }
    }

    /// The whole mail, lines ended by CRLF.
    pub fn bytes(&self, attempt: Attempt) -> Vec<u8> {
        // All attempts to send a mail are one mail, but for the number in the header.
        let number = format!("X-Sim: {}.{}\r\n", attempt.mail, attempt.attempt);
        let mut made = self.made.lock().expect("no holder of the lock panics");
        let rest = made.entry(attempt.mail).or_insert_with(|| self.make(attempt.mail).into());
        [number.as_bytes(), rest].concat()
    }

    fn make(&self, number: u32) -> Vec<u8> {
        let mut rng = seed::stream(self.seed, &format!("mail {number}"));
        let mut mail = format!(
            "From: Sim <sim@sim.test>\r\nTo: you@sim.test\r\nSubject: Mail {number}\r\n\
             Message-ID: <{number}@sim.test>\r\nMIME-Version: 1.0\r\n",
        )
        .into_bytes();
        let size = match rng.random_range(0..100) {
            0..80 => rng.random_range(0..2_000),
            80..94 => rng.random_range(2_000..30_000),
            94..98 => rng.random_range(33_000..90_000),
            _ => rng.random_range(262_145..400_000),
        };
        match rng.random_range(0..4) {
            0 => self.with_attachment(&mut mail, size, &mut rng),
            _ => {
                mail.extend_from_slice(b"Content-Type: text/plain\r\n\r\n");
                text(&mut mail, size, &mut rng);
            }
        }
        mail
    }

    /// Which attempt a message is, by what its header says.
    pub fn token(message: &[u8]) -> Option<Attempt> {
        let text = std::str::from_utf8(message.get(..message.len().min(1000))?).ok()?;
        let line =
            text.split("\r\n").take_while(|l| !l.is_empty()).find_map(|l| l.strip_prefix("X-Sim: "))?;
        let (mail, attempt) = line.trim().split_once('.')?;
        Some(Attempt { mail: mail.parse().ok()?, attempt: attempt.parse().ok()? })
    }

    /// Which attempt a whole message is, and whether it is intact.
    pub fn recognise(&self, message: &[u8]) -> Recognised {
        let Some(attempt) = Self::token(message) else { return Recognised { attempt: None, intact: false } };
        let sent = self.bytes(attempt);
        // RFC 5321 §4.4: Return-Path and Received come first, each perhaps folded.
        let intact = message.strip_suffix(&sent[..]).is_some_and(|trace| {
            let lines: Vec<&[u8]> = trace.split_inclusive(|b| *b == b'\n').collect();
            let begins = |line: &[u8], with: &[&[u8]]| with.iter().any(|w| line.starts_with(w));
            lines.iter().all(|l| l.ends_with(b"\r\n"))
                && lines.iter().all(|l| begins(l, &[b"Return-Path: ", b"Received: ", b"\t", b" "]))
        });
        Recognised { attempt: Some(attempt), intact }
    }

    fn with_attachment(&self, mail: &mut Vec<u8>, size: usize, rng: &mut StdRng) {
        mail.extend_from_slice(
            b"Content-Type: multipart/mixed; boundary=edge\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\n",
        );
        text(mail, size.min(500), rng);
        mail.extend_from_slice(
            b"--edge\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        );
        let shared = rng.random_bool(0.5).then(|| rng.random_range(0..SHARED));
        let mut content = match shared {
            Some(n) => seed::stream(self.seed, &format!("attachment {n}")),
            None => seed::stream(self.seed, &format!("attachment of {size} {}", rng.random::<u32>())),
        };
        let size = shared.map_or(size, |n| 5_000 + 9_000 * n as usize);
        let mut bytes = vec![0; size * 3 / 4];
        content.fill_bytes(&mut bytes);
        for line in STANDARD.encode(bytes).as_bytes().chunks(76) {
            mail.extend_from_slice(line);
            mail.extend_from_slice(b"\r\n");
        }
        mail.extend_from_slice(b"--edge--\r\n");
    }
}

/// Lines of words, some of which begin with a dot (RFC 5321 §4.5.2).
fn text(mail: &mut Vec<u8>, size: usize, rng: &mut StdRng) {
    const WORDS: [&str; 8] = ["smew", "garganey", "teal", ".", "gadwall", "*", "eider", "From"];
    let end = mail.len() + size;
    while mail.len() < end {
        let mut picks: u64 = rng.random();
        for _ in 0..10 {
            mail.extend_from_slice(WORDS[(picks % 8) as usize].as_bytes());
            mail.push(if picks & 64 == 0 { b' ' } else { b'-' });
            picks >>= 6;
        }
        mail.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_recognised_and_any_lost_byte_is_noticed() {
        let mails = Mails::new(3);
        for mail in 0..200 {
            let attempt = Attempt { mail, attempt: 2 };
            let sent = mails.bytes(attempt);
            let mut got = b"Return-Path: <a@b>\r\nReceived: from x\r\n\tby y\r\n".to_vec();
            got.extend_from_slice(&sent);
            assert_eq!(mails.recognise(&got), Recognised { attempt: Some(attempt), intact: true });
            assert_eq!(Mails::token(&got), Some(attempt));
            got.remove(got.len() - 3);
            assert_eq!(mails.recognise(&got), Recognised { attempt: Some(attempt), intact: false });
            let foreign = [b"X-Evil: 1\r\n".as_slice(), &sent].concat();
            assert!(!mails.recognise(&foreign).intact);
        }
    }

    #[test]
    fn some_mails_are_large() {
        let mails = Mails::new(3);
        let sizes: Vec<usize> =
            (0..300).map(|mail| mails.bytes(Attempt { mail, attempt: 1 }).len()).collect();
        assert!(sizes.iter().filter(|s| **s > 32 << 10).count() > 5, "{sizes:?}");
        assert!(sizes.iter().any(|s| *s > 256 << 10), "{sizes:?}");
        assert!(sizes.iter().filter(|s| **s < 4000).count() > 150, "{sizes:?}");
    }
}
