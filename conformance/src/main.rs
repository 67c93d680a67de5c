//! `imap-conformance`: runs the cases against a server.

use clap::Parser;
use gadwall_conformance::{Case, Dial, Dialing, FILES, Stream, Target, Verdict, parse, run};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpStream;

/// Runs IMAP conformance cases against any server. Uses mailboxes called c-... of the given account, and its INBOX.
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
    /// Only cases whose file and name (file/name) contain this
    #[arg(long, default_value = "")]
    filter: String,
    /// Don't list the cases that pass
    #[arg(long)]
    quiet: bool,
}

/// A server behind a port.
struct Tcp {
    host: String,
    port: u16,
}

impl Dial for Tcp {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(async move {
            // A client of other people's servers, outside any simulation.
            #[allow(clippy::disallowed_methods)]
            let connecting = TcpStream::connect((self.host.as_str(), self.port));
            let stream = tokio::time::timeout(Duration::from_secs(10), connecting).await??;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

fn cases(filter: &str) -> Result<Vec<Case>, String> {
    let mut all = Vec::new();
    for (file, text) in FILES {
        let cases = parse(text).map_err(|e| format!("{file}: {e}"))?;
        all.extend(cases.into_iter().filter(|case| format!("{file}/{}", case.name).contains(filter)));
    }
    Ok(all)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let cases = match cases(&cli.filter) {
        Ok(cases) => cases,
        Err(e) => {
            eprintln!("imap-conformance: {e}");
            return ExitCode::from(2);
        }
    };
    let server = Tcp { host: cli.host, port: cli.port };
    let target = Target { server: &server, user: cli.user, password: cli.password };
    let (mut passed, mut skipped, mut failed, mut errors) = (0, 0, 0, 0);
    for case in &cases {
        match run(&target, case).await {
            Verdict::Pass => {
                passed += 1;
                if !cli.quiet {
                    println!("pass   {}", case.name);
                }
            }
            Verdict::Skip(capability) => {
                skipped += 1;
                println!("skip   {}: no {capability}", case.name);
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
    println!("{passed} passed, {skipped} skipped, {failed} failed, {errors} harness errors");
    if failed + errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
