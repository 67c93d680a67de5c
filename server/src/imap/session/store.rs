//! STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3).

use super::copy::resolved;
use super::{Outcome, Session, called};
use crate::imap::encode::{Code, Status, Untagged};
use crate::imap::types::{By, SequenceSet, StoreChange};
use crate::imap::wire::Wire;
use gadwall_storage::{FlagsNow, Uid, UidSet};
use std::collections::BTreeSet;

/// Whether the client can tell the flags of a message from its own command and what it was told before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Knows {
    All,
    Part,
}

impl Session {
    pub(super) async fn store(
        &mut self,
        by: By,
        set: &SequenceSet,
        change: &StoreChange,
        unchanged_since: Option<u64>,
        wire: &mut Wire,
    ) -> Outcome {
        let selected = self.writable()?;
        let (at, modseq, uids) = (selected.at, selected.view.modseq(), resolved(selected, set, by)?);
        // RFC 7162 §3.1: UNCHANGEDSINCE enables CONDSTORE.
        if unchanged_since.is_some() {
            self.knows_modseqs(wire);
        }
        let op = self.services.env.op();
        let store = self.services.store.clone();
        let stored = store.set_flags(op, at, &uids, &change.flags, unchanged_since).await?;
        self.learn(stored.messages.iter().map(|m| &m.flags), wire);
        // RFC 3501 §6.4.6: what others did to the flags is told even to a client that asked for silence about its own
        // change. The journal counts every change, so where more have passed than this command has made, somebody
        // else's is among them; it makes none when all flags were so already.
        let changed = stored.messages.iter().filter(|message| message.changed);
        let own = changed.map(|message| message.modseq).collect::<BTreeSet<_>>().len() as u64;
        let knows =
            if change.silent && stored.modseq.get() > modseq + own { Knows::Part } else { Knows::All };
        for message in &stored.messages {
            self.answer(message, by, change.silent, knows, wire);
            wire.relieve().await?;
        }
        let found: UidSet = stored.messages.iter().map(|m| m.uid).collect();
        let missing = uids.difference(&found).difference(&stored.modified);
        if !stored.modified.is_empty() {
            let code = Code::Modified(self.numbered(&stored.modified, by));
            return Ok(Status::ok("Some have changed since and were left alone").code(code));
        }
        if !missing.is_empty() {
            // RFC 2180 §4.2: the others were changed.
            return Ok(Status::ok("Some messages are gone").code(Code::ExpungeIssued));
        }
        Ok(Status::ok("Stored"))
    }

    /// Tells the client of one message, unless it asked for silence; RFC 7162 §3.1.3: MODSEQ is told even then.
    fn answer(&mut self, message: &FlagsNow, by: By, silent: bool, knows: Knows, wire: &mut Wire) {
        let (names_uids, condstore, uid_only) = (self.names_uids(), self.condstore, self.uid_only);
        let Some(selected) = &mut self.selected else { return };
        let Some(number) = selected.view.number(message.uid) else { return };
        if knows == Knows::All {
            selected.view.told(message.uid, message.modseq);
        }
        if silent && !condstore {
            return;
        }
        wire.untagged(&Untagged::FetchFlags {
            message: called(uid_only, number, message.uid),
            uid: Some(message.uid).filter(|_| !uid_only && (by == By::Uid || names_uids)),
            flags: (!silent).then_some(&message.flags),
            recent: selected.view.recent(message.uid),
            modseq: condstore.then_some(message.modseq),
        });
    }

    /// UIDs as the command named them: UIDs, or message numbers. Both are positive numbers in ascending order.
    fn numbered(&self, uids: &UidSet, by: By) -> UidSet {
        match (by, &self.selected) {
            (By::Sequence, Some(selected)) => {
                uids.iter().filter_map(|uid| selected.view.number(uid)).filter_map(Uid::new).collect()
            }
            _ => uids.clone(),
        }
    }
}
