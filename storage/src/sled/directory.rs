//! Accounts, addresses, secrets, statistics.

use super::keys;
use super::look::{Look, Walk, damaged};
use super::mailboxes::{add_mailbox, drop_mailbox, names};
use super::operations::Fingerprint;
use super::records::{MailboxRecord, Totals, decode};
use super::store::SledStore;
use super::tx::Tx;
use super::writer::Asks;
use crate::records::{day_of, wanted_mailboxes};
use crate::*;
use async_trait::async_trait;

#[async_trait]
impl Directory for SledStore {
    async fn create_account(&self, op: OpId, new: NewAccount) -> Result<Account> {
        let print = Fingerprint::of(
            "create_account",
            &(
                (new.id, &new.address, &new.name, &new.credentials),
                (new.quota_bytes, new.expires_at, new.retention_secs, &new.mailboxes),
            ),
        );
        self.once(Asks::GROWS, op, print, move |tx| create(tx, new)).await
    }

    async fn account(&self, id: AccountId) -> Result<Account> {
        let reader = self.read().await?;
        Look::account(reader.tree, id, reader.now)
    }

    async fn account_by_address(&self, address: &Address) -> Result<Account> {
        let reader = self.read().await?;
        let missing = StoreError::NotFound(Subject::Address);
        let id: AccountId = Look::get(reader.tree, &keys::address(address))?.ok_or(missing.clone())?;
        match Look::account(reader.tree, id, reader.now) {
            Err(StoreError::NotFound(_)) => Err(missing),
            other => other,
        }
    }

    async fn update_account(&self, op: OpId, id: AccountId, update: AccountUpdate) -> Result<Account> {
        let AccountUpdate { name, credentials, quota_bytes, expires_at, retention_secs } = update;
        let print = Fingerprint::of(
            "update_account",
            &(id, &name, &credentials, quota_bytes, expires_at, retention_secs),
        );
        self.once(Asks::GROWS, op, print, move |tx| {
            let before = tx.account(id, tx.now)?;
            let after = Account {
                name: name.unwrap_or_else(|| before.name.clone()),
                credentials: credentials.unwrap_or_else(|| before.credentials.clone()),
                quota_bytes: quota_bytes.unwrap_or(before.quota_bytes),
                expires_at: expires_at.unwrap_or(before.expires_at),
                retention_secs: retention_secs.unwrap_or(before.retention_secs),
                ..before.clone()
            };
            if let Some(at) = before.expires_at {
                tx.delete(keys::account_expiry(at, id));
            }
            if let Some(at) = after.expires_at {
                tx.put(keys::account_expiry(at, id), &())?;
            }
            tx.put(keys::account(id), &after)?;
            tx.hints.push(Hint::Account { account: id });
            Ok(after)
        })
        .await
    }

    async fn delete_account(&self, op: OpId, id: AccountId) -> Result<()> {
        let print = Fingerprint::of("delete_account", &id);
        self.once(Asks::SHRINKS, op, print, move |tx| {
            tx.account(id, tx.now)?;
            drop_account(tx, id)
        })
        .await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
        let reader = self.read().await?;
        let mut found = Vec::new();
        if limit > 0 {
            reader.tree.walk(&keys::accounts_after(after), &mut |_, value| {
                let account: Account = decode(value)?;
                if !super::look::expired(&account, reader.now) {
                    found.push(account);
                }
                Ok(if found.len() < limit { Walk::On } else { Walk::Enough })
            })?;
        }
        Ok(found)
    }

    async fn add_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        let print = Fingerprint::of("add_address", &(id, address));
        let address = address.clone();
        self.once(Asks::GROWS, op, print, move |tx| {
            tx.account(id, tx.now)?;
            free_address(tx, &address)?;
            let most = tx.limits.addresses_per_account;
            if tx.keys(&keys::addresses_of(id), most)?.len() >= most {
                return Err(StoreError::LimitReached("addresses of an account"));
            }
            tx.put(keys::address(&address), &id)?;
            tx.put(keys::address_of(id, &address), &())?;
            tx.hints.push(Hint::Account { account: id });
            Ok(())
        })
        .await
    }

    async fn remove_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        let print = Fingerprint::of("remove_address", &(id, address));
        let address = address.clone();
        self.once(Asks::SHRINKS, op, print, move |tx| {
            if tx.account(id, tx.now)?.address == address {
                return Err(StoreError::NotPermitted("an account keeps its primary address"));
            }
            if tx.get::<AccountId>(&keys::address(&address))? != Some(id) {
                return Err(StoreError::NotFound(Subject::Address));
            }
            tx.delete(keys::address(&address));
            tx.delete(keys::address_of(id, &address));
            tx.hints.push(Hint::Account { account: id });
            Ok(())
        })
        .await
    }

    async fn addresses(&self, id: AccountId) -> Result<Vec<Address>> {
        let reader = self.read().await?;
        let primary = Look::account(reader.tree, id, reader.now)?.address;
        let mut all = vec![primary.clone()];
        for key in reader.tree.keys(&keys::addresses_of(id), usize::MAX)? {
            let address = Address::parse(keys::text_of(&key));
            let address = address.map_err(|e| damaged(&format!("a stored address: {e}")))?;
            if address != primary {
                all.push(address);
            }
        }
        Ok(all)
    }

    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32]> {
        let key = keys::secret(name);
        {
            let reader = self.read().await?;
            if let Some(known) = Look::get(reader.tree, &key)? {
                return Ok(known);
            }
        }
        self.mutate(Asks::GROWS, move |tx| {
            if let Some(known) = tx.get(&key)? {
                return Ok(known);
            }
            tx.put(key, &candidate)?;
            Ok(candidate)
        })
        .await
    }

    async fn stats(&self) -> Result<StoreStats> {
        let reader = self.read().await?;
        let totals: Totals = Look::get(reader.tree, keys::TOTALS)?.unwrap_or_default();
        let Totals { accounts, messages, bytes, appended } = totals;
        Ok(StoreStats { accounts, messages, bytes, appended_total: appended })
    }

    async fn daily_stats(&self, days: u32) -> Result<Vec<DayStats>> {
        let reader = self.read().await?;
        let today = day_of(reader.now);
        let day = |day| {
            let stats: Option<DayStats> = Look::get(reader.tree, &keys::day(day))?;
            Ok(stats.unwrap_or(DayStats { day, ..DayStats::default() }))
        };
        ((today + 1).saturating_sub(days)..=today).map(day).collect()
    }
}

fn create(tx: &mut Tx, new: NewAccount) -> Result<Account> {
    let wanted = wanted_mailboxes(&new);
    if wanted.len() > tx.limits.mailboxes_per_account {
        return Err(StoreError::LimitReached("mailboxes of an account"));
    }
    if tx.raw(&keys::account(new.id))?.is_some() {
        return Err(StoreError::AlreadyExists(Subject::Account));
    }
    free_address(tx, &new.address)?;
    let account = Account {
        id: new.id,
        address: new.address,
        name: new.name,
        credentials: new.credentials,
        quota_bytes: new.quota_bytes,
        used_bytes: 0,
        created_at: tx.now,
        expires_at: new.expires_at,
        retention_secs: new.retention_secs,
    };
    tx.put(keys::account(new.id), &account)?;
    tx.put(keys::address(&account.address), &new.id)?;
    tx.put(keys::address_of(new.id, &account.address), &())?;
    if let Some(at) = account.expires_at {
        tx.put(keys::account_expiry(at, new.id), &())?;
    }
    tx.put(keys::subscription(new.id, &MailboxName::inbox()), &())?;
    for (name, _) in &new.mailboxes {
        tx.put(keys::subscription(new.id, name), &())?;
    }
    for (name, special_use) in &wanted {
        add_mailbox(tx, new.id, name, *special_use)?;
    }
    tx.totals(|totals| totals.accounts += 1)?;
    tx.today(|day| day.accounts += 1)?;
    tx.hints.push(Hint::Account { account: new.id });
    Ok(account)
}

/// Refuses an address that is taken. One that an expired account has is not: what is left of that account goes.
fn free_address(tx: &mut Tx, address: &Address) -> Result<()> {
    let Some(owner) = tx.get::<AccountId>(&keys::address(address))? else { return Ok(()) };
    if tx.account(owner, tx.now).is_ok() {
        return Err(StoreError::AlreadyExists(Subject::Address));
    }
    drop_account(tx, owner)
}

/// Takes an account away with everything that is its; rows go with the sweep.
pub fn drop_account(tx: &mut Tx, id: AccountId) -> Result<()> {
    let Some(account) = tx.get::<Account>(&keys::account(id))? else { return Ok(()) };
    for key in tx.keys(&keys::addresses_of(id), usize::MAX)? {
        if let Ok(address) = Address::parse(keys::text_of(&key)) {
            tx.delete(keys::address(&address));
        }
        tx.delete(key);
    }
    for (_, mailbox) in names(tx, id)? {
        if let Some(record) = tx.get_long::<MailboxRecord>(&keys::mailbox(mailbox))? {
            drop_mailbox(tx, mailbox, &record)?;
        }
    }
    for key in tx.keys(&keys::subscriptions(id), usize::MAX)? {
        tx.delete(key);
    }
    tx.delete_long(keys::annotations(Annotated::Account(id)))?;
    if let Some(at) = account.expires_at {
        tx.delete(keys::account_expiry(at, id));
    }
    tx.delete(keys::account(id));
    tx.totals(|totals| totals.accounts -= 1)?;
    tx.hints.push(Hint::Account { account: id });
    Ok(())
}
