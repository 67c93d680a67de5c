//! A Sentinel: watches the master and its replicas, agrees with the others that it is gone, and one of them promotes a
//! replica. <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>
//!
//! As the real ones they agree on who leads a failover (a vote per epoch), not on who the master is: each learns that
//! from the leader's greeting, or not yet. What is simpler: they know each other's addresses from the start and greet
//! each other directly rather than through the servers' channel, and there is one master name.

mod serve;
mod state;
mod watch;

pub use state::SentinelFile;

use crate::address::Address;
use crate::handle::Handle;
use crate::resp::Reply;
use gadwall::net::{Listener, Net};
use gadwall_storage::Entropy;
use state::State;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often it looks at what it knows, as the real one's timer.
const TICK: Duration = Duration::from_millis(100);

/// What a Sentinel is made of.
#[derive(Clone)]
pub struct SentinelOptions {
    pub bind: SocketAddr,
    pub address: Address,
    /// The other Sentinels.
    pub others: Vec<Address>,
    /// `sentinel monitor NAME`.
    pub name: String,
    /// How many must find the master down before one of them acts.
    pub quorum: usize,
    /// `down-after-milliseconds`.
    pub down_after: Duration,
    pub failover_timeout: Duration,
    /// The servers' password (`auth-pass`).
    pub server_password: Option<String>,
    /// Asked of clients and of each other (`requirepass`).
    pub password: Option<String>,
    pub file: SentinelFile,
    pub entropy: Arc<dyn Entropy>,
    pub handle: Handle,
}

/// A Sentinel that listens.
pub struct Sentinel {
    listener: Box<dyn Listener>,
    shared: Arc<Shared>,
}

struct Shared {
    net: Arc<dyn Net>,
    options: SentinelOptions,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sentinel {
    pub async fn bind(net: Arc<dyn Net>, options: SentinelOptions) -> io::Result<Self> {
        let listener = net.bind(options.bind).await?;
        let state = Mutex::new(State::new(&options, Instant::now()));
        Ok(Sentinel { listener, shared: Arc::new(Shared { net, options, state }) })
    }

    /// Runs until it is dropped. What it voted and knows of the master stays in its file.
    pub async fn run(mut self) -> io::Result<()> {
        let mut tasks = JoinSet::new();
        for other in self.shared.options.others.clone() {
            let shared = self.shared.clone();
            tasks.spawn(async move { watch::greet(&shared, &other).await });
        }
        let deciding = self.shared.clone();
        tasks.spawn(async move { decide(&deciding).await });
        loop {
            let (io, _) = self.listener.accept().await?;
            let shared = self.shared.clone();
            tasks.spawn(async move { serve::serve(&shared, io).await });
            while tasks.try_join_next().is_some() {}
        }
    }
}

/// Looks at what is known, ten times a second, and watches whatever server becomes known.
async fn decide(shared: &Arc<Shared>) {
    let mut watchers = JoinSet::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.options.handle.running().await;
        let unwatched = {
            let mut state = shared.state();
            state.decide(Instant::now(), &*shared.options.entropy);
            state.unwatched(Instant::now())
        };
        for server in unwatched {
            let shared = shared.clone();
            watchers.spawn(async move { watch::watch(&shared, &server).await });
        }
    }
}

/// What `is-master-down-by-addr` answers, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Opinion {
    down: bool,
    vote: Option<Vote>,
}

/// For whom a Sentinel voted, and in which epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Vote {
    leader: String,
    epoch: u64,
}

impl Opinion {
    fn reply(&self) -> Reply {
        let (leader, epoch) = self.vote.as_ref().map_or(("*", 0), |vote| (&vote.leader, vote.epoch));
        Reply::Array(vec![Reply::Int(self.down.into()), Reply::bulk(leader), Reply::Int(epoch as i64)])
    }

    fn parse(reply: &Reply) -> Option<Self> {
        let Reply::Array(all) = reply else { return None };
        let [Reply::Int(down), leader, Reply::Int(epoch)] = &all[..] else { return None };
        let vote = match leader.text()? {
            "*" => None,
            leader => Some(Vote { leader: leader.to_owned(), epoch: u64::try_from(*epoch).ok()? }),
        };
        Some(Opinion { down: *down == 1, vote })
    }
}
