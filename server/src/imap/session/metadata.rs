//! METADATA (RFC 5464) and LIST-METADATA (RFC 9590): annotations of mailboxes, and of the account in the server's place.

use super::filters::may_be_kept;
use super::{Fail, Outcome, Session, named};
use crate::imap::encode::{Code, Status, Untagged};
use crate::imap::types::{Depth, EntryName, GetMetadata, MailboxArg, SetMetadata};
use crate::imap::wire::Wire;
use gadwall_storage::{
    Annotated, AnnotationChanges, Annotations, MailboxName, MailboxRef, StoreError, Subject,
};
use std::collections::BTreeMap;

/// Largest value, in bytes.
const MAX_SIZE: usize = 8 << 10;

/// Annotations to be told; those that there are not are NIL.
type Told<'a> = BTreeMap<&'a str, Option<&'a [u8]>>;

impl Session {
    /// §4.2.
    pub(super) async fn get_metadata(&mut self, command: &GetMetadata, wire: &mut Wire) -> Outcome {
        let (of, name) = self.annotated(command.mailbox.as_ref()).await?;
        let all = self.services.store.annotations(of).await?;
        let mut told = chosen(&all, &command.entries, command.depth);
        let most = command.max_size.map_or(u64::MAX, u64::from);
        let size = |value: &Option<&[u8]>| value.map_or(0, |value| value.len() as u64);
        let longest = told.values().map(size).filter(|size| *size > most).max();
        told.retain(|_, value| size(value) <= most);
        if !told.is_empty() {
            wire.untagged(&Untagged::Metadata { name: name.as_ref(), values: &told });
        }
        let status = Status::ok("Annotations told");
        Ok(match longest {
            // §4.2.1.
            Some(size) => status.code(Code::MetadataLongEntries(size)),
            None => status,
        })
    }

    /// §4.3.
    pub(super) async fn set_metadata(&mut self, command: SetMetadata) -> Outcome {
        let (of, name) = self.annotated(command.mailbox.as_ref()).await?;
        if name.is_none() && command.entries.iter().any(|(entry, _)| entry.is_shared()) {
            // §3.3: what all users would see nobody of them sets.
            return Err(Status::no("What is shared by all users of the server can't be set by one").into());
        }
        if command.entries.iter().any(|(_, value)| value.as_ref().is_some_and(|v| v.len() > MAX_SIZE)) {
            let status = Status::no(format!("A value can have {MAX_SIZE} bytes at most"));
            return Err(status.code(Code::MetadataMaxSize(MAX_SIZE as u64)).into());
        }
        let is_search = |(entry, value): &(EntryName, Option<Vec<u8>>)| may_be_kept(entry, value.as_deref());
        if name.is_none() && !command.entries.iter().all(is_search) {
            return Err(Status::no("A filter is a search, as it stands in SEARCH").into());
        }
        let changes: AnnotationChanges =
            command.entries.into_iter().map(|(entry, value)| (entry.as_str().to_owned(), value)).collect();
        match self.services.store.annotate(self.services.env.op(), of, &changes).await {
            Ok(()) => {
                changes.keys().for_each(|entry| self.own_annotation(of, entry));
                Ok(Status::ok("Annotations set"))
            }
            Err(StoreError::LimitReached(_)) => {
                let status = Status::no("That were too many annotations, or too much in them");
                Err(status.code(Code::MetadataTooMany).into())
            }
            Err(e) => Err(e.into()),
        }
    }

    /// RFC 9590: a mailbox's annotations, as it is listed.
    pub(super) async fn list_metadata(
        &self,
        at: MailboxRef,
        name: &MailboxName,
        entries: &[EntryName],
        wire: &mut Wire,
    ) -> Result<(), Fail> {
        match self.services.store.annotations(Annotated::Mailbox(at)).await {
            Ok(all) => {
                let values = &chosen(&all, entries, Depth::Zero);
                wire.untagged(&Untagged::Metadata { name: Some(name), values });
                Ok(())
            }
            // Deleted since it was listed.
            Err(StoreError::NotFound(Subject::Mailbox)) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// What a command is about, and the mailbox's name if it is one.
    async fn annotated(
        &self,
        mailbox: Option<&MailboxArg>,
    ) -> Result<(Annotated, Option<MailboxName>), Fail> {
        let account = self.authenticated()?;
        let Some(mailbox) = mailbox else { return Ok((Annotated::Account(account), None)) };
        let found = self.services.store.mailbox_by_name(account, named(mailbox)?).await?;
        let at = MailboxRef { account, mailbox: found.id };
        Ok((Annotated::Mailbox(at), Some(found.name)))
    }
}

/// The annotations that are asked for, each once.
fn chosen<'a>(all: &'a Annotations, entries: &'a [EntryName], depth: Depth) -> Told<'a> {
    let mut told = Told::new();
    for entry in entries {
        let entry = entry.as_str();
        match all.get(entry) {
            Some(value) => _ = told.insert(entry, Some(value.as_slice())),
            None if depth == Depth::Zero => _ = told.insert(entry, None),
            None => {}
        }
        let below = all.iter().filter(|(name, _)| {
            let rest = name.strip_prefix(entry).and_then(|rest| rest.strip_prefix('/'));
            match depth {
                Depth::Zero => false,
                Depth::One => rest.is_some_and(|rest| !rest.contains('/')),
                Depth::Infinity => rest.is_some(),
            }
        });
        told.extend(below.map(|(name, value)| (name.as_str(), Some(value.as_slice()))));
    }
    told
}
