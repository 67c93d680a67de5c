//! Messages as multi-line responses: dots doubled, the end added, cut off for TOP. Pure.

/// How much of a message is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Whole,
    /// The header, the empty line, and so many lines of the body (RFC 1939 §7, TOP).
    Top(u64),
}

/// Whether more of the message is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    More,
    Nothing,
}

/// Writes one message in pieces of any size.
///
/// RFC 1939 §3: lines of a response end with CRLF, and those that start with a dot get another one. A bare LF is
/// content like any other byte, so a dot behind it stays single and the bytes come back as they were received.
#[derive(Debug, Clone)]
pub struct Stuffer {
    extent: Extent,
    /// What the last bytes were, as far as dots and the end are concerned.
    last: Last,
    /// For TOP, where a bare LF ends a line too: a message of such lines has a header as well.
    line: LineSoFar,
    in_header: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nothing yet, or CRLF.
    LineEnd,
    Cr,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineSoFar {
    Empty,
    OneCr,
    Text,
}

impl Stuffer {
    pub fn new(extent: Extent) -> Self {
        Self { extent, last: Last::LineEnd, line: LineSoFar::Empty, in_header: true }
    }

    /// Appends what the next piece of the message is on the wire.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Wants {
        let mut rest = piece;
        if self.is_full() {
            return Wants::Nothing;
        }
        while !rest.is_empty() {
            // Up to and with the next LF: within it nothing starts a line.
            let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (run, tail) = rest.split_at(len);
            if self.last == Last::LineEnd && run[0] == b'.' {
                out.push(b'.');
            }
            out.extend_from_slice(run);
            self.note(run);
            if self.is_full() {
                return Wants::Nothing;
            }
            rest = tail;
        }
        Wants::More
    }

    /// Appends the end of the response.
    pub fn finish(self, out: &mut Vec<u8>) {
        // The termination octet stands on a line of its own, whether the message ends its last line or not.
        if self.last != Last::LineEnd {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }

    fn is_full(&self) -> bool {
        self.extent == Extent::Top(0) && !self.in_header
    }

    /// Notes a run of bytes of which at most the last is LF.
    fn note(&mut self, run: &[u8]) {
        let (text, ended) = match run.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (run, false),
        };
        let after_cr = match text.last() {
            Some(byte) => *byte == b'\r',
            None => self.last == Last::Cr,
        };
        self.last = match (after_cr, ended) {
            (true, true) => Last::LineEnd,
            (true, false) => Last::Cr,
            (false, _) => Last::Other,
        };
        self.line = match (self.line, text) {
            (line, []) => line,
            (LineSoFar::Empty, [b'\r']) => LineSoFar::OneCr,
            _ => LineSoFar::Text,
        };
        if ended {
            self.line_ended();
        }
    }

    fn line_ended(&mut self) {
        let line = std::mem::replace(&mut self.line, LineSoFar::Empty);
        if self.in_header {
            self.in_header = line == LineSoFar::Text;
        } else if let Extent::Top(left) = &mut self.extent {
            *left = left.saturating_sub(1);
        }
    }
}

/// The header of a message of which `start` is the beginning, cut off where `start` is.
pub fn header(start: &[u8]) -> &[u8] {
    let mut stuffer = Stuffer::new(Extent::Top(0));
    let mut at = 0;
    while at < start.len() && !stuffer.is_full() {
        let end = memchr::memchr(b'\n', &start[at..]).map_or(start.len(), |lf| at + lf + 1);
        stuffer.note(&start[at..end]);
        at = end;
    }
    &start[..at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(message: &[u8], extent: Extent, piece: usize) -> Vec<u8> {
        let (mut stuffer, mut out) = (Stuffer::new(extent), Vec::new());
        for piece in message.chunks(piece) {
            if stuffer.push(piece, &mut out) == Wants::Nothing {
                break;
            }
        }
        stuffer.finish(&mut out);
        out
    }

    /// What a client by the book makes of a response, and how much of the input it was.
    fn unstuff(wire: &[u8]) -> (Vec<u8>, usize) {
        let (mut message, mut at) = (Vec::new(), 0);
        loop {
            let end = at + wire[at..].windows(2).position(|w| w == b"\r\n").expect("a whole response") + 2;
            match &wire[at..end] {
                b".\r\n" => return (message, end),
                line => message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line)),
            }
            at = end;
        }
    }

    fn top(message: &str, lines: u64) -> String {
        String::from_utf8(wire(message.as_bytes(), Extent::Top(lines), 3)).unwrap()
    }

    #[test]
    fn top_cuts_the_body_and_nothing_else() {
        let message = "A: 1\r\nB: 2\r\n\r\none\r\n.two\r\n\r\nfour";
        assert_eq!(top(message, 0), "A: 1\r\nB: 2\r\n\r\n.\r\n");
        assert_eq!(top(message, 2), "A: 1\r\nB: 2\r\n\r\none\r\n..two\r\n.\r\n");
        assert_eq!(top(message, 3), "A: 1\r\nB: 2\r\n\r\none\r\n..two\r\n\r\n.\r\n");
        let whole = "A: 1\r\nB: 2\r\n\r\none\r\n..two\r\n\r\nfour\r\n.\r\n";
        assert_eq!(top(message, 4), whole);
        assert_eq!(top(message, u64::MAX), whole);
        assert_eq!(top("A: 1\r\n", 5), "A: 1\r\n.\r\n", "a message without a body");
        assert_eq!(top("", 5), ".\r\n");
        assert_eq!(top("\r\nbody\r\nmore", 1), "\r\nbody\r\n.\r\n", "a message without a header");
        assert_eq!(top("A: 1\n\none\ntwo\n", 1), "A: 1\n\none\n\r\n.\r\n", "lines of bare LF are lines");
    }

    #[test]
    fn a_header_ends_with_the_empty_line() {
        assert_eq!(header(b"A: 1\r\n\r\nbody"), b"A: 1\r\n\r\n");
        assert_eq!(header(b"A: 1\n\nbody"), b"A: 1\n\n");
        assert_eq!(header(b"A: 1\r\nB"), b"A: 1\r\nB");
        assert_eq!(header(b""), b"");
    }

    fn content() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b".\r\nab".to_vec()), 0..60)
    }

    proptest! {
        #[test]
        fn unstuffing_gives_the_message_back(message in content(), piece in 1usize..9, rest in content()) {
            let mut on_wire = wire(&message, Extent::Whole, piece);
            let len = on_wire.len();
            on_wire.extend_from_slice(&rest);
            let mut expected = message;
            if !expected.is_empty() && !expected.ends_with(b"\r\n") {
                expected.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(unstuff(&on_wire), (expected, len));
        }

        #[test]
        fn any_split_gives_the_same_bytes(message in content(), piece in 1usize..9, lines in 0u64..6) {
            prop_assert_eq!(
                wire(&message, Extent::Top(lines), piece),
                wire(&message, Extent::Top(lines), 1000)
            );
        }

        #[test]
        fn top_is_a_beginning_of_the_message(message in content(), lines in 0u64..6) {
            let (top, _) = unstuff(&wire(&message, Extent::Top(lines), 1000));
            prop_assert!(message.starts_with(top.strip_suffix(b"\r\n").unwrap_or(&top)));
            prop_assert!(top.starts_with(header(&message)));
        }
    }
}
