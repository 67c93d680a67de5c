//! Mails of all sizes, each told by its number.

use gadwall_storage::{Entropy, SeededEntropy};

/// Random choices that repeat for their seed.
pub struct Dice(SeededEntropy);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub fn next(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes(8).try_into().expect("eight bytes"))
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }
}

pub fn message_id(number: u64) -> String {
    format!("<{number:x}.crash@example.org>")
}

/// The number of a message that ends with one of [`mail`]'s.
pub fn number_of(message: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(message);
    let id = text.split("Message-ID: <").nth(1).and_then(|rest| rest.split_once('.'));
    let id = id.unwrap_or_else(|| panic!("no Message-ID in {}", &text[..text.len().min(400)]));
    u64::from_str_radix(id.0, 16).expect("a number")
}

/// 200 bytes to 300 KB; a third has one of three attachments.
pub fn mail(number: u64) -> Vec<u8> {
    let mut dice = Dice::new(number);
    let head = format!(
        "From: a@example.org\r\nTo: b@example.org\r\nMessage-ID: {}\r\nSubject: crash {number}\r\n",
        message_id(number)
    );
    let attachment = match dice.below(6) {
        0..3 => {
            let lines = dice.below(200) as usize;
            return format!("{head}\r\n{}", "a line like any other\r\n".repeat(1 + lines)).into_bytes();
        }
        3 => {
            let len = 1000 + dice.below(220_000) as usize;
            dice.bytes(len)
        }
        _ => {
            let which = dice.below(3);
            Dice::new(which).bytes([3_000, 65_536, 150_000][which as usize])
        }
    };
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(attachment);
    let lines: Vec<_> = encoded.as_bytes().chunks(76).map(String::from_utf8_lossy).collect();
    format!(
        "{head}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee attachment\r\n\
         --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}
