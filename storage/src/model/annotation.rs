//! Annotations of mailboxes and accounts (RFC 5464): named values that clients keep on the server.

use crate::{AccountId, MailboxRef, Result, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Values by name (`/private/comment`), as whoever sets them spells it.
pub type Annotations = BTreeMap<String, Vec<u8>>;

/// What annotations are to be: `None` takes one away.
pub type AnnotationChanges = BTreeMap<String, Option<Vec<u8>>>;

/// What annotations are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Annotated {
    /// The account as a whole, to which a client says "the server" (§3.2.1.1).
    Account(AccountId),
    Mailbox(MailboxRef),
}

impl Annotated {
    /// Whose they are.
    pub fn account(self) -> AccountId {
        match self {
            Annotated::Account(id) => id,
            Annotated::Mailbox(at) => at.account,
        }
    }
}

/// Most annotations that one mailbox, or one account, has.
pub const MOST_ANNOTATIONS: usize = 50;
/// All their names and values together, in bytes. They are not counted against the quota.
pub const ANNOTATION_BYTES: usize = 16 << 10;

/// `annotations` as the changes leave them. [`StoreError::LimitReached`] when that were more than there may be.
pub fn annotated(mut annotations: Annotations, changes: &AnnotationChanges) -> Result<Annotations> {
    for (name, value) in changes {
        match value {
            Some(value) => _ = annotations.insert(name.clone(), value.clone()),
            None => _ = annotations.remove(name),
        }
    }
    let bytes: usize = annotations.iter().map(|(name, value)| name.len() + value.len()).sum();
    // What only takes away is never too much.
    let grows = changes.values().any(Option::is_some);
    if grows && (annotations.len() > MOST_ANNOTATIONS || bytes > ANNOTATION_BYTES) {
        return Err(StoreError::LimitReached("annotations of a mailbox or an account"));
    }
    Ok(annotations)
}
