//! What changed.

use super::keys;
use super::look::{Look, Walk};
use super::records::{JournalRecord, MailboxRecord, RowRecord};
use super::store::SledStore;
use crate::*;
use async_trait::async_trait;

#[async_trait]
impl Feed for SledStore {
    async fn changes_since(&self, at: MailboxRef, since: u64) -> Result<Changes> {
        let reader = self.read().await?;
        let record = match reader.tree.mailbox(at, reader.now) {
            Ok(record) => record,
            Err(e @ StoreError::NotFound(_)) => {
                // Somebody else's is not gone, it is no mailbox of this account at all.
                let other: Option<MailboxRecord> = reader.tree.get_long(&keys::mailbox(at.mailbox))?;
                return if other.is_some_and(|m| m.account != at.account) {
                    Err(e)
                } else {
                    Ok(Changes::Deleted)
                };
            }
            Err(e) => return Err(e),
        };
        // Modseq 1 is that of an empty mailbox: nothing happened up to it.
        let since = since.max(ModSeq::MIN.get());
        if since < record.trimmed_through {
            return Ok(Changes::Resync);
        }
        let mut delta = Delta { through: record.modseq, changed: Vec::new(), vanished: UidSet::new() };
        if since >= record.modseq.get() {
            return Ok(Changes::Delta(delta));
        }
        let mut touched = UidSet::new();
        for key in reader.tree.keys(&keys::journal_after(at.mailbox, since), usize::MAX)? {
            let row: Option<JournalRecord> = reader.tree.get_long(&key)?;
            if let Some(row) = row {
                touched = touched.union(&row.changed);
                delta.vanished = delta.vanished.union(&row.vanished);
            }
        }
        for (uid, row) in reader.tree.rows(at.mailbox, &touched.difference(&delta.vanished))? {
            let row: RowRecord = row;
            if row.modseq.get() > since {
                delta.changed.push(row.message(uid));
            }
        }
        Ok(Changes::Delta(delta))
    }

    fn hints(&self, account: AccountId) -> HintReceiver {
        self.shared.hub.subscribe(account)
    }
}

/// Journal rows of a mailbox from the oldest on that happened before `horizon`: the modseqs of at most `limit`.
pub fn old_rows(look: &impl Look, id: MailboxId, horizon: Timestamp, limit: usize) -> Result<Vec<u64>> {
    let mut old = Vec::new();
    let mut candidates = Vec::new();
    look.walk(&keys::journal_after(id, 0), &mut |key, _| {
        candidates.extend(keys::modseq_of(key));
        Ok(if candidates.len() < limit { Walk::On } else { Walk::Enough })
    })?;
    for modseq in candidates {
        let row: Option<JournalRecord> = look.get_long(&keys::journal(id, modseq))?;
        if row.is_none_or(|row| row.at > horizon) {
            break;
        }
        old.push(modseq);
    }
    Ok(old)
}
