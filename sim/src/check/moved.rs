//! COPY takes all of a set or nothing, and MOVE puts each message in exactly one of both mailboxes.

use super::Finding;
use super::doubled::causes;
use super::log::{Key, Listing, Log, Op, Place};
use crate::history::*;

/// One message of those that an operation copies or moves.
struct Passage<'a> {
    source: Key<'a>,
    copy: Copied<'a>,
    /// The source was there to be taken, and nothing may have removed the copy.
    sure: bool,
}

/// How its copy is known: by the UID that was told, or by its bytes if nothing else explains such a copy.
enum Copied<'a> {
    Told(Key<'a>),
    Attempt(Attempt),
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
        if let Some(transfer) = transfer(log, op) {
            findings.extend(torn(log, &transfer));
            if transfer.moves {
                findings.extend(transfer.passages.iter().filter_map(|p| neither(log, &transfer, p)));
                findings.extend(transfer.passages.iter().filter_map(|p| both(log, &transfer, p)));
            }
        }
        findings.extend(mapping(log, op));
    }
    findings
}

fn transfer<'b, 'a>(log: &'b Log<'a>, op: &'b Op<'a>) -> Option<Transfer<'b, 'a>> {
    let (login, validity, uids, to, moves): (&str, _, _, _, _) = match op.call {
        Call::Copy { login, validity, uids, to, .. } => (login, *validity, uids, to, false),
        Call::Move { login, validity, uids, to, .. } => (login, *validity, uids, to, true),
        _ => return None,
    };
    let source = Place { login, validity };
    if let Some((_, Reply::Copied { validity, from, to })) = op.reply() {
        let target = Place { login, validity: *validity };
        let pairs = from
            .iter()
            .zip(to)
            .map(|(from, to)| (Key { place: source, uid: *from }, Key { place: target, uid: *to }));
        let passages = pairs.map(|(source, copy)| {
            // That it was taken is told, so that only the copy may have been removed.
            let sure = !log.may_be_gone(copy, usize::MAX);
            Passage { source, copy: Copied::Told(copy), sure }
        });
        return Some(Transfer { op, target, moves, passages: passages.collect() });
    }
    // Where it may have gone to one of two mailboxes of that name, nothing is certain.
    let mut places = log.index.places(login, to);
    let target = places.next().filter(|place| *place != source && places.next().is_none())?;
    let passage = |uid: &Uid| untold(log, op, Key { place: source, uid: *uid }, target);
    Some(Transfer { op, target, moves, passages: uids.iter().filter_map(passage).collect() })
}

/// A message of which no reply has told what became of it.
fn untold<'a>(log: &Log<'a>, op: &Op<'a>, source: Key<'a>, target: Place<'a>) -> Option<Passage<'a>> {
    let attempt = log.index.attempt(source)?;
    let causes = causes(log, target, attempt);
    let only = causes.len() == 1 && causes[0].no == op.no;
    let there = log.index.known(source)?.shown.is_some_and(|ix| ix < op.invoked);
    let messages = log.index.messages.get(&target).into_iter().flatten();
    let mut copies = messages.filter(|(_, known)| known.attempt() == Some(attempt));
    let kept = !copies.any(|(&uid, _)| log.may_be_gone(Key { place: target, uid }, usize::MAX));
    // A copy may have been moved on before anybody saw its bytes.
    let names = log.index.names.get(&target)?;
    let seen = !names.iter().any(|name| log.unnamed_may_be_gone(target.login, name, attempt, usize::MAX));
    let sure = there && kept && seen && !log.may_be_gone_but(source, usize::MAX, Some(op.no));
    only.then_some(Passage { source, copy: Copied::Attempt(attempt), sure })
}

/// Whether a listing of the target has the copy; none if it has a message of unknown bytes that may be it.
fn holds<'a>(log: &Log<'a>, listing: &Listing<'a>, copy: &Copied<'a>) -> Option<bool> {
    let attempt = match copy {
        Copied::Told(key) => return Some(listing.has(key.uid)),
        Copied::Attempt(attempt) => *attempt,
    };
    let mut of = listing.uids.iter().map(|&uid| log.index.attempt(Key { place: listing.place, uid }));
    if of.clone().any(|a| a == Some(attempt)) {
        return Some(true);
    }
    of.all(|a| a.is_some()).then_some(false)
}

/// A listing of the target with some of the set and not the others.
fn torn(log: &Log, transfer: &Transfer) -> Option<Finding> {
    for listing in log.listings.get(&transfer.target).into_iter().flatten() {
        let here = transfer.passages.iter().find(|p| holds(log, listing, &p.copy) == Some(true));
        let Some(here) = here else { continue };
        let lacking =
            transfer.passages.iter().find(|p| p.sure && holds(log, listing, &p.copy) == Some(false));
        let Some(lacking) = lacking else { continue };
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
    None
}

/// The source has gone, by a listing or by the acknowledgement, and a later listing of the target lacks the copy.
fn neither<'a>(log: &Log<'a>, transfer: &Transfer<'_, 'a>, passage: &Passage<'a>) -> Option<Finding> {
    if !passage.sure {
        return None;
    }
    let first = log.index.known(passage.source)?.shown;
    let mut sources = log.listings.get(&passage.source.place).into_iter().flatten();
    let lacking =
        sources.find(|l| first.is_some_and(|ix| l.from > ix) && !l.has(passage.source.uid)).map(|l| l.ix);
    let left = lacking.into_iter().chain(transfer.op.reply().map(|(end, _)| end)).min()?;
    let mut targets = log.listings.get(&transfer.target).into_iter().flatten();
    let lacks = targets.find(|l| l.from > left && holds(log, l, &passage.copy) == Some(false))?;
    Some(half_done(log, transfer, passage, "neither", [left, lacks.ix]))
}

/// The copy has been seen, and a later listing of the source still has the message.
fn both<'a>(log: &Log<'a>, transfer: &Transfer<'_, 'a>, passage: &Passage<'a>) -> Option<Finding> {
    let mut targets = log.listings.get(&transfer.target).into_iter().flatten();
    let arrived = targets.find(|l| holds(log, l, &passage.copy) == Some(true))?.ix;
    let mut sources = log.listings.get(&passage.source.place).into_iter().flatten();
    let has = sources.find(|l| l.from > arrived && l.has(passage.source.uid))?;
    Some(half_done(log, transfer, passage, "both", [arrived, has.ix]))
}

fn half_done(log: &Log, transfer: &Transfer, passage: &Passage, what: &str, at: [usize; 2]) -> Finding {
    let text = format!(
        "half-done MOVE: operation {} of {} to {}: by {} and {} it is in {what}",
        transfer.op.no,
        passage.source,
        transfer.target,
        log.at(at[0]),
        log.at(at[1])
    );
    Finding::new("moved", text, transfer.op.events().into_iter().chain(at))
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
