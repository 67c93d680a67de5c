//! A mailbox with many messages: memory, list page, SELECT, restart.

use crate::client::{Imap, Reader};
use crate::load;
use crate::report::Report;
use crate::server::{Account, Place, Server};
use std::io;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    /// Messages in the mailbox
    #[arg(long, default_value_t = 100_000)]
    pub messages: usize,
    /// Bytes of each
    #[arg(long, default_value_t = 1024)]
    pub size: usize,
}

impl Default for Args {
    fn default() -> Self {
        Args { messages: 100_000, size: 1024 }
    }
}

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> io::Result<()> {
    let server = place.start().await?;
    let account = server.account().await?;
    load::send(&server, std::slice::from_ref(&account), 10, args.messages, args.size).await?;
    let name = format!("{} messages of {} B in one mailbox", args.messages, args.size);
    report.add(&name, "resident memory after receiving them", server.resident_mb()?, "MB");
    let received = (args.messages * args.size) as f64;
    report.add(&name, "disk per byte received", server.disk_bytes()? as f64 / received, "");
    views(&server, &account, &name, report).await?;

    let server = server.restart(place).await?;
    report.add(&name, "restart to ready", server.ready.as_secs_f64() * 1e3, "ms");
    report.add(&name, "resident memory after the restart", server.resident_mb()?, "MB");
    views(&server, &account, &format!("{name}, restarted"), report).await
}

/// What a reader waits for.
async fn views(server: &Server, account: &Account, name: &str, report: &mut Report) -> io::Result<()> {
    let http = server.port("http");
    for (what, reader, path) in [
        ("list page, HTML", Reader::pages(http, account).await?, "/messages"),
        ("list page, JSON", Reader::api(http, account).await?, "/users/me/mailboxes/INBOX/messages?limit=50"),
    ] {
        reader.get(path).await?;
        let mut latencies: Vec<Duration> = Vec::new();
        for _ in 0..50 {
            let began = Instant::now();
            reader.get(path).await?;
            latencies.push(began.elapsed());
        }
        latencies.sort();
        report.add(name, format!("{what}, median of 50"), latencies[25].as_secs_f64() * 1e3, "ms");
    }
    let mut imap = Imap::login(server.port("imap"), account).await?;
    let began = Instant::now();
    imap.command("SELECT INBOX").await?;
    report.add(name, "SELECT", began.elapsed().as_secs_f64() * 1e3, "ms");
    Ok(())
}
