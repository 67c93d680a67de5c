//! Which faults a run has, and how often: drawn from its seed. Each run has some of them only, at rates of its own, so
//! that one that hides another does so in some runs only (Groce et al., "Swarm Testing", ISSTA 2012).

use crate::node::Upkeep;
use crate::seed::stream;
use crate::workload;
use gadwall_sim_mongod::disk::DiskFaults;
use gadwall_sim_redis::PerMille;
use rand::RngExt;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What can happen to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A node's process is killed.
    NodeCrash,
    /// All nodes are killed, one after the other.
    RollingRestart,
    /// The balancer's process is killed: every client reconnects at once.
    BalancerCrash,
    /// A member's process is killed; what it has written stays with its kernel.
    MemberCrash,
    /// A member loses power: what was not synced is gone, or torn.
    PowerLoss,
    /// All members lose power at once.
    Blackout,
    /// The primary is told to step down.
    StepDown,
    /// The primary steps down while two others don't hear of each other, and loses power once it has voted.
    Contest,
    /// Two hosts don't reach each other.
    Partition,
    /// One host doesn't reach another, which does reach it.
    OneWay,
    /// The primary is cut off from the other members; nodes may still reach it.
    PrimaryAlone,
    /// The primary is cut off from everybody.
    PrimaryGone,
    /// Messages between two hosts wait, and then all come.
    Hold,
    /// Messages between two hosts take long.
    Latency,
    /// A member's disk takes long.
    SlowDisk,
    /// A member's disk answers `EIO` now and then.
    SickDisk,
    /// A member's disk is full.
    FullDisk,
    /// A host's clock jumps.
    ClockJump,
    /// Hints get lost, double, late.
    LossyHints,
    /// A Redis server is killed; Sentinels elect.
    RedisCrash,
    /// A Redis server is stopped, as by SIGSTOP: its connections stay open, and it says nothing.
    RedisStop,
    /// What Redis is told comes late to its replica.
    RedisLag,
    /// Redis closes the connections of all subscribers.
    SubscribersDropped,
    SentinelCrash,
    /// Reads and writes move few bytes.
    ShortIo,
}

impl Kind {
    pub const ALL: [Kind; 25] = [
        Kind::NodeCrash,
        Kind::RollingRestart,
        Kind::BalancerCrash,
        Kind::MemberCrash,
        Kind::PowerLoss,
        Kind::Blackout,
        Kind::StepDown,
        Kind::Contest,
        Kind::Partition,
        Kind::OneWay,
        Kind::PrimaryAlone,
        Kind::PrimaryGone,
        Kind::Hold,
        Kind::Latency,
        Kind::SlowDisk,
        Kind::SickDisk,
        Kind::FullDisk,
        Kind::ClockJump,
        Kind::LossyHints,
        Kind::RedisCrash,
        Kind::RedisStop,
        Kind::RedisLag,
        Kind::SubscribersDropped,
        Kind::SentinelCrash,
        Kind::ShortIo,
    ];

    /// The mean time between two of its kind when it is at its most frequent.
    fn fastest(self) -> Duration {
        Duration::from_secs(match self {
            Kind::Blackout | Kind::RollingRestart | Kind::FullDisk => 12,
            Kind::SickDisk | Kind::BalancerCrash | Kind::PrimaryGone | Kind::PowerLoss => 8,
            _ => 5,
        })
    }
}

/// What ends by itself within a run, and how often nodes look for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    pub what: workload::Expiry,
    pub upkeep: Upkeep,
}

/// How long a store goes on with one call before it gives up, and the node tries again.
const PATIENCE: Duration = Duration::from_secs(20);

impl Expiry {
    /// How long after its time something may still be there while nothing is wrong: a node that has died has had the
    /// lease, and the sweep after that has taken a while.
    pub fn slack(&self) -> Duration {
        self.upkeep.lease + self.upkeep.every * 2 + PATIENCE
    }

    fn draw(seed: u64) -> Option<Self> {
        let mut rng = stream(seed, "expiry");
        let mut secs = |range| Duration::from_secs(rng.random_range(range));
        let (retention, lifetime) = (secs(15..40), secs(20..45));
        let (garbage_age, lease) = (secs(3..20), secs(2..10));
        let upkeep = Upkeep { every: secs(1..4), garbage_age, lease };
        let lifetime = rng.random_bool(0.6).then_some(lifetime);
        let accounts = rng.random_range(1..3);
        rng.random_bool(0.6)
            .then_some(Expiry { what: workload::Expiry { retention, accounts, lifetime }, upkeep })
    }
}

/// The faults of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Members of the replica set.
    pub members: usize,
    /// The longest that a message takes while nothing is wrong.
    pub latency: Duration,
    /// The longest that a disk takes for a write or a sync while nothing is wrong.
    pub disk: Duration,
    /// Mean time between two faults of a kind.
    pub kinds: BTreeMap<Kind, Duration>,
    /// Whether a minority of the members stays away while everything else has to come right.
    pub leaves_minority: bool,
    /// How many of a thousand hints get lost even when everything else has healed.
    pub lost_hints: Option<PerMille>,
    pub expiry: Option<Expiry>,
}

impl Swarm {
    pub fn draw(seed: u64) -> Self {
        let mut rng = stream(seed, "swarm");
        let share = rng.random_range(15..70);
        let chosen = Kind::ALL.into_iter().filter(|_| rng.random_range(0..100) < share).collect::<Vec<_>>();
        let kinds = chosen.into_iter().map(|kind| (kind, kind.fastest().mul_f64(rng.random_range(1.0..4.0))));
        Swarm {
            kinds: kinds.collect(),
            members: if rng.random_range(0..4) == 0 { 5 } else { 3 },
            latency: Duration::from_millis(rng.random_range(2..20)),
            disk: Duration::from_millis(rng.random_range(0..30)),
            leaves_minority: rng.random_range(0..2) == 0,
            lost_hints: [None, None, Some(700), Some(1000)][rng.random_range(0..4)],
            expiry: Expiry::draw(seed),
        }
    }

    /// A disk of which nothing is wrong.
    pub fn sound_disk(&self) -> DiskFaults {
        DiskFaults { latency: self.disk, ..DiskFaults::default() }
    }

    /// A run in which nothing goes wrong.
    pub fn calm() -> Self {
        Swarm {
            members: 3,
            latency: Duration::from_millis(5),
            disk: Duration::from_millis(5),
            kinds: BTreeMap::new(),
            leaves_minority: false,
            lost_hints: None,
            expiry: None,
        }
    }
}

impl fmt::Display for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (latency, disk) = (self.latency.as_millis(), self.disk.as_millis());
        write!(f, "{} members, latency up to {latency} ms, disks up to {disk} ms", self.members)?;
        if self.leaves_minority {
            f.write_str(", a minority stays away")?;
        }
        if let Some(lost) = self.lost_hints {
            write!(f, ", {lost} of 1000 hints get lost to the end")?;
        }
        if let Some(expiry) = &self.expiry {
            let secs = |time: Duration| time.as_secs();
            let workload::Expiry { retention, accounts, lifetime } = expiry.what;
            write!(f, ", messages of {accounts} accounts expire after {} s", secs(retention))?;
            if let Some(lifetime) = lifetime {
                write!(f, ", another account after {} s", secs(lifetime))?;
            }
            let Upkeep { every, garbage_age, lease } = expiry.upkeep;
            write!(
                f,
                ", sweeps every {} s, garbage of {} s, leases of {} s",
                secs(every),
                secs(garbage_age),
                secs(lease)
            )?;
        }
        for (kind, every) in &self.kinds {
            write!(f, ", {kind:?} every {:.0} s", every.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_comes_up_and_no_run_is_the_next() {
        let swarms: Vec<Swarm> = (0..200).map(Swarm::draw).collect();
        for kind in Kind::ALL {
            let runs = swarms.iter().filter(|swarm| swarm.kinds.contains_key(&kind)).count();
            assert!((20..180).contains(&runs), "{kind:?} is in {runs} of 200 runs");
        }
        assert!(swarms.windows(2).all(|two| two[0] != two[1]));
        assert_eq!(Swarm::draw(7), Swarm::draw(7));
    }
}
