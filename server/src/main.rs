//! The `gadwall` binary: reads the command line, sets up logging, and knows which backends there are.

use clap::Parser;
use gadwall::cli::{self, Cli, Failure};
use gadwall::config::{Config, LogFormat, StoreKind};
use gadwall::{Backend, Env};
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::mongo::{MongoOptions, MongoStore};
use gadwall_storage::redis::{RedisBus, RedisOptions, TcpDial};
use gadwall_storage::sled::{OpenError, SledOptions, SledStore};
use gadwall_storage::{HintBus, MailStore};
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
    let status = runtime.block_on(cli::run(cli, open));
    // A thread that is still busy must not keep a server that was told to stop.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    status
}

fn open(config: &Config, env: &Env) -> Result<Backend, Failure> {
    start_logging(config)?;
    let redis = config.redis.as_ref().map(|url| {
        Arc::new(RedisBus::start(RedisOptions::new(url.clone(), Arc::new(TcpDial), env.entropy.clone())))
    });
    let store = open_store(config, env, redis.clone().map(|redis| redis as Arc<dyn HintBus>))?;
    Ok(match redis {
        None => Backend::alone(store),
        Some(counters) => Backend { store, counters },
    })
}

fn open_store(
    config: &Config,
    env: &Env,
    bus: Option<Arc<dyn HintBus>>,
) -> Result<Arc<dyn MailStore>, Failure> {
    let (clock, entropy) = (env.clock.clone(), env.entropy.clone());
    match config.store {
        StoreKind::Memory => Ok(Arc::new(MemoryStore::new(clock, entropy))),
        StoreKind::Mongodb => {
            let (uri, database) = (&config.mongodb_uri, &config.mongodb_database);
            let mut options = MongoOptions { bus, ..MongoOptions::new(uri, database, clock, entropy) };
            options.timing.unsafe_early_commit = acknowledges_early();
            let open = MongoStore::open(options);
            let opened = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(open));
            opened.map(|store| Arc::new(store) as _).map_err(|e| Failure::failed(e.to_string()))
        }
        StoreKind::Sled => {
            let options =
                SledOptions { cache_bytes: config.store_cache_bytes, ..SledOptions::new(clock, entropy) };
            match SledStore::open(&config.data, options) {
                Ok(store) => Ok(Arc::new(store)),
                Err(e @ OpenError::Held { .. }) => Err(Failure::new(
                    Failure::HELD,
                    format!("{e}; stop that one, or give this one another directory with --data DIR"),
                )),
                Err(e) => Err(Failure::failed(e.to_string())),
            }
        }
    }
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
