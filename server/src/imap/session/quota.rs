//! QUOTA (RFC 9208): one root for all mailboxes of an account, of the resource STORAGE. Who runs the server sets it.

use super::{Fail, Outcome, Session, named};
use crate::imap::encode::{Code, Status, Untagged};
use crate::imap::types::{MailboxArg, StatusItem};
use crate::imap::wire::Wire;
use gadwall_storage::{AccountId, Mailbox, MailboxRef, MessageQuery, StoreError, SystemFlag, UidSet};

/// The one root, by its name.
const ROOT: &[u8] = b"";
/// Messages looked at between two looks at the rest of the world.
const PAGE: usize = 2000;

impl Session {
    /// RFC 9208 §4.1.1.
    pub(super) async fn get_quota(&mut self, root: &[u8], wire: &mut Wire) -> Outcome {
        self.authenticated()?;
        if root != ROOT {
            let status = Status::no("There is one quota root here, and its name is empty");
            return Err(status.code(Code::NonExistent).into());
        }
        self.tell_quota(wire).await?;
        Ok(Status::ok("Quota told"))
    }

    /// RFC 9208 §4.1.2.
    pub(super) async fn get_quota_root(&mut self, mailbox: &MailboxArg, wire: &mut Wire) -> Outcome {
        let account = self.authenticated()?;
        let found = self.services.store.mailbox_by_name(account, named(mailbox)?).await?;
        wire.untagged(&Untagged::QuotaRoot { name: &found.name });
        self.tell_quota(wire).await?;
        Ok(Status::ok("Quota told"))
    }

    async fn tell_quota(&mut self, wire: &mut Wire) -> Result<(), Fail> {
        let account = self.services.store.account(self.authenticated()?).await?;
        wire.untagged(&Untagged::Quota { used_bytes: account.used_bytes, limit_bytes: account.quota_bytes });
        Ok(())
    }

    /// What an expunge would free, in bytes, if that is asked for (RFC 9208 §4.1.4).
    pub(super) async fn deleted_bytes(
        &self,
        account: AccountId,
        mailbox: &Mailbox,
        items: &[StatusItem],
    ) -> Result<u64, StoreError> {
        if mailbox.deleted == 0 || !items.contains(&StatusItem::DeletedStorage) {
            return Ok(0);
        }
        let at = MailboxRef { account, mailbox: mailbox.id };
        let (_, mut left) = self.services.store.uids(at).await?;
        let mut bytes = 0;
        while !left.is_empty() {
            let page: UidSet = left.iter().take(PAGE).collect();
            left = left.difference(&page);
            let messages = self.services.store.messages(at, MessageQuery::of(page)).await?;
            let deleted = messages.iter().filter(|message| message.flags.has(SystemFlag::Deleted));
            bytes += deleted.map(|message| message.size).sum::<u64>();
        }
        Ok(bytes)
    }
}
