//! Mailboxes: hierarchy, subscriptions, RECENT.

use super::db::Durable;
use super::keys;
use super::look::{Look, Walk, damaged};
use super::operations::Fingerprint;
use super::records::MailboxRecord;
use super::store::SledStore;
use super::tx::Tx;
use super::writer::{Asks, Room};
use crate::*;
use async_trait::async_trait;
use std::num::NonZeroU32;

#[async_trait]
impl Mailboxes for SledStore {
    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>> {
        let reader = self.read().await?;
        reader.tree.account(account, reader.now)?;
        let mut found = Vec::new();
        for (_, id) in names(reader.tree, account)? {
            if let Some(record) = reader.tree.get_long::<MailboxRecord>(&keys::mailbox(id))? {
                found.push(reader.tree.described(id, &record)?);
            }
        }
        Ok(found)
    }

    async fn mailbox(&self, at: MailboxRef) -> Result<Mailbox> {
        let reader = self.read().await?;
        let record = Look::mailbox(reader.tree, at, reader.now)?;
        reader.tree.described(at.mailbox, &record)
    }

    async fn mailbox_by_name(&self, account: AccountId, name: &MailboxName) -> Result<Mailbox> {
        let reader = self.read().await?;
        reader.tree.account(account, reader.now)?;
        let id: Option<MailboxId> = Look::get(reader.tree, &keys::name(account, name))?;
        let id = id.ok_or(StoreError::NotFound(Subject::Mailbox))?;
        let record = Look::mailbox(reader.tree, MailboxRef { account, mailbox: id }, reader.now)?;
        reader.tree.described(id, &record)
    }

    async fn create_mailbox(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<Mailbox> {
        let print = Fingerprint::of("create_mailbox", &(account, name, special_use));
        let name = name.clone();
        self.once(Asks::GROWS, op, print, move |tx| {
            tx.account(account, tx.now)?;
            if tx.raw(&keys::name(account, &name))?.is_some() {
                return Err(StoreError::AlreadyExists(Subject::Mailbox));
            }
            let parents = missing_parents(tx, account, &name)?;
            has_room(tx, account, parents.len() + 1)?;
            for parent in &parents {
                add_mailbox(tx, account, parent, None)?;
            }
            let (id, record) = add_mailbox(tx, account, &name, special_use)?;
            tx.hints.push(Hint::Account { account });
            tx.described(id, &record)
        })
        .await
    }

    async fn delete_mailbox(&self, op: OpId, at: MailboxRef) -> Result<()> {
        let print = Fingerprint::of("delete_mailbox", &at);
        self.once(Asks::SHRINKS, op, print, move |tx| {
            let record = tx.mailbox(at, tx.now)?;
            if record.name.is_inbox() {
                return Err(StoreError::NotPermitted("INBOX can't be deleted"));
            }
            if names(tx, at.account)?.iter().any(|(other, _)| other.is_below(&record.name)) {
                return Err(StoreError::NotPermitted("the mailbox has children"));
            }
            drop_mailbox(tx, at.mailbox, &record)?;
            tx.use_bytes(at.account, |used| used - record.bytes)?;
            tx.hints.push(Hint::Account { account: at.account });
            Ok(())
        })
        .await
    }

    async fn rename_mailbox(&self, op: OpId, at: MailboxRef, to: &MailboxName) -> Result<()> {
        let print = Fingerprint::of("rename_mailbox", &(at, to));
        let to = to.clone();
        self.once(Asks::GROWS, op, print, move |tx| rename(tx, at, &to)).await
    }

    async fn set_subscribed(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        subscribed: Subscribed,
    ) -> Result<()> {
        let print = Fingerprint::of("set_subscribed", &(account, name, subscribed));
        let name = name.clone();
        self.once(Asks::GROWS, op, print, move |tx| {
            tx.account(account, tx.now)?;
            let key = keys::subscription(account, &name);
            match (subscribed, tx.raw(&key)?.is_some()) {
                (Subscribed::Yes, true) | (Subscribed::No, false) => return Ok(()),
                (Subscribed::No, true) => tx.delete(key),
                (Subscribed::Yes, false) => {
                    let most = tx.limits.subscriptions_per_account;
                    if tx.keys(&keys::subscriptions(account), most)?.len() >= most {
                        return Err(StoreError::LimitReached("subscriptions of an account"));
                    }
                    tx.put(key, &())?;
                }
            }
            tx.hints.push(Hint::Account { account });
            Ok(())
        })
        .await
    }

    async fn annotations(&self, of: Annotated) -> Result<Annotations> {
        let reader = self.read().await?;
        match of {
            Annotated::Account(id) => _ = reader.tree.account(id, reader.now)?,
            Annotated::Mailbox(at) => _ = Look::mailbox(reader.tree, at, reader.now)?,
        }
        Ok(reader.tree.get_long(&keys::annotations(of))?.unwrap_or_default())
    }

    async fn annotate(&self, op: OpId, of: Annotated, changes: &AnnotationChanges) -> Result<()> {
        let print = Fingerprint::of("annotate", &(of, changes));
        let changes = changes.clone();
        self.once(Asks::GROWS, op, print, move |tx| {
            match of {
                Annotated::Account(id) => _ = tx.account(id, tx.now)?,
                Annotated::Mailbox(at) => _ = tx.mailbox(at, tx.now)?,
            }
            let key = keys::annotations(of);
            let kept: Annotations = tx.get_long(&key)?.unwrap_or_default();
            let annotations = annotated(kept, &changes)?;
            tx.hints.push(Hint::Account { account: of.account() });
            if annotations.is_empty() { tx.delete_long(key) } else { tx.put_long(key, &annotations) }
        })
        .await
    }

    async fn subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>> {
        let reader = self.read().await?;
        reader.tree.account(account, reader.now)?;
        let keys = reader.tree.keys(&keys::subscriptions(account), usize::MAX)?;
        keys.iter().map(|key| stored_name(keys::text_of(key))).collect()
    }

    async fn claim_recent(&self, at: MailboxRef) -> Result<UidSet> {
        {
            let reader = self.read().await?;
            if Look::mailbox(reader.tree, at, reader.now)?.recent == 0 {
                return Ok(UidSet::new());
            }
        }
        // Losing this in a power cut costs a \Recent flag too many.
        let asks = Asks { durable: Durable::No, room: Room::Shrinks };
        self.mutate(asks, move |tx| {
            let mut record = tx.mailbox(at, tx.now)?;
            let mut claimed = UidSet::new();
            if let Some(first) = Uid::new(record.recent_from.max(1)).filter(|_| record.recent > 0) {
                claimed.extend(tx.rows(at.mailbox, &UidSet::from(first))?.into_iter().map(|(uid, _)| uid));
            }
            // When the UIDs are used up there will be no new message, so the last one may stay unclaimed for good.
            record.recent_from = record.uidnext.map_or(u32::MAX, Uid::get);
            record.recent = 0;
            tx.put_long(keys::mailbox(at.mailbox), &record)?;
            Ok(claimed)
        })
        .await
    }
}

fn stored_name(text: &str) -> Result<MailboxName> {
    MailboxName::parse(text).map_err(|e| damaged(&format!("a stored mailbox name: {e}")))
}

/// Names of an account's mailboxes, sorted.
pub fn names(look: &impl Look, account: AccountId) -> Result<Vec<(MailboxName, MailboxId)>> {
    let mut found = Vec::new();
    look.walk(&keys::names(account), &mut |key, value| {
        found.push((stored_name(keys::text_of(key))?, super::records::decode(value)?));
        Ok(Walk::On)
    })?;
    Ok(found)
}

/// Adds an empty mailbox. The name is free, the account exists.
pub fn add_mailbox(
    tx: &mut Tx,
    account: AccountId,
    name: &MailboxName,
    special_use: Option<SpecialUse>,
) -> Result<(MailboxId, MailboxRecord)> {
    let id = MailboxId::mint(tx.clock, tx.entropy);
    let record = MailboxRecord {
        account,
        name: name.clone(),
        special_use,
        uidvalidity: next_uidvalidity(tx)?,
        uidnext: Some(tx.limits.first_uid),
        modseq: ModSeq::MIN,
        messages: 0,
        unseen: 0,
        deleted: 0,
        bytes: 0,
        recent_from: 0,
        recent: 0,
        keywords: Default::default(),
        trimmed_through: ModSeq::MIN.get(),
    };
    tx.put_long(keys::mailbox(id), &record)?;
    tx.put(keys::name(account, name), &id)?;
    Ok((id, record))
}

/// RFC 3501 §2.3.1.1 suggests the time of creation; a counter keeps two mailboxes of one second apart and survives a
/// clock that is set back.
fn next_uidvalidity(tx: &mut Tx) -> Result<UidValidity> {
    let secs = tx.now.secs().clamp(1, i64::from(u32::MAX)) as u32;
    let last: u32 = tx.get(keys::UIDVALIDITY)?.unwrap_or_default();
    let next = NonZeroU32::new(secs.max(last.saturating_add(1))).unwrap_or(NonZeroU32::MIN);
    tx.put(keys::UIDVALIDITY.to_vec(), &next.get())?;
    Ok(UidValidity(next))
}

/// Takes a mailbox away from its user at once; its rows go with the sweep.
pub fn drop_mailbox(tx: &mut Tx, id: MailboxId, record: &MailboxRecord) -> Result<()> {
    tx.delete(keys::name(record.account, &record.name));
    tx.delete_long(keys::mailbox(id))?;
    let at = MailboxRef { account: record.account, mailbox: id };
    tx.delete_long(keys::annotations(Annotated::Mailbox(at)))?;
    tx.put(keys::purge(id), &())?;
    tx.totals(|totals| {
        totals.messages -= record.messages;
        totals.bytes -= record.bytes;
    })
}

fn rename(tx: &mut Tx, at: MailboxRef, to: &MailboxName) -> Result<()> {
    let from = tx.mailbox(at, tx.now)?.name;
    if from.is_inbox() {
        return Err(StoreError::NotPermitted("INBOX can't be renamed"));
    }
    if to.is_below(&from) {
        return Err(StoreError::NotPermitted("a mailbox can't move below itself"));
    }
    if tx.raw(&keys::name(at.account, to))?.is_some() {
        return Err(StoreError::AlreadyExists(Subject::Mailbox));
    }
    let all = names(tx, at.account)?;
    let moved: Vec<(MailboxName, MailboxName, MailboxId)> =
        all.into_iter().filter_map(|(name, id)| Some((name.clone(), name.rebased(&from, to)?, id))).collect();
    if moved.iter().any(|(_, new, _)| MailboxName::parse(new.as_str()).is_err()) {
        return Err(StoreError::LimitReached("length of a name below the renamed mailbox"));
    }
    let parents = missing_parents(tx, at.account, to)?;
    has_room(tx, at.account, parents.len())?;
    // Every parent exists, so a free name has nothing below it and the new names can't collide.
    for parent in &parents {
        add_mailbox(tx, at.account, parent, None)?;
    }
    for (old, ..) in &moved {
        tx.delete(keys::name(at.account, old));
    }
    for (_, new, id) in moved {
        tx.put(keys::name(at.account, &new), &id)?;
        if let Some(mut record) = tx.get_long::<MailboxRecord>(&keys::mailbox(id))? {
            record.name = new;
            tx.put_long(keys::mailbox(id), &record)?;
        }
    }
    tx.hints.push(Hint::Account { account: at.account });
    Ok(())
}

/// Parents of `name` that do not exist, topmost first.
fn missing_parents(tx: &Tx, account: AccountId, name: &MailboxName) -> Result<Vec<MailboxName>> {
    let mut missing = Vec::new();
    for parent in std::iter::successors(name.parent(), MailboxName::parent) {
        if tx.raw(&keys::name(account, &parent))?.is_none() {
            missing.push(parent);
        }
    }
    missing.reverse();
    Ok(missing)
}

fn has_room(tx: &Tx, account: AccountId, more: usize) -> Result<()> {
    let most = tx.limits.mailboxes_per_account;
    if more == 0 || tx.keys(&keys::names(account), most)?.len() + more <= most {
        return Ok(());
    }
    Err(StoreError::LimitReached("mailboxes of an account"))
}
