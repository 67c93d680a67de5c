//! Read your writes: what was asked for after an acknowledgement reflects it, on every node and by every protocol.

use super::Finding;
use super::log::{Key, Log, Op, Place};
use super::removal::removed;
use super::uid::above;
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

pub fn check(log: &Log) -> Vec<Finding> {
    [present(log), submitted(log), gone(log), elsewhere(log), mailboxes(log)].concat()
}

/// Messages whose UID was told, in IMAP listings asked for afterwards.
fn present(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (&key, absence) in &log.absences {
        let (Some(missed), Some(known)) = (absence.missed, log.index.known(key)) else { continue };
        // What was shown before belongs to `expunged`.
        if known.shown.is_none_or(|ix| ix > missed) && !log.may_be_gone(key, missed) {
            let text = format!(
                "{} does not find {key}, which was acknowledged at {}",
                log.who(missed),
                log.at(known.first)
            );
            findings.push(Finding::new("read your writes", text, [known.first, missed]));
        }
    }
    findings
}

/// Mail whose UID was not told: the first listing that was asked for afterwards and has nothing of it.
fn submitted(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for op in &log.ops {
        let Some((end, Reply::Done)) = op.reply() else { continue };
        let (logins, name, attempt) = match op.call {
            Call::Submit { to, attempt } => (to.iter().collect(), "INBOX", *attempt),
            Call::Append { login, mailbox, attempt, .. } => (vec![login], mailbox.as_str(), *attempt),
            _ => continue,
        };
        for login in logins {
            if let Some(ix) = first_without(log, end, (login, name), attempt) {
                let text = format!(
                    "{} finds no {attempt:?} in {name} of {login}, where operation {} was acknowledged at {}",
                    log.who(ix),
                    op.no,
                    log.at(end)
                );
                findings.push(Finding::new("read your writes", text, [op.invoked, end, ix]));
            }
        }
    }
    findings
}

fn first_without(log: &Log, end: usize, (login, name): (&str, &str), attempt: Attempt) -> Option<usize> {
    let places: Vec<Place> = log.index.places(login, name).collect();
    // Two mailboxes of one name after another: which of them it went to is not known.
    let [place] = places[..] else { return None };
    let messages = log.index.messages.get(&place);
    let its: Vec<Uid> = messages
        .into_iter()
        .flatten()
        .filter(|(_, known)| known.attempt().is_none_or(|a| a == attempt))
        .map(|(&uid, _)| uid)
        .collect();
    let listings = log.listings.get(&place)?;
    let listing = listings.iter().find(|l| l.from > end && !its.iter().any(|&uid| l.has(uid)))?;
    let excused = its.iter().any(|&uid| log.may_be_gone(Key { place, uid }, listing.ix));
    (!excused && !log.unnamed_may_be_gone(login, name, attempt, listing.ix)).then_some(listing.ix)
}

/// What was expunged or moved away is shown to nobody who asks afterwards.
fn gone(log: &Log) -> Vec<Finding> {
    let mut when: BTreeMap<Key, &Op> = BTreeMap::new();
    for op in log.ops.iter().filter(|op| op.reply().is_some()) {
        for key in removed(log, op) {
            let first = when.entry(key).or_insert(op);
            if op.reply().map(|(end, _)| end) < first.reply().map(|(end, _)| end) {
                *first = op;
            }
        }
    }
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for s in &log.shown {
        let Some(op) = when.get(&s.key) else { continue };
        let Some((end, _)) = op.reply().filter(|(end, _)| *end < s.from) else { continue };
        if told.insert(s.key) {
            let text = format!(
                "{} is shown {}, though operation {} that removed it was acknowledged at {}",
                log.who(s.ix),
                s.key,
                op.no,
                log.at(end)
            );
            findings.push(Finding::new("read your writes", text, [op.invoked, end, s.ix]));
        }
    }
    findings
}

/// POP3 and the web have what IMAP clients were told of.
fn elsewhere(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for s in &log.seen {
        let (login, name, listed): (&str, &str, BTreeSet<(UidValidity, Uid)>) = match s.sight {
            Sight::Maildrop { login, messages, .. } => (login, "INBOX", messages.iter().copied().collect()),
            Sight::Web { login, mailbox, page, .. } => {
                let places: Vec<Place> = log.index.places(login, mailbox).collect();
                let [place] = places[..] else { continue };
                (login, mailbox, page.uids.iter().map(|&uid| (place.validity, uid)).collect())
            }
            _ => continue,
        };
        let covered = |uid| match s.sight {
            Sight::Web { page, .. } => page.covers(uid),
            _ => true,
        };
        let places: Vec<Place> = log.index.places(login, name).collect();
        let [place] = places[..] else { continue };
        for (&uid, known) in log.index.messages.get(&place).into_iter().flatten() {
            let missing = known.first < s.from && covered(uid) && !listed.contains(&(place.validity, uid));
            let key = Key { place, uid };
            if missing && !log.may_be_gone(key, s.ix) {
                let text = format!(
                    "{} does not find {key} there, known since {}",
                    log.who(s.ix),
                    log.at(known.first)
                );
                findings.push(Finding::new("read your writes", text, [known.first, s.ix]));
            }
        }
    }
    findings
}

/// LIST has what was made, and not what was deleted.
fn mailboxes(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lists: Vec<_> = log
        .seen
        .iter()
        .filter_map(|s| match s.sight {
            Sight::Mailboxes { login, names, .. } => Some((s, login.as_str(), names)),
            _ => None,
        })
        .collect();
    for op in &log.ops {
        let Some((end, _)) = op.reply() else { continue };
        let (login, made, unmade) = match op.call {
            Call::Create { login, mailbox } => (login, Some(mailbox), None),
            Call::Delete { login, mailbox } => (login, None, Some(mailbox)),
            Call::Rename { login, from, to } => (login, Some(to), Some(from).filter(|from| *from != "INBOX")),
            _ => continue,
        };
        for (name, wanted) in made.map(|n| (n, true)).into_iter().chain(unmade.map(|n| (n, false))) {
            let wrong = lists.iter().find(|(s, l, names)| {
                *l == login
                    && s.from > end
                    && names.contains(name) != wanted
                    && !touched(log, op, (login, name, wanted), s.ix)
            });
            let Some((s, ..)) = wrong else { continue };
            let what = if wanted { "no" } else { "still a" };
            let text = format!(
                "{} finds {what} mailbox {name} of {login}, though operation {} was acknowledged at {}",
                log.who(s.ix),
                op.no,
                log.at(end)
            );
            findings.push(Finding::new("read your writes", text, [op.invoked, end, s.ix]));
        }
    }
    findings
}

/// Whether another operation, not over when this one began, may have unmade the mailbox that is `wanted`, or made
/// the one that is not.
fn touched(log: &Log, op: &Op, (login, name, wanted): (&str, &str, bool), upto: usize) -> bool {
    log.ops.iter().take_while(|other| other.invoked < upto).any(|other| {
        if other.no == op.no || !other.may() || other.settled_before(op.invoked) {
            return false;
        }
        match other.call {
            Call::Delete { login: l, .. } | Call::Create { login: l, .. } | Call::Rename { login: l, .. }
                if l != login =>
            {
                false
            }
            Call::Delete { mailbox, .. } => wanted && mailbox == name,
            // RFC 3501 §6.3.3: missing parents are made too.
            Call::Create { mailbox, .. } => !wanted && above(name, mailbox),
            Call::Rename { from, .. } if wanted => above(from, name),
            Call::Rename { to, .. } => above(to, name) || above(name, to),
            _ => false,
        }
    })
}
