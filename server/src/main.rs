//! The `gadwall` binary: reads the command line, sets up logging, and knows which backends there are.

use clap::Parser;
use futures_util::future::BoxFuture;
use gadwall::cli::{self, Backends, Cli, Failure};
use gadwall::config::{Config, LogFormat, StoreKind};
use gadwall::{Backend, Env};
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::mongo::{MongoCluster, MongoOptions, MongoStore};
use gadwall_storage::operate::{Cluster, ClusterStatus, Finding};
use gadwall_storage::redis::{RedisBus, RedisExaminer, RedisOptions, TcpDial};
use gadwall_storage::sled::{OpenError, SledOptions, SledStore};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = cli::default_subcommand(std::env::args_os().collect());
    let cli = Cli::parse_from(args);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return Failure::failed(format!("cannot start: {e}")).report(),
    };
    let status = runtime.block_on(cli::run(cli, Backends { open, examine, cluster }));
    // A thread that is still busy must not keep a server that was told to stop.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    status
}

fn open<'a>(config: &'a Config, env: &'a Env) -> BoxFuture<'a, Result<Backend, Failure>> {
    Box::pin(async move {
        start_logging(config)?;
        let redis = config.redis.as_ref().map(|url| {
            Arc::new(RedisBus::start(RedisOptions::new(url.clone(), Arc::new(TcpDial), env.entropy.clone())))
        });
        let mut backend = open_store(config, env, redis.clone()).await?;
        if let Some(redis) = redis {
            backend.counters = redis;
        }
        Ok(backend)
    })
}

/// The store, and where nodes on it tell of themselves if there may be several.
async fn open_store(config: &Config, env: &Env, redis: Option<Arc<RedisBus>>) -> Result<Backend, Failure> {
    let (clock, entropy) = (env.clock.clone(), env.entropy.clone());
    match config.store {
        StoreKind::Memory => Ok(Backend::alone(Arc::new(MemoryStore::new(clock, entropy)))),
        StoreKind::Mongodb => {
            let mut options = mongo_options(config, env);
            if let Some(redis) = redis {
                options.lookups = Some(redis.clone());
                options.bus = Some(redis);
            }
            options.mistakes.commits_early = acknowledges_early();
            let opened = MongoStore::open(options).await;
            let store = Arc::new(
                opened.map_err(|e| Failure::failed(format!("{e}; gadwall doctor says what to look at")))?,
            );
            Ok(Backend { presence: Some(store.clone()), ..Backend::alone(store) })
        }
        StoreKind::Sled => {
            let options =
                SledOptions { cache_bytes: config.store_cache_bytes, ..SledOptions::new(clock, entropy) };
            match SledStore::open(&config.data, options) {
                Ok(store) => Ok(Backend::alone(Arc::new(store))),
                Err(e @ OpenError::Held { .. }) => Err(Failure::new(
                    Failure::HELD,
                    format!("{e}; stop that one, or give this one another directory with --data DIR"),
                )),
                Err(e) => Err(Failure::failed(e.to_string())),
            }
        }
    }
}

/// What `gadwall doctor` has to know of the backends.
fn examine<'a>(config: &'a Config, env: &'a Env) -> BoxFuture<'a, Vec<Finding>> {
    Box::pin(async move {
        let mut findings = match config.store {
            StoreKind::Memory => {
                vec![Finding::ok("store", "in memory: nothing is kept when the process ends")]
            }
            StoreKind::Sled => vec![cli::store_on_disk(config, SledStore::is_held(&config.data))],
            StoreKind::Mongodb => match MongoCluster::connect(&mongo_options(config, env)).await {
                Ok(cluster) => cluster.examine().await,
                Err(e) => vec![Finding::fail("MongoDB", e.to_string(), "correct mongodb-uri")],
            },
        };
        match redis_examiner(config, env) {
            Some(redis) => findings.extend(redis.examine().await),
            None if config.store == StoreKind::Mongodb => findings.push(Finding::warn(
                "Redis",
                "none: nodes look for changes once a second and count log-ins each for itself",
                "set redis",
            )),
            None => {}
        }
        findings
    })
}

fn cluster<'a>(config: &'a Config, env: &'a Env) -> BoxFuture<'a, Result<Arc<dyn Cluster>, Failure>> {
    Box::pin(async move {
        if config.store != StoreKind::Mongodb {
            return Err(Failure::new(
                Failure::USAGE,
                "this store belongs to one node and needs no preparing: a cluster has store = \"mongodb\"",
            ));
        }
        let database = MongoCluster::connect(&mongo_options(config, env)).await;
        let database = database.map_err(|e| Failure::new(Failure::USAGE, e.to_string()))?;
        Ok(Arc::new(Parts { database, redis: redis_examiner(config, env) }) as _)
    })
}

/// What several nodes share.
struct Parts {
    database: MongoCluster,
    redis: Option<RedisExaminer>,
}

#[async_trait::async_trait]
impl Cluster for Parts {
    async fn prepare(&self) -> gadwall_storage::Result<Vec<String>> {
        self.database.prepare().await
    }

    async fn status(&self) -> gadwall_storage::Result<ClusterStatus> {
        let hints = match &self.redis {
            Some(redis) => Some(redis.status().await),
            None => None,
        };
        Ok(ClusterStatus { hints, ..self.database.status().await? })
    }
}

fn redis_examiner(config: &Config, env: &Env) -> Option<RedisExaminer> {
    let url = config.redis.clone()?;
    Some(RedisExaminer::new(url, Arc::new(TcpDial), env.entropy.clone()))
}

fn mongo_options(config: &Config, env: &Env) -> MongoOptions {
    let (clock, entropy) = (env.clock.clone(), env.entropy.clone());
    MongoOptions::new(&config.mongodb_uri, &config.mongodb_database, clock, entropy)
}

/// The control of `deploy/drill --unsafe`, which has to find the losses. No setting, so that nobody sets it.
fn acknowledges_early() -> bool {
    let is_unsafe = std::env::var_os("GADWALL_UNSAFE_ACK").is_some_and(|value| value == "1");
    if is_unsafe {
        tracing::warn!("GADWALL_UNSAFE_ACK: mail is acknowledged before it is stored, and will be lost");
    }
    is_unsafe
}

fn start_logging(config: &Config) -> Result<(), Failure> {
    // The HTML parser warns of what it finds in mail: senders must not be able to fill the log. What the operator says
    // comes later and wins.
    let filter = EnvFilter::try_new(format!("html5ever=error,{}", config.log))
        .map_err(|e| Failure::new(Failure::USAGE, format!("log: {:?}: {e}", config.log)))?;
    // Colours are for people: a file or the journal would get escape codes.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
