//! Deliberate mistakes: a simulation that misses one of them is not to be believed when it finds nothing.

use super::run::Plan;
use std::fmt;
use std::str::FromStr;

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// A write that waits for a majority is acknowledged when the primary alone has it.
    AcknowledgeW1,
    /// Secondaries report entries that a power cut can still take.
    AcknowledgeBeforeSync,
    /// A vote is given before it is durable.
    VoteNotSynced,
    /// A primary doesn't step down.
    NeverStepsDown,
    /// Nodes acknowledge transactions before they are committed.
    EarlyCommit,
}

impl Control {
    pub const ALL: [Control; 5] = [
        Control::AcknowledgeW1,
        Control::AcknowledgeBeforeSync,
        Control::VoteNotSynced,
        Control::NeverStepsDown,
        Control::EarlyCommit,
    ];

    fn name(self) -> &'static str {
        match self {
            Control::AcknowledgeW1 => "acknowledge-w1",
            Control::AcknowledgeBeforeSync => "acknowledge-before-sync",
            Control::VoteNotSynced => "vote-not-synced",
            Control::NeverStepsDown => "never-steps-down",
            Control::EarlyCommit => "early-commit",
        }
    }

    /// How many seeds it has at most: five times what it was first measured to need.
    pub fn limit(self) -> u64 {
        50
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Control {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Control::ALL.into_iter().find(|control| control.name() == text);
        known.ok_or_else(|| format!("there are: {}", Control::ALL.map(Control::name).join(", ")))
    }
}

impl Plan {
    /// Makes a mistake in this run.
    pub fn control(&mut self, control: Option<Control>) {
        let Some(control) = control else { return };
        let (replication, early) = (&mut self.controls.replication, &mut self.controls.unsafe_early_commit);
        match control {
            Control::AcknowledgeW1 => replication.acknowledge_w1 = true,
            Control::AcknowledgeBeforeSync => replication.secondaries_acknowledge_before_sync = true,
            Control::VoteNotSynced => replication.vote_not_synced = true,
            Control::NeverStepsDown => replication.never_steps_down = true,
            Control::EarlyCommit => *early = true,
        }
    }
}
