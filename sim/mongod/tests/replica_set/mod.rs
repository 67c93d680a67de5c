//! A replica set of whole members in this process: real ports, disks that outlive a member's death.

use gadwall::net::{BoxIo, Listener, Net, TokioNet};
use gadwall_sim_mongod::disk::SimDisk;
use gadwall_sim_mongod::repl::{Fatal, Id, Identity, Machine, Settings, Witness};
use gadwall_sim_mongod::{Member, Replica};
use gadwall_storage::{SeededEntropy, SystemClock};
use mongodb::Client;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Who can't do what among the members; drivers still reach all.
#[derive(Debug, Default)]
struct Cuts {
    /// Reaches nobody, and hears nobody.
    off: Option<Id>,
    /// These get no entries; all else goes on.
    starved: Vec<Id>,
}

impl Cuts {
    fn cut(&self, from: Id, to: Option<Id>, is_fetch: bool) -> bool {
        let is_off = self.off.is_some() && (self.off == Some(from) || self.off == to);
        is_off || is_fetch && self.starved.contains(&from)
    }
}

/// A member's way to the others.
struct Cable {
    me: Id,
    settings: Arc<Settings>,
    cuts: watch::Receiver<Cuts>,
}

#[async_trait::async_trait]
impl Net for Cable {
    async fn bind(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        TokioNet.bind(addr).await
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<BoxIo> {
        let to = self.settings.hosts.iter().position(|known| *known == format!("{host}:{port}"));
        if self.cuts.borrow().cut(self.me, to, false) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = tokio::io::duplex(1 << 16);
        let io = TokioNet.dial(host, port).await?;
        tokio::spawn(carry(far, io, self.cuts.clone(), (self.me, to)));
        Ok(Box::new(near))
    }
}

/// Carries bytes until the connection is cut. Members fetch over connections that carry nothing else.
async fn carry(
    mut near: DuplexStream,
    mut far: BoxIo,
    mut cuts: watch::Receiver<Cuts>,
    (from, to): (Id, Option<Id>),
) -> io::Result<()> {
    let mut first = [0; 1024];
    let n = near.read(&mut first).await?;
    let is_fetch = first.windows(10).any(|window| window == b"_replFetch");
    let bytes = async {
        far.write_all(&first[..n]).await?;
        tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop)
    };
    tokio::select! {
        biased;
        _ = cuts.wait_for(|cuts| cuts.cut(from, to, is_fetch)) => Ok(()),
        done = bytes => done,
    }
}

struct Running {
    member: Arc<Member>,
    run: JoinHandle<Fatal>,
}

pub struct Set {
    settings: Arc<Settings>,
    disks: Vec<SimDisk>,
    listeners: BTreeMap<Id, Box<dyn Listener>>,
    running: BTreeMap<Id, Running>,
    cuts: watch::Sender<Cuts>,
    pub witness: Witness,
}

impl Set {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(set: impl FnOnce(&mut Settings)) -> Self {
        let mut listeners = BTreeMap::new();
        let mut hosts = vec![];
        for id in 0..3 {
            let listener = TokioNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
            hosts.push(listener.local_addr().unwrap().to_string());
            listeners.insert(id, listener);
        }
        let mut settings = Settings::new("sim", hosts);
        settings.heartbeat = Duration::from_millis(100);
        settings.election_timeout = Duration::from_millis(700);
        set(&mut settings);
        let mut set = Set {
            settings: Arc::new(settings),
            disks: (0..3).map(|id| SimDisk::new(Arc::new(SeededEntropy::new(id)))).collect(),
            listeners,
            running: BTreeMap::new(),
            cuts: watch::Sender::new(Cuts::default()),
            witness: Witness::default(),
        };
        for id in 0..3 {
            set.boot(id).await;
        }
        set
    }

    /// Starts a member on what its disk holds.
    pub async fn boot(&mut self, id: Id) {
        self.disks[id] = self.disks[id].reboot();
        let identity = Identity {
            me: id,
            settings: self.settings.clone(),
            entropy: Arc::new(SeededEntropy::new(77 + id as u64)),
            witness: self.witness.clone(),
        };
        let cable = Cable { me: id, settings: self.settings.clone(), cuts: self.cuts.subscribe() };
        let disk = Arc::new(self.disks[id].clone());
        let machine = Machine { net: Arc::new(cable), disk, clock: Arc::new(SystemClock) };
        let replica = Replica::recover(identity, machine, 60).await.unwrap();
        let member = replica.member();
        let listener = match self.listeners.remove(&id) {
            Some(listener) => listener,
            None => TokioNet.bind(self.settings.hosts[id].parse().unwrap()).await.unwrap(),
        };
        let run = tokio::spawn(replica.run_on(listener));
        self.running.insert(id, Running { member, run });
    }

    /// The process dies, its connections with it.
    pub async fn kill(&mut self, id: Id) {
        let running = self.running.remove(&id).unwrap();
        running.run.abort();
        assert!(running.run.await.unwrap_err().is_cancelled());
    }

    /// Cuts the member off from the others, not from drivers; `None` ends that.
    pub fn cut_off(&self, id: impl Into<Option<Id>>) {
        self.cuts.send_modify(|cuts| cuts.off = id.into());
    }

    /// These get no entries any more, others again.
    pub fn starve(&self, members: &[Id]) {
        self.cuts.send_modify(|cuts| cuts.starved = members.to_vec());
    }

    pub fn member(&self, id: Id) -> &Arc<Member> {
        &self.running[&id].member
    }

    pub fn others(&self, id: Id) -> Vec<Id> {
        self.running.keys().copied().filter(|other| *other != id).collect()
    }

    /// Waits until this is so of a member.
    pub async fn until(&self, id: Id, what: &str, is_so: impl Fn(&Member) -> bool) {
        let member = self.member(id);
        let mut progress = member.progress();
        let waiting = async {
            loop {
                progress.borrow_and_update();
                if is_so(member) {
                    return;
                }
                progress.changed().await.unwrap();
            }
        };
        let waited = timeout(LIMIT, waiting).await;
        waited.unwrap_or_else(|_| panic!("{id}, not in time: {what}: {}", member.status()));
    }

    /// Waits until one of all that run is primary.
    pub async fn primary(&self) -> Id {
        self.primary_of(&self.running.keys().copied().collect::<Vec<_>>()).await
    }

    pub async fn primary_of(&self, members: &[Id]) -> Id {
        let elected = members.iter().map(|id| {
            let wait = async move {
                self.until(*id, "somebody is primary", is_primary).await;
                *id
            };
            Box::pin(wait)
        });
        futures_util::future::select_all(elected).await.0
    }

    pub fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet=sim&heartbeatFrequencyMS=500", self.settings.hosts.join(","))
    }

    pub async fn client(&self) -> Client {
        Client::with_uri_str(self.uri()).await.unwrap()
    }

    /// A client of one member, whatever its role.
    pub async fn direct(&self, id: Id) -> Client {
        let uri = format!("mongodb://{}/?directConnection=true", self.settings.hosts[id]);
        Client::with_uri_str(uri).await.unwrap()
    }

    pub fn check(&self) {
        assert_eq!(self.witness.check(), Vec::<String>::new());
    }
}

pub fn is_primary(member: &Member) -> bool {
    member.with(|_, log| log.primary().is_some())
}
