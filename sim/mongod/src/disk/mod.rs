//! The files of a member. What is not synced may be gone after a power cut; what is not written, after a crash.

mod real;
mod sim;

pub use real::RealDisk;
pub use sim::{DiskFaults, PowerCut, SimDisk};

use async_trait::async_trait;
use std::io;

/// Files of one member, by name. Every call may fail as a disk does (`EIO`, no space) and may take its time.
#[async_trait]
pub trait Disk: Send + Sync {
    /// The whole file; empty when there is none.
    async fn read(&self, file: &str) -> io::Result<Vec<u8>>;
    /// Adds to the end of a file, which it makes if need be. Durable only after [`Disk::sync`].
    async fn append(&self, file: &str, bytes: &[u8]) -> io::Result<()>;
    /// Makes durable all that was appended to and cut off the file before.
    async fn sync(&self, file: &str) -> io::Result<()>;
    /// Cuts a file off. Durable only after [`Disk::sync`].
    async fn truncate(&self, file: &str, len: u64) -> io::Result<()>;
    /// Puts new content in the place of the old, whole or not at all, durable when it answers.
    async fn replace(&self, file: &str, bytes: &[u8]) -> io::Result<()>;
}
