//! Expiry, trimming, giving space back.

use super::db::{Find, Update};
use super::directory::drop_account;
use super::doc::{Fields, time};
use super::fail::Step;
use super::keys;
use super::lease::Lease;
use super::messages::expunge;
use super::operations::{Locks, Mutation};
use super::records::{mailbox_of, row_of};
use super::schema::*;
use super::store::{MongoStore, reading, trying};
use super::tx::Tx;
use super::view::{View, expired};
use crate::*;
use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

const SWEEP: &str = "sweep";

#[async_trait]
impl Maintenance for MongoStore {
    async fn sweep(&self) -> Result<Swept> {
        self.writable()?;
        let _alone = self.sweeping.lock().await;
        let shared = &self.shared;
        // Another node is at it.
        let Some(lease) = trying!(shared, Lease::take(shared, SWEEP).await)? else {
            return Ok(Swept::default());
        };
        let swept = self.round(lease).await;
        lease.release(shared).await;
        swept
    }

    async fn ready(&self) -> Result<()> {
        self.writable()?;
        let hello = self.shared.db.hello().await;
        hello.map(|_| ()).map_err(|e| StoreError::unavailable(e.to_string()))
    }

    async fn close(&self) -> Result<()> {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.queues.drained().await;
        Ok(())
    }

    async fn audit(&self) -> Result<Vec<String>> {
        reading!(self, |view| super::audit::audit(view).await)
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)))
}

impl MongoStore {
    async fn round(&self, lease: Lease) -> Result<Swept> {
        let batch = self.shared.limits.sweep_batch;
        let now = self.shared.clock.now();
        let mut swept = Swept::default();
        for account in self.due(ACCOUNTS, "expires", now, batch).await? {
            let id = AccountId(fixed(&account)?);
            swept.accounts_expired += self.mutate(id, None, ExpireAccount { id, lease }).await?;
        }
        let (purged, purging) = self.purge(lease, batch).await?;
        swept.messages_expired += self.expire_messages(lease, batch).await?;
        let (forgotten, forgetting) = self.forget_operations(batch).await?;
        let (trimmed, trimming) = self.trim(lease, batch).await?;
        let (collected, collecting) = self.collect(lease, batch).await?;
        while self.upkeep([0; 12], Fold { lease }).await? {}
        swept.records_dropped += purged + forgotten + trimmed + collected;
        swept.next_due = reading!(self, |view| next_due(view).await)?;
        let is_due = swept.next_due.is_some_and(|due| due <= now);
        swept.more = is_due || purging || forgetting || trimming || collecting;
        Ok(swept)
    }

    /// Takes away what deleted mailboxes have left.
    async fn purge(&self, lease: Lease, batch: usize) -> Result<(u64, bool)> {
        let mut dropped = 0;
        let find = Find { sort: Some(keys::by_id()), limit: batch, ..Find::default() };
        let shared = &self.shared;
        let waiting = trying!(shared, Ok(shared.db.find(PURGES, find.clone()).await?))?;
        let mut left = batch as u64;
        for purge in &waiting {
            let mailbox = MailboxId(fixed(purge)?);
            let went = self.upkeep(mailbox.0, Purge { mailbox, limit: left as usize, lease }).await?;
            dropped += went;
            left -= went.min(left);
            if left == 0 {
                return Ok((dropped, true));
            }
        }
        Ok((dropped, waiting.len() == batch))
    }

    /// One step for each mailbox that has something to expire, as any expunge would take.
    async fn expire_messages(&self, lease: Lease, batch: usize) -> Result<u64> {
        let mut due: BTreeMap<MailboxId, UidSet> = BTreeMap::new();
        for row in self.due(MESSAGES, "expires", self.shared.clock.now(), batch).await? {
            let (mailbox, uid) = keys::row_of(&row).map_err(damaged)?;
            due.entry(mailbox).or_default().insert(uid);
        }
        let mut went = 0;
        for (mailbox, uids) in due {
            if let Some(account) = self.owner(mailbox).await? {
                let at = MailboxRef { account, mailbox };
                went += self.mutate(account, None, ExpireMessages { at, uids, lease }).await?;
            }
        }
        Ok(went)
    }

    /// Whose a mailbox is. `None`: it has been deleted, and what it left waits for the purge.
    async fn owner(&self, mailbox: MailboxId) -> Result<Option<AccountId>> {
        let shared = &self.shared;
        let filter = doc! { "_id": keys::mailbox(mailbox) };
        trying!(shared, {
            let found = shared.db.find_one(MAILBOXES, filter.clone()).await?;
            Ok(found.as_ref().map(mailbox_of).transpose()?.map(|(_, record)| record.account))
        })
    }

    async fn forget_operations(&self, batch: usize) -> Result<(u64, bool)> {
        let shared = &self.shared;
        let horizon = before(shared.clock.now(), shared.limits.operation_retention);
        let old = self.due(OPERATIONS, "at", horizon, batch).await?;
        let more = old.len() == batch;
        let ids: Vec<Bson> = old.into_iter().filter_map(|mut d| d.remove("_id")).collect();
        if ids.is_empty() {
            return Ok((0, false));
        }
        let filter = doc! { "_id": { "$in": ids } };
        Ok((trying!(shared, Ok(shared.db.delete(OPERATIONS, filter.clone()).await?))?, more))
    }

    async fn trim(&self, lease: Lease, batch: usize) -> Result<(u64, bool)> {
        let horizon = before(self.shared.clock.now(), self.shared.limits.journal_retention);
        let old = self.due(CHANGES, "at", horizon, batch).await?;
        let mailboxes: BTreeSet<MailboxId> =
            old.iter().filter_map(|row| keys::change_of(row).ok()).map(|(id, _)| id).collect();
        let mut dropped = 0;
        for mailbox in mailboxes {
            if let Some(account) = self.owner(mailbox).await? {
                let trim = Trim { mailbox, horizon, limit: batch, lease };
                dropped += self.mutate(account, None, trim).await?;
            }
        }
        // Rows that are old and yet behind younger ones, from a clock that was set back, have to wait.
        Ok((dropped, old.len() == batch && dropped > 0))
    }
}

fn fixed(document: &Document) -> Result<[u8; 12]> {
    document.fixed("_id").map_err(damaged)
}

fn damaged(_: super::fail::Fail) -> StoreError {
    StoreError::Corrupt("an _id of another form".into())
}

async fn next_due(view: &mut View<'_>) -> Step<Option<Timestamp>> {
    let mut next: Option<Timestamp> = None;
    for collection in [ACCOUNTS, MESSAGES] {
        let find = Find {
            filter: doc! { "expires": { "$gte": time(Timestamp(0)) } },
            sort: Some(doc! { "expires": 1 }),
            limit: 1,
            fields: Some(doc! { "expires": 1 }),
        };
        let first = view.session.find(collection, find).await?.pop();
        let at = first.map(|d| d.when("expires")).transpose()?;
        next = next.into_iter().chain(at).min();
    }
    Ok(next)
}

struct ExpireAccount {
    id: AccountId,
    lease: Lease,
}

#[async_trait]
impl Mutation for ExpireAccount {
    type Outcome = u64;

    fn locks(&self) -> Locks {
        Locks { account: Some(self.id), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<u64> {
        self.lease.check(tx).await?;
        match tx.any_account(self.id).await? {
            Some(record) if expired(&record.account, tx.now) => drop_account(tx, self.id).await.map(|()| 1),
            _ => Ok(0),
        }
    }
}

struct ExpireMessages {
    at: MailboxRef,
    uids: UidSet,
    lease: Lease,
}

#[async_trait]
impl Mutation for ExpireMessages {
    type Outcome = u64;

    fn locks(&self) -> Locks {
        Locks { mailboxes: vec![self.at.mailbox], account: Some(self.at.account), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<u64> {
        self.lease.check(tx).await?;
        let Some(record) = tx.any_mailbox(self.at.mailbox).await? else { return Ok(0) };
        let mut rows = tx.rows(self.at.mailbox, &self.uids).await?;
        let now = tx.now;
        rows.retain(|(_, row)| row.expires_at.is_some_and(|at| at <= now));
        Ok(expunge(tx, self.at, record, rows).await?.uids.len())
    }
}

/// Drops messages and journal of a deleted mailbox.
struct Purge {
    mailbox: MailboxId,
    limit: usize,
    lease: Lease,
}

#[async_trait]
impl Mutation for Purge {
    type Outcome = u64;

    fn locks(&self) -> Locks {
        Locks::default()
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<u64> {
        self.lease.check(tx).await?;
        let rows = tx.scan(MESSAGES, keys::rows(self.mailbox, 0..=u32::MAX), self.limit).await?;
        let rows = rows.iter().map(row_of).collect::<Step<Vec<_>>>()?;
        for (uid, _) in &rows {
            tx.delete(MESSAGES, keys::row(self.mailbox, uid.get()));
        }
        super::content::release(tx, rows.iter().map(|(_, row)| row.email_id));
        let left = self.limit - rows.len();
        let mut dropped = rows.len();
        if left > 0 {
            let journal = tx.ids(CHANGES, keys::changes(self.mailbox, 0), left).await?;
            for row in &journal {
                tx.delete(CHANGES, keys::change(self.mailbox, keys::change_of(row)?.1));
            }
            dropped += journal.len();
        }
        if dropped < self.limit {
            tx.delete(PURGES, keys::mailbox(self.mailbox));
        }
        Ok(dropped as u64)
    }
}

/// Drops journal rows, the oldest first, that happened before the horizon.
struct Trim {
    mailbox: MailboxId,
    horizon: Timestamp,
    limit: usize,
    lease: Lease,
}

#[async_trait]
impl Mutation for Trim {
    type Outcome = u64;

    fn locks(&self) -> Locks {
        Locks { mailboxes: vec![self.mailbox], ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<u64> {
        self.lease.check(tx).await?;
        let Some(mut record) = tx.any_mailbox(self.mailbox).await? else { return Ok(0) };
        let mut dropped = 0;
        for row in tx.scan(CHANGES, keys::changes(self.mailbox, 0), self.limit).await? {
            if row.when("at")? > self.horizon {
                break;
            }
            let (_, modseq) = keys::change_of(&row)?;
            tx.delete(CHANGES, keys::change(self.mailbox, modseq));
            record.trimmed_through = modseq;
            dropped += 1;
        }
        if dropped > 0 {
            tx.put_mailbox(self.mailbox, record)?;
        }
        Ok(dropped)
    }
}

/// Adds what transactions have noted to the totals. Whether there is more.
struct Fold {
    lease: Lease,
}

/// Deltas of one transaction.
const FOLDED: usize = 1000;

#[async_trait]
impl Mutation for Fold {
    type Outcome = bool;

    fn locks(&self) -> Locks {
        Locks::default()
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<bool> {
        self.lease.check(tx).await?;
        let noted = tx.scan(DELTAS, Document::new(), FOLDED).await?;
        let mut sum = super::records::Delta::default();
        let mut days: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
        for document in &noted {
            let delta = super::records::Delta::from_document(document)?;
            sum.accounts += delta.accounts;
            sum.messages += delta.messages;
            sum.bytes += delta.bytes;
            sum.appended += delta.appended;
            if (delta.accounts_made, delta.messages_taken) != (0, 0) {
                let day = days.entry(delta.day).or_default();
                day.0 += delta.accounts_made;
                day.1 += delta.messages_taken;
            }
            tx.delete(DELTAS, super::doc::bin(document.bytes("_id")?));
        }
        if noted.is_empty() {
            return Ok(false);
        }
        let add = doc! { "$inc": {
            "accounts": sum.accounts, "messages": sum.messages, "bytes": sum.bytes, "appended": sum.appended,
        } };
        tx.update(TOTALS, Update::one(Bson::String("totals".into()), add).upsert());
        for (day, (accounts, messages)) in days {
            let add = doc! { "$inc": { "accounts": accounts, "messages": messages } };
            tx.update(DAYS, Update::one(Bson::Int64(i64::from(day)), add).upsert());
        }
        Ok(noted.len() == FOLDED)
    }
}
