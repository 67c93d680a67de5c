//! A run from its seed to its findings.

use super::faults::Faults;
use super::hosts::Ground;
use super::stage::{BALANCER, Controls, Stage};
use super::swarm::{Kind, Swarm};
use super::upkeep::{self, Left};
use crate::check::{self, Facts, Finding};
use crate::clients::{Book, Shared};
use crate::history::{Event, History};
use crate::seed::{entropy, stream};
use crate::workload::{self, Workload};
use crate::{HostClock, Trace};
use gadwall_sim_mongod::repl::Counts;
use gadwall_storage::Maintenance;
use gadwall_storage::mongo::MongoStore;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long the cluster has to elect a primary and to serve at first, and again after everything has healed.
const READY: Duration = Duration::from_secs(60);
/// How long clients go on after everything has healed: longer than a store tries anything, so that nothing that was
/// begun before is under way any more when they stop.
const CALM: Duration = Duration::from_secs(25);
/// How long of it they go on as before: where recovery goes wrong it does so soon. The rest is waiting, and a machine's
/// time is better spent on other runs.
const HURRY: Duration = Duration::from_secs(10);
/// How long a client may take to end what it has begun.
const ENDED: Duration = Duration::from_secs(60);
/// How long the last look at everything may take.
const LOOKED: Duration = Duration::from_secs(120);
/// How long a session that listens may wait for news after everything has healed: twice what nodes need to find out
/// without being told.
const HEARD: Duration = Duration::from_secs(10);

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub swarm: Swarm,
    pub controls: Controls,
    pub workload: workload::Plan,
    /// How long faults strike.
    pub storm: Duration,
}

impl Plan {
    pub fn of_seed(seed: u64) -> Self {
        let swarm = Swarm::draw(seed);
        let expiry = swarm.expiry.map(|expiry| expiry.what);
        Plan {
            seed,
            swarm,
            controls: Controls::default(),
            workload: workload::Plan { relays: true, expiry, ..workload::Plan::default() },
            storm: Duration::from_secs(30),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    pub findings: Vec<Finding>,
    pub events: Vec<Event>,
    /// What was done to the world, and when.
    pub story: Vec<(Duration, String)>,
    pub marks: BTreeMap<String, u64>,
    pub struck: BTreeMap<Kind, u64>,
    pub replication: Counts,
    /// Of every byte on the network: two runs of a plan have the same.
    pub digest: String,
    /// Virtual time.
    pub elapsed: Duration,
}

/// How far the clients have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stand {
    Beginning,
    /// Accounts are there.
    Working,
    /// Nothing is in flight any more.
    Ended,
    /// Everything was looked at.
    Looked,
}

/// Runs it. Once a process, if its trace is to be compared: what the process has done before shows in some of its
/// libraries.
pub fn run(plan: &Plan, trace: Trace) -> Report {
    let ground = Ground::new(plan.seed, trace);
    let stage = Stage::build(&ground, &plan.swarm, plan.controls);
    let mut run = Run::new(plan, &ground, stage);
    run.begin();
    let struck = run.storm();
    run.come_right();
    run.report(struck)
}

struct Run<'a> {
    plan: &'a Plan,
    ground: Ground,
    stage: Stage,
    history: History,
    stop: CancellationToken,
    leisure: Arc<AtomicBool>,
    stand: watch::Receiver<Stand>,
    look: watch::Sender<bool>,
    audit: watch::Receiver<Vec<String>>,
    ended: watch::Receiver<Option<workload::Ended>>,
    book: Book,
    healed: Duration,
    liveness: Vec<String>,
    /// What members had not alike in the end.
    differences: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, ground: &Ground, mut stage: Stage) -> Self {
        let (stand, heard) = watch::channel(Stand::Beginning);
        let (look, looks) = watch::channel(false);
        let (audit, audited) = watch::channel(Vec::new());
        let (ended, have_ended) = watch::channel(None);
        let stop = CancellationToken::new();
        let history = History::default();
        let shared = Shared::new(plan.seed, history.clone(), ground.net(), stop.clone());
        let (book, leisure) = (shared.book.clone(), shared.leisure.clone());
        let workload = Workload::draw(plan.seed, &plan.workload);
        let nodes = stage.node_names();
        let (cluster, seed) = (stage.cluster.clone(), plan.seed);
        stage.sim.client("clients", async move {
            workload.prepare(&shared, &nodes).await;
            // A node that serves has told.
            let (login, password) = cluster.catchall.get().ok_or("no node has an account for everything")?;
            shared.book.add_catchall(login, password);
            stand.send_replace(Stand::Working);
            ended.send_replace(Some(workload.run(shared.clone(), BALANCER).await));
            stand.send_replace(Stand::Ended);
            let mut looks = looks;
            looks.wait_for(|look| *look).await?;
            workload.final_pass(shared, &nodes).await;
            let entropy = Arc::new(entropy(seed, "audit"));
            let options = cluster.options(Arc::new(HostClock::default()), entropy);
            let found = match MongoStore::open(options).await {
                Ok(store) => {
                    store.audit().await.unwrap_or_else(|e| vec![format!("it can't be audited: {e}")])
                }
                Err(e) => vec![format!("it can't be opened: {e}")],
            };
            audit.send_replace(found);
            stand.send_replace(Stand::Looked);
            std::future::pending().await
        });
        Run {
            plan,
            ground: ground.clone(),
            stage,
            history,
            stop,
            leisure,
            stand: heard,
            look,
            audit: audited,
            ended: have_ended,
            book,
            healed: Duration::ZERO,
            liveness: Vec::new(),
            differences: Vec::new(),
        }
    }

    fn step(&mut self) {
        self.stage.sim.step().expect("no host fails: what fails on a host is noted, and the host goes on");
    }

    fn pass(&mut self, time: Duration) {
        let end = self.stage.elapsed() + time;
        while self.stage.elapsed() < end {
            self.step();
        }
    }

    /// Goes on until something holds; says so if it does not within this time.
    fn until(&mut self, what: &str, within: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let deadline = self.stage.elapsed() + within;
        while !holds(self) {
            if self.stage.elapsed() >= deadline {
                self.liveness.push(format!("{what}: not within {} s", within.as_secs()));
                return false;
            }
            self.step();
        }
        true
    }

    fn begin(&mut self) {
        self.until("the first clients are served", READY, |run| *run.stand.borrow() >= Stand::Working);
        self.stage.note("clients work");
    }

    fn storm(&mut self) -> BTreeMap<Kind, u64> {
        let begin = self.stage.elapsed();
        let mut faults = Faults::new(self.plan.seed, &self.plan.swarm, begin);
        while self.stage.elapsed() < begin + self.plan.storm {
            faults.tick(&mut self.stage);
            self.step();
        }
        faults.heal(&mut self.stage);
        self.healed = self.stage.elapsed();
        faults.struck
    }

    fn come_right(&mut self) {
        let away = self.leave_minority();
        self.pass(HURRY);
        self.leisure.store(true, Ordering::Relaxed);
        self.pass(CALM - HURRY);
        self.stop.cancel();
        self.stage.note("clients end what they have begun");
        if !self.until("every client has ended what it had begun", ENDED, |run| {
            *run.stand.borrow() >= Stand::Ended
        }) {
            return;
        }
        self.look.send_replace(true);
        self.stage.note("everything is looked at");
        self.until("every node shows everything", LOOKED, |run| *run.stand.borrow() >= Stand::Looked);
        for member in away {
            self.stage.start(&member);
        }
        if self.until("all members are level", READY, |run| run.stage.members_are_level()) {
            self.differences = self.stage.differences();
            let left = self.left_behind();
            self.differences.extend(left);
        }
    }

    /// Takes away a minority, as if for good.
    fn leave_minority(&mut self) -> Vec<String> {
        if !self.plan.swarm.leaves_minority {
            return Vec::new();
        }
        let mut members = self.stage.member_names();
        members.shuffle(&mut stream(self.plan.seed, "minority"));
        members.truncate((members.len() - 1) / 2);
        for member in &members {
            self.stage.crash(member);
        }
        members
    }

    /// What should have been cleaned up by now.
    fn left_behind(&mut self) -> Vec<String> {
        let Some(expiry) = &self.plan.swarm.expiry else { return Vec::new() };
        let Some(quiet) = self.ended.borrow().as_ref().map(|ended| ended.quiet_from) else {
            return Vec::new();
        };
        // A node that is ahead may have the lease, and none of the others finds it free before.
        let patience = expiry.slack() + self.stage.skew();
        let now = self.stage.elapsed();
        if now < self.healed + patience {
            return Vec::new();
        }
        let age = expiry.upkeep.garbage_age;
        let left = self.stage.left_behind(patience, age);
        if now <= quiet + patience || !left.has_waiting() {
            return left.findings(&Left::default());
        }
        // What expires at this moment makes new ones.
        self.pass(patience);
        left.findings(&self.stage.left_behind(patience, age))
    }

    fn report(mut self, struck: BTreeMap<Kind, u64>) -> Report {
        let events = self.history.events();
        let ended = self.ended.borrow().clone();
        let late = ended.iter().flat_map(|ended| &ended.late);
        self.liveness.extend(late.map(|id| format!("client {id} did not end what it had begun")));
        let upkeep = upkeep::read(&self.stage.witness.log());
        let facts = Facts {
            quiet_from: ended.map(|ended| ended.quiet_from),
            healing: HEARD,
            terms: self.book.terms(),
            skew: self.stage.skew(),
            healed: self.healed,
            sweeping: self.plan.swarm.expiry.map_or(Duration::ZERO, |expiry| expiry.slack()),
            audit: self.audit.borrow().clone(),
            inside: [self.stage.witness.check(), self.stage.refused(), self.differences, upkeep.findings]
                .concat(),
            liveness: self.liveness,
        };
        Report {
            findings: check::run(&events, &facts),
            marks: marks(&events, &facts, [upkeep.marks, self.stage.coverage.marks(), self.stage.marks()]),
            events,
            story: self.stage.story.clone(),
            struck,
            replication: self.stage.witness.counts(),
            digest: self.ground.trace.digest(),
            elapsed: self.stage.elapsed(),
        }
    }
}

/// What the history has, and what was seen inside.
fn marks(events: &[Event], facts: &Facts, inside: [BTreeMap<&'static str, u64>; 3]) -> BTreeMap<String, u64> {
    let mut marks = check::marks::marks(events, facts);
    marks.extend(inside.into_iter().flatten().map(|(mark, count)| (mark.to_owned(), count)));
    let of = |mark| marks.get(mark).copied().unwrap_or_default();
    let late = if of("hint lost") > 0 { of("told late while idle") } else { 0 };
    marks.insert("resync after lost hint".to_owned(), late);
    marks
}
