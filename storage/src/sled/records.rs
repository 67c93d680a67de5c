//! What the values are.

use crate::body::Manifest;
use crate::mime::Structure;
use crate::*;
use serde::{Deserialize, Serialize};

pub use crate::records::{JournalRecord, MailboxRecord, RowRecord, decode, encode};

/// The schema this code writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Counters of the whole store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub accounts: u64,
    pub messages: u64,
    pub bytes: u64,
    pub appended: u64,
}

/// What the copies of a message share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContentRecord {
    pub structure: Structure,
    pub delivery: Option<Delivery>,
    pub manifest: Manifest,
}

/// Content that is stored once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRecord {
    /// How many contents hold it.
    pub refs: u64,
    pub chunks: Vec<Location>,
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    pub segment: u32,
    pub offset: u32,
    pub len: u32,
}

/// A mutation that has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationRecord {
    pub print: [u8; 32],
    pub outcome: Vec<u8>,
}
