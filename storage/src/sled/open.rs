//! Opening a store.

use super::db::{Db, Sync};
use super::keys;
use super::look::Look;
use super::records::{SCHEMA_VERSION, encode};
use super::segments::Segments;
use super::store::SledStore;
use crate::memory::Limits;
use crate::{Clock, Entropy};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who has locked this file has the store.
const LOCK: &str = "lock";

/// What a store is opened with.
#[derive(Clone)]
pub struct SledOptions {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Memory for cached pages, in bytes. The process grows to it.
    pub cache_bytes: u64,
    pub limits: Limits,
    /// For the power-cut test alone.
    #[doc(hidden)]
    pub unsafe_without_sync: bool,
}

impl SledOptions {
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let limits = Limits::default();
        Self { clock, entropy, cache_bytes: 64 << 20, limits, unsafe_without_sync: false }
    }
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store in {} is in use by another process", path.display())]
    Held { path: PathBuf },
    #[error(
        "the store in {} was written by a newer Gadwall (schema {found}; this one knows {SCHEMA_VERSION}): \
         use that version, or another directory",
        path.display()
    )]
    Newer { path: PathBuf, found: u32 },
    #[error("the store in {} can't be opened: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("the store in {} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
}

impl SledStore {
    /// Opens the store in `directory`, or makes one there.
    pub fn open(directory: &Path, options: SledOptions) -> Result<SledStore, OpenError> {
        let path = directory.to_owned();
        let io = |error| OpenError::Io { path: path.clone(), error };
        create_private(directory).map_err(io)?;
        let lock = lock(directory)?;
        let segments = Segments::open(&directory.join("segments")).map_err(io)?;
        let sync = if options.unsafe_without_sync { Sync::FlushOnly } else { Sync::Full };
        let db = Db::open(&directory.join("index"), options.cache_bytes, sync).map_err(|e| match e {
            ::sled::Error::Io(error) => OpenError::Io { path: path.clone(), error },
            e => OpenError::Damaged { path: path.clone(), reason: e.to_string() },
        })?;
        check_schema(&db, directory)?;
        Ok(SledStore::start(db, segments, directory, options, lock))
    }

    /// Whether another process has the store in `directory` open. Makes nothing there.
    pub fn is_held(directory: &Path) -> std::io::Result<bool> {
        if !directory.join(LOCK).exists() {
            return Ok(false);
        }
        match lock(directory) {
            Ok(_) => Ok(false),
            Err(OpenError::Held { .. }) => Ok(true),
            Err(OpenError::Io { error, .. }) => Err(error),
            Err(e) => Err(std::io::Error::other(e)),
        }
    }
}

/// Mail is nobody else's business: a directory made here is its owner's alone. One that is there stays as it is.
fn create_private(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.to_owned();
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(LOCK));
    let file = file.map_err(|error| OpenError::Io { path: path.clone(), error })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Held { path }),
        Err(TryLockError::Error(error)) => Err(OpenError::Io { path, error }),
    }
}

fn check_schema(db: &Db, directory: &Path) -> Result<(), OpenError> {
    let path = directory.to_owned();
    let damaged = |e: crate::StoreError| OpenError::Damaged { path: path.clone(), reason: e.to_string() };
    match Look::get::<u32>(&db.tree, keys::SCHEMA).map_err(damaged)? {
        Some(found) if found > SCHEMA_VERSION => Err(OpenError::Newer { path, found }),
        Some(_) => Ok(()),
        None => {
            let mut batch = ::sled::Batch::default();
            batch.insert(keys::SCHEMA, encode(&SCHEMA_VERSION).map_err(damaged)?);
            db.commit(batch, super::db::Durable::Yes).map_err(damaged)
        }
    }
}
