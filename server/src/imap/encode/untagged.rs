//! Untagged data other than FETCH bodies.

use super::{Recent, astring, encoded_name, flags, mailbox, mailbox_id, nstring8, system_flag};
use crate::imap::thread::Threads;
use crate::imap::types::{By, SearchReturns, StatusItem, Tag, Text};
use gadwall_storage::{
    Flags, Keyword, Mailbox, MailboxName, ModSeq, SpecialUse, SystemFlag, Uid, UidSet, UidValidity,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// `* …` with a line break.
#[derive(Clone)]
pub enum Untagged<'a> {
    Capability(&'a str),
    Enabled(&'a [&'static str]),
    Exists(u32),
    Recent(u32),
    Expunge(u32),
    /// RFC 7162 §3.2.10.
    Vanished {
        uids: &'a UidSet,
        /// Before the mailbox was selected, or asked for: numbers stay as they are.
        earlier: bool,
    },
    /// The flags in use in a mailbox.
    Flags(&'a [Keyword]),
    /// A message's flags, unasked for or after STORE.
    FetchFlags {
        message: Called,
        uid: Option<Uid>,
        flags: Option<&'a Flags>,
        recent: Recent,
        modseq: Option<ModSeq>,
    },
    List(&'a ListEntry<'a>),
    Lsub(&'a ListEntry<'a>),
    Search {
        /// Message numbers or UIDs.
        numbers: &'a UidSet,
        modseq: Option<u64>,
    },
    /// RFC 5256 §4.
    Sort {
        /// Message numbers or UIDs, in order.
        numbers: &'a [u32],
        modseq: Option<u64>,
    },
    Thread {
        threads: &'a Threads,
        /// What a message is called: its number or its UID.
        number: &'a dyn Fn(Uid) -> Option<u32>,
    },
    Esearch(&'a Esearch<'a>),
    /// RFC 5267 §4.3.3, §4.3.4: positions in a result and what is there, in the order in which they are to be taken.
    ContextUpdate {
        tag: &'a Tag,
        by: By,
        removed: &'a [(u32, UidSet)],
        added: &'a [(u32, UidSet)],
    },
    /// RFC 10022: each from its newest message to its oldest.
    UidBatches {
        tag: &'a Tag,
        ranges: &'a [(Uid, Uid)],
    },
    Status {
        name: &'a MailboxName,
        mailbox: &'a Mailbox,
        items: &'a [StatusItem],
        /// The largest message it takes, in bytes.
        append_limit: u64,
        /// What an expunge would free, in bytes.
        deleted_bytes: u64,
    },
    /// RFC 5464 §4.4.1; without a name, of the server.
    Metadata {
        name: Option<&'a MailboxName>,
        values: &'a BTreeMap<&'a str, Option<&'a [u8]>>,
    },
    /// RFC 5464 §4.4.2: which annotations have changed; without a name, of the server.
    MetadataChanged {
        name: Option<&'a MailboxName>,
        entries: &'a [&'a str],
    },
    /// RFC 9208 §4.2.1, of the one root.
    Quota {
        used_bytes: u64,
        limit_bytes: u64,
    },
    /// RFC 9208 §4.2.2: the root of that mailbox is the one there is.
    QuotaRoot {
        name: &'a MailboxName,
    },
    /// RFC 5255 §3.3.
    Language(&'a [&'static str]),
    /// RFC 5255 §4.8; `matching` where more than one matched.
    Comparator {
        active: &'static str,
        matching: &'a [&'static str],
    },
    Namespace,
    Id(&'a [(&'a str, &'a str)]),
}

/// What a FETCH response calls its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    Number(u32),
    /// RFC 9586 §3.
    Uid(Uid),
}

impl std::fmt::Display for Called {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Called::Number(number) => write!(f, "{number} FETCH"),
            Called::Uid(uid) => write!(f, "{uid} UIDFETCH"),
        }
    }
}

/// A search's result as RFC 4731 §3.1 has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Esearch<'a> {
    /// The command that is answered.
    pub tag: &'a Tag,
    /// The mailbox that was searched, where there may be several (RFC 7377 §2.1).
    pub mailbox: Option<(&'a MailboxName, UidValidity)>,
    pub by: By,
    pub wanted: SearchReturns,
    pub found: Numbers<'a>,
    /// If MODSEQ was among the keys; it is not told of nothing.
    pub modseq: Option<u64>,
    /// Of each that was found, in the order of `found` (RFC 6203 §4).
    pub relevancies: &'a [u8],
}

/// Message numbers or UIDs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Numbers<'a> {
    /// In ascending order.
    Set(&'a UidSet),
    /// In the order of a SORT (RFC 5267 §3.1).
    Sorted(&'a [u32]),
}

impl Numbers<'_> {
    fn first_and_last(self) -> Option<(u32, u32)> {
        match self {
            Numbers::Set(set) => Some((set.first()?.get(), set.last()?.get())),
            Numbers::Sorted(numbers) => Some((*numbers.first()?, *numbers.last()?)),
        }
    }

    /// Those at these places, or NIL (RFC 9394 §3.1).
    fn write_some(self, places: Range<usize>, out: &mut Vec<u8>) {
        match self {
            _ if places.is_empty() => out.extend_from_slice(b"NIL"),
            Numbers::Set(set) => {
                let some: UidSet = set.iter().skip(places.start).take(places.len()).collect();
                text(out, format_args!("{some}"));
            }
            Numbers::Sorted(numbers) => text(out, format_args!("{}", Numbers::Sorted(&numbers[places]))),
        }
    }

    fn len(self) -> u64 {
        match self {
            Numbers::Set(set) => set.len(),
            Numbers::Sorted(numbers) => numbers.len() as u64,
        }
    }
}

impl std::fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Numbers::Set(set) => set.fmt(f),
            Numbers::Sorted(numbers) => {
                let mut separator = "";
                // RFC 5267 §3.2: a range ascends, and so stands for what is sorted so.
                for run in numbers.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
                    match run {
                        [first, _, .., last] => write!(f, "{separator}{first}:{last}")?,
                        [first, last] => write!(f, "{separator}{first},{last}")?,
                        _ => write!(f, "{separator}{}", run[0])?,
                    }
                    separator = ",";
                }
                Ok(())
            }
        }
    }
}

/// One line of LIST.
#[derive(Debug, Clone, PartialEq)]
pub struct ListEntry<'a> {
    pub name: &'a str,
    pub attributes: Vec<&'static str>,
    /// RFC 5258 §3.5: a name below it is subscribed, which RECURSIVEMATCH has asked for.
    pub has_subscribed_below: bool,
    /// What the mailbox was called before, or by which name the client called it (RFC 9051 §6.3.9.7).
    pub old_name: Option<&'a str>,
}

/// RFC 6154 §2.
pub fn special_use(role: SpecialUse) -> &'static str {
    match role {
        SpecialUse::Archive => "\\Archive",
        SpecialUse::Drafts => "\\Drafts",
        SpecialUse::Junk => "\\Junk",
        SpecialUse::Sent => "\\Sent",
        SpecialUse::Trash => "\\Trash",
    }
}

impl Untagged<'_> {
    /// `names`: how mailbox names travel.
    pub fn write(&self, names: Text, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* ");
        match self {
            Untagged::Capability(list) => text(out, format_args!("CAPABILITY {list}")),
            Untagged::Enabled(names) => {
                text(out, format_args!("ENABLED"));
                names.iter().for_each(|name| text(out, format_args!(" {name}")));
            }
            Untagged::Exists(n) => text(out, format_args!("{n} EXISTS")),
            Untagged::Recent(n) => text(out, format_args!("{n} RECENT")),
            Untagged::Expunge(n) => text(out, format_args!("{n} EXPUNGE")),
            Untagged::Vanished { uids, earlier } => {
                text(out, format_args!("VANISHED {}{uids}", if *earlier { "(EARLIER) " } else { "" }));
            }
            Untagged::Flags(keywords) => {
                let mut words: Vec<&str> = SystemFlag::ALL.into_iter().map(system_flag).collect();
                words.extend(keywords.iter().map(Keyword::as_str));
                text(out, format_args!("FLAGS ({})", words.join(" ")));
            }
            Untagged::FetchFlags { message, uid, flags, recent, modseq } => {
                text(out, format_args!("{message} ("));
                told_flags(*uid, *flags, *recent, *modseq, out);
                out.push(b')');
            }
            Untagged::List(entry) => list("LIST", entry, names, out),
            Untagged::Lsub(entry) => list("LSUB", entry, names, out),
            Untagged::Search { numbers, modseq } => {
                found("SEARCH", numbers.iter().map(Uid::get), *modseq, out);
            }
            Untagged::Sort { numbers, modseq } => found("SORT", numbers.iter().copied(), *modseq, out),
            Untagged::Thread { threads, number } => {
                text(out, format_args!("THREAD"));
                if !threads.is_empty() {
                    out.push(b' ');
                    threads.write(number, out);
                }
            }
            Untagged::Esearch(result) => esearch(result, names, out),
            Untagged::ContextUpdate { tag, by, removed, added } => {
                context_update(tag, *by, [("REMOVEFROM", removed), ("ADDTO", added)], out);
            }
            Untagged::UidBatches { tag, ranges } => uid_batches(tag, ranges, out),
            Untagged::Status { name, mailbox: at, items, append_limit, deleted_bytes } => {
                text(out, format_args!("STATUS "));
                mailbox(name, names, out);
                status_items(at, items, *append_limit, *deleted_bytes, out);
            }
            Untagged::Metadata { name, values } => metadata(*name, values, names, out),
            Untagged::MetadataChanged { name, entries } => metadata_changed(*name, entries, names, out),
            Untagged::Quota { used_bytes, limit_bytes } => quota(*used_bytes, *limit_bytes, out),
            Untagged::QuotaRoot { name } => {
                text(out, format_args!("QUOTAROOT "));
                mailbox(name, names, out);
                text(out, format_args!(" \"\""));
            }
            Untagged::Language(tags) => text(out, format_args!("LANGUAGE ({})", tags.join(" "))),
            Untagged::Comparator { active, matching } => comparator(active, matching, out),
            Untagged::Namespace => text(out, format_args!("NAMESPACE ((\"\" \"/\")) NIL NIL")),
            Untagged::Id(fields) => {
                let pairs: Vec<String> = fields.iter().map(|(f, v)| format!("\"{f}\" \"{v}\"")).collect();
                text(out, format_args!("ID ({})", pairs.join(" ")));
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn context_update(tag: &Tag, by: By, changes: [(&str, &[(u32, UidSet)]); 2], out: &mut Vec<u8>) {
    let by = if by == By::Uid { " UID" } else { "" };
    text(out, format_args!("ESEARCH (TAG \"{}\"){by}", tag.as_str()));
    for (name, places) in changes {
        for (i, (position, messages)) in places.iter().enumerate() {
            let before = if i == 0 { format!(" {name} (") } else { " ".into() };
            text(out, format_args!("{before}{position} {messages}"));
        }
        out.extend_from_slice(if places.is_empty() { b"" } else { b")" });
    }
}

fn uid_batches(tag: &Tag, ranges: &[(Uid, Uid)], out: &mut Vec<u8>) {
    text(out, format_args!("UIDBATCHES (TAG \"{}\")", tag.as_str()));
    for (i, (newest, oldest)) in ranges.iter().enumerate() {
        text(out, format_args!("{}{newest}:{oldest}", if i == 0 { ' ' } else { ',' }));
    }
}

fn metadata(
    name: Option<&MailboxName>,
    values: &BTreeMap<&str, Option<&[u8]>>,
    names: Text,
    out: &mut Vec<u8>,
) {
    of_metadata(name, names, out);
    for (i, (entry, value)) in values.iter().enumerate() {
        text(out, format_args!("{}", if i == 0 { " (" } else { " " }));
        astring(entry.as_bytes(), out);
        out.push(b' ');
        nstring8(*value, out);
    }
    out.push(b')');
}

fn metadata_changed(name: Option<&MailboxName>, entries: &[&str], names: Text, out: &mut Vec<u8>) {
    of_metadata(name, names, out);
    for entry in entries {
        out.push(b' ');
        astring(entry.as_bytes(), out);
    }
}

fn of_metadata(name: Option<&MailboxName>, names: Text, out: &mut Vec<u8>) {
    text(out, format_args!("METADATA "));
    match name {
        Some(name) => mailbox(name, names, out),
        None => text(out, format_args!("\"\"")),
    }
}

fn text(out: &mut Vec<u8>, arguments: std::fmt::Arguments) {
    use std::io::Write;
    // Writing into a vector can't fail.
    let _ = out.write_fmt(arguments);
}

fn told_flags(
    uid: Option<Uid>,
    now: Option<&Flags>,
    recent: Recent,
    modseq: Option<ModSeq>,
    out: &mut Vec<u8>,
) {
    let mut separator = "";
    if let Some(uid) = uid {
        text(out, format_args!("UID {uid}"));
        separator = " ";
    }
    if let Some(now) = now {
        text(out, format_args!("{separator}FLAGS "));
        flags(now, recent, out);
        separator = " ";
    }
    if let Some(modseq) = modseq {
        text(out, format_args!("{separator}MODSEQ ({modseq})"));
    }
}

fn found(kind: &str, numbers: impl Iterator<Item = u32>, modseq: Option<u64>, out: &mut Vec<u8>) {
    out.extend_from_slice(kind.as_bytes());
    let before = out.len();
    numbers.for_each(|n| text(out, format_args!(" {n}")));
    // RFC 7162 §3.1.5, §3.1.9: only when something was found.
    if let Some(modseq) = modseq.filter(|_| out.len() > before) {
        text(out, format_args!(" (MODSEQ {modseq})"));
    }
}

/// RFC 9208 §5.1: in units of 1024 octets.
fn quota(used_bytes: u64, limit_bytes: u64, out: &mut Vec<u8>) {
    let (used, limit) = (used_bytes.div_ceil(1024), limit_bytes / 1024);
    text(out, format_args!("QUOTA \"\" (STORAGE {used} {limit})"));
}

fn comparator(active: &str, matching: &[&str], out: &mut Vec<u8>) {
    text(out, format_args!("COMPARATOR {active}"));
    if matching.len() > 1 {
        text(out, format_args!(" ({})", matching.join(" ")));
    }
}

fn list(kind: &str, entry: &ListEntry, names: Text, out: &mut Vec<u8>) {
    text(out, format_args!("{kind} ({}) \"/\" ", entry.attributes.join(" ")));
    encoded_name(entry.name, names, out);
    if !entry.has_subscribed_below && entry.old_name.is_none() {
        return;
    }
    out.extend_from_slice(b" (");
    if entry.has_subscribed_below {
        text(out, format_args!("\"CHILDINFO\" (\"SUBSCRIBED\")"));
    }
    if let Some(old) = entry.old_name {
        out.extend_from_slice(if entry.has_subscribed_below { b" \"OLDNAME\" (" } else { b"\"OLDNAME\" (" });
        encoded_name(old, names, out);
        out.push(b')');
    }
    out.push(b')');
}

/// RFC 4731 §3.1: where nothing was found there is no MIN, no MAX and no ALL.
fn esearch(result: &Esearch, names: Text, out: &mut Vec<u8>) {
    let Esearch { tag, mailbox: at, by, wanted, found, modseq, relevancies } = *result;
    text(out, format_args!("ESEARCH (TAG \"{}\"", tag.as_str()));
    if let Some((name, uidvalidity)) = at {
        text(out, format_args!(" MAILBOX "));
        mailbox(name, names, out);
        text(out, format_args!(" UIDVALIDITY {uidvalidity}"));
    }
    out.push(b')');
    if by == By::Uid {
        text(out, format_args!(" UID"));
    }
    let ends = found.first_and_last();
    if let Some((first, last)) = ends {
        if wanted.min {
            text(out, format_args!(" MIN {first}"));
        }
        if wanted.max {
            text(out, format_args!(" MAX {last}"));
        }
        if wanted.all {
            text(out, format_args!(" ALL {found}"));
        }
    }
    if let Some(range) = wanted.partial {
        let sign = if range.from_end { "-" } else { "" };
        text(out, format_args!(" PARTIAL ({sign}{}:{sign}{} ", range.first, range.last));
        found.write_some(range.of(found.len() as usize), out);
        out.push(b')');
    }
    if wanted.count {
        text(out, format_args!(" COUNT {}", found.len()));
    }
    if wanted.relevancy {
        // RFC 6203 §4: of those that are told of.
        let places = wanted.partial.map_or(0..relevancies.len(), |range| range.of(relevancies.len()));
        let scores: Vec<String> = relevancies[places].iter().map(u8::to_string).collect();
        text(out, format_args!(" RELEVANCY ({})", scores.join(" ")));
    }
    if let Some(modseq) = modseq.filter(|_| ends.is_some()) {
        text(out, format_args!(" MODSEQ {modseq}"));
    }
}

fn status_items(
    at: &Mailbox,
    items: &[StatusItem],
    append_limit: u64,
    deleted_bytes: u64,
    out: &mut Vec<u8>,
) {
    let words: Vec<String> = items
        .iter()
        .map(|item| match item {
            StatusItem::Messages => format!("MESSAGES {}", at.messages),
            StatusItem::Recent => format!("RECENT {}", at.recent),
            // When all UIDs are used up there is no next one; the largest number is the closest to the truth.
            StatusItem::UidNext => format!("UIDNEXT {}", at.uidnext.unwrap_or(Uid::MAX)),
            StatusItem::UidValidity => format!("UIDVALIDITY {}", at.uidvalidity),
            StatusItem::Unseen => format!("UNSEEN {}", at.unseen),
            StatusItem::Deleted => format!("DELETED {}", at.deleted),
            StatusItem::DeletedStorage => format!("DELETED-STORAGE {deleted_bytes}"),
            StatusItem::HighestModSeq => format!("HIGHESTMODSEQ {}", at.modseq),
            StatusItem::Size => format!("SIZE {}", at.bytes),
            StatusItem::MailboxId => format!("MAILBOXID ({})", mailbox_id(at.id)),
            StatusItem::AppendLimit => format!("APPENDLIMIT {append_limit}"),
        })
        .collect();
    text(out, format_args!(" ({})", words.join(" ")));
}
