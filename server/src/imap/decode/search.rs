//! SEARCH (RFC 3501 §6.4.4, RFC 4731 §3, RFC 5182).

use super::cursor::{Cursor, Parsed, Syntax, expected};
use super::date::date;
use super::fetch;
use super::mailbox::{mailbox, partial_range, sequence_set};
use crate::imap::types::{
    By, FetchItem, MailboxArg, MultiSearchCommand, SearchCommand, SearchKey, SearchReturns, Source, Text,
};
use gadwall_storage::{Keyword, SystemFlag};

/// Deepest nesting taken.
const DEPTH: usize = 50;

/// ` [RETURN (…) ][CHARSET name ]key key …`
pub fn search(cursor: &mut Cursor, by: By) -> Parsed<SearchCommand> {
    cursor.space()?;
    let (returns, update_items) = returns(cursor)?;
    let mut charset = None;
    if cursor.word("CHARSET") {
        cursor.space()?;
        charset = Some(String::from_utf8_lossy(&cursor.astring()?).to_ascii_uppercase());
        cursor.space()?;
    }
    let key = keys(cursor)?;
    relevancy_of_something(returns.is_some_and(|returns| returns.relevancy), &key)?;
    Ok(SearchCommand { by, returns, charset, key, update_items })
}

/// ` [IN (source …) ][RETURN (…) ][CHARSET name ]key key …` (RFC 7377 §4)
pub fn multi_search(cursor: &mut Cursor) -> Parsed<MultiSearchCommand> {
    let mut sources = vec![Source::Selected];
    let mut ahead = cursor.clone();
    if ahead.eat(b' ') && ahead.word("IN") {
        *cursor = ahead;
        cursor.space()?;
        sources = cursor.list(1, source)?;
    }
    let SearchCommand { returns, charset, key, update_items, .. } = search(cursor, By::Uid)?;
    Ok(MultiSearchCommand { sources, returns, charset, key, update_items })
}

/// RFC 6203 §4: nothing is more or less relevant without FUZZY.
pub fn relevancy_of_something(is_wanted: bool, key: &SearchKey) -> Parsed<()> {
    // What a FILTER stands for is not known here.
    match is_wanted && !key.is_fuzzy() && !key.has_filters() {
        true => expected("RELEVANCY is of a FUZZY search"),
        false => Ok(()),
    }
}

/// RFC 7377 §4, of which RFC 5465 §8 filter-mailboxes-other is a part.
pub fn source(cursor: &mut Cursor) -> Parsed<Source> {
    let name = cursor.keyword()?;
    let kind: fn(Vec<MailboxArg>) -> Source = match name.as_str() {
        "SELECTED" => return Ok(Source::Selected),
        "INBOXES" => return Ok(Source::Inboxes),
        "PERSONAL" => return Ok(Source::Personal),
        "SUBSCRIBED" => return Ok(Source::Subscribed),
        "SUBTREE" => Source::Subtree,
        "SUBTREE-ONE" => Source::SubtreeOne,
        "MAILBOXES" => Source::Mailboxes,
        _ => return expected("no such source of mailboxes"),
    };
    cursor.space()?;
    // RFC 5465 §8 one-or-more-mailbox.
    Ok(kind(match cursor.peek() {
        Some(b'(') => cursor.list(1, mailbox)?,
        _ => vec![mailbox(cursor)?],
    }))
}

/// `key key …`, all of which must match.
pub fn keys(cursor: &mut Cursor) -> Parsed<SearchKey> {
    let mut keys = vec![key(cursor, 0)?];
    while cursor.eat(b' ') {
        keys.push(key(cursor, 0)?);
    }
    Ok(all_of(keys))
}

/// A search as it is kept (RFC 5466 §3.2); `None` unless it is one and nothing else.
pub fn search_criteria(text: &[u8]) -> Option<SearchKey> {
    let mut cursor = Cursor::new(text, Text::Utf8);
    let key = keys(&mut cursor).ok()?;
    cursor.is_empty().then_some(key)
}

/// `RETURN (…) `, or nothing; with what UPDATE tells of messages that come (RFC 5465 §8 modifier-update).
pub fn returns(cursor: &mut Cursor) -> Parsed<(Option<SearchReturns>, Vec<FetchItem>)> {
    let mut items = Vec::new();
    if !cursor.word("RETURN") {
        return Ok((None, items));
    }
    cursor.space()?;
    let mut wanted = SearchReturns::default();
    let options = cursor.list(0, |cursor| {
        match cursor.keyword()?.as_str() {
            "MIN" => wanted.min = true,
            "MAX" => wanted.max = true,
            "ALL" => wanted.all = true,
            "COUNT" => wanted.count = true,
            "SAVE" => wanted.save = true,
            "UPDATE" => {
                wanted.update = true;
                if cursor.rest().starts_with(b" (") {
                    cursor.space()?;
                    items = fetch::items(cursor)?;
                }
            }
            // RFC 5267 §4.2: a hint.
            "CONTEXT" => {}
            "RELEVANCY" => wanted.relevancy = true,
            "PARTIAL" if wanted.partial.is_some() => return expected("one PARTIAL at most"),
            "PARTIAL" => {
                cursor.space()?;
                wanted.partial = Some(partial_range(cursor)?);
            }
            _ => return expected("no such SEARCH return option"),
        }
        Ok(())
    })?;
    // RFC 9394 §3.1.
    if wanted.all && wanted.partial.is_some() {
        return expected("either ALL or PARTIAL");
    }
    wanted.all |= options.is_empty();
    cursor.space()?;
    Ok((Some(wanted), items))
}

fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.len() {
        1 => keys.remove(0),
        _ => SearchKey::And(keys),
    }
}

fn key(cursor: &mut Cursor, depth: usize) -> Parsed<SearchKey> {
    if depth > DEPTH {
        return expected("a search nested too deeply");
    }
    match cursor.peek() {
        Some(b'(') => return cursor.list(1, |cursor| key(cursor, depth + 1)).map(all_of),
        Some(b'0'..=b'9' | b'*' | b'$') => return sequence_set(cursor).map(SearchKey::Sequence),
        _ => {}
    }
    let name = cursor.keyword()?;
    if let Some(key) = plain(&name) {
        return Ok(key);
    }
    cursor.space()?;
    Ok(match name.as_str() {
        "NOT" => negated(key(cursor, depth + 1)?),
        "FUZZY" => SearchKey::Fuzzy(Box::new(key(cursor, depth + 1)?)),
        "OR" => {
            let first = key(cursor, depth + 1)?;
            cursor.space()?;
            SearchKey::Or(Box::new(first), Box::new(key(cursor, depth + 1)?))
        }
        "UID" => SearchKey::Uid(sequence_set(cursor)?),
        "KEYWORD" => SearchKey::Keyword(keyword(cursor)?),
        "UNKEYWORD" => negated(SearchKey::Keyword(keyword(cursor)?)),
        "LARGER" => SearchKey::Larger(cursor.number64()?),
        "SMALLER" => SearchKey::Smaller(cursor.number64()?),
        "BEFORE" => SearchKey::Before(date(cursor)?),
        "ON" => SearchKey::On(date(cursor)?),
        "SINCE" => SearchKey::Since(date(cursor)?),
        "SENTBEFORE" => SearchKey::SentBefore(date(cursor)?),
        "SENTON" => SearchKey::SentOn(date(cursor)?),
        "SENTSINCE" => SearchKey::SentSince(date(cursor)?),
        "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => {
            SearchKey::Header { field: name.into_bytes(), text: cursor.astring()?.into_owned() }
        }
        "HEADER" => {
            let field = cursor.astring()?.into_owned();
            cursor.space()?;
            SearchKey::Header { field, text: cursor.astring()?.into_owned() }
        }
        "BODY" => SearchKey::Body(cursor.astring()?.into_owned()),
        "TEXT" => SearchKey::Text(cursor.astring()?.into_owned()),
        "MODSEQ" => modseq(cursor)?,
        "EMAILID" => email_id(cursor)?,
        // RFC 5466 §4: no `/`, which parts the names of annotations.
        "FILTER" => match cursor.atom()? {
            name if name.contains('/') => return expected("no / in the name of a filter"),
            name => SearchKey::Filter(name.into()),
        },
        "THREADID" => {
            object_id(cursor)?;
            // RFC 8474 §5.2: no message has one here.
            negated(SearchKey::All)
        }
        "SAVEDBEFORE" => SearchKey::SavedBefore(date(cursor)?),
        "SAVEDON" => SearchKey::SavedOn(date(cursor)?),
        "SAVEDSINCE" => SearchKey::SavedSince(date(cursor)?),
        "OLDER" => SearchKey::Older(interval(cursor)?),
        "YOUNGER" => SearchKey::Younger(interval(cursor)?),
        _ => return expected("no such search key"),
    })
}

/// Keys without arguments; some are others in disguise (RFC 3501 §6.4.4).
fn plain(name: &str) -> Option<SearchKey> {
    let flag = SearchKey::Flag;
    Some(match name {
        "ALL" => SearchKey::All,
        // RFC 8514 §4.3: of every mailbox here.
        "SAVEDATESUPPORTED" => SearchKey::All,
        "ANSWERED" => flag(SystemFlag::Answered),
        "DELETED" => flag(SystemFlag::Deleted),
        "DRAFT" => flag(SystemFlag::Draft),
        "FLAGGED" => flag(SystemFlag::Flagged),
        "SEEN" => flag(SystemFlag::Seen),
        "UNANSWERED" => negated(flag(SystemFlag::Answered)),
        "UNDELETED" => negated(flag(SystemFlag::Deleted)),
        "UNDRAFT" => negated(flag(SystemFlag::Draft)),
        "UNFLAGGED" => negated(flag(SystemFlag::Flagged)),
        "UNSEEN" => negated(flag(SystemFlag::Seen)),
        "RECENT" => SearchKey::Recent,
        "OLD" => negated(SearchKey::Recent),
        "NEW" => SearchKey::And(vec![SearchKey::Recent, negated(flag(SystemFlag::Seen))]),
        _ => return None,
    })
}

fn negated(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

fn keyword(cursor: &mut Cursor) -> Parsed<Keyword> {
    Keyword::new(cursor.atom()?).ok_or(Syntax("a keyword is too long".into()))
}

/// RFC 8474 §7 objectid.
fn object_id<'a>(cursor: &mut Cursor<'a>) -> Parsed<&'a str> {
    let id = cursor.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    match std::str::from_utf8(id) {
        Ok(id) if (1..=255).contains(&id.len()) => Ok(id),
        _ => expected("an object id has 1 to 255 letters, digits, _ and -"),
    }
}

/// An id that this server has not made is no message's.
fn email_id(cursor: &mut Cursor) -> Parsed<SearchKey> {
    let text = object_id(cursor)?;
    // RFC 8474 §7: case matters.
    let id = text
        .strip_prefix('M')
        .and_then(|id| id.parse().ok())
        .filter(|id| crate::imap::encode::email_id(*id) == text);
    Ok(id.map_or_else(|| negated(SearchKey::All), SearchKey::EmailId))
}

/// RFC 5032 §2: seconds, at least one.
fn interval(cursor: &mut Cursor) -> Parsed<u32> {
    match cursor.number()? {
        0 => expected("an interval of nothing"),
        seconds => Ok(seconds),
    }
}

/// RFC 7162 §3.1.5: `MODSEQ ["/flags/…" all|priv|shared] n`. All entries have the message's modseq here.
fn modseq(cursor: &mut Cursor) -> Parsed<SearchKey> {
    if cursor.peek() == Some(b'"') {
        cursor.string()?;
        cursor.space()?;
        if !["all", "priv", "shared"].iter().any(|kind| cursor.word(kind)) {
            return expected("expected all, priv or shared");
        }
        cursor.space()?;
    }
    Ok(SearchKey::ModSeq(cursor.number64()?))
}
