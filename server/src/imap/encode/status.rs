//! OK, NO, BAD, BYE and their codes (RFC 3501 §7.1, RFC 5530).

use crate::imap::types::Tag;
use gadwall_storage::{Keyword, MailboxId, ModSeq, SystemFlag, Uid, UidSet, UidValidity};

/// A status response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub kind: Kind,
    pub code: Option<Code>,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ok,
    No,
    Bad,
    Bye,
}

/// A response code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    AlreadyExists,
    /// RFC 4315 §3.
    AppendUid(UidValidity, UidSet),
    AuthenticationFailed,
    BadCharset,
    /// RFC 5465 §3.1: the events that there are.
    BadEvent,
    /// RFC 4469 §4.1: as sent.
    BadUrl(Vec<u8>),
    /// RFC 5255 §4.9.
    BadComparator,
    Cannot,
    Capability(String),
    /// RFC 7162 §3.2.11.
    Closed,
    /// RFC 4978 §3.
    CompressionActive,
    CopyUid(UidValidity, UidSet, UidSet),
    Expired,
    ExpungeIssued,
    HasChildren,
    HighestModSeq(ModSeq),
    /// RFC 9585 §4: messages looked at, and how many there are, if that is known.
    InProgress {
        tag: Tag,
        state: Option<(u32, u32)>,
    },
    Limit,
    /// RFC 8474 §4.
    MailboxId(MailboxId),
    /// RFC 5464 §4.2.1: the size of the largest value that was not told.
    MetadataLongEntries(u64),
    /// RFC 5464 §4.3: the size of the largest value there may be.
    MetadataMaxSize(u64),
    MetadataTooMany,
    /// RFC 7162 §3.1.3: numbers or UIDs, as the command had them.
    Modified(UidSet),
    NonExistent,
    /// RFC 5465 §5.8.
    NotificationOverflow,
    /// RFC 5267 §4.3.1.
    NoUpdate(Tag),
    OverQuota,
    /// Flags of the mailbox that can be kept, and whether new keywords can be made.
    PermanentFlags(Vec<Keyword>, Keep),
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    /// RFC 10022.
    TooFew,
    TryCreate,
    UidNext(Uid),
    /// RFC 5466 §3.1: its name, an atom.
    UndefinedFilter(String),
    /// RFC 9586 §3.
    UidRequired,
    /// RFC 3516 §4.3.
    UnknownCte,
    UidValidity(UidValidity),
    Unavailable,
    Unseen(u32),
    UseAttr,
}

/// Whether flags changed in this session are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Yes,
    /// The mailbox was opened read-only.
    No,
}

impl Status {
    pub fn ok(text: impl Into<String>) -> Self {
        Self { kind: Kind::Ok, code: None, text: text.into() }
    }

    pub fn no(text: impl Into<String>) -> Self {
        Self { kind: Kind::No, code: None, text: text.into() }
    }

    pub fn bad(text: impl Into<String>) -> Self {
        Self { kind: Kind::Bad, code: None, text: text.into() }
    }

    pub fn bye(text: impl Into<String>) -> Self {
        Self { kind: Kind::Bye, code: None, text: text.into() }
    }

    pub fn code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// `tag OK [CODE] text`; without a tag it is untagged.
    pub fn write(&self, tag: Option<&Tag>, out: &mut Vec<u8>) {
        out.extend_from_slice(tag.map_or("*", Tag::as_str).as_bytes());
        out.extend_from_slice(match self.kind {
            Kind::Ok => b" OK ",
            Kind::No => b" NO ",
            Kind::Bad => b" BAD ",
            Kind::Bye => b" BYE ",
        });
        if let Some(code) = &self.code {
            out.extend_from_slice(format!("[{code}] ").as_bytes());
        }
        // Texts may quote a client: one line of printable ASCII it stays.
        out.extend(self.text.chars().map(|c| if (' '..='~').contains(&c) { c as u8 } else { b'?' }));
        out.extend_from_slice(b"\r\n");
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Code::AlreadyExists => f.write_str("ALREADYEXISTS"),
            Code::AppendUid(validity, uids) => write!(f, "APPENDUID {validity} {uids}"),
            Code::AuthenticationFailed => f.write_str("AUTHENTICATIONFAILED"),
            // RFC 3501 §7.1: the charsets that are known.
            Code::BadCharset => f.write_str("BADCHARSET (US-ASCII UTF-8 ISO-8859-1 WINDOWS-1252 UTF-7)"),
            Code::BadEvent => f.write_str(concat!(
                "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange ",
                "MailboxMetadataChange ServerMetadataChange)"
            )),
            Code::BadUrl(url) => bad_url(url, f),
            Code::BadComparator => f.write_str("BADCOMPARATOR"),
            Code::Cannot => f.write_str("CANNOT"),
            Code::Capability(list) => write!(f, "CAPABILITY {list}"),
            Code::Closed => f.write_str("CLOSED"),
            Code::CompressionActive => f.write_str("COMPRESSIONACTIVE"),
            Code::CopyUid(validity, from, to) => write!(f, "COPYUID {validity} {from} {to}"),
            Code::Expired => f.write_str("EXPIRED"),
            Code::ExpungeIssued => f.write_str("EXPUNGEISSUED"),
            Code::HasChildren => f.write_str("HASCHILDREN"),
            Code::HighestModSeq(modseq) => write!(f, "HIGHESTMODSEQ {modseq}"),
            Code::InProgress { tag, state } => in_progress(tag, *state, f),
            Code::Limit => f.write_str("LIMIT"),
            Code::MailboxId(id) => write!(f, "MAILBOXID ({})", super::mailbox_id(*id)),
            Code::MetadataLongEntries(size) => write!(f, "METADATA LONGENTRIES {size}"),
            Code::MetadataMaxSize(size) => write!(f, "METADATA MAXSIZE {size}"),
            Code::MetadataTooMany => f.write_str("METADATA TOOMANY"),
            Code::Modified(numbers) => write!(f, "MODIFIED {numbers}"),
            Code::NonExistent => f.write_str("NONEXISTENT"),
            Code::NotificationOverflow => f.write_str("NOTIFICATIONOVERFLOW"),
            Code::NoUpdate(tag) => write!(f, "NOUPDATE \"{}\"", tag.as_str()),
            Code::OverQuota => f.write_str("OVERQUOTA"),
            Code::PermanentFlags(_, Keep::No) => f.write_str("PERMANENTFLAGS ()"),
            Code::PermanentFlags(keywords, Keep::Yes) => {
                f.write_str("PERMANENTFLAGS (")?;
                for flag in SystemFlag::ALL {
                    write!(f, "{} ", super::system_flag(flag))?;
                }
                keywords.iter().try_for_each(|k| write!(f, "{} ", k.as_str()))?;
                f.write_str("\\*)")
            }
            Code::PrivacyRequired => f.write_str("PRIVACYREQUIRED"),
            Code::ReadOnly => f.write_str("READ-ONLY"),
            Code::ReadWrite => f.write_str("READ-WRITE"),
            Code::ServerBug => f.write_str("SERVERBUG"),
            Code::TooBig => f.write_str("TOOBIG"),
            Code::TooFew => f.write_str("TOOFEW"),
            Code::TryCreate => f.write_str("TRYCREATE"),
            Code::UidNext(uid) => write!(f, "UIDNEXT {uid}"),
            Code::UndefinedFilter(name) => write!(f, "UNDEFINED-FILTER {name}"),
            Code::UidRequired => f.write_str("UIDREQUIRED"),
            Code::UnknownCte => f.write_str("UNKNOWN-CTE"),
            Code::UidValidity(validity) => write!(f, "UIDVALIDITY {validity}"),
            Code::Unavailable => f.write_str("UNAVAILABLE"),
            Code::Unseen(number) => write!(f, "UNSEEN {number}"),
            Code::UseAttr => f.write_str("USEATTR"),
        }
    }
}

/// RFC 4469 §5 url-resp-text; what can't stand there is escaped.
fn bad_url(url: &[u8], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    f.write_str("BADURL ")?;
    url.iter().try_for_each(|byte| match byte {
        b'\\' | b']' => write!(f, "%{byte:02X}"),
        0x21..=0x7e => write!(f, "{}", char::from(*byte)),
        byte => write!(f, "%{byte:02X}"),
    })
}

fn in_progress(tag: &Tag, state: Option<(u32, u32)>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    // A `]` ends a response code, whatever stands around it.
    match tag.as_str() {
        tag if tag.contains(']') => f.write_str("INPROGRESS (NIL")?,
        tag => write!(f, "INPROGRESS (\"{tag}\"")?,
    }
    match state {
        Some((done, goal)) => write!(f, " {done} {goal})"),
        None => f.write_str(" NIL NIL)"),
    }
}
