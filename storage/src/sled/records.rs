//! What the values are.

use crate::body::Manifest;
use crate::mime::Structure;
use crate::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The schema this code writes.
pub const SCHEMA_VERSION: u32 = 1;

pub fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|e| StoreError::Corrupt(format!("a record can't be written: {e}")))
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| StoreError::Corrupt(format!("a record can't be read: {e}")))
}

/// Counters of the whole store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub accounts: u64,
    pub messages: u64,
    pub bytes: u64,
    pub appended: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MailboxRecord {
    pub account: AccountId,
    pub name: MailboxName,
    pub special_use: Option<SpecialUse>,
    pub uidvalidity: UidValidity,
    pub uidnext: Option<Uid>,
    pub modseq: ModSeq,
    pub messages: u64,
    pub unseen: u64,
    pub deleted: u64,
    pub bytes: u64,
    /// Messages from this UID on have been told to no session.
    pub recent_from: u32,
    /// How many those are.
    pub recent: u64,
    pub keywords: BTreeSet<Keyword>,
    /// The journal is complete after this modseq.
    pub trimmed_through: u64,
}

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowRecord {
    pub modseq: ModSeq,
    pub flags: Flags,
    pub internal_date: Timestamp,
    pub saved_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub size: u64,
    pub email_id: EmailId,
}

/// What the copies of a message share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContentRecord {
    pub structure: Structure,
    pub delivery: Option<Delivery>,
    pub manifest: Manifest,
}

/// Content that is stored once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRecord {
    /// How many contents hold it.
    pub refs: u64,
    pub chunks: Vec<Location>,
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    pub segment: u32,
    pub offset: u32,
    pub len: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalRecord {
    pub at: Timestamp,
    pub changed: UidSet,
    pub vanished: UidSet,
}

/// A mutation that has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationRecord {
    pub print: [u8; 32],
    pub outcome: Vec<u8>,
}

impl RowRecord {
    pub fn message(&self, uid: Uid) -> Message {
        Message {
            uid,
            modseq: self.modseq,
            flags: self.flags.clone(),
            internal_date: self.internal_date,
            saved_at: self.saved_at,
            expires_at: self.expires_at,
            size: self.size,
            email_id: self.email_id,
            structure: None,
            delivery: None,
        }
    }
}

impl MailboxRecord {
    pub fn shown(&self, id: MailboxId, subscribed: bool) -> Mailbox {
        Mailbox {
            id,
            name: self.name.clone(),
            special_use: self.special_use,
            subscribed,
            uidvalidity: self.uidvalidity,
            uidnext: self.uidnext,
            modseq: self.modseq,
            messages: self.messages,
            unseen: self.unseen,
            deleted: self.deleted,
            bytes: self.bytes,
            recent: self.recent,
            keywords: self.keywords.clone(),
        }
    }

    pub fn count(&mut self, uid: Uid, row: &RowRecord) {
        self.messages += 1;
        self.bytes += row.size;
        self.unseen += u64::from(!row.flags.has(SystemFlag::Seen));
        self.deleted += u64::from(row.flags.has(SystemFlag::Deleted));
        self.recent += u64::from(uid.get() >= self.recent_from);
    }

    pub fn discount(&mut self, uid: Uid, row: &RowRecord) {
        self.messages -= 1;
        self.bytes -= row.size;
        self.unseen -= u64::from(!row.flags.has(SystemFlag::Seen));
        self.deleted -= u64::from(row.flags.has(SystemFlag::Deleted));
        self.recent -= u64::from(uid.get() >= self.recent_from);
    }

    /// Notes the keywords as in use; the first spelling in a mailbox is the one that is kept.
    pub fn spelled(&mut self, flags: &Flags) -> Flags {
        let mut out = Flags::new();
        flags.system().for_each(|f| out.insert(f));
        for keyword in flags.keywords() {
            if !self.keywords.contains(keyword) {
                self.keywords.insert(keyword.clone());
            }
            out.insert_keyword(self.keywords.get(keyword).unwrap_or(keyword).clone());
        }
        out
    }

    pub fn has_uids_for(&self, count: usize) -> Result<()> {
        let free = self.uidnext.map_or(0, |next| u64::from(u32::MAX - next.get()) + 1);
        if free >= count as u64 { Ok(()) } else { Err(StoreError::LimitReached("UIDs of a mailbox")) }
    }

    pub fn has_keywords_for<'a>(&self, flags: impl Iterator<Item = &'a Flags>, most: usize) -> Result<()> {
        let new: BTreeSet<&Keyword> =
            flags.flat_map(|f| f.keywords()).filter(|k| !self.keywords.contains(*k)).collect();
        if new.is_empty() || self.keywords.len() + new.len() <= most {
            return Ok(());
        }
        Err(StoreError::LimitReached("keywords of a mailbox"))
    }
}
