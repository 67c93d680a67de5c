//! Whose is an address? What each login and each RCPT asks a store on MongoDB, with what it remembers and without
//! (docs/adr/0006). Measures the store, not the server.

use crate::cluster::{Database, Redis};
use crate::report::Report;
use crate::scenario::cluster;
use crate::server::Place;
use gadwall_storage::mongo::{MongoOptions, MongoStore};
use gadwall_storage::redis::{RedisBus, RedisOptions, TcpDial};
use gadwall_storage::{
    AccountId, Address, Credentials, Directory, HintBus, LocalLookups, Lookups, NewAccount, OpId,
    ScramVerifier, SystemClock, SystemEntropy,
};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often each way has its turn.
const ROUNDS: usize = 5;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub on: cluster::Args,
    /// Accounts that are looked up
    #[arg(long, default_value_t = 500)]
    pub accounts: usize,
}

/// What is remembered when an address is looked up.
#[derive(Clone, Copy)]
enum Memory {
    None,
    Node,
    /// Another node has looked all of them up, this one none.
    RedisOnly,
    /// Nobody has looked any of them up.
    RedisEmpty,
}

const WAYS: [(Memory, &str); 4] = [
    (Memory::None, "nothing remembered"),
    (Memory::Node, "remembered by this node"),
    (Memory::RedisOnly, "remembered by Redis only"),
    (Memory::RedisEmpty, "first look-up of all, with Redis"),
];

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> io::Result<()> {
    let database = Database::start(place, &args.on).await?;
    let redis = Redis::start(place).await?;
    report.condition(&database.about);
    let addresses = accounts(&database, args.accounts).await?;
    for at_once in [1, args.on.connections] {
        let mut times = [Duration::ZERO; WAYS.len()];
        for _ in 0..ROUNDS {
            for (time, (memory, _)) in times.iter_mut().zip(WAYS) {
                let lookups = remembering(memory, &database, &redis, &addresses).await?;
                let store = Arc::new(open(&database, lookups).await?);
                if !matches!(memory, Memory::RedisOnly | Memory::RedisEmpty) {
                    // For all ways that have it: connections, and the memory of this node.
                    look_up(&store, &addresses, at_once).await?;
                } else {
                    store.addresses(AccountId([0; 12])).await.err();
                }
                *time += look_up(&store, &addresses, at_once).await?;
            }
        }
        let name = format!("look-ups of {} addresses, {at_once} at once", addresses.len());
        let rates = times.map(|time| (ROUNDS * addresses.len()) as f64 / time.as_secs_f64());
        for (rate, (_, what)) in rates.iter().zip(WAYS) {
            report.add(&name, what, *rate, "/s");
            report.add(&name, format!("{what}, by nothing remembered"), rate / rates[0], "");
        }
    }
    database.clear().await
}

async fn open(database: &Database, lookups: Option<Arc<dyn Lookups>>) -> io::Result<MongoStore> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let options = MongoOptions::new(&database.uri, &database.name, clock, entropy);
    MongoStore::open(MongoOptions { lookups, ..options }).await.map_err(io::Error::other)
}

/// A memory in the state that a way begins with.
async fn remembering(
    memory: Memory,
    database: &Database,
    redis: &Redis,
    addresses: &[Address],
) -> io::Result<Option<Arc<dyn Lookups>>> {
    match memory {
        Memory::None => return Ok(None),
        Memory::Node => return Ok(Some(Arc::new(LocalLookups::default()))),
        Memory::RedisOnly => {
            let other = Arc::new(open(database, Some(node(redis).await?)).await?);
            look_up(&other, addresses, 1).await?;
        }
        Memory::RedisEmpty => redis.flush().await?,
    }
    Ok(Some(node(redis).await?))
}

/// A node's own connection to Redis, up.
async fn node(redis: &Redis) -> io::Result<Arc<RedisBus>> {
    let url = redis.url.parse().map_err(io::Error::other)?;
    let bus = RedisBus::start(RedisOptions::new(url, Arc::new(TcpDial), Arc::new(SystemEntropy)));
    while !bus.is_up() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(Arc::new(bus))
}

async fn accounts(database: &Database, count: usize) -> io::Result<Vec<Address>> {
    let store = open(database, None).await?;
    let mut all = Vec::with_capacity(count);
    for n in 0..count {
        let address = Address::parse(&format!("user{n}@bench.example")).map_err(io::Error::other)?;
        let new = NewAccount {
            id: AccountId::mint(&SystemClock, &SystemEntropy),
            address: address.clone(),
            name: String::new(),
            credentials: Credentials {
                password_hash: "x".repeat(100),
                scram_sha_256: ScramVerifier {
                    salt: vec![0; 16],
                    iterations: 4096,
                    stored_key: [0; 32],
                    server_key: [0; 32],
                },
            },
            quota_bytes: 1 << 30,
            expires_at: None,
            retention_secs: None,
            mailboxes: Vec::new(),
        };
        store.create_account(OpId::mint(&SystemEntropy), new).await.map_err(io::Error::other)?;
        all.push(address);
    }
    Ok(all)
}

/// Looks each up once.
async fn look_up(store: &Arc<MongoStore>, addresses: &[Address], at_once: usize) -> io::Result<Duration> {
    let began = Instant::now();
    let parts = addresses.chunks(addresses.len().div_ceil(at_once));
    let tasks: Vec<_> = parts
        .map(|part| {
            let (store, part) = (store.clone(), part.to_vec());
            tokio::spawn(async move {
                for address in &part {
                    store.account_by_address(address).await.map_err(io::Error::other)?;
                }
                io::Result::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(began.elapsed())
}
