//! NOTIFY (RFC 5465 §8).

use super::cursor::{Cursor, Parsed, expected};
use super::fetch;
use super::search::source;
use crate::imap::types::{EventGroup, Events, FetchItem, NotifyCommand, SelectedEvents, Source, Watched};

/// ` NONE` or ` SET[ STATUS] (mailboxes events) …`
pub fn notify(cursor: &mut Cursor) -> Parsed<NotifyCommand> {
    cursor.space()?;
    match cursor.keyword()?.as_str() {
        "NONE" => return Ok(NotifyCommand::Nothing),
        "SET" => cursor.space()?,
        _ => return expected("expected NONE or SET"),
    }
    let status = cursor.word("STATUS");
    if status {
        cursor.space()?;
    }
    let mut watched = Watched { status, selected: None, groups: Vec::new() };
    group(cursor, &mut watched)?;
    while cursor.eat(b' ') {
        group(cursor, &mut watched)?;
    }
    Ok(NotifyCommand::Set(watched))
}

/// `(mailboxes events)`
fn group(cursor: &mut Cursor, watched: &mut Watched) -> Parsed<()> {
    cursor.require(b'(', "expected ( and which mailboxes")?;
    let mut ahead = cursor.clone();
    let delayed = match ahead.keyword()?.as_str() {
        "SELECTED" => Some(false),
        "SELECTED-DELAYED" => Some(true),
        _ => None,
    };
    if let Some(delayed) = delayed {
        *cursor = ahead;
        cursor.space()?;
        let (events, new) = events(cursor)?;
        // §6.1.
        if !events.are_of_messages() {
            return expected("SELECTED takes MessageNew, MessageExpunge and FlagChange");
        }
        if watched.selected.replace(SelectedEvents { delayed, events, new }).is_some() {
            return expected("one of SELECTED and SELECTED-DELAYED at most");
        }
        return cursor.require(b')', "expected )");
    }
    let source = match source(cursor)? {
        Source::SubtreeOne(_) => return expected("SUBTREE-ONE is for ESEARCH"),
        source => source,
    };
    cursor.space()?;
    let (events, new) = events(cursor)?;
    if !new.is_empty() {
        return expected("what is to be told of new messages goes with SELECTED");
    }
    watched.groups.push(EventGroup { source, events });
    cursor.require(b')', "expected )")
}

/// `NONE`, or events in parentheses; the RFC's own examples (§3.1) leave these out.
fn events(cursor: &mut Cursor) -> Parsed<(Events, Vec<FetchItem>)> {
    let mut seen = Seen::default();
    if cursor.peek() == Some(b'(') {
        cursor.list(1, |cursor| event(cursor, &mut seen))?;
    } else if !cursor.word("NONE") {
        event(cursor, &mut seen)?;
        while cursor.eat(b' ') {
            event(cursor, &mut seen)?;
        }
    }
    // §5.
    if seen.new != seen.expunge {
        return expected("MessageNew and MessageExpunge go together");
    }
    if seen.of_flags && !seen.new {
        return expected("FlagChange needs MessageNew and MessageExpunge beside it");
    }
    Ok((Events { messages: seen.new, ..seen.events }, seen.items))
}

#[derive(Default)]
struct Seen {
    events: Events,
    new: bool,
    expunge: bool,
    of_flags: bool,
    items: Vec<FetchItem>,
}

fn event(cursor: &mut Cursor, seen: &mut Seen) -> Parsed<()> {
    let events = &mut seen.events;
    match cursor.keyword()?.as_str() {
        "MESSAGENEW" => {
            seen.new = true;
            let mut ahead = cursor.clone();
            if ahead.eat(b' ') && ahead.peek() == Some(b'(') {
                seen.items = fetch::items(&mut ahead)?;
                *cursor = ahead;
            }
        }
        "MESSAGEEXPUNGE" => seen.expunge = true,
        "FLAGCHANGE" => (events.flags, seen.of_flags) = (true, true),
        "ANNOTATIONCHANGE" => (events.unknown, seen.of_flags) = (true, true),
        "MAILBOXNAME" => events.names = true,
        "SUBSCRIPTIONCHANGE" => events.subscriptions = true,
        "MAILBOXMETADATACHANGE" => events.metadata = true,
        "SERVERMETADATACHANGE" => events.server_metadata = true,
        // §3.1: a NO, not a BAD.
        _ => events.unknown = true,
    }
    Ok(())
}
