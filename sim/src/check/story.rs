//! A finding as a story: what happened around the events that prove it, for the one who has to debug it.

use super::Finding;
use crate::history::*;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many events are told before and after one that proves something.
const AROUND: usize = 6;

/// The finding, and the events that prove it (marked `>`) with their neighbours.
pub fn story(events: &[Event], finding: &Finding) -> String {
    let mut text = format!("{}: {}\n", finding.promise, finding.text);
    let nodes = nodes(events);
    let mut last = None;
    for (ix, event) in events.iter().enumerate() {
        let near = finding.events.iter().any(|&at| ix + AROUND >= at && ix <= at + AROUND);
        if !near {
            continue;
        }
        if last.is_some_and(|last| last + 1 < ix) {
            text.push_str("      ...\n");
        }
        last = Some(ix);
        let mark = if finding.events.contains(&ix) { '>' } else { ' ' };
        let node = nodes.get(&ix).copied().unwrap_or("-");
        let at = event.at.as_secs_f64();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{mark} {ix:>5} {at:>9.3} s  client {:>3}.{:<3} {node:<6} {}",
            event.client,
            event.session,
            told(&event.what)
        );
    }
    text
}

/// The node each event's session was connected to.
fn nodes(events: &[Event]) -> BTreeMap<usize, &str> {
    let mut sessions: BTreeMap<(ClientId, u32), &str> = BTreeMap::new();
    let mut nodes = BTreeMap::new();
    for (ix, event) in events.iter().enumerate() {
        if let What::Connected { node } = &event.what {
            sessions.insert((event.client, event.session), node);
        }
        if let Some(node) = sessions.get(&(event.client, event.session)) {
            nodes.insert(ix, *node);
        }
    }
    nodes
}

fn told(what: &What) -> String {
    match what {
        What::Invoked { op, call } => format!("op {op} begins: {call:?}"),
        What::Ended { op, outcome } => format!("op {op} ends: {outcome:?}"),
        What::Saw(Sight::Listed { login, mailbox, validity, since, messages }) => {
            let list: Vec<String> = messages.iter().map(message).collect();
            format!(
                "listed {mailbox} of {login}/{validity}, asked at {:.3} s: {}",
                since.as_secs_f64(),
                list.join(", ")
            )
        }
        What::Saw(sight) => format!("saw {sight:?}"),
        What::Connected { node } => format!("connected to {node}"),
        What::Lost { why } => format!("lost its session: {why}"),
        What::Violated { rule } => format!("was told what its protocol forbids: {rule}"),
        What::Asked => "asks".into(),
        What::Idling => "idles".into(),
        What::Polled => "has heard all news".into(),
    }
}

fn message(m: &Shown) -> String {
    let mut text = m.uid.to_string();
    if let Some(Attempt { mail, attempt }) = m.attempt {
        let _ = write!(text, "={mail}.{attempt}");
    }
    if let Some(modseq) = m.modseq {
        let _ = write!(text, " m{modseq}");
    }
    if let Some(flags) = m.flags.as_ref().filter(|flags| !flags.is_empty()) {
        let _ = write!(text, " ({})", flags.join(" "));
    }
    if m.intact == Some(false) {
        text.push_str(" DAMAGED");
    }
    text
}
