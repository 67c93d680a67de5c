//! Named values.

use super::db::Update;
use super::doc::{Fields, bin};
use super::schema::DOCUMENTS;
use super::store::{MongoStore, trying};
use crate::{DOCUMENT_LIMIT, Document, Documents, Result, StoreError};
use async_trait::async_trait;
use mongodb::bson::{self, Bson, doc};

#[async_trait]
impl Documents for MongoStore {
    async fn document(&self, name: &str) -> Result<Option<Document>> {
        let shared = &self.shared;
        let found = trying!(shared, Ok(shared.db.find_one(DOCUMENTS, doc! { "_id": name }).await?))?;
        found.map(|found| read(&found)).transpose()
    }

    async fn replace_document(&self, name: &str, expected: u64, bytes: &[u8]) -> Result<Option<u64>> {
        if bytes.len() > DOCUMENT_LIMIT {
            return Err(StoreError::LimitReached("size of a document"));
        }
        self.writable()?;
        let Ok(known) = i64::try_from(expected) else { return Ok(None) };
        let shared = &self.shared;
        // Tells a write of ours that went unanswered from one of somebody else.
        let writer: [u8; 16] = shared.entropy.bytes();
        let id = Bson::String(name.to_owned());
        let update = match known {
            0 => {
                let first = doc! { "version": 1_i64, "value": bin(bytes), "writer": bin(writer) };
                Update::one(id, doc! { "$setOnInsert": first }).upsert()
            }
            _ => {
                let set = doc! { "value": bin(bytes), "writer": bin(writer) };
                let change = doc! { "$set": set, "$inc": { "version": 1_i64 } };
                Update { filter: doc! { "_id": id, "version": known }, ..Update::one(Bson::Null, change) }
            }
        };
        let written = trying!(shared, {
            let after = match shared.db.modify(DOCUMENTS, update.clone()).await? {
                Some(after) => Some(after),
                None => shared.db.find_one(DOCUMENTS, doc! { "_id": name }).await?,
            };
            Ok(after)
        })?;
        match written {
            Some(after) if after.fixed::<16>("writer").is_ok_and(|w| w == writer) => {
                Ok(Some(read(&after)?.version))
            }
            _ => Ok(None),
        }
    }
}

fn read(found: &bson::Document) -> Result<Document> {
    let damaged = |_| StoreError::Corrupt("a document".into());
    let version = found.get_i64("version").map_err(|_| StoreError::Corrupt("a document".into()))?;
    let bytes = found.get_binary_generic("value").map_err(damaged)?.clone();
    Ok(Document { version: version.unsigned_abs(), bytes })
}
