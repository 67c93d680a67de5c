//! Stored content in chunks.

use super::{Manifest, Staged};
use crate::Result;
use bytes::Bytes;

/// Content bytes in each chunk of a blob but the last.
pub const CHUNK_LEN: usize = 64 << 10;

/// How many chunks content of `stored_len` bytes has. Empty content has one, empty chunk.
pub fn chunk_count(stored_len: u64) -> u32 {
    stored_len.div_ceil(CHUNK_LEN as u64).max(1) as u32
}

/// The chunks of the blob of one piece, in order, ready to be stored (compressed where that helps).
pub fn chunks(_staged: &Staged, _manifest: &Manifest, _piece: usize) -> impl Iterator<Item = Result<Bytes>> {
    std::iter::empty()
}

/// Undoes what [`chunks`] did to one chunk. Never gives more than [`CHUNK_LEN`] bytes: damage is `Corrupt`.
pub fn unpack(_stored: &[u8]) -> Result<Bytes> {
    unimplemented!()
}
