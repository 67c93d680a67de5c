//! APPEND (RFC 3501 §6.3.11), MULTIAPPEND (RFC 3502): messages stream into the spool, and into the store all at once.

use super::{Fail, Outcome, Session, named};
use crate::imap::encode::{Code, Status};
use crate::imap::types::{AppendHeader, MailboxArg};
use crate::imap::wire::Wire;
use gadwall_storage::body::Ingest;
use gadwall_storage::{MailboxRef, NewMessage, StoreError, Subject};

/// Messages of one APPEND.
const MESSAGES: usize = 100;

/// An APPEND while its messages come in.
pub struct Appending {
    at: MailboxRef,
    mailbox: MailboxArg,
    header: AppendHeader,
    ingest: Option<Ingest>,
    failed: Option<StoreError>,
    messages: Vec<NewMessage>,
}

impl Session {
    /// Whether a message is welcome, before it is sent: the mailbox exists, there is room.
    pub async fn append_begins(
        &mut self,
        header: AppendHeader,
        so_far: Option<Appending>,
    ) -> Result<Appending, Fail> {
        let account = self.authenticated()?;
        let limit = self.services.limits.message_bytes;
        if header.size > limit {
            return Err(StoreError::TooLarge { limit_bytes: limit }.into());
        }
        let ingest = Some(Ingest::new(&self.services.spool));
        if let Some(appending) = so_far {
            if appending.messages.len() >= MESSAGES {
                let status = Status::no(format!("At most {MESSAGES} messages at once"));
                return Err(status.code(Code::Limit).into());
            }
            return Ok(Appending { header, ingest, ..appending });
        }
        let at = self.append_target(&header.mailbox).await?;
        let owner = self.services.store.account(account).await?;
        if owner.used_bytes.saturating_add(header.size) > owner.quota_bytes {
            let full = StoreError::OverQuota { used_bytes: owner.used_bytes, limit_bytes: owner.quota_bytes };
            return Err(full.into());
        }
        let mailbox = header.mailbox.clone();
        Ok(Appending { at, mailbox, header, ingest, failed: None, messages: Vec::new() })
    }

    async fn append_target(&self, mailbox: &MailboxArg) -> Result<MailboxRef, Fail> {
        let account = self.authenticated()?;
        match self.services.store.mailbox_by_name(account, named(mailbox)?).await {
            Ok(found) => Ok(MailboxRef { account, mailbox: found.id }),
            Err(StoreError::NotFound(Subject::Mailbox)) => {
                Err(Status::no("There is no such mailbox").code(Code::TryCreate).into())
            }
            Err(e) => Err(e.into()),
        }
    }

    /// All messages are there.
    pub async fn append_done(&mut self, appending: Appending, wire: &mut Wire) -> Outcome {
        if let Some(e) = appending.failed {
            return Err(e.into());
        }
        let op = self.services.env.op();
        let appended = match self.services.store.append(op, appending.at, appending.messages).await {
            // Deleted while the message came in.
            Err(StoreError::NotFound(Subject::Mailbox)) => {
                return Err(Status::no("There is no such mailbox").code(Code::TryCreate).into());
            }
            other => other?,
        };
        if let Some(name) = appending.mailbox.name() {
            self.tell_name(name, appending.mailbox.supplied(), None, wire);
        }
        let uids = appended.uids.iter().copied().collect();
        Ok(Status::ok("Appended").code(Code::AppendUid(appended.uidvalidity, uids)))
    }
}

impl Appending {
    pub fn data(&mut self, bytes: &[u8]) {
        if let Some(ingest) = &mut self.ingest
            && let Err(e) = ingest.write(bytes)
        {
            self.failed = Some(e);
            self.ingest = None;
        }
    }

    pub fn message_ends(&mut self) {
        let Some(ingest) = self.ingest.take() else { return };
        match ingest.finish() {
            Ok(body) => self.messages.push(NewMessage {
                body,
                flags: self.header.flags.clone(),
                internal_date: self.header.date,
                delivery: None,
                made_from: None,
            }),
            Err(e) => self.failed = Some(e),
        }
    }
}
