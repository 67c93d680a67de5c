//! Messages: append, list, read, flag, expunge.

use super::MemoryStore;
use super::operations::{Fingerprint, digest};
use super::state::{MailboxState, Row, State};
use super::store::Context;
use crate::body::{CHUNK_LEN, Staged};
use crate::*;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
impl Messages for MemoryStore {
    async fn append(&self, op: OpId, at: MailboxRef, messages: Vec<NewMessage>) -> Result<Appended> {
        let digests = messages.iter().map(digest).collect::<Result<Vec<_>>>()?;
        let print = Fingerprint::of("append", &(at, digests));
        self.mutate(op, print, |state, context| append(state, context, at, messages, 0))
    }

    async fn uids(&self, at: MailboxRef) -> Result<(Mailbox, UidSet)> {
        let state = self.state();
        let mailbox = state.mailbox(at, self.clock.now())?;
        Ok((state.describe(mailbox), mailbox.rows.keys().copied().collect()))
    }

    async fn messages(&self, at: MailboxRef, query: MessageQuery) -> Result<Vec<Message>> {
        let state = self.state();
        let mailbox = state.mailbox(at, self.clock.now())?;
        let show = |(_, row): (&Uid, &Row)| shown(row, query.details);
        let found = mailbox.existing(&query.uids);
        Ok(match query.order {
            Order::Ascending => found.take(query.limit).map(show).collect(),
            Order::Descending => found.rev().take(query.limit).map(show).collect(),
        })
    }

    async fn body(&self, at: MailboxRef, uid: Uid) -> Result<Box<dyn BodyReader>> {
        let state = self.state();
        let row = state.mailbox(at, self.clock.now())?.rows.get(&uid);
        let row = row.ok_or(StoreError::NotFound(Subject::Message))?;
        Ok(Box::new(StagedReader(row.body.clone())))
    }

    async fn set_flags(
        &self,
        op: OpId,
        at: MailboxRef,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<u64>,
    ) -> Result<FlagsStored> {
        let print = Fingerprint::of("set_flags", &(at, uids, change, unchanged_since));
        self.mutate(op, print, |state, context| {
            let mailbox = state.mailbox_mut(at, context.now)?;
            let stored = set_flags(mailbox, context, uids, change, unchanged_since)?;
            if stored.messages.iter().any(|m| m.changed) {
                let hint = mailbox.hint();
                state.hints.push(hint);
            }
            Ok(stored)
        })
    }

    async fn copy(&self, op: OpId, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Copied> {
        let print = Fingerprint::of("copy", &(from, uids, to));
        self.mutate(op, print, |state, context| super::transfer::copy(state, context, from, uids, to))
    }

    async fn move_messages(
        &self,
        op: OpId,
        from: MailboxRef,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Copied> {
        let print = Fingerprint::of("move", &(from, uids, to));
        self.mutate(op, print, |state, context| {
            super::transfer::move_messages(state, context, from, uids, to)
        })
    }

    async fn replace(
        &self,
        op: OpId,
        from: MailboxRef,
        uid: Uid,
        to: MailboxId,
        message: NewMessage,
    ) -> Result<Replaced> {
        let print = Fingerprint::of("replace", &(from, uid, to, digest(&message)?));
        self.mutate(op, print, |state, context| {
            let old = state.mailbox(from, context.now)?.rows.get(&uid);
            let freed = old.ok_or(StoreError::NotFound(Subject::Message))?.message.size;
            let at = MailboxRef { mailbox: to, ..from };
            let appended = append(state, context, at, vec![message], freed)?;
            Ok(Replaced { appended, expunged: expunge(state, context, from, UidSet::single(uid)) })
        })
    }

    async fn expunge(&self, op: OpId, at: MailboxRef, uids: &UidSet, which: Which) -> Result<Expunged> {
        self.mutate(op, Fingerprint::of("expunge", &(at, uids, which)), |state, context| {
            let mailbox = state.mailbox(at, context.now)?;
            let taken = |row: &Row| which == Which::All || row.message.flags.has(SystemFlag::Deleted);
            let uids = mailbox.existing(uids).filter(|(_, row)| taken(row)).map(|(uid, _)| *uid).collect();
            Ok(expunge(state, context, at, uids))
        })
    }
}

/// `freed`: bytes that go in the same step.
fn append(
    state: &mut State,
    context: &Context,
    at: MailboxRef,
    messages: Vec<NewMessage>,
    freed: u64,
) -> Result<Appended> {
    let owner = state.account(at.account, context.now)?;
    let retention = owner.account.retention_secs;
    let mailbox = state.mailbox(at, context.now)?;
    let (count, added) = (messages.len() as u64, messages.iter().map(|m| m.body.size()).sum::<u64>());
    if count > 0 {
        mailbox.has_uids_for(messages.len())?;
        mailbox.has_keywords_for(messages.iter().map(|m| &m.flags), context.limits.keywords_per_mailbox)?;
        owner.admit(added.saturating_sub(freed))?;
    }
    let rows: Vec<Row> = messages.into_iter().map(|m| new_row(context, m, retention)).collect();
    let mailbox = state.mailbox_mut(at, context.now)?;
    let mut uids = Vec::with_capacity(rows.len());
    if count > 0 {
        mailbox.step();
        uids.extend(rows.into_iter().map(|row| mailbox.add(row)));
        mailbox.journal(context.now, uids.iter().copied().collect(), UidSet::new());
    }
    let (outcome, hint) =
        (Appended { uidvalidity: mailbox.uidvalidity, uids, modseq: mailbox.modseq }, mailbox.hint());
    if count > 0 {
        state.hints.push(hint);
        state.account_mut(at.account, context.now)?.account.used_bytes += added;
        state.appended_total += count;
        state.today(context.now).messages += count;
    }
    Ok(outcome)
}

fn new_row(context: &Context, new: NewMessage, retention_secs: Option<u64>) -> Row {
    let message = Message {
        uid: Uid::MIN,       // Set when it is added,
        modseq: ModSeq::MIN, // and so is this.
        flags: new.flags,
        internal_date: Timestamp::from_secs(new.internal_date.unwrap_or(context.now).secs()),
        saved_at: context.now,
        expires_at: retention_secs.map(|secs| context.now.after(Duration::from_secs(secs))),
        size: new.body.size(),
        email_id: EmailId::mint(context.clock, context.entropy),
        structure: None,
        delivery: None,
    };
    Row { message, body: new.body, delivery: new.delivery.map(Arc::new) }
}

/// A message as it is listed.
pub(super) fn shown(row: &Row, details: Details) -> Message {
    let mut message = row.message.clone();
    if details == Details::Yes {
        message.structure = Some(row.body.structure().clone());
        message.delivery = row.delivery.clone();
    }
    message
}

fn set_flags(
    mailbox: &mut MailboxState,
    context: &Context,
    uids: &UidSet,
    change: &FlagChange,
    unchanged_since: Option<u64>,
) -> Result<FlagsStored> {
    // RFC 7162 §3.1.3: messages above UNCHANGEDSINCE are left alone and listed as MODIFIED.
    let too_new = |row: &Row| unchanged_since.is_some_and(|since| row.message.modseq.get() > since);
    let modified: UidSet =
        mailbox.existing(uids).filter(|(_, row)| too_new(row)).map(|(uid, _)| *uid).collect();
    let targets: Vec<(Uid, Flags, Flags)> = mailbox
        .existing(uids)
        .filter(|(_, row)| !too_new(row))
        .map(|(uid, row)| (*uid, row.message.flags.clone(), row.message.flags.changed(change)))
        .collect();
    let changed: UidSet = targets.iter().filter(|(_, old, new)| old != new).map(|(uid, ..)| *uid).collect();
    if !changed.is_empty() {
        mailbox
            .has_keywords_for(targets.iter().map(|(_, _, new)| new), context.limits.keywords_per_mailbox)?;
        mailbox.step();
        for (uid, _, new) in targets.iter().filter(|(uid, ..)| changed.contains(*uid)) {
            mailbox.reflag(*uid, new);
        }
        mailbox.journal(context.now, changed.clone(), UidSet::new());
    }
    let now = |uid: Uid| {
        let message = &mailbox.rows[&uid].message;
        FlagsNow { uid, modseq: message.modseq, flags: message.flags.clone(), changed: changed.contains(uid) }
    };
    let messages = targets.iter().map(|(uid, ..)| now(*uid)).collect();
    Ok(FlagsStored { messages, modified, modseq: mailbox.modseq })
}

/// Expunges messages that all exist, in one step.
pub(super) fn expunge(state: &mut State, context: &Context, at: MailboxRef, uids: UidSet) -> Expunged {
    let mailbox = state.mailboxes.get_mut(&at.mailbox).expect("the caller has looked it up");
    if !uids.is_empty() {
        mailbox.step();
        let freed: u64 = uids.iter().filter_map(|uid| mailbox.take(uid)).map(|row| row.message.size).sum();
        mailbox.journal(context.now, UidSet::new(), uids.clone());
        state.hints.push(mailbox.hint());
        if let Some(owner) = state.accounts.get_mut(&at.account) {
            owner.account.used_bytes -= freed;
        }
    }
    Expunged { uids, modseq: mailbox.modseq }
}

/// Reads a body that was staged; holds on to it, so an expunge doesn't matter.
struct StagedReader(Staged);

#[async_trait]
impl BodyReader for StagedReader {
    fn size(&self) -> u64 {
        self.0.size()
    }

    async fn read_at(&mut self, offset: u64, len: usize) -> Result<Bytes> {
        let left = usize::try_from(self.0.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        match len.min(CHUNK_LEN).min(left) {
            0 => Ok(Bytes::new()),
            len => self.0.read(offset, len),
        }
    }
}
