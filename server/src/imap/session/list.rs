//! LIST (RFC 3501 §6.3.8, RFC 5258) and LSUB.

use super::matcher::Matcher;
use super::{Outcome, Session};
use crate::imap::encode::{ListEntry, Status, Untagged, special_use};
use crate::imap::mutf7;
use crate::imap::types::{ListCommand, ListPattern, ListReturn, ListSelect, Text};
use crate::imap::wire::Wire;
use gadwall_storage::{Mailbox, MailboxName, MailboxRef, StoreError, Subject};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

impl Session {
    /// RFC 3501 §6.3.8, RFC 5258, RFC 5819, RFC 6154.
    pub(super) async fn list(&mut self, command: &ListCommand, wire: &mut Wire) -> Outcome {
        let account = self.authenticated()?;
        if !command.extended && command.patterns.iter().all(|p| p.0.is_empty()) {
            // §6.3.8: an empty pattern asks for the delimiter.
            wire.untagged(&Untagged::List(&entry("", vec!["\\Noselect"])));
            return Ok(Status::ok("Listed"));
        }
        // Before the mailboxes: one that is made and subscribed meanwhile must not look as if it didn't exist.
        let subscriptions = match command.select.contains(&ListSelect::Subscribed) {
            true => self.services.store.subscriptions(account).await?,
            false => Vec::new(),
        };
        let mailboxes = self.services.store.mailboxes(account).await?;
        let matchers = matchers(&command.reference, &command.patterns, wire.decoder.text());
        let matches = |name: &MailboxName| matchers.iter().any(|m| m.matches(name.as_str()));
        let names = Names::new(command, &mailboxes, &subscriptions);
        let tells_subscribed = command.returns.contains(&ListReturn::Subscribed);
        // RFC 5258 §3: an option that is given twice counts once.
        let status = command.returns.iter().find_map(|option| match option {
            ListReturn::Status(items) => Some(items),
            _ => None,
        });
        let metadata = command.returns.iter().find_map(|option| match option {
            ListReturn::Metadata(entries) => Some(entries),
            _ => None,
        });
        for (name, mailbox) in &names.all {
            let name = name.as_ref();
            if !matches(name) {
                continue;
            }
            let is_selected = names.selected.binary_search(&name).is_ok();
            let below = names.selected_below(name);
            // RFC 5258 §3.3: else it is told only if what is selected below it is not listed itself.
            if !is_selected && below.iter().all(|other| matches(other)) {
                continue;
            }
            let mut attributes = attributes(name, *mailbox, &mailboxes);
            if subscriptions.binary_search(name).is_ok()
                || tells_subscribed && mailbox.is_some_and(|mailbox| mailbox.subscribed)
            {
                attributes.push("\\Subscribed");
            }
            let entry =
                ListEntry { has_subscribed_below: !below.is_empty(), ..entry(name.as_str(), attributes) };
            wire.untagged(&Untagged::List(&entry));
            // RFC 5819 §2: no STATUS of what can't be selected.
            if let (Some(items), Some(mailbox)) = (status, mailbox) {
                let append_limit = self.services.limits.message_bytes;
                // Gone in between: what an expunge would free is nothing.
                let deleted_bytes = match self.deleted_bytes(account, mailbox, items).await {
                    Err(StoreError::NotFound(Subject::Mailbox)) => 0,
                    told => told?,
                };
                wire.untagged(&Untagged::Status { name, mailbox, items, append_limit, deleted_bytes });
            }
            if let (Some(entries), Some(mailbox)) = (metadata, mailbox) {
                let at = MailboxRef { account, mailbox: mailbox.id };
                self.list_metadata(at, name, entries, wire).await?;
            }
            wire.relieve().await?;
        }
        Ok(Status::ok("Listed"))
    }

    /// RFC 3501 §6.3.9.
    pub(super) async fn lsub(&mut self, reference: &[u8], pattern: &ListPattern, wire: &mut Wire) -> Outcome {
        let account = self.authenticated()?;
        let subscribed = self.services.store.subscriptions(account).await?;
        let matchers = matchers(reference, std::slice::from_ref(pattern), wire.decoder.text());
        let matches = |name: &MailboxName| matchers.iter().any(|m| m.matches(name.as_str()));
        // §6.3.9: with `%`, the parent of a subscribed name is listed as \Noselect when it isn't subscribed itself.
        let parents: BTreeSet<MailboxName> = subscribed
            .iter()
            .filter(|name| !matches(name))
            .flat_map(|name| std::iter::successors(name.parent(), MailboxName::parent))
            .filter(|parent| matches(parent) && subscribed.binary_search(parent).is_err())
            .collect();
        for name in &parents {
            wire.untagged(&Untagged::Lsub(&entry(name.as_str(), vec!["\\Noselect"])));
        }
        for name in subscribed.iter().filter(|name| matches(name)) {
            wire.untagged(&Untagged::Lsub(&entry(name.as_str(), Vec::new())));
            wire.relieve().await?;
        }
        Ok(Status::ok("Listed"))
    }
}

/// RFC 9051 §6.3.2: SELECT tells its mailbox's name, and by which one the client called it. `all`: the account's mailboxes.
pub(super) fn tell_selected(mailbox: &Mailbox, all: &[Mailbox], supplied: Option<&str>, wire: &mut Wire) {
    let mut attributes = attributes(&mailbox.name, Some(mailbox), all);
    attributes.extend(mailbox.subscribed.then_some("\\Subscribed"));
    let entry = ListEntry { old_name: supplied, ..entry(mailbox.name.as_str(), attributes) };
    wire.untagged(&Untagged::List(&entry));
}

/// The names a LIST chooses from.
struct Names<'a> {
    /// All that may be listed, with the mailbox where there is one.
    all: BTreeMap<Cow<'a, MailboxName>, Option<&'a Mailbox>>,
    /// Those that are what the selection options ask for, in order.
    selected: Vec<&'a MailboxName>,
    is_recursive: bool,
}

impl<'a> Names<'a> {
    fn new(command: &ListCommand, mailboxes: &'a [Mailbox], subscriptions: &'a [MailboxName]) -> Self {
        let asks = |option| command.select.contains(&option);
        let mut known: BTreeMap<&MailboxName, Option<&Mailbox>> =
            subscriptions.iter().map(|name| (name, None)).collect();
        known.extend(mailboxes.iter().map(|mailbox| (&mailbox.name, Some(mailbox))));
        let is_selected = |name, mailbox: Option<&Mailbox>| {
            (!asks(ListSelect::Subscribed) || subscriptions.binary_search(name).is_ok())
                && (!asks(ListSelect::SpecialUse) || mailbox.is_some_and(|m| m.special_use.is_some()))
        };
        let selected: Vec<&MailboxName> = known
            .iter()
            .filter(|(name, mailbox)| is_selected(name, **mailbox))
            .map(|(name, _)| *name)
            .collect();
        let mut all: BTreeMap<_, _> =
            known.into_iter().map(|(name, mailbox)| (Cow::Borrowed(name), mailbox)).collect();
        let is_recursive = asks(ListSelect::RecursiveMatch);
        if is_recursive {
            let above = selected.iter().flat_map(|n| std::iter::successors(n.parent(), MailboxName::parent));
            above.for_each(|name| _ = all.entry(Cow::Owned(name)).or_insert(None));
        }
        Names { all, selected, is_recursive }
    }

    /// What is selected below a name, as far as that is asked for.
    fn selected_below(&self, name: &MailboxName) -> &[&'a MailboxName] {
        if !self.is_recursive {
            return &[];
        }
        let from = first_below(&self.selected, name, |other| other);
        let count = self.selected[from..].iter().take_while(|other| other.is_below(name)).count();
        &self.selected[from..from + count]
    }
}

fn entry<'a>(name: &'a str, attributes: Vec<&'static str>) -> ListEntry<'a> {
    ListEntry { name, attributes, has_subscribed_below: false, old_name: None }
}

fn matchers(reference: &[u8], patterns: &[ListPattern], names: Text) -> Vec<Matcher> {
    let reference = mutf7::from_wire(reference, names).unwrap_or_else(|_| "\0".into());
    patterns.iter().map(|pattern| Matcher::new(&reference, &pattern.0)).collect()
}

/// What a mailbox is, or that it is none.
pub(super) fn attributes(
    name: &MailboxName,
    mailbox: Option<&Mailbox>,
    all: &[Mailbox],
) -> Vec<&'static str> {
    let mut attributes: Vec<_> = mailbox.is_none().then_some("\\NonExistent").into_iter().collect();
    attributes.push(children(name, all));
    attributes.extend(mailbox.and_then(|mailbox| mailbox.special_use).map(special_use));
    attributes
}

/// RFC 3348.
fn children(name: &MailboxName, all: &[Mailbox]) -> &'static str {
    match all.get(first_below(all, name, |mailbox| &mailbox.name)) {
        Some(next) if next.name.is_below(name) => "\\HasChildren",
        _ => "\\HasNoChildren",
    }
}

/// Where what is below a name begins. Names are sorted, but `a-b` comes between `a` and `a/b`: so it is not simply the
/// next one.
fn first_below<T>(sorted: &[T], name: &MailboxName, name_of: impl Fn(&T) -> &MailboxName) -> usize {
    let below = format!("{name}{}", MailboxName::DELIMITER);
    sorted.partition_point(|other| name_of(other).as_str() < below.as_str())
}
