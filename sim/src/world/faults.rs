//! What is done to the world, when, and for how long.

use super::stage::{BALANCER, Stage};
use super::swarm::{Kind, Swarm};
use crate::pieces::Short;
use crate::seed::stream;
use gadwall_sim_mongod::disk::{DiskFaults, PowerCut};
use gadwall_sim_redis::PubSubFaults;
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a fault ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Undo {
    Start(String),
    Repair(String, String),
    Release(String, String),
    Latency(String, String),
    Disk(usize),
    /// Not what ends a fault, but its second part.
    StepUp(usize),
    Hints(usize),
    Resume(usize),
    Lag(usize),
    ShortIo,
    /// The next of the nodes that are to be killed in turn.
    NextNode(usize),
}

/// The faults of a run, one after another and several at once.
pub struct Faults {
    rng: StdRng,
    swarm: Swarm,
    /// When a kind strikes next.
    due: BTreeMap<Kind, Duration>,
    /// What ends when. The number keeps those of one moment apart.
    undo: BTreeMap<(Duration, u64), Undo>,
    count: u64,
    /// How often each has struck.
    pub struck: BTreeMap<Kind, u64>,
    /// A member that is to lose power once it has voted more often than this.
    voter: Option<(usize, u64)>,
}

impl Faults {
    pub fn new(seed: u64, swarm: &Swarm, from: Duration) -> Self {
        let mut rng = stream(seed, "faults");
        let due = swarm.kinds.iter().map(|(kind, every)| (*kind, from + gap(&mut rng, *every))).collect();
        let (undo, struck) = (BTreeMap::new(), BTreeMap::new());
        Faults { rng, swarm: swarm.clone(), due, undo, count: 0, struck, voter: None }
    }

    /// Does all that is due.
    pub fn tick(&mut self, stage: &mut Stage) {
        let now = stage.elapsed();
        while let Some(entry) = self.undo.first_entry().filter(|entry| entry.key().0 <= now) {
            let undo = entry.remove();
            self.end(stage, undo);
        }
        if let Some((member, _)) =
            self.voter.take_if(|(member, votes)| stage.witness.votes_of(*member) > *votes)
        {
            stage.cut_power(member, PowerCut::Clean);
            // It comes back soon, and then others stand as well: whoever has not heard of the term yet stands in the same
            // one, and asks for a vote that has been given.
            let back = now + Duration::from_millis(self.rng.random_range(10..=100));
            self.at(back, Undo::Disk(member));
            self.at(back, Undo::Start(format!("m{member}")));
            for rival in (0..stage.members.len()).filter(|rival| *rival != member) {
                let stands = back + Duration::from_millis(self.rng.random_range(50..=500));
                self.at(stands, Undo::StepUp(rival));
            }
        }
        let due: Vec<Kind> = self.due.iter().filter(|(_, at)| **at <= now).map(|(kind, _)| *kind).collect();
        for kind in due {
            self.due.insert(kind, now + gap(&mut self.rng, self.swarm.kinds[&kind]));
            *self.struck.entry(kind).or_default() += 1;
            self.strike(stage, kind);
        }
    }

    /// Ends all that goes on, and begins nothing more.
    pub fn heal(&mut self, stage: &mut Stage) {
        self.due.clear();
        self.voter = None;
        for undo in std::mem::take(&mut self.undo).into_values() {
            if !matches!(undo, Undo::NextNode(_) | Undo::StepUp(_)) {
                self.end(stage, undo);
            }
        }
        stage.heal(&self.swarm);
    }

    fn strike(&mut self, stage: &mut Stage, kind: Kind) {
        match kind {
            Kind::NodeCrash => {
                let node = self.pick(&stage.node_names());
                self.crash(stage, &node, 6000);
            }
            Kind::RollingRestart => self.kill_node(stage, 0),
            Kind::BalancerCrash => self.crash(stage, BALANCER, 2000),
            Kind::RedisCrash => {
                let server = self.pick(&stage.redis_names());
                self.crash(stage, &server, 8000);
            }
            Kind::SentinelCrash => {
                let sentinel = self.pick(&stage.sentinel_names());
                self.crash(stage, &sentinel, 10_000);
            }
            Kind::RedisStop | Kind::RedisLag | Kind::SubscribersDropped | Kind::LossyHints => {
                let server = self.rng.random_range(0..stage.redis.len());
                self.redis(stage, server, kind);
            }
            Kind::ShortIo => self.short_io(stage),
            Kind::ClockJump => {
                let host = self.pick(&stage.clock_names());
                let off = self.rng.random_range(-30_000..30_000);
                stage.set_clock(&host, off);
            }
            Kind::Partition | Kind::OneWay | Kind::Hold | Kind::Latency => self.link(stage, kind),
            _ => self.member(stage, kind),
        }
    }

    fn member(&mut self, stage: &mut Stage, kind: Kind) {
        let member = self.rng.random_range(0..stage.members.len());
        match kind {
            Kind::MemberCrash => self.crash(stage, &format!("m{member}"), 6000),
            Kind::PowerLoss => {
                let cut = self.power_cut();
                stage.cut_power(member, cut);
                self.start_later(stage, format!("m{member}"), 6000);
            }
            Kind::Blackout => {
                for member in 0..stage.members.len() {
                    let cut = self.power_cut();
                    stage.cut_power(member, cut);
                    self.start_later(stage, format!("m{member}"), 2000);
                }
            }
            Kind::StepDown => stage.step_down(),
            Kind::Contest => self.contest(stage),
            Kind::PrimaryAlone | Kind::PrimaryGone => self.isolate(stage, kind == Kind::PrimaryGone),
            _ => self.disk(stage, member, kind),
        }
    }

    fn disk(&mut self, stage: &mut Stage, member: usize, kind: Kind) {
        let mut faults = self.swarm.sound_disk();
        match kind {
            Kind::SlowDisk => faults.latency = Duration::from_millis(self.rng.random_range(5..300)),
            Kind::SickDisk => {
                faults.write_errors = self.rng.random_range(0..100_000);
                faults.sync_errors = self.rng.random_range(0..100_000);
                faults.failed_sync_loses = self.rng.random_range(0..2) == 0;
            }
            _ => faults.capacity = Some(0),
        }
        stage.note(&format!("disk of m{member}: {faults:?}"));
        stage.members[member].disk.set_faults(faults);
        self.later(stage, 8000, Undo::Disk(member));
    }

    fn redis(&mut self, stage: &mut Stage, server: usize, kind: Kind) {
        match kind {
            Kind::RedisStop => {
                stage.note(&format!("r{server} is stopped"));
                stage.redis[server].stop();
                self.later(stage, 8000, Undo::Resume(server));
            }
            Kind::RedisLag => {
                let lag = Duration::from_millis(self.rng.random_range(50..3000));
                stage.note(&format!("what is written leaves r{server} after {} ms", lag.as_millis()));
                stage.redis[server].set_replication_lag(lag);
                self.later(stage, 10_000, Undo::Lag(server));
            }
            Kind::SubscribersDropped => {
                stage.note(&format!("r{server} drops its subscribers"));
                stage.redis[server].drop_subscribers();
            }
            _ => self.hints(stage, server),
        }
    }

    fn hints(&mut self, stage: &mut Stage, server: usize) {
        let mut chance = || self.rng.random_range(0..700);
        let faults =
            PubSubFaults { lose: chance(), double: chance(), reorder: chance(), silent: chance() < 100 };
        stage.note(&format!("hints of r{server}: {faults:?}"));
        stage.redis[server].set_faults(faults);
        self.later(stage, 10_000, Undo::Hints(server));
    }

    fn short_io(&mut self, stage: &mut Stage) {
        let percent = self.rng.random_range(5..60);
        let short = Short { percent, longest: self.rng.random_range(1..64) };
        stage.set_short_io(Some(short));
        self.later(stage, 10_000, Undo::ShortIo);
    }

    fn link(&mut self, stage: &mut Stage, kind: Kind) {
        let all = stage.linked_names();
        let a = self.pick(&all);
        let others: Vec<String> = all.into_iter().filter(|name| *name != a).collect();
        let b = self.pick(&others);
        match kind {
            Kind::Partition => stage.partition(&a, &b),
            Kind::OneWay => stage.partition_oneway(&a, &b),
            Kind::Hold => {
                stage.hold(&a, &b);
                return self.later(stage, 4000, Undo::Release(a, b));
            }
            _ => {
                let latency = Duration::from_millis(self.rng.random_range(50..800));
                stage.set_latency(&a, &b, latency);
                return self.later(stage, 8000, Undo::Latency(a, b));
            }
        }
        self.later(stage, 8000, Undo::Repair(a, b));
    }

    fn isolate(&mut self, stage: &mut Stage, wholly: bool) {
        let Some(primary) = stage.primary() else { return };
        let mut others = stage.member_names();
        if wholly {
            others.extend(stage.node_names());
        }
        let primary = format!("m{primary}");
        for other in others.into_iter().filter(|other| *other != primary) {
            stage.partition(&primary, &other);
            self.later(stage, 12_000, Undo::Repair(primary.clone(), other));
        }
    }

    fn contest(&mut self, stage: &mut Stage) {
        let Some(primary) = stage.primary() else { return };
        let mut rivals = stage.member_names();
        rivals.remove(primary);
        stage.partition(&rivals[0], &rivals[1]);
        self.later(stage, 8000, Undo::Repair(rivals[0].clone(), rivals[1].clone()));
        let latency = Duration::from_millis(self.rng.random_range(50..400));
        stage.members[primary].disk.set_faults(DiskFaults { latency, ..self.swarm.sound_disk() });
        self.later(stage, 8000, Undo::Disk(primary));
        self.voter = Some((primary, stage.witness.votes_of(primary)));
        stage.step_down();
    }

    fn kill_node(&mut self, stage: &mut Stage, number: usize) {
        let Some(node) = stage.node_names().get(number).cloned() else { return };
        self.crash(stage, &node, 1000);
        self.later(stage, 3000, Undo::NextNode(number + 1));
    }

    fn crash(&mut self, stage: &mut Stage, host: &str, at_most_ms: u64) {
        stage.crash(host);
        self.start_later(stage, host.to_owned(), at_most_ms);
    }

    fn start_later(&mut self, stage: &Stage, host: String, at_most_ms: u64) {
        self.later(stage, at_most_ms, Undo::Start(host));
    }

    fn later(&mut self, stage: &Stage, at_most_ms: u64, undo: Undo) {
        let at = stage.elapsed() + Duration::from_millis(self.rng.random_range(100..=at_most_ms));
        self.at(at, undo);
    }

    fn at(&mut self, at: Duration, undo: Undo) {
        self.count += 1;
        self.undo.insert((at, self.count), undo);
    }

    fn end(&mut self, stage: &mut Stage, undo: Undo) {
        match undo {
            Undo::Start(host) => stage.start(&host),
            Undo::Repair(a, b) => stage.repair(&a, &b),
            Undo::Release(a, b) => stage.release(&a, &b),
            Undo::Latency(a, b) => stage.set_latency(&a, &b, self.swarm.latency),
            Undo::Disk(member) => stage.members[member].disk.set_faults(self.swarm.sound_disk()),
            Undo::StepUp(member) => stage.step_up(member),
            Undo::Hints(server) => stage.redis[server].set_faults(PubSubFaults::default()),
            Undo::Resume(server) => stage.redis[server].resume(),
            Undo::Lag(server) => stage.redis[server].set_replication_lag(Duration::ZERO),
            Undo::ShortIo => stage.set_short_io(None),
            Undo::NextNode(number) => self.kill_node(stage, number),
        }
    }

    fn power_cut(&mut self) -> PowerCut {
        [PowerCut::Clean, PowerCut::Torn, PowerCut::Garbage][self.rng.random_range(0..3)]
    }

    fn pick(&mut self, names: &[String]) -> String {
        names[self.rng.random_range(0..names.len())].clone()
    }
}

/// Exponentially distributed, so that faults of one kind also come in a heap.
fn gap(rng: &mut StdRng, mean: Duration) -> Duration {
    let chance: f64 = rng.random_range(f64::EPSILON..1.0);
    mean.mul_f64(-chance.ln())
}
