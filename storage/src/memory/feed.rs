//! What changed.

use super::MemoryStore;
use crate::*;
use async_trait::async_trait;

#[async_trait]
impl Feed for MemoryStore {
    async fn changes_since(&self, at: MailboxRef, since: u64) -> Result<Changes> {
        let state = self.state();
        let mailbox = match state.mailbox(at, self.clock.now()) {
            Ok(mailbox) => mailbox,
            // Somebody else's is not gone, it is no mailbox of this account at all.
            Err(e) if state.mailboxes.get(&at.mailbox).is_some_and(|m| m.account != at.account) => {
                return Err(e);
            }
            Err(_) => return Ok(Changes::Deleted),
        };
        // Modseq 1 is that of an empty mailbox: nothing happened up to it.
        let since = ModSeq::new(since).unwrap_or(ModSeq::MIN);
        if since.get() < mailbox.trimmed_through {
            return Ok(Changes::Resync);
        }
        let changed =
            mailbox.rows.values().map(|row| &row.message).filter(|m| m.modseq > since).cloned().collect();
        let rows = mailbox.journal.iter().filter(|(modseq, _)| **modseq > since);
        let vanished = rows.fold(UidSet::new(), |all, (_, row)| all.union(&row.vanished));
        Ok(Changes::Delta(Delta { through: mailbox.modseq, changed, vanished }))
    }

    fn hints(&self, account: AccountId) -> HintReceiver {
        self.hub.subscribe(account)
    }
}
