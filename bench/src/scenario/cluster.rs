//! Nodes on one MongoDB: ingest and FETCH through one and through three, beside what the database itself gives for the
//! same writes, and how soon one node hears of another's mail.

use crate::client::{Imap, Smtp};
use crate::cluster::{Bare, Database, Redis};
use crate::load;
use crate::report::Report;
use crate::server::{Account, Place, Server};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often each way to write has its turn.
const ROUNDS: usize = 5;

#[derive(clap::Args)]
pub struct Args {
    /// A replica set to measure on, instead of a server of its own
    #[arg(long, value_name = "URI")]
    pub mongodb_uri: Option<String>,
    /// The database server to start otherwise, with an fsync for each commit
    #[arg(long, value_name = "FILE", default_value = "secantusd-rs")]
    pub database: PathBuf,
    /// Connections at once, and accounts they deliver to
    #[arg(long, default_value_t = 10)]
    pub connections: usize,
    /// Messages of each burst
    #[arg(long, default_value_t = 3000)]
    pub count: usize,
    /// Bytes of each message
    #[arg(long, default_value_t = 4096)]
    pub size: usize,
    /// Messages in the mailbox that is fetched
    #[arg(long, default_value_t = 2000)]
    pub fetched: usize,
    /// Mails whose way from node to node is timed
    #[arg(long, default_value_t = 200)]
    pub heard: usize,
}

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> io::Result<()> {
    let database = Database::start(place, args).await?;
    let redis = Redis::start(place).await?;
    report.condition(&database.about);
    let nodes = nodes(place, &database, Some(&redis), 3).await?;
    let mut accounts = Vec::new();
    for _ in 0..args.connections {
        accounts.push(nodes[0].account().await?);
    }
    let everything: Vec<&Server> = nodes.iter().collect();
    // A warm-up for all: logins, first pages, connections to the database.
    load::send_through(&everything, &accounts, args.connections, args.count / 10 + 1, args.size).await?;
    ingest(args, &everything, &accounts, &Bare::like(&database).await?, report).await?;
    fetch(args, &everything, report).await?;
    let account = &accounts[0];
    let name = "mail through one node, IDLE at another";
    hear(&nodes[0], &nodes[1], account, args.heard, (name, report)).await?;
    drop(redis);
    let name = "mail through one node, IDLE at another, without Redis";
    hear(&nodes[0], &nodes[1], account, args.heard.min(30), (name, report)).await?;
    drop(nodes);
    database.clear().await
}

async fn nodes(
    place: &Place,
    database: &Database,
    redis: Option<&Redis>,
    count: usize,
) -> io::Result<Vec<Server>> {
    let mut args = vec!["--store", "mongodb", "--mongodb-uri", &database.uri];
    args.extend(["--mongodb-database", &database.name]);
    args.extend(redis.iter().flat_map(|redis| ["--redis", &redis.url]));
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(place.start_with(&args).await?);
    }
    Ok(nodes)
}

/// The bare database, one node and three take turns: what the machine gives changes while this runs.
async fn ingest(
    args: &Args,
    nodes: &[&Server],
    accounts: &[Account],
    bare: &Bare,
    report: &mut Report,
) -> io::Result<()> {
    let name = format!("ingest {} B, {} connections, {} messages", args.size, args.connections, args.count);
    let round = args.count.div_ceil(ROUNDS);
    bare.run(args.connections, round / 5 + 1).await?;
    let mut times = [Duration::ZERO; 3];
    let mut latencies = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        times[0] += bare.run(args.connections, round).await?;
        for (way, nodes) in [&nodes[..1], nodes].into_iter().enumerate() {
            let burst = load::send_through(nodes, accounts, args.connections, round, args.size).await?;
            times[way + 1] += burst.took;
            latencies[way].extend(burst.latencies);
        }
    }
    let [bare, one, three] = times.map(|time| (ROUNDS * round) as f64 / time.as_secs_f64());
    report.add(&name, "bare driver", bare, "transactions/s");
    for ((nodes, rate), latencies) in [("1 node", one), ("3 nodes", three)].into_iter().zip(latencies) {
        report.add(&name, nodes, rate, "messages/s");
        report.add(&name, format!("{nodes}, time by that of the bare driver"), bare / rate, "");
        report.add_latencies(&name, &format!("{nodes}, MAIL to 250"), latencies);
    }
    Ok(())
}

/// Three readers of one mailbox, at one node and at three.
async fn fetch(args: &Args, nodes: &[&Server], report: &mut Report) -> io::Result<()> {
    let account = nodes[0].account().await?;
    load::send_through(nodes, std::slice::from_ref(&account), args.connections, args.fetched, args.size)
        .await?;
    let name = format!("fetch {} messages of {} B, 3 readers", args.fetched, args.size);
    for (what, items) in [("FETCH FLAGS", "(UID FLAGS)"), ("FETCH BODY.PEEK[]", "(UID BODY.PEEK[])")] {
        for (through, nodes) in [("1 node", &nodes[..1]), ("3 nodes", nodes)] {
            let mut readers = Vec::new();
            for i in 0..3 {
                let mut imap = Imap::login(nodes[i % nodes.len()].port("imap"), &account).await?;
                imap.command("SELECT INBOX").await?;
                readers.push(imap);
            }
            let began = Instant::now();
            let reading = readers.into_iter().map(|mut imap| {
                let command = format!("FETCH 1:* {items}");
                tokio::spawn(async move { imap.command(&command).await })
            });
            for reader in reading.collect::<Vec<_>>() {
                reader.await.map_err(io::Error::other)??;
            }
            let rate = (3 * args.fetched) as f64 / began.elapsed().as_secs_f64();
            report.add(&name, format!("{what}, {through}"), rate, "messages/s");
        }
    }
    Ok(())
}

/// Mails one after the other through `from`; when an IDLE session at `at` has heard of each.
async fn hear(
    from: &Server,
    at: &Server,
    account: &Account,
    count: usize,
    (name, report): (&str, &mut Report),
) -> io::Result<()> {
    let mut smtp = Smtp::login(from.port("smtp"), account).await?;
    let mut imap = Imap::login(at.port("imap"), account).await?;
    imap.command("SELECT INBOX").await?;
    imap.idle().await?;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let listening = tokio::spawn(async move {
        while imap.heard_of(" EXISTS").await.is_ok() && told.send(Instant::now()).is_ok() {}
    });
    let mut late = Vec::new();
    for number in 0..count {
        smtp.send(&load::message(number, 1024)).await?;
        let sent = Instant::now();
        let heard = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await?;
        let heard = heard.ok_or_else(|| io::Error::other("the IDLE session ended"))?;
        late.push(heard.saturating_duration_since(sent));
    }
    listening.abort();
    report.add_latencies(name, &format!("250 to EXISTS, {count} mails,"), late);
    Ok(())
}
