//! FETCH items (RFC 3501 §9 fetch).

use super::cursor::{Cursor, Parsed, Syntax, expected};
use super::mailbox::partial_range;
use crate::imap::types::{By, FetchItem, FetchModifiers, Partial, Section, SectionText};
use std::num::NonZeroU32;

/// Deepest part number taken.
const DEPTH: usize = 100;

/// A macro, an item, or a list of items.
pub fn items(cursor: &mut Cursor) -> Parsed<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    if cursor.peek() == Some(b'(') {
        return cursor.list(1, item);
    }
    if cursor.word("ALL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope]);
    }
    if cursor.word("FAST") {
        return Ok(vec![Flags, InternalDate, Size]);
    }
    if cursor.word("FULL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope, Body]);
    }
    item(cursor).map(|item| vec![item])
}

fn item(cursor: &mut Cursor) -> Parsed<FetchItem> {
    let name = cursor.take_while(|b| b.is_ascii_alphanumeric() || b == b'.').to_ascii_uppercase();
    Ok(match &name[..] {
        b"UID" => FetchItem::Uid,
        b"FLAGS" => FetchItem::Flags,
        b"INTERNALDATE" => FetchItem::InternalDate,
        b"RFC822.SIZE" => FetchItem::Size,
        b"RFC822" => FetchItem::Rfc822,
        b"RFC822.HEADER" => FetchItem::Rfc822Header,
        b"RFC822.TEXT" => FetchItem::Rfc822Text,
        b"ENVELOPE" => FetchItem::Envelope,
        b"BODYSTRUCTURE" => FetchItem::BodyStructure,
        b"MODSEQ" => FetchItem::ModSeq,
        b"EMAILID" => FetchItem::EmailId,
        b"THREADID" => FetchItem::ThreadId,
        b"SAVEDATE" => FetchItem::SaveDate,
        b"PREVIEW" => FetchItem::Preview { lazy: is_lazy(cursor)? },
        b"BODY" if cursor.peek() != Some(b'[') => FetchItem::Body,
        b"BODY" | b"BODY.PEEK" => {
            let section = section(cursor)?;
            FetchItem::Section { section, peek: name.len() > 4, partial: partial(cursor)? }
        }
        b"BINARY" | b"BINARY.PEEK" => {
            let path = section_binary(cursor)?;
            FetchItem::Binary { path, peek: name.len() > 6, partial: partial(cursor)? }
        }
        b"BINARY.SIZE" => FetchItem::BinarySize { path: section_binary(cursor)? },
        _ => return expected("no such FETCH item"),
    })
}

/// ` (LAZY)` (RFC 8970 §6).
fn is_lazy(cursor: &mut Cursor) -> Parsed<bool> {
    if !cursor.rest().starts_with(b" (") {
        return Ok(false);
    }
    // In an item without parentheses, modifiers of the FETCH may stand there.
    let mut ahead = cursor.clone();
    ahead.space()?;
    ahead.require(b'(', "expected (")?;
    if !ahead.word("LAZY") {
        return Ok(false);
    }
    ahead.require(b')', "expected )")?;
    *cursor = ahead;
    Ok(true)
}

/// `[section]`
pub fn section(cursor: &mut Cursor) -> Parsed<Section> {
    cursor.require(b'[', "expected [")?;
    let mut path = Vec::new();
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        let number = cursor.number()?;
        if number == 0 || path.len() >= DEPTH {
            return expected("no such part");
        }
        path.push(number);
        if !cursor.eat(b'.') {
            cursor.require(b']', "expected ]")?;
            return Ok(Section { path, text: SectionText::All });
        }
        if !cursor.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
            return expected("expected what of the part is wanted");
        }
    }
    let text = if path.is_empty() && cursor.peek() == Some(b']') {
        SectionText::All
    } else {
        section_text(cursor, &path)?
    };
    cursor.require(b']', "expected ]")?;
    Ok(Section { path, text })
}

/// RFC 3516 §7: a part, or the message.
fn section_binary(cursor: &mut Cursor) -> Parsed<Vec<u32>> {
    match section(cursor)? {
        Section { path, text: SectionText::All } => Ok(path),
        _ => expected("BINARY takes part numbers and nothing else"),
    }
}

fn section_text(cursor: &mut Cursor, path: &[u32]) -> Parsed<SectionText> {
    let name = cursor.take_while(|b| b.is_ascii_alphabetic() || b == b'.').to_ascii_uppercase();
    let mut fields = || {
        cursor.space()?;
        cursor.list(1, |cursor| cursor.astring().map(|name| name.into_owned()))
    };
    Ok(match &name[..] {
        b"HEADER" => SectionText::Header,
        b"HEADER.FIELDS" => SectionText::HeaderFields(fields()?),
        b"HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(fields()?),
        b"TEXT" => SectionText::Text,
        // RFC 3501 §6.4.5: MIME must be prefixed by a part number.
        b"MIME" if !path.is_empty() => SectionText::Mime,
        _ => return expected("no such section"),
    })
}

fn partial(cursor: &mut Cursor) -> Parsed<Option<Partial>> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let first = cursor.number()?;
    cursor.require(b'.', "expected first.count")?;
    let count = NonZeroU32::new(cursor.number()?).ok_or(Syntax("a partial of nothing".into()))?;
    cursor.require(b'>', "expected >")?;
    Ok(Some(Partial { first, count }))
}

/// ` (CHANGEDSINCE n VANISHED)` (RFC 7162 §3.1.4, §3.2.6).
pub fn modifiers(cursor: &mut Cursor, by: By) -> Parsed<FetchModifiers> {
    let mut modifiers = FetchModifiers::default();
    if cursor.eat(b' ') {
        cursor.list(1, |cursor| match cursor.keyword()?.as_str() {
            "CHANGEDSINCE" => {
                cursor.space()?;
                modifiers.changed_since = Some(cursor.number64()?);
                Ok(())
            }
            "PARTIAL" if by == By::Uid && modifiers.partial.is_none() => {
                cursor.space()?;
                modifiers.partial = Some(partial_range(cursor)?);
                Ok(())
            }
            "PARTIAL" => expected("PARTIAL is a modifier of UID FETCH, given once"),
            "VANISHED" if by == By::Uid => {
                modifiers.vanished = true;
                Ok(())
            }
            "VANISHED" => expected("VANISHED is a modifier of UID FETCH"),
            _ => expected("no such FETCH modifier"),
        })?;
    }
    if modifiers.vanished && modifiers.changed_since.is_none() {
        return expected("VANISHED needs CHANGEDSINCE beside it");
    }
    Ok(modifiers)
}
