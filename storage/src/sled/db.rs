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
    /// A disk that fails.
    #[cfg(test)]
    pub fail_syncs: std::sync::atomic::AtomicBool,
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
    /// Opens the database in `directory`, or makes one there.
    pub fn open(directory: &Path, cache_bytes: u64, sync: Sync) -> Result<Self, ::sled::Error> {
        if !directory.exists() {
            Self::create(directory, cache_bytes, sync)?;
        }
        remove_unfinished_snapshots(directory)?;
        let db = Self::open_existing(directory, cache_bytes, sync)?;
        if sync == Sync::Full {
            sync_files(directory)?;
            // Every time: whoever made them may have been killed before they were synced.
            sync_directories(directory)?;
        }
        Ok(db)
    }

    /// A database appears whole or not at all: sled can't open one whose first files are torn.
    fn create(directory: &Path, cache_bytes: u64, sync: Sync) -> Result<(), ::sled::Error> {
        let (draft, unfinished) = (directory.with_extension("draft"), directory.with_extension("new"));
        for left in [&draft, &unfinished] {
            if left.exists() {
                std::fs::remove_dir_all(left)?;
            }
        }
        drop(Self::open_existing(&draft, cache_bytes, sync)?);
        // A copy, because sled lets go of the lock on its file only some time after it was dropped.
        std::fs::create_dir(&unfinished)?;
        for name in ["conf", "db"] {
            std::fs::write(unfinished.join(name), std::fs::read(draft.join(name))?)?;
        }
        std::fs::remove_dir_all(&draft)?;
        if sync == Sync::Full {
            sync_files(&unfinished)?;
            File::open(&unfinished)?.sync_all()?;
        }
        std::fs::rename(&unfinished, directory)?;
        Ok(())
    }

    fn open_existing(directory: &Path, cache_bytes: u64, sync: Sync) -> Result<Self, ::sled::Error> {
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
        let db = Self {
            sled,
            tree,
            file,
            sync,
            #[cfg(test)]
            fail_syncs: false.into(),
        };
        db.flush()?;
        Ok(db)
    }

    fn flush(&self) -> Result<(), ::sled::Error> {
        self.sled.flush()?;
        #[cfg(test)]
        if self.fail_syncs.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(std::io::Error::other("a disk that fails").into());
        }
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

/// A process killed while sled wrote a snapshot leaves a torn one under this name, and sled takes the last name for the
/// newest snapshot and refuses to open. One that was finished has been renamed.
fn remove_unfinished_snapshots(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Makes durable what sled writes once and never syncs, such as its configuration.
fn sync_files(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        File::open(entry?.path())?.sync_all()?;
    }
    Ok(())
}

/// A new file is durable once its directory is, and so on upwards. What can't be opened was not made by this user.
fn sync_directories(directory: &Path) -> std::io::Result<()> {
    let directory = directory.canonicalize()?;
    directory.ancestors().try_for_each(|ancestor| match File::open(ancestor) {
        Ok(opened) => opened.sync_all(),
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        Err(e) => Err(e),
    })
}
