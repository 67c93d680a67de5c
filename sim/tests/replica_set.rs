//! The product's store on a simulated replica set, with the driver that it has in production: what it has acknowledged
//! is there once, whoever dies meanwhile.

use gadwall_sim::world::Faults;
use gadwall_sim::world::{Controls, Ground, Kind, Stage, Swarm};
use gadwall_sim::{HostClock, Trace};
use gadwall_storage::contract::{Backend, Instance, World, message, read_all};
use gadwall_storage::mongo::{MongoOptions, MongoStore};
use gadwall_storage::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

struct SimBackend {
    uri: String,
    early: bool,
}

struct SimInstance(Arc<MongoStore>);

impl Instance for SimInstance {
    fn store(&self) -> Arc<dyn MailStore> {
        self.0.clone()
    }
}

#[async_trait::async_trait]
impl Backend for SimBackend {
    async fn open(&self, _: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Box<dyn Instance> {
        let options = MongoOptions::new(&self.uri, "gadwall", Arc::new(HostClock::default()), entropy);
        let mut options = options;
        options.mistakes.commits_early = self.early;
        let opened = MongoStore::open(options).await;
        Box::new(SimInstance(Arc::new(opened.expect("there is a primary before its patience ends"))))
    }
}

/// What came of the appends: by number, whether it was acknowledged; and what was in the mailbox in the end.
#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<u32, bool>,
    there: Vec<String>,
    audit: Vec<String>,
    done: bool,
}

const APPENDS: u32 = 100;
/// Between two of them, so that something can happen.
const PAUSE: Duration = Duration::from_millis(200);

async fn work(
    uri: String,
    early: bool,
    told: Arc<Mutex<Told>>,
    calm: tokio::sync::watch::Receiver<bool>,
) -> turmoil::Result {
    let world = World::new(&SimBackend { uri, early }).await;
    let user = world.user("ann").await;
    for n in 0..APPENDS {
        let answer =
            world.store().append(world.op(), user.inbox, vec![message(n.to_string().as_bytes())]).await;
        told.lock().unwrap().acknowledged.insert(n, answer.is_ok());
        tokio::time::sleep(PAUSE).await;
    }
    let mut calm = calm;
    calm.wait_for(|calm| *calm).await?;
    let found = world.store().messages(user.inbox, MessageQuery::of(UidSet::all())).await?;
    for found in found {
        let mut body = world.store().body(user.inbox, found.uid).await?;
        let text = read_all(&mut *body).await;
        told.lock().unwrap().there.push(String::from_utf8(text)?);
    }
    let audit = world.store().audit().await?;
    let mut told = told.lock().unwrap();
    (told.audit, told.done) = (audit, true);
    Ok(())
}

fn run(seed: u64, swarm: &Swarm, controls: Controls) -> (Vec<String>, Stage) {
    let ground = Ground::new(seed, Trace::default());
    let mut stage = Stage::of_members(&ground, swarm, controls);
    let told = Arc::new(Mutex::new(Told::default()));
    let (calm, is_calm) = tokio::sync::watch::channel(false);
    let work =
        work(stage.cluster.mongodb_uri.clone(), controls.mistakes.commits_early, told.clone(), is_calm);
    stage.sim.client("client", work);
    let mut faults = Faults::new(seed, swarm, Duration::from_secs(5));
    let limit = Duration::from_secs(600);
    while told.lock().unwrap().acknowledged.len() < APPENDS as usize && stage.elapsed() < limit {
        faults.tick(&mut stage);
        stage.sim.step().expect("no host fails");
    }
    faults.heal(&mut stage);
    calm.send_replace(true);
    while !told.lock().unwrap().done && stage.elapsed() < limit {
        stage.sim.step().expect("no host fails");
    }
    let told = told.lock().unwrap();
    let mut findings = stage.witness.check();
    findings.extend(told.audit.iter().cloned());
    if !told.done {
        findings.push(format!("not done after {:?}", stage.elapsed()));
    }
    for (n, acknowledged) in &told.acknowledged {
        let there = told.there.iter().filter(|text| **text == n.to_string()).count();
        if there > 1 || told.done && *acknowledged && there == 0 {
            findings.push(format!("{n}, acknowledged: {acknowledged}, is there {there} times"));
        }
    }
    drop(told);
    (findings, stage)
}

#[test]
fn a_store_lives_on_a_simulated_replica_set() {
    let (findings, stage) = run(1, &Swarm::calm(), Controls::default());
    assert!(findings.is_empty(), "{findings:#?}");
    println!("{:?} {:?}", stage.elapsed(), stage.witness.counts());
}

/// All that can happen to members, often.
fn rough() -> Swarm {
    let kinds = [Kind::MemberCrash, Kind::PowerLoss, Kind::Blackout, Kind::StepDown, Kind::PrimaryAlone];
    let kinds = kinds.into_iter().map(|kind| (kind, Duration::from_secs(12))).collect();
    Swarm { kinds, ..Swarm::calm() }
}

#[test]
fn what_is_acknowledged_outlives_elections_and_blackouts() {
    let mut elections = 0;
    for seed in 0..4 {
        let (findings, stage) = run(seed, &rough(), Controls::default());
        assert!(findings.is_empty(), "seed {seed}: {findings:#?}\n{:#?}", stage.story);
        elections += stage.witness.counts().elections;
    }
    assert!(elections > 12, "{elections} elections in 4 runs");
}

#[test]
fn a_set_that_acknowledges_too_early_is_found_out() {
    let mut controls = Controls::default();
    controls.replication.acknowledge_w1 = true;
    let caught = (0..10).find(|seed| !run(*seed, &rough(), controls).0.is_empty());
    println!("caught with seed {caught:?}");
    assert!(caught.is_some());
}
