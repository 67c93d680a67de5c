//! APPEND (RFC 3501 §6.3.11, RFC 3502, RFC 4469) and REPLACE (RFC 8508): their arguments from one literal of a
//! message to the next, and to their end.

use super::Event;
use super::command::tag_of;
use super::cursor::{Cursor, Parsed, expected};
use super::date::date_time;
use super::mailbox::{flag_list, mailbox, sequence_number};
use crate::imap::types::{AppendPiece, By, Command, SeqNum, Tag, Tagged, Text};
use gadwall_storage::Flags;

/// What a literal at the end of a command's text is.
pub enum Position {
    /// A string of some command.
    Argument,
    /// A message, or a part of one; what has come since the one before.
    Message(Open, Vec<AppendPiece>),
    /// Part of an APPEND that is none.
    Wrong(Option<Tag>, String),
}

/// A command whose messages are coming in, as it stands after a literal of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub tag: Tag,
    within: Within,
    /// Whether it is a REPLACE, which takes one message (RFC 8508 §4.7).
    is_replace: bool,
}

/// What the literal stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Nothing: it was a message.
    Message,
    /// `CATENATE (… TEXT …`
    Parts,
}

/// What reading has come to.
enum Stop {
    Message(Within),
    /// A literal that is a string.
    String,
    End,
}

/// Looks at a command as far as it has come; `text` ends with the announcement of a literal. `open`: an APPEND that has had
/// one of a message already.
pub fn position(text: &[u8], names: Text, open: Option<&Open>) -> Position {
    let mut pieces = Vec::new();
    if let Some(open) = open {
        let stop = go_on(&mut Cursor::new(text, names), Some(open.within), open.is_replace, &mut pieces);
        return positioned(stop, open.tag.clone(), open.is_replace, pieces);
    }
    let Some(tag) = tag_of(text) else { return Position::Argument };
    let mut cursor = Cursor::new(&text[tag.as_str().len() + 1..], names);
    let replaces = match beginning(&mut cursor) {
        None => return Position::Argument,
        Some(Err(e)) => return Position::Wrong(Some(tag), e.0.into()),
        Some(Ok(replaces)) => replaces,
    };
    let stop = arguments(&mut cursor, replaces, &mut pieces);
    positioned(stop, tag, replaces.is_some(), pieces)
}

fn positioned(stop: Parsed<Stop>, tag: Tag, is_replace: bool, pieces: Vec<AppendPiece>) -> Position {
    match stop {
        Ok(Stop::Message(within)) => Position::Message(Open { tag, within, is_replace }, pieces),
        Ok(Stop::String) => Position::Argument,
        Ok(Stop::End) => Position::Wrong(Some(tag), "expected a message".into()),
        Err(e) => Position::Wrong(Some(tag), e.0.into()),
    }
}

/// The name of the command, and of a REPLACE what it replaces. `None`: it is another command.
fn beginning(cursor: &mut Cursor) -> Option<Parsed<Option<(By, SeqNum)>>> {
    if cursor.word("APPEND") {
        return Some(Ok(None));
    }
    let by = match cursor.word("UID") && cursor.eat(b' ') {
        true => By::Uid,
        false => By::Sequence,
    };
    cursor.word("REPLACE").then(|| replaced(cursor, by).map(Some))
}

/// ` number`
fn replaced(cursor: &mut Cursor, by: By) -> Parsed<(By, SeqNum)> {
    cursor.space()?;
    Ok((by, sequence_number(cursor)?))
}

/// ` mailbox message …`, as far as it goes.
fn arguments(
    cursor: &mut Cursor,
    replaces: Option<(By, SeqNum)>,
    pieces: &mut Vec<AppendPiece>,
) -> Parsed<Stop> {
    cursor.space()?;
    if is_announcement(cursor.rest()) {
        return Ok(Stop::String);
    }
    pieces.push(AppendPiece::To { mailbox: mailbox(cursor)?, replaces });
    go_on(cursor, None, replaces.is_some(), pieces)
}

/// Reads on, after a literal `within` something or from the first message on, until the next literal or the end.
fn go_on(
    cursor: &mut Cursor,
    within: Option<Within>,
    is_replace: bool,
    pieces: &mut Vec<AppendPiece>,
) -> Parsed<Stop> {
    if within == Some(Within::Parts)
        && let Some(stop) = parts(cursor, pieces)?
    {
        return Ok(stop);
    }
    let mut messages = usize::from(within.is_some());
    loop {
        if cursor.is_empty() && messages > 0 {
            return Ok(Stop::End);
        }
        if is_replace && messages > 0 {
            return expected("REPLACE takes one message");
        }
        messages += 1;
        if let Some(stop) = message(cursor, pieces)? {
            return Ok(stop);
        }
    }
}

/// ` [flags ][date ]message`; `None` when it is there whole, made of URLs.
fn message(cursor: &mut Cursor, pieces: &mut Vec<AppendPiece>) -> Parsed<Option<Stop>> {
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
    pieces.push(AppendPiece::Message { flags, date });
    if is_announcement(cursor.rest()) {
        return Ok(Some(Stop::Message(Within::Message)));
    }
    if !cursor.word("CATENATE") {
        return expected("expected a message, as a literal");
    }
    cursor.space()?;
    cursor.require(b'(', "expected (")?;
    match part(cursor, pieces)? {
        Some(stop) => Ok(Some(stop)),
        None => parts(cursor, pieces),
    }
}

/// What follows a part of CATENATE: other parts, and `)`; `None` if it comes so far.
fn parts(cursor: &mut Cursor, pieces: &mut Vec<AppendPiece>) -> Parsed<Option<Stop>> {
    while !cursor.eat(b')') {
        cursor.space()?;
        if let Some(stop) = part(cursor, pieces)? {
            return Ok(Some(stop));
        }
    }
    Ok(None)
}

/// RFC 4469 §5 cat-part; `None` if it is there whole.
fn part(cursor: &mut Cursor, pieces: &mut Vec<AppendPiece>) -> Parsed<Option<Stop>> {
    if cursor.word("URL") {
        cursor.space()?;
        if is_announcement(cursor.rest()) {
            return Ok(Some(Stop::String));
        }
        pieces.push(AppendPiece::Url(cursor.astring()?.into_owned()));
        return Ok(None);
    }
    if !cursor.word("TEXT") {
        return expected("expected TEXT or URL");
    }
    cursor.space()?;
    match is_announcement(cursor.rest()) {
        true => Ok(Some(Stop::Message(Within::Parts))),
        false => expected("expected a literal"),
    }
}

/// Whether this is `{n}` or `{n+}` and nothing else, or the same as a literal8 (RFC 3516 §4.4): messages are kept to the
/// octet, NULs among them.
fn is_announcement(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"~").unwrap_or(text);
    let inside = text.strip_prefix(b"{").and_then(|t| t.strip_suffix(b"}"));
    inside.is_some_and(|t| t.strip_suffix(b"+").unwrap_or(t).iter().all(u8::is_ascii_digit))
}

/// What follows the last literal of a message, up to the command's end.
pub fn end(open: Open, text: &[u8], names: Text) -> Event {
    let mut pieces = Vec::new();
    match go_on(&mut Cursor::new(text, names), Some(open.within), open.is_replace, &mut pieces) {
        Ok(Stop::End) => Event::Command(Tagged { tag: open.tag, command: Command::Append(pieces) }),
        Ok(_) => Event::Bad { tag: Some(open.tag), reason: "a literal that does not come".into() },
        Err(e) => Event::Bad { tag: Some(open.tag), reason: e.0.into() },
    }
}

/// The arguments of an APPEND whose message is made of URLs alone.
pub fn append(cursor: &mut Cursor) -> Parsed<Command> {
    whole(cursor, None)
}

/// Those of a REPLACE.
pub fn replace(cursor: &mut Cursor, by: By) -> Parsed<Command> {
    let replaces = replaced(cursor, by)?;
    whole(cursor, Some(replaces))
}

fn whole(cursor: &mut Cursor, replaces: Option<(By, SeqNum)>) -> Parsed<Command> {
    let mut pieces = Vec::new();
    match arguments(cursor, replaces, &mut pieces)? {
        Stop::End => Ok(Command::Append(pieces)),
        _ => expected("expected a message, as a literal"),
    }
}
