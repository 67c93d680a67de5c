//! A server's process: what it is made of, and its tasks.

use crate::address::Address;
use crate::client;
use crate::handle::Handle;
use crate::replication;
use crate::state::State;
use gadwall::net::{Listener, Net};
use gadwall_storage::{Clock, Entropy};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// What CONFIG REWRITE leaves for the next process: whom to follow. Clones are the same file.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile(Arc<Mutex<Option<Address>>>);

impl ConfigFile {
    pub fn replica_of(master: Address) -> Self {
        ConfigFile(Arc::new(Mutex::new(Some(master))))
    }

    pub(crate) fn read(&self) -> Option<Address> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn write(&self, master: Option<Address>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = master;
    }
}

/// What a server is made of.
#[derive(Clone)]
pub struct ServerOptions {
    pub bind: SocketAddr,
    /// How others reach it (`replica-announce-ip`).
    pub address: Address,
    /// Asked of clients, and given to masters.
    pub password: Option<String>,
    /// `min-replicas-to-write`, with a `min-replicas-max-lag` of two seconds as in deploy/redis/redis.conf.
    pub min_replicas: usize,
    pub config: ConfigFile,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub handle: Handle,
}

/// A server that listens.
pub struct Server {
    listener: Box<dyn Listener>,
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub net: Arc<dyn Net>,
    pub options: ServerOptions,
    /// Tells the task that copies whom to copy; changed together with the state.
    pub master: watch::Sender<Option<Address>>,
    state: Mutex<State>,
}

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    pub async fn bind(net: Arc<dyn Net>, options: ServerOptions) -> io::Result<Self> {
        let listener = net.bind(options.bind).await?;
        let master = options.config.read();
        let state = State::new(run_id(&*options.entropy), master.clone());
        let (master, state) = (watch::Sender::new(master), Mutex::new(state));
        Ok(Server { listener, shared: Arc::new(Shared { net, options, master, state }) })
    }

    /// Runs until it is dropped: with it ends all that it started, and all that it knew.
    pub async fn run(mut self) -> io::Result<()> {
        let mut tasks = JoinSet::new();
        let (following, pinging) = (self.shared.clone(), self.shared.clone());
        tasks.spawn(async move { replication::follow(&following).await });
        tasks.spawn(async move { ping(&pinging).await });
        loop {
            let (io, _) = self.listener.accept().await?;
            let shared = self.shared.clone();
            tasks.spawn(async move { client::serve(&shared, io).await });
            while tasks.try_join_next().is_some() {}
        }
    }
}

/// Lets replicas hear that the master lives, and of what has expired.
async fn ping(shared: &Shared) {
    let mut ticks = interval(replication::PING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.options.handle.running().await;
        let lag = shared.options.handle.lag();
        let mut state = shared.state();
        if state.master.is_none() {
            state.expire(shared.options.clock.now(), lag);
            // Nobody is pinged who isn't there, and the stream stands still.
            if state.replicas().next().is_some() {
                state.propagate(&[b"PING"], lag);
            }
        }
    }
}

/// Forty hexadecimal digits, as the real one's.
pub(crate) fn run_id(entropy: &dyn Entropy) -> String {
    entropy.bytes::<20>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `min-replicas-max-lag`.
pub(crate) const MAX_LAG: Duration = Duration::from_secs(2);
