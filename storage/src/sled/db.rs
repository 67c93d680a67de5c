//! sled, made power-safe (docs/adr/0002): what its own `flush` leaves in the page cache is synced through a second
//! descriptor before anything is acknowledged.

use crate::{Result, StoreError};
use std::fs::File;
use std::path::Path;

/// Fixed when a database is made: sled's threshold for values it never syncs is a quarter of this.
const SEGMENT_SIZE: usize = 4 << 20;

pub struct Db {
    sled: ::sled::Db,
    pub tree: ::sled::Tree,
    /// A descriptor of our own on sled's file.
    file: File,
    sync: Sync,
}

/// What is done beyond sled's own flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    #[default]
    Full,
    /// Nothing: loses acknowledged mail in a power cut. For the test that shows it.
    FlushOnly,
}

impl Db {
    pub fn open(directory: &Path, cache_bytes: u64, sync: Sync) -> Result<Self, ::sled::Error> {
        let sled = ::sled::Config::new()
            .path(directory)
            .segment_size(SEGMENT_SIZE)
            .cache_capacity(cache_bytes)
            // All flushing is ours.
            .flush_every_ms(None)
            .mode(::sled::Mode::HighThroughput)
            .open()?;
        let tree = sled.open_tree(b"gadwall")?;
        let file = File::open(directory.join("db"))?;
        let db = Self { sled, tree, file, sync };
        db.flush()?;
        if sync == Sync::Full {
            sync_directories(directory)?;
        }
        Ok(db)
    }

    fn flush(&self) -> Result<(), ::sled::Error> {
        self.sled.flush()?;
        match self.sync {
            Sync::Full => self.file.sync_data()?,
            Sync::FlushOnly => {}
        }
        Ok(())
    }

    /// Applies a batch, all or nothing, and makes it durable.
    pub fn commit(&self, batch: ::sled::Batch, durable: Durable) -> Result<()> {
        let committed = self.tree.apply_batch(batch).and_then(|()| match durable {
            Durable::Yes => self.flush(),
            Durable::No => Ok(()),
        });
        committed.map_err(|e| StoreError::Unavailable {
            reason: format!("the database can't be written: {e}"),
            retry_after: None,
            outcome_unknown: true,
        })
    }
}

/// Whether a mutation's answer has to wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    Yes,
    No,
}

/// A new file is durable once its directory is, and so on upwards.
fn sync_directories(directory: &Path) -> std::io::Result<()> {
    let directory = directory.canonicalize()?;
    directory.ancestors().take(4).try_for_each(|d| File::open(d)?.sync_all())
}
