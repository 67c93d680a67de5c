//! The Redis of the world: a master, its replica, and the Sentinels that choose between them.
//!
//! Servers keep nothing but whom they follow, Sentinels what they voted and which master they know: the rest ends with
//! the process, as with deploy/redis/.

use super::hosts::{Ground, Host, RESTART};
use crate::seed::stream;
use gadwall_sim_redis::{
    Address, ConfigFile, Handle, Sentinel, SentinelFile, SentinelOptions, Server, ServerOptions,
};
use rand::RngExt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

const SERVERS: usize = 2;
const SENTINELS: usize = 3;
/// Where servers listen.
const REDIS_PORT: u16 = 6379;
/// Where Sentinels listen.
const SENTINEL_PORT: u16 = 26379;
/// `sentinel monitor NAME`.
const NAME: &str = "mail";
const QUORUM: usize = 2;
/// `down-after-milliseconds` and `failover-timeout` as deploy/redis/sentinel.conf has them.
const DOWN_AFTER: Duration = Duration::from_secs(2);
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(10);

/// How nodes are told of it.
pub fn url() -> String {
    let sentinels: Vec<String> = (0..SENTINELS).map(|n| sentinel(n).to_string()).collect();
    format!("redis+sentinel://{}/{NAME}", sentinels.join(","))
}

/// All servers of a world.
pub fn servers(ground: &Ground) -> Vec<RedisHost> {
    // Each setting has failures of its own. Without it a master that was cut off takes writes that will be lost; with
    // it, as deploy/redis/redis.conf has it, a master that is alone refuses even to forget.
    let min_replicas = stream(ground.seed, "redis").random_range(0..SERVERS);
    (0..SERVERS).map(|me| RedisHost::new(me, min_replicas, ground)).collect()
}

/// All Sentinels of a world.
pub fn sentinels(ground: &Ground) -> Vec<SentinelHost> {
    (0..SENTINELS).map(|me| SentinelHost::new(me, ground)).collect()
}

fn server(n: usize) -> Address {
    Address::new(format!("r{n}"), REDIS_PORT)
}

fn sentinel(n: usize) -> Address {
    Address::new(format!("s{n}"), SENTINEL_PORT)
}

/// A Redis server.
#[derive(Clone)]
pub struct RedisHost {
    pub host: Host,
    pub handle: Handle,
    config: ConfigFile,
    address: Address,
    min_replicas: usize,
}

impl RedisHost {
    /// The first one leads until Sentinels say otherwise.
    fn new(me: usize, min_replicas: usize, ground: &Ground) -> Self {
        let address = server(me);
        let config = if me == 0 { ConfigFile::default() } else { ConfigFile::replica_of(server(0)) };
        let host = Host::new(address.host.clone(), ground);
        RedisHost { host, handle: Handle::default(), config, address, min_replicas }
    }

    /// Its process, over and over.
    pub async fn run(self) -> turmoil::Result {
        loop {
            let ended = self.live().await;
            tracing::info!(server = self.host.name, ?ended, "the Redis server has died");
            tokio::time::sleep(RESTART).await;
        }
    }

    async fn live(&self) -> io::Result<()> {
        let options = ServerOptions {
            bind: (Ipv4Addr::UNSPECIFIED, REDIS_PORT).into(),
            address: self.address.clone(),
            password: None,
            min_replicas: self.min_replicas,
            config: self.config.clone(),
            clock: Arc::new(self.host.clock.clone()),
            entropy: self.host.entropy(),
            handle: self.handle.clone(),
        };
        Server::bind(self.host.net(), options).await?.run().await
    }
}

/// A Sentinel.
#[derive(Clone)]
pub struct SentinelHost {
    pub host: Host,
    pub handle: Handle,
    file: SentinelFile,
    me: usize,
}

impl SentinelHost {
    fn new(me: usize, ground: &Ground) -> Self {
        let host = Host::new(sentinel(me).host, ground);
        SentinelHost { host, handle: Handle::default(), file: SentinelFile::monitor(server(0)), me }
    }

    /// Its process, over and over.
    pub async fn run(self) -> turmoil::Result {
        loop {
            let ended = self.live().await;
            tracing::info!(sentinel = self.host.name, ?ended, "the Sentinel has died");
            tokio::time::sleep(RESTART).await;
        }
    }

    async fn live(&self) -> io::Result<()> {
        let options = SentinelOptions {
            bind: (Ipv4Addr::UNSPECIFIED, SENTINEL_PORT).into(),
            address: sentinel(self.me),
            others: (0..SENTINELS).filter(|n| *n != self.me).map(sentinel).collect(),
            name: NAME.to_owned(),
            quorum: QUORUM,
            down_after: DOWN_AFTER,
            failover_timeout: FAILOVER_TIMEOUT,
            server_password: None,
            password: None,
            file: self.file.clone(),
            entropy: self.host.entropy(),
            handle: self.handle.clone(),
        };
        Sentinel::bind(self.host.net(), options).await?.run().await
    }
}
