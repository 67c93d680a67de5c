//! EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1).

use super::{Outcome, Session};
use crate::imap::encode::{Code, Status};
use crate::imap::types::{By, SequenceSet};
use gadwall_storage::{UidSet, Which};

impl Session {
    pub(super) async fn expunge(&mut self, uids: Option<&SequenceSet>) -> Outcome {
        let selected = self.writable()?;
        let at = selected.at;
        let uids = match uids {
            None => UidSet::all(),
            Some(set) => selected.view.resolve(set, By::Uid).unwrap_or_default(),
        };
        let op = self.services.env.op();
        let expunged = self.services.store.expunge(op, at, &uids, Which::Deleted).await?;
        let status = Status::ok("Expunged");
        Ok(if self.condstore && !expunged.uids.is_empty() {
            // RFC 7162 §3.2.7: the client learns the new HIGHESTMODSEQ with the answer.
            status.code(Code::HighestModSeq(expunged.modseq))
        } else {
            status
        })
    }
}
