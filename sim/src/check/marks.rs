//! What a history contains, counted: a batch of runs in which a mark stays at zero has proved less than it claims.

use super::Facts;
use super::log::Log;
use super::view::views;
use crate::history::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Counts by name. Marks that can be zero are there with a zero.
pub fn marks(events: &[Event], facts: &Facts) -> BTreeMap<String, u64> {
    let log = Log::new(events, facts);
    let mut marks: BTreeMap<String, u64> = BTreeMap::new();
    for kind in ["submit", "append", "store", "copy", "move", "expunge", "create", "delete", "rename"] {
        for outcome in ["acknowledged", "refused", "unknown", "never ended"] {
            marks.insert(format!("{kind} {outcome}"), 0);
        }
    }
    let mut add = |name: String, count: u64| *marks.entry(name).or_default() += count;
    let mut mails: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for op in &log.ops {
        add(format!("{} {}", kind(op.call), outcome(op.ended.map(|(_, o)| o))), 1);
        if let Call::Submit { attempt, .. } | Call::Append { attempt, .. } = op.call {
            mails.entry(attempt.mail).or_default().insert(attempt.attempt);
        }
        if let (Call::Store { unchanged_since: Some(_), .. }, Some((_, Reply::Stored { modified, .. }))) =
            (op.call, op.reply())
        {
            add("conditional store".into(), 1);
            add("conditional store modified".into(), u64::from(!modified.is_empty()));
        }
    }
    add("mail sent again".into(), mails.values().filter(|attempts| attempts.len() > 1).count() as u64);
    for event in events {
        match &event.what {
            What::Connected { .. } => add("session".into(), 1),
            What::Lost { why } if why != GOODBYE => add("session lost".into(), 1),
            What::Saw(sight) => add(format!("saw {}", sight_name(sight)), 1),
            _ => {}
        }
    }
    let finals = log.listings.values().flatten().filter(|l| l.from >= log.quiet).count();
    add("final listing".into(), finals as u64);
    add("told late while idle".into(), told_late(events));
    for view in views(&log) {
        add("view".into(), 1);
        add("view listened".into(), view.checked.len() as u64);
    }
    marks
}

/// Longer than a hint takes; a node that gets none looks for itself.
const LATE: Duration = Duration::from_secs(1);

/// How often a session that was idle when a mail was acknowledged heard of it late.
fn told_late(events: &[Event]) -> u64 {
    let mut idle: BTreeMap<(ClientId, u32), Duration> = BTreeMap::new();
    let mut late = 0;
    for event in events {
        let session = (event.client, event.session);
        match &event.what {
            What::Idling => _ = idle.insert(session, event.at),
            What::Saw(Sight::Woken { after, .. }) => {
                let was_idle = idle.get(&session).is_some_and(|since| *since + *after <= event.at);
                late += u64::from(was_idle && *after > LATE);
            }
            What::Polled | What::Saw(Sight::Selected { .. }) => _ = idle.remove(&session),
            _ => {}
        }
    }
    late
}

fn kind(call: &Call) -> &'static str {
    match call {
        Call::Submit { .. } => "submit",
        Call::Append { .. } => "append",
        Call::Store { .. } => "store",
        Call::Copy { .. } => "copy",
        Call::Move { .. } => "move",
        Call::Expunge { .. } => "expunge",
        Call::Create { .. } => "create",
        Call::Delete { .. } => "delete",
        Call::Rename { .. } => "rename",
    }
}

fn outcome(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Acknowledged(_)) => "acknowledged",
        Some(Outcome::Refused(_)) => "refused",
        Some(Outcome::Unknown(_)) => "unknown",
        None => "never ended",
    }
}

fn sight_name(sight: &Sight) -> &'static str {
    match sight {
        Sight::Selected { .. } => "selected",
        Sight::Listed { .. } => "listed",
        Sight::Fetched { .. } => "fetched",
        Sight::Noticed { .. } => "noticed",
        Sight::Changed { .. } => "changed (resync)",
        Sight::Status { .. } => "status",
        Sight::Mailboxes { .. } => "mailboxes",
        Sight::Maildrop { .. } => "maildrop",
        Sight::Web { .. } => "web",
        Sight::Woken { .. } => "woken",
    }
}
