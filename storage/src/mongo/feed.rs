//! What changed.

use super::fail::{Fail, Step};
use super::keys;
use super::records::journal_of;
use super::schema::CHANGES;
use super::store::{MongoStore, reading};
use super::view::View;
use crate::*;
use async_trait::async_trait;

/// Journal rows read at a time.
const PAGE: usize = 1000;

#[async_trait]
impl Feed for MongoStore {
    async fn changes_since(&self, at: MailboxRef, since: u64) -> Result<Changes> {
        reading!(self, |view| changes_since(view, at, since).await)
    }

    fn hints(&self, account: AccountId) -> HintReceiver {
        self.shared.hub.subscribe(account)
    }
}

async fn changes_since(view: &mut View<'_>, at: MailboxRef, since: u64) -> Step<Changes> {
    let record = match view.mailbox(at).await {
        Ok(record) => record,
        Err(Fail::Refused(StoreError::NotFound(subject))) => {
            // Somebody else's is not gone, it is no mailbox of this account at all.
            let other = view.any_mailbox(at.mailbox).await?;
            return if other.is_some_and(|m| m.account != at.account) {
                Err(StoreError::NotFound(subject).into())
            } else {
                Ok(Changes::Deleted)
            };
        }
        Err(fail) => return Err(fail),
    };
    // Modseq 1 is that of an empty mailbox: nothing happened up to it.
    let since = since.max(ModSeq::MIN.get());
    if since < record.trimmed_through {
        return Ok(Changes::Resync);
    }
    let mut delta = Delta { through: record.modseq, changed: Vec::new(), vanished: UidSet::new() };
    let mut touched = UidSet::new();
    let mut read_through = since;
    while read_through < record.modseq.get() {
        let page = view.scan(CHANGES, keys::changes(at.mailbox, read_through), PAGE).await?;
        let Some(last) = page.last() else { break };
        read_through = keys::change_of(last)?.1;
        for row in &page {
            let row = journal_of(row)?;
            touched = touched.union(&row.changed);
            delta.vanished = delta.vanished.union(&row.vanished);
        }
    }
    for (uid, row) in view.rows(at.mailbox, &touched.difference(&delta.vanished)).await? {
        if row.modseq.get() > since {
            delta.changed.push(row.message(uid));
        }
    }
    Ok(Changes::Delta(delta))
}
