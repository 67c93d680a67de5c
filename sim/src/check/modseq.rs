//! Modseqs never go back, a change has one, and what `Changed` answers is complete.

use super::Finding;
use super::log::{Key, Log, Op, Place, Seen, ShownAt};
use super::peaks::Peaks;
use super::removal::removed;
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

pub fn check(log: &Log) -> Vec<Finding> {
    [highest(log), messages(log), silent(log), complete(log)].concat()
}

/// HIGHESTMODSEQ as told by sights. What `Changed` is complete up to is what its client had been told before.
fn told<'a>(s: &Seen<'a>) -> Option<(Place<'a>, ModSeq)> {
    match s.sight {
        Sight::Selected { login, validity, highest_modseq, .. }
        | Sight::Status { login, validity, highest_modseq, .. } => {
            Some((Place { login, validity: *validity }, *highest_modseq))
        }
        _ => None,
    }
}

/// Per mailbox, what modseqs had been seen or told.
fn peaks<'a>(log: &Log<'a>) -> BTreeMap<Place<'a>, Peaks<ModSeq>> {
    let mut observed: BTreeMap<Place, Vec<(usize, ModSeq)>> = BTreeMap::new();
    for s in &log.seen {
        if let Some((place, modseq)) = told(s) {
            observed.entry(place).or_default().push((s.ix, modseq));
        }
    }
    for s in &log.shown {
        if let Some(modseq) = s.shown.modseq {
            observed.entry(s.key.place).or_default().push((s.ix, modseq));
        }
    }
    for op in &log.ops {
        if let (Call::Store { login, validity, .. }, Some((end, Reply::Stored { modseqs, .. }))) =
            (op.call, op.reply())
        {
            let list = observed.entry(Place { login, validity: *validity }).or_default();
            list.extend(modseqs.values().map(|m| (end, *m)));
        }
    }
    observed.into_iter().map(|(place, list)| (place, Peaks::new(list))).collect()
}

fn highest(log: &Log) -> Vec<Finding> {
    let peaks = peaks(log);
    let mut findings = Vec::new();
    for s in &log.seen {
        let Some((place, modseq)) = told(s) else { continue };
        if let Some((at, top)) = peaks[&place].before(s.from).filter(|(_, top)| *top > modseq) {
            let text = format!(
                "{} is told HIGHESTMODSEQ {modseq} of {place}, which was {top} at {}",
                log.who(s.ix),
                log.at(at)
            );
            findings.push(Finding::new("modseq", text, [at, s.ix]));
        }
    }
    findings
}

fn by_message<'b, 'a>(log: &'b Log<'a>) -> BTreeMap<Key<'a>, Vec<&'b ShownAt<'a>>> {
    let mut all: BTreeMap<Key, Vec<&ShownAt>> = BTreeMap::new();
    for s in log.shown.iter().filter(|s| s.shown.modseq.is_some()) {
        all.entry(s.key).or_default().push(s);
    }
    all
}

/// A message's modseq never goes down.
fn messages(log: &Log) -> Vec<Finding> {
    let mut told: BTreeMap<Key, Vec<(usize, ModSeq)>> = BTreeMap::new();
    for op in &log.ops {
        if let (Call::Store { login, validity, .. }, Some((end, Reply::Stored { modseqs, .. }))) =
            (op.call, op.reply())
        {
            for (&uid, &modseq) in modseqs {
                let key = Key { place: Place { login, validity: *validity }, uid };
                told.entry(key).or_default().push((end, modseq));
            }
        }
    }
    let mut findings = Vec::new();
    for (key, shown) in by_message(log) {
        let first = shown[0].shown.modseq;
        let told = told.remove(&key).unwrap_or_default();
        if told.is_empty() && shown.iter().all(|s| s.shown.modseq == first) {
            continue;
        }
        let seen = shown.iter().filter_map(|s| Some((s.ix, s.shown.modseq?)));
        let peaks = Peaks::new(seen.chain(told).collect());
        let lower = shown.iter().find_map(|s| {
            let (at, top) =
                peaks.before(s.from).filter(|(_, top)| s.shown.modseq.is_some_and(|m| m < *top))?;
            Some((s, at, top))
        });
        if let Some((s, at, top)) = lower {
            let text = format!(
                "{} is shown {key} with modseq {:?}, which had {top} at {}",
                log.who(s.ix),
                s.shown.modseq,
                log.at(at)
            );
            findings.push(Finding::new("modseq", text, [at, s.ix]));
        }
    }
    findings
}

/// Flags that differ at the same modseq: a change that nobody who asks for changes would hear of.
fn silent(log: &Log) -> Vec<Finding> {
    let mut first: BTreeMap<(Key, ModSeq), (usize, &[String])> = BTreeMap::new();
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for s in &log.shown {
        let (Some(modseq), Some(flags)) = (s.shown.modseq, &s.shown.flags) else { continue };
        let (at, before) = *first.entry((s.key, modseq)).or_insert((s.ix, flags));
        if before != flags.as_slice() && told.insert(s.key) {
            let text = format!(
                "{} is shown {} at modseq {modseq} with {flags:?}, which had {before:?} at that modseq at {}",
                log.who(s.ix),
                s.key,
                log.at(at)
            );
            findings.push(Finding::new("modseq", text, [at, s.ix]));
        }
    }
    findings
}

/// What differs between `since` and `upto` is in the answer.
fn complete(log: &Log) -> Vec<Finding> {
    let messages = by_message(log);
    let top = |all: &Vec<&ShownAt>| all.iter().filter_map(|s| s.shown.modseq).max().unwrap_or_default();
    let tops: BTreeMap<Key, ModSeq> = messages.iter().map(|(key, all)| (*key, top(all))).collect();
    let removals = removals(log);
    let mut reached: BTreeMap<Place, Vec<(usize, ModSeq)>> = BTreeMap::new();
    for s in &log.seen {
        if let Some((place, modseq)) = told(s) {
            reached.entry(place).or_default().push((s.ix, modseq));
        }
    }
    let mut findings = Vec::new();
    for s in &log.seen {
        let Sight::Changed { login, validity, since, upto, changed, gone, .. } = s.sight else { continue };
        let place = Place { login, validity: *validity };
        let told: BTreeSet<Uid> = changed.iter().map(|m| m.uid).chain(gone.iter().copied()).collect();
        let all = Key { place, uid: 0 }..=Key { place, uid: Uid::MAX };
        let newer = |key: &Key| tops.get(key).is_some_and(|top| top > since) && !told.contains(&key.uid);
        for (key, shown) in messages.range(all).filter(|(key, _)| newer(key)) {
            if let Some(proof) = left_out(log, s, shown, *since..=*upto) {
                let text = format!(
                    "{} asks for what changed in {place} from {since} to {upto} and is not told of {key}, which has \
                     modseq {:?} at {}",
                    log.who(s.ix),
                    proof.shown.modseq,
                    log.at(proof.ix)
                );
                findings.push(Finding::new("modseq", text, [s.ix, proof.ix]));
            }
        }
        // Known to have come by `since`.
        let old = |key: Key| {
            messages.get(&key).is_some_and(|all| all.iter().any(|s| s.shown.modseq <= Some(*since)))
        };
        for gone in removals.get(&place).into_iter().flatten().filter(|gone| !told.contains(&gone.key.uid)) {
            if gone.end < s.from && old(gone.key) {
                findings.extend(not_told_gone(log, s, *since, reached.get(&place), gone));
            }
        }
    }
    findings
}

/// A sight of a message that proves that it belongs into an answer it is not in.
fn left_out<'b, 'a>(
    log: &Log<'a>,
    answer: &Seen,
    shown: &[&'b ShownAt<'a>],
    range: std::ops::RangeInclusive<ModSeq>,
) -> Option<&'b ShownAt<'a>> {
    let (since, upto) = (*range.start(), *range.end());
    let within = |s: &&&ShownAt| s.shown.modseq.is_some_and(|m| m > since && m <= upto);
    // It existed at `since`: then it has either changed or gone, and both belong into the answer.
    let old = shown.iter().any(|s| s.shown.modseq.is_some_and(|m| m <= since));
    // One that came and went since then may be left out (RFC 7162 §3.2.10); one that is there later may not.
    let mut changed = shown.iter().filter(within);
    let first = changed.next()?;
    if old || first.from > answer.ix || !log.may_be_gone(first.key, answer.ix) {
        return Some(first);
    }
    changed.find(|s| s.from > answer.ix).copied()
}

/// An acknowledged removal of one message.
struct Removal<'b, 'a> {
    op: &'b Op<'a>,
    end: usize,
    key: Key<'a>,
}

fn removals<'b, 'a>(log: &'b Log<'a>) -> BTreeMap<Place<'a>, Vec<Removal<'b, 'a>>> {
    let mut all: BTreeMap<Place, Vec<Removal>> = BTreeMap::new();
    for op in &log.ops {
        let Some((end, _)) = op.reply() else { continue };
        for key in removed(log, op) {
            all.entry(key.place).or_default().push(Removal { op, end, key });
        }
    }
    all
}

/// A message that was there at `since` and whose removal was acknowledged before the question.
fn not_told_gone(
    log: &Log,
    answer: &Seen,
    since: ModSeq,
    reached: Option<&Vec<(usize, ModSeq)>>,
    gone: &Removal,
) -> Option<Finding> {
    // From this event on, the mailbox had reached `since`; a listing of after that has the message.
    let (reached, _) = reached?.iter().find(|(_, modseq)| *modseq >= since)?;
    let listings = log.listings.get(&gone.key.place)?;
    let there = listings.iter().find(|l| l.from > *reached && l.ix < answer.ix && l.has(gone.key.uid))?;
    let text = format!(
        "{} asks for what changed since {since} and is not told that {} is gone, which was there at {} and whose \
         removal by operation {} was acknowledged at {}",
        log.who(answer.ix),
        gone.key,
        log.at(there.ix),
        gone.op.no,
        log.at(gone.end)
    );
    Some(Finding::new("modseq", text, [there.ix, gone.op.invoked, gone.end, answer.ix]))
}
