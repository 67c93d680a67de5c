//! What a client that was here before has missed (RFC 7162 §3.2, QRESYNC).

use super::{Fail, Session, called};
use crate::imap::encode::{Status, Untagged};
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

impl Missed {
    /// RFC 7162 §3.2.5.2: where numbers and UIDs agree, the client has seen vanish what lies before.
    pub fn spare(&mut self, known: &Qresync, view: &View) {
        let agreed = known.numbered.as_ref().and_then(|(numbers, uids)| view.agrees_through(numbers, uids));
        if let Some(agreed) = agreed {
            self.vanished = self.vanished.difference(&UidSet::range(Uid::MIN, agreed));
        }
    }
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

    /// What happened to a mailbox since what the client knows (RFC 7162 §3.2.5). What the mailbox is (`now` and its `uids`)
    /// is brought to the moment that this is of: a message that came after what the client knows and went before the
    /// journal was read would be in the one and not in the other.
    pub(super) async fn missed(
        &self,
        at: MailboxRef,
        now: &mut Mailbox,
        uids: &mut UidSet,
        known: &Qresync,
    ) -> Result<Missed, StoreError> {
        let store = &self.services.store;
        let (vanished, mut changed) =
            match store.changes_since(at, known.modseq.min(now.modseq.get())).await? {
                Changes::Delta(delta) => {
                    let there: UidSet = delta.changed.iter().map(|message| message.uid).collect();
                    *uids = uids.difference(&delta.vanished).union(&there);
                    now.modseq = now.modseq.max(delta.through);
                    (delta.vanished, delta.changed)
                }
                Changes::Resync => {
                    let messages = store.messages(at, MessageQuery::of(uids.clone())).await?;
                    *uids = messages.iter().map(|message| message.uid).collect();
                    (had(now).difference(uids), messages)
                }
                Changes::Deleted => return Err(StoreError::NotFound(Subject::Mailbox)),
            };
        now.uidnext = match (now.uidnext, uids.last()) {
            (Some(next), Some(last)) if last >= next => last.next(),
            (next, _) => next,
        };
        // §3.2.5.1: without known UIDs all that there have been are meant.
        let among = known.known.as_ref().map_or_else(UidSet::all, |set| set.uids(0)).intersection(&had(now));
        changed.retain(|message| message.modseq.get() > known.modseq && among.contains(message.uid));
        Ok(Missed { vanished: vanished.intersection(&among), changed })
    }

    pub(super) async fn tell_missed(&mut self, missed: &Missed, wire: &mut Wire) -> Result<(), Fail> {
        tell_vanished(&missed.vanished, wire);
        self.learn(missed.changed.iter().map(|message| &message.flags), wire);
        let uid_only = self.uid_only;
        for message in &missed.changed {
            let Some(selected) = &mut self.selected else { return Ok(()) };
            let Some(number) = selected.view.number(message.uid) else { continue };
            let called = called(uid_only, number, message.uid);
            selected.view.told(message.uid, message.modseq);
            wire.untagged(&Untagged::FetchFlags {
                message: called,
                uid: Some(message.uid).filter(|_| !uid_only),
                flags: Some(&message.flags),
                recent: selected.view.recent(message.uid),
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
