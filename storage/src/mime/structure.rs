//! The structure of a message: what ENVELOPE and BODYSTRUCTURE are made of, with the byte offsets of every
//! part, so that a section of a message is a range of its bytes.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A scanned message (RFC 2045, RFC 5322), whatever its defects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// Of the whole message, in bytes.
    pub size: u64,
    pub envelope: Envelope,
    pub root: Part,
    /// The first readable text, decoded, white space folded: at most 200 characters (RFC 8970).
    pub preview: String,
}

/// One body part. All offsets count from the first byte of the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The MIME (or message) header, with the empty line that ends it.
    pub header: Range<u64>,
    /// The body, without the line break that belongs to the next boundary (RFC 2046 §5.1.1).
    pub body: Range<u64>,
    /// Lines of the body (RFC 3501 §7.4.2), an unended last line counted.
    pub lines: u64,
    pub content_type: ContentType,
    /// Content-Transfer-Encoding as written; `7bit` by default.
    pub encoding: String,
    pub id: Option<Vec<u8>>,
    pub description: Option<Vec<u8>>,
    pub md5: Option<Vec<u8>>,
    pub disposition: Option<Disposition>,
    pub language: Vec<String>,
    pub location: Option<Vec<u8>>,
    pub content: Content,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Anything but the two below.
    Leaf,
    /// multipart/*; the list may be empty.
    Multipart(Vec<Part>),
    /// message/rfc822 or message/global, unless it is encoded (then it is a leaf).
    Message(Box<Embedded>),
}

/// A message inside a message. `part.header` is the inner message's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedded {
    pub envelope: Envelope,
    pub part: Part,
}

/// Content-Type. Type, subtype and parameter names are kept as written (compare without case).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentType {
    pub type_: String,
    pub subtype: String,
    /// RFC 2231 continuations joined and decoded to UTF-8 where they were used; else as written.
    pub params: Vec<(String, Vec<u8>)>,
}

/// Content-Disposition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disposition {
    pub kind: String,
    pub params: Vec<(String, Vec<u8>)>,
}

/// RFC 3501 §7.4.2. Values unfolded, otherwise as written: encoded words are not decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Envelope {
    pub date: Option<Vec<u8>>,
    pub subject: Option<Vec<u8>>,
    pub from: Vec<EnvelopeAddress>,
    /// Empty if absent: it is the IMAP encoder that falls back to From.
    pub sender: Vec<EnvelopeAddress>,
    pub reply_to: Vec<EnvelopeAddress>,
    pub to: Vec<EnvelopeAddress>,
    pub cc: Vec<EnvelopeAddress>,
    pub bcc: Vec<EnvelopeAddress>,
    pub in_reply_to: Option<Vec<u8>>,
    pub message_id: Option<Vec<u8>>,
    /// Not part of ENVELOPE; for THREAD and the web.
    pub references: Option<Vec<u8>>,
}

/// One address, or the start or end of a group (RFC 3501 §7.4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvelopeAddress {
    Mailbox { name: Option<Vec<u8>>, local: Vec<u8>, domain: Vec<u8> },
    GroupStart(Vec<u8>),
    GroupEnd,
}

impl ContentType {
    /// Whether this is `type_/subtype`, without case; `*` as subtype matches all.
    pub fn is(&self, type_: &str, subtype: &str) -> bool {
        self.type_.eq_ignore_ascii_case(type_)
            && (subtype == "*" || self.subtype.eq_ignore_ascii_case(subtype))
    }

    pub fn param(&self, name: &str) -> Option<&[u8]> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_slice())
    }
}

impl Default for ContentType {
    /// RFC 2045 §5.2.
    fn default() -> Self {
        ContentType {
            type_: "text".into(),
            subtype: "plain".into(),
            params: vec![("charset".into(), b"us-ascii".to_vec())],
        }
    }
}
