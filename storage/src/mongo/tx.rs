//! A transaction under way: what it has locked, and what it is going to write.

use super::db::{DbError, Session, Update};
use super::fail::Step;
use super::growth::{Growth, is_already};
use super::keys;
use super::records::{AccountRecord, Delta, mailbox_document, mailbox_of};
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
    /// Those that were changed when they were taken, as they are since then.
    grown_accounts: BTreeMap<AccountId, Document>,
    grown_mailboxes: BTreeMap<MailboxId, Document>,
    deletes: BTreeMap<&'static str, Vec<Bson>>,
    updates: BTreeMap<&'static str, Vec<Update>>,
    inserts: BTreeMap<&'static str, Vec<Document>>,
    pub delta: Delta,
    /// The highest UIDVALIDITY of accounts that go with this transaction.
    pub uidvalidity_gone: u32,
    /// To be published once this is durable.
    pub hints: Vec<Hint>,
    /// See `Mistakes::journals_apart`.
    pub journaled_apart: Vec<Document>,
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
            grown_accounts: BTreeMap::new(),
            grown_mailboxes: BTreeMap::new(),
            deletes: BTreeMap::new(),
            updates: BTreeMap::new(),
            inserts: BTreeMap::new(),
            delta,
            uidvalidity_gone: 0,
            hints: Vec::new(),
            journaled_apart: Vec::new(),
        })
    }

    /// Takes a mailbox for this transaction: another one that wants it has to wait, so that transactions on one mailbox
    /// commit in the order of their UIDs and modseqs.
    pub async fn lock_mailbox(&mut self, id: MailboxId, growth: Growth) -> Step<()> {
        let record = match self.lock(MAILBOXES, keys::mailbox(id), &growth).await? {
            Some((before, after)) => {
                if !growth.is_empty() {
                    self.grown_mailboxes.insert(id, after);
                }
                Some(mailbox_of(&before)?.1)
            }
            None => None,
        };
        self.mailboxes.insert(id, record);
        Ok(())
    }

    pub async fn lock_account(&mut self, id: AccountId, growth: Growth) -> Step<()> {
        let record = match self.lock(ACCOUNTS, keys::account(id), &growth).await? {
            Some((before, after)) => {
                if !growth.is_empty() {
                    self.grown_accounts.insert(id, after);
                }
                Some(AccountRecord::from_document(&before)?)
            }
            None => None,
        };
        self.accounts.insert(id, record);
        Ok(())
    }

    /// Changes a document, if only to conflict with others: how it was, and is.
    async fn lock(
        &mut self,
        collection: &str,
        id: Bson,
        growth: &Growth,
    ) -> Step<Option<(Document, Document)>> {
        let change = doc! { "$inc": growth.touching() };
        let after = self.view.session.modify(collection, doc! { "_id": id }, change).await?;
        after.map(|after| Ok((growth.undone(&after)?, after))).transpose()
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
        if !self.grown_accounts.contains_key(&id) {
            self.write_account(&record)?;
        }
        self.accounts.insert(id, Some(record));
        Ok(())
    }

    fn write_account(&mut self, record: &AccountRecord) -> Step<()> {
        let mut document = record.to_document()?;
        document.remove("_id");
        let mut gone = Document::new();
        for field in AccountRecord::OPTIONAL {
            if !document.contains_key(field) {
                gone.insert(field, 1);
            }
        }
        let mut change = doc! { "$set": document };
        if !gone.is_empty() {
            change.insert("$unset", gone);
        }
        self.rewrite(ACCOUNTS, Update::one(keys::account(record.account.id), change));
        Ok(())
    }

    /// Writes a mailbox that has changed.
    pub fn put_mailbox(&mut self, id: MailboxId, record: MailboxRecord) -> Step<()> {
        if !self.grown_mailboxes.contains_key(&id) {
            self.write_mailbox(id, &record)?;
        }
        self.mailboxes.insert(id, Some(record));
        Ok(())
    }

    fn write_mailbox(&mut self, id: MailboxId, record: &MailboxRecord) -> Step<()> {
        let mut document = mailbox_document(id, record)?;
        document.remove("_id");
        self.rewrite(MAILBOXES, Update::one(keys::mailbox(id), doc! { "$set": document }));
        Ok(())
    }

    /// Writes what has grown otherwise than was said, that is also: not at all, since who said so was refused.
    fn correct_growth(&mut self) -> Step<()> {
        for (id, stored) in std::mem::take(&mut self.grown_mailboxes) {
            let Some(Some(record)) = self.mailboxes.get(&id).cloned() else { continue };
            if !is_already(&stored, &mailbox_document(id, &record)?, &[]) {
                self.write_mailbox(id, &record)?;
            }
        }
        for (id, stored) in std::mem::take(&mut self.grown_accounts) {
            let Some(Some(record)) = self.accounts.get(&id).cloned() else { continue };
            if !is_already(&stored, &record.to_document()?, &AccountRecord::OPTIONAL) {
                self.write_account(&record)?;
            }
        }
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
    pub async fn flush(&mut self) -> Step<()> {
        self.correct_growth()?;
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
