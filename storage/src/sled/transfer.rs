//! Copying and moving between mailboxes of one account.

use super::content;
use super::look::Look;
use super::messages::{add_row, finish, journal, take_row};
use super::records::{MailboxRecord, RowRecord};
use super::tx::Tx;
use crate::records::admit;
use crate::*;

/// [`Messages::copy`].
pub fn copy(tx: &mut Tx, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Copied> {
    let (_, rows, mut target) = checked(tx, from, uids, to)?;
    if rows.is_empty() {
        return Ok(copied(&target, Vec::new(), None));
    }
    let added = rows.iter().map(|(_, row)| row.size).sum();
    admit(&tx.account(from.account, tx.now)?, added)?;
    for (_, row) in &rows {
        content::hold(tx, row.email_id)?;
    }
    let count = rows.len() as u64;
    target.modseq = target.modseq.next();
    let pairs = add_all(tx, MailboxRef { mailbox: to, ..from }, &mut target, rows, UidSet::new())?;
    tx.use_bytes(from.account, |used| used + added)?;
    tx.totals(|totals| {
        totals.messages += count;
        totals.bytes += added;
    })?;
    Ok(copied(&target, pairs, None))
}

/// [`Messages::move_messages`]. Within one mailbox the copies appear and the sources vanish under one modseq.
pub fn move_messages(tx: &mut Tx, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Copied> {
    let (mut source, rows, mut target) = checked(tx, from, uids, to)?;
    if rows.is_empty() {
        let source_modseq = source.modseq;
        return Ok(copied(&target, Vec::new(), Some(source_modseq)));
    }
    let gone: UidSet = rows.iter().map(|(uid, _)| *uid).collect();
    let at = MailboxRef { mailbox: to, ..from };
    if from.mailbox == to {
        for (uid, row) in &rows {
            take_row(tx, to, &mut target, *uid, row);
        }
        target.modseq = target.modseq.next();
        let pairs = add_all(tx, at, &mut target, rows, gone)?;
        return Ok(copied(&target, pairs, Some(target.modseq)));
    }
    source.modseq = source.modseq.next();
    for (uid, row) in &rows {
        take_row(tx, from.mailbox, &mut source, *uid, row);
    }
    journal(tx, from.mailbox, &source, UidSet::new(), gone)?;
    finish(tx, from, &source)?;
    target.modseq = target.modseq.next();
    let pairs = add_all(tx, at, &mut target, rows, UidSet::new())?;
    Ok(copied(&target, pairs, Some(source.modseq)))
}

fn copied(target: &MailboxRecord, pairs: Vec<(Uid, Uid)>, source_modseq: Option<ModSeq>) -> Copied {
    Copied { uidvalidity: target.uidvalidity, pairs, modseq: target.modseq, source_modseq }
}

/// The messages to be copied, once it is sure that the target takes them all.
type Checked = (MailboxRecord, Vec<(Uid, RowRecord)>, MailboxRecord);

fn checked(tx: &Tx, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Checked> {
    let source = tx.mailbox(from, tx.now)?;
    let target = tx.mailbox(MailboxRef { mailbox: to, ..from }, tx.now)?;
    let rows = tx.rows(from.mailbox, uids)?;
    if !rows.is_empty() {
        target.has_uids_for(rows.len())?;
        target.has_keywords_for(rows.iter().map(|(_, row)| &row.flags), tx.limits.keywords_per_mailbox)?;
    }
    Ok((source, rows, target))
}

fn add_all(
    tx: &mut Tx,
    at: MailboxRef,
    target: &mut MailboxRecord,
    rows: Vec<(Uid, RowRecord)>,
    vanished: UidSet,
) -> Result<Vec<(Uid, Uid)>> {
    let mut pairs = Vec::with_capacity(rows.len());
    for (old, row) in rows {
        let row = RowRecord { saved_at: tx.now, ..row };
        pairs.push((old, add_row(tx, at.mailbox, target, row)?));
    }
    journal(tx, at.mailbox, target, pairs.iter().map(|(_, new)| *new).collect(), vanished)?;
    finish(tx, at, target)?;
    Ok(pairs)
}
