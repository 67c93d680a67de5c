//! Named values.

use super::MemoryStore;
use crate::{DOCUMENT_LIMIT, Document, Documents, Result, StoreError};
use async_trait::async_trait;

#[async_trait]
impl Documents for MemoryStore {
    async fn document(&self, name: &str) -> Result<Option<Document>> {
        Ok(self.state().documents.get(name).cloned())
    }

    async fn replace_document(&self, name: &str, expected: u64, bytes: &[u8]) -> Result<Option<u64>> {
        if bytes.len() > DOCUMENT_LIMIT {
            return Err(StoreError::LimitReached("size of a document"));
        }
        let mut state = self.state();
        state.writable()?;
        if state.documents.get(name).map_or(0, |d| d.version) != expected {
            return Ok(None);
        }
        let version = expected + 1;
        state.documents.insert(name.to_owned(), Document { version, bytes: bytes.to_vec() });
        Ok(Some(version))
    }
}
