//! Bytes to command lines. Pure: any split of the input gives the same lines. Knows no command.

use bytes::BytesMut;

/// Longest command line, its end included. RFC 2449 §4 has 255 octets; twice that takes long addresses as well.
pub const COMMAND_LIMIT: usize = 512;
/// Longest line of a SASL exchange, its end included. RFC 5034 §4 wants the longest response of any mechanism to fit;
/// the number is RFC 4954's.
pub const SASL_LIMIT: usize = 12_288;

/// One line of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Without its end.
    Text(Vec<u8>),
    /// It was longer than the limit; all of it has been skipped.
    TooLong,
}

/// Holds what has been received and not been used: never more than a line and one read.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
    skipping: bool,
}

impl Decoder {
    /// Where to read more bytes into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole line of at most `limit` octets. A bare LF ends a line as well: people type into netcat.
    pub fn line(&mut self, limit: usize) -> Option<Line> {
        let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..]) else {
            self.searched = self.buffer.len();
            if self.searched >= limit {
                self.skipping = true;
                self.buffer.clear();
                self.searched = 0;
            }
            return None;
        };
        let end = self.searched + at;
        self.searched = 0;
        let line = self.buffer.split_to(end + 1);
        if std::mem::take(&mut self.skipping) || end >= limit {
            return Some(Line::TooLong);
        }
        let line = &line[..end];
        Some(Line::Text(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
    }

    /// Forgets what was received: RFC 2595 §4, nothing said in clear may count after STLS.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(input: &[u8], sizes: &[usize], limit: usize) -> Vec<Line> {
        let (mut decoder, mut lines, mut rest) = (Decoder::default(), Vec::new(), input);
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            decoder.buffer().extend_from_slice(piece);
            lines.extend(std::iter::from_fn(|| decoder.line(limit)));
            assert!(decoder.buffer().len() < limit, "what is kept stays below the limit");
            rest = tail;
        }
        lines
    }

    #[test]
    fn the_limit_counts_the_line_end() {
        assert_eq!(
            lines(b"123456\r\n1234567\r\nA\n", &[100], 8),
            [Line::Text(b"123456".into()), Line::TooLong, Line::Text(b"A".into())]
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            input in prop::collection::vec(prop::sample::select(b"\r\n ab".to_vec()), 0..120),
            sizes in prop::collection::vec(1usize..9, 1..5),
        ) {
            prop_assert_eq!(lines(&input, &sizes, 7), lines(&input, &[1000], 7));
        }
    }
}
