//! What a run went through, so that a claim does not rest on what never happened.

use crate::record::{Event, Record};
use std::collections::BTreeMap;

/// What sled's file is cut into, in bytes.
const SLED_SEGMENT: u64 = 4 << 20;

#[derive(Debug, Default)]
pub struct Seen {
    /// Segments of message content that were begun and deleted.
    pub segments: usize,
    pub dead_segments: usize,
    /// How long sled's file has become, in bytes.
    pub index_len: u64,
    /// Times when more than a segment of sled's was written between two syncs.
    pub long_batches: usize,
    /// Bytes written since the last sync, by inode of a file of sled's.
    unsynced: BTreeMap<u64, u64>,
}

impl Seen {
    pub fn note(&mut self, event: &Event) {
        match event.record {
            Record::Create { path } if path.ends_with(".seg") => self.segments += 1,
            Record::Remove { path } if path.ends_with(".seg") => self.dead_segments += 1,
            Record::Create { path } | Record::Open { path } => {
                self.unsynced.remove(&event.inode);
                if path.ends_with("index/db") {
                    self.unsynced.insert(event.inode, 0);
                }
            }
            Record::Write { at, bytes } => {
                if let Some(unsynced) = self.unsynced.get_mut(&event.inode) {
                    *unsynced += bytes.len() as u64;
                    self.index_len = self.index_len.max(at + bytes.len() as u64);
                }
            }
            Record::Sync => {
                if let Some(unsynced) = self.unsynced.get_mut(&event.inode) {
                    self.long_batches += usize::from(*unsynced > SLED_SEGMENT);
                    *unsynced = 0;
                }
            }
            _ => {}
        }
    }
}
