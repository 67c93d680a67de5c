//! The wrapper.

use super::Fault;
use super::body::{Reopening, key, with_crlf};
use crate::contract::add;
use crate::*;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) fn wrap(inner: Arc<dyn MailStore>, fault: Fault, entropy: Arc<dyn Entropy>) -> Arc<dyn MailStore> {
    if fault == Fault::None {
        return inner;
    }
    Arc::new(FaultyStore {
        inner,
        fault,
        entropy,
        notes: Mutex::default(),
        reads: AtomicU64::new(0),
        deciding: AtomicU64::new(0),
        hub: HintHub::default(),
    })
}

struct FaultyStore {
    inner: Arc<dyn MailStore>,
    fault: Fault,
    entropy: Arc<dyn Entropy>,
    notes: Mutex<Notes>,
    /// How often a mailbox was looked at.
    reads: AtomicU64,
    /// Conditional changes between their check and their change.
    deciding: AtomicU64,
    hub: HintHub,
}

#[derive(Default)]
struct Notes {
    owners: BTreeMap<MailboxId, AccountId>,
    appended: BTreeMap<OpId, Appended>,
    mails: BTreeMap<(MailboxId, Vec<Bytes>), Appended>,
    appends: u64,
    copies: u64,
    /// UIDs taken and not inserted yet.
    hidden: UidSet,
    collected: BTreeSet<EmailId>,
}

/// Gives others a chance to come between until `enough`, and goes on in the end if nobody is there to come.
async fn dawdle(enough: impl Fn() -> bool) {
    for _ in 0..3000 {
        if enough() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl FaultyStore {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> OpId {
        OpId::mint(&*self.entropy)
    }

    fn op(&self, op: OpId) -> OpId {
        if self.is(Fault::ForgetsOperations) { self.fresh() } else { op }
    }

    fn at(&self, at: MailboxRef) -> MailboxRef {
        let owner = self.notes().owners.get(&at.mailbox).copied().filter(|_| self.is(Fault::IgnoresOwner));
        MailboxRef { account: owner.unwrap_or(at.account), ..at }
    }

    fn mailbox_as_told(&self, account: AccountId, mut mailbox: Mailbox) -> Mailbox {
        self.notes().owners.insert(mailbox.id, account);
        if self.is(Fault::RepeatsUidValidity) {
            mailbox.uidvalidity = UidValidity(NonZeroU32::MIN);
        }
        mailbox
    }

    fn account_as_told(&self, mut account: Account) -> Account {
        if self.is(Fault::ReportsStaleQuota) {
            account.used_bytes = 0;
        }
        account
    }

    fn note(&self, op: OpId, at: MailboxRef, mail: Vec<Bytes>, appended: &Appended) {
        let mut notes = self.notes();
        notes.appended.insert(op, appended.clone());
        notes.mails.insert((at.mailbox, mail), appended.clone());
    }

    /// What a reader sees of these UIDs: not those that are not inserted yet. They are once a later one was seen.
    fn visible(&self, there: UidSet) -> UidSet {
        let mut notes = self.notes();
        let visible = there.difference(&notes.hidden);
        if notes.hidden.first().is_some_and(|hidden| visible.last().is_some_and(|top| top > hidden)) {
            notes.hidden = UidSet::new();
        }
        visible
    }
}

#[async_trait]
impl Directory for FaultyStore {
    async fn create_account(&self, op: OpId, new: NewAccount) -> Result<Account> {
        Ok(self.account_as_told(self.inner.create_account(self.op(op), new).await?))
    }
    async fn account(&self, id: AccountId) -> Result<Account> {
        Ok(self.account_as_told(self.inner.account(id).await?))
    }
    async fn account_by_address(&self, address: &Address) -> Result<Account> {
        Ok(self.account_as_told(self.inner.account_by_address(address).await?))
    }
    async fn update_account(&self, op: OpId, id: AccountId, update: AccountUpdate) -> Result<Account> {
        Ok(self.account_as_told(self.inner.update_account(self.op(op), id, update).await?))
    }
    async fn delete_account(&self, op: OpId, id: AccountId) -> Result<()> {
        self.inner.delete_account(self.op(op), id).await
    }
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
        self.inner.accounts(after, limit).await
    }
    async fn add_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        self.inner.add_address(self.op(op), id, address).await
    }
    async fn remove_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        self.inner.remove_address(self.op(op), id, address).await
    }
    async fn addresses(&self, id: AccountId) -> Result<Vec<Address>> {
        self.inner.addresses(id).await
    }
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32]> {
        self.inner.secret(name, candidate).await
    }
    async fn stats(&self) -> Result<StoreStats> {
        let mut stats = self.inner.stats().await?;
        if self.is(Fault::CountsCopies) {
            stats.appended_total += self.notes().copies;
        }
        Ok(stats)
    }
    async fn daily_stats(&self, days: u32) -> Result<Vec<DayStats>> {
        self.inner.daily_stats(days).await
    }
}

#[async_trait]
impl Mailboxes for FaultyStore {
    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>> {
        let all = self.inner.mailboxes(account).await?;
        Ok(all.into_iter().map(|m| self.mailbox_as_told(account, m)).collect())
    }
    async fn mailbox(&self, at: MailboxRef) -> Result<Mailbox> {
        let at = self.at(at);
        Ok(self.mailbox_as_told(at.account, self.inner.mailbox(at).await?))
    }
    async fn mailbox_by_name(&self, account: AccountId, name: &MailboxName) -> Result<Mailbox> {
        Ok(self.mailbox_as_told(account, self.inner.mailbox_by_name(account, name).await?))
    }
    async fn create_mailbox(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<Mailbox> {
        let made = self.inner.create_mailbox(self.op(op), account, name, special_use).await?;
        Ok(self.mailbox_as_told(account, made))
    }
    async fn delete_mailbox(&self, op: OpId, at: MailboxRef) -> Result<()> {
        let at = self.at(at);
        if self.is(Fault::UnsubscribesDeleted) {
            let name = self.inner.mailbox(at).await?.name;
            self.inner.set_subscribed(self.fresh(), at.account, &name, Subscribed::No).await?;
        }
        self.inner.delete_mailbox(self.op(op), at).await
    }
    async fn rename_mailbox(&self, op: OpId, at: MailboxRef, to: &MailboxName) -> Result<()> {
        self.inner.rename_mailbox(self.op(op), self.at(at), to).await
    }
    async fn set_subscribed(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        subscribed: Subscribed,
    ) -> Result<()> {
        self.inner.set_subscribed(self.op(op), account, name, subscribed).await
    }
    async fn annotations(&self, of: Annotated) -> Result<Annotations> {
        self.inner.annotations(of).await
    }
    async fn annotate(&self, op: OpId, of: Annotated, changes: &AnnotationChanges) -> Result<()> {
        self.inner.annotate(self.op(op), of, changes).await
    }
    async fn subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>> {
        self.inner.subscriptions(account).await
    }
    async fn claim_recent(&self, at: MailboxRef) -> Result<UidSet> {
        if self.is(Fault::TellsRecentTwice) {
            return Ok(self.inner.uids(at).await?.1);
        }
        self.inner.claim_recent(self.at(at)).await
    }
}

#[async_trait]
impl Messages for FaultyStore {
    async fn append(&self, op: OpId, at: MailboxRef, mut messages: Vec<NewMessage>) -> Result<Appended> {
        let (op, at) = (self.op(op), self.at(at));
        let known = match self.fault {
            Fault::AnswersAnyRepetition => self.notes().appended.get(&op).cloned(),
            Fault::DropsIdenticalMail => self.notes().mails.get(&(at.mailbox, key(&messages)?)).cloned(),
            _ => None,
        };
        if let Some(known) = known {
            return Ok(known);
        }
        if self.is(Fault::NormalisesLineEnds) {
            messages = messages.into_iter().map(with_crlf).collect::<Result<_>>()?;
        }
        let mail = if self.is(Fault::DropsIdenticalMail) { key(&messages)? } else { Vec::new() };
        let appended = match self.fault {
            Fault::AppendsOneByOne => self.append_one_by_one(at, messages).await?,
            Fault::InsertsApartFromUid => self.append_late(op, at, messages).await?,
            _ => self.inner.append(op, at, messages).await?,
        };
        self.note(op, at, mail, &appended);
        if self.is(Fault::MisdirectsHints) {
            for account in self.inner.accounts(None, 100).await? {
                let (account, mailbox, modseq) = (account.id, at.mailbox, appended.modseq);
                self.hub.publish(Hint::Mailbox { account, mailbox, modseq });
            }
        }
        Ok(appended)
    }
    async fn uids(&self, at: MailboxRef) -> Result<(Mailbox, UidSet)> {
        let (mut mailbox, there) = self.inner.uids(self.at(at)).await?;
        self.reads.fetch_add(1, SeqCst);
        let there = self.visible(there);
        mailbox.messages = there.len();
        Ok((mailbox, there))
    }
    async fn messages(&self, at: MailboxRef, query: MessageQuery) -> Result<Vec<Message>> {
        self.inner.messages(self.at(at), query).await
    }
    async fn body(&self, at: MailboxRef, uid: Uid) -> Result<Box<dyn BodyReader>> {
        let body = self.inner.body(self.at(at), uid).await?;
        if self.is(Fault::CollectsSharedContent) {
            let found = self.inner.messages(at, MessageQuery::of(UidSet::single(uid))).await?;
            if found.iter().any(|m| self.notes().collected.contains(&m.email_id)) {
                return Err(StoreError::Corrupt("content that was collected".into()));
            }
        }
        if self.is(Fault::ReopensBodies) {
            return Ok(Box::new(Reopening { store: self.inner.clone(), at, uid, size: body.size() }));
        }
        Ok(body)
    }
    async fn set_flags(
        &self,
        op: OpId,
        at: MailboxRef,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<u64>,
    ) -> Result<FlagsStored> {
        let (op, at) = (self.op(op), self.at(at));
        if let (Fault::DecidesConditionBefore, Some(since)) = (self.fault, unchanged_since) {
            return self.set_flags_late(op, at, uids, change, since).await;
        }
        let stored = self.inner.set_flags(op, at, uids, change, unchanged_since).await?;
        if self.is(Fault::CountsNoChange) && stored.messages.iter().all(|m| !m.changed) {
            let draft = add(&[SystemFlag::Draft]);
            self.inner.set_flags(self.fresh(), at, uids, &draft, None).await?;
        }
        Ok(stored)
    }
    async fn copy(&self, op: OpId, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Copied> {
        let (mut from, op) = (self.at(from), self.op(op));
        if self.is(Fault::IgnoresOwner) {
            // Whoever owns the target: the copy appears there.
            let owner = self.notes().owners.get(&to).copied().unwrap_or(from.account);
            if owner != from.account {
                self.inner
                    .append(op, MailboxRef { account: owner, mailbox: to }, vec![super::super::message(b"x")])
                    .await?;
                from.mailbox = to;
                from.account = owner;
            }
        }
        let copied = self.inner.copy(op, from, uids, to).await?;
        self.notes().copies += copied.pairs.len() as u64;
        Ok(copied)
    }
    async fn move_messages(
        &self,
        op: OpId,
        from: MailboxRef,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Copied> {
        let (from, op) = (self.at(from), self.op(op));
        if !matches!(self.fault, Fault::LeavesMovedBehind | Fault::MovesInTwoSteps) {
            return self.inner.move_messages(op, from, uids, to).await;
        }
        let mut copied = self.inner.copy(op, from, uids, to).await?;
        copied.source_modseq = Some(self.inner.mailbox(from).await?.modseq);
        if self.is(Fault::MovesInTwoSteps) {
            let before = self.reads.load(SeqCst);
            dawdle(|| self.reads.load(SeqCst) > before + 400).await;
            let sources = copied.pairs.iter().map(|(source, _)| *source).collect();
            let gone = self.inner.expunge(self.fresh(), from, &sources, Which::All).await?;
            copied.source_modseq = Some(gone.modseq);
        }
        Ok(copied)
    }
    async fn replace(
        &self,
        op: OpId,
        from: MailboxRef,
        uid: Uid,
        to: MailboxId,
        message: NewMessage,
    ) -> Result<Replaced> {
        let (from, op) = (self.at(from), self.op(op));
        if !self.is(Fault::ReplacesInTwoSteps) {
            return self.inner.replace(op, from, uid, to, message).await;
        }
        let at = MailboxRef { mailbox: to, ..from };
        let appended = self.inner.append(op, at, vec![message]).await?;
        let expunged = self.inner.expunge(self.fresh(), from, &UidSet::single(uid), Which::All).await?;
        Ok(Replaced { appended, expunged })
    }
    async fn expunge(&self, op: OpId, at: MailboxRef, uids: &UidSet, which: Which) -> Result<Expunged> {
        let at = self.at(at);
        if self.is(Fault::CollectsSharedContent) {
            let going = self.inner.messages(at, MessageQuery::of(uids.clone())).await?;
            self.notes().collected.extend(going.iter().map(|m| m.email_id));
        }
        self.inner.expunge(self.op(op), at, uids, which).await
    }
}

impl FaultyStore {
    async fn append_one_by_one(&self, at: MailboxRef, messages: Vec<NewMessage>) -> Result<Appended> {
        let mut all = self.inner.append(self.fresh(), at, vec![]).await?;
        for message in messages {
            let one = self.inner.append(self.fresh(), at, vec![message]).await?;
            all.uids.extend(one.uids);
            all.modseq = one.modseq;
        }
        Ok(all)
    }

    /// The third append is not seen until a later one has been.
    async fn append_late(&self, op: OpId, at: MailboxRef, messages: Vec<NewMessage>) -> Result<Appended> {
        let late = {
            let mut notes = self.notes();
            notes.appends += 1;
            let next = self.inner.mailbox(at);
            (notes.appends == 3).then_some(next)
        };
        let Some(mailbox) = late else { return self.inner.append(op, at, messages).await };
        // Until its UID is known, whatever comes next is hidden.
        let next = mailbox.await?.uidnext.unwrap_or(Uid::MAX);
        self.notes().hidden = UidSet::range(next, Uid::MAX);
        let appended = self.inner.append(op, at, messages).await?;
        self.notes().hidden = appended.uids.iter().copied().collect();
        dawdle(|| self.notes().hidden.is_empty()).await;
        Ok(appended)
    }

    async fn set_flags_late(
        &self,
        op: OpId,
        at: MailboxRef,
        uids: &UidSet,
        change: &FlagChange,
        since: u64,
    ) -> Result<FlagsStored> {
        let found = self.inner.messages(at, MessageQuery::of(uids.clone())).await?;
        let (good, modified): (Vec<_>, Vec<_>) = found.iter().partition(|m| m.modseq.get() <= since);
        self.deciding.fetch_add(1, SeqCst);
        dawdle(|| self.deciding.load(SeqCst).is_multiple_of(2)).await;
        let good = good.iter().map(|m| m.uid).collect();
        let mut stored = self.inner.set_flags(op, at, &good, change, None).await?;
        stored.modified = modified.iter().map(|m| m.uid).collect();
        Ok(stored)
    }
}

#[async_trait]
impl Feed for FaultyStore {
    async fn changes_since(&self, at: MailboxRef, since: u64) -> Result<Changes> {
        let at = self.at(at);
        let mut changes = self.inner.changes_since(at, since).await?;
        if self.is(Fault::AnswersInPart) && changes == Changes::Resync {
            let modseq = self.inner.mailbox(at).await?.modseq.get();
            changes = self.inner.changes_since(at, modseq).await?;
        }
        if let Changes::Delta(delta) = &mut changes {
            match self.fault {
                Fault::LosesVanished => delta.vanished = UidSet::new(),
                Fault::LosesChanged => _ = delta.changed.pop(),
                Fault::InsertsApartFromUid => {
                    let visible = self.visible(delta.changed.iter().map(|m| m.uid).collect());
                    delta.changed.retain(|m| visible.contains(m.uid));
                }
                _ => {}
            }
        }
        Ok(changes)
    }
    fn hints(&self, account: AccountId) -> HintReceiver {
        match self.fault {
            Fault::LosesHints | Fault::MisdirectsHints => self.hub.subscribe(account),
            _ => self.inner.hints(account),
        }
    }
}

#[async_trait]
impl Maintenance for FaultyStore {
    async fn sweep(&self) -> Result<Swept> {
        let swept = self.inner.sweep().await?;
        Ok(Swept { more: swept.more && !self.is(Fault::StopsSweeping), ..swept })
    }
    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }
    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
    async fn audit(&self) -> Result<Vec<String>> {
        let mut complaints = self.inner.audit().await?;
        if self.is(Fault::FailsAudit) {
            complaints.push("as told".into());
        }
        Ok(complaints)
    }
}
