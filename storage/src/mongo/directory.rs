//! Accounts, addresses, secrets, statistics.

use super::db::{Find, Update};
use super::doc::{Fields, bin, int, number, time};
use super::fail::Step;
use super::keys;
use super::lookups::latest_account;
use super::mailboxes::{add_mailbox, drop_mailbox};
use super::operations::{Locks, Mutation};
use super::records::{AccountRecord, Delta};
use super::schema::*;
use super::store::{MongoStore, reading, trying};
use super::tx::Tx;
use super::view::{View, expired};
use crate::records::{Fingerprint, day_of, wanted_mailboxes};
use crate::*;
use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;

#[async_trait]
impl Directory for MongoStore {
    async fn create_account(&self, op: OpId, new: NewAccount) -> Result<Account> {
        let print = Fingerprint::of(
            "create_account",
            &(
                (new.id, &new.address, &new.name, &new.credentials),
                (new.quota_bytes, new.expires_at, new.retention_secs, &new.mailboxes),
            ),
        );
        self.once(new.id, op, print, Create(new)).await
    }

    async fn account(&self, id: AccountId) -> Result<Account> {
        let (shared, now) = (&self.shared, self.shared.clock.now());
        let found = trying!(shared, latest_account(shared, id).await)?;
        let found = found.filter(|record| !expired(&record.account, now));
        found.map(|record| record.account).ok_or(StoreError::NotFound(Subject::Account))
    }

    async fn account_by_address(&self, address: &Address) -> Result<Account> {
        if let Some(account) = self.remembered(address).await? {
            return Ok(account);
        }
        let found = reading!(self, |view| {
            let owner = owner(view, address).await?.ok_or(StoreError::NotFound(Subject::Address))?;
            let found = view.any_account(owner).await?.filter(|a| !expired(&a.account, view.now));
            Ok(found.ok_or(StoreError::NotFound(Subject::Address))?)
        })?;
        self.remember(address, &found).await;
        Ok(found.account)
    }

    async fn update_account(&self, op: OpId, id: AccountId, update: AccountUpdate) -> Result<Account> {
        let AccountUpdate { name, credentials, quota_bytes, expires_at, retention_secs } = &update;
        let print = Fingerprint::of(
            "update_account",
            &(id, name, credentials, quota_bytes, expires_at, retention_secs),
        );
        self.once(id, op, print, Change { id, update }).await
    }

    async fn delete_account(&self, op: OpId, id: AccountId) -> Result<()> {
        self.once(id, op, Fingerprint::of("delete_account", &id), Delete(id)).await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        reading!(self, |view| {
            let mut filter = doc! { "expires": { "$not": { "$lte": time(view.now) } } };
            if let Some(after) = after {
                filter.insert("_id", doc! { "$gt": keys::account(after) });
            }
            let found = view.scan(ACCOUNTS, filter, limit).await?;
            found.iter().map(|d| Ok(AccountRecord::from_document(d)?.account)).collect()
        })
    }

    async fn add_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        let print = Fingerprint::of("add_address", &(id, address));
        self.once(id, op, print, AddAddress(id, address.clone())).await
    }

    async fn remove_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        let print = Fingerprint::of("remove_address", &(id, address));
        self.once(id, op, print, RemoveAddress(id, address.clone())).await
    }

    async fn addresses(&self, id: AccountId) -> Result<Vec<Address>> {
        reading!(self, |view| {
            let primary = view.account(id).await?.account.address;
            let mut all = addresses(view, id).await?;
            all.sort_by_key(|a| (*a != primary, a.clone()));
            Ok(all)
        })
    }

    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32]> {
        let shared = &self.shared;
        let known = trying!(shared, Ok(shared.db.find_one(SECRETS, doc! { "_id": name }).await?))?;
        if let Some(known) = known {
            return known.fixed("value").map_err(|_| StoreError::Corrupt("a secret".into()));
        }
        self.writable()?;
        let change = doc! { "$setOnInsert": { "value": bin(candidate) } };
        let insert = Update::one(Bson::String(name.to_owned()), change).upsert();
        trying!(shared, {
            let kept = shared.db.modify(SECRETS, insert.clone()).await?;
            kept.ok_or_else(|| StoreError::Corrupt("a secret was not kept".into()))?.fixed("value")
        })
    }

    async fn stats(&self) -> Result<StoreStats> {
        reading!(self, |view| {
            let Delta { accounts, messages, bytes, appended, .. } = totals(view).await?;
            Ok(StoreStats {
                accounts: accounts as u64,
                messages: messages as u64,
                bytes: bytes as u64,
                appended_total: appended as u64,
            })
        })
    }

    async fn daily_stats(&self, days: u32) -> Result<Vec<DayStats>> {
        reading!(self, |view| {
            let today = day_of(view.now);
            let first = (today + 1).saturating_sub(days);
            let filter = doc! { "_id": { "$gte": i64::from(first), "$lte": i64::from(today) } };
            let mut found: BTreeMap<u32, DayStats> =
                (first..=today).map(|day| (day, DayStats { day, ..DayStats::default() })).collect();
            for kept in view.scan(DAYS, filter, 0).await? {
                if let Some(day) = found.get_mut(&(kept.count("_id")? as u32)) {
                    day.accounts += kept.count("accounts")?;
                    day.messages += kept.count("messages")?;
                }
            }
            for delta in deltas(view).await? {
                if let Some(day) = found.get_mut(&delta.day) {
                    day.accounts += delta.accounts_made as u64;
                    day.messages += delta.messages_taken as u64;
                }
            }
            Ok(found.into_values().collect())
        })
    }
}

/// What transactions have added that is not folded into the totals yet.
pub async fn deltas(view: &mut View<'_>) -> Step<Vec<Delta>> {
    view.scan(DELTAS, Document::new(), 0).await?.iter().map(Delta::from_document).collect()
}

/// The counters of the whole store.
pub async fn totals(view: &mut View<'_>) -> Step<Delta> {
    let kept = view.get(TOTALS, Bson::String("totals".into())).await?.unwrap_or_default();
    let field = |name| number(&kept, name).unwrap_or_default();
    let mut sum = Delta {
        accounts: field("accounts"),
        messages: field("messages"),
        bytes: field("bytes"),
        appended: field("appended"),
        ..Delta::default()
    };
    for delta in deltas(view).await? {
        sum.accounts += delta.accounts;
        sum.messages += delta.messages;
        sum.bytes += delta.bytes;
        sum.appended += delta.appended;
    }
    Ok(sum)
}

async fn owner(view: &mut View<'_>, address: &Address) -> Step<Option<AccountId>> {
    let found = view.get(ADDRESSES, Bson::String(address.as_str().to_owned())).await?;
    found.map(|d| Ok(AccountId(d.fixed("account")?))).transpose()
}

pub async fn addresses(view: &mut View<'_>, id: AccountId) -> Step<Vec<Address>> {
    let find = Find { filter: doc! { "account": keys::account(id) }, ..Find::default() };
    let found = view.session.find(ADDRESSES, find).await?;
    let address = |d: &Document| -> Step<Address> {
        let address = Address::parse(d.text("_id")?);
        Ok(address.map_err(|e| StoreError::Corrupt(format!("a stored address: {e}")))?)
    };
    found.iter().map(address).collect()
}

fn address_document(address: &Address, owner: AccountId) -> Document {
    doc! { "_id": address.as_str(), "account": keys::account(owner) }
}

struct Create(NewAccount);

#[async_trait]
impl Mutation for Create {
    type Outcome = Account;

    fn locks(&self) -> Locks {
        Locks::default()
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<Account> {
        let new = &self.0;
        let wanted = wanted_mailboxes(new);
        if wanted.len() > tx.shared.limits.mailboxes_per_account {
            return Err(StoreError::LimitReached("mailboxes of an account").into());
        }
        if tx.any_account(new.id).await?.is_some() {
            return Err(StoreError::AlreadyExists(Subject::Account).into());
        }
        free_address(tx, &new.address).await?;
        let account = Account {
            id: new.id,
            address: new.address.clone(),
            name: new.name.clone(),
            credentials: new.credentials.clone(),
            quota_bytes: new.quota_bytes,
            used_bytes: 0,
            created_at: tx.now,
            expires_at: new.expires_at,
            retention_secs: new.retention_secs,
        };
        let mut names: Vec<&MailboxName> = new.mailboxes.iter().map(|(name, _)| name).collect();
        let inbox = MailboxName::inbox();
        names.push(&inbox);
        names.sort();
        names.dedup();
        for name in &names {
            tx.insert(SUBSCRIPTIONS, doc! { "_id": keys::subscription(new.id, name) });
        }
        let mut record = AccountRecord {
            account: account.clone(),
            mailboxes: 0,
            addresses: 1,
            subscriptions: names.len() as u64,
            uidvalidity: last_uidvalidity(tx, &new.address).await?,
            revision: 1,
        };
        for (name, special_use) in &wanted {
            add_mailbox(tx, &mut record, name, *special_use)?;
        }
        tx.insert(ADDRESSES, address_document(&new.address, new.id));
        tx.insert(ACCOUNTS, record.to_document()?);
        tx.delta.accounts += 1;
        tx.delta.accounts_made += 1;
        tx.hints.push(Hint::Account { account: new.id });
        Ok(account)
    }
}

struct Change {
    id: AccountId,
    update: AccountUpdate,
}

#[async_trait]
impl Mutation for Change {
    type Outcome = Account;

    fn locks(&self) -> Locks {
        Locks { account: Some(self.id), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<Account> {
        let mut record = tx.account(self.id).await?;
        let AccountUpdate { name, credentials, quota_bytes, expires_at, retention_secs } =
            self.update.clone();
        let before = record.account;
        record.account = Account {
            name: name.unwrap_or_else(|| before.name.clone()),
            credentials: credentials.unwrap_or_else(|| before.credentials.clone()),
            quota_bytes: quota_bytes.unwrap_or(before.quota_bytes),
            expires_at: expires_at.unwrap_or(before.expires_at),
            retention_secs: retention_secs.unwrap_or(before.retention_secs),
            ..before
        };
        let account = record.account.clone();
        changed(tx, record)?;
        Ok(account)
    }
}

/// Writes an account of which sessions are to hear.
pub fn changed(tx: &mut Tx<'_>, mut record: AccountRecord) -> Step<()> {
    record.revision += 1;
    tx.hints.push(Hint::Account { account: record.account.id });
    tx.put_account(record)
}

struct Delete(AccountId);

#[async_trait]
impl Mutation for Delete {
    type Outcome = ();

    fn locks(&self) -> Locks {
        Locks { account: Some(self.0), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<()> {
        tx.account(self.0).await?;
        drop_account(tx, self.0).await
    }
}

struct AddAddress(AccountId, Address);

#[async_trait]
impl Mutation for AddAddress {
    type Outcome = ();

    fn locks(&self) -> Locks {
        Locks { account: Some(self.0), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<()> {
        let AddAddress(id, address) = self;
        let mut record = tx.account(*id).await?;
        if owner(tx, address).await?.is_none()
            && record.addresses >= tx.shared.limits.addresses_per_account as u64
        {
            return Err(StoreError::LimitReached("addresses of an account").into());
        }
        free_address(tx, address).await?;
        tx.insert(ADDRESSES, address_document(address, *id));
        record.addresses += 1;
        changed(tx, record)
    }
}

struct RemoveAddress(AccountId, Address);

#[async_trait]
impl Mutation for RemoveAddress {
    type Outcome = ();

    fn locks(&self) -> Locks {
        Locks { account: Some(self.0), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<()> {
        let RemoveAddress(id, address) = self;
        let mut record = tx.account(*id).await?;
        if record.account.address == *address {
            return Err(StoreError::NotPermitted("an account keeps its primary address").into());
        }
        if owner(tx, address).await? != Some(*id) {
            return Err(StoreError::NotFound(Subject::Address).into());
        }
        tx.delete(ADDRESSES, Bson::String(address.as_str().to_owned()));
        record.addresses -= 1;
        changed(tx, record)
    }
}

/// Refuses an address that is taken. One that an expired account has is not: what is left of that account goes.
async fn free_address(tx: &mut Tx<'_>, address: &Address) -> Step<()> {
    let Some(owner) = owner(tx, address).await? else { return Ok(()) };
    if tx.account(owner).await.is_ok() {
        return Err(StoreError::AlreadyExists(Subject::Address).into());
    }
    drop_account(tx, owner).await
}

/// Takes an account away with everything that is its; messages go with the sweep.
pub async fn drop_account(tx: &mut Tx<'_>, id: AccountId) -> Step<()> {
    let Some(record) = tx.any_account(id).await? else { return Ok(()) };
    for address in addresses(tx, id).await? {
        tx.delete(ADDRESSES, Bson::String(address.as_str().to_owned()));
    }
    for (mailbox, record) in tx.mailboxes(id, None, 0).await? {
        drop_mailbox(tx, mailbox, &record);
    }
    for subscription in tx.ids(SUBSCRIPTIONS, keys::subscriptions(id), 0).await? {
        tx.delete(SUBSCRIPTIONS, Bson::String(subscription.text("_id")?.to_owned()));
    }
    keep_uidvalidity(tx, &record);
    tx.delete(ANNOTATIONS, keys::account(id));
    tx.delete(ACCOUNTS, keys::account(id));
    tx.delta.accounts -= 1;
    tx.hints.push(Hint::Account { account: id });
    Ok(())
}

/// Accounts that had an address with this hash have given out UIDVALIDITYs up to the one kept here: an account made
/// anew goes on above it. Hashed, so that what is kept does not grow, and spread, so that few transactions meet.
fn uidvalidity_slot(address: &Address) -> Bson {
    Bson::Int64(i64::from(blake3::hash(address.as_str().as_bytes()).as_bytes()[0]))
}

async fn last_uidvalidity(tx: &mut Tx<'_>, address: &Address) -> Step<u32> {
    let kept = tx.get(UIDVALIDITIES, uidvalidity_slot(address)).await?;
    let kept = kept.and_then(|kept| number(&kept, "last")).unwrap_or_default() as u32;
    Ok(kept.max(tx.uidvalidity_gone))
}

fn keep_uidvalidity(tx: &mut Tx<'_>, gone: &AccountRecord) {
    tx.uidvalidity_gone = tx.uidvalidity_gone.max(gone.uidvalidity);
    let change = doc! { "$max": { "last": int(u64::from(gone.uidvalidity)) } };
    tx.update(UIDVALIDITIES, Update::one(uidvalidity_slot(&gone.account.address), change).upsert());
}
