//! Base64 in canonical lines: recognised, decoded by range, encoded again.

use super::{Form, Piece, Staged};
use crate::{BlobId, Result, StoreError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest line recognised (RFC 5322 §2.1.1's limit, down to a multiple of 4).
const MAX_LINE: usize = 996;
/// Lines looked at together.
const LINES: usize = 512;

/// The piece that the `len` bytes at `start` make, if decoding and encoding them gives the very same bytes.
pub fn verify(staged: &Staged, start: u64, len: u64) -> Result<Option<Piece>> {
    let Some(line_len) = line_length(staged, start, len)? else { return Ok(None) };
    let (line, mut at) = (line_len + 2, 0u64);
    let mut hasher = blake3::Hasher::new();
    let mut stored_len = 0u64;
    let mut last_line_ended = false;
    while at < len {
        let window = staged.read(start + at, (len - at).min((line * LINES) as u64) as usize)?;
        let is_last = at + window.len() as u64 == len;
        let text = match (is_last, window.strip_suffix(b"\r\n")) {
            (true, Some(text)) => {
                last_line_ended = true;
                text
            }
            (false, None) => return Ok(None),
            (_, text) => text.unwrap_or(&window),
        };
        let Some(decoded) = decode_lines(text, line_len) else { return Ok(None) };
        // Only the very end may be short of whole lines: anywhere else padding would be in the middle.
        if !is_last && decoded.len() != line_len / 4 * 3 * LINES {
            return Ok(None);
        }
        let mut again = Vec::with_capacity(window.len());
        encode_lines(&decoded, line_len, &mut again);
        if again != text {
            return Ok(None);
        }
        hasher.update(&decoded);
        stored_len += decoded.len() as u64;
        at += window.len() as u64;
    }
    let form = Form::Base64 { line_len: line_len as u16, last_line_ended };
    Ok(Some(Piece { blob: BlobId(*hasher.finalize().as_bytes()), stored_len, len, form }))
}

/// The length of the first line, if it can be the length of all.
fn line_length(staged: &Staged, start: u64, len: u64) -> Result<Option<usize>> {
    let head = staged.read(start, len.min(MAX_LINE as u64 + 2) as usize)?;
    let end = head.windows(2).position(|w| w == b"\r\n");
    Ok(end.filter(|n| *n > 0 && n % 4 == 0))
}

/// Lines of exactly `line_len` (the last may be shorter), joined by CRLF, decoded.
fn decode_lines(text: &[u8], line_len: usize) -> Option<Vec<u8>> {
    let mut characters = Vec::with_capacity(text.len());
    for line in text.chunks(line_len + 2) {
        let (body, end) = line.split_at(line.len().min(line_len));
        if !end.is_empty() && end != b"\r\n" {
            return None;
        }
        characters.extend_from_slice(body);
    }
    STANDARD.decode(characters).ok()
}

/// Content as lines joined by CRLF, the last one not ended.
fn encode_lines(content: &[u8], line_len: usize, out: &mut Vec<u8>) {
    let mut buffer = [0; MAX_LINE];
    for (i, chunk) in content.chunks(line_len / 4 * 3).enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\r\n");
        }
        if let Ok(n) = STANDARD.encode_slice(chunk, &mut buffer) {
            out.extend_from_slice(&buffer[..n]);
        }
    }
}

/// `len` decoded bytes from `at`, of the verified piece of `piece_len` message bytes at `start`.
pub fn decode_range(
    staged: &Staged,
    start: u64,
    piece_len: u64,
    line_len: u16,
    at: u64,
    len: usize,
) -> Result<bytes::Bytes> {
    let line_len = usize::from(line_len);
    let (content, line) = ((line_len / 4 * 3) as u64, line_len as u64 + 2);
    let first = at / content;
    let lines = (at + len as u64).div_ceil(content) - first;
    let from = first * line;
    let text = staged.read(start + from, (lines * line).min(piece_len - from) as usize)?;
    let text = text.strip_suffix(b"\r\n").unwrap_or(&text);
    let decoded = decode_lines(text, line_len)
        .ok_or_else(|| StoreError::Corrupt("a verified base64 piece no longer decodes".into()))?;
    let skip = (at - first * content) as usize;
    match decoded.get(skip..skip + len) {
        Some(range) => Ok(bytes::Bytes::copy_from_slice(range)),
        None => Err(StoreError::Corrupt("a verified base64 piece is too short".into())),
    }
}

/// The part of the encoded form that begins at `at`, made from content which begins at line `first_line`; each
/// line with its CRLF but for an unended last one.
pub fn encode_from(content: &[u8], line_len: u16, is_end: bool, last_line_ended: bool) -> Vec<u8> {
    let line_len = usize::from(line_len);
    let mut out = Vec::with_capacity(content.len() / 3 * 4 + content.len() / line_len * 2 + 8);
    encode_lines(content, line_len, &mut out);
    if !content.is_empty() && (!is_end || last_line_ended) {
        out.extend_from_slice(b"\r\n");
    }
    out
}
