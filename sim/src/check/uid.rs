//! UIDs name one message for ever and become visible in order; UIDNEXT and UIDVALIDITY never go back.

use super::Finding;
use super::index::place_of;
use super::log::{Log, Place, Seen};
use super::peaks::Peaks;
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

pub fn check(log: &Log) -> Vec<Finding> {
    [two_messages(log), late(log), next(log), validity(log), recreated(log)].concat()
}

fn two_messages(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, messages) in &log.index.messages {
        for (uid, known) in messages.iter().filter(|(_, known)| known.attempts.len() > 1) {
            let (one, two) = (known.attempts[0], known.attempts[1]);
            let text = format!(
                "UID {uid} of {place} names {:?} at {} and {:?} at {}",
                one.0,
                log.at(one.1),
                two.0,
                log.at(two.1)
            );
            findings.push(Finding::new("uid", text, [one.1, two.1]));
        }
    }
    findings
}

/// The order window: a UID that appears after a higher one had been seen and a listing did not have it.
fn late(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for seen in &log.shown {
        let Some(gone) = log.absences.get(&seen.key).and_then(|a| a.gone) else { continue };
        let before = log.index.known(seen.key).and_then(|k| k.shown).is_some_and(|ix| ix < gone);
        if gone < seen.from && !before && told.insert(seen.key) {
            let text = format!(
                "order window: {} is shown {}, which was not there at {} though its UID had been passed by then",
                log.who(seen.ix),
                seen.key,
                log.at(gone)
            );
            findings.push(Finding::new("uid", text, [gone, seen.ix]));
        }
    }
    findings
}

/// UIDNEXT as told by sights.
fn uid_nexts<'b, 'a>(log: &'b Log<'a>) -> impl Iterator<Item = (usize, usize, Place<'a>, Uid)> + 'b {
    log.seen.iter().filter_map(|s| match s.sight {
        Sight::Selected { login, validity, uid_next, .. }
        | Sight::Status { login, validity, uid_next, .. } => {
            Some((s.from, s.ix, Place { login, validity: *validity }, *uid_next))
        }
        _ => None,
    })
}

fn next(log: &Log) -> Vec<Finding> {
    let mut observed: BTreeMap<Place, Vec<(usize, Uid)>> = BTreeMap::new();
    for (_, ix, place, next) in uid_nexts(log) {
        observed.entry(place).or_default().push((ix, next));
    }
    for (&place, messages) in &log.index.messages {
        let told = messages.iter().filter_map(|(&uid, known)| {
            let at = known.attempts.iter().map(|(_, ix)| *ix).chain(known.shown).min()?;
            Some((at, uid.saturating_add(1)))
        });
        observed.entry(place).or_default().extend(told);
    }
    let peaks: BTreeMap<Place, Peaks<Uid>> =
        observed.into_iter().map(|(p, list)| (p, Peaks::new(list))).collect();
    let mut findings = Vec::new();
    for (from, ix, place, next) in uid_nexts(log) {
        if let Some((at, least)) = peaks[&place].before(from).filter(|(_, least)| *least > next) {
            let text = format!(
                "{} is told UIDNEXT {next} of {place}, which had been {least} or more at {}",
                log.who(ix),
                log.at(at)
            );
            findings.push(Finding::new("uid", text, [at, ix]));
        }
    }
    findings
}

/// A name's UIDVALIDITY goes up, and only with a reason.
fn validity(log: &Log) -> Vec<Finding> {
    let mut observed: BTreeMap<(&str, &str), Vec<(usize, UidValidity)>> = BTreeMap::new();
    for s in &log.seen {
        if let Some((place, name)) = place_of(s.sight) {
            observed.entry((place.login, name)).or_default().push((s.ix, place.validity));
        }
    }
    let peaks: BTreeMap<_, _> = observed.into_iter().map(|(name, list)| (name, Peaks::new(list))).collect();
    let mut findings = Vec::new();
    for s in log.seen.iter().filter(|s| !matches!(s.sight, Sight::Noticed { .. })) {
        let Some((place, name)) = place_of(s.sight) else { continue };
        let Some((at, top)) = peaks[&(place.login, name)].before(s.from) else { continue };
        if top == place.validity || renamed(log, place.login, name, s.ix) {
            continue;
        }
        if top > place.validity || !deleted(log, place.login, name, s.ix) {
            let text = format!(
                "{} is told UIDVALIDITY {} of {name} of {}, which was {top} at {}",
                log.who(s.ix),
                place.validity,
                place.login,
                log.at(at)
            );
            findings.push(Finding::new("uid", text, [at, s.ix]));
        }
    }
    findings
}

/// Whether a rename may have given the name to another mailbox, or taken it away.
fn renamed(log: &Log, login: &str, name: &str, upto: usize) -> bool {
    log.ops.iter().take_while(|op| op.invoked < upto).any(|op| match op.call {
        Call::Rename { login: l, from, to } => {
            op.may() && l == login && (above(from, name) || above(to, name))
        }
        _ => false,
    })
}

fn deleted(log: &Log, login: &str, name: &str, upto: usize) -> bool {
    log.ops.iter().take_while(|op| op.invoked < upto).any(|op| match op.call {
        Call::Delete { login: l, mailbox } => op.may() && l == login && mailbox == name,
        _ => false,
    })
}

/// Whether `name` is `top` or below it.
pub fn above(top: &str, name: &str) -> bool {
    name.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A mailbox whose deletion was acknowledged is another when its name comes back.
fn recreated(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for op in &log.ops {
        let (Call::Delete { login, mailbox }, Some((end, _))) = (op.call, op.reply()) else { continue };
        let of_name =
            |s: &&Seen<'_>| place_of(s.sight).is_some_and(|(p, name)| p.login == login && name == mailbox);
        let before = log.seen.iter().filter(of_name).filter(|s| s.ix < op.invoked);
        let old = before.filter_map(|s| place_of(s.sight).map(|(p, _)| p.validity)).max();
        let again = log.seen.iter().filter(of_name).find(|s| {
            s.from > end && place_of(s.sight).is_some_and(|(p, _)| old.is_some_and(|old| p.validity <= old))
        });
        let Some(again) = again.filter(|s| !renamed(log, login, mailbox, s.ix)) else { continue };
        let text = format!(
            "{} finds {mailbox} of {login} with the UIDVALIDITY {old:?} that it had before operation {} deleted it",
            log.who(again.ix),
            op.no
        );
        findings.push(Finding::new("uid", text, [op.invoked, end, again.ix]));
    }
    findings
}
