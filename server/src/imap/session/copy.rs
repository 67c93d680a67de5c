//! COPY (RFC 3501 §6.4.7) and MOVE (RFC 6851).

use super::append::try_create;
use super::{Fail, Outcome, Session, named};
use crate::imap::encode::{Code, Status};
use crate::imap::types::{By, MailboxArg, SequenceSet};
use crate::imap::wire::Wire;
use gadwall_storage::{Copied, MailboxId, MailboxName, UidSet};

impl Session {
    pub(super) async fn copy(&mut self, by: By, set: &SequenceSet, to: &MailboxArg) -> Outcome {
        let selected = self.selected()?;
        let (at, uids) = (selected.at, resolved(selected, set, by)?);
        let target = self.target(named(to)?).await?;
        let op = self.services.env.op();
        let copied = self.services.store.copy(op, at, &uids, target).await?;
        self.own_copies(target, &copied);
        Ok(match copy_uid(&copied) {
            Some(code) => Status::ok("Copied").code(code),
            None => Status::ok("Nothing was there to be copied"),
        })
    }

    pub(super) async fn move_messages(
        &mut self,
        by: By,
        set: &SequenceSet,
        to: &MailboxArg,
        wire: &mut Wire,
    ) -> Outcome {
        let selected = self.writable()?;
        let (at, uids) = (selected.at, resolved(selected, set, by)?);
        let target = self.target(named(to)?).await?;
        let op = self.services.env.op();
        let moved = self.services.store.move_messages(op, at, &uids, target).await?;
        self.own_copies(target, &moved);
        // RFC 6851 §4.3: COPYUID in an untagged OK, before the EXPUNGEs.
        match copy_uid(&moved) {
            Some(code) => {
                wire.status(None, &Status::ok("Moved").code(code));
                let done = Status::ok("Done");
                // RFC 6851 §4.4.
                Ok(match moved.source_modseq.filter(|_| self.condstore) {
                    Some(modseq) => done.code(Code::HighestModSeq(modseq)),
                    None => done,
                })
            }
            None => Ok(Status::ok("Nothing was there to be moved")),
        }
    }

    fn own_copies(&mut self, target: MailboxId, copied: &Copied) {
        let uids: Vec<_> = copied.pairs.iter().map(|(_, uid)| *uid).collect();
        self.own_messages(target, &uids, copied.modseq);
    }

    /// Where messages are to go.
    pub(super) async fn target(&self, name: &MailboxName) -> Result<MailboxId, Fail> {
        let account = self.authenticated()?;
        let found = self.services.store.mailbox_by_name(account, name).await;
        found.map(|mailbox| mailbox.id).map_err(try_create)
    }
}

/// The UIDs a command names; an unknown number is BAD.
pub(super) fn resolved(selected: &super::Selected, set: &SequenceSet, by: By) -> Result<UidSet, Fail> {
    let unknown = |_| Fail::Status(Status::bad("There is no message of that number"));
    selected.view.resolve(set, by).map_err(unknown)
}

/// RFC 4315 §3; none when nothing was copied.
fn copy_uid(copied: &Copied) -> Option<Code> {
    let (from, to): (UidSet, UidSet) = copied.pairs.iter().copied().unzip();
    (!from.is_empty()).then_some(Code::CopyUid(copied.uidvalidity, from, to))
}
