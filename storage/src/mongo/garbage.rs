//! Collection of content nobody refers to. Nothing counts references, which could go wrong: content that has lost a
//! message is noted, and after a while looked at whether any message, any content still names it.

use super::db::{Find, Update};
use super::doc::{Fields, bin, time};
use super::fail::Step;
use super::keys;
use super::lease::Lease;
use super::operations::{Locks, Mutation};
use super::schema::*;
use super::store::{MongoStore, trying};
use super::tx::Tx;
use crate::*;
use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeSet;

/// Contents looked at in one transaction.
const TOGETHER: usize = 100;

impl MongoStore {
    /// One round; how many contents and blobs went, and whether there may be more to look at.
    pub(super) async fn collect(&self, lease: Lease, batch: usize) -> Result<(u64, bool)> {
        let shared = &self.shared;
        let age = i64::try_from(shared.garbage_age.as_millis()).unwrap_or(i64::MAX);
        let now = shared.clock.now();
        let horizon = Timestamp(now.0.saturating_sub(age));
        let mut dropped = 0;
        let noted = self.due(GARBAGE, "at", horizon, batch).await?;
        for noted in noted.chunks(TOGETHER) {
            let ids = noted.iter().filter_map(|d| d.fixed("_id").ok().map(EmailId)).collect();
            dropped += self.upkeep([0; 12], Contents { ids, horizon, lease }).await?;
        }
        let suspects = self.due(BLOBS, "check", now, batch).await?;
        for suspect in &suspects {
            let Ok(id) = suspect.fixed("_id") else { continue };
            dropped += self.upkeep([0; 12], Blob { id: BlobId(id), lease }).await?;
        }
        Ok((dropped, noted.len() == batch || suspects.len() == batch))
    }

    /// `_id`s of documents whose time in `field` has come, the oldest first.
    pub(super) async fn due(
        &self,
        collection: &str,
        field: &str,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Document>> {
        let shared = &self.shared;
        let find = Find {
            filter: doc! { field: { "$gte": time(Timestamp(0)), "$lte": time(until) } },
            sort: Some(doc! { field: 1 }),
            limit,
            fields: Some(doc! { "_id": 1 }),
        };
        trying!(shared, Ok(shared.db.find(collection, find.clone()).await?))
    }

    /// A mutation that is nobody's, queued under a name of its own.
    pub(super) async fn upkeep<M: Mutation>(&self, queue: [u8; 12], mutation: M) -> Result<M::Outcome> {
        self.mutate(AccountId(queue), None, mutation).await
    }
}

/// Collects those contents that no message has any more.
///
/// A message is copied only while it exists, with its mailbox taken, and so before it is expunged: where the expunge is
/// visible, each copy is.
struct Contents {
    ids: Vec<EmailId>,
    horizon: Timestamp,
    lease: Lease,
}

#[async_trait]
impl Mutation for Contents {
    type Outcome = u64;

    fn locks(&self) -> Locks {
        Locks::default()
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<u64> {
        self.lease.check(tx).await?;
        let ids: Vec<Bson> = self.ids.iter().map(|id| bin(id.0)).collect();
        // One that has lost another message meanwhile waits again.
        let filter = doc! { "_id": { "$in": ids.clone() }, "at": { "$lte": time(self.horizon) } };
        let noted = tx.scan(GARBAGE, filter, 0).await?;
        let fields = Some(doc! { "content": 1 });
        let find = Find { filter: doc! { "content": { "$in": ids } }, sort: None, limit: 0, fields };
        let held = tx.session.find(MESSAGES, find).await?;
        let held: BTreeSet<[u8; 12]> = held.iter().map(|d| d.fixed("content")).collect::<Step<_>>()?;
        let mut dropped = 0;
        for id in noted.iter().map(|d| d.fixed("_id")).collect::<Step<Vec<[u8; 12]>>>()? {
            tx.delete(GARBAGE, bin(id));
            if !held.contains(&id) {
                drop_content(tx, EmailId(id)).await?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}

async fn drop_content(tx: &mut Tx<'_>, id: EmailId) -> Step<()> {
    let fields = Some(doc! { "blobs": 1 });
    let find = Find { filter: keys::contents(id), sort: Some(keys::by_id()), limit: 0, fields };
    let check = time(tx.now.after(tx.shared.garbage_age));
    for piece in tx.session.find(CONTENTS, find).await? {
        if let Ok(blobs) = piece.get_array("blobs") {
            for blob in blobs {
                tx.update(BLOBS, Update::one(blob.clone(), doc! { "$max": { "check": check.clone() } }));
            }
        }
        tx.delete(CONTENTS, bin(piece.bytes("_id")?));
    }
    Ok(())
}

/// Collects a blob that no content refers to.
struct Blob {
    id: BlobId,
    lease: Lease,
}

#[async_trait]
impl Mutation for Blob {
    type Outcome = u64;

    fn locks(&self) -> Locks {
        Locks::default()
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<u64> {
        self.lease.check(tx).await?;
        let key = keys::blob(&self.id);
        let due = doc! { "_id": key.clone(), "check": { "$lte": time(tx.now) } };
        let Some(blob) = tx.session.find_one(BLOBS, due).await? else { return Ok(0) };
        if tx.session.find_one(CONTENTS, doc! { "blobs": key.clone() }).await?.is_some() {
            tx.update(BLOBS, Update::one(key, doc! { "$unset": { "check": 1 } }));
            return Ok(0);
        }
        for index in 0..blob.count("chunks")? as u32 {
            tx.delete(CHUNKS, keys::chunk(&self.id, index));
        }
        tx.delete(BLOBS, key);
        Ok(1)
    }
}
