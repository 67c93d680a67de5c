//! Maildrops: which are in use, and what one session sees of its own. Knows no response texts.

use super::lease::{Lease, Leaser};
use crate::Env;
use gadwall_storage::{
    AccountId, Documents, MailStore, MailboxName, MailboxRef, MessageQuery, OpId, StoreError, Uid, UidSet,
    UidValidity, Which,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// How many messages are asked of the store at a time.
const PAGE: usize = 1000;

/// The maildrops that are open. RFC 1939 §4: one session has exclusive access.
#[derive(Debug, Default)]
pub struct Maildrops {
    /// In this process.
    open: Mutex<BTreeSet<AccountId>>,
    /// Present when other nodes may have sessions too.
    leaser: Option<Leaser>,
}

impl Maildrops {
    /// Of a node whose store others work on as well.
    pub fn shared(documents: Arc<dyn Documents>, env: Env) -> Self {
        Self { open: Mutex::default(), leaser: Some(Leaser::new(documents, env)) }
    }

    /// Takes the lock of an account's maildrop; `None` when another session has it. Dropping it gives it back.
    pub async fn lock(self: &Arc<Self>, account: AccountId) -> Result<Option<MaildropLock>, StoreError> {
        let is_free = self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
        if !is_free {
            return Ok(None);
        }
        let mut lock = MaildropLock { maildrops: self.clone(), account, lease: None };
        if let Some(leaser) = &self.leaser {
            lock.lease = leaser.take(account).await?;
            if lock.lease.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(lock))
    }
}

/// Exclusive access to a maildrop.
#[derive(Debug)]
pub struct MaildropLock {
    maildrops: Arc<Maildrops>,
    account: AccountId,
    lease: Option<Lease>,
}

impl MaildropLock {
    /// Gives it back, and waits until other nodes can see that.
    pub async fn release(mut self) {
        if let Some(lease) = self.lease.take() {
            lease.end().await;
        }
    }
}

impl Drop for MaildropLock {
    fn drop(&mut self) {
        self.maildrops.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}

/// An account's INBOX as it was at login. Numbers stay what they are (RFC 1939 §5).
#[derive(Debug)]
pub struct Maildrop {
    pub at: MailboxRef,
    uidvalidity: UidValidity,
    messages: Vec<Entry>,
    lock: MaildropLock,
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub uid: Uid,
    /// In octets, as stored and as sent without dot-stuffing.
    pub size: u64,
    /// Marked by DELE.
    pub deleted: bool,
}

/// Why a number stands for no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoMessage {
    #[error("no such message, the maildrop has {0}")]
    Unknown(usize),
    #[error("that message is marked as deleted, RSET takes the mark away")]
    Deleted,
}

impl Maildrop {
    /// Reads what is in the INBOX now.
    pub async fn open(store: &dyn MailStore, lock: MaildropLock) -> Result<Self, StoreError> {
        let account = lock.account;
        let inbox = store.mailbox_by_name(account, &MailboxName::inbox()).await?;
        let at = MailboxRef { account, mailbox: inbox.id };
        let mut messages: Vec<Entry> = Vec::new();
        let mut from = Some(Uid::MIN);
        while let Some(first) = from {
            let query = MessageQuery::of(UidSet::from(first)).limit(PAGE);
            let page = store.messages(at, query).await?;
            // A short page may still be followed by another one: only an empty one is the last.
            from = page.last().and_then(|last| last.uid.next());
            messages.extend(page.iter().map(|m| Entry { uid: m.uid, size: m.size, deleted: false }));
        }
        Ok(Self { at, uidvalidity: inbox.uidvalidity, messages, lock })
    }

    /// The message of that number, unless it is marked as deleted.
    pub fn message(&self, number: u64) -> Result<Entry, NoMessage> {
        match self.index(number).and_then(|i| self.messages.get(i)) {
            None => Err(NoMessage::Unknown(self.messages.len())),
            Some(entry) if entry.deleted => Err(NoMessage::Deleted),
            Some(entry) => Ok(*entry),
        }
    }

    /// Marks a message, to be deleted by [`Maildrop::update`].
    pub fn delete(&mut self, number: u64) -> Result<(), NoMessage> {
        self.message(number)?;
        if let Some(entry) = self.index(number).and_then(|i| self.messages.get_mut(i)) {
            entry.deleted = true;
        }
        Ok(())
    }

    /// Takes all marks away.
    pub fn reset(&mut self) {
        self.messages.iter_mut().for_each(|entry| entry.deleted = false);
    }

    /// Numbers and messages, without those that are marked.
    pub fn listed(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.messages.iter().enumerate().filter(|(_, entry)| !entry.deleted).map(|(i, entry)| (i + 1, entry))
    }

    /// How many messages, and how many octets, without those that are marked.
    pub fn total(&self) -> (usize, u64) {
        self.listed().fold((0, 0), |(count, octets), (_, entry)| (count + 1, octets + entry.size))
    }

    /// RFC 1939 §7, UIDL: never the same for two messages of this account, the same in every session.
    pub fn unique_id(&self, entry: &Entry) -> String {
        format!("{}.{}", self.uidvalidity, entry.uid)
    }

    /// RFC 1939 §6: deletes what is marked, all or nothing, and answers how many that were once it is durable.
    pub async fn update(&self, store: &dyn MailStore, op: OpId) -> Result<usize, StoreError> {
        let mut marked = UidSet::new();
        self.messages.iter().filter(|entry| entry.deleted).for_each(|entry| marked.insert(entry.uid));
        if marked.is_empty() {
            return Ok(0);
        }
        let mut tried = store.expunge(op, self.at, &marked, Which::All).await;
        if let Err(StoreError::Unavailable { outcome_unknown: true, .. }) = tried {
            // The same id again tells what became of it.
            tried = store.expunge(op, self.at, &marked, Which::All).await;
        }
        match tried {
            Ok(_) => Ok(self.messages.iter().filter(|entry| entry.deleted).count()),
            // The account went, and the messages with it.
            Err(StoreError::NotFound(_)) => Ok(0),
            Err(e) => Err(e),
        }
    }

    /// Gives the maildrop back, so that another session may have it.
    pub async fn release(self) {
        self.lock.release().await;
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(1)?).ok()
    }
}
