//! Deliberate mistakes: a simulation that misses one of them is not to be believed when it finds nothing.

use super::run::Plan;
use super::stage::Controls;
use super::swarm::Kind;
use gadwall_storage::contract::faults::Fault;
use gadwall_storage::mongo::Mistakes;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Something that is done wrong.
#[derive(Debug, Clone, Copy)]
pub struct Control {
    pub name: &'static str,
    /// How many seeds it may need: about five times what it was first measured to need. `None`: it has not been
    /// caught yet, and doesn't have to be.
    pub limit: Option<u64>,
    mistake: Mistake,
    /// Faults that are chosen for it, with the mean time between two, in seconds, where those that seeds draw rarely
    /// come at the right moment.
    faults: &'static [(Kind, u64)],
    /// How many more that write and read over IMAP, and that use the API, than seeds draw.
    writers: usize,
    readers: usize,
    browsers: usize,
    /// Whether hints get lost to the end.
    loses_hints: bool,
    /// The beginning of a finding that counts, where others only show that the store looks different inside.
    pub by: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Mistake {
    /// Of the replica set.
    Replication(fn(&mut Controls)),
    /// Of the backend.
    Backend(fn(&mut Mistakes)),
    /// Of the store that the engines are given.
    Store(Fault),
}

const fn of(name: &'static str, limit: Option<u64>, mistake: Mistake) -> Control {
    Control {
        name,
        limit,
        mistake,
        faults: &[],
        writers: 0,
        readers: 0,
        browsers: 0,
        loses_hints: false,
        by: "",
    }
}

const fn of_set(name: &'static str, limit: u64, make: fn(&mut Controls)) -> Control {
    of(name, Some(limit), Mistake::Replication(make))
}

const fn of_backend(name: &'static str, limit: Option<u64>, make: fn(&mut Mistakes)) -> Control {
    of(name, limit, Mistake::Backend(make))
}

const fn of_store(name: &'static str, limit: Option<u64>, fault: Fault) -> Control {
    of(name, limit, Mistake::Store(fault))
}

/// All there are.
pub const CONTROLS: [Control; 18] = [
    // A write that waits for a majority is acknowledged when the primary alone has it.
    of_set("acknowledge-w1", 30, |controls| controls.replication.acknowledge_w1 = true),
    // Secondaries report entries that a power cut can still take.
    Control {
        faults: &[(Kind::Blackout, 2), (Kind::SlowDisk, 2)],
        ..of_set("acknowledge-before-sync", 5, |controls| {
            controls.replication.secondaries_acknowledge_before_sync = true;
        })
    },
    // A vote is given before it is durable.
    Control {
        faults: &[(Kind::Contest, 3)],
        ..of_set("vote-not-synced", 10, |controls| controls.replication.vote_not_synced = true)
    },
    // A primary doesn't step down.
    of_set("never-steps-down", 30, |controls| controls.replication.never_steps_down = true),
    // Nodes acknowledge transactions before they commit them.
    of_backend("early-commit", Some(5), |mistakes| mistakes.commits_early = true),
    // What is run again happens again.
    Control {
        faults: &[(Kind::PrimaryAlone, 3), (Kind::StepDown, 4), (Kind::Latency, 2)],
        browsers: 8,
        // Without their records, mutations look like the sweep's.
        by: "doubled",
        ..of_backend("no-operation-ids", Some(35), |mistakes| mistakes.forgets_operations = true)
    },
    // Readers believe whoever answers: a member that is behind, a primary that may have been deposed.
    Control {
        faults: &[(Kind::PrimaryAlone, 4)],
        writers: 2,
        readers: 4,
        ..of_backend("stale-reads", Some(20), |mistakes| mistakes.reads_stale = true)
    },
    // Nodes believe that a bus brings every hint.
    Control {
        loses_hints: true,
        ..of_backend("hints-as-truth", Some(10), |mistakes| mistakes.trusts_hints = true)
    },
    // The journal is written after the transaction.
    Control {
        faults: &[(Kind::NodeCrash, 2)],
        ..of_backend("journal-apart", Some(10), |mistakes| mistakes.journals_apart = true)
    },
    // Whoever has once had a lease goes on with the work.
    of_backend("lease-without-fence", Some(5), |mistakes| mistakes.ignores_fence = true),
    // The UID is taken before the message is inserted, and another message may be seen in between.
    of_store("uid-apart-from-insert", Some(5), Fault::InsertsApartFromUid),
    of_store("leaves-moved-behind", Some(5), Fault::LeavesMovedBehind),
    // The journal doesn't say what vanished, or the last that changed.
    of_store("journal-loses-vanished", Some(5), Fault::LosesVanished),
    of_store("journal-loses-changed", Some(5), Fault::LosesChanged),
    // Nobody hears of anything: sessions that idle find out by looking, every half minute.
    of_store("loses-notifications", Some(30), Fault::LosesHints),
    // A MOVE in halves shows for good when its node dies in between.
    Control {
        faults: &[(Kind::NodeCrash, 2)],
        writers: 8,
        ..of_store("moves-in-two-steps", Some(45), Fault::MovesInTwoSteps)
    },
    Control { writers: 4, ..of_store("condition-before-change", Some(15), Fault::DecidesConditionBefore) },
    // Clients repeat an operation under its id only over HTTP.
    Control {
        faults: &[(Kind::OneWay, 1), (Kind::NodeCrash, 4)],
        browsers: 8,
        ..of_store("forgets-operations", Some(10), Fault::ForgetsOperations)
    },
];

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Control {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = CONTROLS.into_iter().find(|control| control.name == text);
        known.ok_or_else(|| format!("there are: {}", CONTROLS.map(|control| control.name).join(", ")))
    }
}

impl Plan {
    /// Makes a mistake in this run.
    pub fn control(&mut self, control: Control) {
        match control.mistake {
            Mistake::Replication(make) => make(&mut self.controls),
            Mistake::Backend(make) => make(&mut self.controls.mistakes),
            Mistake::Store(fault) => self.controls.store = fault,
        }
        self.workload.writers = control.writers;
        self.workload.readers = control.readers;
        self.workload.browsers = control.browsers;
        if control.loses_hints {
            self.swarm.lost_hints = Some(1000);
        }
        if !control.faults.is_empty() {
            let faults = control.faults.iter();
            self.swarm.kinds = faults.map(|(kind, secs)| (*kind, Duration::from_secs(*secs))).collect();
            self.swarm.disk = Duration::from_millis(30);
        }
    }
}
