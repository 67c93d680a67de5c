//! Commands (RFC 3501 §9 command).

use super::cursor::{Cursor, Parsed, Syntax, expected};
use super::mailbox::{flags, mailbox, pattern, sequence_set, status_items};
use super::{append, fetch, metadata, notify, search, sort};
use crate::imap::types::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::{FlagChange, SpecialUse};
use std::num::NonZeroU32;

/// RFC 2971 §3.3: no more than 30 field-value pairs.
const ID_PAIRS: usize = 30;

/// Parses one command, without its line break.
pub fn parse(text: &[u8], names: Text) -> Result<Tagged, (Option<Tag>, String)> {
    let Some(tag) = tag_of(text) else { return Err((None, "a command begins with a tag".into())) };
    let mut cursor = Cursor::new(&text[tag.as_str().len() + 1..], names);
    let parsed = command(&mut cursor).and_then(|command| {
        cursor.end()?;
        Ok(command)
    });
    match parsed {
        Ok(command) => Ok(Tagged { tag, command }),
        Err(Syntax(reason)) => Err((Some(tag), reason.into())),
    }
}

/// The tag a command begins with, if a space follows it.
pub fn tag_of(text: &[u8]) -> Option<Tag> {
    let end = text.iter().take(65).position(|b| *b == b' ')?;
    Tag::new(std::str::from_utf8(&text[..end]).ok()?)
}

fn command(cursor: &mut Cursor) -> Parsed<Command> {
    let name = cursor.keyword()?;
    Ok(match name.as_str() {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "ID" => id(cursor)?,
        "STARTTLS" => Command::StartTls,
        "AUTHENTICATE" => authenticate(cursor)?,
        "LOGIN" => {
            cursor.space()?;
            let user = cursor.astring()?.into_owned();
            cursor.space()?;
            Command::Login { user, password: cursor.astring()?.into_owned() }
        }
        "ENABLE" => enable(cursor)?,
        "SELECT" => select(cursor, SelectMode::ReadWrite)?,
        "EXAMINE" => select(cursor, SelectMode::ReadOnly)?,
        "CREATE" => create(cursor)?,
        "DELETE" => Command::Delete { mailbox: one_mailbox(cursor)? },
        "RENAME" => {
            let from = one_mailbox(cursor)?;
            Command::Rename { from, to: one_mailbox(cursor)? }
        }
        "SUBSCRIBE" => Command::Subscribe { mailbox: one_mailbox(cursor)? },
        "UNSUBSCRIBE" => Command::Unsubscribe { mailbox: one_mailbox(cursor)? },
        "LIST" => list(cursor)?,
        "LSUB" => {
            cursor.space()?;
            let reference = cursor.astring()?.into_owned();
            cursor.space()?;
            Command::Lsub { reference, pattern: pattern(cursor)? }
        }
        "NAMESPACE" => Command::Namespace,
        "STATUS" => {
            let mailbox = one_mailbox(cursor)?;
            cursor.space()?;
            Command::Status { mailbox, items: status_items(cursor)? }
        }
        "APPEND" => append::append(cursor)?,
        "REPLACE" => append::replace(cursor, By::Sequence)?,
        "IDLE" => Command::Idle,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "EXPUNGE" => Command::Expunge { uids: None },
        "UID" => {
            cursor.space()?;
            let name = cursor.keyword()?;
            if name == "EXPUNGE" {
                cursor.space()?;
                return Ok(Command::Expunge { uids: Some(sequence_set(cursor)?) });
            }
            if name == "REPLACE" {
                return append::replace(cursor, By::Uid);
            }
            on_messages(cursor, &name, By::Uid)?
        }
        name => of_extensions(cursor, name)?,
    })
}

/// The commands of extensions that are no form of another one.
fn of_extensions(cursor: &mut Cursor, name: &str) -> Parsed<Command> {
    Ok(match name {
        "COMPRESS" => {
            cursor.space()?;
            if cursor.keyword()? != "DEFLATE" {
                return expected("DEFLATE is the only compression there is");
            }
            Command::Compress
        }
        "UNAUTHENTICATE" => Command::Unauthenticate,
        "GETQUOTA" => {
            cursor.space()?;
            Command::GetQuota { root: cursor.astring()?.into_owned() }
        }
        "ESEARCH" => Command::MultiSearch(search::multi_search(cursor)?),
        "LANGUAGE" => Command::Language(strings(cursor)?),
        "COMPARATOR" => Command::Comparator(strings(cursor)?),
        "GETQUOTAROOT" => Command::GetQuotaRoot { mailbox: one_mailbox(cursor)? },
        "CANCELUPDATE" => match strings(cursor)? {
            tags if tags.is_empty() => return expected("expected the tag of a search"),
            tags => Command::CancelUpdate(tags),
        },
        "GETMETADATA" => Command::GetMetadata(metadata::get(cursor)?),
        "SETMETADATA" => Command::SetMetadata(metadata::set(cursor)?),
        "NOTIFY" => Command::Notify(notify::notify(cursor)?),
        "UIDBATCHES" => uid_batches(cursor)?,
        name => on_messages(cursor, name, By::Sequence)?,
    })
}

/// The commands that have a UID form.
fn on_messages(cursor: &mut Cursor, name: &str, by: By) -> Parsed<Command> {
    if name == "SEARCH" {
        return search::search(cursor, by).map(Command::Search);
    }
    if name == "SORT" {
        return sort::sort(cursor, by).map(Command::Sort);
    }
    if name == "THREAD" {
        return sort::thread(cursor, by).map(Command::Thread);
    }
    if !matches!(name, "FETCH" | "STORE" | "COPY" | "MOVE") {
        return expected("unknown command");
    }
    cursor.space()?;
    let set = sequence_set(cursor)?;
    Ok(match name {
        "FETCH" => {
            cursor.space()?;
            let items = fetch::items(cursor)?;
            Command::Fetch { by, set, items, modifiers: fetch::modifiers(cursor, by)? }
        }
        "STORE" => store(cursor, by, set)?,
        "COPY" => Command::Copy { by, set, to: one_mailbox(cursor)? },
        _ => Command::Move { by, set, to: one_mailbox(cursor)? },
    })
}

/// ` size[ first:last]`
fn uid_batches(cursor: &mut Cursor) -> Parsed<Command> {
    let positive = |cursor: &mut Cursor| {
        NonZeroU32::new(cursor.number()?).ok_or(Syntax("sizes and batches begin at 1".into()))
    };
    cursor.space()?;
    let size = positive(cursor)?.get();
    let mut batches = None;
    if cursor.eat(b' ') {
        let first = positive(cursor)?;
        cursor.require(b':', "expected a range of batches")?;
        let last = positive(cursor)?;
        if last < first {
            return expected("a range of batches goes up");
        }
        batches = Some((first, last));
    }
    Ok(Command::UidBatches { size, batches })
}

fn one_mailbox(cursor: &mut Cursor) -> Parsed<MailboxArg> {
    cursor.space()?;
    mailbox(cursor)
}

/// ` string string …`, perhaps none.
fn strings(cursor: &mut Cursor) -> Parsed<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    while cursor.eat(b' ') {
        strings.push(cursor.astring()?.into_owned());
    }
    Ok(strings)
}

fn id(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.space()?;
    if cursor.word("NIL") {
        return Ok(Command::Id(None));
    }
    let mut pairs = Vec::new();
    cursor.list(0, |cursor| {
        let field = cursor.string()?.into_owned();
        cursor.space()?;
        let value = cursor.nstring()?.map(|v| v.into_owned());
        if pairs.len() >= ID_PAIRS {
            return expected("too many ID fields");
        }
        pairs.push((field, value));
        Ok(())
    })?;
    Ok(Command::Id(Some(pairs)))
}

/// RFC 3501 §6.2.2, with RFC 4959's initial response.
fn authenticate(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.space()?;
    let mechanism = cursor.keyword()?;
    let initial = if cursor.eat(b' ') {
        match cursor.take_while(|b| b.is_ascii_graphic()) {
            b"=" => Some(Vec::new()),
            b"" => return expected("expected an initial response; = is an empty one"),
            text => {
                Some(STANDARD.decode(text).or_else(|_| expected("an initial response that is not base64"))?)
            }
        }
    } else {
        None
    };
    Ok(Command::Authenticate { mechanism, initial })
}

fn enable(cursor: &mut Cursor) -> Parsed<Command> {
    let mut names = Vec::new();
    cursor.space()?;
    loop {
        names.push(cursor.keyword()?);
        if !cursor.eat(b' ') {
            return Ok(Command::Enable(names));
        }
    }
}

fn select(cursor: &mut Cursor, mode: SelectMode) -> Parsed<Command> {
    let mailbox = one_mailbox(cursor)?;
    let mut params = SelectParams::default();
    if cursor.eat(b' ') {
        cursor.list(1, |cursor| match cursor.keyword()?.as_str() {
            "CONDSTORE" => {
                params.condstore = true;
                Ok(())
            }
            "QRESYNC" => {
                cursor.space()?;
                params.qresync = Some(qresync(cursor)?);
                Ok(())
            }
            _ => expected("no such SELECT parameter"),
        })?;
    }
    Ok(Command::Select { mailbox, params, mode })
}

/// `(uidvalidity modseq [known UIDs] [(numbers UIDs)])` (RFC 7162 §7 select-param).
fn qresync(cursor: &mut Cursor) -> Parsed<Qresync> {
    cursor.require(b'(', "expected ( and what is known of the mailbox")?;
    let uidvalidity = cursor.number()?;
    cursor.space()?;
    let modseq = cursor.number64()?;
    if uidvalidity == 0 || modseq == 0 {
        return expected("UIDVALIDITY and modseq begin at 1");
    }
    let (mut known, mut numbered) = (None, None);
    while cursor.eat(b' ') {
        if cursor.eat(b'(') {
            let numbers = numbers(cursor)?;
            cursor.space()?;
            let uids = numbers_as_many_as(&numbers, cursor)?;
            cursor.require(b')', "expected )")?;
            numbered = Some((numbers, uids));
            break;
        }
        if known.is_some() {
            return expected("expected ) or message numbers and their UIDs");
        }
        known = Some(numbers(cursor)?);
    }
    cursor.require(b')', "expected )")?;
    Ok(Qresync { uidvalidity, modseq, known, numbered })
}

/// RFC 7162 §7: a sequence set in which `*` is not allowed.
fn numbers(cursor: &mut Cursor) -> Parsed<SequenceSet> {
    let set = sequence_set(cursor)?;
    if set.is_saved() || set.count().is_none() { expected("* and $ say nothing here") } else { Ok(set) }
}

fn numbers_as_many_as(others: &SequenceSet, cursor: &mut Cursor) -> Parsed<SequenceSet> {
    let set = numbers(cursor)?;
    if set.count() == others.count() { Ok(set) } else { expected("as many UIDs as message numbers") }
}

/// RFC 6154 §3: `CREATE name (USE (\Sent))`.
fn create(cursor: &mut Cursor) -> Parsed<Command> {
    let mailbox = one_mailbox(cursor)?;
    let mut special_use = Vec::new();
    if cursor.eat(b' ') {
        cursor.require(b'(', "expected (")?;
        if !cursor.word("USE") {
            return expected("no such CREATE parameter");
        }
        cursor.space()?;
        special_use = cursor.list(0, |cursor| {
            cursor.require(b'\\', "expected a special use such as \\Sent")?;
            match cursor.keyword()?.as_str() {
                "ARCHIVE" => Ok(Some(SpecialUse::Archive)),
                "DRAFTS" => Ok(Some(SpecialUse::Drafts)),
                "JUNK" => Ok(Some(SpecialUse::Junk)),
                "SENT" => Ok(Some(SpecialUse::Sent)),
                "TRASH" => Ok(Some(SpecialUse::Trash)),
                // A refusal of the command, not of its grammar.
                _ => Ok(None),
            }
        })?;
        cursor.require(b')', "expected )")?;
    }
    Ok(Command::Create { mailbox, special_use })
}

/// `LIST [(options)] reference pattern|(patterns) [RETURN (options)]`
fn list(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.space()?;
    let (mut select, mut extended) = (Vec::new(), false);
    if cursor.peek() == Some(b'(') {
        extended = true;
        select = cursor.list(0, |cursor| match cursor.keyword()?.as_str() {
            "SUBSCRIBED" => Ok(ListSelect::Subscribed),
            "REMOTE" => Ok(ListSelect::Remote),
            "RECURSIVEMATCH" => Ok(ListSelect::RecursiveMatch),
            "SPECIAL-USE" => Ok(ListSelect::SpecialUse),
            _ => expected("no such LIST selection option"),
        })?;
        // RFC 5258 §3.1 and §6: it says nothing without a base option, which SUBSCRIBED alone is.
        if select.contains(&ListSelect::RecursiveMatch) && !select.contains(&ListSelect::Subscribed) {
            return expected("RECURSIVEMATCH needs SUBSCRIBED beside it");
        }
        cursor.space()?;
    }
    let reference = cursor.astring()?.into_owned();
    cursor.space()?;
    let patterns = if cursor.peek() == Some(b'(') {
        extended = true;
        cursor.list(1, pattern)?
    } else {
        vec![pattern(cursor)?]
    };
    let mut returns = Vec::new();
    if cursor.eat(b' ') {
        if !cursor.word("RETURN") {
            return expected("expected RETURN");
        }
        extended = true;
        cursor.space()?;
        returns = cursor.list(0, |cursor| match cursor.keyword()?.as_str() {
            "SUBSCRIBED" => Ok(ListReturn::Subscribed),
            "CHILDREN" => Ok(ListReturn::Children),
            "SPECIAL-USE" => Ok(ListReturn::SpecialUse),
            "STATUS" => {
                cursor.space()?;
                status_items(cursor).map(ListReturn::Status)
            }
            "METADATA" => {
                cursor.space()?;
                metadata::entries(cursor).map(ListReturn::Metadata)
            }
            _ => expected("no such LIST return option"),
        })?;
    }
    Ok(Command::List(ListCommand { reference, patterns, select, returns, extended }))
}

/// RFC 3501 §6.4.6, RFC 7162 §3.1.3.
fn store(cursor: &mut Cursor, by: By, set: SequenceSet) -> Parsed<Command> {
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list(1, |cursor| match cursor.keyword()?.as_str() {
            "UNCHANGEDSINCE" => {
                cursor.space()?;
                unchanged_since = Some(cursor.number64()?);
                Ok(())
            }
            _ => expected("no such STORE modifier"),
        })?;
        cursor.space()?;
    }
    let kind: fn(_) -> FlagChange = match (cursor.eat(b'+'), cursor.eat(b'-')) {
        (true, false) => FlagChange::Add,
        (false, true) => FlagChange::Remove,
        (false, false) => FlagChange::Replace,
        (true, true) => return expected("expected FLAGS"),
    };
    let silent = match cursor.keyword()?.as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return expected("expected FLAGS or FLAGS.SILENT"),
    };
    cursor.space()?;
    let change = StoreChange { flags: kind(flags(cursor)?), silent };
    Ok(Command::Store { by, set, change, unchanged_since })
}
