//! `imap-conformance`: runs the cases against a server.

use clap::Parser;
use gadwall_conformance::{CASES, Target, Verdict, parse, run};
use std::process::ExitCode;

/// Runs IMAP conformance cases against any server. Uses mailboxes called conformance-... of the given account.
#[derive(Parser)]
#[command(name = "imap-conformance", version)]
struct Cli {
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    #[arg(long, default_value_t = 143)]
    port: u16,
    #[arg(long)]
    user: String,
    #[arg(long, env = "IMAP_PASSWORD", hide_env_values = true)]
    password: String,
    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let cases = match parse(CASES) {
        Ok(cases) => cases,
        Err(e) => {
            eprintln!("imap-conformance: {e}");
            return ExitCode::from(2);
        }
    };
    let target = Target { host: cli.host, port: cli.port, user: cli.user, password: cli.password };
    let (mut passed, mut failed, mut errors) = (0, 0, 0);
    for case in cases.iter().filter(|c| c.name.contains(&cli.filter)) {
        match run(&target, case).await {
            Verdict::Pass => {
                passed += 1;
                println!("pass   {}", case.name);
            }
            Verdict::Fail(why) => {
                failed += 1;
                println!("FAIL   {}\n{why}", case.name);
            }
            Verdict::HarnessError(why) => {
                errors += 1;
                println!("ERROR  {}: {why}", case.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed, {errors} harness errors");
    if failed + errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
