//! Operation ids: which mutation an id stands for, and what it answered.

use crate::{NewMessage, Result, Timestamp};
use serde::Serialize;
use std::any::Any;

/// A digest of a mutation's kind and arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(kind: &'static str, arguments: &impl Serialize) -> Self {
        let bytes = postcard::to_allocvec(&(kind, arguments))
            .expect("ids, names, flags and numbers serialise into a vector");
        Fingerprint(blake3::hash(&bytes).into())
    }
}

/// A mutation that has happened.
pub(super) struct Operation {
    pub at: Timestamp,
    print: Fingerprint,
    outcome: Box<dyn Any + Send + Sync>,
}

impl Operation {
    pub fn new(at: Timestamp, print: Fingerprint, outcome: impl Any + Send + Sync) -> Self {
        Self { at, print, outcome: Box::new(outcome) }
    }

    /// The outcome, if this is the same mutation.
    pub fn answer<T: Any + Clone>(&self, print: &Fingerprint) -> Option<T> {
        if self.print != *print {
            return None;
        }
        self.outcome.downcast_ref::<T>().cloned()
    }
}

/// A digest of all there is to a message, its bytes included.
pub(super) fn digest(message: &NewMessage) -> Result<[u8; 32]> {
    const PIECE: usize = 64 << 10;
    if let Some(digest) = message.made_from {
        return Ok(digest);
    }
    let mut hasher = blake3::Hasher::new();
    let meta = (message.body.size(), &message.flags, message.internal_date, &message.delivery);
    hasher.update(&postcard::to_allocvec(&meta).expect("flags, dates and texts serialise into a vector"));
    let mut at = 0;
    while at < message.body.size() {
        let len = PIECE.min((message.body.size() - at) as usize);
        hasher.update(&message.body.read(at, len)?);
        at += len as u64;
    }
    Ok(hasher.finalize().into())
}
