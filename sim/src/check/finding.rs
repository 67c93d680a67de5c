//! What a checker says, and what it has to be told that no client can see.

use crate::history::{Login, Terms};
use std::collections::BTreeMap;
use std::time::Duration;

/// A broken promise.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Short name of the promise: `lost`, `doubled`, ...
    pub promise: &'static str,
    /// A sentence for a human, with the operations, times and UIDs.
    pub text: String,
    /// Indexes of the events that prove it, ascending.
    pub events: Vec<usize>,
}

impl Finding {
    pub(super) fn new(promise: &'static str, text: String, events: impl IntoIterator<Item = usize>) -> Self {
        let mut events: Vec<usize> = events.into_iter().collect();
        events.sort_unstable();
        events.dedup();
        Self { promise, text, events }
    }
}

/// What is known of a run beside its history.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Since when everything is healed and nothing is in flight on any server, so that listings from then on are
    /// final. Without it, whatever was asked for after the last operation is final: that is
    /// right only where no operation of unknown outcome can still take effect.
    pub quiet_from: Option<Duration>,
    /// How long after the last change a session that listens may go without having heard of it.
    pub healing: Duration,
    /// What ends by itself, by account. Nothing does in an account that is not here.
    pub terms: BTreeMap<Login, Terms>,
    /// How far apart the clocks of two nodes were at most.
    pub skew: Duration,
    /// When the last fault was over.
    pub healed: Duration,
    /// How long after that, or after a message's time has come, the message may still be shown, if clocks agree.
    pub sweeping: Duration,
    /// What the store's recount (`MailStore::audit`) complains of.
    pub audit: Vec<String>,
    /// What a look inside the machines has shown: two primaries of one term, committed prefixes that differ, a question
    /// that is not simulated.
    pub inside: Vec<String>,
    /// What did not end in time.
    pub liveness: Vec<String>,
}
