//! Bytes to command lines. Pure: any split of the input gives the same lines.

use bytes::{Buf, BytesMut};

/// Longest line taken, its end included: RFC 4954 §4.3 has 12,288 octets for an AUTH response, and no command needs
/// more.
pub const LINE_LIMIT: usize = 12_288;

/// One line of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Without its end.
    Text(Vec<u8>),
    /// It was longer than [`LINE_LIMIT`]; all of it has been skipped.
    TooLong,
}

/// Holds what has been received and not been used.
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

    /// The next whole line. A bare LF ends a command line as well (people type into netcat); the end of a message's
    /// content is another matter, see [`super::Unstuffer`].
    pub fn line(&mut self) -> Option<Line> {
        match memchr::memchr(b'\n', &self.buffer[self.searched..]) {
            Some(at) => {
                let end = self.searched + at;
                self.searched = 0;
                let too_long = std::mem::take(&mut self.skipping) || end >= LINE_LIMIT;
                let line = self.buffer.split_to(end + 1);
                let line = &line[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                Some(if too_long { Line::TooLong } else { Line::Text(line.to_vec()) })
            }
            None => {
                self.searched = self.buffer.len();
                if self.searched > LINE_LIMIT {
                    self.skipping = true;
                    self.clear();
                }
                None
            }
        }
    }

    /// What has been received beyond the last line.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// Notes that the first `len` pending bytes were used as content.
    pub fn consume(&mut self, len: usize) {
        self.buffer.advance(len);
        self.searched = 0;
    }

    /// Forgets what was received: RFC 3207 §4.2, nothing said in clear may count after STARTTLS.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.searched = 0;
    }
}
