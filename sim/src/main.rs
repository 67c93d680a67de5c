//! The simulation's one entry: `sim/run` builds it and hands its arguments on.

use clap::{Args, Parser, Subcommand};
use gadwall_sim::Trace;
use gadwall_sim::campaign::{self, Campaign};
use gadwall_sim::world::{self, Control, Plan, Report};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

/// Documents are many small allocations: this one makes a run a tenth shorter than the C library's does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs Gadwall's cluster in simulated time, does to it what happens to machines, and checks what users were promised.
#[derive(Parser)]
#[command(name = "sim/run", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    run: Run,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct Run {
    /// Run this one, and tell its story if anything is found
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run all of these, each in a process of its own: 0..1000
    #[arg(long, value_parser = range)]
    seeds: Option<Range<u64>>,
    /// How many run at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// How long faults strike, in virtual seconds
    #[arg(long, default_value_t = 30)]
    storm: u64,
    /// With this deliberate mistake: the run has to find something
    #[arg(long)]
    control: Option<Control>,
    /// Nothing goes wrong
    #[arg(long)]
    calm: bool,
    /// Print the report as one line of JSON
    #[arg(long)]
    json: bool,
    /// Print what hosts say, filtered as RUST_LOG would
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Write every byte on the network to this file, for finding where two runs of a seed part
    #[arg(long, value_name = "FILE")]
    trace: Option<std::path::PathBuf>,
    /// Print the whole history
    #[arg(long)]
    history: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Runs seeds twice, in two processes, and compares every byte
    Meta {
        /// These, instead of as many as it takes until each kind of fault has struck
        #[arg(long, value_parser = range)]
        seeds: Option<Range<u64>>,
    },
    /// Runs the seeds that have found something before: regressions/seeds.txt
    Regressions,
    /// Runs every deliberate mistake until it is caught
    Controls {
        /// How many seeds each has at most, instead of five times what it was measured to need
        #[arg(long)]
        at_most: Option<u64>,
        /// Only this one
        #[arg(long)]
        only: Option<Control>,
    },
    /// Runs seeds for hours, in parts, each of which is written down: what is cut off goes on where it was
    Campaign {
        #[arg(long, value_parser = range, default_value = "0..10000")]
        seeds: Range<u64>,
        /// How many run at the same time
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// How many seeds are written down together
        #[arg(long, default_value_t = 250)]
        part: u64,
        /// Where they are written down: a line of JSON for each part
        #[arg(long, value_name = "FILE", default_value = "campaign.jsonl")]
        ledger: std::path::PathBuf,
    },
}

/// What sim/run was built from, as `git describe` says it.
fn commit() -> String {
    std::env::var("GADWALL_SIM_COMMIT").unwrap_or_else(|_| "unknown".to_owned())
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("a range is written 0..1000")?;
    let number = |text: &str| text.parse::<u64>().map_err(|e| format!("{text:?}: {e}"));
    Ok(number(from)?..number(to)?)
}

impl Run {
    fn plan(&self, seed: u64) -> Plan {
        let mut plan = Plan::of_seed(seed);
        plan.storm = Duration::from_secs(self.storm);
        if self.calm {
            plan.swarm = world::Swarm::calm();
        }
        if let Some(control) = self.control {
            plan.control(control);
        }
        plan
    }

    /// What a child process is told beside its seed.
    fn for_child(&self) -> Vec<String> {
        let mut told = vec![format!("--storm={}", self.storm)];
        told.extend(self.control.map(|control| format!("--control={control}")));
        told.extend(self.calm.then(|| "--calm".to_owned()));
        told
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let clean = match arguments.command {
        Some(Command::Meta { seeds }) => campaign::meta(seeds),
        Some(Command::Regressions) => campaign::regressions(campaign::REGRESSIONS),
        Some(Command::Controls { at_most, only }) => campaign::controls(at_most, only),
        Some(Command::Campaign { seeds, jobs, part, ledger }) => {
            let campaign = Campaign { jobs, told: Vec::new() };
            campaign::ledger::run(&campaign, seeds, part, &commit(), &ledger)
        }
        None => match (arguments.run.seed, arguments.run.seeds.clone()) {
            (Some(seed), None) => one(&arguments.run, seed).map_err(|e| e.to_string()),
            (None, Some(seeds)) => {
                let campaign = Campaign { jobs: arguments.run.jobs, told: arguments.run.for_child() };
                campaign.run(seeds)
            }
            _ => Err("name a seed (--seed 7) or seeds (--seeds 0..100); --help says more".to_owned()),
        },
    };
    match clean {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim/run: {error}");
            ExitCode::from(2)
        }
    }
}

fn one(arguments: &Run, seed: u64) -> std::io::Result<bool> {
    if let Some(filter) = &arguments.log {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(std::io::stderr).init();
    }
    let trace = match &arguments.trace {
        Some(path) => Trace::telling(Box::new(std::io::BufWriter::new(std::fs::File::create(path)?))),
        None => Trace::default(),
    };
    let plan = arguments.plan(seed);
    if !arguments.json {
        println!("seed {seed}, commit {}: {}", commit(), plan.swarm);
        println!("again: sim/run --seed {seed} {}", arguments.for_child().join(" "));
    }
    // Libraries that ask the operating system for time or randomness get the run's.
    mad_turmoil::rand::set_rng(StdRng::seed_from_u64(seed));
    // On a thread of its own: the standard library draws the keys of a thread's hash tables once, and this thread has
    // had some before.
    let running = std::thread::spawn(move || {
        let _clocks = mad_turmoil::time::SimClocksGuard::init();
        world::run(&plan, trace)
    });
    let Ok(report) = running.join() else { return Ok(false) };
    if arguments.json {
        println!("{}", report.to_json());
    } else {
        tell(&report, arguments.history);
    }
    std::io::stdout().flush()?;
    Ok(report.findings.is_empty())
}

fn tell(report: &Report, history: bool) {
    if history {
        for event in &report.events {
            println!("{:>9.3} s {event:?}", event.at.as_secs_f64());
        }
    }
    if history || !report.findings.is_empty() {
        for (at, what) in &report.story {
            println!("{:>9.3} s  {what}", at.as_secs_f64());
        }
    }
    for finding in &report.findings {
        println!("\n{}", gadwall_sim::check::story::story(&report.events, finding));
    }
    let marks = report.marks.iter().filter(|(_, count)| **count > 0);
    println!("{}", marks.map(|(mark, count)| format!("{mark}: {count}")).collect::<Vec<_>>().join(", "));
    println!("{:?}", report.replication);
    println!("trace {} after {:.1} virtual seconds", report.digest, report.elapsed.as_secs_f64());
    println!("{}", if report.findings.is_empty() { "clean" } else { "NOT CLEAN" });
}
