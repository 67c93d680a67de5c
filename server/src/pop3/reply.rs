//! Responses, and how they are written.

use super::stuff::Extent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gadwall_storage::{BodyReader, StoreError};

/// RFC 1939 §3: longest response line, its end included.
const LINE_LIMIT: usize = 512;

/// One response.
pub enum Reply {
    Ok(String),
    /// A refusal that is nobody's fault, or the server's.
    Err(Option<Code>, String),
    /// A refusal of something a client should not have said: so many in a row end the connection.
    Bad(Option<Code>, String),
    /// RFC 5034 §4: a challenge, not encoded yet.
    Challenge(Vec<u8>),
    /// A multi-line response: lines with their CRLF, none of which starts with a dot.
    Lines(String, String),
    /// A message, to be sent in pieces.
    Message(Retrieved),
}

/// What RETR and TOP send.
pub struct Retrieved {
    pub body: Box<dyn BodyReader>,
    /// The first bytes of it, already read: a store that fails at once is reported instead of a message cut off.
    pub start: Bytes,
    pub extent: Extent,
}

/// Extended response codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// RFC 2449 §8.1.2.
    InUse,
    /// RFC 2449 §8.1.1.
    LoginDelay,
    /// RFC 3206 §4: wrong credentials.
    Auth,
    /// RFC 3206 §4: the server has a problem that will go away.
    SysTemp,
    /// RFC 3206 §4: one that needs a human being.
    SysPerm,
    /// RFC 6856 §5.
    Utf8,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Code::InUse => "IN-USE",
            Code::LoginDelay => "LOGIN-DELAY",
            Code::Auth => "AUTH",
            Code::SysTemp => "SYS/TEMP",
            Code::SysPerm => "SYS/PERM",
            Code::Utf8 => "UTF8",
        }
    }
}

impl Reply {
    pub fn ok(text: impl Into<String>) -> Self {
        Reply::Ok(text.into())
    }

    /// A refusal without a code that is not counted.
    pub fn no(text: impl Into<String>) -> Self {
        Reply::Err(None, text.into())
    }

    pub fn bad(text: impl Into<String>) -> Self {
        Reply::Bad(None, text.into())
    }

    /// What the client hears of an error of the store. What the store says of files and hosts is for the log.
    pub fn store(error: &StoreError) -> Self {
        let (code, text) = match error {
            StoreError::StorageFull(_) => {
                (Code::SysTemp, "the server's disk is full, try again later".into())
            }
            StoreError::Unavailable { .. } => {
                (Code::SysTemp, "the store is unavailable, try again later".into())
            }
            StoreError::Corrupt(_) => {
                (Code::SysPerm, "stored data is damaged, the server's log says more".into())
            }
            other => (Code::SysPerm, other.to_string()),
        };
        tracing::warn!(%error, "refused");
        Reply::Err(Some(code), text)
    }

    /// Appends it as it is sent; of a message the first line.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Reply::Ok(text) => line(out, "+OK ", text),
            Reply::Err(None, text) | Reply::Bad(None, text) => line(out, "-ERR ", text),
            Reply::Err(Some(code), text) | Reply::Bad(Some(code), text) => {
                line(out, &format!("-ERR [{}] ", code.as_str()), text);
            }
            Reply::Challenge(data) => {
                out.extend_from_slice(b"+ ");
                out.extend_from_slice(STANDARD.encode(data).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Reply::Lines(first, lines) => {
                line(out, "+OK ", first);
                out.extend_from_slice(lines.as_bytes());
                out.extend_from_slice(b".\r\n");
            }
            Reply::Message(message) => match message.extent {
                Extent::Whole => line(out, "+OK ", &format!("{} octets", message.body.size())),
                Extent::Top(_) => line(out, "+OK ", "top of message follows"),
            },
        }
    }
}

/// One line, in printable ASCII whatever an error message held, and not too long.
fn line(out: &mut Vec<u8>, start: &str, text: &str) {
    out.extend_from_slice(start.as_bytes());
    let room = LINE_LIMIT - start.len() - 2;
    out.extend(text.chars().take(room).map(|c| if matches!(c, ' '..='~') { c as u8 } else { b'?' }));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_line_whatever_an_error_says() {
        let mut out = Vec::new();
        let text = format!("a\r\n+OK \u{e9}{}", "x".repeat(1000));
        Reply::Err(Some(Code::SysTemp), text).write(&mut out);
        assert!(out.starts_with(b"-ERR [SYS/TEMP] a??+OK ?xxx"));
        assert_eq!(out.len(), LINE_LIMIT);
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1);
    }
}
