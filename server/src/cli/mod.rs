//! The command line: subcommands, what they print, and their exit status.
//!
//! It deliberately knows no backend: `main.rs` hands in how a store is opened.

mod account;
mod args;
mod backends;
mod banner;
mod cluster;
mod config;
mod descriptors;
mod doctor;
mod exit;
mod readyz;
mod runfile;
mod serve;
mod stdio;

pub use args::{
    AccountCommand, Cli, ClusterCommand, Command, ConfigCommand, DoctorArgs, NewAccountArgs, ReadyzArgs,
    StatusArgs, default_subcommand,
};
pub use backends::{Backends, Examine, OpenCluster, OpenStore};
pub use doctor::store_on_disk;
pub use exit::Failure;

use crate::Env;
use crate::config::{Config, Settings};
use crate::net::TokioNet;
use crate::sendmail;
use gadwall_storage::{SystemClock, SystemEntropy};
use std::process::ExitCode;
use std::sync::Arc;

/// Runs a command to its end.
pub async fn run(cli: Cli, backends: Backends) -> ExitCode {
    let done = match cli.command {
        Some(Command::Sendmail(args)) => return sendmail::run(&args, &TokioNet).await,
        Some(Command::Version) => {
            stdio::say(&format!("gadwall {}", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
        command => configured(&cli.settings, cli.config.as_deref(), command, backends).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn configured(
    said: &Settings,
    file: Option<&std::path::Path>,
    command: Option<Command>,
    backends: Backends,
) -> Result<(), Failure> {
    let settings = match file {
        Some(file) => said.clone().over(Settings::from_file(file)?),
        None => said.clone(),
    };
    let config = Config::resolve(settings)?;
    let env = Env::new(Arc::new(SystemClock), Arc::new(SystemEntropy));
    match command {
        None | Some(Command::Serve) => serve::run(config, env, backends.open).await,
        Some(Command::Account(command)) => account::run(&config, &env, backends.open, command).await,
        Some(Command::Readyz(args)) => readyz::run(&config, &args).await,
        Some(Command::Doctor(args)) => doctor::run(&config, &env, &backends, &args).await,
        Some(Command::Cluster(command)) => cluster::run(&config, &env, &backends, command).await,
        Some(Command::Config(ConfigCommand::Check)) => {
            config::check(&config);
            Ok(())
        }
        Some(Command::Sendmail(_) | Command::Version) => unreachable!("handled by the caller"),
    }
}
