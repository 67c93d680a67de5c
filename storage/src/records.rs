//! What the durable backends keep of mailboxes and messages, and the rules that go with it: counters, spelling of
//! keywords, quota. Knows no backend.

use crate::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|e| StoreError::Corrupt(format!("a record can't be written: {e}")))
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| StoreError::Corrupt(format!("a record can't be read: {e}")))
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalRecord {
    pub at: Timestamp,
    pub changed: UidSet,
    pub vanished: UidSet,
}

/// A digest of a mutation's kind and arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    pub fn of(kind: &'static str, arguments: &impl Serialize) -> Result<Self> {
        Ok(Fingerprint(blake3::hash(&encode(&(kind, arguments))?).into()))
    }
}

/// What makes an append the same when it is repeated: of each message what it was made from, if that was named, or the
/// message itself.
#[derive(Serialize)]
pub enum Appending<'a, B> {
    Named(&'a [u8; 32]),
    /// The body, or what stands for it.
    Whole(B, &'a Flags, Option<Timestamp>, Option<&'a Delivery>),
}

/// Refuses what would take the account over its quota.
pub fn admit(owner: &Account, added: u64) -> Result<()> {
    let (used_bytes, limit_bytes) = (owner.used_bytes, owner.quota_bytes);
    match used_bytes.checked_add(added) {
        Some(sum) if sum <= limit_bytes => Ok(()),
        _ => Err(StoreError::OverQuota { used_bytes, limit_bytes }),
    }
}

/// INBOX, what was asked for, and the parents of that.
pub fn wanted_mailboxes(new: &NewAccount) -> BTreeMap<MailboxName, Option<SpecialUse>> {
    let mut wanted = BTreeMap::from([(MailboxName::inbox(), None)]);
    for (name, special_use) in &new.mailboxes {
        wanted.insert(name.clone(), *special_use);
        for parent in std::iter::successors(name.parent(), MailboxName::parent) {
            wanted.entry(parent).or_insert(None);
        }
    }
    wanted
}

/// Days since 1970-01-01.
pub fn day_of(now: Timestamp) -> u32 {
    (now.secs() / 86_400).clamp(0, i64::from(u32::MAX)) as u32
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
