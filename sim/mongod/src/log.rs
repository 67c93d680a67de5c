//! Where the engine and replication meet.

use crate::oplog::{Body, Entry, OpTime};
use bson::Document;
use std::time::Duration;

/// The log as the engine sees it. Called with the member locked, so nothing here waits.
pub trait Log: Send {
    /// Whether this member may write, for all it knows; and then its term.
    fn primary(&self) -> Option<u64>;

    /// Adds an entry of this primary's term. The engine applies it at once; it is durable later, here and elsewhere.
    fn append(&mut self, body: Body, wall_ms: i64) -> Result<Entry, Refusal>;

    fn last(&self) -> OpTime;

    /// The last entry of which this member knows that a majority has it durably.
    fn committed(&self) -> OpTime;

    /// The last entry that this member has synced.
    fn durable(&self) -> OpTime;

    /// What became of a write that waits. `None`: not yet.
    fn settled(&self, wait: &Wait) -> Option<Result<(), Refusal>>;

    /// Fields of `hello`: `isWritablePrimary`, `secondary`, `setName`, `setVersion`, `hosts`, `me`, `primary`,
    /// `electionId`, `lastWrite`.
    fn hello(&self) -> Document;

    /// The answer to `replSetGetStatus`.
    fn status(&self) -> Document;

    /// Tries to step down. `None`: others have to catch up first, and nothing is written meanwhile; it is to be asked
    /// again until it gives an answer, or given up with [`Log::give_up_step_down`].
    fn step_down(&mut self, how: StepDown) -> Option<Result<(), Refusal>>;

    /// Stands for election at once, where there are others that vote: what an operator asks for with `replSetStepUp`.
    fn step_up(&mut self) {}

    /// Ends an attempt to step down that has no answer yet.
    fn give_up_step_down(&mut self);
}

/// `replSetStepDown`: <https://www.mongodb.com/docs/manual/reference/command/replSetStepDown/>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepDown {
    /// How long, since it was told, this member doesn't stand for election.
    pub freeze: Duration,
    /// How long it waits for others to have all that it has.
    pub patience: Duration,
    /// Steps down even if they haven't by then.
    pub force: bool,
}

/// A write concern that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    pub at: OpTime,
    pub majority: bool,
    /// Synced here, for `w: 1`; a majority is always synced.
    pub journal: bool,
}

/// Why this member can't do it: MongoDB's code, its name, and whether the reply bears labels for a retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} ({name}, {code})")]
pub struct Refusal {
    pub code: i32,
    pub name: &'static str,
    pub text: String,
}

impl Refusal {
    pub fn new(code: i32, name: &'static str, text: impl Into<String>) -> Self {
        Refusal { code, name, text: text.into() }
    }
    pub fn not_primary() -> Self {
        Refusal::new(10107, "NotWritablePrimary", "not primary")
    }
    pub fn stepped_down() -> Self {
        Refusal::new(189, "PrimarySteppedDown", "the primary stepped down while it waited")
    }
}
