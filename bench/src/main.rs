//! Benchmarks of Gadwall: one subcommand a scenario, against the release binary as a user runs it.
//!
//! Every figure is printed with its conditions. Machines are shared and noisy: compare within one run.

#![allow(clippy::disallowed_methods)] // A load generator lives in real time and on real sockets.

mod client;
mod cluster;
mod dovecot;
mod load;
mod mail;
mod report;
mod scenario;
mod server;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "gadwall-bench", version, about = "Benchmarks of Gadwall, one subcommand a scenario")]
struct Cli {
    /// The server to measure
    #[arg(long, global = true, default_value = "target/release/gadwall", value_name = "FILE")]
    binary: PathBuf,
    /// Where to put its store: on the disk to be measured [default: the temporary directory]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Write the figures as JSON too
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// SMTP ingest, each 250 after fsync
    Ingest(scenario::ingest::Args),
    /// IMAP FETCH of a whole mailbox
    Fetch(scenario::fetch::Args),
    /// Memory of an idle server, and of one with idle IMAP connections
    Idle(scenario::idle::Args),
    /// Memory and list page after many messages
    Many(scenario::many::Args),
    /// Time from start to ready
    Startup(scenario::startup::Args),
    /// Nodes on one MongoDB, beside the bare database
    Cluster(scenario::cluster::Args),
    /// What the store remembers of addresses on MongoDB, with Redis and without
    Lookups(scenario::lookups::Args),
    /// Message bodies in the database or in files beside it
    Placement(scenario::placement::Args),
    /// Beside Dovecot, in one run
    Compare(scenario::compare::Args),
    /// Everything of one node but placement with its defaults, and without others beside it
    All,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut place =
        server::Place { binary: cli.binary.clone(), dir: cli.dir.clone(), cores: None, load_cores: None };
    match run(&cli.scenario, &mut place).await {
        Ok(report) => {
            report.print();
            match cli.json.as_deref().map(|file| report.write_json(file)) {
                Some(Err(e)) => fail(&e.to_string()),
                _ => ExitCode::SUCCESS,
            }
        }
        Err(e) => fail(&e.to_string()),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("gadwall-bench: {why}");
    ExitCode::FAILURE
}

async fn run(scenario: &Scenario, place: &mut server::Place) -> std::io::Result<report::Report> {
    let mut report = report::Report::new(place)?;
    if matches!(scenario, Scenario::Compare(_)) {
        place.pin().await?;
    }
    let place = &*place;
    if !matches!(scenario, Scenario::Cluster(_) | Scenario::Lookups(_)) {
        report.condition("sled store, group commit");
    }
    match scenario {
        Scenario::Ingest(args) => scenario::ingest::run(place, args, &mut report).await?,
        Scenario::Fetch(args) => scenario::fetch::run(place, args, &mut report).await?,
        Scenario::Idle(args) => scenario::idle::run(place, args, &mut report).await?,
        Scenario::Many(args) => scenario::many::run(place, args, &mut report).await?,
        Scenario::Startup(args) => scenario::startup::run(place, args, &mut report).await?,
        Scenario::Cluster(args) => scenario::cluster::run(place, args, &mut report).await?,
        Scenario::Lookups(args) => scenario::lookups::run(place, args, &mut report).await?,
        Scenario::Placement(args) => scenario::placement::run(place, args, &mut report)?,
        Scenario::Compare(args) => scenario::compare::run(place, args, &mut report).await?,
        Scenario::All => {
            scenario::startup::run(place, &Default::default(), &mut report).await?;
            scenario::idle::run(place, &Default::default(), &mut report).await?;
            for size in [4096, 51200] {
                let args = scenario::ingest::Args { size, ..Default::default() };
                scenario::ingest::run(place, &args, &mut report).await?;
            }
            scenario::fetch::run(place, &Default::default(), &mut report).await?;
            scenario::many::run(place, &Default::default(), &mut report).await?;
        }
    }
    Ok(report)
}
