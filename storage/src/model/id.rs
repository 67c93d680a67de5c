//! Identifiers. All are made from handed-in time and randomness.

use crate::{Clock, Entropy};
use serde::{Deserialize, Serialize};
use std::num::{NonZeroU32, NonZeroU64};

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Twelve bytes, shown as 24 hexadecimal digits: seconds since the epoch, then random.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 12]);

        impl $name {
            /// A fresh id.
            pub fn mint(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
                let mut id = [0; 12];
                let secs = clock.now().secs().clamp(0, i64::from(u32::MAX)) as u32;
                id[..4].copy_from_slice(&secs.to_be_bytes());
                entropy.fill(&mut id[4..]);
                Self(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self}")
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;
            fn from_str(s: &str) -> Result<Self, BadId> {
                let s = s.as_bytes();
                if s.len() != 24 {
                    return Err(BadId);
                }
                let mut id = [0; 12];
                for (byte, pair) in id.iter_mut().zip(s.chunks_exact(2)) {
                    *byte = (hex(pair[0])? << 4) | hex(pair[1])?;
                }
                Ok(Self(id))
            }
        }
    };
}

/// A text that is not 24 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of 24 hexadecimal digits")]
pub struct BadId;

fn hex(c: u8) -> Result<u8, BadId> {
    (c as char).to_digit(16).map(|d| d as u8).ok_or(BadId)
}

object_id!(
    /// An account.
    AccountId
);
object_id!(
    /// A mailbox; survives RENAME (RFC 8474's MAILBOXID).
    MailboxId
);
object_id!(
    /// A message's content; shared by its copies (RFC 8474's EMAILID).
    EmailId
);

/// Names one mutation. Minted once per received command, before the first write, and reused by every
/// retry of it; the store records the outcome under it and answers a repetition from the record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId(pub [u8; 16]);

impl OpId {
    pub fn mint(entropy: &dyn Entropy) -> Self {
        Self(entropy.bytes())
    }
}

impl std::fmt::Debug for OpId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "op-{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The address of a mailbox: which one, and whose. A store answers `NotFound` when they do not match,
/// so a wrong id can never open another user's mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MailboxRef {
    pub account: AccountId,
    pub mailbox: MailboxId,
}

/// A message's number in a mailbox (RFC 3501 §2.3.1.1): ascending, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(NonZeroU32);

impl Uid {
    pub const MIN: Uid = Uid(NonZeroU32::MIN);
    pub const MAX: Uid = Uid(NonZeroU32::MAX);

    pub fn new(n: u32) -> Option<Self> {
        NonZeroU32::new(n).map(Uid)
    }

    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The next UID, or `None` after the largest.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Uid)
    }
}

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Debug for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// RFC 3501 §2.3.1.1: never repeats for a name within an account, whatever is deleted and recreated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UidValidity(pub NonZeroU32);

impl std::fmt::Display for UidValidity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A mod-sequence (RFC 7162): each mutation of a mailbox takes the next one. Starts at 1, 63 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModSeq(NonZeroU64);

impl ModSeq {
    /// What a fresh mailbox has: HIGHESTMODSEQ is never 0 (RFC 7162 §3.1.2.1).
    pub const MIN: ModSeq = ModSeq(NonZeroU64::MIN);

    pub fn new(n: u64) -> Option<Self> {
        NonZeroU64::new(n).map(ModSeq)
    }

    pub fn get(self) -> u64 {
        self.0.get()
    }

    pub fn next(self) -> Self {
        ModSeq(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for ModSeq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A BLAKE3 digest: names stored content, so that equal content is stored once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobId(pub [u8; 32]);

impl std::fmt::Debug for BlobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..6].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
