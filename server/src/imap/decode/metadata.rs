//! GETMETADATA and SETMETADATA (RFC 5464 §5).

use super::cursor::{Cursor, Parsed, Syntax, expected};
use super::mailbox::mailbox;
use crate::imap::types::{Depth, EntryName, GetMetadata, MailboxArg, SetMetadata};

/// ` [(options) ]mailbox[ (options)] entries`: the grammar has the options first, the examples have them second.
pub fn get(cursor: &mut Cursor) -> Parsed<GetMetadata> {
    let mut command =
        GetMetadata { mailbox: None, max_size: None, depth: Depth::default(), entries: Vec::new() };
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        options(cursor, &mut command)?;
        cursor.space()?;
    }
    command.mailbox = mailbox_or_server(cursor)?;
    cursor.space()?;
    let mut ahead = cursor.clone();
    if cursor.peek() == Some(b'(') && options(&mut ahead, &mut command).is_ok() {
        ahead.space()?;
        *cursor = ahead;
    }
    command.entries = entries(cursor)?;
    Ok(command)
}

/// One name, or several in parentheses.
pub fn entries(cursor: &mut Cursor) -> Parsed<Vec<EntryName>> {
    match cursor.peek() {
        Some(b'(') => cursor.list(1, entry),
        _ => entry(cursor).map(|entry| vec![entry]),
    }
}

fn options(cursor: &mut Cursor, command: &mut GetMetadata) -> Parsed<()> {
    cursor.list(1, |cursor| {
        match cursor.keyword()?.as_str() {
            "MAXSIZE" => {
                cursor.space()?;
                command.max_size = Some(cursor.number()?);
            }
            "DEPTH" => {
                cursor.space()?;
                command.depth = match cursor.keyword()?.as_str() {
                    "0" => Depth::Zero,
                    "1" => Depth::One,
                    "INFINITY" => Depth::Infinity,
                    _ => return expected("DEPTH is 0, 1 or infinity"),
                };
            }
            _ => return expected("no such GETMETADATA option"),
        }
        Ok(())
    })?;
    Ok(())
}

/// ` mailbox (entry value entry value …)`
pub fn set(cursor: &mut Cursor) -> Parsed<SetMetadata> {
    cursor.space()?;
    let mailbox = mailbox_or_server(cursor)?;
    cursor.space()?;
    let entries = cursor.list(1, |cursor| {
        let name = entry(cursor)?;
        cursor.space()?;
        let value = match cursor.peek() {
            Some(b'~') => Some(cursor.literal8()?.to_vec()),
            _ => cursor.nstring()?.map(|value| value.into_owned()),
        };
        Ok((name, value))
    })?;
    Ok(SetMetadata { mailbox, entries })
}

/// The empty name is the server's.
fn mailbox_or_server(cursor: &mut Cursor) -> Parsed<Option<MailboxArg>> {
    Ok(match mailbox(cursor)? {
        MailboxArg::Invalid { raw, .. } if raw.is_empty() => None,
        named => Some(named),
    })
}

fn entry(cursor: &mut Cursor) -> Parsed<EntryName> {
    EntryName::new(&cursor.astring()?)
        .ok_or(Syntax("an annotation is named /private/… or /shared/…, without * and %".into()))
}
