//! A lost notification costs delay, never data: what sessions that listen were told adds up to what there is.

use super::Finding;
use super::log::{Key, Log};
use super::view::{Checked, View, views};
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

pub fn check(log: &Log) -> Vec<Finding> {
    let changed = last_changes(log);
    let mut findings = Vec::new();
    for view in views(log) {
        findings.extend(twice(log, &view));
        findings.extend(order(log, &view));
        findings.extend(resync(log, &view));
        findings.extend(view.checked.iter().find_map(|checked| converged(log, &view, checked, &changed)));
    }
    findings
}

/// Per account, the last event of an operation that may have changed something.
fn last_changes<'a>(log: &Log<'a>) -> BTreeMap<&'a str, usize> {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for op in log.ops.iter().filter(|op| op.may()) {
        let end = op.ended.map_or(op.invoked, |(ix, _)| ix);
        let logins: Vec<&str> = match op.call {
            Call::Submit { to, .. } => to.iter().map(String::as_str).collect(),
            Call::Append { login, .. }
            | Call::Store { login, .. }
            | Call::Copy { login, .. }
            | Call::Move { login, .. }
            | Call::Expunge { login, .. }
            | Call::Create { login, .. }
            | Call::Delete { login, .. }
            | Call::Rename { login, .. } => vec![login],
        };
        for login in logins {
            let at = last.entry(login).or_default();
            *at = end.max(*at);
        }
    }
    last
}

/// New twice, gone twice, new again, or gone without ever having been anywhere.
fn twice(log: &Log, view: &View) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fault = |what: String, proof: [usize; 2]| {
        let text = format!("{} is told that {what}", log.who(proof[1]));
        findings.push(Finding::new("notice", text, proof));
    };
    let mut first: BTreeMap<(bool, Uid), usize> = BTreeMap::new();
    let both = view.new.iter().map(|n| (*n, true)).chain(view.gone.iter().map(|g| (*g, false)));
    for ((ix, uid), new) in both {
        let key = Key { place: view.place, uid };
        if let Some(&at) = first.get(&(new, uid)) {
            fault(format!("{key} is {} twice", if new { "new" } else { "gone" }), [at, ix]);
        }
        first.insert((new, uid), ix);
    }
    for (ix, uid) in &view.new {
        if let Some((at, _)) = view.gone.iter().find(|(at, gone)| gone == uid && at < ix) {
            fault(format!("UID {uid} of {} is new after it was gone", view.place), [*at, *ix]);
        }
    }
    for (ix, uid) in view.gone.iter().filter(|_| !log.fades(view.place.login)) {
        let key = Key { place: view.place, uid: *uid };
        // Somebody had to know the UID to remove it: it was shown to somebody, or named by an operation.
        let met = view.met.contains_key(uid) || log.index.known(key).is_some_and(|known| known.first < *ix);
        let named = log.removals(key).next().is_some() || log.mailbox_may_be_gone(view.place, *ix);
        // Sights that show no messages one by one tell of UIDs as well.
        if !met && !named && view.picture.is_some() && !listed_elsewhere(log, key, *ix) {
            fault(format!("{key} is gone, of which nobody has ever heard"), [view.selected, *ix]);
        }
    }
    findings
}

fn listed_elsewhere(log: &Log, key: Key, upto: usize) -> bool {
    log.seen.iter().take_while(|s| s.ix < upto).any(|s| match s.sight {
        Sight::Maildrop { login, messages, .. } => {
            login == key.place.login && messages.contains(&(key.place.validity, key.uid))
        }
        Sight::Web { login, page, .. } => login == key.place.login && page.uids.contains(&key.uid),
        _ => false,
    }) || log.index.by_name.iter().any(|&at| {
        matches!(log.ops[at].call, Call::Expunge { login, uids, .. } if login == key.place.login && uids.contains(&key.uid))
    })
}

/// The order window as one session sees it: a new message has a higher UID than all it had before, and is not below
/// the UIDNEXT it was told (RFC 3501 §2.3.1.1).
fn order(log: &Log, view: &View) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &(ix, uid) in &view.new {
        if view.met.get(&uid).is_some_and(|at| *at < ix) {
            continue;
        }
        let higher = view.met.iter().find(|(other, at)| **other > uid && **at < ix);
        let proof = match higher {
            Some((_, &at)) => at,
            None if uid < view.uid_next => view.selected,
            None => continue,
        };
        let text = format!(
            "order window: {} is told that UID {uid} of {} is new, whose session had passed it at {}",
            log.who(ix),
            view.place,
            log.at(proof)
        );
        findings.push(Finding::new("uid", text, [proof, ix]));
    }
    findings
}

/// A resynchronisation that leaves a session with another picture than it would see in a listing.
fn resync(log: &Log, view: &View) -> Option<Finding> {
    let (ix, believed) = view.resync?;
    let text = format!(
        "{} has resynchronised {} and believes in {believed} messages, where there were {} at modseq {}",
        log.who(ix),
        view.place,
        view.told.0,
        view.told.1
    );
    Some(Finding::new("modseq", text, [view.selected, ix]))
}

/// Whether the picture of a session that has listened long enough is the final one.
fn converged<'a>(
    log: &Log<'a>,
    view: &View<'a>,
    checked: &Checked,
    changed: &BTreeMap<&str, usize>,
) -> Option<Finding> {
    let last = changed.get(view.place.login).copied().unwrap_or_default();
    let quiet = log.events[last].at.max(log.facts.quiet_from.unwrap_or_default());
    let (from, until) = (log.events[checked.from].at, log.events[checked.until].at);
    let due =
        if checked.polled { checked.from > last && from >= quiet } else { until > quiet + log.facts.healing };
    if !due {
        return None;
    }
    let listing = log.finals(view.place).last()?;
    if log.mailbox_may_be_gone(view.place, usize::MAX) {
        return None;
    }
    let picture: BTreeSet<Uid> = checked.picture.keys().copied().collect();
    let truth: BTreeSet<Uid> = listing.uids.iter().copied().collect();
    let flags = |m: &&Shown| match (checked.picture.get(&m.uid), &m.flags) {
        (Some(Some(believed)), Some(flags)) => believed != flags,
        _ => false,
    };
    let flag = listing.messages.iter().find(flags);
    let missing: Vec<_> = truth.difference(&picture).collect();
    // What has expired since then is no longer in the listing; what should have before is too much.
    let keep = |uid: &&Uid| {
        let key = Key { place: view.place, uid: **uid };
        let overdue = log.must_be_gone_by(key).is_some_and(|by| until > by + log.facts.healing);
        overdue || !log.may_have_expired(key, listing.ix)
    };
    let surplus: Vec<_> = picture.difference(&truth).filter(keep).collect();
    if missing.is_empty() && surplus.is_empty() && flag.is_none() {
        return None;
    }
    let text = format!(
        "lost notification: {} has listened since {} and differs from the final listing of {}: it was not told of \
         {missing:?}, believes in {surplus:?}, and has old flags of {:?}",
        log.who(checked.until),
        log.at(checked.from),
        view.place,
        flag.map(|m| m.uid)
    );
    Some(Finding::new("notice", text, [view.selected, checked.from, checked.until, listing.ix]))
}
