//! Whether somebody may have asked for a message to go: the lawful explanations of its absence.

use super::index::Known;
use super::log::{Key, Log, Op, Place};
use crate::history::*;

impl<'a> Log<'a> {
    /// Whether anything that began before `upto` may have removed the message by then.
    pub fn may_be_gone(&self, key: Key<'a>, upto: usize) -> bool {
        self.may_be_gone_but(key, upto, None)
    }

    /// The same, leaving one operation out of account.
    pub fn may_be_gone_but(&self, key: Key<'a>, upto: usize, but: Option<OpNo>) -> bool {
        self.removals(key).any(|op| op.invoked < upto && Some(op.no) != but)
            || self.mailbox_may_be_gone(key.place, upto)
            || self.may_have_expired(key, upto)
    }

    /// Operations that were not refused and may have removed this message by its UID.
    pub fn removals<'b>(&'b self, key: Key<'a>) -> impl Iterator<Item = &'b Op<'a>> {
        let targets = self.index.known(key).map_or(&[][..], |known| &known.targets);
        let removes = |op: &&Op| op.may() && matches!(op.call, Call::Move { .. } | Call::Expunge { .. });
        targets.iter().map(|&at| &self.ops[at]).filter(removes)
    }

    /// Deletions and renames of mailboxes, in order of invocation.
    fn unmade<'b>(&'b self) -> impl Iterator<Item = &'b Op<'a>> {
        self.index.unmade.iter().map(|&at| &self.ops[at])
    }

    /// Whether the whole mailbox may have been deleted, or emptied by renaming INBOX.
    pub fn mailbox_may_be_gone(&self, place: Place<'a>, upto: usize) -> bool {
        // A deletion that was over when the mailbox was still seen was one of a mailbox of the same name.
        let alive = self.index.alive.get(&place).copied().unwrap_or_default();
        self.unmade().take_while(|op| op.invoked < upto).any(|op| match op.call {
            Call::Delete { login, mailbox } => {
                op.may()
                    && !op.settled_before(alive)
                    && login == place.login
                    && self.index.named(place, mailbox)
            }
            Call::Rename { login, from, .. } => {
                op.may() && from == "INBOX" && login == place.login && self.index.named(place, from)
            }
            _ => false,
        })
    }

    /// Whether a message of this attempt that nobody has named may have been removed: an operation took a UID whose
    /// attempt nobody knows, from a mailbox of that name.
    pub fn unnamed_may_be_gone(&self, login: &str, name: &str, attempt: Attempt, upto: usize) -> bool {
        let takes = |known: &Known| {
            known.attempt().is_none()
                && known.targets.iter().any(|&at| {
                    let op = &self.ops[at];
                    op.may()
                        && op.invoked < upto
                        && matches!(op.call, Call::Move { .. } | Call::Expunge { .. })
                })
        };
        let untold = |uid: &Uid| {
            let mut places = self.index.places(login, name).peekable();
            places.peek().is_none()
                || places.any(|place| self.index.attempt(Key { place, uid: *uid }).is_none())
        };
        let by_name = self.index.by_name.iter().any(|&at| {
            let op = &self.ops[at];
            let Call::Expunge { login: l, mailbox, uids, .. } = op.call else { return false };
            l == login && mailbox == name && op.may() && op.invoked < upto && uids.iter().any(untold)
        });
        // A mailbox that nobody has looked into may have been deleted as well.
        let deleted = self.unmade().any(|op| {
            let at = match op.call {
                Call::Delete { login, mailbox } => (login, mailbox),
                Call::Rename { login, from, .. } => (login, from),
                _ => return false,
            };
            op.may()
                && op.invoked < upto
                && at.0 == login
                && (at.1 == name || name.starts_with(at.1.as_str()))
        });
        by_name
            || deleted
            || self.index.places(login, name).any(|place| {
                self.mailbox_may_be_gone(place, upto)
                    || self.index.messages.get(&place).is_some_and(|all| all.values().any(takes))
            })
            || self.attempt_may_have_expired(login, Some(attempt), upto)
    }
}

/// Messages that have to be gone once this operation is acknowledged.
pub fn removed<'a>(log: &Log<'a>, op: &Op<'a>) -> Vec<Key<'a>> {
    let Some((_, reply)) = op.reply() else { return Vec::new() };
    let (login, place, uids): (&str, _, _) = match op.call {
        Call::Move { login, validity, uids, .. } => (login, Some(*validity), uids),
        Call::Expunge { login, validity: Some(validity), uids, .. } => (login, Some(*validity), uids),
        Call::Expunge { login, mailbox, uids, .. } => {
            // Told by name only: no more than one mailbox may have had it.
            let mut places = log.index.places(login, mailbox);
            let only = places.next().filter(|_| places.next().is_none());
            (login, only.map(|p| p.validity), uids)
        }
        _ => return Vec::new(),
    };
    let Some(validity) = place else { return Vec::new() };
    // RFC 4315 §2.1: UID EXPUNGE takes only what has \Deleted; what it took stands in the reply.
    let took = |uid: &Uid| !matches!(reply, Reply::Expunged { uids } if !uids.contains(uid));
    uids.iter().copied().filter(took).map(|uid| Key { place: Place { login, validity }, uid }).collect()
}
