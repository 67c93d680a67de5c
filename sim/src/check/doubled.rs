//! Nothing happens twice: there are no more copies of an attempt in a mailbox than operations explain.

use super::Finding;
use super::log::{Key, Log, Op, Place};
use crate::history::*;
use std::collections::BTreeMap;

pub fn check(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (&place, messages) in &log.index.messages {
        let mut copies: BTreeMap<Attempt, Vec<(usize, Uid)>> = BTreeMap::new();
        for (&uid, known) in messages {
            if let Some(attempt) = known.attempt() {
                copies.entry(attempt).or_default().push((known.shown.unwrap_or(known.first), uid));
            }
        }
        for (attempt, mut copies) in copies {
            copies.sort_unstable();
            findings.extend(too_many(log, place, attempt, &copies));
        }
    }
    findings
}

/// The first copy, by the time it was seen, that no operation invoked before is left to explain.
fn too_many<'a>(
    log: &Log<'a>,
    place: Place<'a>,
    attempt: Attempt,
    copies: &[(usize, Uid)],
) -> Option<Finding> {
    let causes: Vec<&Op> = causes(log, place, attempt);
    let (nth, &(seen, uid)) = copies
        .iter()
        .enumerate()
        .find(|(nth, (seen, _))| causes.get(*nth).is_none_or(|op| op.invoked > *seen))?;
    let uids: Vec<Uid> = copies.iter().map(|(_, uid)| *uid).collect();
    let numbers: Vec<OpNo> = causes.iter().map(|op| op.no).collect();
    let refused = refused(log, attempt).map_or(String::new(), |op| format!("; operation {op} was refused"));
    let text = format!(
        "{} is shown UID {uid} of {place}, copy {} of {attempt:?} (all copies: {uids:?}); operations {numbers:?} \
         explain {nth} of them{refused}",
        log.who(seen),
        nth + 1
    );
    let proof = causes.iter().flat_map(|op| op.events()).chain(copies.iter().map(|(ix, _)| *ix));
    Some(Finding::new("doubled", text, proof))
}

/// Operations that may have put a copy into the mailbox, each as often as it may have, in order of invocation.
pub fn causes<'b, 'a>(log: &'b Log<'a>, place: Place<'a>, attempt: Attempt) -> Vec<&'b Op<'a>> {
    // What never got into the account can't be copied there either.
    if !log.ops.iter().any(|op| op.may() && sends(op.call, place.login, attempt)) {
        return Vec::new();
    }
    let mut causes = direct(log, place, attempt);
    for op in log.ops.iter().filter(|op| op.may()) {
        // RFC 3501 §6.3.5: a renamed INBOX leaves all its messages to the new mailbox, as many as there were.
        let Call::Rename { login, from, to } = op.call else { continue };
        if from == "INBOX" && login == place.login && log.index.named(place, to) {
            let there = log.index.places(login, from).map(|inbox| direct(log, inbox, attempt).len()).sum();
            causes.extend(std::iter::repeat_n(op, there));
        }
    }
    causes.sort_by_key(|op| op.invoked);
    causes
}

fn sends(call: &Call, login: &str, attempt: Attempt) -> bool {
    match call {
        Call::Submit { to, attempt: a } => *a == attempt && to.iter().any(|l| l == login),
        Call::Append { login: l, attempt: a, .. } => *a == attempt && l == login,
        _ => false,
    }
}

fn direct<'b, 'a>(log: &'b Log<'a>, place: Place<'a>, attempt: Attempt) -> Vec<&'b Op<'a>> {
    let mut causes = Vec::new();
    for op in log.ops.iter().filter(|op| op.may()) {
        let times = match op.call {
            Call::Submit { to, attempt: a } if *a == attempt && log.index.named(place, "INBOX") => {
                to.iter().filter(|login| *login == place.login).count()
            }
            Call::Append { login, mailbox, attempt: a, .. } if *a == attempt => {
                usize::from(login == place.login && log.index.named(place, mailbox))
            }
            Call::Copy { login, validity, uids, to, .. } | Call::Move { login, validity, uids, to, .. }
                if login == place.login && log.index.named(place, to) =>
            {
                let source = Place { login, validity: *validity };
                let of_it = |uid: &&Uid| {
                    log.index.attempt(Key { place: source, uid: **uid }).is_none_or(|a| a == attempt)
                };
                uids.iter().filter(of_it).count()
            }
            _ => 0,
        };
        causes.extend(std::iter::repeat_n(op, times));
    }
    causes
}

fn refused(log: &Log, attempt: Attempt) -> Option<OpNo> {
    let of_it = |op: &&Op| match op.call {
        Call::Submit { attempt: a, .. } | Call::Append { attempt: a, .. } => *a == attempt && !op.may(),
        _ => false,
    };
    log.ops.iter().find(of_it).map(|op| op.no)
}
