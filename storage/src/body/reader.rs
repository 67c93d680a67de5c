//! Reading a message back.

use super::{CHUNK_LEN, Form, Manifest, Piece, base64_piece, unpack};
use crate::{BlobId, BodyReader, Result, StoreError};
use async_trait::async_trait;
use bytes::Bytes;

/// Where a backend's chunks come from.
#[async_trait]
pub trait ChunkSource: Send {
    /// Chunk `index` of a blob, as it was stored.
    async fn chunk(&mut self, blob: &BlobId, index: u32) -> Result<Bytes>;
}

/// The bytes of a message, from its manifest and its chunks. Holds one unpacked chunk.
pub struct ManifestReader<S> {
    manifest: Manifest,
    source: S,
    held: Option<(BlobId, u32, Bytes)>,
}

impl<S: ChunkSource> ManifestReader<S> {
    pub fn new(manifest: Manifest, source: S) -> Self {
        Self { manifest, source, held: None }
    }

    async fn chunk(&mut self, blob: BlobId, index: u32) -> Result<Bytes> {
        if let Some((held, i, bytes)) = &self.held
            && (*held, *i) == (blob, index)
        {
            return Ok(bytes.clone());
        }
        let bytes = unpack(&self.source.chunk(&blob, index).await?)?;
        self.held = Some((blob, index, bytes.clone()));
        Ok(bytes)
    }

    /// Content of a blob from `at`: what its chunk holds from there, at most `len`.
    async fn content(&mut self, piece: &Piece, at: u64, len: usize) -> Result<Bytes> {
        let chunk = self.chunk(piece.blob, (at / CHUNK_LEN as u64) as u32).await?;
        let from = (at % CHUNK_LEN as u64) as usize;
        if from >= chunk.len() {
            return Err(StoreError::Corrupt("a chunk is shorter than its manifest says".into()));
        }
        Ok(chunk.slice(from..chunk.len().min(from.saturating_add(len))))
    }

    /// Exactly `len` bytes of content from `at`, gathered from as many chunks as it takes.
    async fn gather(&mut self, piece: &Piece, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut all = Vec::with_capacity(len);
        while all.len() < len {
            let more = self.content(piece, at + all.len() as u64, len - all.len()).await?;
            all.extend_from_slice(&more);
        }
        Ok(all)
    }

    async fn read_base64(&mut self, piece: &Piece, at: u64, len: usize) -> Result<Bytes> {
        let Form::Base64 { line_len, last_line_ended } = piece.form else {
            return Err(StoreError::Corrupt("not a base64 piece".into()));
        };
        let (content, line) = (u64::from(line_len) / 4 * 3, u64::from(line_len) + 2);
        let first = at / line;
        // Whole lines that cover the range, but no more than about a chunk of them.
        let lines = ((at + len as u64).div_ceil(line) - first).clamp(1, (CHUNK_LEN as u64 / content).max(1));
        let from = first * content;
        let to = (from + lines * content).min(piece.stored_len);
        let bytes = self.gather(piece, from, to.saturating_sub(from) as usize).await?;
        let text = base64_piece::encode_from(&bytes, line_len, to == piece.stored_len, last_line_ended);
        let skip = (at - first * line) as usize;
        if skip >= text.len() {
            return Err(StoreError::Corrupt("a base64 piece is shorter than its manifest says".into()));
        }
        let end = text.len().min(skip.saturating_add(len));
        Ok(Bytes::from(text).slice(skip..end))
    }
}

#[async_trait]
impl<S: ChunkSource> BodyReader for ManifestReader<S> {
    fn size(&self) -> u64 {
        self.manifest.size
    }

    async fn read_at(&mut self, offset: u64, len: usize) -> Result<Bytes> {
        if len == 0 || offset >= self.manifest.size {
            return Ok(Bytes::new());
        }
        let mut start = 0;
        let found = self.manifest.pieces.iter().find(|piece| {
            let here = offset < start + piece.len;
            if !here {
                start += piece.len;
            }
            here
        });
        let piece = found.cloned().ok_or_else(|| StoreError::Corrupt("a manifest is too short".into()))?;
        let at = offset - start;
        let len = len.min(usize::try_from(piece.len - at).unwrap_or(usize::MAX));
        match piece.form {
            Form::Verbatim => self.content(&piece, at, len).await,
            Form::Base64 { .. } => self.read_base64(&piece, at, len).await,
        }
    }
}
