//! Whole members, with driver, journal and connections, over pipes and in paused time.

use crate::disk::{DiskFaults, PowerCut, SimDisk};
use crate::log::{Log, StepDown, Wait};
use crate::oplog::{Body, Entry, Op, OpTime};
use crate::repl::driver::{Fatal, Machine, Replication};
use crate::repl::host::{Host, StateMachine};
use crate::repl::{Id, Identity, Internal, ReplicaLog, Settings, Witness};
use crate::wire;
use async_trait::async_trait;
use bson::doc;
use gadwall::net::{BoxIo, Listener, Net};
use gadwall_storage::{ManualClock, SeededEntropy};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Pipes in place of a network. A host that is cut off drops everything, silently.
#[derive(Clone, Default)]
struct Pipes(Arc<Mutex<Hosts>>);

#[derive(Default)]
struct Hosts {
    listening: BTreeMap<String, mpsc::UnboundedSender<BoxIo>>,
    cut_off: BTreeSet<String>,
}

/// One host's network.
struct Port(Pipes, String);

#[async_trait]
impl Net for Port {
    async fn bind(&self, _addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn dial(&self, host: &str, _port: u16) -> io::Result<BoxIo> {
        let is_cut = self.0.0.lock().unwrap().cut_off.iter().any(|cut| cut == host || *cut == self.1);
        if is_cut {
            std::future::pending::<()>().await;
        }
        let (near, far) = tokio::io::duplex(1 << 16);
        let listener = self.0.0.lock().unwrap().listening.get(host).cloned();
        let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
        listener.send(Box::new(far)).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(Box::new(near))
    }
}

/// A member that only remembers what it was told.
struct Member {
    told: Mutex<Vec<Entry>>,
    changes: watch::Sender<u64>,
}

impl Host for Member {
    fn with(&self, work: &mut dyn FnMut(&mut dyn StateMachine)) {
        work(&mut Told(&mut self.told.lock().unwrap()));
        self.changes.send_modify(|count| *count += 1);
    }
}

struct Told<'a>(&'a mut Vec<Entry>);

impl StateMachine for Told<'_> {
    fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.at.index, self.0.len() as u64 + 1);
        self.0.push(entry.clone());
    }
    fn rollback_to(&mut self, at: OpTime) {
        self.0.truncate(usize::try_from(at.index).unwrap());
    }
    fn committed(&mut self, at: OpTime) {
        assert!(at.index <= self.0.len() as u64);
    }
    fn step_down(&mut self) {}
}

struct Running {
    member: Arc<Member>,
    log: ReplicaLog,
    internal: Arc<dyn Internal>,
    run: JoinHandle<Fatal>,
    serve: JoinHandle<()>,
}

struct Set {
    settings: Arc<Settings>,
    pipes: Pipes,
    disks: Vec<SimDisk>,
    witness: Witness,
    running: BTreeMap<Id, Running>,
}

impl Set {
    async fn start(seed: u64) -> Self {
        let hosts = (0..3).map(|id| format!("m{id}:27017")).collect();
        let disks = (0..3).map(|id| SimDisk::new(Arc::new(SeededEntropy::new(seed * 10 + id)))).collect();
        let mut set = Set {
            settings: Arc::new(Settings::new("rs", hosts)),
            pipes: Pipes::default(),
            disks,
            witness: Witness::default(),
            running: BTreeMap::new(),
        };
        for id in 0..3 {
            set.boot(id).await;
        }
        set
    }

    async fn boot(&mut self, id: Id) {
        self.disks[id] = self.disks[id].reboot();
        let identity = Identity {
            me: id,
            settings: self.settings.clone(),
            entropy: Arc::new(SeededEntropy::new(77 + id as u64)),
            witness: self.witness.clone(),
        };
        let machine = Machine {
            net: Arc::new(Port(self.pipes.clone(), format!("m{id}"))),
            disk: Arc::new(self.disks[id].clone()),
            clock: Arc::new(ManualClock::default()),
        };
        let replication = Replication::recover(identity, machine).await.unwrap();
        let member = Arc::new(Member { told: Mutex::default(), changes: watch::Sender::new(0) });
        let (sender, connections) = mpsc::unbounded_channel();
        self.pipes.0.lock().unwrap().listening.insert(format!("m{id}"), sender);
        let internal = replication.internal();
        let serve = tokio::spawn(serve(connections, internal.clone()));
        let log = replication.log();
        let run = tokio::spawn(replication.run(member.clone()));
        self.running.insert(id, Running { member, log, internal, run, serve });
    }

    /// The process dies, and its connections with it.
    fn kill(&mut self, id: Id) {
        let running = self.running.remove(&id).unwrap();
        running.run.abort();
        running.serve.abort();
        self.pipes.0.lock().unwrap().listening.remove(&format!("m{id}"));
    }

    fn write(&mut self, id: Id, number: i32) -> Entry {
        let running = self.running.get_mut(&id).unwrap();
        let op = Op::Put { ns: "a.b".into(), document: doc! { "_id": number } };
        let mut told = running.member.told.lock().unwrap();
        let entry = running.log.append(Body::Write { ops: vec![op], session: None }, 5).unwrap();
        told.push(entry.clone());
        entry
    }

    /// Waits until `is_so` of a member, and no longer than any of this may take.
    async fn wait(&self, id: Id, what: &str, is_so: impl Fn(&ReplicaLog) -> bool) {
        let running = &self.running[&id];
        let mut changes = running.member.changes.subscribe();
        let waiting = async { while !is_so(&running.log) && changes.changed().await.is_ok() {} };
        let hello = || running.log.hello();
        timeout(Duration::from_secs(30), waiting)
            .await
            .unwrap_or_else(|_| panic!("{id}, {what}: {}", hello()));
    }

    /// The primary that all these members know.
    async fn primary_of(&self, members: &[Id]) -> Id {
        let any = members[0];
        let is_primary = |id: Id| self.running[&id].log.primary().is_some();
        let known = async {
            let mut changes: Vec<_> =
                members.iter().map(|id| self.running[id].member.changes.subscribe()).collect();
            while !members.iter().any(|id| is_primary(*id)) {
                let waits = changes.iter_mut().map(|changes| Box::pin(changes.changed()));
                let (changed, _, _) = futures_util::future::select_all(waits).await;
                changed.unwrap();
            }
        };
        timeout(Duration::from_secs(30), known).await.unwrap_or_else(|_| panic!("no primary, {any}"));
        members.iter().copied().find(|id| is_primary(*id)).unwrap()
    }

    async fn majority(&self, id: Id, at: OpTime) {
        let wait = Wait { at, majority: true, journal: true };
        self.wait(id, "majority", |log| log.settled(&wait) == Some(Ok(()))).await;
    }

    fn check(&self) {
        assert_eq!(self.witness.check(), Vec::<String>::new());
    }
}

async fn serve(mut connections: mpsc::UnboundedReceiver<BoxIo>, internal: Arc<dyn Internal>) {
    let mut open = tokio::task::JoinSet::new();
    while let Some(mut io) = connections.recv().await {
        let internal = internal.clone();
        open.spawn(async move {
            while let Ok(Some(mut request)) = wire::read(&mut io).await {
                let reply = internal.internal(std::mem::take(&mut request.command)).await;
                let message = request.reply(&reply, 1).unwrap();
                if io.write_all(&message).await.is_err() || io.flush().await.is_err() {
                    break;
                }
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_committed_in_about_two_syncs() {
    let mut set = Set::start(1).await;
    let latency = Duration::from_millis(10);
    set.disks.iter().for_each(|disk| disk.set_faults(DiskFaults { latency, ..DiskFaults::default() }));
    let primary = set.primary_of(&[0, 1, 2]).await;
    // The first brings everybody to fetching.
    let first = set.write(primary, 0);
    set.majority(primary, first.at).await;
    let before = Instant::now();
    for number in 1..=20 {
        let entry = set.write(primary, number);
        set.majority(primary, entry.at).await;
    }
    let each = before.elapsed() / 20;
    // An append and a sync of up to 10 ms each, at both ends at once; the pipes take no time.
    assert!(each < Duration::from_millis(25), "{each:?}");
    for id in 0..3 {
        set.wait(id, "all know it", |log| log.committed() == log.last() && log.last().index == 22).await;
    }
    set.check();
}

#[tokio::test(start_paused = true)]
async fn another_takes_over_and_the_old_primary_rolls_back() {
    let mut set = Set::start(2).await;
    let old = set.primary_of(&[0, 1, 2]).await;
    let entry = set.write(old, 1);
    set.majority(old, entry.at).await;

    // Cut off, it still believes, and takes a write that nobody gets.
    set.pipes.0.lock().unwrap().cut_off.insert(format!("m{old}"));
    set.hang_up(old);
    let lost = set.write(old, 2);
    let others: Vec<Id> = (0..3).filter(|id| *id != old).collect();
    let new = set.primary_of(&others).await;
    set.wait(old, "steps down", |log| log.primary().is_none()).await;
    let refused = set.running[&old].log.settled(&Wait { at: lost.at, majority: true, journal: true });
    assert_eq!(refused.unwrap().unwrap_err().code, 189);
    let kept = set.write(new, 3);
    set.majority(new, kept.at).await;

    set.pipes.0.lock().unwrap().cut_off.clear();
    set.wait(old, "follows", |log| log.committed() >= kept.at).await;
    let refused = set.running[&old].log.settled(&Wait { at: lost.at, majority: true, journal: true });
    assert_eq!(refused.unwrap().unwrap_err().code, 189);
    let told = |id: Id| set.running[&id].member.told.lock().unwrap().clone();
    assert_eq!(told(old)[..], told(new)[..told(old).len()]);
    assert!(told(old).contains(&kept) && !told(old).contains(&lost));
    assert_eq!(set.witness.counts().rolled_back_entries, 1);
    set.check();
}

impl Set {
    /// Ends all connections of the member without a word getting out: those that others dial anew hang.
    fn hang_up(&mut self, id: Id) {
        let running = self.running.get_mut(&id).unwrap();
        running.serve.abort();
        // Its own calls go out over connections that the others close when they lose their servers.
        let others: Vec<Id> = self.running.keys().copied().filter(|other| *other != id).collect();
        for other in others.into_iter().chain([id]) {
            let (sender, connections) = mpsc::unbounded_channel();
            self.pipes.0.lock().unwrap().listening.insert(format!("m{other}"), sender);
            let running = self.running.get_mut(&other).unwrap();
            running.serve.abort();
            running.serve = tokio::spawn(serve(connections, running.internal.clone()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_blackout_loses_nothing_that_was_committed() {
    let mut set = Set::start(3).await;
    let primary = set.primary_of(&[0, 1, 2]).await;
    let mut committed = vec![];
    for number in 0..5 {
        let entry = set.write(primary, number);
        set.majority(primary, entry.at).await;
        committed.push(entry);
    }
    for id in 0..3 {
        set.kill(id);
        set.disks[id].power_cut(PowerCut::Garbage);
    }
    for id in 0..3 {
        set.boot(id).await;
    }
    let primary = set.primary_of(&[0, 1, 2]).await;
    let told = set.running[&primary].member.told.lock().unwrap().clone();
    assert!(committed.iter().all(|entry| told.contains(entry)));
    set.check();
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_disk_is_full_dies_and_the_set_goes_on() {
    let mut set = Set::start(4).await;
    let primary = set.primary_of(&[0, 1, 2]).await;
    let first = set.write(primary, 0);
    set.majority(primary, first.at).await;
    set.disks[primary].set_faults(DiskFaults { capacity: Some(0), ..DiskFaults::default() });
    set.write(primary, 1);
    let running = set.running.remove(&primary).unwrap();
    running.serve.abort();
    let why = timeout(Duration::from_secs(5), running.run).await.unwrap().unwrap();
    assert!(matches!(why, Fatal::Journal(_)), "{why}");
    let others: Vec<Id> = (0..3).filter(|id| *id != primary).collect();
    let new = set.primary_of(&others).await;
    let entry = set.write(new, 2);
    set.majority(new, entry.at).await;
    set.check();
}

#[tokio::test(start_paused = true)]
async fn a_step_down_hands_over_at_once() {
    let mut set = Set::start(5).await;
    let old = set.primary_of(&[0, 1, 2]).await;
    let entry = set.write(old, 0);
    set.majority(old, entry.at).await;
    for id in 0..3 {
        set.wait(id, "level", |log| log.last() == entry.at && log.committed() == entry.at).await;
    }
    let before = Instant::now();
    let log = &mut set.running.get_mut(&old).unwrap().log;
    let how = StepDown { freeze: Duration::from_secs(5), patience: Duration::ZERO, force: false };
    assert_eq!(log.step_down(how), Some(Ok(())), "{}", log.status());
    assert_eq!(log.step_down(how).unwrap().unwrap_err().code, 10107);
    let others: Vec<Id> = (0..3).filter(|id| *id != old).collect();
    let new = set.primary_of(&others).await;
    assert!(before.elapsed() < set.settings.election_timeout, "{:?}", before.elapsed());
    assert_ne!(new, old);

    let hello = set.running[&new].log.hello();
    assert_eq!(hello.get_str("primary").unwrap(), set.settings.hosts[new]);
    assert!(hello.get_object_id("electionId").is_ok());
    let status = set.running[&new].log.status();
    let states: Vec<_> =
        status.get_array("members").unwrap().iter().map(|m| m.as_document().unwrap()).collect();
    assert!(states.iter().all(|member| member.get_f64("health").unwrap() == 1.0), "{status}");
    assert_eq!(states[new].get_str("stateStr").unwrap(), "PRIMARY");
    set.check();
}
