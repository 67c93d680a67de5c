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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Trace, TurmoilNet};
    use gadwall::net::Net;
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Who is the master as each Sentinel says, and the role of each server with the state of its link.
    type Picture = Arc<Mutex<(Vec<String>, Vec<String>)>>;

    async fn ask(at: &Address, words: &str) -> String {
        let asking = async {
            let mut io = TurmoilNet.dial(&at.host, at.port).await?;
            let words: Vec<String> =
                words.split(' ').map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
            io.write_all(format!("*{}\r\n{}", words.len(), words.concat()).as_bytes()).await?;
            let mut answer = vec![0; 4096];
            let count = io.read(&mut answer).await?;
            io::Result::Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
        };
        tokio::time::timeout(DOWN_AFTER, asking).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    async fn look(picture: Picture) -> turmoil::Result {
        loop {
            let (mut masters, mut roles) = (Vec::new(), Vec::new());
            for n in 0..SENTINELS {
                let answer = ask(&sentinel(n), &format!("SENTINEL master {NAME}")).await;
                // Name, ip, port, num-slaves: each a length and a text.
                let words: Vec<&str> = answer.split("\r\n").collect();
                masters.push(format!("{} {}", words.get(8).unwrap_or(&""), words.get(16).unwrap_or(&"")));
            }
            for n in 0..SERVERS {
                let answer = ask(&server(n), "INFO").await;
                let value =
                    |name| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                roles.push(format!("{} {}", value("role:"), value("master_link_status:")));
            }
            *picture.lock().expect("no holder of the lock panics") = (masters, roles);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    struct World {
        sim: turmoil::Sim<'static>,
        picture: Picture,
    }

    impl World {
        fn new(ground: &Ground) -> (Self, Vec<Handle>) {
            let mut sim = turmoil::Builder::new()
                .rng_seed(ground.seed)
                .tick_duration(Duration::from_millis(5))
                .simulation_duration(Duration::from_secs(600))
                .build();
            let mut handles = Vec::new();
            for server in servers(ground) {
                handles.push(server.handle.clone());
                sim.host(server.host.name.clone(), move || server.clone().run());
            }
            for sentinel in sentinels(ground) {
                handles.push(sentinel.handle.clone());
                sim.host(sentinel.host.name.clone(), move || sentinel.clone().run());
            }
            let picture = Picture::default();
            sim.client("probe", look(picture.clone()));
            (World { sim, picture }, handles)
        }

        /// Goes on until all Sentinels say so, and the servers are so; how long that takes.
        fn until(&mut self, master: &str, roles: [&str; SERVERS]) -> Duration {
            let begin = self.sim.elapsed();
            loop {
                let seen = self.picture.lock().expect("no holder of the lock panics").clone();
                if seen.0 == vec![master; SENTINELS] && seen.1 == roles {
                    return self.sim.elapsed() - begin;
                }
                assert!(
                    self.sim.elapsed() - begin < Duration::from_secs(60),
                    "{seen:?}, not {master} {roles:?}"
                );
                self.sim.step().expect("no host fails");
            }
        }
    }

    fn failover(seed: u64) {
        let (mut world, handles) = World::new(&Ground::new(seed, Trace::default()));
        world.until("r0 1", ["master ", "slave up"]);
        world.sim.crash("r0");
        assert!(world.until("r1 1", [" ", "master "]) > DOWN_AFTER, "not before it is missed");
        world.sim.crash("s0");
        world.sim.bounce("s0");
        world.until("r1 1", [" ", "master "]);
        world.sim.bounce("r0");
        world.until("r1 1", ["master ", "master "]);
        let contradicted = world.until("r1 1", ["slave up", "master "]);
        assert!(contradicted > Duration::from_secs(7), "it believes for {contradicted:?}");
        // It follows after a restart too, and so all over again.
        world.sim.crash("r0");
        world.sim.bounce("r0");
        world.until("r1 1", ["slave up", "master "]);
        world.sim.crash("r1");
        world.until("r0 1", ["master ", " "]);
        assert!(handles.iter().all(|handle| handle.refused().is_empty()), "all that is asked is simulated");
    }

    #[test]
    fn a_master_that_dies_is_replaced_and_follows_when_it_is_back() {
        (0..4).for_each(failover);
    }

    #[test]
    fn nodes_are_told_of_all_sentinels() {
        assert_eq!(url(), "redis+sentinel://s0:26379,s1:26379,s2:26379/mail");
    }
}
