//! The account as a client that uses NOTIFY knows it, and what has become another since.

use super::names;
use crate::imap::types::{EventGroup, Source};
use gadwall_storage::{
    AccountId, Annotated, MailStore, Mailbox, MailboxId, MailboxName, MailboxRef, StoreError, Subject,
};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Mailboxes whose annotations are watched: each is a look of its own.
const MOST_ANNOTATED: usize = 200;

/// How much may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    Messages,
    /// Annotations as well.
    All,
}

/// The account as the client knows it.
#[derive(Default)]
pub struct Known {
    /// Sorted by name; without their keywords.
    pub mailboxes: Vec<Mailbox>,
    /// Sorted; only if anything depends on them.
    pub subscriptions: Vec<MailboxName>,
    /// Those that are watched, each with a digest of its value; `None` is the account.
    pub annotations: BTreeMap<Option<MailboxId>, BTreeMap<String, u64>>,
}

/// What this session has done itself since the last look, and is not told of (§5).
#[derive(Default)]
pub struct Own {
    pub names: BTreeSet<MailboxName>,
    pub subscriptions: BTreeSet<MailboxName>,
    pub annotations: BTreeSet<(Option<MailboxId>, String)>,
}

impl Known {
    /// The account as it is; what can't have changed since is taken from what was known. `None` if that were too much.
    pub async fn read(
        store: &dyn MailStore,
        account: AccountId,
        groups: &[EventGroup],
        before: Option<(&Known, Depth)>,
    ) -> Result<Option<Known>, StoreError> {
        if groups.is_empty() {
            return Ok(Some(Known::default()));
        }
        let of_subscribed =
            |group: &EventGroup| group.events.subscriptions || group.source == Source::Subscribed;
        let subscriptions = match groups.iter().any(of_subscribed) {
            true => store.subscriptions(account).await?,
            false => Vec::new(),
        };
        let mut mailboxes = store.mailboxes(account).await?;
        mailboxes.iter_mut().for_each(|mailbox| mailbox.keywords.clear());
        let mut known = Known { mailboxes, subscriptions, annotations: BTreeMap::new() };
        let watched: Vec<Annotated> = known.annotated(account, groups).collect();
        if watched.len() > MOST_ANNOTATED {
            return Ok(None);
        }
        for of in watched {
            let kept = before.filter(|(_, depth)| *depth < Depth::All);
            let digests = match kept.and_then(|(known, _)| known.annotations.get(&mailbox_of(of))) {
                Some(digests) => digests.clone(),
                None => match store.annotations(of).await {
                    Ok(all) => all.into_iter().map(|(name, value)| (name, digest(&value))).collect(),
                    // Gone since it was listed.
                    Err(StoreError::NotFound(Subject::Mailbox)) => continue,
                    Err(error) => return Err(error),
                },
            };
            known.annotations.insert(mailbox_of(of), digests);
        }
        Ok(Some(known))
    }

    /// What has annotations that are watched.
    fn annotated<'a>(
        &'a self,
        account: AccountId,
        groups: &'a [EventGroup],
    ) -> impl Iterator<Item = Annotated> + 'a {
        let of_server = groups.iter().any(|group| group.events.server_metadata);
        let watched = move |mailbox: &&Mailbox| {
            let mut of_mailboxes = groups.iter().filter(|group| group.events.metadata);
            of_mailboxes.any(|group| names(&group.source, &mailbox.name, &self.subscriptions))
        };
        let at = move |mailbox: &Mailbox| MailboxRef { account, mailbox: mailbox.id };
        let mailboxes = self.mailboxes.iter().filter(watched);
        let mailboxes = mailboxes.map(move |mailbox| Annotated::Mailbox(at(mailbox)));
        of_server.then_some(Annotated::Account(account)).into_iter().chain(mailboxes)
    }

    pub fn named(&self, name: &MailboxName) -> Option<&Mailbox> {
        let at = self.mailboxes.binary_search_by(|mailbox| mailbox.name.cmp(name)).ok()?;
        self.mailboxes.get(at)
    }

    /// The mailbox as it was known; it may have had another name.
    pub fn same(&self, mailbox: &Mailbox) -> Option<&Mailbox> {
        let is = |known: &&Mailbox| known.id == mailbox.id;
        self.named(&mailbox.name).filter(is).or_else(|| self.mailboxes.iter().find(is))
    }

    fn by_id(&self) -> BTreeMap<MailboxId, &MailboxName> {
        self.mailboxes.iter().map(|mailbox| (mailbox.id, &mailbox.name)).collect()
    }

    /// Names that have come, gone or changed, with the old one where it is the same mailbox (§5.4).
    pub fn affected(&self, before: &Known, own: &Own) -> BTreeMap<MailboxName, Option<MailboxName>> {
        let (old, new) = (before.by_id(), self.by_id());
        let mut affected = BTreeMap::new();
        let came = new.iter().filter(|(id, _)| !old.contains_key(id));
        let went = old.iter().filter(|(id, _)| !new.contains_key(id));
        for (_, name) in came.chain(went).filter(|(_, name)| !own.names.contains(**name)) {
            // Its parent has got or lost a child.
            let parent = name.parent().filter(|parent| !own.names.contains(parent));
            let names = [Some((*name).clone()), parent].into_iter().flatten();
            affected.extend(names.map(|name| (name, None)));
        }
        // What moves along with its parent is not told of.
        let moves_along = |from: &MailboxName, to: &MailboxName| {
            let mut parents = std::iter::successors(from.parent(), MailboxName::parent);
            parents.any(|parent| {
                let renamed = before.named(&parent).and_then(|mailbox| new.get(&mailbox.id));
                renamed.is_some_and(|now| **now != parent && from.rebased(&parent, now).as_ref() == Some(to))
            })
        };
        for (id, to) in &new {
            if let Some(from) = old.get(id)
                && from != to
                && !own.names.contains(*to)
                && !moves_along(from, to)
            {
                affected.insert((*to).clone(), Some((*from).clone()));
            }
        }
        affected
    }
}

pub fn mailbox_of(of: Annotated) -> Option<MailboxId> {
    match of {
        Annotated::Account(_) => None,
        Annotated::Mailbox(at) => Some(at.mailbox),
    }
}

fn digest(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
