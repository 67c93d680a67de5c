//! Named values.

use super::keys;
use super::look::Look;
use super::store::SledStore;
use super::writer::Asks;
use crate::{DOCUMENT_LIMIT, Document, Documents, Result, StoreError};
use async_trait::async_trait;

type Record = (u64, Vec<u8>);

#[async_trait]
impl Documents for SledStore {
    async fn document(&self, name: &str) -> Result<Option<Document>> {
        let reader = self.read().await?;
        let found: Option<Record> = Look::get(reader.tree, &keys::document(name))?;
        Ok(found.map(|(version, bytes)| Document { version, bytes }))
    }

    async fn replace_document(&self, name: &str, expected: u64, bytes: &[u8]) -> Result<Option<u64>> {
        if bytes.len() > DOCUMENT_LIMIT {
            return Err(StoreError::LimitReached("size of a document"));
        }
        let (key, bytes) = (keys::document(name), bytes.to_vec());
        self.mutate(Asks::GROWS, move |tx| {
            let known: Option<Record> = tx.get(&key)?;
            if known.map_or(0, |(version, _)| version) != expected {
                return Ok(None);
            }
            let version = expected + 1;
            tx.put(key, &(version, bytes))?;
            Ok(Some(version))
        })
        .await
    }
}
