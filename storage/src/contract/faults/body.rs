//! Spoiled bodies.

use crate::body::Staged;
use crate::*;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// Looks the message up again for each piece.
pub(super) struct Reopening {
    pub store: Arc<dyn MailStore>,
    pub at: MailboxRef,
    pub uid: Uid,
    pub size: u64,
}

#[async_trait]
impl BodyReader for Reopening {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read_at(&mut self, offset: u64, len: usize) -> Result<Bytes> {
        self.store.body(self.at, self.uid).await?.read_at(offset, len).await
    }
}

/// The message with every line ended by CRLF.
pub(super) fn with_crlf(mut new: NewMessage) -> Result<NewMessage> {
    let bytes = new.body.read(0, new.body.size() as usize)?;
    let mut fixed = Vec::with_capacity(bytes.len());
    for (i, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' && (i == 0 || bytes[i - 1] != b'\r') {
            fixed.push(b'\r');
        }
        fixed.push(*byte);
    }
    new.body = Staged::from_bytes(fixed);
    Ok(new)
}

/// What makes a mail the same as another for a store that takes identical mails for one.
pub(super) fn key(messages: &[NewMessage]) -> Result<Vec<Bytes>> {
    messages.iter().map(|m| m.body.read(0, m.body.size() as usize)).collect()
}
