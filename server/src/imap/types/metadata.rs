//! GETMETADATA and SETMETADATA (RFC 5464).

use super::MailboxArg;

/// The name of an annotation (§3.2), in lower case since names have none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryName(String);

impl EntryName {
    /// Longest name there is, in bytes.
    pub const MAX_LEN: usize = 256;

    /// `None` unless `text` names an annotation: below `/private/` or `/shared/`, without empty parts and without `*` and `%`.
    pub fn new(text: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
        let below = name.strip_prefix("/private/").or_else(|| name.strip_prefix("/shared/"))?;
        let ok = name.len() <= Self::MAX_LEN
            && name.bytes().all(|b| (b' '..=b'~').contains(&b) && !b"*%".contains(&b))
            && below.split('/').all(|part| !part.is_empty());
        ok.then_some(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the same for everybody (§3.2).
    pub fn is_shared(&self) -> bool {
        self.0.starts_with("/shared/")
    }
}

/// How far below a name its annotations are wanted (§4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    #[default]
    Zero,
    One,
    Infinity,
}

/// §4.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata {
    /// `None`: those of the server.
    pub mailbox: Option<MailboxArg>,
    /// Larger values are not told, in bytes.
    pub max_size: Option<u32>,
    pub depth: Depth,
    pub entries: Vec<EntryName>,
}

/// §4.3: `None` takes an annotation away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMetadata {
    /// `None`: those of the server.
    pub mailbox: Option<MailboxArg>,
    pub entries: Vec<(EntryName, Option<Vec<u8>>)>,
}
