//! What a client that was here before has missed (RFC 7162 §3.2, QRESYNC).

use super::{Fail, Session};
use crate::imap::encode::{Recent, Status, Untagged};
use crate::imap::types::{Qresync, SequenceSet};
use crate::imap::view::View;
use crate::imap::wire::Wire;
use gadwall_storage::{
    Changes, Mailbox, MailboxRef, Message, MessageQuery, StoreError, Subject, Uid, UidSet,
};

/// What has happened since a client was here last.
pub(super) struct Missed {
    vanished: UidSet,
    /// Messages that are there, as they are now.
    changed: Vec<Message>,
}

impl Session {
    /// RFC 7162 §3.2.3: what QRESYNC adds is BAD until it has been enabled.
    pub(super) fn resynchronises(&self) -> Result<(), Fail> {
        if self.qresync { Ok(()) } else { Err(Status::bad("ENABLE QRESYNC first").into()) }
    }

    /// VANISHED (EARLIER) of UID FETCH (RFC 7162 §3.2.6), which comes before any FETCH.
    pub(super) async fn vanished_earlier(
        &mut self,
        at: MailboxRef,
        set: &SequenceSet,
        since: u64,
        wire: &mut Wire,
    ) -> Result<(), Fail> {
        self.resynchronises()?;
        let view = &self.selected()?.view;
        // What the client still counts is told later, without EARLIER (§3.2.10).
        let among = view.named(set).difference(&view.uids());
        let vanished = match self.services.store.changes_since(at, since).await? {
            Changes::Delta(delta) => delta.vanished.intersection(&among),
            Changes::Resync => {
                let (now, uids) = self.services.store.uids(at).await?;
                had(&now).intersection(&among).difference(&uids)
            }
            // Told by what follows every command.
            Changes::Deleted => UidSet::new(),
        };
        tell_vanished(&vanished, wire);
        Ok(())
    }

    /// What happened to a mailbox, whose `uids` the client is about to be told of, since what it knows (RFC 7162 §3.2.5).
    pub(super) async fn missed(
        &self,
        at: MailboxRef,
        now: &Mailbox,
        uids: &UidSet,
        view: &View,
        known: &Qresync,
    ) -> Result<Missed, StoreError> {
        // §3.2.5.1: without known UIDs all that there have been are meant.
        let mut among = had(now);
        if let Some(set) = &known.known {
            among = among.intersection(&view.named(set));
        }
        let (vanished, mut changed) = match self.services.store.changes_since(at, known.modseq).await? {
            Changes::Delta(delta) => (delta.vanished.intersection(&among), delta.changed),
            Changes::Resync => {
                let there = uids.intersection(&among);
                (among.clone(), self.services.store.messages(at, MessageQuery::of(there)).await?)
            }
            Changes::Deleted => return Err(StoreError::NotFound(Subject::Mailbox)),
        };
        changed.retain(|m| m.modseq.get() > known.modseq && among.contains(m.uid) && uids.contains(m.uid));
        let mut vanished = vanished.difference(uids);
        // §3.2.5.2: where numbers and UIDs agree, the client has seen vanish what lies before.
        let agreed = known.numbered.as_ref().and_then(|(numbers, uids)| view.agrees_through(numbers, uids));
        if let Some(agreed) = agreed {
            vanished = vanished.difference(&UidSet::range(Uid::MIN, agreed));
        }
        Ok(Missed { vanished, changed })
    }

    pub(super) async fn tell_missed(&mut self, missed: &Missed, wire: &mut Wire) -> Result<(), Fail> {
        tell_vanished(&missed.vanished, wire);
        self.learn(missed.changed.iter().map(|message| &message.flags), wire);
        for message in &missed.changed {
            let Some(selected) = &mut self.selected else { return Ok(()) };
            let Some(number) = selected.view.number(message.uid) else { continue };
            selected.view.told(message.uid, message.modseq);
            wire.untagged(&Untagged::FetchFlags {
                number,
                uid: Some(message.uid),
                flags: Some(&message.flags),
                recent: if selected.view.recent(message.uid) == Recent::Yes {
                    Recent::Yes
                } else {
                    Recent::No
                },
                modseq: Some(message.modseq),
            });
            wire.relieve().await?;
        }
        Ok(())
    }
}

/// All UIDs that the mailbox has given out.
fn had(mailbox: &Mailbox) -> UidSet {
    match mailbox.uidnext {
        None => UidSet::all(),
        Some(next) => Uid::new(next.get() - 1).map_or(UidSet::new(), |last| UidSet::range(Uid::MIN, last)),
    }
}

fn tell_vanished(vanished: &UidSet, wire: &mut Wire) {
    if !vanished.is_empty() {
        wire.untagged(&Untagged::Vanished { uids: vanished, earlier: true });
    }
}
