//! Messages: append, list, read, flag, expunge.

use super::content::{self, Prepared};
use super::db::Update;
use super::fail::Step;
use super::growth::Growth;
use super::keys;
use super::operations::{Locks, Mutation};
use super::records::{flag_fields, journal_document, row_document};
use super::schema::*;
use super::steps::Room;
use super::store::{MongoStore, Shared, reading};
use super::transfer::Transfer;
use super::tx::Tx;
use crate::records::{Fingerprint, JournalRecord, MailboxRecord, RowRecord, admit, encode};
use crate::*;
use async_trait::async_trait;
use mongodb::bson::{Bson, doc};
use std::collections::BTreeMap;
use std::time::Duration;

#[async_trait]
impl Messages for MongoStore {
    async fn append(&self, op: OpId, at: MailboxRef, messages: Vec<NewMessage>) -> Result<Appended> {
        self.writable()?;
        let prepared = prepare(messages).await?;
        let arguments: Vec<_> = prepared.iter().map(Prepared::identity).collect();
        let print = Fingerprint::of("append", &(at, arguments));
        for message in &prepared {
            message.store(&self.shared).await?;
        }
        self.once(at.account, op, print, Append { at, messages: prepared }).await
    }

    async fn uids(&self, at: MailboxRef) -> Result<(Mailbox, UidSet)> {
        reading!(self, |view| {
            let record = view.mailbox(at).await?;
            let uids = view.existing(at.mailbox, &UidSet::all()).await?;
            Ok((view.described(at.mailbox, &record).await?, uids))
        })
    }

    async fn messages(&self, at: MailboxRef, query: MessageQuery) -> Result<Vec<Message>> {
        reading!(self, |view| {
            view.mailbox(at).await?;
            let rows = view.some_rows(at.mailbox, &query.uids, query.order, query.limit).await?;
            let mut found: Vec<Message> = rows.iter().map(|(uid, row)| row.message(*uid)).collect();
            if query.details == Details::Yes {
                let ids: Vec<EmailId> = found.iter().map(|m| m.email_id).collect();
                let contents = view.contents(&ids).await?;
                for message in &mut found {
                    let content = contents.get(&message.email_id);
                    let missing = || StoreError::Corrupt("a message without content".into());
                    let content = content.ok_or_else(missing)?;
                    message.structure = Some(content.structure.clone());
                    message.delivery = content.delivery.clone();
                }
            }
            Ok(found)
        })
    }

    async fn body(&self, at: MailboxRef, uid: Uid) -> Result<Box<dyn BodyReader>> {
        self.open_body(at, uid).await
    }

    async fn bodies(&self, at: MailboxRef, uids: &UidSet) -> Result<BTreeMap<Uid, Box<dyn BodyReader>>> {
        self.open_bodies(at, uids).await
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
        let set = |uids| SetFlags { at, uids, change: change.clone(), unchanged_since };
        self.stepwise(op, print, at, (uids, Room::None), set).await
    }

    async fn copy(&self, op: OpId, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Copied> {
        let print = Fingerprint::of("copy", &(from, uids, to));
        self.stepwise(op, print, from, (uids, Room::ForCopies), |uids| Transfer::copy(from, uids, to)).await
    }

    async fn move_messages(
        &self,
        op: OpId,
        from: MailboxRef,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Copied> {
        let print = Fingerprint::of("move", &(from, uids, to));
        self.stepwise(op, print, from, (uids, Room::None), |uids| Transfer::moving(from, uids, to)).await
    }

    async fn replace(
        &self,
        op: OpId,
        from: MailboxRef,
        uid: Uid,
        to: MailboxId,
        message: NewMessage,
    ) -> Result<Replaced> {
        self.writable()?;
        let messages = prepare(vec![message]).await?;
        let arguments: Vec<_> = messages.iter().map(Prepared::identity).collect();
        let print = Fingerprint::of("replace", &(from, uid, to, arguments));
        for message in &messages {
            message.store(&self.shared).await?;
        }
        let append = Append { at: MailboxRef { mailbox: to, ..from }, messages };
        self.once(from.account, op, print, Replace { from, uid, append }).await
    }

    async fn expunge(&self, op: OpId, at: MailboxRef, uids: &UidSet, which: Which) -> Result<Expunged> {
        let print = Fingerprint::of("expunge", &(at, uids, which));
        self.stepwise(op, print, at, (uids, Room::None), |uids| Expunge { at, uids, which }).await
    }
}

async fn prepare(messages: Vec<NewMessage>) -> Result<Vec<Prepared>> {
    let spooled = messages.iter().any(|m| m.body.is_spooled());
    let plan = move || messages.into_iter().map(Prepared::plan).collect();
    if !spooled {
        return plan();
    }
    let failed = |e| StoreError::unavailable(format!("a worker thread failed: {e}"));
    tokio::task::spawn_blocking(plan).await.map_err(failed)?
}

struct Append {
    at: MailboxRef,
    messages: Vec<Prepared>,
}

#[async_trait]
impl Mutation for Append {
    type Outcome = Appended;

    fn locks(&self) -> Locks {
        let count = |test: &dyn Fn(&Flags) -> bool| {
            self.messages.iter().filter(|message| test(&message.flags)).count() as u64
        };
        let (all, bytes) = (count(&|_| true), self.messages.iter().map(Prepared::size).sum());
        Locks {
            mailboxes: vec![self.at.mailbox],
            account: Some(self.at.account),
            mailbox_growth: Growth::of([
                ("uidnext", all),
                ("modseq", all.min(1)),
                ("messages", all),
                ("unseen", count(&|flags| !flags.has(SystemFlag::Seen))),
                ("deleted", count(&|flags| flags.has(SystemFlag::Deleted))),
                ("bytes", bytes),
                ("recent", all),
            ]),
            account_growth: Growth::of([("used", bytes)]),
        }
    }

    fn joins_group(&self) -> bool {
        true
    }

    fn weight(&self) -> usize {
        self.messages.iter().map(Prepared::weight).sum()
    }

    async fn renew(&self, shared: &Shared) -> Step<()> {
        for message in &self.messages {
            message.store(shared).await?;
        }
        Ok(())
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<Appended> {
        self.run_freeing(tx, 0).await
    }
}

impl Append {
    /// `freed`: bytes that go in the same step.
    async fn run_freeing(&self, tx: &mut Tx<'_>, freed: u64) -> Step<Appended> {
        let (at, messages) = (self.at, &self.messages);
        let mut owner = tx.account(at.account).await?;
        let mut record = tx.mailbox(at).await?;
        let (count, added) = (messages.len(), messages.iter().map(Prepared::size).sum::<u64>());
        if count == 0 {
            return Ok(Appended { uidvalidity: record.uidvalidity, uids: Vec::new(), modseq: record.modseq });
        }
        record.has_uids_for(count)?;
        record.has_keywords_for(messages.iter().map(|m| &m.flags), tx.shared.limits.keywords_per_mailbox)?;
        admit(&owner.account, added.saturating_sub(freed))?;
        content::refer(tx, messages.iter()).await?;
        record.modseq = record.modseq.next();
        let mut uids = Vec::with_capacity(count);
        let retention = owner.account.retention_secs;
        for message in messages {
            let row = RowRecord {
                modseq: record.modseq,
                flags: message.flags.clone(),
                internal_date: Timestamp::from_secs(message.internal_date.unwrap_or(tx.now).secs()),
                saved_at: tx.now,
                expires_at: retention.map(|secs| tx.now.after(Duration::from_secs(secs))),
                size: message.size(),
                email_id: EmailId::mint(&*tx.shared.clock, &*tx.shared.entropy),
            };
            content::add(tx, row.email_id, message)?;
            uids.push(add_row(tx, at.mailbox, &mut record, row)?);
        }
        journal(tx, at.mailbox, &record, uids.iter().copied().collect(), UidSet::new())?;
        let outcome = Appended { uidvalidity: record.uidvalidity, uids, modseq: record.modseq };
        finish(tx, at, record)?;
        owner.account.used_bytes += added;
        tx.put_account(owner)?;
        tx.delta.messages += count as i64;
        tx.delta.bytes += added as i64;
        tx.delta.appended += count as i64;
        tx.delta.messages_taken += count as i64;
        Ok(outcome)
    }
}

/// [`Messages::replace`].
struct Replace {
    from: MailboxRef,
    uid: Uid,
    append: Append,
}

#[async_trait]
impl Mutation for Replace {
    type Outcome = Replaced;

    fn locks(&self) -> Locks {
        Locks {
            mailboxes: vec![self.append.at.mailbox, self.from.mailbox],
            account: Some(self.from.account),
            ..Locks::default()
        }
    }

    async fn renew(&self, shared: &Shared) -> Step<()> {
        self.append.renew(shared).await
    }

    /// Expunges after it has appended: what is refused is refused before anything is written.
    async fn run(&self, tx: &mut Tx<'_>) -> Step<Replaced> {
        tx.mailbox(self.from).await?;
        let rows = tx.rows(self.from.mailbox, &UidSet::single(self.uid)).await?;
        let freed = rows.first().ok_or(StoreError::NotFound(Subject::Message))?.1.size;
        let appended = self.append.run_freeing(tx, freed).await?;
        let record = tx.mailbox(self.from).await?;
        Ok(Replaced { appended, expunged: expunge(tx, self.from, record, rows).await? })
    }
}

/// Gives the next UID and the record's modseq to a message and takes it in.
pub fn add_row(tx: &mut Tx<'_>, id: MailboxId, record: &mut MailboxRecord, mut row: RowRecord) -> Step<Uid> {
    let uid = record.uidnext.ok_or(StoreError::LimitReached("UIDs of a mailbox"))?;
    record.uidnext = uid.next();
    row.modseq = record.modseq;
    row.flags = record.spelled(&row.flags);
    record.count(uid, &row);
    tx.insert(MESSAGES, row_document(id, uid, &row));
    Ok(uid)
}

/// Takes a message out of its mailbox. What becomes of its content is the caller's business.
pub fn take_row(tx: &mut Tx<'_>, id: MailboxId, record: &mut MailboxRecord, uid: Uid, row: &RowRecord) {
    record.discount(uid, row);
    tx.delete(MESSAGES, keys::row(id, uid.get()));
}

/// Journals what the mutation that took the record's modseq did.
pub fn journal(
    tx: &mut Tx<'_>,
    id: MailboxId,
    record: &MailboxRecord,
    changed: UidSet,
    vanished: UidSet,
) -> Step<()> {
    let row = JournalRecord { at: tx.now, changed, vanished };
    let document = journal_document(id, record.modseq, &row)?;
    if tx.shared.db.mistakes.journals_apart {
        tx.journaled_apart.push(document);
    } else {
        tx.insert(CHANGES, document);
    }
    Ok(())
}

/// Writes a mailbox that has changed, and tells of it.
pub fn finish(tx: &mut Tx<'_>, at: MailboxRef, record: MailboxRecord) -> Step<()> {
    tx.hints.push(Hint::Mailbox { account: at.account, mailbox: at.mailbox, modseq: record.modseq });
    tx.put_mailbox(at.mailbox, record)
}

struct SetFlags {
    at: MailboxRef,
    uids: UidSet,
    change: FlagChange,
    unchanged_since: Option<u64>,
}

/// `_id`s in one statement.
const NAMED: usize = 1000;

#[async_trait]
impl Mutation for SetFlags {
    type Outcome = FlagsStored;

    fn locks(&self) -> Locks {
        Locks { mailboxes: vec![self.at.mailbox], ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<FlagsStored> {
        let (at, change) = (self.at, &self.change);
        let mut record = tx.mailbox(at).await?;
        // RFC 7162 §3.1.3: messages above UNCHANGEDSINCE are left alone and listed as MODIFIED.
        let too_new = |row: &RowRecord| self.unchanged_since.is_some_and(|since| row.modseq.get() > since);
        let (skipped, targets): (Vec<_>, Vec<_>) =
            tx.rows(at.mailbox, &self.uids).await?.into_iter().partition(|(_, row)| too_new(row));
        let modified = skipped.iter().map(|(uid, _)| *uid).collect();
        let changes = |row: &RowRecord| row.flags.changed(change) != row.flags;
        let changed: UidSet = targets.iter().filter(|(_, row)| changes(row)).map(|(uid, _)| *uid).collect();
        let mut messages = Vec::with_capacity(targets.len());
        if !changed.is_empty() {
            let wanted: Vec<Flags> = targets.iter().map(|(_, row)| row.flags.changed(change)).collect();
            record.has_keywords_for(wanted.iter(), tx.shared.limits.keywords_per_mailbox)?;
            record.modseq = record.modseq.next();
        }
        // Few statements for many messages: those that end up alike share one.
        let mut alike: BTreeMap<Vec<u8>, (Flags, Vec<Bson>)> = BTreeMap::new();
        for (uid, mut row) in targets {
            let changed = changed.contains(uid);
            if changed {
                record.discount(uid, &row);
                row.flags = record.spelled(&row.flags.changed(change));
                row.modseq = record.modseq;
                record.count(uid, &row);
                let (_, ids) = alike.entry(encode(&row.flags)?).or_insert((row.flags.clone(), Vec::new()));
                ids.push(keys::row(at.mailbox, uid.get()));
            }
            messages.push(FlagsNow { uid, modseq: row.modseq, flags: row.flags, changed });
        }
        for (flags, ids) in alike.into_values() {
            let set = doc! { "$set": flag_fields(record.modseq, &flags) };
            for ids in ids.chunks(NAMED) {
                let filter = doc! { "_id": { "$in": ids.to_vec() } };
                let update = Update { filter, change: set.clone(), upsert: false, many: true };
                tx.update(MESSAGES, update);
            }
        }
        let modseq = record.modseq;
        if !changed.is_empty() {
            journal(tx, at.mailbox, &record, changed, UidSet::new())?;
            finish(tx, at, record)?;
        }
        Ok(FlagsStored { messages, modified, modseq })
    }
}

struct Expunge {
    at: MailboxRef,
    uids: UidSet,
    which: Which,
}

#[async_trait]
impl Mutation for Expunge {
    type Outcome = Expunged;

    fn locks(&self) -> Locks {
        Locks { mailboxes: vec![self.at.mailbox], account: Some(self.at.account), ..Locks::default() }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<Expunged> {
        let record = tx.mailbox(self.at).await?;
        let mut rows = tx.rows(self.at.mailbox, &self.uids).await?;
        rows.retain(|(_, row)| self.which == Which::All || row.flags.has(SystemFlag::Deleted));
        expunge(tx, self.at, record, rows).await
    }
}

/// Expunges rows of a mailbox in one step.
pub async fn expunge(
    tx: &mut Tx<'_>,
    at: MailboxRef,
    mut record: MailboxRecord,
    rows: Vec<(Uid, RowRecord)>,
) -> Step<Expunged> {
    let uids: UidSet = rows.iter().map(|(uid, _)| *uid).collect();
    if uids.is_empty() {
        return Ok(Expunged { uids, modseq: record.modseq });
    }
    record.modseq = record.modseq.next();
    let freed: u64 = rows.iter().map(|(_, row)| row.size).sum();
    for (uid, row) in &rows {
        take_row(tx, at.mailbox, &mut record, *uid, row);
    }
    content::release(tx, rows.iter().map(|(_, row)| row.email_id));
    journal(tx, at.mailbox, &record, UidSet::new(), uids.clone())?;
    let modseq = record.modseq;
    finish(tx, at, record)?;
    if let Some(mut owner) = tx.any_account(at.account).await? {
        owner.account.used_bytes -= freed;
        tx.put_account(owner)?;
    }
    tx.delta.messages -= rows.len() as i64;
    tx.delta.bytes -= freed as i64;
    Ok(Expunged { uids, modseq })
}
