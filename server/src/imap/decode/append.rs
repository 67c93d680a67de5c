//! APPEND (RFC 3501 §6.3.11, RFC 3502): its arguments up to each message.

use super::Event;
use super::command::tag_of;
use super::cursor::{Cursor, Parsed};
use super::date::date_time;
use super::mailbox::{flag_list, mailbox};
use crate::imap::types::{AppendHeader, Command, MailboxArg, Tag, Tagged, Text};
use gadwall_storage::{Flags, MailboxName, Timestamp};

/// What a literal at the end of `text` is.
pub enum Position {
    /// A string of some command.
    Argument,
    /// A message to be appended.
    Message(Tag, AppendHeader),
    /// Part of an APPEND that is none.
    Wrong(Option<Tag>, String),
}

/// Looks at a command as far as it has come; `text` ends with the announcement of a literal of `size` bytes. `going_on`:
/// the tag of an APPEND that has had a message already.
pub fn position(text: &[u8], names: Text, going_on: Option<&Tag>, size: u64) -> Position {
    if let Some(tag) = going_on {
        // The mailbox is that of the first message.
        let mailbox = MailboxArg::Name(MailboxName::inbox());
        return match options(&mut Cursor::new(text, names)) {
            Ok((flags, date)) => Position::Message(tag.clone(), AppendHeader { mailbox, flags, date, size }),
            Err(e) => Position::Wrong(Some(tag.clone()), e.0.into()),
        };
    }
    let Some(tag) = tag_of(text) else { return Position::Argument };
    let mut cursor = Cursor::new(&text[tag.as_str().len() + 1..], names);
    if !cursor.word("APPEND") || !cursor.eat(b' ') {
        return Position::Argument;
    }
    if is_announcement(cursor.rest()) {
        return Position::Argument; // The mailbox itself.
    }
    let header = mailbox(&mut cursor).and_then(|mailbox| {
        let (flags, date) = options(&mut cursor)?;
        Ok(AppendHeader { mailbox, flags, date, size })
    });
    match header {
        Ok(header) => Position::Message(tag, header),
        Err(e) => Position::Wrong(Some(tag), e.0.into()),
    }
}

/// ` [flags ][date ]{n}`
fn options(cursor: &mut Cursor) -> Parsed<(Flags, Option<Timestamp>)> {
    cursor.space()?;
    let mut flags = Flags::new();
    if cursor.peek() == Some(b'(') {
        flags = flag_list(cursor)?;
        cursor.space()?;
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        date = Some(date_time(cursor)?);
        cursor.space()?;
    }
    if is_announcement(cursor.rest()) {
        Ok((flags, date))
    } else {
        super::cursor::expected("expected a message")
    }
}

/// Whether this is `{n}` or `{n+}` and nothing else, or the same as a literal8 (RFC 3516 §4.4): messages are kept to the
/// octet, NULs among them.
fn is_announcement(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"~").unwrap_or(text);
    let inside = text.strip_prefix(b"{").and_then(|t| t.strip_suffix(b"}"));
    inside.is_some_and(|t| t.strip_suffix(b"+").unwrap_or(t).iter().all(u8::is_ascii_digit))
}

/// What follows the last message: nothing.
pub fn end(tag: Tag, text: &[u8]) -> Event {
    if text.is_empty() {
        Event::Command(Tagged { tag, command: Command::AppendDone })
    } else {
        Event::Bad { tag: Some(tag), reason: "something follows the message".into() }
    }
}
