//! LIST and LSUB.

use super::matcher::Matcher;
use super::{Outcome, Session};
use crate::imap::encode::{ListEntry, Status, Untagged, special_use};
use crate::imap::mutf7;
use crate::imap::types::{ListCommand, ListPattern, ListReturn};
use crate::imap::wire::Wire;
use gadwall_storage::{Mailbox, MailboxName};
use std::collections::BTreeSet;

impl Session {
    /// RFC 3501 §6.3.8, with the options of RFC 5258 and RFC 6154 that need no more than a look at a mailbox.
    pub(super) async fn list(&mut self, command: &ListCommand, wire: &mut Wire) -> Outcome {
        let account = self.authenticated()?;
        if command.patterns.iter().all(|p| p.0.is_empty()) {
            // §6.3.8: an empty pattern asks for the delimiter.
            wire.untagged(&Untagged::List(&ListEntry { name: "", attributes: vec!["\\Noselect"] }));
            return Ok(Status::ok("Listed"));
        }
        let mailboxes = self.services.store.mailboxes(account).await?;
        let matchers = matchers(&command.reference, &command.patterns);
        let only = |option: &str| command.select.iter().any(|s| s == option);
        for mailbox in &mailboxes {
            let wanted = matchers.iter().any(|m| m.matches(mailbox.name.as_str()))
                && (!only("SUBSCRIBED") || mailbox.subscribed)
                && (!only("SPECIAL-USE") || mailbox.special_use.is_some());
            if !wanted {
                continue;
            }
            let mut attributes = vec![children(mailbox, &mailboxes)];
            attributes.extend(mailbox.special_use.map(special_use));
            if mailbox.subscribed && (only("SUBSCRIBED") || command.returns.contains(&ListReturn::Subscribed))
            {
                attributes.push("\\Subscribed");
            }
            wire.untagged(&Untagged::List(&ListEntry { name: mailbox.name.as_str(), attributes }));
            for option in &command.returns {
                if let ListReturn::Status(items) = option {
                    wire.untagged(&Untagged::Status { name: &mailbox.name, mailbox, items });
                }
            }
            wire.relieve().await?;
        }
        Ok(Status::ok("Listed"))
    }

    /// RFC 3501 §6.3.9.
    pub(super) async fn lsub(&mut self, reference: &[u8], pattern: &ListPattern, wire: &mut Wire) -> Outcome {
        let account = self.authenticated()?;
        let subscribed = self.services.store.subscriptions(account).await?;
        let matchers = matchers(reference, std::slice::from_ref(pattern));
        let matches = |name: &MailboxName| matchers.iter().any(|m| m.matches(name.as_str()));
        // §6.3.9: with `%`, the parent of a subscribed name is listed as \Noselect when it isn't subscribed itself.
        let parents: BTreeSet<MailboxName> = subscribed
            .iter()
            .filter(|name| !matches(name))
            .flat_map(|name| std::iter::successors(name.parent(), MailboxName::parent))
            .filter(|parent| matches(parent) && subscribed.binary_search(parent).is_err())
            .collect();
        for name in &parents {
            let entry = ListEntry { name: name.as_str(), attributes: vec!["\\Noselect"] };
            wire.untagged(&Untagged::Lsub(&entry));
        }
        for name in subscribed.iter().filter(|name| matches(name)) {
            wire.untagged(&Untagged::Lsub(&ListEntry { name: name.as_str(), attributes: Vec::new() }));
            wire.relieve().await?;
        }
        Ok(Status::ok("Listed"))
    }
}

fn matchers(reference: &[u8], patterns: &[ListPattern]) -> Vec<Matcher> {
    let reference = mutf7::decode(reference).unwrap_or_else(|_| "\0".into());
    patterns.iter().map(|pattern| Matcher::new(&reference, &pattern.0)).collect()
}

/// RFC 3348. Names are sorted, but `a-b` comes between `a` and `a/b`: so it is not simply the next one.
fn children(mailbox: &Mailbox, all: &[Mailbox]) -> &'static str {
    let below = format!("{}{}", mailbox.name, MailboxName::DELIMITER);
    let at = all.partition_point(|other| other.name.as_str() < below.as_str());
    match all.get(at) {
        Some(next) if next.name.is_below(&mailbox.name) => "\\HasChildren",
        _ => "\\HasNoChildren",
    }
}
