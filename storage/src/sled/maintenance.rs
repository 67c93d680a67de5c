//! Expiry, trimming, giving space back.

use super::content::{self, Change, count_live};
use super::directory::drop_account;
use super::feed::old_rows;
use super::keys;
use super::look::{Look, damaged};
use super::messages::{expunge, forget_row};
use super::operations::horizon;
use super::records::{BlobRecord, MailboxRecord, RowRecord};
use super::segments::read;
use super::store::SledStore;
use super::tx::Tx;
use super::writer::Asks;
use crate::*;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

/// Every mailbox's journal is looked at this often.
const TRIM_EVERY: Duration = Duration::from_secs(3600);
/// Mailboxes looked at in one round.
const TRIM_ROUND: usize = 500;
/// A closed segment of which less than a third is live is written again.
const WORTH_COMPACTING: u64 = 3;
/// Blobs written again in one round.
const COMPACT_ROUND: usize = 64;

/// How far trimming has come.
#[derive(Default)]
pub struct Trimming {
    began: Option<Timestamp>,
    after: Option<MailboxId>,
    done: bool,
}

#[async_trait]
impl Maintenance for SledStore {
    async fn sweep(&self) -> Result<Swept> {
        self.writable()?;
        let mut swept = self.mutate(Asks::SHRINKS, sweep_due).await?;
        let (dropped, more) = self.trim_journals().await?;
        swept.records_dropped += dropped;
        swept.more |= more;
        swept.more |= self.compact().await?;
        Ok(swept)
    }

    async fn ready(&self) -> Result<()> {
        self.writable()
    }

    async fn close(&self) -> Result<()> {
        self.shut().await;
        Ok(())
    }

    async fn audit(&self) -> Result<Vec<String>> {
        let reader = self.read().await?;
        super::audit::audit(&reader)
    }
}

/// What is due now, in one bounded step.
fn sweep_due(tx: &mut Tx) -> Result<Swept> {
    let batch = tx.limits.sweep_batch;
    let mut swept = Swept::default();
    for key in tx.keys(&keys::due(b'X', tx.now), batch)? {
        let id = keys::expiring_account(&key).ok_or_else(|| damaged("an expiry without an account"))?;
        drop_account(tx, id)?;
        swept.accounts_expired += 1;
    }
    expire_messages(tx, batch, &mut swept)?;
    swept.records_dropped += purge(tx, batch)? + forget_operations(tx, batch)?;
    let next = |kind| -> Result<Option<Timestamp>> {
        let first = tx.keys(&keys::below(vec![kind]), 1)?;
        Ok(first.first().and_then(|key| keys::time_of(key)))
    };
    swept.next_due = [next(b'x')?, next(b'X')?].into_iter().flatten().min();
    let purging = !tx.keys(&keys::below(vec![b'z']), 1)?.is_empty();
    swept.more = purging || swept.next_due.is_some_and(|due| due <= tx.now);
    Ok(swept)
}

/// One step for each mailbox that has something to expire, as any expunge would take.
fn expire_messages(tx: &mut Tx, batch: usize, swept: &mut Swept) -> Result<()> {
    let mut due: BTreeMap<MailboxId, UidSet> = BTreeMap::new();
    for key in tx.keys(&keys::due(b'x', tx.now), batch)? {
        let (mailbox, uid) = keys::expiring(&key).ok_or_else(|| damaged("an expiry without a message"))?;
        due.entry(mailbox).or_default().insert(uid);
    }
    for (mailbox, uids) in due {
        let rows = tx.rows(mailbox, &uids)?;
        match tx.get_long::<MailboxRecord>(&keys::mailbox(mailbox))? {
            Some(mut record) => {
                let at = MailboxRef { account: record.account, mailbox };
                swept.messages_expired += expunge(tx, at, &mut record, rows)?.uids.len();
            }
            // The mailbox has been deleted, and its rows wait for the purge.
            None => rows.iter().try_for_each(|(uid, row)| purge_row(tx, mailbox, *uid, row))?,
        }
    }
    Ok(())
}

fn purge_row(tx: &mut Tx, mailbox: MailboxId, uid: Uid, row: &RowRecord) -> Result<()> {
    forget_row(tx, mailbox, uid, row);
    content::release(tx, row.email_id)
}

/// Takes away what deleted mailboxes have left.
fn purge(tx: &mut Tx, batch: usize) -> Result<u64> {
    let mut left = batch;
    let mut dropped = 0;
    for key in tx.keys(&keys::below(vec![b'z']), batch)? {
        let mailbox = keys::mailbox_of(&key).ok_or_else(|| damaged("a purge without a mailbox"))?;
        let rows = tx.keys(&keys::rows(mailbox, 0..=u32::MAX), left)?;
        for key in &rows {
            let row: Option<RowRecord> = tx.get(key)?;
            if let (Some(uid), Some(row)) = (keys::uid_of(key), row) {
                purge_row(tx, mailbox, uid, &row)?;
            }
        }
        left -= rows.len();
        let journal = tx.keys(&keys::journal_after(mailbox, 0), left)?;
        left -= journal.len();
        dropped += (rows.len() + journal.len()) as u64;
        for key in journal {
            tx.delete_long(key)?;
        }
        if left == 0 {
            break;
        }
        tx.delete(key);
    }
    Ok(dropped)
}

fn forget_operations(tx: &mut Tx, batch: usize) -> Result<u64> {
    let old = tx.keys(&keys::operations_before(horizon(tx)), batch)?;
    let count = old.len() as u64;
    old.into_iter().try_for_each(|key| tx.delete_long(key))?;
    Ok(count)
}

impl SledStore {
    /// Goes on through the mailboxes, dropping journal rows that are old enough. How many, and whether there is more.
    async fn trim_journals(&self) -> Result<(u64, bool)> {
        let now = self.shared.clock.now();
        let after = {
            let mut trimming = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
            let due = trimming.began.is_none_or(|began| began.after(TRIM_EVERY) <= now || began > now);
            if trimming.done && !due {
                return Ok((0, false));
            }
            if due {
                *trimming = Trimming { began: Some(now), after: None, done: false };
            }
            trimming.after
        };
        let kept = i64::try_from(self.shared.limits.journal_retention.as_millis()).unwrap_or(i64::MAX);
        let horizon = Timestamp(now.0.saturating_sub(kept));
        let (candidates, last) = {
            let reader = self.read().await?;
            let round = reader.tree.keys(&keys::mailboxes_after(after), TRIM_ROUND)?;
            let ids: Vec<MailboxId> = round.iter().filter_map(|key| keys::mailbox_of(key)).collect();
            let mut candidates = Vec::new();
            for id in &ids {
                if !old_rows(reader.tree, *id, horizon, 1)?.is_empty() {
                    candidates.push(*id);
                }
            }
            (candidates, if ids.len() < TRIM_ROUND { None } else { ids.last().copied() })
        };
        let mut dropped = 0;
        if !candidates.is_empty() {
            dropped = self.mutate(Asks::SHRINKS, move |tx| trim(tx, &candidates, horizon)).await?;
        }
        let mut trimming = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        trimming.after = last;
        trimming.done = last.is_none();
        Ok((dropped, last.is_some()))
    }

    /// Deletes segments nobody refers to and writes the rest of mostly dead ones again. Whether there is more to do.
    async fn compact(&self) -> Result<bool> {
        let shared = self.shared.clone();
        shared.segments.roll();
        let closed = shared.segments.closed().map_err(|e| StoreError::io("listing segments", &e))?;
        let mut sparse = None;
        for (segment, len) in closed {
            let live = {
                let reader = self.read().await?;
                Look::get::<u64>(reader.tree, &keys::segment_live(segment))?.unwrap_or_default()
            };
            if live == 0 {
                self.delete_dead(segment).await?;
            } else if live * WORTH_COMPACTING < len {
                sparse.get_or_insert(segment);
            }
        }
        let Some(segment) = sparse else { return Ok(false) };
        let blobs: Vec<BlobId> = {
            let reader = self.read().await?;
            let keys = reader.tree.keys(&keys::all_in_segment(segment), COMPACT_ROUND)?;
            keys.iter().filter_map(|key| keys::blob_of(key)).collect()
        };
        self.mutate(Asks::GROWS, move |tx| {
            blobs.iter().try_for_each(|blob| rewrite(tx, blob))?;
            Ok(true)
        })
        .await
    }

    /// Deletes a segment, unless something has come to refer to it since. Within the commit thread nothing can.
    async fn delete_dead(&self, segment: u32) -> Result<()> {
        self.mutate(Asks::SHRINKS, move |tx| {
            let closed = tx.segments.closed().map_err(|e| StoreError::io("listing segments", &e))?;
            let is_closed = closed.iter().any(|(number, _)| *number == segment);
            if is_closed && tx.raw(&keys::segment_live(segment))?.is_none() {
                tx.dead_segments.push(segment);
            }
            Ok(())
        })
        .await
    }
}

fn trim(tx: &mut Tx, mailboxes: &[MailboxId], horizon: Timestamp) -> Result<u64> {
    let mut dropped = 0;
    for id in mailboxes {
        let Some(mut record) = tx.get_long::<MailboxRecord>(&keys::mailbox(*id))? else { continue };
        let old = old_rows(tx, *id, horizon, usize::MAX)?;
        for modseq in &old {
            tx.delete_long(keys::journal(*id, *modseq))?;
        }
        if let Some(last) = old.last() {
            record.trimmed_through = *last;
            tx.put_long(keys::mailbox(*id), &record)?;
        }
        dropped += old.len() as u64;
    }
    Ok(dropped)
}

/// Writes a blob's chunks once more, to where segments are being written now.
fn rewrite(tx: &mut Tx, blob: &BlobId) -> Result<()> {
    let key = keys::blob(blob);
    let Some(record) = tx.get_long::<BlobRecord>(&key)? else { return Ok(()) };
    let mut chunks = Vec::with_capacity(record.chunks.len());
    for at in &record.chunks {
        let file = tx.segments.file(at.segment)?;
        chunks.push(tx.segments.append(&read(&file, *at)?)?);
    }
    count_live(tx, blob, &record.chunks, Change::Removed)?;
    count_live(tx, blob, &chunks, Change::Added)?;
    tx.put_long(key, &BlobRecord { chunks, ..record })
}
