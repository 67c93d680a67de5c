//! Commands (RFC 3501 §6 and the extensions' own).

use super::{
    AppendPiece, EntryName, FetchItem, GetMetadata, ListPattern, NotifyCommand, SearchKey, SequenceSet,
    SetMetadata, SortCommand, StatusItem, ThreadCommand,
};
use gadwall_storage::{FlagChange, MailboxName, SpecialUse};
use std::num::NonZeroU32;
use std::ops::Range;

/// A tag: what the client names its command with. Only tag characters, at most 64 (a longer one is BAD).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(pub(in crate::imap) String);

impl Tag {
    /// `None` unless `text` is an RFC 3501 tag.
    pub fn new(text: &str) -> Option<Self> {
        let ok = !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_graphic() && !br#"(){%*"\+"#.contains(&b));
        ok.then(|| Tag(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A command with its tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged {
    pub tag: Tag,
    pub command: Command,
}

/// Message numbers or UIDs: the `UID` prefix of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Sequence,
    Uid,
}

/// How mailbox names travel on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Text {
    /// In modified UTF-7 (RFC 3501 §5.1.3).
    #[default]
    Ascii,
    /// As they are (RFC 9051 §5.1), once IMAP4rev2 is enabled.
    Utf8,
}

/// A mailbox as a client names it. What can't be a mailbox is still well-formed input (`SELECT ""`), so it
/// gets `NO`, not `BAD`: hence the raw form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxArg {
    Name(MailboxName),
    /// The mailbox has another name than that by which it was called: a name is kept in Normalization Form C, and INBOX
    /// in capitals (RFC 9051 §5.1, §6.3.9.7).
    Denormalised {
        name: MailboxName,
        supplied: String,
    },
    /// The name as sent, and why it can be none.
    Invalid {
        raw: Vec<u8>,
        reason: &'static str,
    },
}

impl MailboxArg {
    /// The mailbox of that name, once it is out of its encoding.
    pub fn of(supplied: String) -> Self {
        match MailboxName::parse(&supplied) {
            // A client says by a trailing delimiter that it means to create names below it (RFC 3501 §6.3.3).
            Ok(name) if name.as_str() == supplied.trim_end_matches(MailboxName::DELIMITER) => {
                MailboxArg::Name(name)
            }
            Ok(name) => MailboxArg::Denormalised { name, supplied },
            Err(e) => MailboxArg::Invalid { raw: supplied.into_bytes(), reason: e.0 },
        }
    }

    /// The mailbox's name, if it can be one's.
    pub fn name(&self) -> Option<&MailboxName> {
        match self {
            MailboxArg::Name(name) | MailboxArg::Denormalised { name, .. } => Some(name),
            MailboxArg::Invalid { .. } => None,
        }
    }

    /// By which name the client called it, where that is not what it is called.
    pub fn supplied(&self) -> Option<&str> {
        match self {
            MailboxArg::Denormalised { supplied, .. } => Some(supplied),
            _ => None,
        }
    }
}

/// A field of ID and its value.
pub type IdField = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    // Any state.
    Capability,
    Noop,
    Logout,
    /// RFC 2971; `None` for NIL.
    Id(Option<Vec<IdField>>),

    /// RFC 5255 §3.2: language ranges, as sent.
    Language(Vec<Vec<u8>>),

    // Not authenticated.
    StartTls,
    /// `initial`: SASL-IR (RFC 4959), decoded; `=` is `Some(vec![])`.
    Authenticate {
        mechanism: String,
        initial: Option<Vec<u8>>,
    },
    Login {
        user: Vec<u8>,
        password: Vec<u8>,
    },

    // Authenticated.
    /// RFC 5161; names in capitals.
    Enable(Vec<String>),
    Select {
        mailbox: MailboxArg,
        params: SelectParams,
        mode: SelectMode,
    },
    Create {
        mailbox: MailboxArg,
        /// `None` is a use that this server knows nothing of.
        special_use: Vec<Option<SpecialUse>>,
    },
    Delete {
        mailbox: MailboxArg,
    },
    Rename {
        from: MailboxArg,
        to: MailboxArg,
    },
    Subscribe {
        mailbox: MailboxArg,
    },
    Unsubscribe {
        mailbox: MailboxArg,
    },
    List(ListCommand),
    Lsub {
        reference: Vec<u8>,
        pattern: ListPattern,
    },
    Namespace,
    Status {
        mailbox: MailboxArg,
        items: Vec<StatusItem>,
    },
    /// An APPEND or REPLACE has come to its end: what follows the last literal of a message, each of which came as an
    /// [`crate::imap::decode::Event::Append`].
    Append(Vec<AppendPiece>),
    Idle,

    /// RFC 4978 §3, which knows of DEFLATE alone.
    Compress,
    /// RFC 5464.
    GetMetadata(GetMetadata),
    SetMetadata(SetMetadata),
    /// RFC 5465.
    Notify(NotifyCommand),

    /// RFC 8437.
    Unauthenticate,
    /// RFC 5255 §4.7: what the client wishes for, as sent.
    Comparator(Vec<Vec<u8>>),
    /// RFC 9208 §4.1.1.
    GetQuota {
        root: Vec<u8>,
    },
    GetQuotaRoot {
        mailbox: MailboxArg,
    },

    // Selected.
    Check,
    Close,
    Unselect,
    /// `uids`: UID EXPUNGE (RFC 4315).
    Expunge {
        uids: Option<SequenceSet>,
    },
    Search(SearchCommand),
    /// RFC 5267 §4.3.5: tags of searches that are kept up to date.
    CancelUpdate(Vec<Vec<u8>>),
    /// RFC 7377.
    MultiSearch(MultiSearchCommand),
    /// RFC 10022; `batches`: from which to which, in that order.
    UidBatches {
        size: u32,
        batches: Option<(NonZeroU32, NonZeroU32)>,
    },
    /// RFC 5256.
    Sort(SortCommand),
    Thread(ThreadCommand),
    Fetch {
        by: By,
        set: SequenceSet,
        items: Vec<FetchItem>,
        modifiers: FetchModifiers,
    },
    Store {
        by: By,
        set: SequenceSet,
        change: StoreChange,
        unchanged_since: Option<u64>,
    },
    Copy {
        by: By,
        set: SequenceSet,
        to: MailboxArg,
    },
    /// RFC 6851.
    Move {
        by: By,
        set: SequenceSet,
        to: MailboxArg,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectMode {
    /// SELECT
    ReadWrite,
    /// EXAMINE
    ReadOnly,
}

/// RFC 4466 §2.1 select parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectParams {
    /// RFC 7162 §3.1.8.
    pub condstore: bool,
    pub qresync: Option<Qresync>,
}

/// What a client that has seen the mailbox before knows of it (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qresync {
    pub uidvalidity: u32,
    pub modseq: u64,
    /// `None`: all that there have been.
    pub known: Option<SequenceSet>,
    /// Some message numbers and their UIDs, as many of each (§3.2.5.2).
    pub numbered: Option<(SequenceSet, SequenceSet)>,
}

/// RFC 3501 §6.3.8; RFC 5258 and RFC 6154 add to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCommand {
    pub reference: Vec<u8>,
    pub patterns: Vec<ListPattern>,
    /// As sent; empty for plain LIST.
    pub select: Vec<ListSelect>,
    pub returns: Vec<ListReturn>,
    /// Whether it has options or patterns in parentheses (RFC 5258 §3): then `""` is a pattern as any other.
    pub extended: bool,
}

/// What a name has to be to be listed (RFC 5258 §3.1, RFC 6154 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListSelect {
    Subscribed,
    /// Mailboxes elsewhere as well: there are none.
    Remote,
    /// Names above one that is selected as well.
    RecursiveMatch,
    SpecialUse,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListReturn {
    Subscribed,
    Children,
    SpecialUse,
    Status(Vec<StatusItem>),
    /// RFC 9590.
    Metadata(Vec<EntryName>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct SearchCommand {
    pub by: By,
    /// `RETURN (...)`: what is wanted of the result, in an ESEARCH response. `None`: a SEARCH response.
    pub returns: Option<SearchReturns>,
    /// As named, in capitals; the decoder does not judge it.
    pub charset: Option<String>,
    /// The keys, all of which must match.
    pub key: SearchKey,
    /// RFC 5465 §7: what UPDATE tells of messages that come.
    pub update_items: Vec<FetchItem>,
}

/// ESEARCH (RFC 7377 §2).
#[derive(Debug, Clone, PartialEq)]
pub struct MultiSearchCommand {
    /// Which mailboxes; without IN it is the selected one.
    pub sources: Vec<Source>,
    pub returns: Option<SearchReturns>,
    pub charset: Option<String>,
    pub key: SearchKey,
    /// RFC 5465 §7: what UPDATE tells of messages that come.
    pub update_items: Vec<FetchItem>,
}

/// Some mailboxes (RFC 5465 §6, RFC 7377 §2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Selected,
    /// Where mail is delivered.
    Inboxes,
    /// All of the account.
    Personal,
    Subscribed,
    /// These and all below them.
    Subtree(Vec<MailboxArg>),
    /// These and those one level below.
    SubtreeOne(Vec<MailboxArg>),
    Mailboxes(Vec<MailboxArg>),
}

/// RFC 4731 §3.1. `RETURN ()` is `RETURN (ALL)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchReturns {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    /// RFC 5182: what is found is what `$` stands for from then on.
    pub save: bool,
    /// RFC 9394 §3.1; never with `all`.
    pub partial: Option<PartialRange>,
    /// RFC 5267 §4.3: what becomes of the result is told.
    pub update: bool,
    /// RFC 6203 §4: how close each message that is told of comes.
    pub relevancy: bool,
}

/// Some of a result, counted from 1: from its beginning, or from its end (RFC 9394 §4). As it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialRange {
    pub first: NonZeroU32,
    pub last: NonZeroU32,
    pub from_end: bool,
}

impl PartialRange {
    /// Where in a result of `len` it lies; empty where there is nothing of it.
    pub fn of(self, len: usize) -> Range<usize> {
        let (low, high) =
            (self.first.min(self.last).get() as usize, self.first.max(self.last).get() as usize);
        let range = match self.from_end {
            false => low - 1..high.min(len),
            true => len.saturating_sub(high)..(len + 1).saturating_sub(low),
        };
        range.start.min(range.end)..range.end
    }
}

impl SearchReturns {
    /// What a SEARCH without RETURN wants in IMAP4rev2 (RFC 9051 §6.4.4).
    pub const ALL: Self = Self {
        min: false,
        max: false,
        all: true,
        count: false,
        save: false,
        partial: None,
        relevancy: false,
        update: false,
    };

    /// Whether the result as a whole is wanted, and not only its first, its last or some of it.
    pub fn is_whole(self) -> bool {
        self.all || self.count || self.relevancy || !(self.min || self.max || self.partial.is_some())
    }

    /// Whether no more than the first one is wanted.
    pub fn is_first(self) -> bool {
        !self.is_whole() && !self.max && self.partial.is_none() && !self.update
    }

    /// Whether nothing is to be told (RFC 5182 §2.4).
    pub fn tells_nothing(self) -> bool {
        !(self.min || self.max || self.all || self.count || self.partial.is_some() || self.relevancy)
    }
}

/// RFC 4466 §2.4, RFC 7162 §3.1.4.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchModifiers {
    pub changed_since: Option<u64>,
    /// RFC 7162 §3.2.6: only of UID FETCH, and with CHANGEDSINCE.
    pub vanished: bool,
    /// RFC 9394 §3.3: only of UID FETCH.
    pub partial: Option<PartialRange>,
}

/// RFC 3501 §6.4.6.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreChange {
    pub flags: FlagChange,
    /// `.SILENT`
    pub silent: bool,
}
