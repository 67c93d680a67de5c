//! NOTIFY (RFC 5465).

use super::{FetchItem, Source};

/// §3.1.
#[derive(Debug, Clone, PartialEq)]
pub enum NotifyCommand {
    /// NONE: of nothing.
    Nothing,
    Set(Watched),
}

/// What a client wants to be told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Whether it wants to know how the mailboxes stand now.
    pub status: bool,
    /// Of the selected mailbox; `None` if it is not mentioned, which is as if nothing were wanted of it.
    pub selected: Option<SelectedEvents>,
    /// Of the others.
    pub groups: Vec<EventGroup>,
}

/// §6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedEvents {
    /// Expunges wait for a command during which they can be told (§6.1.2).
    pub delayed: bool,
    pub events: Events,
    /// What is told of each new message (§5.2).
    pub new: Vec<FetchItem>,
}

/// Some mailboxes and what is wanted of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGroup {
    /// Never [`Source::Selected`] nor [`Source::SubtreeOne`].
    pub source: Source,
    pub events: Events,
}

/// §5. NONE is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// MessageNew and MessageExpunge, which never come alone.
    pub messages: bool,
    /// FlagChange; only with `messages`.
    pub flags: bool,
    /// MailboxName.
    pub names: bool,
    /// SubscriptionChange.
    pub subscriptions: bool,
    /// MailboxMetadataChange.
    pub metadata: bool,
    /// ServerMetadataChange.
    pub server_metadata: bool,
    /// One that this server knows nothing of, AnnotationChange among them.
    pub unknown: bool,
}

impl Events {
    /// Of both.
    pub fn union(self, other: Self) -> Self {
        Self {
            messages: self.messages || other.messages,
            flags: self.flags || other.flags,
            names: self.names || other.names,
            subscriptions: self.subscriptions || other.subscriptions,
            metadata: self.metadata || other.metadata,
            server_metadata: self.server_metadata || other.server_metadata,
            unknown: self.unknown || other.unknown,
        }
    }

    /// Whether they are only of messages.
    pub fn are_of_messages(self) -> bool {
        !(self.names || self.subscriptions || self.metadata || self.server_metadata)
    }
}
