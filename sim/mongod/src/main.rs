//! A simulated MongoDB as a process: a replica set of one member, in memory, for tests.
#![forbid(unsafe_code)]

use gadwall::net::{Net, TokioNet};
use gadwall_sim_mongod::{Engine, Member, Standalone, serve_on};
use gadwall_storage::SystemClock;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

const USAGE: &str = "usage: gadwall-sim-mongod --listen 127.0.0.1:PORT [--set NAME]";
/// MongoDB's `transactionLifetimeLimitSeconds`.
const LIFETIME_SECS: u32 = 60;

struct Arguments {
    listen: SocketAddr,
    set: String,
}

fn arguments(mut given: impl Iterator<Item = String>) -> Option<Arguments> {
    let (mut listen, mut set) = (None, "sim".to_owned());
    while let Some(name) = given.next() {
        let value = given.next()?;
        match name.as_str() {
            "--listen" => listen = Some(value.parse().ok()?),
            "--set" => set = value,
            _ => return None,
        }
    }
    Some(Arguments { listen: listen?, set })
}

async fn run(arguments: Arguments) -> io::Result<()> {
    let listener = TokioNet.bind(arguments.listen).await?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    let log = Standalone::new(arguments.set, address.to_string());
    let member = Member::new(Engine::new(LIFETIME_SECS), Box::new(log), Arc::new(SystemClock), None);
    serve_on(listener, member).await
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gadwall-sim-mongod: {error}");
            ExitCode::FAILURE
        }
    }
}
