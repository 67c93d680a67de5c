//! Copying and moving between mailboxes of one account.

use super::fail::Step;
use super::messages::{add_row, finish, journal, take_row};
use super::operations::{Locks, Mutation};
use super::tx::Tx;
use crate::records::{MailboxRecord, RowRecord, admit};
use crate::*;
use async_trait::async_trait;

/// [`Messages::copy`] or [`Messages::move_messages`].
pub struct Transfer {
    from: MailboxRef,
    uids: UidSet,
    to: MailboxId,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Copy,
    Move,
}

impl Transfer {
    pub fn copy(from: MailboxRef, uids: UidSet, to: MailboxId) -> Self {
        Self { from, uids, to, how: How::Copy }
    }

    pub fn moving(from: MailboxRef, uids: UidSet, to: MailboxId) -> Self {
        Self { from, uids, to, how: How::Move }
    }
}

#[async_trait]
impl Mutation for Transfer {
    type Outcome = Copied;

    fn locks(&self) -> Locks {
        Locks {
            mailboxes: vec![self.from.mailbox, self.to],
            account: Some(self.from.account),
            ..Locks::default()
        }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<Copied> {
        let source = tx.mailbox(self.from).await?;
        let target = tx.mailbox(MailboxRef { mailbox: self.to, ..self.from }).await?;
        let rows = tx.rows(self.from.mailbox, &self.uids).await?;
        if rows.is_empty() {
            let source_modseq = (self.how == How::Move).then_some(source.modseq);
            return Ok(copied(&target, Vec::new(), source_modseq));
        }
        target.has_uids_for(rows.len())?;
        let flags = rows.iter().map(|(_, row)| &row.flags);
        target.has_keywords_for(flags, tx.shared.limits.keywords_per_mailbox)?;
        match self.how {
            How::Copy => self.copy_all(tx, rows, target).await,
            How::Move => self.move_all(tx, source, rows, target),
        }
    }
}

impl Transfer {
    async fn copy_all(
        &self,
        tx: &mut Tx<'_>,
        rows: Vec<(Uid, RowRecord)>,
        target: MailboxRecord,
    ) -> Step<Copied> {
        let added: u64 = rows.iter().map(|(_, row)| row.size).sum();
        let mut owner = tx.account(self.from.account).await?;
        admit(&owner.account, added)?;
        owner.account.used_bytes += added;
        tx.put_account(owner)?;
        tx.delta.messages += rows.len() as i64;
        tx.delta.bytes += added as i64;
        let (pairs, target) = self.add_all(tx, target, rows, UidSet::new())?;
        Ok(copied(&target, pairs, None))
    }

    /// Within one mailbox the copies appear and the sources vanish under one modseq.
    fn move_all(
        &self,
        tx: &mut Tx<'_>,
        mut source: MailboxRecord,
        rows: Vec<(Uid, RowRecord)>,
        mut target: MailboxRecord,
    ) -> Step<Copied> {
        let gone: UidSet = rows.iter().map(|(uid, _)| *uid).collect();
        let same = self.from.mailbox == self.to;
        let record = if same { &mut target } else { &mut source };
        for (uid, row) in &rows {
            take_row(tx, self.from.mailbox, record, *uid, row);
        }
        if same {
            let (pairs, target) = self.add_all(tx, target, rows, gone)?;
            return Ok(copied(&target, pairs, Some(target.modseq)));
        }
        source.modseq = source.modseq.next();
        let source_modseq = source.modseq;
        journal(tx, self.from.mailbox, &source, UidSet::new(), gone)?;
        finish(tx, self.from, source)?;
        let (pairs, target) = self.add_all(tx, target, rows, UidSet::new())?;
        Ok(copied(&target, pairs, Some(source_modseq)))
    }

    fn add_all(
        &self,
        tx: &mut Tx<'_>,
        mut target: MailboxRecord,
        rows: Vec<(Uid, RowRecord)>,
        vanished: UidSet,
    ) -> Step<(Vec<(Uid, Uid)>, MailboxRecord)> {
        target.modseq = target.modseq.next();
        let mut pairs = Vec::with_capacity(rows.len());
        for (old, row) in rows {
            let row = RowRecord { saved_at: tx.now, ..row };
            pairs.push((old, add_row(tx, self.to, &mut target, row)?));
        }
        journal(tx, self.to, &target, pairs.iter().map(|(_, new)| *new).collect(), vanished)?;
        finish(tx, MailboxRef { mailbox: self.to, ..self.from }, target.clone())?;
        Ok((pairs, target))
    }
}

fn copied(target: &MailboxRecord, pairs: Vec<(Uid, Uid)>, source_modseq: Option<ModSeq>) -> Copied {
    Copied { uidvalidity: target.uidvalidity, pairs, modseq: target.modseq, source_modseq }
}
