//! Simulated servers and Sentinels on loopback ports.

use crate::redis_servers::{free_port, say, until};
use crate::redis_suite::{Cluster as AnyCluster, Redis};
use gadwall::net::TokioNet;
use gadwall_sim_redis::{Address, ConfigFile, Handle, SentinelFile, SentinelOptions, ServerOptions};
use gadwall_storage::{Entropy, SeededEntropy, SystemClock};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A server's process, which can be ended and begun again.
pub struct Server {
    pub options: ServerOptions,
    task: JoinHandle<()>,
}

impl Server {
    pub fn options(port: u16) -> ServerOptions {
        ServerOptions {
            bind: (Ipv4Addr::LOCALHOST, port).into(),
            address: local(port),
            password: None,
            min_replicas: 0,
            config: ConfigFile::default(),
            clock: Arc::new(SystemClock),
            entropy: entropy(port),
            handle: Handle::default(),
        }
    }

    /// `None` when the port is taken.
    pub async fn with(options: ServerOptions) -> Option<Self> {
        let server = gadwall_sim_redis::Server::bind(Arc::new(TokioNet), options.clone()).await.ok()?;
        let task = tokio::spawn(async { server.run().await.expect("it accepts") });
        Some(Server { options, task })
    }

    /// On a free port, with other options than usual.
    pub async fn but(change: impl Fn(&mut ServerOptions)) -> Self {
        loop {
            let mut options = Self::options(free_port());
            change(&mut options);
            if let Some(server) = Self::with(options).await {
                return server;
            }
        }
    }

    pub fn handle(&self) -> &Handle {
        &self.options.handle
    }

    /// Another process in the place of one that was killed: it reads its configuration, and knows nothing else.
    pub async fn restart(&mut self) {
        let options = self.options.clone();
        *self = until("the port to be free", async || Self::with(options.clone()).await).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        if !std::thread::panicking() {
            assert_eq!(self.handle().refused(), [""; 0], "all that was asked is simulated");
        }
    }
}

impl Redis for Server {
    type Cluster = Cluster;

    async fn start() -> Self {
        Self::but(|_| {}).await
    }

    async fn start_with_password(password: &str) -> Self {
        Self::but(|options| options.password = Some(password.to_owned())).await
    }

    async fn start_on(port: u16) -> Option<Self> {
        Self::with(Self::options(port)).await
    }

    fn port(&self) -> u16 {
        self.options.bind.port()
    }

    fn stop(&self) {
        self.handle().stop();
    }

    fn resume(&self) {
        self.handle().resume();
    }

    fn kill(&mut self) {
        self.task.abort();
    }
}

pub struct Cluster {
    pub master: Server,
    pub replica: Server,
    pub sentinels: Vec<SentinelOptions>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if !std::thread::panicking() {
            for sentinel in &self.sentinels {
                assert_eq!(sentinel.handle.refused(), [""; 0], "all that was asked is simulated");
            }
        }
    }
}

impl AnyCluster for Cluster {
    type Server = Server;

    async fn start(name: &str) -> Self {
        let master = Server::start().await;
        let config = || ConfigFile::replica_of(local(master.port()));
        let replica = Server::but(|options| options.config = config()).await;
        until("the replica to follow", async || {
            let status = crate::redis_servers::info(&replica.url(), "master_link_status").await;
            status.filter(|status| status == "up")
        })
        .await;
        let (sentinels, tasks) = loop {
            if let Some(started) = sentinels(name, &master).await {
                break started;
            }
        };
        for sentinel in &sentinels {
            // A master that dies before it has named its replicas has no successor.
            until("the sentinels to know the replica", async || knows_a_replica(sentinel, name).await).await;
        }
        Cluster { master, replica, sentinels, tasks }
    }

    fn master(&mut self) -> &mut Server {
        &mut self.master
    }

    fn replica(&self) -> &Server {
        &self.replica
    }

    fn url(&self, name: &str) -> String {
        let all: Vec<_> = self.sentinels.iter().map(|s| s.address.to_string()).collect();
        format!("redis+sentinel://{}/{name}", all.join(","))
    }
}

async fn knows_a_replica(sentinel: &SentinelOptions, name: &str) -> Option<()> {
    let url = format!("redis://{}", sentinel.address);
    let master: BTreeMap<String, String> = say(&url, &format!("SENTINEL master {name}")).await?;
    (master["num-slaves"] == "1").then_some(())
}

/// Three of them; none when a port was taken.
async fn sentinels(name: &str, master: &Server) -> Option<(Vec<SentinelOptions>, Vec<JoinHandle<()>>)> {
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let (mut all, mut tasks) = (Vec::new(), Vec::new());
    for port in &ports {
        let options = SentinelOptions {
            bind: (Ipv4Addr::LOCALHOST, *port).into(),
            address: local(*port),
            others: ports.iter().filter(|other| *other != port).map(|other| local(*other)).collect(),
            name: name.to_owned(),
            quorum: 2,
            down_after: Duration::from_millis(1500),
            failover_timeout: Duration::from_secs(5),
            server_password: None,
            password: None,
            file: SentinelFile::monitor(local(master.port())),
            entropy: entropy(*port),
            handle: Handle::default(),
        };
        let sentinel = gadwall_sim_redis::Sentinel::bind(Arc::new(TokioNet), options.clone()).await.ok()?;
        tasks.push(tokio::spawn(async { sentinel.run().await.expect("it accepts") }));
        all.push(options);
    }
    Some((all, tasks))
}

pub fn local(port: u16) -> Address {
    Address::new("127.0.0.1", port)
}

fn entropy(seed: u16) -> Arc<dyn Entropy> {
    Arc::new(SeededEntropy::new(seed.into()))
}
