//! Ways to spoil a lawful history. Each says whether it could be done; if so, a promise is broken.

#![expect(clippy::ptr_arg, reason = "all are of the one type that the table holds")]

use super::chance::Chance;
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};

/// An operation: when it was invoked, and how it ended.
type Done = (usize, Call, Option<(usize, Outcome)>);

pub struct Spoiler {
    pub name: &'static str,
    /// The promise that has to be among the findings.
    pub promise: &'static str,
    pub spoil: fn(&mut Vec<Event>, u64) -> Option<()>,
}

macro_rules! spoilers {
    ($($promise:literal: $name:literal => $spoil:path),+ $(,)?) => {
        pub const SPOILERS: &[Spoiler] = &[$(Spoiler { name: $name, promise: $promise, spoil: $spoil }),+];
    };
}

spoilers! {
    "lost": "an acknowledged append is lost" => lost_append,
    "lost": "an acknowledged mail is lost" => lost_mail,
    "doubled": "a message is there twice" => doubled,
    "doubled": "a refused mail is there" => refused,
    "uid": "a UID names another message" => uid_reused,
    "uid": "a UID appears late" => late_uid,
    "uid": "UIDNEXT goes back" => uid_next_back,
    "uid": "UIDVALIDITY goes back" => validity_back,
    "modseq": "HIGHESTMODSEQ goes back" => highest_back,
    "modseq": "a message's modseq goes back" => modseq_back,
    "modseq": "a change has no modseq" => silent_change,
    "modseq": "Changed leaves out a change" => change_left_out,
    "modseq": "Changed leaves out a removal" => removal_left_out,
    "expunged": "a listing misses what was acknowledged" => stale_listing,
    "agree": "a maildrop misses a message" => stale_maildrop,
    "read your writes": "a maildrop misses an old message" => old_maildrop,
    "read your writes": "a listing misses a new message" => stale_new,
    "agree": "a web page misses a message" => stale_page,
    "read your writes": "a new mailbox is not listed" => mailbox_missing,
    "flags": "an acknowledged flag is lost" => flag_lost,
    "flags": "a condition is ignored" => condition_ignored,
    "flags": "MODIFIED without a reason" => modified_for_nothing,
    "expunged": "an expunged message comes back" => resurrected,
    "expunged": "a message goes unasked" => disappears,
    "moved": "half a MOVE: in both" => moved_both,
    "moved": "half a MOVE: in neither" => moved_neither,
    "moved": "half a MOVE, unheard: in neither" => unheard_neither,
    "moved": "half a MOVE, unheard: in both" => unheard_both,
    "moved": "a part of a COPY" => copied_part,
    "bytes": "damaged bytes" => damaged,
    "notice": "a notification is lost" => notice_lost,
    "notice": "a message is new twice" => new_twice,
    "notice": "a message is gone twice" => gone_twice,
    "agree": "two nodes disagree" => disagree,
}

type At = (Login, UidValidity, Uid);

/// The messages of a sight and the mailbox they are in.
fn messages(event: &Event) -> Option<(&Login, UidValidity, &Vec<Shown>)> {
    match &event.what {
        What::Saw(
            Sight::Listed { login, validity, messages, .. }
            | Sight::Fetched { login, validity, messages, .. },
        ) => Some((login, *validity, messages)),
        _ => None,
    }
}

/// Indexes of the final listings: those after the first client has come back to list everything.
fn finals(events: &[Event]) -> Vec<usize> {
    let quiet = events.iter().rposition(|e| matches!(&e.what, What::Connected { node } if node == "node0"));
    let listed = |ix: &usize| matches!(&events[*ix].what, What::Saw(Sight::Listed { .. }));
    (quiet.unwrap_or_default()..events.len()).filter(listed).collect()
}

/// Messages that are there in the end, with their attempts.
fn there(events: &[Event]) -> BTreeMap<At, Attempt> {
    let mut all = BTreeMap::new();
    for ix in finals(events) {
        let (login, validity, messages) = messages(&events[ix]).expect("a final listing");
        for m in messages {
            all.insert((login.clone(), validity, m.uid), m.attempt.expect("final listings ask for bytes"));
        }
    }
    all
}

/// The lists of messages in a sight of that mailbox.
fn lists<'a>(event: &'a mut Event, (login, validity, _): &At) -> Vec<&'a mut Vec<Shown>> {
    match &mut event.what {
        What::Saw(
            Sight::Listed { login: l, validity: v, messages, .. }
            | Sight::Fetched { login: l, validity: v, messages, .. },
        ) if l == login && v == validity => {
            vec![messages]
        }
        What::Saw(Sight::Noticed { login: l, validity: v, new, changed, .. })
            if l == login && v == validity =>
        {
            vec![new, changed]
        }
        What::Saw(Sight::Changed { login: l, validity: v, changed, .. }) if l == login && v == validity => {
            vec![changed]
        }
        _ => Vec::new(),
    }
}

/// Takes a message out of sights.
fn hide(events: &mut [Event], at: &At, which: impl Fn(usize) -> bool) {
    for (ix, event) in events.iter_mut().enumerate().filter(|(ix, _)| which(*ix)) {
        let _ = ix;
        for list in lists(event, at) {
            list.retain(|m| m.uid != at.2);
        }
    }
}

fn shows(event: &Event, at: &At) -> bool {
    let mut event = event.clone();
    lists(&mut event, at).iter().any(|list| list.iter().any(|m| m.uid == at.2))
}

/// Operations with their calls, ends and outcomes.
fn ops(events: &[Event]) -> Vec<Done> {
    let mut all: Vec<Done> = Vec::new();
    let mut by_no = BTreeMap::new();
    for (ix, event) in events.iter().enumerate() {
        match &event.what {
            What::Invoked { op, call } => {
                by_no.insert(*op, all.len());
                all.push((ix, call.clone(), None));
            }
            What::Ended { op, outcome } => all[by_no[op]].2 = Some((ix, outcome.clone())),
            _ => {}
        }
    }
    all
}

fn acknowledged(outcome: &Option<(usize, Outcome)>) -> Option<(usize, &Reply)> {
    match outcome {
        Some((ix, Outcome::Acknowledged(reply))) => Some((*ix, reply)),
        _ => None,
    }
}

/// UIDs that an operation may have removed, by account; mailboxes told by name count for all.
fn removable(events: &[Event]) -> BTreeSet<(Login, Uid)> {
    let mut all = BTreeSet::new();
    for (_, call, _) in ops(events) {
        if let Call::Expunge { login, uids, .. } | Call::Move { login, uids, .. } = call {
            all.extend(uids.into_iter().map(|uid| (login.clone(), uid)));
        }
    }
    all
}

/// Accounts in which a message was removed or copied of which nobody had seen the bytes.
fn unnamed(events: &[Event]) -> BTreeSet<Login> {
    let mut seen: BTreeSet<At> = BTreeSet::new();
    for event in events {
        let Some((login, validity, list)) = messages(event) else { continue };
        seen.extend(list.iter().filter(|m| m.attempt.is_some()).map(|m| (login.clone(), validity, m.uid)));
    }
    let mut all = BTreeSet::new();
    for (_, call, _) in ops(events) {
        let (login, validity, uids) = match call {
            Call::Expunge { login, validity, uids, .. } => (login, validity, uids),
            Call::Move { login, validity, uids, .. } | Call::Copy { login, validity, uids, .. } => {
                (login, Some(validity), uids)
            }
            _ => continue,
        };
        let known = |uid: &Uid| validity.is_some_and(|v| seen.contains(&(login.clone(), v, *uid)));
        if !uids.iter().all(known) {
            all.insert(login);
        }
    }
    all
}

/// Whether mailboxes of the account were deleted or renamed: then much can be explained.
fn unsettled(events: &[Event], login: &str) -> bool {
    ops(events).iter().any(|(_, call, outcome)| match call {
        Call::Delete { login: l, .. } | Call::Rename { login: l, .. } => {
            l == login && !matches!(outcome, Some((_, Outcome::Refused(_))))
        }
        _ => false,
    })
}

/// Messages that nothing can explain the absence of.
fn settled(events: &[Event]) -> Vec<(At, Attempt)> {
    let removable = removable(events);
    let stays =
        |(at, _): &(At, Attempt)| !removable.contains(&(at.0.clone(), at.2)) && !unsettled(events, &at.0);
    there(events).into_iter().filter(stays).collect()
}

fn chosen<T: Clone>(from: &[T], seed: u64) -> Option<T> {
    Chance(seed).pick(from).cloned()
}

fn lost_append(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let appended: Vec<At> = ops(events)
        .iter()
        .filter_map(|(_, call, outcome)| match (call, acknowledged(outcome)?) {
            (Call::Append { login, .. }, (_, Reply::Appended { validity, uids })) => {
                Some((login.clone(), *validity, uids[0]))
            }
            _ => None,
        })
        .collect();
    let settled: BTreeMap<At, Attempt> = settled(events).into_iter().collect();
    let at = chosen(&appended.into_iter().filter(|at| settled.contains_key(at)).collect::<Vec<_>>(), seed)?;
    hide(events, &at, |_| true);
    Some(())
}

fn lost_mail(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let submitted: BTreeSet<Attempt> = ops(events)
        .iter()
        .filter_map(|(_, call, outcome)| match (call, acknowledged(outcome)?) {
            (Call::Submit { attempt, .. }, _) => Some(*attempt),
            _ => None,
        })
        .collect();
    let copied = |attempt: &Attempt| there(events).values().filter(|a| *a == attempt).count() > 1;
    let mut settled = settled(events);
    settled.retain(|(_, attempt)| submitted.contains(attempt) && !copied(attempt));
    // A removed message whose bytes nobody saw could have been the one.
    let unnamed = unnamed(events);
    settled.retain(|(at, _)| !unnamed.contains(&at.0));
    let (at, _) = chosen(&settled, seed)?;
    hide(events, &at, |_| true);
    Some(())
}

/// Adds a message to the final listings of a mailbox.
fn add(events: &mut [Event], at: &At, attempt: Attempt) {
    for ix in finals(events) {
        for list in lists(&mut events[ix], at) {
            let uid = at.2;
            list.push(Shown {
                uid,
                modseq: Some(900),
                flags: Some(vec![]),
                attempt: Some(attempt),
                intact: Some(true),
            });
            list.sort_by_key(|m| m.uid);
        }
    }
}

fn doubled(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    // Of a message that nobody ever copied, moved or tried to, and that no message of unknown bytes could be.
    let unnamed = unnamed(events);
    let mut settled = settled(events);
    let touched: BTreeSet<(Login, Uid)> = ops(events)
        .into_iter()
        .filter_map(|(_, call, _)| match call {
            Call::Copy { login, uids, .. } => Some(uids.into_iter().map(move |uid| (login.clone(), uid))),
            _ => None,
        })
        .flatten()
        .collect();
    settled.retain(|(at, attempt)| {
        !unnamed.contains(&at.0)
            && !touched.contains(&(at.0.clone(), at.2))
            && there(events).values().filter(|a| *a == attempt).count() == 1
    });
    let (at, attempt) = chosen(&settled, seed)?;
    add(events, &(at.0, at.1, 500), attempt);
    Some(())
}

fn refused(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let refused: Vec<Attempt> = ops(events)
        .iter()
        .filter_map(|(_, call, outcome)| match (call, outcome) {
            (Call::Submit { attempt, .. } | Call::Append { attempt, .. }, Some((_, Outcome::Refused(_)))) => {
                Some(*attempt)
            }
            _ => None,
        })
        .collect();
    let attempt = chosen(&refused, seed)?;
    let (at, _) = chosen(&there(events).into_iter().collect::<Vec<_>>(), seed)?;
    add(events, &(at.0, at.1, 500), attempt);
    Some(())
}

fn uid_reused(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let all: Vec<(At, Attempt)> = there(events).into_iter().collect();
    let (at, old) = chosen(&all, seed)?;
    let (_, new) = all.iter().find(|(_, attempt)| *attempt != old)?;
    let known = events.iter().take(finals(events)[0]).any(|e| {
        let mut e = e.clone();
        lists(&mut e, &at).iter().any(|l| l.iter().any(|m| m.uid == at.2 && m.attempt.is_some()))
    });
    for ix in finals(events) {
        for m in lists(&mut events[ix], &at).into_iter().flatten().filter(|m| m.uid == at.2) {
            m.attempt = Some(*new);
        }
    }
    known.then_some(())
}

fn late_uid(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    // A listing that has the message and a later one; before and in it, nobody has been shown the message.
    let mut cases = Vec::new();
    for (ix, event) in events.iter().enumerate() {
        let Some((login, validity, list)) = messages(event) else { continue };
        if !matches!(event.what, What::Saw(Sight::Listed { .. })) || ix >= finals(events)[0] {
            continue;
        }
        let pairs = list.iter().zip(list.iter().skip(1));
        cases.extend(pairs.map(|(m, _)| (ix, (login.clone(), validity, m.uid))));
    }
    cases.retain(|(_, at)| there(events).contains_key(at));
    let (ix, at) = chosen(&cases, seed)?;
    hide(events, &at, |other| other <= ix);
    for event in events.iter_mut() {
        if let What::Ended {
            outcome: Outcome::Acknowledged(reply @ (Reply::Appended { .. } | Reply::Copied { .. })),
            ..
        } = &mut event.what
        {
            *reply = Reply::Done;
        }
    }
    Some(())
}

fn last_status(events: &mut [Event]) -> Option<&mut Sight> {
    events.iter_mut().rev().find_map(|e| match &mut e.what {
        What::Saw(sight @ Sight::Status { .. }) => Some(sight),
        _ => None,
    })
}

fn uid_next_back(events: &mut Vec<Event>, _: u64) -> Option<()> {
    let Sight::Status { uid_next, .. } = last_status(events)? else { return None };
    *uid_next = uid_next.checked_sub(1).filter(|n| *n > 0)?;
    Some(())
}

fn highest_back(events: &mut Vec<Event>, _: u64) -> Option<()> {
    let Sight::Status { highest_modseq, .. } = last_status(events)? else { return None };
    *highest_modseq = highest_modseq.checked_sub(1).filter(|n| *n > 0)?;
    Some(())
}

fn validity_back(events: &mut Vec<Event>, _: u64) -> Option<()> {
    let sight = last_status(events)?;
    let Sight::Status { validity, login, .. } = sight else { return None };
    *validity = 0;
    let login = login.clone();
    (!unsettled(events, &login)).then_some(())
}

/// Changes one message in the very last listing.
fn in_last(events: &mut [Event], seed: u64, change: impl Fn(&mut Shown) -> Option<()>) -> Option<At> {
    let last = finals(events);
    let filled: Vec<usize> =
        last.into_iter().filter(|ix| messages(&events[*ix]).is_some_and(|(_, _, m)| !m.is_empty())).collect();
    let ix = *filled.last()?;
    let (login, validity, list) = messages(&events[ix])?;
    let at = (login.clone(), validity, chosen(list, seed)?.uid);
    let m = lists(&mut events[ix], &at).into_iter().flatten().find(|m| m.uid == at.2)?;
    change(m)?;
    Some(at)
}

fn modseq_back(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    in_last(events, seed, |m| {
        m.modseq = Some(m.modseq?.checked_sub(1)?);
        Some(())
    })
    .map(|_| ())
}

fn silent_change(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    in_last(events, seed, |m| {
        m.flags = Some(vec!["$Odd".into()]);
        Some(())
    })
    .map(|_| ())
}

fn damaged(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    in_last(events, seed, |m| {
        m.intact = Some(false);
        Some(())
    })
    .map(|_| ())
}

fn disagree(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let at = in_last(events, seed, |_| Some(()))?;
    let last = finals(events).into_iter().rfind(|ix| shows(&events[*ix], &at))?;
    hide(events, &at, |ix| ix == last);
    Some(())
}

fn change_left_out(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let there = there(events);
    let mut cases = Vec::new();
    for (ix, event) in events.iter().enumerate() {
        let What::Saw(Sight::Changed { login, validity, upto, changed, .. }) = &event.what else { continue };
        for m in changed {
            let at = (login.clone(), *validity, m.uid);
            let still = finals(events).into_iter().any(|f| {
                messages(&events[f]).is_some_and(|(l, v, list)| {
                    *l == at.0 && v == at.1 && list.iter().any(|s| s.uid == at.2 && s.modseq <= Some(*upto))
                })
            });
            cases.extend(there.get(&at).filter(|_| still).map(|_| (ix, at)));
        }
    }
    let (ix, at) = chosen(&cases, seed)?;
    hide(events, &at, |other| other == ix);
    Some(())
}

fn removal_left_out(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    // A resynchronising reader that goes on to the end: what it is not told of, it believes in for ever.
    let mut cases = Vec::new();
    for (ix, event) in events.iter().enumerate().filter(|(_, e)| e.client >= 10) {
        let What::Saw(Sight::Changed { gone, .. }) = &event.what else { continue };
        let ends =
            events.iter().skip(ix).any(|e| e.client == event.client && matches!(e.what, What::Lost { .. }));
        if !gone.is_empty() && !ends {
            cases.push(ix);
        }
    }
    let ix = chosen(&cases, seed)?;
    let What::Saw(Sight::Changed { gone, login, .. }) = &mut events[ix].what else { return None };
    gone.pop();
    let login = login.clone();
    (!unsettled(events, &login)).then_some(())
}

fn stale_listing(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let settled = settled(events);
    let mut cases = Vec::new();
    for (ix, event) in events.iter().enumerate() {
        let What::Saw(Sight::Listed { since, .. }) = &event.what else { continue };
        for (at, _) in &settled {
            let earlier = events.iter().any(|e| e.at < *since && shows(e, at));
            if earlier && shows(event, at) {
                cases.push((ix, at.clone()));
            }
        }
    }
    let (ix, at) = chosen(&cases, seed)?;
    hide(events, &at, |other| other == ix);
    Some(())
}

/// The only listing that shows a message whose UID the acknowledgement told: it now lacks it.
fn stale_new(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let appended: Vec<(usize, At)> = ops(events)
        .iter()
        .filter_map(|(_, call, outcome)| match (call, acknowledged(outcome)?) {
            (Call::Append { login, .. }, (end, Reply::Appended { validity, uids })) => {
                Some((end, (login.clone(), *validity, uids[0])))
            }
            _ => None,
        })
        .collect();
    let settled: BTreeSet<At> = settled(events).into_iter().map(|(at, _)| at).collect();
    let mut cases = Vec::new();
    for (end, at) in appended.into_iter().filter(|(_, at)| settled.contains(at)) {
        let first = events.iter().position(|e| shows(e, &at));
        let asked = |ix: usize| match &events[ix].what {
            What::Saw(Sight::Listed { since, .. }) => *since > events[end].at,
            _ => false,
        };
        cases.extend(first.filter(|&ix| ix > end && asked(ix)).map(|ix| (ix, at)));
    }
    let (ix, at) = chosen(&cases, seed)?;
    hide(events, &at, |other| other == ix);
    Some(())
}

fn stale_maildrop(events: &mut Vec<Event>, _: u64) -> Option<()> {
    let last = events.iter_mut().rev().find_map(|e| match &mut e.what {
        What::Saw(Sight::Maildrop { messages, .. }) if !messages.is_empty() => Some(messages),
        _ => None,
    })?;
    last.pop();
    Some(())
}

/// A message that others had seen before the last maildrop was asked for, and that nobody removes.
fn old_maildrop(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let first = *finals(events).first()?;
    let inbox: BTreeSet<(UidValidity, Uid)> = events.iter().rev().find_map(|e| match &e.what {
        What::Saw(Sight::Maildrop { messages, .. }) => Some(messages.iter().copied().collect()),
        _ => None,
    })?;
    let mut cases = settled(events);
    cases.retain(|((_, validity, uid), _)| inbox.contains(&(*validity, *uid)));
    cases.retain(|(at, _)| events[..first - 10].iter().any(|e| shows(e, at)));
    let ((_, validity, uid), _) = chosen(&cases, seed)?;
    for event in events.iter_mut().skip(first) {
        if let What::Saw(Sight::Maildrop { messages, .. }) = &mut event.what {
            messages.retain(|m| *m != (validity, uid));
        }
    }
    Some(())
}

fn stale_page(events: &mut Vec<Event>, _: u64) -> Option<()> {
    let last = events.iter_mut().rev().find_map(|e| match &mut e.what {
        What::Saw(Sight::Web { page, .. }) if page.uids.len() > 1 => Some(&mut page.uids),
        _ => None,
    })?;
    // The newest: it stands first.
    last.remove(0);
    Some(())
}

fn mailbox_missing(events: &mut Vec<Event>, _: u64) -> Option<()> {
    let made =
        ops(events).into_iter().find_map(|(_, call, outcome)| match (call, acknowledged(&outcome)?) {
            (Call::Create { login, mailbox }, _) if !unsettled(events, &login) => Some((login, mailbox)),
            _ => None,
        })?;
    for event in events {
        if let What::Saw(Sight::Mailboxes { login, names, .. }) = &mut event.what
            && *login == made.0
        {
            names.retain(|name| *name != made.1);
        }
    }
    Some(())
}

/// Stores of one message that may have happened: the call, its end and its reply.
fn stores(events: &[Event], at: &At) -> Vec<Done> {
    let mut all = ops(events);
    all.retain(|(_, call, outcome)| {
        matches!(call, Call::Store { login, validity, uids, .. }
            if *login == at.0 && *validity == at.1 && uids.contains(&at.2))
            && !matches!(outcome, Some((_, Outcome::Refused(_))))
    });
    all
}

fn flag_lost(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let mut cases = Vec::new();
    for at in there(events).into_keys() {
        let stores = stores(events, &at);
        // The only one, so that nobody else can have taken the flag away.
        let [(_, Call::Store { change: FlagChange::Add(flags), .. }, outcome)] = &stores[..] else {
            continue;
        };
        match acknowledged(outcome) {
            Some((_, Reply::Stored { modified, .. })) if modified.contains(&at.2) => {}
            Some(_) => cases.push((at, flags[0].clone())),
            None => {}
        }
    }
    let (at, flag) = chosen(&cases, seed)?;
    for ix in finals(events) {
        for m in lists(&mut events[ix], &at).into_iter().flatten().filter(|m| m.uid == at.2) {
            // With a new modseq, so that it looks like a change.
            m.modseq = m.modseq.map(|m| m + 100);
            m.flags.as_mut()?.retain(|f| *f != flag);
        }
    }
    Some(())
}

/// Turns the reply to a conditional change of a message that stays the other way round.
fn flip(events: &mut [Event], seed: u64, was_modified: bool) -> Option<()> {
    let settled = settled(events);
    let mut cases = Vec::new();
    for (ix, call, outcome) in ops(events) {
        let (
            Call::Store { login, validity, uids, unchanged_since: Some(limit), .. },
            Some((end, Reply::Stored { modified, .. })),
        ) = (&call, acknowledged(&outcome))
        else {
            continue;
        };
        for uid in uids {
            let at = (login.clone(), *validity, *uid);
            if modified.contains(uid) != was_modified || !settled.iter().any(|(s, _)| *s == at) {
                continue;
            }
            let others = stores(events, &at).len() > 1;
            // Somebody had seen it above the limit, or below, before.
            let seen = events[..ix].iter().any(|e| {
                let mut e = e.clone();
                lists(&mut e, &at)
                    .iter()
                    .any(|l| l.iter().any(|m| m.uid == at.2 && (m.modseq > Some(*limit)) == was_modified))
            });
            if seen && (was_modified || !others) {
                cases.push((end, *uid));
            }
        }
    }
    let (end, uid) = chosen(&cases, seed)?;
    let What::Ended { outcome: Outcome::Acknowledged(Reply::Stored { modified, .. }), .. } =
        &mut events[end].what
    else {
        return None;
    };
    if was_modified {
        modified.retain(|m| *m != uid);
    } else {
        modified.push(uid);
    }
    Some(())
}

fn condition_ignored(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    flip(events, seed, true)
}

fn modified_for_nothing(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    flip(events, seed, false)
}

fn resurrected(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let there = there(events);
    let lists: BTreeSet<(Login, UidValidity)> = finals(events)
        .iter()
        .filter_map(|ix| messages(&events[*ix]).map(|(login, validity, _)| (login.clone(), validity)))
        .collect();
    let mut cases = Vec::new();
    for (_, call, outcome) in ops(events) {
        let (Call::Expunge { login, validity: Some(validity), uids, .. }, Some((_, reply))) =
            (&call, acknowledged(&outcome))
        else {
            continue;
        };
        let took = match reply {
            Reply::Expunged { uids } => uids,
            _ => uids,
        };
        let at = took.iter().map(|uid| (login.clone(), *validity, *uid));
        cases.extend(at.filter(|at| !there.contains_key(at) && lists.contains(&(at.0.clone(), at.1))));
    }
    let at = chosen(&cases, seed)?;
    let attempt = events.iter().find_map(|e| {
        let mut e = e.clone();
        lists_attempt(&mut e, &at)
    })?;
    add(events, &at, attempt);
    Some(())
}

fn lists_attempt(event: &mut Event, at: &At) -> Option<Attempt> {
    lists(event, at).into_iter().flatten().find(|m| m.uid == at.2)?.attempt
}

fn disappears(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let first = finals(events)[0];
    let mut settled = settled(events);
    settled.retain(|(at, _)| events[..first].iter().any(|e| shows(e, at)));
    let (at, _) = chosen(&settled, seed)?;
    let from = events[first].at;
    let when: Vec<bool> = events.iter().map(|e| e.at >= from).collect();
    hide(events, &at, |ix| when[ix]);
    Some(())
}

/// A move of unknown outcome that happened, or one that was acknowledged: its source, which is gone, and its copy.
fn moves(events: &[Event]) -> Vec<(At, At, Attempt)> {
    let there = there(events);
    let mut all = Vec::new();
    for (_, call, outcome) in ops(events) {
        let (Call::Move { login, validity, .. }, Some((_, Reply::Copied { validity: v, from, to }))) =
            (&call, acknowledged(&outcome))
        else {
            continue;
        };
        for (source, copy) in from.iter().zip(to) {
            let (source, copy) = ((login.clone(), *validity, *source), (login.clone(), *v, *copy));
            let lists = finals(events)
                .iter()
                .any(|ix| messages(&events[*ix]).is_some_and(|(l, v, _)| *l == source.0 && v == source.1));
            all.extend(there.get(&copy).filter(|_| lists).map(|attempt| (source, copy, *attempt)));
        }
    }
    all
}

fn moved_both(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let (source, _, attempt) = chosen(&moves(events), seed)?;
    add(events, &source, attempt);
    Some(())
}

fn moved_neither(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let removable = removable(events);
    let mut cases = moves(events);
    cases
        .retain(|(_, copy, _)| !removable.contains(&(copy.0.clone(), copy.2)) && !unsettled(events, &copy.0));
    let (_, copy, _) = chosen(&cases, seed)?;
    hide(events, &copy, |_| true);
    Some(())
}

/// Moves that are the only way into their target, so that they are known without their replies; which are lost.
fn unheard(events: &mut [Event], seed: u64) -> Option<(At, At, Attempt)> {
    let removable = removable(events);
    let mut cases = moves(events);
    let unnamed = unnamed(events);
    cases.retain(|(_, copy, _)| !unnamed.contains(&copy.0));
    let all = ops(events);
    cases.retain(|(source, copy, attempt)| {
        let its = all.iter().find(|(_, _, outcome)| {
            matches!(acknowledged(outcome), Some((_, Reply::Copied { validity, to, .. }))
                if *validity == copy.1 && to.contains(&copy.2))
        });
        let Some((ix, Call::Move { to: name, .. }, _)) = its else { return false };
        let others = all.iter().filter(|(other, call, _)| match call {
            Call::Copy { login, to, .. } | Call::Move { login, to, .. } => {
                *login == copy.0 && to == name && other != ix
            }
            Call::Expunge { login, mailbox, validity: None, .. } => *login == copy.0 && mailbox == name,
            _ => false,
        });
        let seen = events[..*ix].iter().any(|e| shows(e, source));
        // What had been in the target before could have been left there.
        let before = all.iter().any(|(_, call, _)| match call {
            Call::Append { mailbox, attempt: a, .. } => a == attempt && mailbox == name,
            Call::Submit { attempt: a, .. } => a == attempt && name == "INBOX",
            _ => false,
        });
        let also = all.iter().filter(|(other, call, _)| match call {
            Call::Move { login, uids, .. } | Call::Expunge { login, uids, .. } => {
                *login == source.0 && uids.contains(&source.2) && other != ix
            }
            _ => false,
        });
        source.1 != copy.1
            && also.count() == 0
            && !before
            && others.count() == 0
            && seen
            && !unsettled(events, &copy.0)
            && !removable.contains(&(copy.0.clone(), copy.2))
    });
    let case = chosen(&cases, seed)?;
    for event in events.iter_mut() {
        if let What::Ended { outcome, .. } = &mut event.what
            && matches!(outcome, Outcome::Acknowledged(Reply::Copied { to, .. }) if to.contains(&case.1.2))
        {
            *outcome = Outcome::Unknown("lost".into());
        }
    }
    Some(case)
}

fn unheard_neither(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let (_, copy, _) = unheard(events, seed)?;
    hide(events, &copy, |_| true);
    Some(())
}

fn unheard_both(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let (source, _, attempt) = unheard(events, seed)?;
    add(events, &source, attempt);
    Some(())
}

fn copied_part(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let settled: BTreeSet<At> = settled(events).into_iter().map(|(at, _)| at).collect();
    let mut cases = Vec::new();
    for (_, call, outcome) in ops(events) {
        let (Call::Copy { login, .. }, Some((_, Reply::Copied { validity, to, .. }))) =
            (&call, acknowledged(&outcome))
        else {
            continue;
        };
        let copies: Vec<At> = to.iter().map(|uid| (login.clone(), *validity, *uid)).collect();
        if copies.len() > 1 && copies.iter().all(|at| settled.contains(at)) {
            cases.push(copies[0].clone());
        }
    }
    let at = chosen(&cases, seed)?;
    hide(events, &at, |_| true);
    Some(())
}

fn notice_lost(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    let settled: BTreeSet<At> = settled(events).into_iter().map(|(at, _)| at).collect();
    let mut cases = Vec::new();
    for (ix, event) in events.iter().enumerate() {
        let What::Saw(Sight::Noticed { login, validity, new, .. }) = &event.what else { continue };
        let ends =
            events.iter().skip(ix).any(|e| e.client == event.client && matches!(e.what, What::Lost { .. }));
        if ends || new.is_empty() || !settled.contains(&(login.clone(), *validity, new[0].uid)) {
            continue;
        }
        cases.push(ix);
    }
    let ix = chosen(&cases, seed)?;
    events[ix].what = What::Saw(Sight::Woken { login: "a".into(), after: std::time::Duration::ZERO });
    Some(())
}

/// Tells a notice a second time.
fn again(events: &mut Vec<Event>, seed: u64, which: impl Fn(&Sight) -> bool) -> Option<()> {
    let is_it = |ix: &usize| matches!(&events[*ix].what, What::Saw(sight) if which(sight));
    let cases: Vec<usize> = (0..events.len()).filter(is_it).collect();
    let ix = chosen(&cases, seed)?;
    events.insert(ix, events[ix].clone());
    Some(())
}

fn new_twice(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    again(events, seed, |sight| matches!(sight, Sight::Noticed { new, .. } if !new.is_empty()))
}

fn gone_twice(events: &mut Vec<Event>, seed: u64) -> Option<()> {
    again(events, seed, |sight| matches!(sight, Sight::Noticed { gone, .. } if !gone.is_empty()))
}
