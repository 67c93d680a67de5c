//! A simulated MongoDB as a process: a member of a replica set with its files, or a set of one in memory.
#![forbid(unsafe_code)]

use gadwall::net::{Net, TokioNet};
use gadwall_sim_mongod::disk::RealDisk;
use gadwall_sim_mongod::repl::{Identity, Machine, Settings, Witness};
use gadwall_sim_mongod::{Engine, Member, Replica, Standalone, serve_on};
use gadwall_storage::{SystemClock, SystemEntropy};
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

const USAGE: &str = "\
A simulated MongoDB for tests: real wire protocol, real elections.

usage: gadwall-sim-mongod --listen A [--set NAME] [--lifetime SECS]
       gadwall-sim-mongod --listen A [--set NAME] [--lifetime SECS] --members A,B,C --data DIR

Alone it is a replica set of one member, in memory. With --members it is one of those, and keeps its files in DIR.

  --listen A       address and port to listen on: 127.0.0.1:27017
  --set NAME       name of the replica set; sim by default
  --members A,B,C  addresses of all members, the same on each of them; A, as it is written after --listen, is one
  --data DIR       this member's directory, made if need be
  --lifetime SECS  how long a transaction may stay open (transactionLifetimeLimitSeconds); 60 by default
  --help           this text
";
/// MongoDB's `transactionLifetimeLimitSeconds`.
const LIFETIME_SECS: u32 = 60;

#[derive(Debug)]
struct Arguments {
    listen: SocketAddr,
    set: String,
    lifetime_secs: u32,
    membership: Option<Membership>,
}

#[derive(Debug)]
struct Membership {
    me: usize,
    hosts: Vec<String>,
    data: PathBuf,
}

/// `None`: the text is asked for. An error is what is wrong.
fn arguments(mut given: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let (mut listen, mut set, mut members, mut data) = (None, "sim".to_owned(), None, None);
    let mut lifetime_secs = LIFETIME_SECS;
    while let Some(name) = given.next() {
        if name == "--help" {
            return Ok(None);
        }
        let value = given.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => listen = Some(value),
            "--set" => set = value,
            "--lifetime" => {
                lifetime_secs = value.parse().map_err(|_| format!("{value} is no number of seconds"))?;
            }
            "--members" => members = Some(value),
            "--data" => data = Some(PathBuf::from(value)),
            _ => return Err(format!("{name} is not known")),
        }
    }
    let listen = listen.ok_or("--listen is missing")?;
    let membership = match (members, data) {
        (None, None) => None,
        (Some(members), Some(data)) => Some(Membership::of(&listen, &members, data)?),
        _ => return Err("--members and --data go together".into()),
    };
    let listen = listen.parse().map_err(|_| format!("{listen} is not an address and port"))?;
    Ok(Some(Arguments { listen, set, lifetime_secs, membership }))
}

impl Membership {
    fn of(listen: &str, members: &str, data: PathBuf) -> Result<Self, String> {
        let hosts: Vec<String> = members.split(',').map(str::to_owned).collect();
        let me = hosts.iter().position(|host| host == listen);
        let me = me.ok_or_else(|| format!("{listen} is not one of {members}"))?;
        Ok(Membership { me, hosts, data })
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let listener = TokioNet.bind(arguments.listen).await?;
    let address = listener.local_addr()?;
    let Some(membership) = arguments.membership else {
        println!("listening on {address}");
        let log = Standalone::new(arguments.set, address.to_string());
        let member =
            Member::new(Engine::new(arguments.lifetime_secs), Box::new(log), Arc::new(SystemClock), None);
        return Ok(serve_on(listener, member).await?);
    };
    let identity = Identity {
        me: membership.me,
        settings: Arc::new(Settings::new(&arguments.set, membership.hosts)),
        entropy: Arc::new(SystemEntropy),
        witness: Witness::default(),
    };
    let disk = Arc::new(RealDisk::new(membership.data)?);
    let machine = Machine { net: Arc::new(TokioNet), disk, clock: Arc::new(SystemClock) };
    let replica = Replica::recover(identity, machine, arguments.lifetime_secs).await?;
    println!("listening on {address}");
    Err(replica.run_on(listener).await.into())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprint!("gadwall-sim-mongod: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gadwall-sim-mongod: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Arguments>, String> {
        arguments(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_member_is_the_one_of_the_set_that_listens_there() {
        let given = of("--members 127.0.0.1:1,127.0.0.1:2 --data d --listen 127.0.0.1:2").unwrap().unwrap();
        let membership = given.membership.unwrap();
        assert_eq!((membership.me, membership.hosts.len(), given.set.as_str()), (1, 2, "sim"));
        assert!(of("--listen 127.0.0.1:1").unwrap().unwrap().membership.is_none());
        assert!(of("--help").unwrap().is_none());
        let wrong = [
            "",
            "--listen",
            "--listen nowhere",
            "--listen 127.0.0.1:1 --port 2",
            "--listen 127.0.0.1:1 --lifetime long",
            "--listen 127.0.0.1:1 --data d",
            "--listen 127.0.0.1:1 --members 127.0.0.1:1",
            "--listen 127.0.0.1:3 --members 127.0.0.1:1 --data d",
        ];
        wrong.iter().for_each(|text| assert!(of(text).is_err(), "{text}"));
    }
}
