//! A message being received.

use crate::mime::{Scanner, Structure};
use crate::{Result, StoreError};
use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

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
    config: SpoolConfig,
    memory: BytesMut,
    file: Option<File>,
    size: u64,
}

impl Ingest {
    pub fn new(config: &SpoolConfig) -> Self {
        Self { scanner: Scanner::new(), config: config.clone(), memory: BytesMut::new(), file: None, size: 0 }
    }

    /// Takes more bytes. [`StoreError::TooLarge`] once the limit is passed (what came before is kept only
    /// until drop), `Unavailable` when the temporary file can't be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let limit_bytes = self.config.message_limit_bytes;
        if self.size + bytes.len() as u64 > limit_bytes {
            return Err(StoreError::TooLarge { limit_bytes });
        }
        self.size += bytes.len() as u64;
        self.scanner.push(bytes);
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > self.config.memory_limit_bytes && self.config.directory.is_some() {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let failed = |e| StoreError::io("writing the spool", &e);
        if self.file.is_none() {
            let directory = self.config.directory.as_deref().unwrap_or_else(|| std::path::Path::new("."));
            self.file = Some(tempfile::tempfile_in(directory).map_err(failed)?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.memory).map_err(failed)?;
            self.memory.clear();
        }
        Ok(())
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn finish(mut self) -> Result<Staged> {
        let bytes = if self.file.is_some() {
            self.spill()?;
            Spool::File(self.file.take().map(Arc::new).ok_or_else(|| StoreError::unavailable("no spool"))?)
        } else {
            Spool::Memory(self.memory.freeze())
        };
        Ok(Staged { bytes, size: self.size, structure: Arc::new(self.scanner.finish()) })
    }
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ingest({} bytes)", self.size)
    }
}

/// A message received whole and scanned, not yet stored. Cheap to clone (the bytes are shared), so that a
/// retry can store it again.
#[derive(Debug, Clone)]
pub struct Staged {
    bytes: Spool,
    size: u64,
    structure: Arc<Structure>,
}

#[derive(Debug, Clone)]
enum Spool {
    Memory(Bytes),
    File(Arc<File>),
}

impl Staged {
    /// A message that is at hand whole, in memory.
    pub fn from_bytes(message: impl Into<Bytes>) -> Self {
        let message = message.into();
        let structure = Arc::new(crate::mime::scan(&message));
        Staged { size: message.len() as u64, bytes: Spool::Memory(message), structure }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn structure(&self) -> &Arc<Structure> {
        &self.structure
    }

    /// Whether reading blocks on a file.
    pub fn is_spooled(&self) -> bool {
        matches!(self.bytes, Spool::File(_))
    }

    /// Reads exactly `len` bytes at `offset`, both within the message. Blocks on a file if it was spooled.
    pub fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.size) {
            return Err(StoreError::Corrupt("a read past the end of a staged message".into()));
        }
        match &self.bytes {
            Spool::Memory(bytes) => Ok(bytes.slice(offset as usize..offset as usize + len)),
            Spool::File(file) => {
                let mut buf = vec![0; len];
                read_exact_at(file, &mut buf, offset)
                    .map_err(|e| StoreError::unavailable(format!("the spool cannot be read: {e}")))?;
                Ok(buf.into())
            }
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buf: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buf.is_empty() {
        match file.seek_read(buf, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}
