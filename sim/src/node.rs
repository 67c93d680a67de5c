//! A Gadwall node on a simulated host.

use crate::TurmoilNet;
use gadwall::auth::PasswordCost;
use gadwall::config::{Config, Settings};
use gadwall::net::Net;
use gadwall::run::{self, Running};
use gadwall::{Backend, Env};
use gadwall_storage::contract::faults::{Fault, with_fault};
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::mongo::{MongoOptions, MongoStore};
use gadwall_storage::redis::{Dial, RedisBus, RedisOptions, Stream};
use gadwall_storage::{Clock, Entropy, SeededEntropy};
use std::io;
use std::sync::Arc;

/// Where every simulated node listens: SMTP, IMAP, POP3, HTTP.
pub const PORTS: [u16; 4] = [1025, 1143, 1110, 8025];

/// Where they take mail from other servers.
pub const MX_PORT: u16 = 2525;

/// What makes a node of one's own: its store, its clock and its source of randomness.
pub struct Node {
    pub store: Arc<MemoryStore>,
    pub clock: Arc<dyn Clock>,
    pub seed: u64,
}

impl Node {
    /// Starts it on the simulated host that this is called on. It runs until its host goes.
    pub async fn start(self, net: &dyn Net) -> Result<Running, Box<dyn std::error::Error>> {
        let env = Env::inline(self.clock, Arc::new(SeededEntropy::new(self.seed)));
        let config = config("")?;
        Ok(run::start(config, Backend::alone(self.store), env, net).await?)
    }
}

/// What the nodes of a cluster share.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub mongodb_uri: String,
    pub redis_url: Option<String>,
    /// The host whose PROXY headers are believed.
    pub balancer: String,
    /// Mail is acknowledged before it is stored: a control.
    pub unsafe_early_commit: bool,
    /// What is wrong with the store that engines are given: a control.
    pub fault: Fault,
}

/// The network of the database of hints.
struct SimDial;

#[async_trait::async_trait]
impl Dial for SimDial {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Stream> {
        Ok(Box::new(TurmoilNet.dial(host, port).await?))
    }
}

impl Cluster {
    /// Its store as a node opens it.
    pub fn options(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> MongoOptions {
        let mut options = MongoOptions::new(&self.mongodb_uri, "gadwall", clock, entropy);
        options.timing.unsafe_early_commit = self.unsafe_early_commit;
        options
    }
}

/// Starts a node of a cluster on the simulated host that this is called on, as the program does: see `gadwall`'s own
/// `main`. It runs until its host goes.
pub async fn start(
    cluster: &Cluster,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    net: &dyn Net,
) -> Result<Running, Box<dyn std::error::Error>> {
    let bus = match &cluster.redis_url {
        Some(url) => {
            let options = RedisOptions::new(url.parse()?, Arc::new(SimDial), entropy.clone());
            Some(Arc::new(RedisBus::start(options)))
        }
        None => None,
    };
    let mut options = cluster.options(clock.clone(), entropy.clone());
    options.bus = bus.clone().map(|bus| bus as _);
    let store = Arc::new(MongoStore::open(options).await?);
    let faulty = with_fault(store.clone(), cluster.fault, entropy.clone());
    let mut backend = Backend { presence: Some(store.clone()), store: faulty, ..Backend::alone(store) };
    if let Some(bus) = bus {
        backend.counters = bus;
    }
    let balancer = turmoil::lookup(cluster.balancer.as_str());
    let config = config(&format!("proxy-from = \"{balancer}\"\nmx = \"0.0.0.0:{MX_PORT}\"\n"))?;
    let env = Env::inline(clock, entropy).with_password_cost(PasswordCost::LEAST);
    Ok(run::start(config, backend, env, net).await?)
}

/// Settings of a simulated node, whose store is handed in.
fn config(more: &str) -> Result<Config, Box<dyn std::error::Error>> {
    let [smtp, imap, pop3, http] = PORTS;
    let settings = Settings::from_toml(&format!(
        "data = \"/nowhere\"\nstore = \"memory\"\nsmtp = \"0.0.0.0:{smtp}\"\nimap = \"0.0.0.0:{imap}\"\n\
         pop3 = \"0.0.0.0:{pop3}\"\nhttp = \"0.0.0.0:{http}\"\naccept-anything = true\n{more}"
    ))?;
    Ok(Config::resolve(settings)?)
}
