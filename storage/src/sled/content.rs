//! Message content: stored once by digest, counted by the messages that hold it, read back from segments.

use super::keys;
use super::look::{Look, damaged};
use super::records::{BlobRecord, ContentRecord, Location};
use super::segments::{Ticket, read};
use super::store::Reader;
use super::tx::Tx;
use super::writer::Shared;
use crate::body::{ChunkSource, Manifest, ManifestReader, chunks};
use crate::*;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::sync::Arc;

/// A message whose content has been written to segments, as far as it was not there already.
pub struct Prepared {
    pub manifest: Manifest,
    pub blobs: Vec<(BlobId, Option<Vec<Location>>)>,
    pub new: NewMessage,
    _ticket: Ticket,
}

/// Whether content that is there already is written all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    New,
    All,
}

/// Splits and writes content. Blocks on files.
pub fn prepare(shared: &Shared, new: NewMessage, write: Write) -> Result<Prepared> {
    let ticket = shared.segments.ticket();
    let manifest = Manifest::plan(&new.body)?;
    let mut blobs = Vec::new();
    for (blob, piece) in manifest.blobs() {
        let known = write == Write::New && shared.db.tree.raw(&keys::blob(&blob))?.is_some();
        let locations = if known {
            None
        } else {
            let written = chunks(&new.body, &manifest, piece).map(|chunk| shared.segments.append(&chunk?));
            Some(written.collect::<Result<Vec<_>>>()?)
        };
        blobs.push((blob, locations));
    }
    Ok(Prepared { manifest, blobs, new, _ticket: ticket })
}

const RACED: &str = "content that was there has gone meanwhile";

/// Whether a mutation failed because content it counted on was dropped before it ran: it has to be written then.
pub fn has_raced(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { reason, .. } if reason == RACED)
}

/// Takes in the content of one message, held once.
pub fn add(tx: &mut Tx, id: EmailId, prepared: Prepared) -> Result<()> {
    for (blob, locations) in prepared.blobs {
        let key = keys::blob(&blob);
        let record = match (tx.get_long::<BlobRecord>(&key)?, locations) {
            (Some(known), _) => BlobRecord { refs: known.refs + 1, ..known },
            (None, None) => return Err(StoreError::unavailable(RACED)),
            (None, Some(chunks)) => {
                count_live(tx, &blob, &chunks, Change::Added)?;
                BlobRecord { refs: 1, chunks }
            }
        };
        tx.put_long(key, &record)?;
    }
    let structure = Arc::unwrap_or_clone(prepared.new.body.structure().clone());
    let record = ContentRecord { structure, delivery: prepared.new.delivery, manifest: prepared.manifest };
    tx.put_long(keys::content(id), &record)
}

/// One more message holds the content.
pub fn hold(tx: &mut Tx, id: EmailId) -> Result<()> {
    let refs: u64 = tx.get(&keys::content_refs(id))?.unwrap_or(1);
    tx.put(keys::content_refs(id), &(refs + 1))
}

/// One message less holds it. The last one takes it along.
pub fn release(tx: &mut Tx, id: EmailId) -> Result<()> {
    match tx.get::<u64>(&keys::content_refs(id))?.unwrap_or(1) {
        1 => {}
        2 => {
            tx.delete(keys::content_refs(id));
            return Ok(());
        }
        refs => return tx.put(keys::content_refs(id), &(refs - 1)),
    }
    let key = keys::content(id);
    let record: ContentRecord = tx.get_long(&key)?.ok_or_else(|| damaged("a message without content"))?;
    for (blob, _) in record.manifest.blobs() {
        let key = keys::blob(&blob);
        let known: BlobRecord = tx.get_long(&key)?.ok_or_else(|| damaged("content without a blob"))?;
        if known.refs > 1 {
            tx.put_long(key, &BlobRecord { refs: known.refs - 1, ..known })?;
        } else {
            count_live(tx, &blob, &known.chunks, Change::Removed)?;
            tx.delete_long(key)?;
        }
    }
    tx.delete_long(key)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Removed,
}

/// Keeps count of what is live in each segment.
pub fn count_live(tx: &mut Tx, blob: &BlobId, chunks: &[Location], change: Change) -> Result<()> {
    let mut by_segment: BTreeMap<u32, u64> = BTreeMap::new();
    chunks.iter().for_each(|c| *by_segment.entry(c.segment).or_default() += u64::from(c.len));
    for (segment, len) in by_segment {
        let live: u64 = tx.get(&keys::segment_live(segment))?.unwrap_or_default();
        let live = match change {
            Change::Added => {
                tx.put(keys::in_segment(segment, blob), &())?;
                live + len
            }
            Change::Removed => {
                tx.delete(keys::in_segment(segment, blob));
                live.saturating_sub(len)
            }
        };
        if live == 0 {
            tx.delete(keys::segment_live(segment));
        } else {
            tx.put(keys::segment_live(segment), &live)?;
        }
    }
    Ok(())
}

/// Opens a message's content. The files stay open, so that nothing that happens to the message later matters.
pub fn open(reader: &Reader, id: EmailId) -> Result<ManifestReader<Chunks>> {
    let record: ContentRecord =
        reader.tree.get_long(&keys::content(id))?.ok_or_else(|| damaged("a message without content"))?;
    let mut chunks = Chunks::default();
    for (blob, _) in record.manifest.blobs() {
        let known: Option<BlobRecord> = reader.tree.get_long(&keys::blob(&blob))?;
        let known = known.ok_or_else(|| damaged("content without a blob"))?;
        for at in &known.chunks {
            if let Entry::Vacant(place) = chunks.files.entry(at.segment) {
                place.insert(reader.shared.segments.file(at.segment)?);
            }
        }
        chunks.blobs.insert(blob, known.chunks);
    }
    Ok(ManifestReader::new(record.manifest, chunks))
}

/// Where the chunks of one message are.
#[derive(Default)]
pub struct Chunks {
    blobs: BTreeMap<BlobId, Vec<Location>>,
    files: BTreeMap<u32, Arc<File>>,
}

#[async_trait]
impl ChunkSource for Chunks {
    async fn chunk(&mut self, blob: &BlobId, index: u32) -> Result<Bytes> {
        let at = self.blobs.get(blob).and_then(|chunks| chunks.get(index as usize)).copied();
        let at = at.ok_or_else(|| damaged("a manifest names a chunk that is not there"))?;
        let file = self.files.get(&at.segment).ok_or_else(|| damaged("a chunk without a segment"))?;
        read(file, at)
    }
}
