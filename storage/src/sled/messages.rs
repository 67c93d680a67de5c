//! Messages: append, list, read, flag, expunge.

use super::content::{self, Prepared, Write, has_raced, prepare};
use super::keys;
use super::look::{Look, Walk, damaged};
use super::operations::Fingerprint;
use super::records::{ContentRecord, JournalRecord, MailboxRecord, RowRecord, decode};
use super::store::{Reader, SledStore};
use super::transfer;
use super::tx::Tx;
use super::writer::Asks;
use crate::body::Manifest;
use crate::records::Appending;
use crate::records::admit;
use crate::*;
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// A message up to this size is split and compressed where it stands; handing it to another thread would cost more.
const INLINE: u64 = 64 << 10;

#[async_trait]
impl Messages for SledStore {
    async fn append(&self, op: OpId, at: MailboxRef, messages: Vec<NewMessage>) -> Result<Appended> {
        let print = |prepared: &[Prepared]| Fingerprint::of("append", &(at, identities(prepared)));
        self.with_content(op, &messages, print, move |tx, prepared| append(tx, at, prepared, 0)).await
    }

    async fn uids(&self, at: MailboxRef) -> Result<(Mailbox, UidSet)> {
        let reader = self.read().await?;
        let record = reader.tree.mailbox(at, reader.now)?;
        let mut uids = UidSet::new();
        reader.tree.walk(&keys::rows(at.mailbox, 0..=u32::MAX), &mut |key, _| {
            uids.extend(keys::uid_of(key));
            Ok(Walk::On)
        })?;
        Ok((reader.tree.described(at.mailbox, &record)?, uids))
    }

    async fn messages(&self, at: MailboxRef, query: MessageQuery) -> Result<Vec<Message>> {
        let reader = self.read().await?;
        reader.tree.mailbox(at, reader.now)?;
        let mut found = Vec::new();
        let ranges: Vec<_> = match query.order {
            Order::Ascending => query.uids.ranges().collect(),
            Order::Descending => query.uids.ranges().rev().collect(),
        };
        for range in ranges {
            let (first, end) = keys::rows(at.mailbox, range);
            let mut pairs = reader.tree.range(first..end);
            while found.len() < query.limit {
                let next = match query.order {
                    Order::Ascending => pairs.next(),
                    Order::Descending => pairs.next_back(),
                };
                let Some(pair) = next else { break };
                let (key, value) = pair.map_err(|e| super::look::broken(&e))?;
                let uid = keys::uid_of(&key).ok_or_else(|| damaged("a message without a UID"))?;
                found.push(shown(&reader, uid, &decode(&value)?, query.details)?);
            }
        }
        Ok(found)
    }

    async fn body(&self, at: MailboxRef, uid: Uid) -> Result<Box<dyn BodyReader>> {
        let reader = self.read().await?;
        reader.tree.mailbox(at, reader.now)?;
        let row: Option<RowRecord> = Look::get(reader.tree, &keys::row(at.mailbox, uid))?;
        let row = row.ok_or(StoreError::NotFound(Subject::Message))?;
        Ok(Box::new(content::open(&reader, row.email_id)?))
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
        let (uids, change) = (uids.clone(), change.clone());
        self.once(Asks::SHRINKS, op, print, move |tx| set_flags(tx, at, &uids, &change, unchanged_since))
            .await
    }

    async fn copy(&self, op: OpId, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Copied> {
        let print = Fingerprint::of("copy", &(from, uids, to));
        let uids = uids.clone();
        self.once(Asks::GROWS, op, print, move |tx| transfer::copy(tx, from, &uids, to)).await
    }

    async fn move_messages(
        &self,
        op: OpId,
        from: MailboxRef,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Copied> {
        let print = Fingerprint::of("move", &(from, uids, to));
        let uids = uids.clone();
        self.once(Asks::SHRINKS, op, print, move |tx| transfer::move_messages(tx, from, &uids, to)).await
    }

    async fn replace(
        &self,
        op: OpId,
        from: MailboxRef,
        uid: Uid,
        to: MailboxId,
        message: NewMessage,
    ) -> Result<Replaced> {
        let print =
            |prepared: &[Prepared]| Fingerprint::of("replace", &(from, uid, to, identities(prepared)));
        let replacing = move |tx: &mut Tx, prepared| replace(tx, from, uid, to, prepared);
        self.with_content(op, &[message], print, replacing).await
    }

    async fn expunge(&self, op: OpId, at: MailboxRef, uids: &UidSet, which: Which) -> Result<Expunged> {
        let print = Fingerprint::of("expunge", &(at, uids, which));
        let uids = uids.clone();
        self.once(Asks::SHRINKS, op, print, move |tx| {
            let mut record = tx.mailbox(at, tx.now)?;
            let mut rows = tx.rows(at.mailbox, &uids)?;
            rows.retain(|(_, row)| which == Which::All || row.flags.has(SystemFlag::Deleted));
            expunge(tx, at, &mut record, rows)
        })
        .await
    }
}

impl SledStore {
    /// Stores content and runs what refers to it; once more, with all of the content, if some of it was collected in between.
    async fn with_content<T: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        op: OpId,
        messages: &[NewMessage],
        print: impl Fn(&[Prepared]) -> Result<Fingerprint> + Send + Sync,
        mutation: impl FnOnce(&mut Tx, Vec<Prepared>) -> Result<T> + Clone + Send + 'static,
    ) -> Result<T> {
        self.writable()?;
        let mut write = Write::New;
        loop {
            let prepared = self.prepare(messages.iter().map(again).collect(), write).await?;
            let (print, mutation) = (print(&prepared), mutation.clone());
            match self.once(Asks::GROWS, op, print, move |tx| mutation(tx, prepared)).await {
                Err(e) if has_raced(&e) && write == Write::New => write = Write::All,
                outcome => return outcome,
            }
        }
    }

    async fn prepare(&self, messages: Vec<NewMessage>, write: Write) -> Result<Vec<Prepared>> {
        let shared = self.shared.clone();
        let is_small = messages.iter().all(|m| m.body.size() <= INLINE && !m.body.is_spooled());
        let work = move || messages.into_iter().map(|m| prepare(&shared, m, write)).collect();
        if is_small && write == Write::New {
            return work();
        }
        let failed = |e| StoreError::unavailable(format!("a worker thread failed: {e}"));
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}

/// What makes messages the same ones when their append is repeated.
fn identities(prepared: &[Prepared]) -> Vec<Appending<'_, &Manifest>> {
    prepared.iter().map(identity).collect()
}

fn identity(prepared: &Prepared) -> Appending<'_, &Manifest> {
    match &prepared.new.made_from {
        Some(digest) => Appending::Named(digest),
        None => {
            let (new, delivery) = (&prepared.new, prepared.new.delivery.as_ref());
            Appending::Whole(&prepared.manifest, &new.flags, new.internal_date, delivery)
        }
    }
}

/// The same message once more: its bytes are shared.
fn again(message: &NewMessage) -> NewMessage {
    NewMessage {
        body: message.body.clone(),
        flags: message.flags.clone(),
        internal_date: message.internal_date,
        delivery: message.delivery.clone(),
        made_from: message.made_from,
    }
}

/// A message as it is listed.
pub fn shown(reader: &Reader, uid: Uid, row: &RowRecord, details: Details) -> Result<Message> {
    let mut message = row.message(uid);
    if details == Details::Yes {
        let content: Option<ContentRecord> = reader.tree.get_long(&keys::content(row.email_id))?;
        let content = content.ok_or_else(|| damaged("a message without content"))?;
        message.structure = Some(Arc::new(content.structure));
        message.delivery = content.delivery.map(Arc::new);
    }
    Ok(message)
}

/// Expunges after it has appended: what is refused is refused before anything has changed.
fn replace(
    tx: &mut Tx,
    from: MailboxRef,
    uid: Uid,
    to: MailboxId,
    message: Vec<Prepared>,
) -> Result<Replaced> {
    tx.mailbox(from, tx.now)?;
    let rows = tx.rows(from.mailbox, &UidSet::single(uid))?;
    let freed = rows.first().ok_or(StoreError::NotFound(Subject::Message))?.1.size;
    let appended = append(tx, MailboxRef { mailbox: to, ..from }, message, freed)?;
    let mut record = tx.mailbox(from, tx.now)?;
    Ok(Replaced { appended, expunged: expunge(tx, from, &mut record, rows)? })
}

/// `freed`: bytes that go in the same step.
fn append(tx: &mut Tx, at: MailboxRef, messages: Vec<Prepared>, freed: u64) -> Result<Appended> {
    let owner = tx.account(at.account, tx.now)?;
    let mut record = tx.mailbox(at, tx.now)?;
    let (count, added) = (messages.len(), messages.iter().map(|m| m.manifest.size).sum::<u64>());
    if count == 0 {
        return Ok(Appended { uidvalidity: record.uidvalidity, uids: Vec::new(), modseq: record.modseq });
    }
    record.has_uids_for(count)?;
    record.has_keywords_for(messages.iter().map(|m| &m.new.flags), tx.limits.keywords_per_mailbox)?;
    admit(&owner, added.saturating_sub(freed))?;
    record.modseq = record.modseq.next();
    let mut uids = Vec::with_capacity(count);
    for message in messages {
        let row = RowRecord {
            modseq: record.modseq,
            flags: message.new.flags.clone(),
            internal_date: Timestamp::from_secs(message.new.internal_date.unwrap_or(tx.now).secs()),
            saved_at: tx.now,
            expires_at: owner.retention_secs.map(|secs| tx.now.after(Duration::from_secs(secs))),
            size: message.manifest.size,
            email_id: EmailId::mint(tx.clock, tx.entropy),
        };
        content::add(tx, row.email_id, message)?;
        uids.push(add_row(tx, at.mailbox, &mut record, row)?);
    }
    journal(tx, at.mailbox, &record, uids.iter().copied().collect(), UidSet::new())?;
    finish(tx, at, &record)?;
    tx.use_bytes(at.account, |used| used + added)?;
    tx.totals(|totals| {
        totals.messages += count as u64;
        totals.bytes += added;
        totals.appended += count as u64;
    })?;
    tx.today(|day| day.messages += count as u64)?;
    Ok(Appended { uidvalidity: record.uidvalidity, uids, modseq: record.modseq })
}

/// Gives the next UID and the record's modseq to a message and takes it in.
pub fn add_row(tx: &mut Tx, id: MailboxId, record: &mut MailboxRecord, mut row: RowRecord) -> Result<Uid> {
    let uid = record.uidnext.ok_or(StoreError::LimitReached("UIDs of a mailbox"))?;
    record.uidnext = uid.next();
    row.modseq = record.modseq;
    row.flags = record.spelled(&row.flags);
    record.count(uid, &row);
    if let Some(at) = row.expires_at {
        tx.put(keys::message_expiry(at, id, uid), &())?;
    }
    tx.put(keys::row(id, uid), &row)?;
    Ok(uid)
}

/// Takes a message out of its mailbox. What becomes of its content is the caller's business.
pub fn take_row(tx: &mut Tx, id: MailboxId, record: &mut MailboxRecord, uid: Uid, row: &RowRecord) {
    record.discount(uid, row);
    forget_row(tx, id, uid, row);
}

pub fn forget_row(tx: &mut Tx, id: MailboxId, uid: Uid, row: &RowRecord) {
    if let Some(at) = row.expires_at {
        tx.delete(keys::message_expiry(at, id, uid));
    }
    tx.delete(keys::row(id, uid));
}

/// Journals what the mutation that took the record's modseq did.
pub fn journal(
    tx: &mut Tx,
    id: MailboxId,
    record: &MailboxRecord,
    changed: UidSet,
    vanished: UidSet,
) -> Result<()> {
    let row = JournalRecord { at: tx.now, changed, vanished };
    tx.put_long(keys::journal(id, record.modseq.get()), &row)
}

/// Puts a mailbox that has changed, and tells of it.
pub fn finish(tx: &mut Tx, at: MailboxRef, record: &MailboxRecord) -> Result<()> {
    tx.hints.push(Hint::Mailbox { account: at.account, mailbox: at.mailbox, modseq: record.modseq });
    tx.put_long(keys::mailbox(at.mailbox), record)
}

fn set_flags(
    tx: &mut Tx,
    at: MailboxRef,
    uids: &UidSet,
    change: &FlagChange,
    unchanged_since: Option<u64>,
) -> Result<FlagsStored> {
    let mut record = tx.mailbox(at, tx.now)?;
    // RFC 7162 §3.1.3: messages above UNCHANGEDSINCE are left alone and listed as MODIFIED.
    let too_new = |row: &RowRecord| unchanged_since.is_some_and(|since| row.modseq.get() > since);
    let (skipped, targets): (Vec<_>, Vec<_>) =
        tx.rows(at.mailbox, uids)?.into_iter().partition(|(_, row)| too_new(row));
    let modified = skipped.iter().map(|(uid, _)| *uid).collect();
    let changes = |row: &RowRecord| row.flags.changed(change) != row.flags;
    let changed: UidSet = targets.iter().filter(|(_, row)| changes(row)).map(|(uid, _)| *uid).collect();
    let mut messages = Vec::with_capacity(targets.len());
    if !changed.is_empty() {
        let wanted: Vec<Flags> = targets.iter().map(|(_, row)| row.flags.changed(change)).collect();
        record.has_keywords_for(wanted.iter(), tx.limits.keywords_per_mailbox)?;
        record.modseq = record.modseq.next();
    }
    for (uid, mut row) in targets {
        let changed = changed.contains(uid);
        if changed {
            record.discount(uid, &row);
            row.flags = record.spelled(&row.flags.changed(change));
            row.modseq = record.modseq;
            record.count(uid, &row);
            tx.put(keys::row(at.mailbox, uid), &row)?;
        }
        messages.push(FlagsNow { uid, modseq: row.modseq, flags: row.flags, changed });
    }
    if !changed.is_empty() {
        journal(tx, at.mailbox, &record, changed, UidSet::new())?;
        finish(tx, at, &record)?;
    }
    Ok(FlagsStored { messages, modified, modseq: record.modseq })
}

/// Expunges rows of a mailbox in one step.
pub fn expunge(
    tx: &mut Tx,
    at: MailboxRef,
    record: &mut MailboxRecord,
    rows: Vec<(Uid, RowRecord)>,
) -> Result<Expunged> {
    let uids: UidSet = rows.iter().map(|(uid, _)| *uid).collect();
    if !uids.is_empty() {
        record.modseq = record.modseq.next();
        let freed: u64 = rows.iter().map(|(_, row)| row.size).sum();
        for (uid, row) in &rows {
            take_row(tx, at.mailbox, record, *uid, row);
            content::release(tx, row.email_id)?;
        }
        journal(tx, at.mailbox, record, UidSet::new(), uids.clone())?;
        finish(tx, at, record)?;
        tx.use_bytes(at.account, |used| used - freed)?;
        tx.totals(|totals| {
            totals.messages -= rows.len() as u64;
            totals.bytes -= freed;
        })?;
    }
    Ok(Expunged { uids, modseq: record.modseq })
}
