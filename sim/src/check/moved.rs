//! COPY takes all of a set or nothing, and MOVE puts each message in exactly one of both mailboxes.

use super::Finding;
use super::doubled::causes;
use super::log::{Key, Listing, Log, Op, Place};
use crate::history::*;

/// A message that an operation copies or moves, and that nothing else explains in the target.
struct Passage<'a> {
    source: Key<'a>,
    attempt: Attempt,
}

/// An operation between two mailboxes.
struct Transfer<'b, 'a> {
    op: &'b Op<'a>,
    target: Place<'a>,
    moves: bool,
    passages: Vec<Passage<'a>>,
}

pub fn check(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for op in log.ops.iter().filter(|op| op.may()) {
        for transfer in transfers(log, op) {
            findings.extend(torn(log, &transfer));
            if transfer.moves {
                let between = transfer.passages.iter().filter_map(|p| neither_or_both(log, &transfer, p));
                findings.extend(between);
            }
        }
        findings.extend(mapping(log, op));
    }
    findings
}

/// The operation as seen from each mailbox that it may have gone to.
fn transfers<'b, 'a>(log: &'b Log<'a>, op: &'b Op<'a>) -> Vec<Transfer<'b, 'a>> {
    let (login, validity, uids, to, moves): (&str, _, _, _, _) = match op.call {
        Call::Copy { login, validity, uids, to, .. } => (login, *validity, uids, to, false),
        Call::Move { login, validity, uids, to, .. } => (login, *validity, uids, to, true),
        _ => return Vec::new(),
    };
    let source = Place { login, validity };
    let targets: Vec<Place> = match op.reply() {
        Some((_, Reply::Copied { validity, .. })) => vec![Place { login, validity: *validity }],
        _ => log.index.places(login, to).collect(),
    };
    // Where it may have gone to one of two mailboxes of that name, nothing is certain.
    let [target] = targets[..] else { return Vec::new() };
    if target == source {
        return Vec::new();
    }
    let passage = |uid: &Uid| passage(log, op, Key { place: source, uid: *uid }, target);
    vec![Transfer { op, target, moves, passages: uids.iter().filter_map(passage).collect() }]
}

fn passage<'a>(log: &Log<'a>, op: &Op<'a>, source: Key<'a>, target: Place<'a>) -> Option<Passage<'a>> {
    let attempt = log.index.attempt(source)?;
    let there = log.index.known(source)?.shown.is_some_and(|ix| ix < op.invoked);
    let only = causes(log, target, attempt).iter().all(|cause| cause.no == op.no);
    let once = causes(log, target, attempt).len() == 1;
    let removed = log.may_be_gone_but(source, usize::MAX, Some(op.no));
    let copies = log.index.messages.get(&target).into_iter().flatten();
    let mut copies = copies.filter(|(_, known)| known.attempt() == Some(attempt));
    let target_removed = copies.any(|(&uid, _)| log.may_be_gone(Key { place: target, uid }, usize::MAX));
    // A copy that was moved on before anybody saw its bytes.
    let unnamed = log.mailbox_may_be_gone(target, usize::MAX) || untold(log, target);
    (there && only && once && !removed && !target_removed && !unnamed).then_some(Passage { source, attempt })
}

/// Whether an operation may have taken a message of unknown bytes out of the mailbox.
fn untold<'a>(log: &Log<'a>, place: Place<'a>) -> bool {
    let Some(names) = log.index.names.get(&place) else { return true };
    names.iter().any(|name| log.unnamed_may_be_gone(place.login, name, usize::MAX))
}

/// Whether a listing has the attempt; none if it has a message of unknown bytes.
fn holds<'a>(log: &Log<'a>, listing: &Listing<'a>, attempt: Attempt) -> Option<bool> {
    let mut of = listing.uids.iter().map(|&uid| log.index.attempt(Key { place: listing.place, uid }));
    if of.clone().any(|a| a == Some(attempt)) {
        return Some(true);
    }
    of.all(|a| a.is_some()).then_some(false)
}

/// A listing of the target with some of the set and not the others.
fn torn(log: &Log, transfer: &Transfer) -> Option<Finding> {
    for listing in log.listings.get(&transfer.target).into_iter().flatten() {
        let held: Vec<_> = transfer.passages.iter().map(|p| (p, holds(log, listing, p.attempt))).collect();
        let here = held.iter().find(|(_, held)| *held == Some(true));
        let lacking = held.iter().find(|(_, held)| *held == Some(false));
        if let (Some((here, _)), Some((lacking, _))) = (here, lacking) {
            let text = format!(
                "{} finds a part of what operation {} took to {}: {} is there, {} is not",
                log.who(listing.ix),
                transfer.op.no,
                transfer.target,
                here.source,
                lacking.source
            );
            return Some(Finding::new("moved", text, transfer.op.events().into_iter().chain([listing.ix])));
        }
    }
    None
}

fn neither_or_both<'a>(log: &Log<'a>, transfer: &Transfer<'_, 'a>, passage: &Passage<'a>) -> Option<Finding> {
    let op = transfer.op;
    let key = passage.source;
    let first = log.index.known(key)?.shown?;
    let sources = || log.listings.get(&key.place).into_iter().flatten();
    let targets = || log.listings.get(&transfer.target).into_iter().flatten();
    let fault = |what: &str, one: usize, two: usize| {
        let text = format!(
            "half-done MOVE: operation {} of {key} to {}: at {} and {} it is in {what}",
            op.no,
            transfer.target,
            log.at(one),
            log.at(two)
        );
        Some(Finding::new("moved", text, op.events().into_iter().chain([one, two])))
    };
    // From the end of the first listing that lacks it on, it has moved; and so it has once it was seen to arrive.
    let left = sources().find(|l| l.from > first && !l.has(key.uid)).map(|l| l.ix);
    let arrived = targets().find(|l| holds(log, l, passage.attempt) == Some(true)).map(|l| l.ix);
    if let Some(left) = left
        && let Some(l) = targets().find(|l| l.from > left && holds(log, l, passage.attempt) == Some(false))
    {
        return fault("neither", left, l.ix);
    }
    if let Some(arrived) = arrived
        && let Some(l) = sources().find(|l| l.from > arrived && l.has(key.uid))
    {
        return fault("both", arrived, l.ix);
    }
    None
}

/// A reply that maps sources to copies maps each to one.
fn mapping(log: &Log, op: &Op) -> Option<Finding> {
    let (Call::Copy { uids, .. } | Call::Move { uids, .. }) = op.call else { return None };
    let Some((end, Reply::Copied { from, to, .. })) = op.reply() else { return None };
    let foreign = from.iter().find(|uid| !uids.contains(uid));
    if from.len() == to.len() && foreign.is_none() {
        return None;
    }
    let text = format!("at {} operation {} of {uids:?} is told {from:?} became {to:?}", log.at(end), op.no);
    Some(Finding::new("moved", text, [op.invoked, end]))
}
