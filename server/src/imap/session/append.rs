//! APPEND (RFC 3501 §6.3.11), MULTIAPPEND (RFC 3502), CATENATE (RFC 4469) and REPLACE (RFC 8508): messages stream into the
//! spool, and into the store all at once.

use super::{Fail, Outcome, Session, named};
use crate::imap::encode::{Code, Status};
use crate::imap::types::{AppendPiece, By, MailboxArg, SeqNum, SequenceSet, Tag};
use crate::imap::view::Expunges;
use crate::imap::wire::Wire;
use gadwall_storage::body::Ingest;
use gadwall_storage::{
    Flags, MailboxRef, MessageQuery, NewMessage, StoreError, Subject, Timestamp, Uid, UidSet,
};

/// Messages of one APPEND.
const MESSAGES: usize = 100;

/// An APPEND while its messages come in.
pub struct Appending {
    at: MailboxRef,
    mailbox: MailboxArg,
    /// The message that goes (RFC 8508).
    replaces: Option<(MailboxRef, Uid)>,
    room: Room,
    composing: Option<Composing>,
    failed: Option<Fail>,
    messages: Vec<NewMessage>,
}

/// What may come yet.
#[derive(Debug, Clone, Copy)]
struct Room {
    used_bytes: u64,
    quota_bytes: u64,
    /// What goes with it, in bytes.
    freed: u64,
    /// Of one message.
    message_bytes: u64,
    /// Of the messages that are complete.
    taken: u64,
}

/// A message that is not complete.
struct Composing {
    flags: Flags,
    date: Option<Timestamp>,
    ingest: Ingest,
}

impl Session {
    /// Whether what comes is welcome, before it is sent: the mailbox exists, there is room for a literal of `size` bytes.
    pub async fn append_goes_on(
        &mut self,
        so_far: Option<Appending>,
        pieces: Vec<AppendPiece>,
        size: u64,
    ) -> Result<Appending, Fail> {
        let appending = self.take_pieces(so_far, pieces).await?;
        appending.admit(size)?;
        Ok(appending)
    }

    async fn take_pieces(
        &mut self,
        so_far: Option<Appending>,
        pieces: Vec<AppendPiece>,
    ) -> Result<Appending, Fail> {
        let mut appending = so_far;
        for piece in pieces {
            let under_way = appending.as_mut().ok_or_else(|| Fail::from(Status::bad("APPEND to where?")));
            match piece {
                AppendPiece::To { mailbox, replaces } => {
                    appending = Some(self.append_begins(mailbox, replaces).await?);
                }
                AppendPiece::Message { flags, date } => {
                    let ingest = Ingest::new(&self.services.spool);
                    under_way?.begin(Composing { flags, date, ingest })?;
                }
                AppendPiece::Url(url) => self.catenate(&url, under_way?).await?,
            }
        }
        appending.ok_or_else(|| Status::bad("APPEND to where?").into())
    }

    async fn append_begins(
        &mut self,
        mailbox: MailboxArg,
        replaces: Option<(By, SeqNum)>,
    ) -> Result<Appending, Fail> {
        let account = self.authenticated()?;
        let replaces = match replaces {
            Some((by, number)) => Some(self.replaced(by, number)?),
            None => None,
        };
        let at = MailboxRef { account, mailbox: self.target(named(&mailbox)?).await? };
        let store = &self.services.store;
        let freed = match replaces {
            Some((from, uid)) => {
                let found = store.messages(from, MessageQuery::of(UidSet::single(uid))).await?;
                found.first().ok_or(StoreError::NotFound(Subject::Message))?.size
            }
            None => 0,
        };
        let owner = store.account(account).await?;
        let room = Room {
            used_bytes: owner.used_bytes,
            quota_bytes: owner.quota_bytes,
            freed,
            message_bytes: self.services.limits.message_bytes,
            taken: 0,
        };
        let (composing, failed, messages) = (None, None, Vec::new());
        Ok(Appending { at, mailbox, replaces, room, composing, failed, messages })
    }

    /// RFC 8508 §3.4: a message of the selected mailbox.
    fn replaced(&mut self, by: By, number: SeqNum) -> Result<(MailboxRef, Uid), Fail> {
        if self.uid_only && by == By::Sequence {
            return Err(super::uid_required().into());
        }
        let selected = self.writable()?;
        let set = SequenceSet::new(vec![(number, number)]).unwrap_or(SequenceSet::SAVED);
        let uid = super::copy::resolved(selected, &set, by)?.iter().next();
        let missing = || Status::no("There is no message of that UID");
        Ok((selected.at, uid.ok_or_else(missing)?))
    }

    /// All is there: stores it and answers.
    pub async fn append_ends(
        &mut self,
        tag: &Tag,
        so_far: Option<Appending>,
        pieces: Vec<AppendPiece>,
        wire: &mut Wire,
    ) -> Result<Status, Fail> {
        let outcome = match self.take_pieces(so_far, pieces).await {
            Ok(appending) => self.append_all(appending, wire).await,
            Err(fail) => Err(fail),
        };
        // Clients want EXISTS before the answer when they have appended to the selected mailbox.
        self.conclude(tag, outcome, Some(Expunges::Allowed), wire).await
    }

    async fn append_all(&mut self, mut appending: Appending, wire: &mut Wire) -> Outcome {
        appending.complete()?;
        if let Some(fail) = appending.failed {
            return Err(fail);
        }
        let (op, store) = (self.services.env.op(), &self.services.store);
        let mut status = Status::ok("Appended");
        let appended = match appending.replaces {
            None => store.append(op, appending.at, appending.messages).await,
            Some((from, uid)) => match appending.messages.pop() {
                None => return Err(Status::bad("No message came").into()),
                Some(message) => {
                    store.replace(op, from, uid, appending.at.mailbox, message).await.map(|replaced| {
                        status = Status::ok("Replaced");
                        if self.condstore {
                            status.code = Some(Code::HighestModSeq(replaced.expunged.modseq));
                        }
                        replaced.appended
                    })
                }
            },
        };
        // Deleted while the message came in.
        let appended = appended.map_err(try_create)?;
        self.own_messages(appending.at.mailbox, &appended.uids, appended.modseq);
        if let Some(name) = appending.mailbox.name() {
            self.tell_name(name, appending.mailbox.supplied(), None, wire);
        }
        let uids = appended.uids.iter().copied().collect();
        let code = Code::AppendUid(appended.uidvalidity, uids);
        if appending.replaces.is_none() {
            return Ok(status.code(code));
        }
        // RFC 8508 §4.3: before the EXPUNGE.
        wire.status(None, &Status::ok("The replacement is there").code(code));
        self.tell_taken(wire).await?;
        Ok(status)
    }
}

/// RFC 3501 §6.3.11, §6.4.7: a missing target is one that can be created.
pub(super) fn try_create(error: StoreError) -> Fail {
    match error {
        StoreError::NotFound(Subject::Mailbox) => {
            Status::no("There is no such mailbox").code(Code::TryCreate).into()
        }
        e => e.into(),
    }
}

impl Appending {
    fn begin(&mut self, message: Composing) -> Result<(), Fail> {
        self.complete()?;
        if self.messages.len() >= MESSAGES {
            return Err(Status::no(format!("At most {MESSAGES} messages at once")).code(Code::Limit).into());
        }
        self.composing = Some(message);
        Ok(())
    }

    /// Whether there is room for so many bytes more of the message. What comes without leave is judged by the store.
    pub(super) fn admit(&self, size: u64) -> Result<(), Fail> {
        let so_far = self.composing.as_ref().map_or(0, |message| message.ingest.size());
        let Room { used_bytes, quota_bytes, freed, message_bytes, taken } = self.room;
        let message = so_far.saturating_add(size);
        if message > message_bytes {
            return Err(StoreError::TooLarge { limit_bytes: message_bytes }.into());
        }
        let grown = taken.saturating_add(message).saturating_sub(freed);
        if used_bytes.saturating_add(grown) > quota_bytes {
            return Err(StoreError::OverQuota { used_bytes, limit_bytes: quota_bytes }.into());
        }
        Ok(())
    }

    /// More bytes of the message.
    pub fn data(&mut self, bytes: &[u8]) {
        let Some(message) = &mut self.composing else { return };
        if let Err(e) = message.ingest.write(bytes) {
            self.failed.get_or_insert(e.into());
            self.composing = None;
        }
    }

    /// The message under way, if any, has come to its end.
    fn complete(&mut self) -> Result<(), Fail> {
        let Some(message) = self.composing.take() else { return Ok(()) };
        self.room.taken = self.room.taken.saturating_add(message.ingest.size());
        let body = message.ingest.finish()?;
        let (flags, internal_date) = (message.flags, message.date);
        self.messages.push(NewMessage { body, flags, internal_date, delivery: None, made_from: None });
        Ok(())
    }
}
