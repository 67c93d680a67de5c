//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 §6.3).

use super::{Outcome, Session, named};
use crate::imap::encode::{Code, ListEntry, Status, Untagged};
use crate::imap::types::MailboxArg;
use crate::imap::wire::Wire;
use gadwall_storage::{Annotated, MailboxName, MailboxRef, SpecialUse, StoreError, Subscribed, UidSet};

impl Session {
    pub(super) async fn create(
        &mut self,
        mailbox: &MailboxArg,
        special_use: &[Option<SpecialUse>],
        wire: &mut Wire,
    ) -> Outcome {
        let account = self.authenticated()?;
        let name = named(mailbox)?;
        let role = match special_use {
            [] => None,
            [Some(one)] => Some(*one),
            // RFC 6154 §3: a use that can't be given is a NO with USEATTR.
            [None] => return Err(Status::no("No such special use here").code(Code::UseAttr).into()),
            _ => return Err(Status::no("A mailbox has one special use at most").code(Code::UseAttr).into()),
        };
        if name.is_inbox() {
            return Err(Status::no("INBOX is always there").code(Code::AlreadyExists).into());
        }
        let made = self.services.store.create_mailbox(self.services.env.op(), account, name, role).await?;
        self.own_name(name);
        self.tell_name(name, mailbox.supplied(), None, wire);
        Ok(Status::ok("Mailbox created").code(Code::MailboxId(made.id)))
    }

    pub(super) async fn delete(&mut self, mailbox: &MailboxArg, wire: &mut Wire) -> Outcome {
        let account = self.authenticated()?;
        let name = named(mailbox)?;
        let store = &self.services.store;
        let found = store.mailbox_by_name(account, name).await?;
        let at = MailboxRef { account, mailbox: found.id };
        match store.delete_mailbox(self.services.env.op(), at).await {
            Ok(()) => {
                self.own_name(name);
                self.tell_name(name, mailbox.supplied(), Some("\\NonExistent"), wire);
                Ok(Status::ok("Mailbox deleted"))
            }
            // RFC 9051 §7.1 HASCHILDREN.
            Err(StoreError::NotPermitted(why)) if !name.is_inbox() => {
                Err(Status::no(format!("Not deleted: {why}")).code(Code::HasChildren).into())
            }
            Err(e) => Err(e.into()),
        }
    }

    pub(super) async fn rename(&mut self, from: &MailboxArg, to: &MailboxArg, wire: &mut Wire) -> Outcome {
        let account = self.authenticated()?;
        let old_name = match (from.supplied(), to.supplied()) {
            (None, None) => None,
            (supplied, _) => Some(supplied.unwrap_or(named(from)?.as_str())),
        };
        let (from, to) = (named(from)?, named(to)?);
        let store = self.services.store.clone();
        let env = &self.services.env;
        let found = store.mailbox_by_name(account, from).await?;
        let at = MailboxRef { account, mailbox: found.id };
        if !from.is_inbox() {
            store.rename_mailbox(env.op(), at, to).await?;
            self.own_name(to);
            self.tell_name(to, old_name, None, wire);
            return Ok(Status::ok("Mailbox renamed"));
        }
        // RFC 3501 §6.3.5: renaming INBOX moves its messages and leaves it empty; its children stay where they are.
        let target = store.create_mailbox(env.op(), account, to, None).await?;
        // RFC 5464 §4.1: INBOX keeps its annotations, and the other one has them too.
        let annotations = store.annotations(Annotated::Mailbox(at)).await?;
        if !annotations.is_empty() {
            let of = Annotated::Mailbox(MailboxRef { account, mailbox: target.id });
            let changes = annotations.into_iter().map(|(name, value)| (name, Some(value))).collect();
            store.annotate(env.op(), of, &changes).await?;
        }
        let moved = store.move_messages(env.op(), at, &UidSet::all(), target.id).await?;
        self.own_name(to);
        let uids: Vec<_> = moved.pairs.iter().map(|(_, uid)| *uid).collect();
        self.own_messages(target.id, &uids, moved.modseq);
        Ok(Status::ok("Messages of INBOX moved"))
    }

    /// RFC 9051 §6.3.4 and on: a client that named a mailbox by another name than it has is told of both.
    pub(super) fn tell_name(
        &self,
        name: &MailboxName,
        old_name: Option<&str>,
        attribute: Option<&'static str>,
        wire: &mut Wire,
    ) {
        if self.rev2 && old_name.is_some() {
            let attributes = attribute.into_iter().collect();
            let entry = ListEntry { name: name.as_str(), attributes, has_subscribed_below: false, old_name };
            wire.untagged(&Untagged::List(&entry));
        }
    }

    pub(super) async fn subscribe(&mut self, mailbox: &MailboxArg) -> Outcome {
        self.set_subscribed(mailbox, Subscribed::Yes).await?;
        Ok(Status::ok("Subscribed"))
    }

    pub(super) async fn unsubscribe(&mut self, mailbox: &MailboxArg) -> Outcome {
        self.set_subscribed(mailbox, Subscribed::No).await?;
        Ok(Status::ok("Unsubscribed"))
    }

    async fn set_subscribed(&mut self, mailbox: &MailboxArg, to: Subscribed) -> Result<(), super::Fail> {
        let account = self.authenticated()?;
        let (name, op) = (named(mailbox)?, self.services.env.op());
        self.services.store.set_subscribed(op, account, name, to).await?;
        self.own_subscription(name);
        Ok(())
    }
}
