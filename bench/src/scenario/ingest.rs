//! Durable SMTP ingest.

use crate::load;
use crate::report::Report;
use crate::server::Place;
use std::io;

#[derive(clap::Args)]
pub struct Args {
    /// Connections at once
    #[arg(long, default_value_t = 10)]
    pub connections: usize,
    /// Accounts they deliver to
    #[arg(long, default_value_t = 10)]
    pub accounts: usize,
    /// Bytes of each message
    #[arg(long, default_value_t = 4096)]
    pub size: usize,
    /// Messages; by default some seconds' worth
    #[arg(long)]
    pub count: Option<usize>,
}

impl Default for Args {
    fn default() -> Self {
        Args { connections: 10, accounts: 10, size: 4096, count: None }
    }
}

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> io::Result<()> {
    let server = place.start().await?;
    let mut accounts = Vec::new();
    for _ in 0..args.accounts.max(1) {
        accounts.push(server.account().await?);
    }
    let count = args.count.unwrap_or(80_000_000 / (args.size + 1000));
    // A short warm-up, so that neither logins nor first pages are measured.
    load::send(&server, &accounts, args.connections, count / 20 + 1, args.size).await?;
    let burst = load::send(&server, &accounts, args.connections, count, args.size).await?;
    let name = format!(
        "ingest {} B, {} connections, {} accounts, {count} messages",
        args.size, args.connections, args.accounts
    );
    let rate = count as f64 / burst.took.as_secs_f64();
    report.add(&name, "rate", rate, "messages/s");
    report.add(&name, "rate", rate * args.size as f64 / 1e6, "MB/s");
    report.add_latencies(&name, "MAIL to 250", burst.latencies);
    report.add(&name, "resident memory", server.resident_mb()?, "MB");
    let received = (count + count / 20 + 1) * args.size;
    report.add(&name, "disk per byte received", server.disk_bytes()? as f64 / received as f64, "");
    Ok(())
}
