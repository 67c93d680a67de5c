//! The hosts of the world: what each is made of, what survives its process, and its process.

use crate::node::{self, Cluster};
use crate::pieces::{PiecedNet, Pieces};
use crate::seed::entropy;
use crate::{HostClock, Trace, TracedNet, TurmoilNet};
use gadwall::net::Net;
use gadwall_sim_mongod::disk::SimDisk;
use gadwall_sim_mongod::repl::{Identity, Machine, Settings, Witness};
use gadwall_sim_mongod::{Member, Replica};
use gadwall_storage::Entropy;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where members listen.
pub const MONGO_PORT: u16 = 27017;
/// `transactionLifetimeLimitSeconds` as deploy/mongodb/mongod.conf has it.
const LIFETIME_SECS: u32 = 10;
/// How long a supervisor waits before it starts again what has died by itself.
pub const RESTART: Duration = Duration::from_secs(1);

/// What all hosts have in common.
#[derive(Clone)]
pub struct Ground {
    pub seed: u64,
    pub trace: Trace,
    pub pieces: Pieces,
}

impl Ground {
    pub fn new(seed: u64, trace: Trace) -> Self {
        Ground { seed, trace, pieces: Pieces::new(seed) }
    }

    pub fn net(&self) -> Arc<dyn Net> {
        let net = PiecedNet { net: TurmoilNet, pieces: self.pieces.clone() };
        Arc::new(TracedNet { net, trace: self.trace.clone() })
    }
}

/// A host: its clock, and how often its process has begun.
#[derive(Clone)]
pub struct Host {
    pub name: String,
    pub clock: HostClock,
    boots: Arc<AtomicU64>,
    ground: Ground,
}

impl Host {
    pub fn new(name: String, ground: &Ground) -> Self {
        Host { name, clock: HostClock::default(), boots: Arc::default(), ground: ground.clone() }
    }

    pub fn net(&self) -> Arc<dyn Net> {
        self.ground.net()
    }

    /// Randomness of one life of its process.
    pub fn entropy(&self) -> Arc<dyn Entropy> {
        let life = self.boots.fetch_add(1, Ordering::Relaxed);
        Arc::new(entropy(self.ground.seed, &format!("{}/{life}", self.name)))
    }
}

/// A member of the replica set.
#[derive(Clone)]
pub struct MemberHost {
    pub host: Host,
    pub disk: SimDisk,
    settings: Arc<Settings>,
    witness: Witness,
    me: usize,
    /// The member in its present life.
    inside: Arc<Mutex<Option<Arc<Member>>>>,
}

impl MemberHost {
    pub fn new(me: usize, settings: &Arc<Settings>, witness: &Witness, ground: &Ground) -> Self {
        let host = Host::new(format!("m{me}"), ground);
        let disk = SimDisk::new(Arc::new(entropy(ground.seed, &format!("disk of {}", host.name))));
        let (settings, witness) = (settings.clone(), witness.clone());
        MemberHost { host, disk, settings, witness, me, inside: Arc::default() }
    }

    /// The member, while its process lives.
    pub fn inside(&self) -> Option<Arc<Member>> {
        self.inside.lock().expect("no holder of the lock panics").clone()
    }

    pub fn is_gone(&self) {
        *self.inside.lock().expect("no holder of the lock panics") = None;
    }

    /// The term in which it is the primary, or believes so.
    pub fn primary(&self) -> Option<u64> {
        self.inside()?.with(|_, log| log.primary())
    }

    /// Its process, over and over: a disk that fails ends it, and a supervisor starts it again.
    pub async fn run(self) -> turmoil::Result {
        loop {
            let why = self.live().await;
            self.is_gone();
            tracing::info!(member = self.host.name, why, "the member has died");
            tokio::time::sleep(RESTART).await;
        }
    }

    async fn live(&self) -> String {
        let entropy = self.host.entropy();
        let machine = Machine {
            net: self.host.ground.net(),
            disk: Arc::new(self.disk.reboot()),
            clock: Arc::new(self.host.clock.clone()),
        };
        let (settings, witness) = (self.settings.clone(), self.witness.clone());
        let identity = Identity { me: self.me, settings, entropy, witness };
        let replica = match Replica::recover(identity, machine, LIFETIME_SECS).await {
            Ok(replica) => replica,
            Err(error) => return error.to_string(),
        };
        *self.inside.lock().expect("no holder of the lock panics") = Some(replica.member());
        let listen = (std::net::Ipv4Addr::UNSPECIFIED, MONGO_PORT).into();
        replica.run(listen).await.to_string()
    }
}

/// An application node.
#[derive(Clone)]
pub struct NodeHost {
    pub host: Host,
    pub cluster: Arc<Cluster>,
}

impl NodeHost {
    pub async fn run(self) -> turmoil::Result {
        let clock = Arc::new(self.host.clock.clone());
        let net = self.host.ground.net();
        loop {
            match node::start(&self.cluster, clock.clone(), self.host.entropy(), net.clone()).await {
                Ok(_running) => std::future::pending::<()>().await,
                Err(error) => tracing::info!(node = self.host.name, %error, "the node does not start"),
            }
            tokio::time::sleep(RESTART).await;
        }
    }
}
