//! The push scanner.

use super::build::{Frame, Header, Opened, PartBuilder, finish_message};
use super::{Content, Structure};

/// Header bytes of one part that are considered; what is beyond is passed over.
const HEADER_LIMIT: usize = 1 << 20;
/// Deepest nesting of parts; what lies deeper is a leaf.
const MAX_DEPTH: usize = 64;
/// Most parts of a message; the rest belongs to the last one.
const MAX_PARTS: usize = 10_000;
/// A line longer than this is no boundary (RFC 2046 §5.1.1: at most 70 characters and white space).
const LONGEST_BOUNDARY_LINE: usize = 512;

/// Finds the [`Structure`] of a message that is pushed in, in pieces of any size. Holds no body: only the
/// header fields it needs and the open boundaries, each limited, so memory stays bounded.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Open parts, outermost first. Empty until the first byte or `finish`.
    frames: Vec<Frame>,
    /// Header bytes of the innermost part while its header lasts.
    header: Option<Vec<u8>>,
    header_start: u64,
    /// The beginning of a line that has not ended yet, as far as it matters.
    line: Vec<u8>,
    /// Offset at which the current line began, and how many bytes of it have been seen.
    line_start: u64,
    line_len: u64,
    /// The last byte seen of the current line.
    last_byte: u8,
    /// Lines ended so far.
    lines: u64,
    /// Length of the line break before the current line, and whether that line was empty but for it.
    last_break: u64,
    last_line_empty: bool,
    parts: usize,
    preview: super::preview::Collector,
}

impl Scanner {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, mut bytes: &[u8]) {
        if self.frames.is_empty() && !bytes.is_empty() {
            self.open_root();
        }
        while !bytes.is_empty() {
            let (line, ended) = match memchr::memchr(b'\n', bytes) {
                Some(at) => (&bytes[..=at], true),
                None => (bytes, false),
            };
            bytes = &bytes[line.len()..];
            self.take(line, ended);
        }
    }

    pub fn finish(mut self) -> Structure {
        if self.frames.is_empty() {
            self.open_root();
        }
        if self.line_len > 0 {
            self.end_line(0);
        }
        let size = self.line_start;
        while self.header.is_some() {
            self.end_header(size);
        }
        self.close_down_to(0, size, self.lines);
        let preview = self.preview.finish();
        finish_message(self.frames.pop(), size, preview)
    }

    fn open_root(&mut self) {
        self.parts = 1;
        self.header = Some(Vec::new());
        self.frames.push(Frame::new(PartBuilder::default()));
    }

    /// Takes a stretch that holds no line break except, if `ended`, at its end.
    fn take(&mut self, stretch: &[u8], ended: bool) {
        let in_header = self.header.is_some();
        // Only headers and possible boundaries are looked at as lines; all else is counted.
        if in_header || (self.line_len <= 2 && self.could_be_boundary(stretch)) || !self.line.is_empty() {
            let room = if in_header { HEADER_LIMIT } else { LONGEST_BOUNDARY_LINE };
            let room = room.saturating_sub(self.line.len());
            self.line.extend_from_slice(&stretch[..stretch.len().min(room)]);
        }
        if !in_header {
            self.preview.push(stretch);
        }
        self.line_len += stretch.len() as u64;
        let before = if stretch.len() > 1 { stretch[stretch.len() - 2] } else { self.last_byte };
        self.last_byte = stretch[stretch.len() - 1];
        if ended {
            let with_return = before == b'\r' && self.line_len > 1;
            self.end_line(if with_return { 2 } else { 1 });
        }
    }

    /// Whether the current line, of which up to two bytes were seen before, may begin with `--`.
    fn could_be_boundary(&self, stretch: &[u8]) -> bool {
        let seen = self.line_len as usize;
        self.line.len() == seen && b"--"[seen.min(2)..].iter().zip(stretch).all(|(a, b)| a == b)
    }

    /// The current line is complete; `line_break` is the length of what ended it, 0 at the end of input.
    fn end_line(&mut self, line_break: u64) {
        let line = std::mem::take(&mut self.line);
        let (start, next) = (self.line_start, self.line_start + self.line_len);
        let empty = self.line_len == line_break;
        let whole = line.len() as u64 == self.line_len;
        let boundary = if whole { self.find_boundary(&line) } else { None };
        match boundary {
            Some((depth, closing)) => {
                let end = start - if start > 0 { self.last_break } else { 0 };
                self.boundary(depth, closing, end, start);
                self.line_start = next;
                if !closing {
                    self.open_part(depth, next);
                }
            }
            None => {
                self.line_start = next;
                match &mut self.header {
                    Some(_) if empty => {
                        self.lines += 1;
                        self.last_break = line_break;
                        self.last_line_empty = true;
                        self.line_len = 0;
                        self.end_header(next);
                        return self.reuse(line);
                    }
                    Some(header) if header.len() < HEADER_LIMIT => header.extend_from_slice(&line),
                    _ => {}
                }
            }
        }
        self.lines += 1;
        self.line_len = 0;
        self.last_break = line_break;
        self.last_line_empty = empty;
        self.reuse(line);
    }

    fn reuse(&mut self, mut line: Vec<u8>) {
        line.clear();
        self.line = line;
    }

    /// The innermost open multipart whose boundary the line is, and whether it is the closing one.
    fn find_boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.strip_prefix(b"--")?.trim_ascii_end();
        self.frames.iter().enumerate().rev().find_map(|(depth, frame)| {
            let rest = line.strip_prefix(frame.open_boundary()?)?;
            match rest {
                b"" if self.parts < MAX_PARTS => Some((depth, false)),
                b"--" => Some((depth, true)),
                _ => None,
            }
        })
    }

    /// Closes everything inside the multipart at `depth`. Its last part ends at `end`, without the line break
    /// that belongs to the boundary (RFC 2046 §5.1.1).
    fn boundary(&mut self, depth: usize, closing: bool, end: u64, line_start: u64) {
        while self.header.is_some() {
            // A header that no empty line ends: the part has no body.
            self.end_header(line_start);
        }
        // An empty body: the line break is the header's empty line and can't be taken from it.
        let end = end.max(self.frames.last().map_or(0, |f| f.part().body.start));
        let lines = self.lines - u64::from(self.last_line_empty && self.lines > 0);
        self.close_down_to(depth + 1, end, lines);
        if closing {
            self.frames[depth].close_boundary();
        }
    }

    fn open_part(&mut self, depth: usize, at: u64) {
        self.parts += 1;
        let digest = self.frames[depth].is_digest();
        self.frames.push(Frame::new(PartBuilder { in_digest: digest }));
        self.header = Some(Vec::new());
        self.header_start = at;
    }

    /// The header of the innermost part is complete, up to `end`, where its body begins.
    fn end_header(&mut self, end: u64) {
        let Some(bytes) = self.header.take() else { return };
        let depth = self.frames.len();
        let Some(frame) = self.frames.last_mut() else { return };
        let header = Header { bytes: &bytes, start: self.header_start, end };
        let opened = frame.begin_body(header, self.lines, depth < MAX_DEPTH && self.parts < MAX_PARTS);
        match opened {
            Opened::Leaf => self.preview.begin(frame.part()),
            Opened::Multipart => self.preview.pause(),
            Opened::Message => {
                self.preview.pause();
                self.parts += 1;
                self.frames.push(Frame::new(PartBuilder::default()));
                self.header = Some(Vec::new());
                self.header_start = end;
            }
        }
    }

    /// Closes frames until only `keep` (at least the root) are open, handing each part to its parent.
    fn close_down_to(&mut self, keep: usize, end: u64, lines: u64) {
        while self.frames.len() > keep.max(1) {
            let Some(frame) = self.frames.pop() else { return };
            let child = frame.close(end, lines);
            match self.frames.last_mut() {
                Some(parent) => parent.adopt(child),
                None => return,
            }
        }
        self.preview.pause();
        if keep == 0
            && let Some(root) = self.frames.last_mut()
        {
            root.set_end(end, lines);
        }
    }
}

/// The structure of a message that is at hand whole.
pub fn scan(message: &[u8]) -> Structure {
    let mut scanner = Scanner::new();
    scanner.push(message);
    scanner.finish()
}

impl Content {
    /// Whether this is neither a multipart nor a message.
    pub fn is_leaf(&self) -> bool {
        matches!(self, Content::Leaf)
    }
}
