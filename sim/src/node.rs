//! A Gadwall node on a simulated host.

use gadwall::auth::PasswordCost;
use gadwall::config::{Config, Settings};
use gadwall::net::Net;
use gadwall::run::{self, Running};
use gadwall::{Backend, Env};
use gadwall_storage::contract::faults::{Fault, with_fault};
use gadwall_storage::mongo::{Mistakes, MongoOptions, MongoStore};
use gadwall_storage::redis::{Dial, RedisBus, RedisOptions, Stream};
use gadwall_storage::{Clock, Entropy, Maintenance};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Where every simulated node listens: SMTP, IMAP, POP3, HTTP.
pub const PORTS: [u16; 4] = [1025, 1143, 1110, 8025];

/// Where they take mail from other servers.
pub const MX_PORT: u16 = 2525;

/// What lets the operator make accounts as he likes.
pub const API_KEY: &str = "operator-of-the-simulation";

/// How nodes clean up, in runs that are long enough to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// Between two sweeps of a node. The program's own pauses are longer when it finds another node at it.
    pub every: Duration,
    pub garbage_age: Duration,
    pub lease: Duration,
}

/// What the nodes of a cluster share.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub mongodb_uri: String,
    pub redis_url: String,
    /// The host whose PROXY headers are believed.
    pub balancer: String,
    /// What is wrong with the store: a control.
    pub mistakes: Mistakes,
    /// What is wrong with the store that engines are given: a control.
    pub fault: Fault,
    pub upkeep: Option<Upkeep>,
    /// The account that gets what is sent without a login, with its password, once a node has started and told.
    pub catchall: Arc<OnceLock<(String, String)>>,
}

/// The network of the database of hints.
struct SimDial(Arc<dyn Net>);

#[async_trait::async_trait]
impl Dial for SimDial {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Stream> {
        Ok(Box::new(self.0.dial(host, port).await?))
    }
}

impl Cluster {
    /// Its store as a node opens it.
    pub fn options(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> MongoOptions {
        let mut options = MongoOptions::new(&self.mongodb_uri, "gadwall", clock, entropy);
        options.mistakes = self.mistakes;
        if let Some(upkeep) = self.upkeep {
            options.garbage_age = upkeep.garbage_age;
            options.lease = upkeep.lease;
        }
        options
    }
}

/// Starts a node on the simulated host that this is called on, over any store. It runs until its host goes.
/// `balancer`: the host whose PROXY headers are believed.
pub async fn serve(
    backend: Backend,
    balancer: Option<&str>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    net: &dyn Net,
) -> Result<Running, Box<dyn std::error::Error>> {
    let [smtp, imap, pop3, http] = PORTS;
    let proxy = balancer.map(|host| format!("proxy-from = \"{}\"\n", turmoil::lookup(host)));
    // The store that is named is only there to be read: another is handed in.
    let settings = Settings::from_toml(&format!(
        "data = \"/nowhere\"\nstore = \"memory\"\nsmtp = \"0.0.0.0:{smtp}\"\nimap = \"0.0.0.0:{imap}\"\n\
         pop3 = \"0.0.0.0:{pop3}\"\nhttp = \"0.0.0.0:{http}\"\nmx = \"0.0.0.0:{MX_PORT}\"\n\
         accept-anything = true\napi-key = \"{API_KEY}\"\n{}",
        proxy.unwrap_or_default()
    ))?;
    let env = Env::inline(clock, entropy).with_password_cost(PasswordCost::LEAST);
    Ok(run::start(Config::resolve(settings)?, backend, env, net).await?)
}

/// Starts a node of a cluster, on its store and Redis as `gadwall`'s own `main` opens them.
pub async fn start(
    cluster: &Cluster,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    net: Arc<dyn Net>,
) -> Result<Running, Box<dyn std::error::Error>> {
    let redis =
        RedisOptions::new(cluster.redis_url.parse()?, Arc::new(SimDial(net.clone())), entropy.clone());
    let redis = Arc::new(RedisBus::start(redis));
    let mut options = cluster.options(clock.clone(), entropy.clone());
    options.bus = Some(redis.clone());
    options.lookups = Some(redis.clone());
    let store = Arc::new(MongoStore::open(options).await?);
    if let Some(upkeep) = cluster.upkeep {
        tokio::spawn(sweep(store.clone(), upkeep.every));
    }
    let faulty = with_fault(store.clone(), cluster.fault, entropy.clone());
    let backend =
        Backend { presence: Some(store.clone()), counters: redis, store: faulty, ..Backend::alone(store) };
    let running = serve(backend, Some(&cluster.balancer), clock, entropy, &*net).await?;
    if let Some((address, password)) = &running.catchall {
        cluster.catchall.get_or_init(|| (address.to_string(), password.clone()));
    }
    Ok(running)
}

/// Sweeps beside the node's own sweeper, and as often as the run wants it.
async fn sweep(store: Arc<MongoStore>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = store.sweep().await {
            tracing::debug!(%error, "expiry had to be put off");
        }
    }
}
