//! Flags and keywords.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A system flag (RFC 3501 §2.3.2). `\Recent` is none of them: it belongs to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum SystemFlag {
    Seen = 1,
    Answered = 2,
    Flagged = 4,
    Deleted = 8,
    Draft = 16,
}

impl SystemFlag {
    pub const ALL: [SystemFlag; 5] =
        [SystemFlag::Answered, SystemFlag::Flagged, SystemFlag::Deleted, SystemFlag::Seen, SystemFlag::Draft];
}

/// A keyword: an atom, compared without case (RFC 3501 §2.3.2), kept as it was first written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keyword(String);

impl Keyword {
    /// Longest keyword, in bytes.
    pub const MAX_LEN: usize = 128;

    /// `None` if `text` is not an RFC 3501 atom of at most [`Self::MAX_LEN`] bytes.
    pub fn new(text: &str) -> Option<Self> {
        let ok = !text.is_empty()
            && text.len() <= Self::MAX_LEN
            && text.bytes().all(|b| b.is_ascii_graphic() && !br#"(){%*"\]"#.contains(&b));
        ok.then(|| Keyword(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for Keyword {}
impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}
impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded().for_each(|b| state.write_u8(b));
    }
}

/// A message's flags.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flags {
    system: u8,
    keywords: BTreeSet<Keyword>,
}

impl Flags {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(mut self, flag: SystemFlag) -> Self {
        self.insert(flag);
        self
    }

    pub fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    pub fn insert(&mut self, flag: SystemFlag) {
        self.system |= flag as u8;
    }

    pub fn insert_keyword(&mut self, keyword: Keyword) {
        self.keywords.insert(keyword);
    }

    pub fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords.contains(keyword)
    }

    pub fn system(&self) -> impl Iterator<Item = SystemFlag> + '_ {
        SystemFlag::ALL.into_iter().filter(|f| self.has(*f))
    }

    pub fn keywords(&self) -> &BTreeSet<Keyword> {
        &self.keywords
    }

    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    /// These flags after `change`.
    pub fn changed(&self, change: &FlagChange) -> Flags {
        match change {
            FlagChange::Replace(new) => new.clone(),
            FlagChange::Add(add) => Flags {
                system: self.system | add.system,
                keywords: self.keywords.union(&add.keywords).cloned().collect(),
            },
            FlagChange::Remove(sub) => Flags {
                system: self.system & !sub.system,
                keywords: self.keywords.difference(&sub.keywords).cloned().collect(),
            },
        }
    }
}

/// What a STORE does to flags (RFC 3501 §6.4.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlagChange {
    Replace(Flags),
    Add(Flags),
    Remove(Flags),
}
