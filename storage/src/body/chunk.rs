//! Stored content in chunks.

use super::{Form, Manifest, Staged, base64_piece};
use crate::{Result, StoreError};
use bytes::Bytes;
use std::io;
use std::sync::{Mutex, PoisonError};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// Content bytes in each chunk of a blob but the last.
pub const CHUNK_LEN: usize = 64 << 10;

/// First byte of a stored chunk: what follows is the content itself.
const RAW: u8 = 0;
/// First byte of a stored chunk: what follows is one zstd frame.
const ZSTD: u8 = 1;
/// Fast enough not to be seen beside an fsync.
const LEVEL: i32 = 3;
/// Below this compression gains nothing worth a frame header.
const WORTH_COMPRESSING: usize = 128;

/// Contexts of zstd that nobody works with just now: a new one costs more than what it does to a small message.
struct Idle<T>(Mutex<Vec<T>>);

/// As many are kept of each kind: one that compresses takes more than a megabyte.
const KEPT: usize = 4;

static COMPRESSORS: Idle<Compressor<'static>> = Idle(Mutex::new(Vec::new()));
static DECOMPRESSORS: Idle<Decompressor<'static>> = Idle(Mutex::new(Vec::new()));

impl<T> Idle<T> {
    /// Works with one that is there, or else with a new one.
    fn with<R>(
        &self,
        new: impl FnOnce() -> io::Result<T>,
        work: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept().pop();
        let mut context = found.map_or_else(new, Ok)?;
        let done = work(&mut context);
        let mut kept = kept();
        if kept.len() < KEPT {
            kept.push(context);
        }
        done
    }
}

/// How many chunks content of `stored_len` bytes has. Empty content has one, empty chunk.
pub fn chunk_count(stored_len: u64) -> u32 {
    stored_len.div_ceil(CHUNK_LEN as u64).max(1) as u32
}

/// The chunks of the blob of one piece, in order, ready to be stored (compressed where that helps).
pub fn chunks<'a>(
    staged: &'a Staged,
    manifest: &'a Manifest,
    piece: usize,
) -> impl Iterator<Item = Result<Bytes>> + 'a {
    let start: u64 = manifest.pieces[..piece].iter().map(|p| p.len).sum();
    let piece = &manifest.pieces[piece];
    (0..chunk_count(piece.stored_len)).map(move |index| {
        let at = u64::from(index) * CHUNK_LEN as u64;
        let len = (piece.stored_len - at).min(CHUNK_LEN as u64) as usize;
        let content = match piece.form {
            Form::Verbatim => staged.read(start + at, len)?,
            Form::Base64 { line_len, .. } => {
                base64_piece::decode_range(staged, start, piece.len, line_len, at, len)?
            }
        };
        pack(&content)
    })
}

fn pack(content: &[u8]) -> Result<Bytes> {
    if content.len() >= WORTH_COMPRESSING {
        let mut out = vec![ZSTD];
        let frame = COMPRESSORS
            .with(|| Compressor::new(LEVEL), |compressor| compressor.compress(content))
            .map_err(|e| StoreError::unavailable(format!("compression failed: {e}")))?;
        if frame.len() + frame.len() / 16 < content.len() {
            out.extend_from_slice(&frame);
            return Ok(out.into());
        }
    }
    let mut out = Vec::with_capacity(content.len() + 1);
    out.push(RAW);
    out.extend_from_slice(content);
    Ok(out.into())
}

/// Undoes what [`chunks`] did to one chunk. Never gives more than [`CHUNK_LEN`] bytes: damage is `Corrupt`.
pub fn unpack(stored: &[u8]) -> Result<Bytes> {
    let corrupt = |why: &str| StoreError::Corrupt(format!("a chunk {why}"));
    match stored.split_first() {
        Some((&RAW, content)) if content.len() <= CHUNK_LEN => Ok(Bytes::copy_from_slice(content)),
        Some((&RAW, _)) => Err(corrupt("is too long")),
        Some((&ZSTD, frame)) => {
            // As its header says; no more than a chunk is made room for, whatever that is.
            let said = get_frame_content_size(frame).ok().flatten();
            let len = said.map_or(CHUNK_LEN, |len| len.min(CHUNK_LEN as u64) as usize);
            DECOMPRESSORS
                .with(Decompressor::new, |decompressor| decompressor.decompress(frame, len))
                .map(Bytes::from)
                .map_err(|e| corrupt(&format!("does not decompress: {e}")))
        }
        Some((tag, _)) => Err(corrupt(&format!("has the unknown form {tag}"))),
        None => Err(corrupt("is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_compressed_and_noise_is_not() {
        let text = b"the same words again and again ".repeat(200);
        let packed = pack(&text).unwrap();
        assert!(packed.len() < text.len() / 4);
        assert_eq!(unpack(&packed).unwrap(), text);
        let noise: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert_eq!(unpack(&pack(&noise).unwrap()).unwrap(), noise);
    }

    #[test]
    fn damage_is_an_error_and_a_bomb_is_not_unpacked() {
        assert!(unpack(&[]).is_err());
        assert!(unpack(&[9, 1, 2]).is_err());
        assert!(unpack(&[ZSTD, 1, 2, 3]).is_err());
        let mut bomb = vec![ZSTD];
        bomb.extend(zstd::bulk::compress(&vec![0; CHUNK_LEN * 100], 3).unwrap());
        assert!(unpack(&bomb).is_err());
    }
}
