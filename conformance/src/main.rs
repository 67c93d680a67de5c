//! `imap-conformance`: runs the cases against a server.

use clap::{Args, Parser, Subcommand, ValueEnum};
use gadwall_conformance::profile::Profile;
use gadwall_conformance::report::{self, Style};
use gadwall_conformance::tcp::{Tcp, Tls, Trust};
use gadwall_conformance::{Outcome, Target, Verdict, clauses, registry, suite};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs IMAP conformance cases against any server, on mailboxes of its own in an account made for it. The INBOX is used,
/// and emptied: give it an account that nobody needs.
///
/// Exit status: 0 when nothing failed, 1 when something did, 2 when it could not run.
#[derive(Parser)]
#[command(
    name = "imap-conformance",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Args)]
struct Run {
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// [default: 143, or 993 with --tls implicit]
    #[arg(long)]
    port: Option<u16>,
    #[arg(long, required = true)]
    user: Option<String>,
    #[arg(long, required = true, env = "IMAP_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    #[arg(long, value_enum, default_value_t = Tls::None)]
    tls: Tls,
    /// Take any certificate
    #[arg(long)]
    insecure: bool,
    /// Only cases whose name contains this; may be given several times
    #[arg(long)]
    filter: Vec<String>,
    /// How many cases run at a time, each on up to four connections
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What is known of the server: see profiles/
    #[arg(long)]
    profile: Option<PathBuf>,
    /// Write JSON lines there too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Begins the names of the mailboxes that are made
    #[arg(long, default_value = "conformance")]
    prefix: String,
    /// Don't list what passed or was skipped, nor the table
    #[arg(long)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Put several runs side by side, from their JSON lines: NAME=FILE
    Compare {
        #[arg(required = true)]
        runs: Vec<String>,
        #[arg(long)]
        markdown: bool,
    },
    /// List the clauses with their levels and cases
    Clauses,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Compare { runs, markdown }) => compare(&runs, markdown),
        Some(Command::Clauses) => list_clauses(),
        None => run(cli.run).await,
    };
    done.unwrap_or_else(|why| {
        eprintln!("imap-conformance: {why}");
        ExitCode::from(2)
    })
}

async fn run(run: Run) -> Result<ExitCode, String> {
    let mut cases = registry::cases()?;
    cases.retain(|case| run.filter.is_empty() || run.filter.iter().any(|part| case.name.contains(part)));
    if cases.is_empty() {
        return Err("no case has such a name".into());
    }
    let profile = run.profile.as_ref().map(|path| {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Profile::parse(&text).map_err(|e| format!("{}: {e}", path.display()))
    });
    let profile = profile.transpose()?;
    let port = run.port.unwrap_or(if run.tls == Tls::Implicit { 993 } else { 143 });
    let trust = if run.insecure { Trust::Anything } else { Trust::Public };
    let server = Tcp::new(&run.host, port, run.tls, trust);
    let mut target = Target::new(&server, &run.user.unwrap_or_default(), &run.password.unwrap_or_default());
    target.prefix = run.prefix;
    let announced = suite::preflight(&mut target).await.map_err(|e| format!("{}:{port}: {e}", run.host))?;

    let text = run.format == Format::Text;
    let mut outcomes = suite::run_all(&target, &cases, run.jobs, |outcome| {
        if text && !run.quiet {
            println!("{:<16} {}", outcome.verdict.word(), outcome.id);
        }
    })
    .await;
    if let Some(profile) = &profile {
        profile.judge(&mut outcomes, &announced);
    }
    if let Some(path) = &run.json {
        let lines: String = outcomes.iter().map(|o| report::to_line(o) + "\n").collect();
        std::fs::write(path, lines).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    match run.format {
        Format::Text => print_text(&outcomes, run.quiet),
        Format::Json => outcomes.iter().for_each(|outcome| println!("{}", report::to_line(outcome))),
        Format::Junit => print!("{}", report::junit(&outcomes)),
    }
    Ok(if outcomes.iter().any(Outcome::is_bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print_text(outcomes: &[Outcome], quiet: bool) {
    for outcome in outcomes.iter().filter(|o| o.is_bad() || (!quiet && o.verdict != Verdict::Pass)) {
        let note = outcome.known.as_ref().map(|note| format!(" (known: {note})")).unwrap_or_default();
        println!(
            "\n{} {}{note}\n{}",
            outcome.verdict.word().to_uppercase(),
            outcome.id,
            outcome.verdict.why()
        );
    }
    if !quiet {
        println!("\n{}", report::table(outcomes));
    }
    let bad = outcomes.iter().filter(|o| o.is_bad()).count();
    let passed = outcomes.iter().filter(|o| o.verdict == Verdict::Pass).count();
    println!("{passed} of {} passed, {bad} to look at", outcomes.len());
}

fn compare(runs: &[String], markdown: bool) -> Result<ExitCode, String> {
    let mut servers = Vec::new();
    for run in runs {
        let (name, path) = run.split_once('=').ok_or_else(|| format!("{run} is not NAME=FILE"))?;
        let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
        servers.push((name.to_owned(), report::from_lines(&text).map_err(|e| format!("{path}: {e}"))?));
    }
    print!("{}", report::compared(&servers, if markdown { Style::Markdown } else { Style::Text }));
    Ok(ExitCode::SUCCESS)
}

fn list_clauses() -> Result<ExitCode, String> {
    let cases = registry::cases()?;
    for (id, clause) in clauses::clauses()? {
        println!("{id} ({:?}): {}", clause.level, clause.says);
        cases.iter().filter(|case| case.clause == id).for_each(|case| println!("    {}", case.name));
    }
    Ok(ExitCode::SUCCESS)
}
