//! What a member is told about its set and its pace.

use std::time::Duration;

/// A member, by its place among [`Settings::hosts`].
pub type Id = usize;

/// The same on every member. Times are MongoDB's `settings` of the replica set configuration, shorter by default.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of the set.
    pub set: String,
    /// All members as `host:port`. Every one bears data and votes.
    pub hosts: Vec<String>,
    /// Between two heartbeats to the same member.
    pub heartbeat: Duration,
    /// Without word from a primary for so long, a member runs for election; a primary without answers from a majority
    /// for so long steps down.
    pub election_timeout: Duration,
    /// Up to so many hundredths of the election time-out are added at random, lest members run at the same time.
    pub jitter_percent: u32,
    /// How long a new primary looks for newer entries before it accepts writes.
    pub catch_up: Duration,
    /// How long the source of a fetch waits for news.
    pub long_poll: Duration,
    /// A call without an answer has failed after this; a fetch, so long after its wait.
    pub call_timeout: Duration,
    /// An answered fetch has at least one entry, and after that no more bytes than this.
    pub batch_bytes: usize,
    /// In so many of a hundred cases a member picks its source at random, even when the primary is in reach.
    pub chaining_percent: u32,
    pub faulty: Faulty,
}

impl Settings {
    pub fn new(set: &str, hosts: Vec<String>) -> Self {
        Settings {
            set: set.to_owned(),
            hosts,
            heartbeat: Duration::from_millis(500),
            election_timeout: Duration::from_secs(2),
            jitter_percent: 30,
            catch_up: Duration::from_secs(2),
            long_poll: Duration::from_millis(500),
            call_timeout: Duration::from_secs(1),
            batch_bytes: 4 << 20,
            chaining_percent: 20,
            faulty: Faulty::default(),
        }
    }

    pub fn majority(&self) -> usize {
        self.hosts.len() / 2 + 1
    }
}

/// Deliberate mistakes, all off: negative controls of whatever checks a replica set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faulty {
    /// A secondary reports entries that a power cut can still take.
    pub secondaries_acknowledge_before_sync: bool,
    /// A vote is answered before it is durable: after a power cut it can be given again.
    pub vote_not_synced: bool,
    /// The commit point counts entries of older terms, against Raft §5.4.2.
    pub commit_without_term_rule: bool,
    /// A write that waits for a majority is settled at once.
    pub acknowledge_w1: bool,
    /// A primary ignores higher terms and the loss of its majority.
    pub never_steps_down: bool,
}
