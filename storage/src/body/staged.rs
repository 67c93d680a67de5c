//! A message being received.

use crate::mime::{Scanner, Structure};
use crate::{Result, StoreError};
use bytes::Bytes;
use std::path::PathBuf;

/// Where and how much may be kept while a message is received.
#[derive(Debug, Clone)]
pub struct SpoolConfig {
    /// A message larger than this goes on to an unlinked temporary file.
    pub memory_limit_bytes: usize,
    /// Where those files are made; `None`: never, all stays in memory (simulation, memory store).
    pub directory: Option<PathBuf>,
    /// Largest message taken.
    pub message_limit_bytes: u64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { memory_limit_bytes: 256 << 10, directory: None, message_limit_bytes: 50 << 20 }
    }
}

/// Takes the bytes of one message, scanning its structure on the way.
pub struct Ingest {
    scanner: Scanner,
}

impl Ingest {
    pub fn new(_config: &SpoolConfig) -> Self {
        Self { scanner: Scanner::new() }
    }

    /// Takes more bytes. [`StoreError::TooLarge`] once the limit is passed (what came before is kept only
    /// until drop), `Unavailable` when the temporary file can't be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.scanner.push(bytes);
        unimplemented!()
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        unimplemented!()
    }

    pub fn finish(self) -> Result<Staged> {
        unimplemented!()
    }
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ingest")
    }
}

/// A message received whole and scanned, not yet stored. Cheap to clone (the bytes are shared), so that a
/// retry can store it again.
#[derive(Debug, Clone)]
pub struct Staged {}

impl Staged {
    /// A message that is at hand whole, in memory.
    pub fn from_bytes(_message: impl Into<Bytes>) -> Self {
        unimplemented!()
    }

    pub fn size(&self) -> u64 {
        unimplemented!()
    }

    pub fn structure(&self) -> &std::sync::Arc<Structure> {
        unimplemented!()
    }

    /// Reads exactly `len` bytes at `offset`, both within the message. Blocks on a file if it was spooled.
    pub fn read(&self, _offset: u64, _len: usize) -> Result<Bytes> {
        unimplemented!()
    }
}
