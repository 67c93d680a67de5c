//! Message content. Small content stands with its message's record and is written in the same transaction; larger
//! content is cut into chunks, named by digest and written before the transaction that refers to it.
//!
//! A blob that nothing has referred to yet, or that has lost a reference, bears the time at which it may be looked at
//! for collection. The transaction that refers to it takes that time away, and so conflicts with its collection.

use super::db::Update;
use super::doc::{Fields, bin, int, time};
use super::fail::{Fail, Step};
use super::keys;
use super::records::{BodyRecord, ContentRecord, Inline, content_documents};
use super::schema::*;
use super::store::{Shared, trying};
use super::tx::Tx;
use crate::body::{ChunkSource, Manifest, Staged, chunk_count, chunks};
use crate::records::Appending;
use crate::*;
use async_trait::async_trait;
use bytes::Bytes;
use mongodb::bson::{Document, doc};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Content up to this length stands with its message's record, as long as all of it together is not more than that.
const INLINE: u64 = 32 << 10;
const INLINE_SUM: u64 = 128 << 10;
/// Bytes of chunks written by one command, about.
const WRITTEN: usize = 4 << 20;

/// A message on its way in.
pub struct Prepared {
    pub flags: Flags,
    pub internal_date: Option<Timestamp>,
    pub body: BodyRecord,
    staged: Staged,
    content: ContentRecord,
    made_from: Option<[u8; 32]>,
}

impl Prepared {
    /// Splits a message. Reads all of it, so it may block on a file.
    pub fn plan(new: NewMessage) -> Result<Self> {
        let manifest = Manifest::plan(&new.body)?;
        let mut inline = Inline::new();
        let mut left = INLINE_SUM;
        for (blob, piece) in manifest.blobs() {
            let len = manifest.pieces[piece].stored_len;
            if len <= INLINE.min(left) {
                left -= len;
                let all = chunks(&new.body, &manifest, piece).map(|chunk| Ok(chunk?.to_vec()));
                inline.insert(blob, all.collect::<Result<_>>()?);
            }
        }
        let content =
            ContentRecord { structure: new.body.structure().clone(), delivery: new.delivery.map(Arc::new) };
        Ok(Prepared {
            flags: new.flags,
            internal_date: new.internal_date,
            body: BodyRecord { manifest, inline },
            staged: new.body,
            content,
            made_from: new.made_from,
        })
    }

    pub fn size(&self) -> u64 {
        self.body.manifest.size
    }

    /// What tells this message from others, bytes included.
    pub fn identity(&self) -> Appending<'_, &Manifest> {
        match &self.made_from {
            Some(digest) => Appending::Named(digest),
            None => {
                let delivery = self.content.delivery.as_deref();
                Appending::Whole(&self.body.manifest, &self.flags, self.internal_date, delivery)
            }
        }
    }

    /// Bytes written in the transaction, about.
    pub fn weight(&self) -> usize {
        let inline: usize = self.body.inline.values().flatten().map(Vec::len).sum();
        2048 + inline + self.staged.structure().root.header.end as usize
    }

    /// Writes what is stored apart, unless it is there and in use.
    pub async fn store(&self, shared: &Shared) -> Result<()> {
        for (blob, piece) in self.body.manifest.blobs() {
            if self.body.inline.contains_key(&blob) || self.is_in_use(shared, &blob).await? {
                continue;
            }
            self.write(shared, &blob, piece).await?;
        }
        Ok(())
    }

    async fn is_in_use(&self, shared: &Shared, blob: &BlobId) -> Result<bool> {
        let filter = doc! { "_id": keys::blob(blob), "check": { "$exists": false } };
        trying!(shared, Ok(shared.db.find_one(BLOBS, filter.clone()).await?.is_some()))
    }

    async fn write(&self, shared: &Shared, blob: &BlobId, piece: usize) -> Result<()> {
        // First the mark that keeps collection away, then what it protects.
        let check = time(shared.clock.now().after(shared.garbage_age));
        let count = int(u64::from(chunk_count(self.body.manifest.pieces[piece].stored_len)));
        let mark = doc! { "$set": { "chunks": count }, "$max": { "check": check } };
        let mark = Update::one(keys::blob(blob), mark).upsert();
        trying!(shared, Ok(shared.db.update(BLOBS, vec![mark.clone()]).await?))?;
        if self.staged.is_spooled() {
            return self.write_spooled(shared, blob, piece).await;
        }
        let mut batch = Batch::new(shared, blob);
        for chunk in chunks(&self.staged, &self.body.manifest, piece) {
            batch.add(chunk?).await?;
        }
        batch.write().await
    }

    /// Reading the spool blocks, so it is done on a thread of its own, a few chunks ahead.
    async fn write_spooled(&self, shared: &Shared, blob: &BlobId, piece: usize) -> Result<()> {
        let (ahead, mut cut) = tokio::sync::mpsc::channel(16);
        let (staged, manifest) = (self.staged.clone(), self.body.manifest.clone());
        let cutting = tokio::task::spawn_blocking(move || {
            // Nobody listens any more once a write has failed.
            let _ = chunks(&staged, &manifest, piece).try_for_each(|chunk| ahead.blocking_send(chunk));
        });
        let mut batch = Batch::new(shared, blob);
        while let Some(chunk) = cut.recv().await {
            batch.add(chunk?).await?;
        }
        cutting.await.map_err(|e| StoreError::unavailable(format!("a worker thread failed: {e}")))?;
        batch.write().await
    }
}

/// Chunks that are written by one command.
struct Batch<'a> {
    shared: &'a Shared,
    blob: &'a BlobId,
    next: u32,
    updates: Vec<Update>,
    weight: usize,
}

impl<'a> Batch<'a> {
    fn new(shared: &'a Shared, blob: &'a BlobId) -> Self {
        Self { shared, blob, next: 0, updates: Vec::new(), weight: 0 }
    }

    async fn add(&mut self, chunk: Bytes) -> Result<()> {
        self.weight += chunk.len();
        let value = doc! { "$setOnInsert": { "value": bin(chunk) } };
        self.updates.push(Update::one(keys::chunk(self.blob, self.next), value).upsert());
        self.next += 1;
        if self.weight >= WRITTEN { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<()> {
        let updates = std::mem::take(&mut self.updates);
        self.weight = 0;
        if updates.is_empty() {
            return Ok(());
        }
        let shared = self.shared;
        trying!(shared, Ok(shared.db.update(CHUNKS, updates.clone()).await?)).map(|_| ())
    }
}

/// Takes in the content of a message.
pub fn add(tx: &mut Tx<'_>, id: EmailId, message: &Prepared) -> Step<()> {
    for document in content_documents(id, &message.content, &message.body)? {
        tx.insert(CONTENTS, document);
    }
    Ok(())
}

/// Marks the blobs that messages refer to as in use. [`Fail::Raced`] when one has been collected.
pub async fn refer<'m>(tx: &mut Tx<'_>, messages: impl Iterator<Item = &'m Prepared>) -> Step<()> {
    let blobs: BTreeSet<BlobId> = messages.flat_map(|m| m.body.blobs()).collect();
    if blobs.is_empty() {
        return Ok(());
    }
    let count = blobs.len() as u64;
    let change = doc! { "$unset": { "check": 1 }, "$inc": { "references": int(1) } };
    let updates = blobs.iter().map(|blob| Update::one(keys::blob(blob), change.clone())).collect();
    if tx.session.update(BLOBS, updates).await? == count { Ok(()) } else { Err(Fail::Raced) }
}

/// Content that has lost a message, and so perhaps its last.
pub fn release(tx: &mut Tx<'_>, ids: impl IntoIterator<Item = EmailId>) {
    let at = time(tx.now);
    let ids: BTreeSet<EmailId> = ids.into_iter().collect();
    for id in ids {
        let change = doc! { "$set": { "at": at.clone() } };
        tx.update(GARBAGE, Update::one(bin(id.0), change).upsert());
    }
}

/// Where the chunks of one message come from.
pub struct Chunks {
    pub shared: Arc<Shared>,
    pub inline: Inline,
}

#[async_trait]
impl ChunkSource for Chunks {
    async fn chunk(&mut self, blob: &BlobId, index: u32) -> Result<Bytes> {
        if let Some(chunks) = self.inline.get(blob) {
            let chunk = chunks.get(index as usize).cloned().map(Bytes::from);
            return chunk.ok_or_else(|| StoreError::Corrupt("a chunk is missing".into()));
        }
        let (shared, id) = (&self.shared, keys::chunk(blob, index));
        trying!(shared, {
            let mut found: Option<Document> = shared.db.find_one(CHUNKS, doc! { "_id": id.clone() }).await?;
            if found.is_none() {
                // A new primary may not know yet that a majority has it.
                found = shared.db.latest(CHUNKS, id.clone(), None).await?;
            }
            let missing = || StoreError::Corrupt("a chunk is missing".into());
            Ok(Bytes::copy_from_slice(found.ok_or_else(missing)?.bytes("value")?))
        })
    }
}
