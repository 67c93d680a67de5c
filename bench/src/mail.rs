//! Mail as it comes: sizes with a long tail, text and HTML, pictures and documents, the same attachment sent to many, and
//! lists that send one message to several.

use base64::Engine;
use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::fmt::Write;
use std::sync::Arc;

/// Bytes of the smallest and the largest.
const SMALLEST: f64 = 1_500.0;
const LARGEST: f64 = 20_000_000.0;
/// Median of the log-normal sizes, in bytes, and its sigma: a mean of about 50 KB.
const MEDIAN: f64 = 11_000.0;
const SIGMA: f64 = 1.75;
/// Above this a message is large for what it carries, not for what it says.
const TEXT: usize = 30_000;
/// Of 100 messages, so many are what a list has sent to somebody else just before.
const FROM_LIST: u64 = 12;
/// Of 100 attachments, so many have been sent before.
const SENT_BEFORE: u64 = 25;

/// A generator of random numbers: SplitMix64 (Steele et al., OOPSLA 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// In 0..1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Log-normal, by Box and Muller.
    fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let normal = (-2.0 * (1.0 - self.part()).ln()).sqrt() * (TAU * self.part()).cos();
        median * (sigma * normal).exp()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// An endless mailbox, the same for the same seed.
pub struct Mix {
    random: Random,
    words: Vec<String>,
    /// What has been attached, encoded already, for being attached again.
    attached: VecDeque<Arc<Attachment>>,
    /// The last message's body and its header's own part, for a list.
    last: Option<(String, String)>,
    number: u64,
}

struct Attachment {
    kind: &'static str,
    name: String,
    base64: String,
}

impl Mix {
    pub fn new(seed: u64) -> Mix {
        let mut random = Random::new(seed);
        let words = (0..4000).map(|_| word(&mut random)).collect();
        Mix { random, words, attached: VecDeque::new(), last: None, number: 0 }
    }

    /// The next message as it is sent: dot-stuffed (no line begins with a dot) and ended with CRLF.
    pub fn message(&mut self) -> Vec<u8> {
        self.number += 1;
        if self.last.is_none() || self.random.below(100) >= FROM_LIST {
            let drawn = self.random.log_normal(MEDIAN, SIGMA).clamp(SMALLEST, LARGEST) as usize;
            self.last = Some(self.compose(drawn));
        }
        let (number, trace) = (self.number, self.random.next());
        let Some((header, body)) = &self.last else { return Vec::new() };
        // What each copy has of its own: how it came here, and for whom.
        let received = format!(
            "Received: from mx{}.example.org (mx.example.org [192.0.2.{}])\r\n\tby mail.example.com (MTA) with ESMTPS id \
             {trace:016x}\r\n\tfor <reader{number}@example.com>; Tue, 24 Nov 2026 10:{:02}:{:02} +0000\r\n",
            trace % 7,
            trace % 250,
            number / 60 % 60,
            number % 60
        );
        [received.as_bytes(), header.as_bytes(), body.as_bytes()].concat()
    }

    fn compose(&mut self, size: usize) -> (String, String) {
        let (sender, id) = (self.random.below(400), self.random.next());
        let mut header = format!(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s{};\r\n\tbh={};\r\n\tb={}\r\n\
             From: Sender {sender} <sender{sender}@example.org>\r\nTo: Reader <reader@example.com>\r\nSubject: ",
            sender % 5,
            line(&self.random.bytes(32)),
            fold(&line(&self.random.bytes(256))),
        );
        for _ in 0..3 + self.random.below(6) {
            header.push_str(self.word_at_random());
            header.push(' ');
        }
        let _ = write!(
            header,
            "\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{id:016x}@example.org>\r\nMIME-Version: 1.0\r\n"
        );
        let text = if size > TEXT { 2_000 + self.random.below(8_000) as usize } else { size };
        let mut body = String::new();
        // A third is plain text; the others have it twice, the second time with a template around it.
        if size <= TEXT && self.random.below(3) == 0 {
            header.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\n");
            self.text(&mut body, text.saturating_sub(900));
            return (header, body);
        }
        let kind = if size > TEXT { "mixed" } else { "alternative" };
        let boundary = format!("=_{:016x}", self.random.next());
        let _ = write!(header, "Content-Type: multipart/{kind};\r\n\tboundary=\"{boundary}\"\r\n\r\n");
        let _ = write!(body, "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
        self.text(&mut body, text / 4);
        let _ = write!(body, "--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n");
        self.html(&mut body, sender, text * 3 / 4);
        while body.len() < size && size > TEXT {
            let attachment = self.attachment((size - body.len()) * 3 / 4);
            let Attachment { kind, name, base64 } = attachment.as_ref();
            let _ = write!(
                body,
                "--{boundary}\r\nContent-Type: {kind}; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\
                 Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{base64}"
            );
        }
        let _ = write!(body, "--{boundary}--\r\n");
        (header, body)
    }

    /// A picture or a document of about so many bytes, or one that has been sent before.
    fn attachment(&mut self, bytes: usize) -> Arc<Attachment> {
        if !self.attached.is_empty() && self.random.below(100) < SENT_BEFORE {
            let at = self.random.below(self.attached.len() as u64) as usize;
            return self.attached[at].clone();
        }
        let (kind, ending) =
            if self.random.below(5) < 3 { ("image/png", "png") } else { ("application/pdf", "pdf") };
        let number = self.random.below(1000);
        let name = format!("{}-{number}.{ending}", self.word_at_random());
        // Both formats are compressed already, but for some structure.
        let mut content = format!("%{ending} structure of the file\n").repeat(20).into_bytes();
        content.extend(self.random.bytes(bytes.max(1_000)));
        let base64 = base64::engine::general_purpose::STANDARD.encode(content);
        let attachment = Arc::new(Attachment { kind, name, base64: lines_of(&base64) });
        self.attached.push_back(attachment.clone());
        if self.attached.len() > 30 {
            self.attached.pop_front();
        }
        attachment
    }

    /// Words as often as in a language: Zipf's law.
    fn word_at_random(&mut self) -> &str {
        let rank = (self.words.len() as f64).powf(self.random.part()) as usize;
        &self.words[rank.min(self.words.len() - 1)]
    }

    fn text(&mut self, out: &mut String, bytes: usize) {
        let (end, mut column) = (out.len() + bytes, 0);
        while out.len() < end {
            let from = out.len();
            let word = self.word_at_random().to_owned();
            out.push_str(&word);
            column += out.len() - from + 1;
            if column > 70 {
                out.push_str("\r\n");
                column = 0;
            } else {
                out.push(' ');
            }
        }
        out.push_str("\r\n");
    }

    fn html(&mut self, out: &mut String, sender: u64, bytes: usize) {
        let end = out.len() + bytes;
        let _ = write!(
            out,
            "<!DOCTYPE html><html><head><style>\r\nbody {{ margin: 0; font-family: Arial, Helvetica, sans-serif; }}\r\n\
             table.frame{sender} {{ width: 600px; border-collapse: collapse; background-color: #f{:02x}; }}\r\n\
             </style></head><body><table class=\"frame{sender}\">\r\n",
            sender % 256
        );
        while out.len() < end {
            let link = self.random.next();
            let _ = write!(
                out,
                "<tr><td style=\"padding: 12px 24px; font-size: 14px; line-height: 20px; color: #333333;\">\r\n\
                 <a href=\"https://www.example.org/click?user={sender}&amp;token={link:016x}\" target=\"_blank\">\r\n"
            );
            self.text(out, 240);
            out.push_str("</a></td></tr>\r\n");
        }
        out.push_str("</table></body></html>\r\n");
    }
}

fn word(random: &mut Random) -> String {
    const SOUNDS: [&str; 20] = [
        "e", "t", "a", "in", "on", "s", "er", "an", "re", "th", "o", "l", "d", "ing", "c", "u", "m", "st",
        "p", "en",
    ];
    let sounds = 1 + random.below(4);
    (0..sounds).map(|_| SOUNDS[random.below(SOUNDS.len() as u64) as usize]).collect()
}

fn line(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A header's long value, over several lines.
fn fold(value: &str) -> String {
    broken(value, "\r\n\t")
}

/// Base64 in lines of 76 (RFC 2045 §6.8), the last ended too.
fn lines_of(base64: &str) -> String {
    broken(base64, "\r\n") + "\r\n"
}

fn broken(text: &str, between: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 76 * between.len() + between.len());
    for (at, ch) in text.char_indices() {
        if at > 0 && at % 76 == 0 {
            out.push_str(between);
        }
        out.push(ch);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_the_same_for_a_seed_and_of_the_sizes_it_should_be() {
        let (mut mix, mut again) = (Mix::new(7), Mix::new(7));
        let messages: Vec<_> = (0..1000).map(|_| mix.message()).collect();
        assert!(messages.iter().all(|message| *message == again.message()));
        let mean = messages.iter().map(Vec::len).sum::<usize>() / messages.len();
        assert!((30_000..75_000).contains(&mean), "{mean}");
        assert!(messages.iter().any(|message| message.len() > 1_000_000));
        for message in &messages {
            assert!(message.ends_with(b"\r\n"));
            let text = std::str::from_utf8(message).expect("ASCII");
            assert!(
                text.split("\r\n")
                    .all(|line| !line.starts_with('.') && line.len() <= 998 && !line.contains('\n'))
            );
        }
        let mut sorted: Vec<_> = messages.iter().map(|message| message.len()).collect();
        sorted.sort_unstable();
        let median = sorted[sorted.len() / 2];
        assert!((6_000..16_000).contains(&median), "{median}");
    }
}
