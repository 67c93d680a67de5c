//! The data, and what keeps its counters right.

use super::operations::Operation;
use super::store::Context;
use crate::body::Staged;
use crate::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct State {
    pub accounts: BTreeMap<AccountId, AccountState>,
    pub addresses: BTreeMap<Address, AccountId>,
    pub mailboxes: BTreeMap<MailboxId, MailboxState>,
    pub operations: BTreeMap<OpId, Operation>,
    pub secrets: BTreeMap<String, [u8; 32]>,
    pub documents: BTreeMap<String, Document>,
    /// Events by UTC day.
    pub days: BTreeMap<u32, DayStats>,
    pub appended_total: u64,
    pub last_uidvalidity: u32,
    pub closed: bool,
    /// To be published once the mutation is done.
    pub hints: Vec<Hint>,
}

pub(super) struct AccountState {
    /// With `used_bytes` kept up to date.
    pub account: Account,
    pub names: BTreeMap<MailboxName, MailboxId>,
    pub subscriptions: BTreeSet<MailboxName>,
    pub annotations: Annotations,
}

pub(super) struct MailboxState {
    pub id: MailboxId,
    pub account: AccountId,
    pub name: MailboxName,
    pub special_use: Option<SpecialUse>,
    pub uidvalidity: UidValidity,
    pub uidnext: Option<Uid>,
    pub modseq: ModSeq,
    pub rows: BTreeMap<Uid, Row>,
    /// Messages no session has been told of.
    pub unclaimed: UidSet,
    pub keywords: BTreeSet<Keyword>,
    pub annotations: Annotations,
    pub unseen: u64,
    pub deleted: u64,
    pub bytes: u64,
    /// One row per modseq above `trimmed_through`.
    pub journal: BTreeMap<ModSeq, JournalRow>,
    /// The journal is complete after this modseq.
    pub trimmed_through: u64,
}

#[derive(Clone)]
pub(super) struct Row {
    /// Without details.
    pub message: Message,
    pub body: Staged,
    pub delivery: Option<Arc<Delivery>>,
}

pub(super) struct JournalRow {
    pub at: Timestamp,
    pub changed: UidSet,
    pub vanished: UidSet,
}

impl State {
    /// Refuses once the store is closed.
    pub fn writable(&self) -> Result<()> {
        if self.closed { Err(StoreError::unavailable("the store is closed")) } else { Ok(()) }
    }

    /// An account that has not expired.
    pub fn account(&self, id: AccountId, now: Timestamp) -> Result<&AccountState> {
        let found = self.accounts.get(&id).filter(|a| !a.expired(now));
        found.ok_or(StoreError::NotFound(Subject::Account))
    }

    pub fn account_mut(&mut self, id: AccountId, now: Timestamp) -> Result<&mut AccountState> {
        let found = self.accounts.get_mut(&id).filter(|a| !a.expired(now));
        found.ok_or(StoreError::NotFound(Subject::Account))
    }

    /// A mailbox of an account that has not expired.
    pub fn mailbox(&self, at: MailboxRef, now: Timestamp) -> Result<&MailboxState> {
        self.account(at.account, now)?;
        let found = self.mailboxes.get(&at.mailbox).filter(|m| m.account == at.account);
        found.ok_or(StoreError::NotFound(Subject::Mailbox))
    }

    pub fn mailbox_mut(&mut self, at: MailboxRef, now: Timestamp) -> Result<&mut MailboxState> {
        self.account(at.account, now)?;
        let found = self.mailboxes.get_mut(&at.mailbox).filter(|m| m.account == at.account);
        found.ok_or(StoreError::NotFound(Subject::Mailbox))
    }

    /// A mailbox as it is shown.
    pub fn describe(&self, mailbox: &MailboxState) -> Mailbox {
        let subscribed =
            self.accounts.get(&mailbox.account).is_some_and(|a| a.subscriptions.contains(&mailbox.name));
        Mailbox {
            id: mailbox.id,
            name: mailbox.name.clone(),
            special_use: mailbox.special_use,
            subscribed,
            uidvalidity: mailbox.uidvalidity,
            uidnext: mailbox.uidnext,
            modseq: mailbox.modseq,
            messages: mailbox.rows.len() as u64,
            unseen: mailbox.unseen,
            deleted: mailbox.deleted,
            bytes: mailbox.bytes,
            recent: mailbox.unclaimed.len(),
            keywords: mailbox.keywords.clone(),
        }
    }

    /// Adds an empty mailbox. The name is free, the account exists.
    pub fn add_mailbox(
        &mut self,
        context: &Context,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> MailboxId {
        let id = MailboxId::mint(context.clock, context.entropy);
        let mailbox = MailboxState {
            id,
            account,
            name: name.clone(),
            special_use,
            uidvalidity: self.next_uidvalidity(context.now),
            uidnext: Some(context.limits.first_uid),
            modseq: ModSeq::MIN,
            rows: BTreeMap::new(),
            unclaimed: UidSet::new(),
            keywords: BTreeSet::new(),
            annotations: Annotations::new(),
            unseen: 0,
            deleted: 0,
            bytes: 0,
            journal: BTreeMap::new(),
            trimmed_through: ModSeq::MIN.get(),
        };
        self.mailboxes.insert(id, mailbox);
        if let Some(a) = self.accounts.get_mut(&account) {
            a.names.insert(name.clone(), id);
        }
        id
    }

    /// RFC 3501 §2.3.1.1 suggests the time of creation; a counter keeps two mailboxes of one second apart and
    /// survives a clock that is set back.
    fn next_uidvalidity(&mut self, now: Timestamp) -> UidValidity {
        let secs = now.secs().clamp(1, i64::from(u32::MAX)) as u32;
        self.last_uidvalidity = secs.max(self.last_uidvalidity.saturating_add(1));
        UidValidity(NonZeroU32::new(self.last_uidvalidity).unwrap_or(NonZeroU32::MIN))
    }

    /// Takes an account away with everything that is its.
    pub fn drop_account(&mut self, id: AccountId) {
        let Some(gone) = self.accounts.remove(&id) else { return };
        self.addresses.retain(|_, owner| *owner != id);
        for mailbox in gone.names.values() {
            self.mailboxes.remove(mailbox);
        }
        self.hints.push(Hint::Account { account: id });
    }

    pub fn today(&mut self, now: Timestamp) -> &mut DayStats {
        let day = day_of(now);
        self.days.entry(day).or_insert(DayStats { day, ..DayStats::default() })
    }
}

/// Days since 1970-01-01.
pub(super) fn day_of(now: Timestamp) -> u32 {
    (now.secs() / 86_400).clamp(0, i64::from(u32::MAX)) as u32
}

impl AccountState {
    pub fn expired(&self, now: Timestamp) -> bool {
        self.account.expires_at.is_some_and(|at| at <= now)
    }

    /// Refuses what would take the account over its quota.
    pub fn admit(&self, added_bytes: u64) -> Result<()> {
        let Account { used_bytes, quota_bytes: limit_bytes, .. } = self.account;
        match used_bytes.checked_add(added_bytes) {
            Some(sum) if sum <= limit_bytes => Ok(()),
            _ => Err(StoreError::OverQuota { used_bytes, limit_bytes }),
        }
    }
}

impl MailboxState {
    /// The modseq of the mutation that is about to happen.
    pub fn step(&mut self) -> ModSeq {
        self.modseq = self.modseq.next();
        self.modseq
    }

    /// Journals what the mutation that took [`Self::step`] did.
    pub fn journal(&mut self, at: Timestamp, changed: UidSet, vanished: UidSet) {
        self.journal.insert(self.modseq, JournalRow { at, changed, vanished });
    }

    /// Whether `count` more messages find a UID each.
    pub fn has_uids_for(&self, count: usize) -> Result<()> {
        let left = self.uidnext.map_or(0, |next| u64::from(u32::MAX - next.get()) + 1);
        if count as u64 <= left { Ok(()) } else { Err(StoreError::LimitReached("UIDs of a mailbox")) }
    }

    /// Whether these flags find room for their keywords.
    pub fn has_keywords_for<'a>(
        &'a self,
        flags: impl IntoIterator<Item = &'a Flags>,
        limit: usize,
    ) -> Result<()> {
        let mut all: BTreeSet<&Keyword> = self.keywords.iter().collect();
        let known = all.len();
        all.extend(flags.into_iter().flat_map(Flags::keywords));
        if all.len() == known || all.len() <= limit {
            return Ok(());
        }
        Err(StoreError::LimitReached("keywords of a mailbox"))
    }

    /// Gives the next UID to a message and takes it in. [`Self::has_uids_for`] has been asked.
    pub fn add(&mut self, mut row: Row) -> Uid {
        let uid = self.uidnext.expect("has_uids_for was asked before");
        self.uidnext = uid.next();
        row.message.uid = uid;
        row.message.modseq = self.modseq;
        row.message.flags = self.spelled(&row.message.flags);
        self.unclaimed.insert(uid);
        self.count(&row);
        self.rows.insert(uid, row);
        uid
    }

    /// Takes a message out.
    pub fn take(&mut self, uid: Uid) -> Option<Row> {
        let row = self.rows.remove(&uid)?;
        self.unclaimed.remove(uid);
        self.discount(&row);
        Some(row)
    }

    /// Gives a message other flags and the modseq of this step.
    pub fn reflag(&mut self, uid: Uid, flags: &Flags) {
        let flags = self.spelled(flags);
        let Some(mut row) = self.rows.remove(&uid) else { return };
        self.discount(&row);
        row.message.flags = flags;
        row.message.modseq = self.modseq;
        self.count(&row);
        self.rows.insert(uid, row);
    }

    /// Notes the keywords as in use; the first spelling in a mailbox is the one that is kept.
    fn spelled(&mut self, flags: &Flags) -> Flags {
        let mut out = Flags::new();
        flags.system().for_each(|f| out.insert(f));
        for keyword in flags.keywords() {
            if !self.keywords.contains(keyword) {
                self.keywords.insert(keyword.clone());
            }
            out.insert_keyword(self.keywords.get(keyword).unwrap_or(keyword).clone());
        }
        out
    }

    fn count(&mut self, row: &Row) {
        self.bytes += row.message.size;
        self.unseen += u64::from(!row.message.flags.has(SystemFlag::Seen));
        self.deleted += u64::from(row.message.flags.has(SystemFlag::Deleted));
    }

    fn discount(&mut self, row: &Row) {
        self.bytes -= row.message.size;
        self.unseen -= u64::from(!row.message.flags.has(SystemFlag::Seen));
        self.deleted -= u64::from(row.message.flags.has(SystemFlag::Deleted));
    }

    /// Those of `uids` that exist, ascending.
    pub fn existing<'a>(&'a self, uids: &'a UidSet) -> impl DoubleEndedIterator<Item = (&'a Uid, &'a Row)> {
        uids.ranges()
            .filter_map(|r| Some(Uid::new(*r.start())?..=Uid::new(*r.end())?))
            .flat_map(|r| self.rows.range(r))
    }

    pub fn hint(&self) -> Hint {
        Hint::Mailbox { account: self.account, mailbox: self.id, modseq: self.modseq }
    }
}
