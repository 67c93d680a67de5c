//! The world as a whole: its hosts, and what can be done to them between two steps of time.

use super::coverage::Coverage;
use super::hosts::{Ground, Host, MONGO_PORT, MemberHost, NodeHost};
use super::redis;
use super::swarm::Swarm;
use super::upkeep::{self, Due, Left};
use crate::HostClock;
use crate::balancer::Balancer;
use crate::node::Cluster;
use crate::pieces::Short;
use gadwall_sim_mongod::Member;
use gadwall_sim_mongod::disk::PowerCut;
use gadwall_sim_mongod::log::StepDown;
use gadwall_sim_mongod::repl::{Faulty, Settings, Witness};
use gadwall_sim_redis::{Handle, PubSubFaults};
use gadwall_storage::contract::faults::Fault;
use gadwall_storage::mongo::Mistakes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub const NODES: usize = 3;
/// The host that clients know.
pub const BALANCER: &str = "lb";
/// One step of virtual time.
const TICK: Duration = Duration::from_millis(5);

/// The hosts, and the network between them.
pub struct Stage {
    pub sim: turmoil::Sim<'static>,
    pub members: Vec<MemberHost>,
    pub nodes: Vec<NodeHost>,
    pub redis: Vec<Handle>,
    sentinels: Vec<Handle>,
    pub witness: Witness,
    pub coverage: Coverage,
    pub cluster: Arc<Cluster>,
    /// What was done, for the story of the run.
    pub story: Vec<(Duration, String)>,
    ground: Ground,
    clocks: BTreeMap<String, HostClock>,
    /// How far nodes' clocks have been off, slow and fast, in milliseconds.
    off_ms: (i64, i64),
    down: BTreeSet<String>,
}

/// Deliberate mistakes of the product or of the replica set, which a run has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controls {
    pub replication: Faulty,
    pub mistakes: Mistakes,
    pub store: Fault,
}

impl Default for Controls {
    fn default() -> Self {
        Controls { replication: Faulty::default(), mistakes: Mistakes::default(), store: Fault::None }
    }
}

impl Stage {
    /// All of it.
    pub fn build(ground: &Ground, swarm: &Swarm, controls: Controls) -> Self {
        let mut stage = Self::of_members(ground, swarm, controls);
        let cluster = stage.cluster.clone();
        let node = |n| NodeHost { host: Host::new(format!("n{n}"), ground), cluster: cluster.clone() };
        stage.nodes = (0..NODES).map(node).collect();
        for node in stage.nodes.clone() {
            stage.clocks.insert(node.host.name.clone(), node.host.clock.clone());
            stage.sim.host(node.host.name.clone(), move || node.clone().run());
        }
        let (net, names) = (ground.net(), stage.node_names());
        stage.sim.host(BALANCER, move || {
            let balancer = Balancer::new(net.clone(), &names);
            async move { Ok(balancer.run().await?) }
        });
        for server in redis::servers(ground) {
            stage.clocks.insert(server.host.name.clone(), server.host.clock.clone());
            stage.redis.push(server.handle.clone());
            stage.sim.host(server.host.name.clone(), move || server.clone().run());
        }
        // Sentinels don't look at the time of day.
        for sentinel in redis::sentinels(ground) {
            stage.sentinels.push(sentinel.handle.clone());
            stage.sim.host(sentinel.host.name.clone(), move || sentinel.clone().run());
        }
        stage
    }

    /// The replica set alone.
    pub fn of_members(ground: &Ground, swarm: &Swarm, controls: Controls) -> Self {
        let sim = turmoil::Builder::new()
            .rng_seed(ground.seed)
            .enable_random_order()
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3600))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(swarm.latency)
            .tcp_capacity(1 << 16)
            .build();
        let names: Vec<String> = (0..swarm.members).map(|m| format!("m{m}:{MONGO_PORT}")).collect();
        let uri = format!("mongodb://{}/?replicaSet=sim", names.join(","));
        let mut settings = Settings::new("sim", names);
        settings.faulty = controls.replication;
        let (settings, witness) = (Arc::new(settings), Witness::default());
        let coverage = Coverage::default();
        witness.set_observer(Arc::new(coverage.clone()));
        let members = (0..swarm.members).map(|me| MemberHost::new(me, &settings, &witness, ground)).collect();
        let cluster = Arc::new(Cluster {
            mongodb_uri: uri,
            redis_url: redis::url(),
            balancer: BALANCER.to_owned(),
            mistakes: controls.mistakes,
            fault: controls.store,
            upkeep: swarm.expiry.map(|expiry| expiry.upkeep),
            catchall: Arc::default(),
        });
        let mut stage = Stage {
            sim,
            members,
            nodes: Vec::new(),
            redis: Vec::new(),
            sentinels: Vec::new(),
            witness,
            coverage,
            cluster,
            story: Vec::new(),
            ground: ground.clone(),
            clocks: BTreeMap::new(),
            off_ms: (0, 0),
            down: BTreeSet::new(),
        };
        for member in stage.members.clone() {
            member.disk.set_faults(swarm.sound_disk());
            stage.clocks.insert(member.host.name.clone(), member.host.clock.clone());
            stage.sim.host(member.host.name.clone(), move || member.clone().run());
        }
        stage
    }

    pub fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }

    /// Notes what is done, in the story and in the trace.
    pub fn note(&mut self, what: &str) {
        let at = self.elapsed();
        self.ground.trace.note(&format!("{at:?} {what}"));
        self.story.push((at, what.to_owned()));
    }

    pub fn member_names(&self) -> Vec<String> {
        self.members.iter().map(|member| member.host.name.clone()).collect()
    }

    pub fn node_names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.host.name.clone()).collect()
    }

    pub fn redis_names(&self) -> Vec<String> {
        (0..self.redis.len()).map(|n| format!("r{n}")).collect()
    }

    pub fn sentinel_names(&self) -> Vec<String> {
        (0..self.sentinels.len()).map(|n| format!("s{n}")).collect()
    }

    /// What Redis was asked and is not simulated: a run in which there is any proves nothing.
    pub fn refused(&self) -> Vec<String> {
        let refused = self.redis.iter().chain(&self.sentinels).flat_map(Handle::refused);
        refused.map(|what| format!("the simulated Redis does not know what it was asked: {what}")).collect()
    }

    pub fn clock_names(&self) -> Vec<String> {
        self.clocks.keys().cloned().collect()
    }

    /// Hosts whose links can fail: all but the clients', whose side of the balancer is as good.
    pub fn linked_names(&self) -> Vec<String> {
        [self.member_names(), self.node_names(), self.redis_names()].concat()
    }

    /// The member that was elected last, of those that believe to be the primary.
    pub fn primary(&self) -> Option<usize> {
        let terms = self.members.iter().enumerate().filter_map(|(n, member)| Some((member.primary()?, n)));
        terms.max().map(|(_, n)| n)
    }

    pub fn crash(&mut self, host: &str) {
        if !self.down.insert(host.to_owned()) {
            return;
        }
        self.note(&format!("{host} is killed"));
        self.sim.crash(host);
        if let Some(member) = self.members.iter().find(|member| member.host.name == host) {
            member.is_gone();
        }
    }

    /// Kills a member and takes from its disk what was not synced.
    pub fn cut_power(&mut self, member: usize, cut: PowerCut) {
        let name = format!("m{member}");
        self.note(&format!("{name} loses power: {cut:?}"));
        self.members[member].disk.power_cut(cut);
        self.crash(&name);
    }

    pub fn start(&mut self, host: &str) {
        if self.down.remove(host) {
            self.note(&format!("{host} starts"));
            self.sim.bounce(host);
        }
    }

    pub fn set_short_io(&mut self, short: Option<Short>) {
        self.note(&format!("short reads and writes: {short:?}"));
        self.ground.pieces.set(short);
    }

    /// Messages to subscribers that Redis has lost, and calls that have moved few bytes.
    pub fn marks(&self) -> BTreeMap<&'static str, u64> {
        let lost = self.redis.iter().map(Handle::lost).sum();
        BTreeMap::from([("hint lost", lost), ("short read or write", self.ground.pieces.count())])
    }

    pub fn set_clock(&mut self, host: &str, off_ms: i64) {
        self.note(&format!("the clock of {host} is {off_ms} ms off"));
        self.clocks[host].set_off(off_ms);
        if self.node_names().iter().any(|node| node == host) {
            self.off_ms = (self.off_ms.0.min(off_ms), self.off_ms.1.max(off_ms));
        }
    }

    /// How far apart clocks of nodes have been at most.
    pub fn skew(&self) -> Duration {
        Duration::from_millis((self.off_ms.1 - self.off_ms.0).unsigned_abs())
    }

    /// As `rs.stepDown(10, 0)` does with `force`: it doesn't wait for anybody to catch up.
    pub fn step_down(&mut self) {
        let Some(primary) = self.primary() else { return };
        self.note(&format!("m{primary} is told to step down"));
        if let Some(member) = self.members[primary].inside() {
            let how = StepDown { freeze: Duration::from_secs(10), patience: Duration::ZERO, force: true };
            // It may refuse: it may be none any more.
            let _ = member.with(|_, log| log.step_down(how));
        }
    }

    /// A secondary stands for election, as an operator may have it.
    pub fn step_up(&mut self, member: usize) {
        if let Some(inside) = self.members[member].inside() {
            self.note(&format!("m{member} is told to stand for election"));
            inside.with(|_, log| log.step_up());
        }
    }

    pub fn partition(&mut self, a: &str, b: &str) {
        self.note(&format!("{a} and {b} don't reach each other"));
        self.sim.partition(a, b);
    }

    pub fn partition_oneway(&mut self, from: &str, to: &str) {
        self.note(&format!("{from} doesn't reach {to}"));
        self.sim.partition_oneway(from, to);
    }

    pub fn repair(&mut self, a: &str, b: &str) {
        self.note(&format!("{a} and {b} reach each other"));
        self.sim.repair(a, b);
    }

    pub fn hold(&mut self, a: &str, b: &str) {
        self.note(&format!("messages between {a} and {b} wait"));
        self.sim.hold(a, b);
    }

    pub fn release(&mut self, a: &str, b: &str) {
        self.note(&format!("messages between {a} and {b} come"));
        self.sim.release(a, b);
    }

    pub fn set_latency(&mut self, a: &str, b: &str, latency: Duration) {
        self.note(&format!("messages between {a} and {b} take {} ms", latency.as_millis()));
        self.sim.set_link_latency(a, b, latency);
    }

    /// Everything works again, whatever was done.
    pub fn heal(&mut self, swarm: &Swarm) {
        self.note("everything heals");
        for member in &self.members {
            member.disk.set_faults(swarm.sound_disk());
        }
        for handle in &self.redis {
            handle.heal();
            if let Some(lose) = swarm.lost_hints {
                handle.set_faults(PubSubFaults { lose, ..PubSubFaults::default() });
            }
        }
        self.ground.pieces.set(None);
        for host in std::mem::take(&mut self.down) {
            self.sim.bounce(host);
        }
    }

    /// Whether all members live and have come as far as each other, with nothing that is not committed.
    pub fn members_are_level(&self) -> bool {
        let inside: Option<Vec<_>> = self.members.iter().map(MemberHost::inside).collect();
        let Some(inside) = inside else { return false };
        let standing = |member: &Arc<Member>| member.with(|_, log| (log.last(), log.committed()));
        let first = standing(&inside[0]);
        first.0 == first.1 && inside.iter().all(|member| standing(member) == first)
    }

    /// What has not been cleaned up, though by every node's clock its time came so long ago.
    pub fn left_behind(&self, patience: Duration, garbage_age: Duration) -> Left {
        let Some(member) = self.members[0].inside() else { return Left::default() };
        let patience = i64::try_from(patience.as_millis()).expect("minutes at most");
        let now = HostClock::at(self.elapsed()).millis();
        let expired_ms = now + self.off_ms.0 - patience;
        upkeep::left(&member.everything(), Due { expired_ms, garbage_age })
    }

    /// What members that are level have not alike, a line for each collection and member.
    pub fn differences(&self) -> Vec<String> {
        let inside =
            |member: &MemberHost| member.inside().map(|inside| inside.everything()).unwrap_or_default();
        let first = inside(&self.members[0]);
        let mut found = Vec::new();
        for member in &self.members[1..] {
            let other = inside(member);
            let all: BTreeSet<&String> = first.keys().chain(other.keys()).collect();
            let differ = all.into_iter().filter(|ns| first.get(*ns) != other.get(*ns));
            found.extend(differ.map(|ns| format!("m0 and {} have not the same in {ns}", member.host.name)));
        }
        found
    }
}
