//! Replies (RFC 5321 §4.2, RFC 2034).

/// One reply, of one or more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// `5.1.1`; none for greetings, EHLO, 3xx, and where Ethereal's format forbids it.
    enhanced: Option<&'static str>,
    lines: Vec<String>,
}

impl Reply {
    /// A reply with an enhanced status code (RFC 3463).
    pub fn new(code: u16, enhanced: &'static str, text: impl Into<String>) -> Self {
        Self { code, enhanced: Some(enhanced), lines: vec![text.into()] }
    }

    /// A reply without one.
    pub fn plain(code: u16, text: impl Into<String>) -> Self {
        Self { code, enhanced: None, lines: vec![text.into()] }
    }

    /// The answer to EHLO.
    pub fn lines(code: u16, lines: Vec<String>) -> Self {
        Self { code, enhanced: None, lines }
    }

    /// Whether the client said what it should not have said. An address that is not here, a full mailbox and the like
    /// (RFC 5321 §4.2.3: 55x) are no misbehaviour: a message for many may have many such recipients.
    pub fn is_clients_fault(&self) -> bool {
        matches!(self.code, 500..550 | 555)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        for (i, line) in self.lines.iter().enumerate() {
            let separator = if i + 1 == self.lines.len() { ' ' } else { '-' };
            out.extend_from_slice(format!("{}{separator}", self.code).as_bytes());
            if let Some(enhanced) = self.enhanced {
                out.extend_from_slice(enhanced.as_bytes());
                out.push(b' ');
            }
            // What is echoed of a peer's input must not start a line of its own.
            out.extend(line.bytes().map(|b| if b.is_ascii_control() { b'?' } else { b }));
            out.extend_from_slice(b"\r\n");
        }
    }
}
