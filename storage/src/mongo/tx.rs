//! A transaction under way: what it has locked, and what it is going to write.

use super::db::{DbError, Session, Update};
use super::doc::int;
use super::fail::Step;
use super::keys;
use super::records::{AccountRecord, Delta, mailbox_document};
use super::schema::*;
use super::store::Shared;
use super::view::{View, expired};
use crate::records::{MailboxRecord, day_of};
use crate::*;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

/// Writes are collected and sent at the end, few commands for all: what a mutation has written it can't read, but for
/// accounts and mailboxes, which are kept here while they change.
pub struct Tx<'a> {
    view: View<'a>,
    accounts: BTreeMap<AccountId, Option<AccountRecord>>,
    mailboxes: BTreeMap<MailboxId, Option<MailboxRecord>>,
    deletes: BTreeMap<&'static str, Vec<Bson>>,
    updates: BTreeMap<&'static str, Vec<Update>>,
    inserts: BTreeMap<&'static str, Vec<Document>>,
    pub delta: Delta,
    /// The highest UIDVALIDITY of accounts that go with this transaction.
    pub uidvalidity_gone: u32,
    /// To be published once this is durable.
    pub hints: Vec<Hint>,
}

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;
    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.view
    }
}

impl<'a> Tx<'a> {
    pub async fn begin(shared: &'a Shared) -> Result<Self, DbError> {
        let view = View::begin(shared).await?;
        let delta = Delta { day: day_of(view.now), ..Delta::default() };
        Ok(Tx {
            view,
            accounts: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            deletes: BTreeMap::new(),
            updates: BTreeMap::new(),
            inserts: BTreeMap::new(),
            delta,
            uidvalidity_gone: 0,
            hints: Vec::new(),
        })
    }

    /// Takes mailboxes for this transaction: another one that wants one of them has to wait, so that transactions on
    /// one mailbox commit in the order of their UIDs and modseqs.
    pub async fn lock_mailboxes(&mut self, mut ids: Vec<MailboxId>) -> Step<()> {
        // In one order, so that two that want the same pair get on.
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let filter = doc! { "_id": keys::mailbox(id) };
            let found = self.view.session.modify(MAILBOXES, filter, touch()).await?;
            let record =
                found.as_ref().map(super::records::mailbox_of).transpose()?.map(|(_, record)| record);
            self.mailboxes.insert(id, record);
        }
        Ok(())
    }

    pub async fn lock_account(&mut self, id: AccountId) -> Step<()> {
        let filter = doc! { "_id": keys::account(id) };
        let found = self.view.session.modify(ACCOUNTS, filter, touch()).await?;
        self.accounts.insert(id, found.as_ref().map(AccountRecord::from_document).transpose()?);
        Ok(())
    }

    /// An account, expired or not.
    pub async fn any_account(&mut self, id: AccountId) -> Step<Option<AccountRecord>> {
        if let Some(known) = self.accounts.get(&id) {
            return Ok(known.clone());
        }
        let found = self.view.any_account(id).await?;
        self.accounts.insert(id, found.clone());
        Ok(found)
    }

    /// An account that has not expired.
    pub async fn account(&mut self, id: AccountId) -> Step<AccountRecord> {
        let found = self.any_account(id).await?.filter(|a| !expired(&a.account, self.view.now));
        Ok(found.ok_or(StoreError::NotFound(Subject::Account))?)
    }

    pub async fn any_mailbox(&mut self, id: MailboxId) -> Step<Option<MailboxRecord>> {
        if let Some(known) = self.mailboxes.get(&id) {
            return Ok(known.clone());
        }
        let found = self.view.any_mailbox(id).await?;
        self.mailboxes.insert(id, found.clone());
        Ok(found)
    }

    /// A mailbox of an account that has not expired.
    pub async fn mailbox(&mut self, at: MailboxRef) -> Step<MailboxRecord> {
        self.account(at.account).await?;
        let found = self.any_mailbox(at.mailbox).await?.filter(|m| m.account == at.account);
        Ok(found.ok_or(StoreError::NotFound(Subject::Mailbox))?)
    }

    /// Writes an account that has changed.
    pub fn put_account(&mut self, record: AccountRecord) -> Step<()> {
        let id = record.account.id;
        let mut document = record.to_document()?;
        document.remove("_id");
        let mut gone = Document::new();
        for field in ["expires", "retention"] {
            if !document.contains_key(field) {
                gone.insert(field, 1);
            }
        }
        let mut change = doc! { "$set": document };
        if !gone.is_empty() {
            change.insert("$unset", gone);
        }
        self.rewrite(ACCOUNTS, Update::one(keys::account(id), change));
        self.accounts.insert(id, Some(record));
        Ok(())
    }

    /// Writes a mailbox that has changed.
    pub fn put_mailbox(&mut self, id: MailboxId, record: MailboxRecord) -> Step<()> {
        let mut document = mailbox_document(id, &record)?;
        document.remove("_id");
        self.rewrite(MAILBOXES, Update::one(keys::mailbox(id), doc! { "$set": document }));
        self.mailboxes.insert(id, Some(record));
        Ok(())
    }

    /// An update that makes an earlier one of the same document needless.
    fn rewrite(&mut self, collection: &'static str, update: Update) {
        let updates = self.updates.entry(collection).or_default();
        updates.retain(|other| other.filter != update.filter);
        updates.push(update);
    }

    pub fn insert(&mut self, collection: &'static str, document: Document) {
        self.inserts.entry(collection).or_default().push(document);
    }

    pub fn update(&mut self, collection: &'static str, update: Update) {
        self.updates.entry(collection).or_default().push(update);
    }

    pub fn delete(&mut self, collection: &'static str, id: Bson) {
        self.deletes.entry(collection).or_default().push(id);
    }

    pub fn is_empty(&self) -> bool {
        self.deletes.is_empty() && self.updates.is_empty() && self.inserts.is_empty()
    }

    /// Sends what has been collected.
    pub async fn flush(&mut self) -> Result<(), DbError> {
        if self.delta != (Delta { day: self.delta.day, ..Delta::default() }) {
            let id = super::doc::bin(self.shared.entropy.bytes::<16>());
            let document = self.delta.to_document(id);
            self.insert(DELTAS, document);
        }
        for (collection, ids) in std::mem::take(&mut self.deletes) {
            self.view.session.delete(collection, ids).await?;
        }
        for (collection, updates) in std::mem::take(&mut self.updates) {
            self.view.session.update(collection, updates).await?;
        }
        for (collection, documents) in std::mem::take(&mut self.inserts) {
            self.view.session.insert(collection, documents).await?;
        }
        Ok(())
    }

    pub fn into_session(self) -> (Session, Vec<Hint>) {
        (self.view.session, self.hints)
    }
}

/// A change whose only purpose is to conflict with others.
fn touch() -> Document {
    doc! { "$inc": { "touched": int(1) } }
}
