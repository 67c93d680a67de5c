//! Mailbox names, patterns, flags, sequence sets: what several commands share.

use super::cursor::{Cursor, Parsed, Syntax, expected, is_atom_char};
use crate::imap::mutf7;
use crate::imap::types::{ListPattern, MailboxArg, PartialRange, SeqNum, SequenceSet, StatusItem};
use gadwall_storage::{Flags, Keyword, SystemFlag};
use std::num::NonZeroU32;

pub fn mailbox(cursor: &mut Cursor) -> Parsed<MailboxArg> {
    let raw = cursor.astring()?;
    Ok(match mutf7::from_wire(&raw, cursor.text()) {
        Err(reason) => MailboxArg::Invalid { raw: raw.into_owned(), reason },
        Ok(name) => match MailboxArg::of(name) {
            MailboxArg::Invalid { reason, .. } => MailboxArg::Invalid { raw: raw.into_owned(), reason },
            arg => arg,
        },
    })
}

/// RFC 3501 §9 list-mailbox.
pub fn pattern(cursor: &mut Cursor) -> Parsed<ListPattern> {
    let raw = match cursor.peek() {
        Some(b'"' | b'{') => cursor.string()?.into_owned(),
        _ => match cursor.take_while(|b| is_atom_char(b) || matches!(b, b'%' | b'*' | b']')) {
            b"" => return expected("expected a mailbox pattern"),
            raw => raw.to_vec(),
        },
    };
    // What is wrongly encoded names no mailbox: a NUL matches none.
    Ok(ListPattern(mutf7::from_wire(&raw, cursor.text()).unwrap_or_else(|_| "\0".into())))
}

/// `(\Seen keyword …)`. `\Recent` is refused: only the server sets it (RFC 3501 §2.3.2).
pub fn flag_list(cursor: &mut Cursor) -> Parsed<Flags> {
    let mut flags = Flags::new();
    cursor.list(0, |cursor| flag(cursor, &mut flags))?;
    Ok(flags)
}

/// One or more flags without parentheses (RFC 3501 §9 store-att-flags).
pub fn flags(cursor: &mut Cursor) -> Parsed<Flags> {
    if cursor.peek() == Some(b'(') {
        return flag_list(cursor);
    }
    let mut flags = Flags::new();
    loop {
        flag(cursor, &mut flags)?;
        if !cursor.eat(b' ') {
            return Ok(flags);
        }
    }
}

fn flag(cursor: &mut Cursor, flags: &mut Flags) -> Parsed<()> {
    if cursor.eat(b'\\') {
        match cursor.keyword()?.as_str() {
            "SEEN" => flags.insert(SystemFlag::Seen),
            "ANSWERED" => flags.insert(SystemFlag::Answered),
            "FLAGGED" => flags.insert(SystemFlag::Flagged),
            "DELETED" => flags.insert(SystemFlag::Deleted),
            "DRAFT" => flags.insert(SystemFlag::Draft),
            "RECENT" => return expected("\\Recent is set by the server alone"),
            _ => return expected("no such system flag"),
        }
        return Ok(());
    }
    let keyword = Keyword::new(cursor.atom()?);
    flags.insert_keyword(keyword.ok_or(Syntax("a keyword is too long".into()))?);
    Ok(())
}

pub fn sequence_set(cursor: &mut Cursor) -> Parsed<SequenceSet> {
    // RFC 5182 §4: alone, never in a list.
    if cursor.eat(b'$') {
        return Ok(SequenceSet::SAVED);
    }
    let mut ranges = Vec::new();
    loop {
        let first = sequence_number(cursor)?;
        let last = if cursor.eat(b':') { sequence_number(cursor)? } else { first };
        if ranges.len() >= SequenceSet::MAX_RANGES {
            return expected("a sequence set of too many ranges");
        }
        ranges.push((first, last));
        if !cursor.eat(b',') {
            break;
        }
    }
    SequenceSet::new(ranges).ok_or(Syntax("expected a sequence set".into()))
}

pub fn sequence_number(cursor: &mut Cursor) -> Parsed<SeqNum> {
    if cursor.eat(b'*') {
        return Ok(SeqNum::Star);
    }
    // RFC 3501 §9: nz-number has no leading zero.
    if cursor.peek() == Some(b'0') {
        return expected("message numbers begin at 1");
    }
    let number = NonZeroU32::new(cursor.number()?);
    number.map(SeqNum::Number).ok_or(Syntax("message numbers begin at 1".into()))
}

/// RFC 9394 §4 partial-range.
pub fn partial_range(cursor: &mut Cursor) -> Parsed<PartialRange> {
    let from_end = cursor.peek() == Some(b'-');
    let first = partial_number(cursor, from_end)?;
    cursor.require(b':', "expected first:last")?;
    Ok(PartialRange { first, last: partial_number(cursor, from_end)?, from_end })
}

fn partial_number(cursor: &mut Cursor, from_end: bool) -> Parsed<NonZeroU32> {
    if from_end {
        cursor.require(b'-', "both numbers count from the end, or none")?;
    }
    NonZeroU32::new(cursor.number()?).ok_or(Syntax("a result is counted from 1".into()))
}

pub fn status_items(cursor: &mut Cursor) -> Parsed<Vec<StatusItem>> {
    cursor.list(1, |cursor| match cursor.keyword()?.as_str() {
        "MESSAGES" => Ok(StatusItem::Messages),
        "RECENT" => Ok(StatusItem::Recent),
        "UIDNEXT" => Ok(StatusItem::UidNext),
        "UIDVALIDITY" => Ok(StatusItem::UidValidity),
        "UNSEEN" => Ok(StatusItem::Unseen),
        "DELETED" => Ok(StatusItem::Deleted),
        "DELETED-STORAGE" => Ok(StatusItem::DeletedStorage),
        "HIGHESTMODSEQ" => Ok(StatusItem::HighestModSeq),
        "SIZE" => Ok(StatusItem::Size),
        "MAILBOXID" => Ok(StatusItem::MailboxId),
        "APPENDLIMIT" => Ok(StatusItem::AppendLimit),
        _ => expected("no such STATUS item"),
    })
}
