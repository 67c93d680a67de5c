//! SELECT, EXAMINE, CLOSE, STATUS.

use super::list::tell_selected;
use super::{Outcome, Selected, Session, named};
use crate::imap::encode::{Code, Keep, Status, Untagged};
use crate::imap::types::{MailboxArg, SelectMode, SelectParams, StatusItem};
use crate::imap::view::View;
use crate::imap::wire::Wire;
use gadwall_storage::{
    Keyword, Mailbox, MailboxRef, MessageQuery, StoreError, Subject, SystemFlag, Uid, UidSet, Which,
};
use std::collections::BTreeSet;

/// How many messages are searched for the first one without `\Seen`.
const UNSEEN_WINDOW: usize = 2000;

impl Session {
    /// RFC 3501 §6.3.1, §6.3.2.
    pub(super) async fn select(
        &mut self,
        mailbox: &MailboxArg,
        params: &SelectParams,
        mode: SelectMode,
        wire: &mut Wire,
    ) -> Outcome {
        let account = self.authenticated()?;
        if params.qresync.is_some() {
            self.resynchronises()?;
        }
        // §6.3.1: a SELECT that fails deselects as well.
        // RFC 7162 §3.2.11: whatever comes next is of the new mailbox.
        if self.selected.take().is_some() {
            wire.status(None, &Status::ok("The previous mailbox is closed").code(Code::Closed));
        }
        self.condstore |= params.condstore;
        let found = self.services.store.mailbox_by_name(account, named(mailbox)?).await?;
        let at = MailboxRef { account, mailbox: found.id };
        let claimed = match mode {
            SelectMode::ReadWrite if !self.rev2 => self.services.store.claim_recent(at).await?,
            _ => UidSet::new(),
        };
        let (mut now, mut uids) = self.services.store.uids(at).await?;
        // RFC 7162 §3.2.5: with another UIDVALIDITY what the client knows is of another mailbox.
        let known = params.qresync.as_ref().filter(|known| known.uidvalidity == now.uidvalidity.0.get());
        let mut missed = match known {
            Some(known) => Some(self.missed(at, &mut now, &mut uids, known).await?),
            None => None,
        };
        let recent: UidSet = match mode {
            SelectMode::ReadWrite => claimed.intersection(&uids),
            // Those that nobody has been told of stay so: shown, not claimed.
            SelectMode::ReadOnly => uids.iter().rev().take(now.recent as usize).collect(),
        };
        // RFC 9051 Appendix E: without `\Recent`, and without a first unseen message.
        let (recent, unseen) = match (self.rev2, self.uid_only) {
            (true, _) => (None, None),
            // RFC 9586 §3: its number would be one.
            (false, true) => (Some(recent), None),
            (false, false) => (Some(recent), self.first_unseen(at, &now, &uids).await?),
        };
        let told = recent.as_ref().map(|recent| recent.len() as u32);
        let view = View::new(&uids, now.modseq, recent);
        let unseen = unseen.and_then(|uid| view.number(uid));
        if let (Some(missed), Some(known)) = (&mut missed, known) {
            missed.spare(known, &view);
        }
        // Before the first word of an answer: what can't be asked for now is a SELECT that fails.
        let all = match self.rev2 {
            true => self.services.store.mailboxes(account).await?,
            false => Vec::new(),
        };
        describe(&now, &view, told, unseen, mode, wire);
        if self.rev2 {
            tell_selected(&now, &all, mailbox.supplied(), wire);
        }
        let (followed, unsettled) = (Vec::new(), UidSet::new());
        let (keywords, own) = (now.keywords, UidSet::new());
        self.selected = Some(Selected { at, view, mode, keywords, followed, unsettled, own });
        if let Some(missed) = missed {
            self.tell_missed(&missed, wire).await?;
        }
        Ok(match mode {
            SelectMode::ReadWrite => Status::ok("Selected").code(Code::ReadWrite),
            SelectMode::ReadOnly => Status::ok("Selected read-only").code(Code::ReadOnly),
        })
    }

    /// The first message without `\Seen`, unless it lies too far in to be worth the search.
    async fn first_unseen(
        &self,
        at: MailboxRef,
        mailbox: &Mailbox,
        uids: &UidSet,
    ) -> Result<Option<Uid>, StoreError> {
        if mailbox.unseen == 0 {
            return Ok(None);
        }
        let unseen = |found: Vec<gadwall_storage::Message>| {
            found.into_iter().find(|m| !m.flags.has(SystemFlag::Seen)).map(|m| m.uid)
        };
        // Where nothing has been read, the first message is the one.
        let store = &self.services.store;
        let first = store.messages(at, MessageQuery::of(uids.clone()).limit(1)).await?;
        match unseen(first) {
            Some(uid) => Ok(Some(uid)),
            None => {
                Ok(unseen(store.messages(at, MessageQuery::of(uids.clone()).limit(UNSEEN_WINDOW)).await?))
            }
        }
    }

    /// RFC 3501 §6.4.2: expunges without a word, unless read-only.
    pub(super) async fn close(&mut self) -> Outcome {
        let selected = self.selected()?;
        let (at, mode) = (selected.at, selected.mode);
        if mode == SelectMode::ReadWrite {
            let op = self.services.env.op();
            match self.services.store.expunge(op, at, &UidSet::all(), Which::Deleted).await {
                Ok(_) | Err(StoreError::NotFound(Subject::Mailbox)) => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.selected = None;
        Ok(Status::ok("Mailbox closed"))
    }

    /// RFC 3501 §6.3.10.
    pub(super) async fn status(
        &mut self,
        mailbox: &MailboxArg,
        items: &[StatusItem],
        wire: &mut Wire,
    ) -> Outcome {
        let account = self.authenticated()?;
        let name = named(mailbox)?;
        let found = self.services.store.mailbox_by_name(account, name).await?;
        // RFC 7162 §3.1: asking for HIGHESTMODSEQ enables CONDSTORE.
        if items.contains(&StatusItem::HighestModSeq) {
            self.knows_modseqs(wire);
        }
        let append_limit = self.services.limits.message_bytes;
        let deleted_bytes = self.deleted_bytes(account, &found, items).await?;
        wire.untagged(&Untagged::Status { name, mailbox: &found, items, append_limit, deleted_bytes });
        Ok(Status::ok("Status told"))
    }
}

/// FLAGS and PERMANENTFLAGS.
pub(super) fn describe_flags(keywords: &BTreeSet<Keyword>, mode: SelectMode, wire: &mut Wire) {
    let keywords: Vec<Keyword> = keywords.iter().cloned().collect();
    wire.untagged(&Untagged::Flags(&keywords));
    let keep = if mode == SelectMode::ReadWrite { Keep::Yes } else { Keep::No };
    wire.status(None, &Status::ok("Flags that are kept").code(Code::PermanentFlags(keywords, keep)));
}

fn describe(
    now: &Mailbox,
    view: &View,
    recent: Option<u32>,
    unseen: Option<u32>,
    mode: SelectMode,
    wire: &mut Wire,
) {
    describe_flags(&now.keywords, mode, wire);
    wire.untagged(&Untagged::Exists(view.exists()));
    if let Some(recent) = recent {
        wire.untagged(&Untagged::Recent(recent));
    }
    if let Some(number) = unseen {
        wire.status(None, &Status::ok("First unseen").code(Code::Unseen(number)));
    }
    wire.status(None, &Status::ok("UIDs valid").code(Code::UidValidity(now.uidvalidity)));
    if let Some(uid) = now.uidnext {
        wire.status(None, &Status::ok("Predicted next UID").code(Code::UidNext(uid)));
    }
    wire.status(None, &Status::ok("Highest").code(Code::HighestModSeq(now.modseq)));
    wire.status(None, &Status::ok("This mailbox, whatever its name").code(Code::MailboxId(now.id)));
}
