//! Mailboxes: hierarchy, subscriptions, RECENT.

use super::db::Update;
use super::directory::changed;
use super::doc::{Fields, bin};
use super::fail::Step;
use super::keys;
use super::operations::{Locks, Mutation};
use super::records::{AccountRecord, mailbox_document, stored_name};
use super::schema::*;
use super::store::{MongoStore, reading};
use super::tx::Tx;
use super::view::View;
use crate::records::{Fingerprint, MailboxRecord, decode, encode};
use crate::*;
use async_trait::async_trait;
use mongodb::bson::doc;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

#[async_trait]
impl Mailboxes for MongoStore {
    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>> {
        reading!(self, |view| {
            view.account(account).await?;
            let subscribed: BTreeSet<MailboxName> = subscriptions(view, account).await?.into_iter().collect();
            let all = view.mailboxes(account, None, 0).await?;
            Ok(all.iter().map(|(id, m)| m.shown(*id, subscribed.contains(&m.name))).collect())
        })
    }

    async fn mailbox(&self, at: MailboxRef) -> Result<Mailbox> {
        reading!(self, |view| {
            let record = view.mailbox(at).await?;
            view.described(at.mailbox, &record).await
        })
    }

    async fn mailbox_by_name(&self, account: AccountId, name: &MailboxName) -> Result<Mailbox> {
        reading!(self, |view| {
            view.account(account).await?;
            let found = view.mailbox_by_name(account, name).await?;
            let (id, record) = found.ok_or(StoreError::NotFound(Subject::Mailbox))?;
            view.described(id, &record).await
        })
    }

    async fn inbox(&self, account: AccountId) -> Result<MailboxId> {
        self.remembered_inbox(account).await
    }

    async fn create_mailbox(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<Mailbox> {
        let print = Fingerprint::of("create_mailbox", &(account, name, special_use));
        self.once(account, op, print, Create { account, name: name.clone(), special_use }).await
    }

    async fn delete_mailbox(&self, op: OpId, at: MailboxRef) -> Result<()> {
        self.once(at.account, op, Fingerprint::of("delete_mailbox", &at), Delete(at)).await
    }

    async fn rename_mailbox(&self, op: OpId, at: MailboxRef, to: &MailboxName) -> Result<()> {
        let print = Fingerprint::of("rename_mailbox", &(at, to));
        self.once(at.account, op, print, Rename { at, to: to.clone() }).await
    }

    async fn set_subscribed(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        subscribed: Subscribed,
    ) -> Result<()> {
        let print = Fingerprint::of("set_subscribed", &(account, name, subscribed));
        self.once(account, op, print, Subscribe { account, name: name.clone(), subscribed }).await
    }

    async fn annotations(&self, of: Annotated) -> Result<Annotations> {
        reading!(self, |view| {
            match of {
                Annotated::Account(id) => _ = view.account(id).await?,
                Annotated::Mailbox(at) => _ = view.mailbox(at).await?,
            }
            annotations(view, of).await
        })
    }

    async fn annotate(&self, op: OpId, of: Annotated, changes: &AnnotationChanges) -> Result<()> {
        let print = Fingerprint::of("annotate", &(of, changes));
        self.once(of.account(), op, print, Annotate { of, changes: changes.clone() }).await
    }

    async fn subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>> {
        reading!(self, |view| {
            view.account(account).await?;
            subscriptions(view, account).await
        })
    }

    async fn claim_recent(&self, at: MailboxRef) -> Result<UidSet> {
        let recent = reading!(self, |view| Ok(view.mailbox(at).await?.recent))?;
        if recent == 0 {
            return Ok(UidSet::new());
        }
        self.mutate(at.account, None, ClaimRecent(at)).await
    }
}

async fn annotations(view: &mut View<'_>, of: Annotated) -> Step<Annotations> {
    match view.get(ANNOTATIONS, keys::annotations(of)).await? {
        Some(found) => Ok(decode(found.bytes("entries")?)?),
        None => Ok(Annotations::new()),
    }
}

async fn subscriptions(view: &mut View<'_>, account: AccountId) -> Step<Vec<MailboxName>> {
    let found = view.ids(SUBSCRIPTIONS, keys::subscriptions(account), 0).await?;
    // After the account's 24 digits and the `/`.
    found.iter().map(|d| stored_name(d.text("_id")?.get(25..).unwrap_or_default())).collect()
}

/// Adds an empty mailbox to an account, which the caller writes. The name is free.
pub fn add_mailbox(
    tx: &mut Tx<'_>,
    owner: &mut AccountRecord,
    name: &MailboxName,
    special_use: Option<SpecialUse>,
) -> Step<(MailboxId, MailboxRecord)> {
    let id = MailboxId::mint(&*tx.shared.clock, &*tx.shared.entropy);
    let record = MailboxRecord {
        account: owner.account.id,
        name: name.clone(),
        special_use,
        uidvalidity: next_uidvalidity(owner, tx.now),
        uidnext: Some(tx.shared.limits.first_uid),
        modseq: ModSeq::MIN,
        messages: 0,
        unseen: 0,
        deleted: 0,
        bytes: 0,
        recent_from: 0,
        recent: 0,
        keywords: BTreeSet::new(),
        trimmed_through: ModSeq::MIN.get(),
    };
    tx.insert(MAILBOXES, mailbox_document(id, &record)?);
    owner.mailboxes += 1;
    Ok((id, record))
}

/// RFC 3501 §2.3.1.1 suggests the time of creation; a counter keeps two mailboxes of one second apart and survives a
/// clock that is set back.
fn next_uidvalidity(owner: &mut AccountRecord, now: Timestamp) -> UidValidity {
    let secs = now.secs().clamp(1, i64::from(u32::MAX)) as u32;
    owner.uidvalidity = secs.max(owner.uidvalidity.saturating_add(1));
    UidValidity(NonZeroU32::new(owner.uidvalidity).unwrap_or(NonZeroU32::MIN))
}

/// Takes a mailbox away from its user at once; its messages go with the sweep.
pub fn drop_mailbox(tx: &mut Tx<'_>, id: MailboxId, record: &MailboxRecord) {
    tx.delete(MAILBOXES, keys::mailbox(id));
    tx.delete(ANNOTATIONS, keys::mailbox(id));
    tx.insert(PURGES, doc! { "_id": keys::mailbox(id) });
    tx.delta.messages -= record.messages as i64;
    tx.delta.bytes -= record.bytes as i64;
}

/// Parents of `name` that do not exist, topmost first.
async fn missing_parents(tx: &mut Tx<'_>, account: AccountId, name: &MailboxName) -> Step<Vec<MailboxName>> {
    let mut missing = Vec::new();
    for parent in std::iter::successors(name.parent(), MailboxName::parent) {
        if tx.mailbox_by_name(account, &parent).await?.is_some() {
            // What is above it is there too.
            break;
        }
        missing.push(parent);
    }
    missing.reverse();
    Ok(missing)
}

fn has_room(tx: &Tx<'_>, owner: &AccountRecord, more: usize) -> Step<()> {
    let most = tx.shared.limits.mailboxes_per_account as u64;
    if more == 0 || owner.mailboxes + more as u64 <= most {
        return Ok(());
    }
    Err(StoreError::LimitReached("mailboxes of an account").into())
}

struct Create {
    account: AccountId,
    name: MailboxName,
    special_use: Option<SpecialUse>,
}

#[async_trait]
impl Mutation for Create {
    type Outcome = Mailbox;

    fn locks(&self) -> Locks {
        Locks { account: Some(self.account), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<Mailbox> {
        let mut owner = tx.account(self.account).await?;
        if tx.mailbox_by_name(self.account, &self.name).await?.is_some() {
            return Err(StoreError::AlreadyExists(Subject::Mailbox).into());
        }
        let parents = missing_parents(tx, self.account, &self.name).await?;
        has_room(tx, &owner, parents.len() + 1)?;
        for parent in &parents {
            add_mailbox(tx, &mut owner, parent, None)?;
        }
        let (id, record) = add_mailbox(tx, &mut owner, &self.name, self.special_use)?;
        changed(tx, owner)?;
        tx.described(id, &record).await
    }
}

struct Delete(MailboxRef);

#[async_trait]
impl Mutation for Delete {
    type Outcome = ();

    fn locks(&self) -> Locks {
        Locks { mailboxes: vec![self.0.mailbox], account: Some(self.0.account), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<()> {
        let at = self.0;
        let record = tx.mailbox(at).await?;
        if record.name.is_inbox() {
            return Err(StoreError::NotPermitted("INBOX can't be deleted").into());
        }
        if !tx.mailboxes(at.account, Some(&record.name), 1).await?.is_empty() {
            return Err(StoreError::NotPermitted("the mailbox has children").into());
        }
        drop_mailbox(tx, at.mailbox, &record);
        let mut owner = tx.account(at.account).await?;
        owner.mailboxes -= 1;
        owner.account.used_bytes -= record.bytes;
        changed(tx, owner)
    }
}

struct Rename {
    at: MailboxRef,
    to: MailboxName,
}

#[async_trait]
impl Mutation for Rename {
    type Outcome = ();

    fn locks(&self) -> Locks {
        Locks { mailboxes: vec![self.at.mailbox], account: Some(self.at.account), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<()> {
        let (account, to) = (self.at.account, &self.to);
        let from = tx.mailbox(self.at).await?.name;
        if from.is_inbox() {
            return Err(StoreError::NotPermitted("INBOX can't be renamed").into());
        }
        if to.is_below(&from) {
            return Err(StoreError::NotPermitted("a mailbox can't move below itself").into());
        }
        if tx.mailbox_by_name(account, to).await?.is_some() {
            return Err(StoreError::AlreadyExists(Subject::Mailbox).into());
        }
        let below = tx.mailboxes(account, Some(&from), 0).await?;
        let renamed = below.iter().filter_map(|(id, m)| Some((*id, m.name.rebased(&from, to)?)));
        let moved: Vec<(MailboxId, MailboxName)> =
            renamed.chain(std::iter::once((self.at.mailbox, to.clone()))).collect();
        if moved.iter().any(|(_, new)| MailboxName::parse(new.as_str()).is_err()) {
            return Err(StoreError::LimitReached("length of a name below the renamed mailbox").into());
        }
        let parents = missing_parents(tx, account, to).await?;
        let mut owner = tx.account(account).await?;
        has_room(tx, &owner, parents.len())?;
        // Every parent exists, so a free name has nothing below it and the new names can't collide.
        for (id, new) in moved {
            tx.update(MAILBOXES, Update::one(keys::mailbox(id), doc! { "$set": { "name": new.as_str() } }));
        }
        for parent in &parents {
            add_mailbox(tx, &mut owner, parent, None)?;
        }
        changed(tx, owner)
    }
}

struct Subscribe {
    account: AccountId,
    name: MailboxName,
    subscribed: Subscribed,
}

#[async_trait]
impl Mutation for Subscribe {
    type Outcome = ();

    fn locks(&self) -> Locks {
        Locks { account: Some(self.account), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<()> {
        let mut owner = tx.account(self.account).await?;
        let key = keys::subscription(self.account, &self.name);
        match (self.subscribed, tx.is_subscribed(self.account, &self.name).await?) {
            (Subscribed::Yes, true) | (Subscribed::No, false) => return Ok(()),
            (Subscribed::No, true) => {
                tx.delete(SUBSCRIPTIONS, key);
                owner.subscriptions -= 1;
            }
            (Subscribed::Yes, false) => {
                if owner.subscriptions >= tx.shared.limits.subscriptions_per_account as u64 {
                    return Err(StoreError::LimitReached("subscriptions of an account").into());
                }
                tx.insert(SUBSCRIPTIONS, doc! { "_id": key });
                owner.subscriptions += 1;
            }
        }
        changed(tx, owner)
    }
}

struct Annotate {
    of: Annotated,
    changes: AnnotationChanges,
}

#[async_trait]
impl Mutation for Annotate {
    type Outcome = ();

    /// Whoever takes the mailbox or the account away takes the account first.
    fn locks(&self) -> Locks {
        Locks { account: Some(self.of.account()), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<()> {
        let owner = tx.account(self.of.account()).await?;
        if let Annotated::Mailbox(at) = self.of {
            tx.mailbox(at).await?;
        }
        let annotations = annotated(annotations(tx, self.of).await?, &self.changes)?;
        let key = keys::annotations(self.of);
        if annotations.is_empty() {
            tx.delete(ANNOTATIONS, key);
        } else {
            let change = doc! { "$set": { "entries": bin(encode(&annotations)?) } };
            tx.update(ANNOTATIONS, Update::one(key, change).upsert());
        }
        changed(tx, owner)
    }
}

struct ClaimRecent(MailboxRef);

#[async_trait]
impl Mutation for ClaimRecent {
    type Outcome = UidSet;

    fn locks(&self) -> Locks {
        Locks { mailboxes: vec![self.0.mailbox], ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<UidSet> {
        let id = self.0.mailbox;
        let mut record = tx.mailbox(self.0).await?;
        let mut claimed = UidSet::new();
        if let Some(first) = Uid::new(record.recent_from.max(1)).filter(|_| record.recent > 0) {
            claimed = tx.existing(id, &UidSet::from(first)).await?;
        }
        // When the UIDs are used up there will be no new message, so the last one may stay unclaimed for good.
        record.recent_from = record.uidnext.map_or(u32::MAX, Uid::get);
        record.recent = 0;
        tx.put_mailbox(id, record)?;
        Ok(claimed)
    }
}
