//! Untagged data other than FETCH bodies.

use super::{Recent, encoded_name, flags, mailbox, mailbox_id, system_flag};
use crate::imap::types::{By, SearchReturns, StatusItem, Tag};
use gadwall_storage::{Flags, Keyword, Mailbox, MailboxName, ModSeq, SpecialUse, SystemFlag, Uid, UidSet};

/// `* …` with a line break.
#[derive(Debug, Clone, PartialEq)]
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
        number: u32,
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
    Esearch(&'a Esearch<'a>),
    Status {
        name: &'a MailboxName,
        mailbox: &'a Mailbox,
        items: &'a [StatusItem],
        /// The largest message it takes, in bytes.
        append_limit: u64,
    },
    Namespace,
    Id(&'a [(&'a str, &'a str)]),
}

/// A search's result as RFC 4731 §3.1 has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Esearch<'a> {
    /// The command that is answered.
    pub tag: &'a Tag,
    pub by: By,
    pub wanted: SearchReturns,
    /// Message numbers or UIDs: both are positive numbers in ascending order.
    pub found: &'a UidSet,
    /// If MODSEQ was among the keys; it is not told of nothing.
    pub modseq: Option<u64>,
}

/// One line of LIST.
#[derive(Debug, Clone, PartialEq)]
pub struct ListEntry<'a> {
    pub name: &'a str,
    pub attributes: Vec<&'static str>,
    /// RFC 5258 §3.5: a name below it is subscribed, which RECURSIVEMATCH has asked for.
    pub has_subscribed_below: bool,
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
    pub fn write(&self, out: &mut Vec<u8>) {
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
            Untagged::FetchFlags { number, uid, flags: now, recent, modseq } => {
                text(out, format_args!("{number} FETCH ("));
                let mut separator = "";
                if let Some(uid) = uid {
                    text(out, format_args!("UID {uid}"));
                    separator = " ";
                }
                if let Some(now) = now {
                    text(out, format_args!("{separator}FLAGS "));
                    flags(now, *recent, out);
                    separator = " ";
                }
                if let Some(modseq) = modseq {
                    text(out, format_args!("{separator}MODSEQ ({modseq})"));
                }
                out.push(b')');
            }
            Untagged::List(entry) => list("LIST", entry, out),
            Untagged::Lsub(entry) => list("LSUB", entry, out),
            Untagged::Search { numbers, modseq } => {
                text(out, format_args!("SEARCH"));
                numbers.iter().for_each(|n| text(out, format_args!(" {n}")));
                // RFC 7162 §3.1.5: only when something was found.
                if let Some(modseq) = modseq.filter(|_| !numbers.is_empty()) {
                    text(out, format_args!(" (MODSEQ {modseq})"));
                }
            }
            Untagged::Esearch(result) => esearch(result, out),
            Untagged::Status { name, mailbox: at, items, append_limit } => {
                text(out, format_args!("STATUS "));
                mailbox(name, out);
                status_items(at, items, *append_limit, out);
            }
            Untagged::Namespace => text(out, format_args!("NAMESPACE ((\"\" \"/\")) NIL NIL")),
            Untagged::Id(fields) => {
                let pairs: Vec<String> = fields.iter().map(|(f, v)| format!("\"{f}\" \"{v}\"")).collect();
                text(out, format_args!("ID ({})", pairs.join(" ")));
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn text(out: &mut Vec<u8>, arguments: std::fmt::Arguments) {
    use std::io::Write;
    // Writing into a vector can't fail.
    let _ = out.write_fmt(arguments);
}

fn list(kind: &str, entry: &ListEntry, out: &mut Vec<u8>) {
    text(out, format_args!("{kind} ({}) \"/\" ", entry.attributes.join(" ")));
    encoded_name(entry.name, out);
    if entry.has_subscribed_below {
        text(out, format_args!(" (\"CHILDINFO\" (\"SUBSCRIBED\"))"));
    }
}

/// RFC 4731 §3.1: where nothing was found there is no MIN, no MAX and no ALL.
fn esearch(result: &Esearch, out: &mut Vec<u8>) {
    let Esearch { tag, by, wanted, found, modseq } = *result;
    text(out, format_args!("ESEARCH (TAG \"{}\")", tag.as_str()));
    if by == By::Uid {
        text(out, format_args!(" UID"));
    }
    if let (Some(first), Some(last)) = (found.first(), found.last()) {
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
    if wanted.count {
        text(out, format_args!(" COUNT {}", found.len()));
    }
    if let Some(modseq) = modseq.filter(|_| !found.is_empty()) {
        text(out, format_args!(" MODSEQ {modseq}"));
    }
}

fn status_items(at: &Mailbox, items: &[StatusItem], append_limit: u64, out: &mut Vec<u8>) {
    let words: Vec<String> = items
        .iter()
        .map(|item| match item {
            StatusItem::Messages => format!("MESSAGES {}", at.messages),
            StatusItem::Recent => format!("RECENT {}", at.recent),
            // When all UIDs are used up there is no next one; the largest number is the closest to the truth.
            StatusItem::UidNext => format!("UIDNEXT {}", at.uidnext.unwrap_or(Uid::MAX)),
            StatusItem::UidValidity => format!("UIDVALIDITY {}", at.uidvalidity),
            StatusItem::Unseen => format!("UNSEEN {}", at.unseen),
            StatusItem::HighestModSeq => format!("HIGHESTMODSEQ {}", at.modseq),
            StatusItem::Size => format!("SIZE {}", at.bytes),
            StatusItem::MailboxId => format!("MAILBOXID ({})", mailbox_id(at.id)),
            StatusItem::AppendLimit => format!("APPENDLIMIT {append_limit}"),
        })
        .collect();
    text(out, format_args!(" ({})", words.join(" ")));
}
