//! What one account may hold and how long records are kept.

use crate::Uid;
use std::time::Duration;

/// Limits of a [`MemoryStore`](super::MemoryStore).
#[derive(Debug, Clone)]
pub struct Limits {
    pub mailboxes_per_account: usize,
    pub keywords_per_mailbox: usize,
    /// The primary one included.
    pub addresses_per_account: usize,
    pub subscriptions_per_account: usize,
    /// Messages and accounts one sweep expires, each.
    pub sweep_batch: usize,
    /// How far `changes_since` reaches back.
    pub journal_retention: Duration,
    /// How long an operation id is known.
    pub operation_retention: Duration,
    /// The first UID of a new mailbox. Anything but 1 is for tests of what happens at the end of the UIDs.
    pub first_uid: Uid,
}

impl Default for Limits {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            mailboxes_per_account: 10_000,
            keywords_per_mailbox: 1_000,
            addresses_per_account: 1_000,
            subscriptions_per_account: 20_000,
            sweep_batch: 1_000,
            journal_retention: 7 * DAY,
            operation_retention: DAY,
            first_uid: Uid::MIN,
        }
    }
}
