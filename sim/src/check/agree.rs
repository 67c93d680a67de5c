//! In the end all nodes and protocols show the same.

use super::Finding;
use super::log::{Key, Listing, Log, Place, Seen};
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

pub fn check(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &place in log.listings.keys() {
        let mut finals = log.finals(place);
        let Some(first) = finals.next() else { continue };
        findings.extend(finals.filter_map(|other| listings(log, first, other)));
    }
    let mut lists: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for s in log.seen.iter().filter(|s| s.from >= log.quiet) {
        findings.extend(other(log, s));
        if let Sight::Mailboxes { login, names, .. } = s.sight {
            let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            let (at, before) = lists.entry(login).or_insert_with(|| (s.ix, names.clone()));
            if *before != names {
                let text = format!(
                    "{} is told that {login} has {names:?}, and was {before:?} at {}",
                    log.who(s.ix),
                    log.at(*at)
                );
                findings.push(Finding::new("agree", text, [*at, s.ix]));
            }
        }
    }
    findings
}

fn listings(log: &Log, one: &Listing, two: &Listing) -> Option<Finding> {
    let differs = if differ(log, one.place, (&one.uids, one.ix), (&two.uids, two.ix)) {
        format!("UIDs {:?} and {:?}", one.uids, two.uids)
    } else {
        let by_uid: BTreeMap<Uid, &Shown> = one.messages.iter().map(|m| (m.uid, m)).collect();
        let (a, b) = two.messages.iter().find_map(|m| {
            let other = by_uid.get(&m.uid)?;
            let flags = m.flags.is_some() && other.flags.is_some() && m.flags != other.flags;
            let modseq = m.modseq.is_some() && other.modseq.is_some() && m.modseq != other.modseq;
            (flags || modseq).then_some((*other, m))
        })?;
        format!("{a:?} and {b:?}")
    };
    let text = format!(
        "{} and {} the final listings of {} differ: {differs}",
        log.who(one.ix),
        log.who(two.ix),
        one.place
    );
    Some(Finding::new("agree", text, [one.ix, two.ix]))
}

/// What other sights say of a mailbox, against its final listing.
fn other(log: &Log, s: &Seen) -> Option<Finding> {
    let fault = |listing: &Listing, what: String| {
        let text = format!(
            "{} {what}, but the listing at {} has {:?}",
            log.who(s.ix),
            log.at(listing.ix),
            listing.uids
        );
        Some(Finding::new("agree", text, [listing.ix, s.ix]))
    };
    match s.sight {
        Sight::Selected { login, validity, exists, .. } | Sight::Status { login, validity, exists, .. } => {
            let listing = log.finals(Place { login, validity: *validity }).last()?;
            let same = listing.uids.len() == *exists as usize;
            // Of a number nobody can say what has expired in between.
            if same || log.fades(login) {
                None
            } else {
                fault(listing, format!("is told of {exists} messages in {}", listing.place))
            }
        }
        Sight::Maildrop { login, messages, .. } => {
            let listing = last_named(log, login, "INBOX")?;
            let mut drop: Vec<Uid> = messages.iter().map(|(_, uid)| *uid).collect();
            drop.sort_unstable();
            let same = !differ(log, listing.place, (&drop, s.ix), (&listing.uids, listing.ix))
                && messages.iter().all(|(v, _)| *v == listing.place.validity);
            if same { None } else { fault(listing, format!("finds {messages:?} in the maildrop of {login}")) }
        }
        Sight::Web { login, mailbox, page, .. } => {
            let listing = last_named(log, login, mailbox)?;
            let mut uids = page.uids.clone();
            uids.sort_unstable();
            let there: Vec<Uid> = listing.uids.iter().copied().filter(|uid| page.covers(*uid)).collect();
            if !differ(log, listing.place, (&uids, s.ix), (&there, listing.ix)) {
                None
            } else {
                fault(listing, format!("finds {page:?} of {mailbox} of {login}"))
            }
        }
        _ => None,
    }
}

/// Whether what two sights have of a mailbox differs in more than what may have expired between them.
fn differ<'a>(log: &Log<'a>, place: Place<'a>, one: (&[Uid], usize), two: (&[Uid], usize)) -> bool {
    if !log.fades(place.login) {
        return one.0 != two.0;
    }
    let of = |uids: &[Uid]| uids.iter().copied().collect::<BTreeSet<Uid>>();
    let later = one.1.max(two.1);
    let stays = |uid: &Uid| !log.may_have_expired(Key { place, uid: *uid }, later);
    of(one.0).symmetric_difference(&of(two.0)).any(stays)
}

fn last_named<'b, 'a>(log: &'b Log<'a>, login: &str, name: &str) -> Option<&'b Listing<'a>> {
    let all = log.listings.values().flatten();
    all.filter(|l| l.place.login == login && l.name == name && l.from >= log.quiet).max_by_key(|l| l.ix)
}
