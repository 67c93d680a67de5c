//! Files of the machine, for members that are real processes.

use super::Disk;
use async_trait::async_trait;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files in a directory of one member's own.
#[derive(Debug, Clone)]
pub struct RealDisk(PathBuf);

impl RealDisk {
    /// Makes the directory if need be.
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        Ok(RealDisk(directory))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        file: &str,
        work: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (directory, path) = (self.0.clone(), self.0.join(file));
        tokio::task::spawn_blocking(move || work(&directory, &path)).await.map_err(io::Error::other)?
    }
}

#[async_trait]
impl Disk for RealDisk {
    async fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        self.blocking(file, |_, path| match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(vec![]),
            other => other,
        })
        .await
    }

    async fn append(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.to_vec();
        self.blocking(file, move |_, path| writable(path)?.write_all(&bytes)).await
    }

    async fn sync(&self, file: &str) -> io::Result<()> {
        self.blocking(file, |directory, path| {
            writable(path)?.sync_all()?;
            // fsync(2): the file's own says nothing about its name in the directory.
            sync_directory(directory)
        })
        .await
    }

    async fn truncate(&self, file: &str, len: u64) -> io::Result<()> {
        self.blocking(file, move |_, path| writable(path)?.set_len(len)).await
    }

    async fn replace(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.to_vec();
        self.blocking(file, move |directory, path| {
            let new = path.with_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            sync_directory(directory)
        })
        .await
    }
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
