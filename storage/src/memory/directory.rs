//! Accounts, addresses, secrets, statistics.

use super::MemoryStore;
use super::operations::Fingerprint;
use super::state::{AccountState, State, day_of};
use super::store::Context;
use crate::*;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};

#[async_trait]
impl Directory for MemoryStore {
    async fn create_account(&self, op: OpId, new: NewAccount) -> Result<Account> {
        let print = Fingerprint::of(
            "create_account",
            &(
                (new.id, &new.address, &new.name, &new.credentials),
                (new.quota_bytes, new.expires_at, new.retention_secs, &new.mailboxes),
            ),
        );
        self.mutate(op, print, |state, context| create(state, context, new))
    }

    async fn account(&self, id: AccountId) -> Result<Account> {
        Ok(self.state().account(id, self.clock.now())?.account.clone())
    }

    async fn account_by_address(&self, address: &Address) -> Result<Account> {
        let state = self.state();
        let id = *state.addresses.get(address).ok_or(StoreError::NotFound(Subject::Address))?;
        let found =
            state.account(id, self.clock.now()).map_err(|_| StoreError::NotFound(Subject::Address))?;
        Ok(found.account.clone())
    }

    async fn update_account(&self, op: OpId, id: AccountId, update: AccountUpdate) -> Result<Account> {
        let AccountUpdate { name, credentials, quota_bytes, expires_at, retention_secs } = update;
        let print = Fingerprint::of(
            "update_account",
            &(id, &name, &credentials, quota_bytes, expires_at, retention_secs),
        );
        self.mutate(op, print, |state, context| {
            let account = &mut state.account_mut(id, context.now)?.account;
            account.name = name.unwrap_or_else(|| account.name.clone());
            account.credentials = credentials.unwrap_or_else(|| account.credentials.clone());
            account.quota_bytes = quota_bytes.unwrap_or(account.quota_bytes);
            account.expires_at = expires_at.unwrap_or(account.expires_at);
            account.retention_secs = retention_secs.unwrap_or(account.retention_secs);
            let account = account.clone();
            state.hints.push(Hint::Account { account: id });
            Ok(account)
        })
    }

    async fn delete_account(&self, op: OpId, id: AccountId) -> Result<()> {
        self.mutate(op, Fingerprint::of("delete_account", &id), |state, context| {
            state.account(id, context.now)?;
            state.drop_account(id);
            Ok(())
        })
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
        let now = self.clock.now();
        let state = self.state();
        let live =
            state.accounts.iter().filter(|(id, a)| after.is_none_or(|after| **id > after) && !a.expired(now));
        Ok(live.take(limit).map(|(_, a)| a.account.clone()).collect())
    }

    async fn add_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        self.mutate(op, Fingerprint::of("add_address", &(id, address)), |state, context| {
            state.account(id, context.now)?;
            free_address(state, address, context.now)?;
            if state.addresses.values().filter(|owner| **owner == id).count()
                >= context.limits.addresses_per_account
            {
                return Err(StoreError::LimitReached("addresses of an account"));
            }
            state.addresses.insert(address.clone(), id);
            state.hints.push(Hint::Account { account: id });
            Ok(())
        })
    }

    async fn remove_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        self.mutate(op, Fingerprint::of("remove_address", &(id, address)), |state, context| {
            if state.account(id, context.now)?.account.address == *address {
                return Err(StoreError::NotPermitted("an account keeps its primary address"));
            }
            if state.addresses.get(address) != Some(&id) {
                return Err(StoreError::NotFound(Subject::Address));
            }
            state.addresses.remove(address);
            state.hints.push(Hint::Account { account: id });
            Ok(())
        })
    }

    async fn addresses(&self, id: AccountId) -> Result<Vec<Address>> {
        let state = self.state();
        let primary = state.account(id, self.clock.now())?.account.address.clone();
        let aliases = state.addresses.iter().filter(|(a, owner)| **owner == id && **a != primary);
        let aliases: Vec<Address> = aliases.map(|(a, _)| a.clone()).collect();
        Ok(std::iter::once(primary).chain(aliases).collect())
    }

    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32]> {
        let mut state = self.state();
        if let Some(known) = state.secrets.get(name) {
            return Ok(*known);
        }
        state.writable()?;
        state.secrets.insert(name.into(), candidate);
        Ok(candidate)
    }

    async fn stats(&self) -> Result<StoreStats> {
        let state = self.state();
        Ok(StoreStats {
            accounts: state.accounts.len() as u64,
            messages: state.mailboxes.values().map(|m| m.rows.len() as u64).sum(),
            bytes: state.mailboxes.values().map(|m| m.bytes).sum(),
            appended_total: state.appended_total,
        })
    }

    async fn daily_stats(&self, days: u32) -> Result<Vec<DayStats>> {
        let state = self.state();
        let today = day_of(self.clock.now());
        let first = (today + 1).saturating_sub(days);
        let none = |day| DayStats { day, ..DayStats::default() };
        Ok((first..=today).map(|day| state.days.get(&day).copied().unwrap_or_else(|| none(day))).collect())
    }
}

fn create(state: &mut State, context: &Context, new: NewAccount) -> Result<Account> {
    let wanted = wanted_mailboxes(&new);
    if wanted.len() > context.limits.mailboxes_per_account {
        return Err(StoreError::LimitReached("mailboxes of an account"));
    }
    if state.accounts.contains_key(&new.id) {
        return Err(StoreError::AlreadyExists(Subject::Account));
    }
    free_address(state, &new.address, context.now)?;
    let account = Account {
        id: new.id,
        address: new.address.clone(),
        name: new.name,
        credentials: new.credentials,
        quota_bytes: new.quota_bytes,
        used_bytes: 0,
        created_at: context.now,
        expires_at: new.expires_at,
        retention_secs: new.retention_secs,
    };
    let mut subscriptions: BTreeSet<MailboxName> =
        new.mailboxes.iter().map(|(name, _)| name.clone()).collect();
    subscriptions.insert(MailboxName::inbox());
    let made = AccountState {
        account: account.clone(),
        names: BTreeMap::new(),
        subscriptions,
        annotations: Annotations::new(),
    };
    state.accounts.insert(new.id, made);
    state.addresses.insert(new.address, new.id);
    for (name, special_use) in &wanted {
        state.add_mailbox(context, new.id, name, *special_use);
    }
    state.today(context.now).accounts += 1;
    state.hints.push(Hint::Account { account: new.id });
    Ok(account)
}

/// INBOX, what was asked for, and the parents of that.
fn wanted_mailboxes(new: &NewAccount) -> BTreeMap<MailboxName, Option<SpecialUse>> {
    let mut wanted = BTreeMap::from([(MailboxName::inbox(), None)]);
    for (name, special_use) in &new.mailboxes {
        wanted.insert(name.clone(), *special_use);
        for parent in std::iter::successors(name.parent(), MailboxName::parent) {
            wanted.entry(parent).or_insert(None);
        }
    }
    wanted
}

/// Refuses an address that is taken. One that an expired account has is not: what is left of that account goes.
fn free_address(state: &mut State, address: &Address, now: Timestamp) -> Result<()> {
    let Some(&owner) = state.addresses.get(address) else { return Ok(()) };
    if state.account(owner, now).is_ok() {
        return Err(StoreError::AlreadyExists(Subject::Address));
    }
    state.drop_account(owner);
    Ok(())
}
