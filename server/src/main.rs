//! The `gadwall` binary: reads the command line, sets up logging, and knows which backends there are.

use clap::Parser;
use gadwall::cli::{self, Cli, Failure};
use gadwall::config::{Config, LogFormat, StoreKind};
use gadwall::{Backend, Env};
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::redis::{RedisBus, RedisOptions, TcpDial};
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
    let status = runtime.block_on(cli::run(cli, open));
    // A thread that is still busy must not keep a server that was told to stop.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    status
}

fn open(config: &Config, env: &Env) -> Result<Backend, Failure> {
    start_logging(config)?;
    let mut backend = open_store(config, env)?;
    if let Some(url) = &config.redis {
        let options = RedisOptions::new(url.clone(), Arc::new(TcpDial), env.entropy.clone());
        backend.counters = Arc::new(RedisBus::start(options));
    }
    Ok(backend)
}

fn open_store(config: &Config, env: &Env) -> Result<Backend, Failure> {
    let (clock, entropy) = (env.clock.clone(), env.entropy.clone());
    match config.store {
        StoreKind::Memory => Ok(Backend::alone(Arc::new(MemoryStore::new(clock, entropy)))),
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

fn start_logging(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.log)
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
