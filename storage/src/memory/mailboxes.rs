//! Mailboxes: hierarchy, subscriptions, RECENT.

use super::MemoryStore;
use super::operations::Fingerprint;
use super::state::{AccountState, State};
use super::store::Context;
use crate::*;
use async_trait::async_trait;

#[async_trait]
impl Mailboxes for MemoryStore {
    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>> {
        let state = self.state();
        let names = &state.account(account, self.clock.now())?.names;
        Ok(names.values().filter_map(|id| state.mailboxes.get(id)).map(|m| state.describe(m)).collect())
    }

    async fn mailbox(&self, at: MailboxRef) -> Result<Mailbox> {
        let state = self.state();
        Ok(state.describe(state.mailbox(at, self.clock.now())?))
    }

    async fn mailbox_by_name(&self, account: AccountId, name: &MailboxName) -> Result<Mailbox> {
        let state = self.state();
        let id = state.account(account, self.clock.now())?.names.get(name);
        let found =
            id.and_then(|id| state.mailboxes.get(id)).ok_or(StoreError::NotFound(Subject::Mailbox))?;
        Ok(state.describe(found))
    }

    async fn create_mailbox(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<Mailbox> {
        let print = Fingerprint::of("create_mailbox", &(account, name, special_use));
        self.mutate(op, print, |state, context| {
            let owner = state.account(account, context.now)?;
            if owner.names.contains_key(name) {
                return Err(StoreError::AlreadyExists(Subject::Mailbox));
            }
            let parents = missing_parents(owner, name);
            has_room(owner, parents.len() + 1, context)?;
            parents.iter().for_each(|parent| _ = state.add_mailbox(context, account, parent, None));
            let id = state.add_mailbox(context, account, name, special_use);
            state.hints.push(Hint::Account { account });
            Ok(state.describe(&state.mailboxes[&id]))
        })
    }

    async fn delete_mailbox(&self, op: OpId, at: MailboxRef) -> Result<()> {
        self.mutate(op, Fingerprint::of("delete_mailbox", &at), |state, context| {
            let mailbox = state.mailbox(at, context.now)?;
            if mailbox.name.is_inbox() {
                return Err(StoreError::NotPermitted("INBOX can't be deleted"));
            }
            let (name, bytes) = (mailbox.name.clone(), mailbox.bytes);
            let owner = state.account_mut(at.account, context.now)?;
            if owner.names.keys().any(|other| other.is_below(&name)) {
                return Err(StoreError::NotPermitted("the mailbox has children"));
            }
            owner.names.remove(&name);
            owner.account.used_bytes -= bytes;
            state.mailboxes.remove(&at.mailbox);
            state.hints.push(Hint::Account { account: at.account });
            Ok(())
        })
    }

    async fn rename_mailbox(&self, op: OpId, at: MailboxRef, to: &MailboxName) -> Result<()> {
        let print = Fingerprint::of("rename_mailbox", &(at, to));
        self.mutate(op, print, |state, context| rename(state, context, at, to))
    }

    async fn set_subscribed(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        subscribed: Subscribed,
    ) -> Result<()> {
        let print = Fingerprint::of("set_subscribed", &(account, name, subscribed));
        self.mutate(op, print, |state, context| {
            let subscriptions = &mut state.account_mut(account, context.now)?.subscriptions;
            let changed = match subscribed {
                Subscribed::No => subscriptions.remove(name),
                Subscribed::Yes if subscriptions.contains(name) => false,
                Subscribed::Yes if subscriptions.len() >= context.limits.subscriptions_per_account => {
                    return Err(StoreError::LimitReached("subscriptions of an account"));
                }
                Subscribed::Yes => subscriptions.insert(name.clone()),
            };
            if changed {
                state.hints.push(Hint::Account { account });
            }
            Ok(())
        })
    }

    async fn annotations(&self, of: Annotated) -> Result<Annotations> {
        let (state, now) = (self.state(), self.clock.now());
        Ok(match of {
            Annotated::Account(id) => state.account(id, now)?.annotations.clone(),
            Annotated::Mailbox(at) => state.mailbox(at, now)?.annotations.clone(),
        })
    }

    async fn annotate(&self, op: OpId, of: Annotated, changes: &AnnotationChanges) -> Result<()> {
        self.mutate(op, Fingerprint::of("annotate", &(of, changes)), |state, context| {
            let now = context.now;
            let annotations = match of {
                Annotated::Account(id) => &mut state.account_mut(id, now)?.annotations,
                Annotated::Mailbox(at) => &mut state.mailbox_mut(at, now)?.annotations,
            };
            *annotations = annotated(annotations.clone(), changes)?;
            state.hints.push(Hint::Account { account: of.account() });
            Ok(())
        })
    }

    async fn subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>> {
        Ok(self.state().account(account, self.clock.now())?.subscriptions.iter().cloned().collect())
    }

    async fn claim_recent(&self, at: MailboxRef) -> Result<UidSet> {
        Ok(std::mem::take(&mut self.state().mailbox_mut(at, self.clock.now())?.unclaimed))
    }
}

fn rename(state: &mut State, context: &Context, at: MailboxRef, to: &MailboxName) -> Result<()> {
    let from = state.mailbox(at, context.now)?.name.clone();
    let owner = state.account(at.account, context.now)?;
    if from.is_inbox() {
        return Err(StoreError::NotPermitted("INBOX can't be renamed"));
    }
    if to.is_below(&from) {
        return Err(StoreError::NotPermitted("a mailbox can't move below itself"));
    }
    if owner.names.contains_key(to) {
        return Err(StoreError::AlreadyExists(Subject::Mailbox));
    }
    let moved: Vec<(MailboxName, MailboxName, MailboxId)> = owner
        .names
        .iter()
        .filter_map(|(name, id)| Some((name.clone(), name.rebased(&from, to)?, *id)))
        .collect();
    if moved.iter().any(|(_, new, _)| MailboxName::parse(new.as_str()).is_err()) {
        return Err(StoreError::LimitReached("length of a name below the renamed mailbox"));
    }
    let parents = missing_parents(owner, to);
    has_room(owner, parents.len(), context)?;
    // Every parent exists, so a free name has nothing below it and the new names can't collide.
    parents.iter().for_each(|parent| _ = state.add_mailbox(context, at.account, parent, None));
    let owner = state.account_mut(at.account, context.now)?;
    moved.iter().for_each(|(old, ..)| _ = owner.names.remove(old));
    moved.iter().for_each(|(_, new, id)| _ = owner.names.insert(new.clone(), *id));
    for (_, new, id) in moved {
        if let Some(mailbox) = state.mailboxes.get_mut(&id) {
            mailbox.name = new;
        }
    }
    state.hints.push(Hint::Account { account: at.account });
    Ok(())
}

/// Parents of `name` that do not exist, topmost first.
fn missing_parents(owner: &AccountState, name: &MailboxName) -> Vec<MailboxName> {
    let all = std::iter::successors(name.parent(), MailboxName::parent);
    let mut missing: Vec<MailboxName> = all.filter(|parent| !owner.names.contains_key(parent)).collect();
    missing.reverse();
    missing
}

fn has_room(owner: &AccountState, more: usize, context: &Context) -> Result<()> {
    if more == 0 || owner.names.len() + more <= context.limits.mailboxes_per_account {
        return Ok(());
    }
    Err(StoreError::LimitReached("mailboxes of an account"))
}
