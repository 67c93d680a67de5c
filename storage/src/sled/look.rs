//! Reading records: the same for readers, who see what is durable, and for mutations, who see what the group before
//! them has done as well.

use super::keys;
use super::records::{MailboxRecord, RowRecord, decode};
use crate::*;
use ::sled::IVec;
use serde::de::DeserializeOwned;

/// Longest value in the tree: sled puts longer ones where they are never synced (docs/adr/0002).
pub const VALUE_LIMIT: usize = 32 << 10;

/// First byte of a long value: all of it follows.
pub const WHOLE: u8 = 0;
/// First byte of a long value: the number of its pieces follows.
pub const PIECES: u8 = 1;

/// Is shown pairs of key and value until it has seen enough.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<Walk>;

pub trait Look {
    fn raw(&self, key: &[u8]) -> Result<Option<IVec>>;

    /// Pairs of a range in order, until `visit` has seen enough.
    fn walk(&self, range: &keys::Range, visit: Visit<'_>) -> Result<()>;

    fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>> {
        self.raw(key)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// A value that may be too long for one record.
    fn get_long<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>> {
        let Some(first) = self.raw(key)? else { return Ok(None) };
        match first.split_first() {
            Some((&WHOLE, rest)) => decode(rest).map(Some),
            Some((&PIECES, count)) => {
                let mut whole = Vec::new();
                for index in 0..decode::<u32>(count)? {
                    let piece = self.raw(&keys::piece(key, index))?;
                    whole.extend_from_slice(&piece.ok_or_else(|| damaged("a piece of a record is missing"))?);
                }
                decode(&whole).map(Some)
            }
            _ => Err(damaged("a record of an unknown form")),
        }
    }

    fn keys(&self, range: &keys::Range, limit: usize) -> Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        if limit > 0 {
            self.walk(range, &mut |key, _| {
                found.push(key.to_vec());
                Ok(if found.len() < limit { Walk::On } else { Walk::Enough })
            })?;
        }
        Ok(found)
    }

    /// An account that has not expired.
    fn account(&self, id: AccountId, now: Timestamp) -> Result<Account> {
        let account: Option<Account> = self.get(&keys::account(id))?;
        account.filter(|a| !expired(a, now)).ok_or(StoreError::NotFound(Subject::Account))
    }

    /// A mailbox of an account that has not expired.
    fn mailbox(&self, at: MailboxRef, now: Timestamp) -> Result<MailboxRecord> {
        self.account(at.account, now)?;
        let found: Option<MailboxRecord> = self.get_long(&keys::mailbox(at.mailbox))?;
        found.filter(|m| m.account == at.account).ok_or(StoreError::NotFound(Subject::Mailbox))
    }

    fn described(&self, id: MailboxId, record: &MailboxRecord) -> Result<Mailbox> {
        let subscribed = self.raw(&keys::subscription(record.account, &record.name))?.is_some();
        Ok(record.shown(id, subscribed))
    }

    /// Those of `uids` that exist, ascending.
    fn rows(&self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<(Uid, RowRecord)>> {
        let mut found = Vec::new();
        for range in uids.ranges() {
            self.walk(&keys::rows(mailbox, range), &mut |key, value| {
                let uid = keys::uid_of(key).ok_or_else(|| damaged("a message without a UID"))?;
                found.push((uid, decode(value)?));
                Ok(Walk::On)
            })?;
        }
        Ok(found)
    }
}

/// Whether a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    On,
    Enough,
}

pub fn expired(account: &Account, now: Timestamp) -> bool {
    account.expires_at.is_some_and(|at| at <= now)
}

pub fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

pub fn broken(error: &::sled::Error) -> StoreError {
    match error {
        ::sled::Error::Io(e) => StoreError::io("reading the database", e),
        ::sled::Error::Corruption { .. } => StoreError::Corrupt(error.to_string()),
        e => StoreError::unavailable(e.to_string()),
    }
}

impl Look for ::sled::Tree {
    fn raw(&self, key: &[u8]) -> Result<Option<IVec>> {
        ::sled::Tree::get(self, key).map_err(|e| broken(&e))
    }

    fn walk(&self, range: &keys::Range, visit: Visit<'_>) -> Result<()> {
        for pair in self.range(&range.0[..]..&range.1[..]) {
            let (key, value) = pair.map_err(|e| broken(&e))?;
            if visit(&key, &value)? == Walk::Enough {
                break;
            }
        }
        Ok(())
    }
}
