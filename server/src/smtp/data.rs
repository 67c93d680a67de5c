//! The content of DATA (RFC 5321 §4.5.2): dots taken off, the end found. Pure.

/// Finds the end of a message and undoes dot-stuffing. Only CRLF ends a line here: `\n.\n`, `\r.\r` and the like are
/// content, so that a message can't be split where its sender did not end it ("SMTP smuggling").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unstuffer(State);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// At the start, or after CRLF.
    #[default]
    LineStart,
    /// After a dot at the start of a line.
    Dot,
    /// After a dot and CR.
    DotCr,
    /// After CR within a line.
    Cr,
    Within,
}

impl Unstuffer {
    /// Takes input, hands content to `out` in pieces, and answers how much of the input was used and whether the
    /// message has ended there. Stops at the first error of `out`.
    pub fn push<E>(
        &mut self,
        input: &[u8],
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(usize, bool), E> {
        let mut at = 0;
        // Content from `from` to `at` has not been handed out yet.
        let mut from = 0;
        while let Some(&byte) = input.get(at) {
            match (self.0, byte) {
                (State::LineStart, b'.') => {
                    out(&input[from..at])?;
                    self.0 = State::Dot;
                    from = at + 1;
                }
                (State::Dot, b'\r') => {
                    self.0 = State::DotCr;
                    from = at + 1;
                }
                (State::DotCr, b'\n') => {
                    self.0 = State::LineStart;
                    return Ok((at + 1, true));
                }
                (State::DotCr, _) => {
                    // The CR was content after all, and this byte is looked at as one that follows it.
                    out(b"\r")?;
                    from = at;
                    self.0 = State::Cr;
                    continue;
                }
                (State::Cr, b'\n') => self.0 = State::LineStart,
                (State::Within | State::Cr | State::LineStart | State::Dot, _) => {
                    match memchr::memchr(b'\r', &input[at..]) {
                        Some(cr) => {
                            at += cr;
                            self.0 = State::Cr;
                        }
                        None => {
                            at = input.len() - 1;
                            self.0 = State::Within;
                        }
                    }
                }
            }
            at += 1;
        }
        if from < at {
            out(&input[from..at])?;
        }
        Ok((at, false))
    }
}

/// What a client sends for `content`: dots doubled at line starts, the end added (after a CRLF if the content does
/// not end with one).
pub fn stuff(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 50 + 5);
    let mut line_start = true;
    for (i, &byte) in content.iter().enumerate() {
        if line_start && byte == b'.' {
            out.push(b'.');
        }
        out.push(byte);
        line_start = byte == b'\n' && i > 0 && content[i - 1] == b'\r';
    }
    if !line_start {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
