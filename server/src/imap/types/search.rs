//! Search keys (RFC 3501 §6.4.4). Derived keys (NEW, OLD, UNSEEN, ...) are expanded by the decoder.

use super::SequenceSet;
use gadwall_storage::{EmailId, Keyword, SystemFlag};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    All,
    /// All of them match.
    And(Vec<SearchKey>),
    Or(Box<SearchKey>, Box<SearchKey>),
    Not(Box<SearchKey>),
    /// Sequence numbers.
    Sequence(SequenceSet),
    Uid(SequenceSet),
    Flag(SystemFlag),
    Recent,
    Keyword(Keyword),
    Larger(u64),
    Smaller(u64),
    /// INTERNALDATE, by day, without time and zone.
    Before(Day),
    On(Day),
    Since(Day),
    /// The Date header, as above.
    SentBefore(Day),
    SentOn(Day),
    SentSince(Day),
    /// A field contains the text (in the command's charset, as sent); empty text: the field is there.
    Header {
        field: Vec<u8>,
        text: Vec<u8>,
    },
    /// BCC, CC, FROM, SUBJECT, TO are `Header` too. BODY and TEXT:
    Body(Vec<u8>),
    Text(Vec<u8>),
    /// RFC 7162 §3.1.5.
    ModSeq(u64),
    /// RFC 8474 §6.
    EmailId(EmailId),
    /// RFC 8514 §4.3, by day as INTERNALDATE.
    SavedBefore(Day),
    SavedOn(Day),
    SavedSince(Day),
    /// RFC 6203: what comes close will do.
    Fuzzy(Box<SearchKey>),
    /// RFC 5466: what is kept under that name.
    Filter(String),
    /// RFC 5032, seconds.
    Older(u32),
    Younger(u32),
}

impl SearchKey {
    /// Whether there is a FILTER in it.
    pub fn has_filters(&self) -> bool {
        match self {
            SearchKey::Filter(_) => true,
            SearchKey::Fuzzy(key) => key.has_filters(),
            SearchKey::And(keys) => keys.iter().any(Self::has_filters),
            SearchKey::Or(one, other) => one.has_filters() || other.has_filters(),
            SearchKey::Not(key) => key.has_filters(),
            _ => false,
        }
    }

    /// Whether there is a FUZZY in it.
    pub fn is_fuzzy(&self) -> bool {
        match self {
            SearchKey::Fuzzy(_) => true,
            SearchKey::And(keys) => keys.iter().any(Self::is_fuzzy),
            SearchKey::Or(one, other) => one.is_fuzzy() || other.is_fuzzy(),
            SearchKey::Not(key) => key.is_fuzzy(),
            _ => false,
        }
    }

    /// Whether messages are named by their numbers.
    pub fn has_numbers(&self) -> bool {
        match self {
            SearchKey::Sequence(set) => !set.is_saved(),
            SearchKey::And(keys) => keys.iter().any(Self::has_numbers),
            SearchKey::Or(one, other) => one.has_numbers() || other.has_numbers(),
            SearchKey::Not(key) | SearchKey::Fuzzy(key) => key.has_numbers(),
            _ => false,
        }
    }
}

/// A calendar day: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i32);
