//! How a message's bytes are made of stored content.

use super::{Staged, base64_piece};
use crate::mime::{Content, Part};
use crate::{BlobId, Result};
use serde::{Deserialize, Serialize};

/// Encoded attachments shorter than this are not worth a blob of their own.
const WORTH_SPLITTING: u64 = 4096;
/// A message has at most this many decoded pieces; further attachments stay verbatim.
const MAX_DECODED: usize = 100;
/// Bytes hashed at a time.
const WINDOW: usize = 64 << 10;

/// The recipe of one message: its pieces in order. The pieces' lengths add up to `size`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub size: u64,
    pub pieces: Vec<Piece>,
}

/// One stretch of a message, made from one blob (content stored once, named by the digest of its content).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub blob: BlobId,
    /// Bytes of the content that is stored, before compression.
    pub stored_len: u64,
    /// Bytes it makes in the message.
    pub len: u64,
    pub form: Form,
}

/// How stored content becomes message bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// As it is.
    Verbatim,
    /// Encoded in base64, in lines of `line_len` characters (a multiple of 4) ended by CRLF, the last line
    /// possibly shorter and ended or not. Chosen only after the round trip was verified.
    Base64 { line_len: u16, last_line_ended: bool },
}

impl Manifest {
    /// Splits a message: attachments in canonical base64 are decoded, everything else stays verbatim. Every
    /// decoded piece has been encoded again and compared, byte for byte.
    pub fn plan(staged: &Staged) -> Result<Manifest> {
        let mut pieces = Vec::new();
        let mut at = 0;
        for part in attachments(&staged.structure().root) {
            if pieces.len() >= 2 * MAX_DECODED || part.start < at {
                continue;
            }
            if let Some(piece) = base64_piece::verify(staged, part.start, part.end - part.start)? {
                push_verbatim(staged, at, part.start, &mut pieces)?;
                at = part.start + piece.len;
                pieces.push(piece);
            }
        }
        push_verbatim(staged, at, staged.size(), &mut pieces)?;
        if pieces.is_empty() {
            pieces.push(verbatim(staged, 0, 0)?);
        }
        Ok(Manifest { size: staged.size(), pieces })
    }

    /// The distinct blobs, in order of first use, each with the index of a piece that holds it.
    pub fn blobs(&self) -> Vec<(BlobId, usize)> {
        let mut seen: Vec<(BlobId, usize)> = Vec::with_capacity(self.pieces.len());
        for (index, piece) in self.pieces.iter().enumerate() {
            if !seen.iter().any(|(blob, _)| *blob == piece.blob) {
                seen.push((piece.blob, index));
            }
        }
        seen
    }
}

/// The bodies of base64 leaves that are large enough, in order.
fn attachments(root: &Part) -> Vec<std::ops::Range<u64>> {
    let mut found = Vec::new();
    let mut todo = vec![root];
    while let Some(part) = todo.pop() {
        match &part.content {
            Content::Leaf => {
                let long = part.body.end - part.body.start >= WORTH_SPLITTING;
                if long && part.encoding.eq_ignore_ascii_case("base64") {
                    found.push(part.body.clone());
                }
            }
            Content::Multipart(parts) => todo.extend(parts.iter()),
            Content::Message(embedded) => todo.push(&embedded.part),
        }
    }
    found.sort_by_key(|range| range.start);
    found
}

fn push_verbatim(staged: &Staged, from: u64, to: u64, pieces: &mut Vec<Piece>) -> Result<()> {
    if from < to {
        pieces.push(verbatim(staged, from, to)?);
    }
    Ok(())
}

fn verbatim(staged: &Staged, from: u64, to: u64) -> Result<Piece> {
    let mut hasher = blake3::Hasher::new();
    let mut at = from;
    while at < to {
        let len = (to - at).min(WINDOW as u64) as usize;
        hasher.update(&staged.read(at, len)?);
        at += len as u64;
    }
    let blob = BlobId(*hasher.finalize().as_bytes());
    Ok(Piece { blob, stored_len: to - from, len: to - from, form: Form::Verbatim })
}
