//! Who works on the world's mail: accounts and clients, all of them drawn from a seed.
//!
//! Knows no server: whatever answers on the ports of a host may be worked on.

use crate::clients::http::Web;
use crate::clients::imap::{Idler, Means, Reader, Resynchroniser, Writer};
use crate::clients::pop3::Fetcher;
use crate::clients::smtp::{Role, Sender};
use crate::clients::{Client, Shared, now};
use crate::history::{ClientId, Login};
use crate::seed;
use clerk::Clerk;
use final_pass::Looker;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod clerk;
mod final_pass;

pub use final_pass::LOOKERS;

/// The client that makes the accounts.
const CLERK: ClientId = 0;
/// The account that lives for seconds.
const MAYFLY: &str = "mayfly@sim.test";

/// What a workload may be like.
#[derive(Debug, Clone)]
pub struct Plan {
    pub accounts: RangeInclusive<usize>,
    /// How many clients; never fewer than there are kinds of them.
    pub clients: RangeInclusive<usize>,
    /// Longest pause of a client between two things it does, from the quickest to the slowest.
    pub pace: RangeInclusive<Duration>,
    /// How many more that write than are there anyway, all on the same account.
    pub writers: usize,
    /// How many more that read over IMAP, on the same account.
    pub readers: usize,
    /// How many more that use the API, on the same account.
    pub browsers: usize,
    /// Whether nodes take mail from other servers.
    pub relays: bool,
    /// How long a client may take to end what it does, once it is to stop.
    pub farewell: Duration,
    /// How long those that only look at mail stay after the last change.
    pub listen: Duration,
    pub expiry: Option<Expiry>,
}

/// What ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// How long messages are kept.
    pub retention: Duration,
    /// In how many accounts; at least one keeps everything.
    pub accounts: usize,
    /// How long one more account lives.
    pub lifetime: Option<Duration>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            accounts: 2..=3,
            clients: 10..=12,
            pace: Duration::from_millis(500)..=Duration::from_secs(4),
            writers: 0,
            readers: 0,
            browsers: 0,
            relays: false,
            farewell: Duration::from_secs(45),
            listen: Duration::from_secs(12),
            expiry: None,
        }
    }
}

/// What a client does.
#[derive(Debug, Clone, PartialEq)]
enum Job {
    Send(Role),
    Read(Login),
    Resync(Login, Means),
    Idle(Login),
    Write(Login),
    Fetch(Login),
    Browse(Login),
}

impl Job {
    fn changes_mail(&self) -> bool {
        !matches!(self, Job::Read(_) | Job::Resync(..) | Job::Idle(_))
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Position {
    id: ClientId,
    job: Job,
    pace: Duration,
}

/// How the clients came to their end.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Who had not ended in time, and was cut off.
    pub late: Vec<ClientId>,
    /// Since when no client has changed anything. Servers may still have been at what clients had given up.
    pub quiet_from: Duration,
}

/// Accounts and clients.
#[derive(Debug, Clone)]
pub struct Workload {
    seed: u64,
    accounts: Vec<Login>,
    positions: Vec<Position>,
    expiry: Option<Expiry>,
    farewell: Duration,
    listen: Duration,
}

impl Workload {
    /// The workload of a seed.
    pub fn draw(seed: u64, plan: &Plan) -> Self {
        let mut rng = seed::stream(seed, "workload");
        let accounts = rng.random_range(plan.accounts.clone());
        let accounts: Vec<Login> = (1..=accounts).map(|n| format!("user{n}@sim.test")).collect();
        let mut jobs = one_of_each(&accounts, plan, &mut rng);
        let wanted = rng.random_range(plan.clients.clone());
        while jobs.len() < wanted {
            jobs.push(more(&accounts, &mut rng));
        }
        jobs.shuffle(&mut rng);
        if plan.expiry.is_some_and(|expiry| expiry.lifetime.is_some()) {
            jobs.extend(of_mayfly());
        }
        let positions =
            (1..).zip(jobs).map(|(id, job)| Position { id, job, pace: rng.random_range(plan.pace.clone()) });
        Self {
            seed,
            accounts,
            positions: positions.collect(),
            expiry: plan.expiry,
            farewell: plan.farewell,
            listen: plan.listen,
        }
    }

    /// The accounts that clients work on.
    pub fn accounts(&self) -> &[Login] {
        &self.accounts
    }

    /// Makes the accounts over one of these hosts, whichever serves, and notes their passwords and what ends there.
    pub async fn prepare(&self, shared: &Shared, hosts: &[String]) {
        let clerk = self.client(shared, CLERK, "");
        Clerk { client: clerk, hosts, seed: self.seed }.run(&self.accounts, self.expiry).await;
    }

    /// Works over the host `via` until it is told to stop, and has ended everything then: first those that change
    /// mail; those that only look at it a while later, so that they can hear of all that was done.
    pub async fn run(&self, shared: Shared, via: &str) -> Ended {
        let looking = Shared { stop: CancellationToken::new(), ..shared.clone() };
        let (mut workers, mut lookers) = (Vec::new(), Vec::new());
        for position in &self.positions {
            let (group, shared) = match position.job.changes_mail() {
                true => (&mut workers, &shared),
                false => (&mut lookers, &looking),
            };
            // Clients may stop by themselves, when an account has come to its end.
            let shared = Shared { stop: shared.stop.child_token(), ..shared.clone() };
            group.push((position.id, self.start(position, &shared, via)));
        }
        shared.stop.cancelled().await;
        let mut late = self.end(workers).await;
        let quiet_from = now();
        tokio::time::sleep(self.listen).await;
        looking.stop.cancel();
        late.extend(self.end(lookers).await);
        Ended { late, quiet_from }
    }

    /// Waits for these to end, and cuts off those that don't.
    async fn end(&self, working: Vec<(ClientId, JoinHandle<()>)>) -> Vec<ClientId> {
        let deadline = tokio::time::Instant::now() + self.farewell;
        let mut late = Vec::new();
        for (id, mut working) in working {
            match tokio::time::timeout_at(deadline, &mut working).await {
                // A client that panics is a mistake of the simulation.
                Ok(ended) => ended.expect("no client panics"),
                Err(_) => {
                    working.abort();
                    late.push(id);
                }
            }
        }
        late
    }

    /// Looks at everything there is on each of these hosts, at all of them at once, until it has been seen or
    /// `final_pass::TRIES` have failed.
    pub async fn final_pass(&self, shared: Shared, hosts: &[String]) {
        let maildrops = Arc::default();
        let lookers = (LOOKERS..).zip(hosts).map(|(id, host)| {
            let client = self.client(&shared, id, host);
            tokio::spawn(Looker { client, maildrops: Arc::clone(&maildrops) }.run())
        });
        for looker in lookers.collect::<Vec<_>>() {
            // A client that panics is a mistake of the simulation.
            looker.await.expect("no client panics");
        }
    }

    fn client(&self, shared: &Shared, id: ClientId, via: &str) -> Client {
        Client::new(id, via, seed::stream(self.seed, &format!("client {id}")), shared.clone())
    }

    fn start(&self, position: &Position, shared: &Shared, via: &str) -> JoinHandle<()> {
        let Position { id, job, pace } = position.clone();
        let client = self.client(shared, id, via);
        match job {
            Job::Send(role) => tokio::spawn(Sender::new(client, role, pace).run()),
            Job::Read(login) => tokio::spawn(Reader { client, login, pace }.run()),
            Job::Resync(login, means) => tokio::spawn(Resynchroniser::new(client, &login, means, pace).run()),
            Job::Idle(login) => {
                let (mailbox, longest) = ("INBOX".into(), Duration::from_secs(60));
                tokio::spawn(Idler { client, login, mailbox, longest }.run())
            }
            Job::Write(login) => tokio::spawn(Writer::new(client, &login, pace).run()),
            Job::Fetch(login) => tokio::spawn(Fetcher { client, login, pace }.run()),
            Job::Browse(login) => tokio::spawn(Web::new(client, &login, pace).run()),
        }
    }
}

/// A client of each kind.
fn one_of_each(accounts: &[Login], plan: &Plan, rng: &mut StdRng) -> Vec<Job> {
    let some = |rng: &mut StdRng| accounts.choose(rng).expect("there are accounts").clone();
    let shared = some(rng);
    let mut jobs = vec![
        Job::Send(Role::Account(some(rng))),
        Job::Send(Role::Account(some(rng))),
        Job::Read(some(rng)),
        Job::Resync(some(rng), Means::Condstore),
        Job::Resync(some(rng), Means::Qresync),
        Job::Idle(some(rng)),
        // Two that meet.
        Job::Write(shared.clone()),
        Job::Write(shared.clone()),
        // One at most for an account: a maildrop is one session's at a time.
        Job::Fetch(some(rng)),
        Job::Browse(some(rng)),
    ];
    jobs.extend((0..plan.writers).map(|_| Job::Write(shared.clone())));
    jobs.extend((0..plan.readers).map(|_| Job::Read(shared.clone())));
    jobs.extend((0..plan.browsers).map(|_| Job::Browse(shared.clone())));
    if plan.relays {
        jobs.push(Job::Send(Role::Relay(accounts.to_vec())));
    }
    jobs
}

/// Clients of an account that will not live long. Others can't have it: whoever was refused once stops.
fn of_mayfly() -> [Job; 4] {
    let login = || MAYFLY.to_owned();
    [Job::Send(Role::Account(login())), Job::Idle(login()), Job::Write(login()), Job::Browse(login())]
}

/// A further client.
fn more(accounts: &[Login], rng: &mut StdRng) -> Job {
    let login = accounts.choose(rng).expect("there are accounts").clone();
    match rng.random_range(0..8) {
        0 => Job::Send(Role::Account(login)),
        1 => Job::Send(Role::Anybody),
        2 => Job::Read(login),
        3 => Job::Resync(login, Means::Condstore),
        4 => Job::Resync(login, Means::Qresync),
        5 => Job::Idle(login),
        6 => Job::Write(login),
        _ => Job::Browse(login),
    }
}
