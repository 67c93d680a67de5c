//! No acknowledged mail is lost: what an acknowledgement told of is in the final listings.

use super::Finding;
use super::log::{Key, Log, Op, Place};
use crate::history::*;

pub fn check(log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for op in &log.ops {
        let Some((end, reply)) = op.reply() else { continue };
        match (op.call, reply) {
            (Call::Append { login, attempt, .. }, Reply::Appended { validity, uids }) => {
                for &uid in uids {
                    findings.extend(by_uid(log, op, end, key(login, *validity, uid), Some(*attempt)));
                }
            }
            (Call::Append { login, mailbox, attempt, .. }, _) => {
                findings.extend(by_attempt(log, op, end, (login, mailbox), *attempt));
            }
            (Call::Submit { to, attempt }, _) => {
                findings.extend(
                    to.iter().filter_map(|login| by_attempt(log, op, end, (login, "INBOX"), *attempt)),
                );
            }
            (
                Call::Copy { login, validity: v, .. } | Call::Move { login, validity: v, .. },
                Reply::Copied { validity, from, to },
            ) => {
                for (&source, &uid) in from.iter().zip(to) {
                    let attempt = log.index.attempt(key(login, *v, source));
                    findings.extend(by_uid(log, op, end, key(login, *validity, uid), attempt));
                }
            }
            _ => {}
        }
    }
    findings
}

fn key(login: &str, validity: UidValidity, uid: Uid) -> Key<'_> {
    Key { place: Place { login, validity }, uid }
}

/// A message whose UID was told.
fn by_uid<'a>(
    log: &Log<'a>,
    op: &Op<'a>,
    end: usize,
    key: Key<'a>,
    attempt: Option<Attempt>,
) -> Option<Finding> {
    let fault = |ix: usize, what: String| {
        let text = format!("operation {}, acknowledged at {} with {key}: {what}", op.no, log.at(end));
        Some(Finding::new("lost", text, [op.invoked, end, ix]))
    };
    for listing in log.finals(key.place).filter(|l| l.from > end) {
        match listing.messages.iter().find(|m| m.uid == key.uid) {
            Some(Shown { attempt: Some(shown), .. }) if attempt.is_some_and(|a| a != *shown) => {
                return fault(listing.ix, format!("in the end that UID is {shown:?}, not {attempt:?}"));
            }
            Some(_) => {}
            None if !log.may_be_gone(key, listing.ix) => {
                return fault(
                    listing.ix,
                    "it is not there in the end, and nobody has asked to remove it".into(),
                );
            }
            None => {}
        }
    }
    None
}

/// A message of which only the attempt is known, in a mailbox of that name.
fn by_attempt<'a>(
    log: &Log<'a>,
    op: &Op<'a>,
    end: usize,
    (login, name): (&'a str, &str),
    attempt: Attempt,
) -> Option<Finding> {
    let places: Vec<Place> = log.index.places(login, name).collect();
    let finals: Vec<_> = places.iter().flat_map(|p| log.finals(*p)).filter(|l| l.from > end).collect();
    let last = finals.last()?.ix;
    for listing in &finals {
        for &uid in &listing.uids {
            // A message of unknown bytes may be the one.
            if log.index.attempt(Key { place: listing.place, uid }).is_none_or(|a| a == attempt) {
                return None;
            }
        }
    }
    let excused = places.iter().any(|&place| {
        let messages = log.index.messages.get(&place).into_iter().flatten();
        let mut of_it = messages.filter(|(_, known)| known.attempt() == Some(attempt));
        of_it.any(|(&uid, _)| log.may_be_gone(Key { place, uid }, last))
    });
    if excused || log.unnamed_may_be_gone(login, name, attempt, last) {
        return None;
    }
    let text = format!(
        "operation {}, acknowledged at {}: {attempt:?} is not in {name} of {login} in the end, and nobody has asked \
         to remove it",
        op.no,
        log.at(end)
    );
    Some(Finding::new("lost", text, [op.invoked, end, last]))
}
