//! Acknowledged flag changes are kept, and conditional ones (RFC 7162 §3.1.3) are decided by the modseq.

use super::Finding;
use super::log::{Key, Log, Op, ShownAt};
use super::register::{Read, Write, contradiction};
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

pub fn check(log: &Log) -> Vec<Finding> {
    let mut by_key: BTreeMap<Key, Vec<&ShownAt>> = BTreeMap::new();
    for s in &log.shown {
        by_key.entry(s.key).or_default().push(s);
    }
    let mut findings = Vec::new();
    for (&key, shown) in &by_key {
        let stores = stores(log, key);
        findings.extend(kept(log, key, &stores, shown));
        findings.extend(at_its_modseq(log, key, &stores, shown));
        for op in &stores {
            findings.extend(condition(log, key, op, &stores, shown));
        }
    }
    findings
}

/// Changes of this message's flags that may have happened.
fn stores<'b, 'a>(log: &'b Log<'a>, key: Key<'a>) -> Vec<&'b Op<'a>> {
    let targets = log.index.known(key).map_or(&[][..], |known| &known.targets);
    targets
        .iter()
        .map(|&at| &log.ops[at])
        .filter(|op| op.may() && matches!(op.call, Call::Store { .. }))
        .collect()
}

fn change<'a>(op: &Op<'a>) -> Option<&'a FlagChange> {
    if let Call::Store { change, .. } = op.call { Some(change) } else { None }
}

/// What a change makes of a flag, if it touches it.
fn sets(change: &FlagChange, flag: &str) -> Option<bool> {
    let among = |flags: &[String]| flags.iter().any(|f| f == flag);
    match change {
        FlagChange::Add(flags) => among(flags).then_some(true),
        FlagChange::Remove(flags) => among(flags).then_some(false),
        FlagChange::Replace(flags) => Some(among(flags)),
    }
}

/// Whether an acknowledged change left this message out, since it had been changed.
fn left_out(op: &Op, uid: Uid) -> bool {
    matches!(op.reply(), Some((_, Reply::Stored { modified, .. })) if modified.contains(&uid))
}

/// The flags a message came with, where that is certain: it was appended with its UID told.
fn initial<'a>(log: &Log<'a>, key: Key<'a>) -> Option<&'a [String]> {
    let attempt = log.index.attempt(key)?;
    log.ops.iter().find_map(|op| match (op.call, op.reply()) {
        (Call::Append { attempt: a, flags, .. }, Some((_, Reply::Appended { validity, uids }))) => {
            let it = *a == attempt && *validity == key.place.validity && uids.contains(&key.uid);
            it.then_some(flags.as_slice())
        }
        _ => None,
    })
}

fn kept<'a>(log: &Log<'a>, key: Key<'a>, stores: &[&Op<'a>], shown: &[&ShownAt<'a>]) -> Vec<Finding> {
    let mut reads: Vec<(usize, usize, &[String])> = Vec::new();
    for s in shown {
        reads.extend(s.shown.flags.as_deref().map(|flags| (s.from, s.ix, flags)));
    }
    let initial = initial(log, key);
    let mut flags: BTreeSet<&str> =
        reads.iter().flat_map(|(_, _, flags)| *flags).map(String::as_str).collect();
    flags.extend(initial.into_iter().flatten().map(String::as_str));
    for op in stores {
        if let Some(FlagChange::Add(f) | FlagChange::Remove(f) | FlagChange::Replace(f)) = change(op) {
            flags.extend(f.iter().map(String::as_str));
        }
    }
    // `\Recent` belongs to sessions, not to messages (RFC 3501 §2.3.2).
    flags.remove("\\Recent");
    let one = |flag: &str| {
        let has = |flags: &[String]| flags.iter().any(|f| f == flag);
        let writes: Vec<Write> = stores.iter().filter_map(|op| write(op, key.uid, flag)).collect();
        // A sight of unknown age says only that the flag once was so: it can't contradict a later change.
        let read = |(from, ix, flags): &(usize, usize, &[String])| Read {
            begin: *from,
            end: *ix,
            value: has(flags),
        };
        let reads: Vec<Read> = dated(reads.iter().map(read).collect(), &writes);
        let at = contradiction(initial.map(has), &writes, &reads)?;
        let about = stores.iter().filter(|op| write(op, key.uid, flag).is_some() && op.invoked < at);
        let numbers: Vec<OpNo> = about.clone().map(|op| op.no).collect();
        let text = format!(
            "{} contradicts what was known of flag {flag} of {key}; it was changed by the operations {numbers:?}",
            log.who(at)
        );
        Some(Finding::new("flags", text, about.flat_map(|op| op.events()).chain([at])))
    };
    flags.into_iter().filter_map(one).collect()
}

/// Reads that prove something, each moment once. One that began before all writes did and has lasted ever since is
/// as good as none, unless nobody ever wrote the value: then one of them is enough.
fn dated(reads: Vec<Read>, writes: &[Write]) -> Vec<Read> {
    let mut kept: Vec<Read> = Vec::with_capacity(reads.len());
    let mut undated = [false; 2];
    for read in reads {
        if read.begin == 0 {
            let fresh = writes.iter().any(|w| w.value == read.value && w.begin < read.end);
            if fresh || std::mem::replace(&mut undated[usize::from(read.value)], true) {
                continue;
            }
        }
        kept.push(read);
    }
    kept
}

fn write(op: &Op, uid: Uid, flag: &str) -> Option<Write> {
    if left_out(op, uid) {
        return None;
    }
    let value = sets(change(op)?, flag)?;
    Some(Write { begin: op.invoked, end: op.reply().map(|(end, _)| end), value })
}

/// A sight at exactly the modseq that a change was told to have shows that change.
fn at_its_modseq<'a>(
    log: &Log<'a>,
    key: Key<'a>,
    stores: &[&Op<'a>],
    shown: &[&ShownAt<'a>],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for op in stores {
        let (Some((end, Reply::Stored { modseqs, .. })), Some(change)) = (op.reply(), change(op)) else {
            continue;
        };
        let Some(modseq) = modseqs.get(&key.uid).filter(|_| !left_out(op, key.uid)) else { continue };
        let wrong = shown.iter().find(|s| {
            let Some(flags) = s.shown.flags.as_ref().filter(|_| s.shown.modseq == Some(*modseq)) else {
                return false;
            };
            let named = match change {
                FlagChange::Add(f) | FlagChange::Remove(f) | FlagChange::Replace(f) => f,
            };
            named
                .iter()
                .chain(flags)
                .any(|flag| sets(change, flag).is_some_and(|set| set != flags.contains(flag)))
        });
        if let Some(s) = wrong {
            let text = format!(
                "{} is shown {key} at modseq {modseq} with {:?}, not as operation {} left it at that modseq",
                log.who(s.ix),
                s.shown.flags,
                op.no
            );
            findings.push(Finding::new("flags", text, [op.invoked, end, s.ix]));
        }
    }
    findings
}

/// The modseq of the message in the reply of a change.
fn modseq_told(op: &Op, uid: Uid) -> Option<ModSeq> {
    match op.reply() {
        Some((_, Reply::Stored { modseqs, .. })) if !left_out(op, uid) => modseqs.get(&uid).copied(),
        _ => None,
    }
}

fn condition<'a>(
    log: &Log<'a>,
    key: Key<'a>,
    op: &Op<'a>,
    stores: &[&Op<'a>],
    shown: &[&ShownAt<'a>],
) -> Option<Finding> {
    let Call::Store { unchanged_since: Some(limit), .. } = op.call else { return None };
    let (end, _) = op.reply()?;
    if left_out(op, key.uid) {
        return without_reason(log, key, (op, end, *limit), stores, shown);
    }
    let seen = shown.iter().filter_map(|s| Some((s.ix, s.shown.modseq?)));
    let others = stores.iter().filter(|other| other.no != op.no);
    let changed = others.filter_map(|o| Some((o.reply()?.0, modseq_told(o, key.uid)?)));
    // Whenever that was seen: modseqs rise, so that it was so before this change if it has the higher one.
    let told = modseq_told(op, key.uid);
    let is_before = |at: usize, modseq: ModSeq| at < op.invoked || told.is_some_and(|told| modseq < told);
    let (at, modseq) = seen.chain(changed).find(|(at, modseq)| modseq > limit && is_before(*at, *modseq))?;
    // What has been expunged is not changed, nor said to have been.
    if log.may_be_gone(key, end) {
        return None;
    }
    let text = format!(
        "operation {} changed {key} unless changed since {limit}, which had modseq {modseq} already, as of {}",
        op.no,
        log.at(at)
    );
    Some(Finding::new("flags", text, [at, op.invoked, end]))
}

/// MODIFIED, though the last that was seen of the message was not above the limit and nobody can have changed it.
fn without_reason<'a>(
    log: &Log<'a>,
    key: Key<'a>,
    (op, end, limit): (&Op<'a>, usize, ModSeq),
    stores: &[&Op<'a>],
    shown: &[&ShownAt<'a>],
) -> Option<Finding> {
    if log.may_be_gone(key, end) {
        return None;
    }
    let last = shown.iter().find(|s| {
        s.shown.modseq.is_some_and(|modseq| modseq <= limit)
            && stores.iter().all(|other| {
                other.no == op.no
                    || other.invoked > end
                    || other.settled_before(s.from)
                    || modseq_told(other, key.uid).is_some_and(|modseq| modseq <= limit)
                    || left_out(other, key.uid)
            })
    })?;
    let text = format!(
        "operation {} was told that {key} was modified since {limit}, but it had modseq {:?} at {} and nobody has \
         changed it since",
        op.no,
        last.shown.modseq,
        log.at(last.ix)
    );
    Some(Finding::new("flags", text, [last.ix, op.invoked, end]))
}
