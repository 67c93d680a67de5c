//! The clients, through the balancer, against three nodes that share one store, on a network without faults: nothing
//! is refused, nothing is lost, and no checker finds anything.

use gadwall::Backend;
use gadwall::net::Net;
use gadwall_sim::balancer::Balancer;
use gadwall_sim::check::{self, Facts, Finding};
use gadwall_sim::clients::Shared;
use gadwall_sim::history::{Event, GOODBYE, History, Outcome, What};
use gadwall_sim::workload::{Ended, Plan, Workload};
use gadwall_sim::{HostClock, Trace, TracedNet, TurmoilNet, node, seed};
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::{Maintenance, SeededEntropy};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long clients work.
const WORK: Duration = Duration::from_secs(40);
const SEEDS: std::ops::Range<u64> = 1..11;
/// Of so many runs in which nodes die, in one a mail is on its way just then: 7 of 40 have been measured to be such.
const MANY: u64 = 60;

type Outcomes = Result<(), Box<dyn std::error::Error>>;

/// A run.
struct Ran {
    events: Vec<Event>,
    quiet_from: Duration,
    late: Vec<u32>,
    digest: String,
    audit: Vec<String>,
}

impl Ran {
    fn facts(&self) -> Facts {
        let liveness = self.late.iter().map(|id| format!("client {id} did not end in time")).collect();
        Facts {
            quiet_from: Some(self.quiet_from),
            healing: Duration::from_secs(10),
            audit: self.audit.clone(),
            liveness,
            ..Facts::default()
        }
    }

    fn findings(&self) -> Vec<Finding> {
        check::run(&self.events, &self.facts())
    }

    fn marks(&self) -> BTreeMap<String, u64> {
        check::marks::marks(&self.events, &self.facts())
    }
}

/// A node. Its clones are one machine: what it drew before it was killed it does not draw again.
#[derive(Clone)]
struct Node {
    store: Arc<MemoryStore>,
    entropy: Arc<SeededEntropy>,
    net: Arc<dyn Net>,
    catchall: Noted<Option<(String, String)>>,
}

impl Node {
    async fn serve(self) -> Outcomes {
        let (backend, clock) = (Backend::alone(self.store), Arc::new(HostClock::default()));
        let running = node::serve(backend, Some("lb"), clock, self.entropy, &*self.net).await?;
        if let Some((address, password)) = &running.catchall {
            self.catchall.note(Some((address.to_string(), password.clone())));
        }
        std::future::pending().await
    }
}

/// Something that a host tells the test. All clones are one.
#[derive(Clone, Default)]
struct Noted<T>(Arc<Mutex<T>>);

impl<T: Clone> Noted<T> {
    fn note(&self, what: T) {
        *self.0.lock().expect("no holder of the lock panics") = what;
    }

    fn read(&self) -> T {
        self.0.lock().expect("no holder of the lock panics").clone()
    }
}

/// What stands on the simulated network.
struct Scene {
    sim: turmoil::Sim<'static>,
    seed: u64,
    trace: Trace,
    store: Arc<MemoryStore>,
    nodes: Vec<String>,
    catchall: Noted<Option<(String, String)>>,
}

impl Scene {
    /// Three nodes, and the balancer in front of them.
    fn set(seed: u64) -> Self {
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .enable_random_order()
            .tick_duration(Duration::from_millis(5))
            .simulation_duration(Duration::from_secs(600))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(30))
            .tcp_capacity(1 << 16)
            .build();
        let (clock, entropy) = (Arc::new(HostClock::default()), Arc::new(seed::entropy(seed, "store")));
        let (store, trace) = (Arc::new(MemoryStore::new(clock, entropy)), Trace::default());
        let net: Arc<dyn Net> = Arc::new(TracedNet { net: TurmoilNet, trace: trace.clone() });
        let nodes: Vec<String> = (0..3).map(|n| format!("n{n}")).collect();
        let catchall = Noted::default();
        for name in &nodes {
            let entropy = Arc::new(seed::entropy(seed, name));
            let (store, net, catchall) = (store.clone(), net.clone(), catchall.clone());
            let node = Node { store, entropy, net, catchall };
            sim.host(name.clone(), move || node.clone().serve());
        }
        let hosts = nodes.clone();
        sim.host("lb", move || {
            let balancer = Balancer::new(net.clone(), &hosts);
            async move { Ok(balancer.run().await?) }
        });
        Scene { sim, seed, trace, store, nodes, catchall }
    }

    /// Lets the clients work on it, and before each step of time something be done to it.
    fn play(mut self, mut strike: impl FnMut(&mut turmoil::Sim)) -> Ran {
        let (history, seed, nodes) = (History::default(), self.seed, self.nodes);
        let (ended, audit) = (Noted::default(), Noted::default());
        let (end, audited, events) = (ended.clone(), audit.clone(), history.clone());
        self.sim.client("clients", async move {
            let stop = CancellationToken::new();
            let shared = Shared::new(seed, history, Arc::new(TurmoilNet), stop.clone());
            let workload = Workload::draw(seed, &Plan { relays: true, ..Plan::default() });
            workload.prepare(&shared, &["lb".to_owned()]).await;
            if let Some((login, password)) = self.catchall.read() {
                shared.book.add_catchall(&login, &password);
            }
            tokio::spawn(async move {
                tokio::time::sleep(WORK).await;
                stop.cancel();
            });
            end.note(Some(workload.run(shared.clone(), "lb").await));
            workload.final_pass(shared, &nodes).await;
            audited.note(self.store.audit().await?);
            Ok(())
        });
        while !self.sim.step().expect("the simulation goes on") {
            strike(&mut self.sim);
        }
        let Ended { late, quiet_from } = ended.read().expect("the clients came to their end");
        Ran { events: events.events(), quiet_from, late, digest: self.trace.digest(), audit: audit.read() }
    }
}

fn run(seed: u64) -> Ran {
    Scene::set(seed).play(|_| {})
}

fn story(ran: &Ran) -> String {
    let findings = ran.findings();
    let told: Vec<String> = findings
        .iter()
        .take(3)
        .map(|finding| {
            let events: Vec<String> =
                finding.events.iter().map(|ix| format!("  {ix}: {:?}", ran.events[*ix])).collect();
            format!("{}: {}\n{}", finding.promise, finding.text, events.join("\n"))
        })
        .collect();
    format!("{} findings\n{}", findings.len(), told.join("\n"))
}

/// Operations that did not end well.
fn troubled(events: &[Event]) -> Vec<&Event> {
    let is_trouble = |event: &&Event| match &event.what {
        What::Ended { outcome, .. } => !matches!(outcome, Outcome::Acknowledged(_)),
        What::Lost { why } => why != GOODBYE,
        _ => false,
    };
    events.iter().filter(is_trouble).collect()
}

#[test]
fn without_faults_nothing_is_refused_and_nothing_is_found() {
    let mut total: BTreeMap<String, u64> = BTreeMap::new();
    for seed in SEEDS {
        let ran = run(seed);
        let troubled = troubled(&ran.events);
        assert!(troubled.is_empty(), "seed {seed}: {troubled:#?}");
        assert!(ran.findings().is_empty(), "seed {seed}: {}", story(&ran));
        for (mark, count) in ran.marks() {
            *total.entry(mark).or_default() += count;
        }
    }
    for kind in ["submit", "append", "store", "copy", "move", "expunge", "create", "delete", "rename"] {
        assert!(total[&format!("{kind} acknowledged")] > 0, "no {kind}: {total:#?}");
        assert_eq!(total[&format!("{kind} never ended")], 0, "{total:#?}");
    }
    for sight in ["selected", "listed", "fetched", "noticed", "changed (resync)", "maildrop", "web", "woken"]
    {
        assert!(total.get(&format!("saw {sight}")).is_some_and(|count| *count > 0), "no {sight}: {total:#?}");
    }
    assert!(total["final listing"] > 0, "{total:#?}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    // Libraries that look at the machine's own clock are shown the simulation's. No longer than needed: the test
    // harness gets to see it too, and then waits for this test without pausing.
    let _guard = mad_turmoil::time::SimClocksGuard::init();
    // Each on a thread of its own: the HTTP library keeps the last Date it made for its thread.
    let once = std::thread::spawn(|| run(3)).join().expect("a run");
    let again = std::thread::spawn(|| run(3)).join().expect("a run");
    let differ = once.events.iter().zip(&again.events).position(|(a, b)| a != b);
    let pair = differ.map(|ix| (&once.events[ix], &again.events[ix]));
    assert_eq!(pair, None, "event {differ:?} of {} and {}", once.events.len(), again.events.len());
    assert_eq!(once.events.len(), again.events.len());
    assert_eq!(once.digest, again.digest, "the traces differ, and the histories don't");
    assert_ne!(once.digest, run(4).digest);
}

/// Something that is done to the world.
type Strike = fn(&mut turmoil::Sim);

/// Kills one node after the other, and cuts the third off, each for some seconds.
fn trouble() -> impl FnMut(&mut turmoil::Sim) {
    let plan: [(u64, Strike); 6] = [
        (8, |sim| sim.crash("n1")),
        (13, |sim| sim.bounce("n1")),
        (18, |sim| sim.crash("n0")),
        (24, |sim| sim.bounce("n0")),
        (28, |sim| sim.partition("lb", "n2")),
        (34, |sim| sim.repair("lb", "n2")),
    ];
    let mut plan = plan.into_iter().peekable();
    move |sim| {
        while let Some((_, strike)) = plan.next_if(|(at, _)| sim.elapsed() >= Duration::from_secs(*at)) {
            strike(sim);
        }
    }
}

#[test]
fn nodes_that_die_or_are_cut_off_cost_clients_a_reconnect_and_no_mail() {
    let mut total: BTreeMap<String, u64> = BTreeMap::new();
    let has_happened =
        |total: &BTreeMap<String, u64>| total["session lost"] > 0 && total["mail sent again"] > 0;
    // A mail is on its way for some milliseconds only: it takes some seeds until a node dies just then.
    for seed in SEEDS.start.. {
        let ran = Scene::set(seed).play(trouble());
        assert!(ran.findings().is_empty(), "seed {seed}: {}", story(&ran));
        for (mark, count) in ran.marks() {
            *total.entry(mark).or_default() += count;
        }
        // The others serve all the while.
        let served =
            |event: &&Event| matches!(event.what, What::Ended { outcome: Outcome::Acknowledged(_), .. });
        let during = |event: &&Event| (20..32).contains(&event.at.as_secs());
        assert!(ran.events.iter().filter(during).filter(served).count() > 0, "seed {seed}");
        if seed + 1 >= SEEDS.end && has_happened(&total) {
            return;
        }
        assert!(seed < MANY, "no session was lost, or no mail sent again: {total:#?}");
    }
}
