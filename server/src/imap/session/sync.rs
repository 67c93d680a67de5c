//! Brings the client's view up to date with the store.

use super::{Fail, Session, called};
use crate::imap::encode::{Code, Recent, Status, Untagged};
use crate::imap::types::SelectMode;
use crate::imap::view::{Expunges, Update};
use crate::imap::wire::Wire;
use gadwall_storage::{Changes, Delta, MailboxRef, Message, MessageQuery, StoreError, Uid, UidSet};

impl Session {
    /// Tells the client what has changed in the selected mailbox, as far as that is allowed now. A store that can't be
    /// asked costs delay, nothing else.
    pub async fn sync(&mut self, wire: &mut Wire, expunges: Expunges) -> Result<(), Fail> {
        let Some(selected) = &self.selected else { return Ok(()) };
        let (at, since) = (selected.at, selected.view.modseq());
        let mut delta = match self.services.store.changes_since(at, since).await {
            Ok(Changes::Delta(delta)) => delta,
            Ok(Changes::Resync) => match self.everything(at).await {
                Ok(delta) => delta,
                Err(e) => return self.later(&e, wire),
            },
            Ok(Changes::Deleted) => return self.mailbox_is_gone(wire).await,
            Err(e) => return self.later(&e, wire),
        };
        let wants_flags = self.selected_events().flags;
        let Some(selected) = &mut self.selected else { return Ok(()) };
        if wants_flags && selected.view.withholds() {
            let messages = self.services.store.messages(at, MessageQuery::of(selected.view.withheld())).await;
            match messages {
                Ok(messages) => self.add_withheld(messages, &mut delta),
                Err(e) => return self.later(&e, wire),
            }
        }
        let Some(selected) = &mut self.selected else { return Ok(()) };
        let nothing = delta.changed.is_empty() && delta.vanished.is_empty() && selected.unsettled.is_empty();
        if nothing && !(selected.view.has_gone() && expunges == Expunges::Allowed) {
            if selected.view.has_gone() {
                self.told_through(wire);
            }
            return Ok(());
        }
        let had_gone = selected.view.has_gone();
        let last = selected.view.last_uid();
        let has_new = delta.changed.iter().any(|m| last.is_none_or(|last| m.uid > last));
        let mut claimed = UidSet::new();
        if has_new && selected.mode == SelectMode::ReadWrite && selected.view.has_recent() {
            claimed = self.services.store.claim_recent(at).await.unwrap_or_default();
        }
        self.learn(delta.changed.iter().map(|m| &m.flags), wire);
        let Some(selected) = &mut self.selected else { return Ok(()) };
        let mut updates = selected.view.apply(&delta, &claimed, expunges);
        if !wants_flags {
            selected.view.withhold_flags(&mut updates);
        }
        let own = std::mem::take(&mut selected.own);
        let is_new = |uid: &Uid| last.is_none_or(|last| *uid > last);
        let came = delta.changed.iter().map(|message| message.uid).filter(is_new).collect::<UidSet>();
        let came = came.difference(&own);
        let has_gone = selected.view.has_gone();
        self.tell_updates(&updates, wire).await?;
        let items = self.items_of_new();
        let fetched = self.tell_followed(&delta, &came, &items, wire).await?;
        self.fetch_unasked(&came.difference(&fetched), items, wire).await?;
        if had_gone || has_gone {
            self.told_through(wire);
        }
        Ok(())
    }

    async fn tell_updates(&mut self, updates: &[Update], wire: &mut Wire) -> Result<(), Fail> {
        self.tell_expunged(updates, wire);
        // RFC 7162 §3.2.10, RFC 9586 §3: with QRESYNC or UIDONLY all expunges are one VANISHED, which comes where they would.
        let by_uid = self.qresync || self.uid_only;
        let vanished: UidSet = match by_uid {
            true => updates.iter().filter_map(Update::expunged).collect(),
            false => UidSet::new(),
        };
        if !vanished.is_empty() {
            wire.untagged(&Untagged::Vanished { uids: &vanished, earlier: false });
        }
        let as_client_wants =
            Wants { uids: self.names_uids(), modseqs: self.condstore, uid_only: self.uid_only };
        for update in updates.iter().filter(|update| !by_uid || update.expunged().is_none()) {
            tell(update, as_client_wants, wire);
            wire.relieve().await?;
        }
        Ok(())
    }

    /// Flags of which the client did not want to be told when they changed, and does now.
    fn add_withheld(&mut self, messages: Vec<Message>, delta: &mut Delta) {
        if let Some(selected) = &mut self.selected {
            selected.view.forget_withheld();
        }
        // A message that is in both is told of as it is now.
        let again: UidSet = messages.iter().map(|message| message.uid).collect();
        delta.changed.retain(|message| !again.contains(message.uid));
        delta.changed.extend(messages);
        delta.changed.sort_by_key(|message| message.uid);
    }

    /// RFC 7162 §3.2: a client that goes on from the highest modseq it has seen must not miss an expunge that is held
    /// back, so it is told from where to go on; and, once it has been told of everything, that it has.
    fn told_through(&self, wire: &mut Wire) {
        let Some(selected) = self.selected.as_ref().filter(|_| self.qresync) else { return };
        if let Some(modseq) = selected.view.told_through() {
            wire.status(None, &Status::ok("Go on from here").code(Code::HighestModSeq(modseq)));
        }
    }

    /// A store that can't be asked costs delay, nothing else.
    fn later(&self, error: &StoreError, wire: &mut Wire) -> Result<(), Fail> {
        self.told_through(wire);
        tolerate(error)
    }

    /// The journal does not reach back far enough: what is there now, and what is not.
    async fn everything(&self, at: MailboxRef) -> Result<Delta, StoreError> {
        let (mailbox, uids) = self.services.store.uids(at).await?;
        let known = self.selected.as_ref().map(|s| s.view.uids()).unwrap_or_default();
        let since = self.selected.as_ref().map_or(0, |s| s.view.modseq());
        let mut changed = self.services.store.messages(at, MessageQuery::of(uids.clone())).await?;
        changed.retain(|message| message.modseq.get() > since);
        Ok(Delta { through: mailbox.modseq, changed, vanished: known.difference(&uids) })
    }

    /// Another session has deleted the mailbox, or the account has gone with it.
    async fn mailbox_is_gone(&mut self, wire: &mut Wire) -> Result<(), Fail> {
        if let Some(account) = self.account {
            match self.services.store.account(account).await {
                Err(e @ StoreError::NotFound(_)) => return Err(e.into()),
                Err(e) => return tolerate(&e),
                Ok(_) => {}
            }
        }
        self.selected = None;
        let status = Status::ok("The selected mailbox was deleted; none is selected now");
        wire.status(None, &status.code(Code::Closed));
        Ok(())
    }
}

fn tolerate(error: &StoreError) -> Result<(), Fail> {
    tracing::warn!(%error, "changes are told later");
    Ok(())
}

/// What a FETCH response has that nobody asked for.
#[derive(Clone, Copy)]
struct Wants {
    uids: bool,
    modseqs: bool,
    /// RFC 9586.
    uid_only: bool,
}

fn tell(update: &Update, wants: Wants, wire: &mut Wire) {
    match update {
        Update::Expunge { number, .. } => wire.untagged(&Untagged::Expunge(*number)),
        Update::Exists(n) => wire.untagged(&Untagged::Exists(*n)),
        Update::Recent(n) => wire.untagged(&Untagged::Recent(*n)),
        Update::Flags { number, uid, flags, recent, modseq } => wire.untagged(&Untagged::FetchFlags {
            message: called(wants.uid_only, *number, *uid),
            uid: Some(*uid).filter(|_| wants.uids && !wants.uid_only),
            flags: Some(flags),
            recent: if *recent == Recent::Yes { Recent::Yes } else { Recent::No },
            modseq: wants.modseqs.then_some(*modseq),
        }),
    }
}
