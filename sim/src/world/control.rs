//! Deliberate mistakes: a simulation that misses one of them is not to be believed when it finds nothing.

use super::run::Plan;
use super::swarm::Kind;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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
    /// Those that have to be caught. A vote that is not durable is caught where replication is tested by itself, and
    /// has not been in the whole world yet.
    pub const ALL: [Control; 4] = [
        Control::AcknowledgeW1,
        Control::AcknowledgeBeforeSync,
        Control::NeverStepsDown,
        Control::EarlyCommit,
    ];
    const KNOWN: [Control; 5] =
        [Self::ALL[0], Self::ALL[1], Self::ALL[2], Self::ALL[3], Control::VoteNotSynced];

    fn name(self) -> &'static str {
        match self {
            Control::AcknowledgeW1 => "acknowledge-w1",
            Control::AcknowledgeBeforeSync => "acknowledge-before-sync",
            Control::VoteNotSynced => "vote-not-synced",
            Control::NeverStepsDown => "never-steps-down",
            Control::EarlyCommit => "early-commit",
        }
    }

    /// How many seeds it has at most: about five times what it was first measured to need.
    pub fn limit(self) -> u64 {
        match self {
            Control::AcknowledgeW1 | Control::NeverStepsDown => 30,
            Control::AcknowledgeBeforeSync => 5,
            Control::VoteNotSynced => 100,
            Control::EarlyCommit => 5,
        }
    }

    /// Faults that are chosen for it, where those that seeds draw rarely come at the right moment.
    fn faults(self) -> &'static [(Kind, u64)] {
        match self {
            Control::AcknowledgeBeforeSync => &[(Kind::Blackout, 2), (Kind::SlowDisk, 2)],
            Control::VoteNotSynced => {
                &[(Kind::PowerLoss, 2), (Kind::StepDown, 4), (Kind::PrimaryAlone, 4), (Kind::SlowDisk, 1)]
            }
            _ => &[],
        }
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
        let known = Control::KNOWN.into_iter().find(|control| control.name() == text);
        known.ok_or_else(|| format!("there are: {}", Control::KNOWN.map(Control::name).join(", ")))
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
        let faults = control.faults();
        if !faults.is_empty() {
            self.swarm.kinds =
                faults.iter().map(|(kind, secs)| (*kind, Duration::from_secs(*secs))).collect();
            self.swarm.disk = Duration::from_millis(30);
        }
    }
}
