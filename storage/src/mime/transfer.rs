//! Transfer encodings undone in pieces, so that a large part never stands in memory whole.

use super::decode::{decode_base64, decode_quoted_printable};

/// A line of quoted-printable that is longer than this, in bytes, is decoded before its end has come. RFC 2045 §6.7 lets a
/// line have 76.
const LONG_LINE: usize = 64 << 10;

/// Undoes one part's Content-Transfer-Encoding. What is damaged gives what can be decoded, as
/// [`decode_transfer`](super::decode_transfer) does it in one go.
#[derive(Debug)]
pub struct TransferDecoder {
    encoding: Encoding,
    /// What can't be decoded before more has come: some digits, or a line.
    pending: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// 7bit, 8bit, binary.
    Identity,
    Base64,
    QuotedPrintable,
    /// Base64 behind its padding.
    Ended,
}

impl TransferDecoder {
    /// `None` if there is no such encoding (RFC 2045 §6.1).
    pub fn new(encoding: &str) -> Option<Self> {
        let known = [
            ("7bit", Encoding::Identity),
            ("8bit", Encoding::Identity),
            ("binary", Encoding::Identity),
            ("base64", Encoding::Base64),
            ("quoted-printable", Encoding::QuotedPrintable),
        ];
        let (_, encoding) = known.into_iter().find(|(name, _)| encoding.eq_ignore_ascii_case(name))?;
        Some(Self { encoding, pending: Vec::new() })
    }

    /// The next piece; what it gives is appended to `out`.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Identity => out.extend_from_slice(piece),
            Encoding::Base64 => self.feed_base64(piece, out),
            Encoding::QuotedPrintable => self.feed_quoted_printable(piece, out),
            Encoding::Ended => {}
        }
    }

    /// There are no more pieces.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.pending);
        match self.encoding {
            Encoding::Base64 => out.extend(decode_base64(&rest)),
            Encoding::QuotedPrintable => out.extend(decode_quoted_printable(&rest)),
            Encoding::Identity | Encoding::Ended => {}
        }
    }

    fn feed_base64(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let end = memchr::memchr(b'=', piece);
        let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        self.pending.extend(piece[..end.unwrap_or(piece.len())].iter().copied().filter(is_digit));
        let whole = self.pending.len() - self.pending.len() % 4;
        out.extend(decode_base64(&self.pending[..whole]));
        self.pending.drain(..whole);
        if end.is_some() {
            self.finish(out);
            self.encoding = Encoding::Ended;
        }
    }

    fn feed_quoted_printable(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.pending.extend_from_slice(piece);
        let lines = memchr::memrchr(b'\n', &self.pending).map_or(0, |end| end + 1);
        out.extend(decode_quoted_printable(&self.pending[..lines]));
        self.pending.drain(..lines);
        if self.pending.len() > LONG_LINE {
            // An escape or white space at the end may mean something else with what follows.
            let content = self.pending.trim_ascii_end();
            let escape = content.iter().rev().take(3).position(|b| *b == b'=').map_or(0, |at| at + 1);
            let cut = match content.len() - escape {
                0 => self.pending.len(),
                cut => cut,
            };
            let rest = self.pending.split_off(cut);
            let long = std::mem::replace(&mut self.pending, rest);
            out.extend(decode_quoted_printable(&long));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_pieces(encoding: &str, text: &[u8], size: usize) -> Vec<u8> {
        let mut decoder = TransferDecoder::new(encoding).unwrap();
        let mut out = Vec::new();
        text.chunks(size.max(1)).for_each(|piece| decoder.feed(piece, &mut out));
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn encodings_have_names_in_any_case() {
        assert!(TransferDecoder::new("BASE64").is_some() && TransferDecoder::new("7Bit").is_some());
        assert!(TransferDecoder::new("x-uuencode").is_none() && TransferDecoder::new("").is_none());
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_a_long_one() {
        for text in [&b"=41 "[..], b" ", b"="] {
            let mut decoder = TransferDecoder::new("quoted-printable").unwrap();
            let mut out = Vec::new();
            for _ in 0..4 * LONG_LINE {
                decoder.feed(text, &mut out);
                assert!(decoder.pending.len() <= LONG_LINE + text.len());
                out.truncate(1);
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[A-Za-z0-9+/ =\r\n]{0,80}", size in 1usize..9) {
            let text = text.as_bytes();
            prop_assert_eq!(in_pieces("base64", text, size), decode_base64(text));
            prop_assert_eq!(in_pieces("quoted-printable", text, size), decode_quoted_printable(text));
            prop_assert_eq!(in_pieces("8bit", text, size), text);
        }
    }
}
