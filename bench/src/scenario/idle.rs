//! Memory of a server that has nothing to do.

use crate::client::Imap;
use crate::load;
use crate::report::Report;
use crate::server::Place;
use std::io;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    /// Idle IMAP connections, all on one mailbox
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
}

impl Default for Args {
    fn default() -> Self {
        Args { connections: 1000 }
    }
}

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> io::Result<()> {
    let server = place.start().await?;
    report.add("idle", "resident memory, fresh", server.resident_mb()?, "MB");
    let account = server.account().await?;
    // One login first: its password check takes memory for itself, once.
    let mut connections = vec![Imap::login(server.port("imap"), &account).await?];
    let before = server.resident_mb()?;
    while connections.len() < args.connections {
        connections.push(Imap::login(server.port("imap"), &account).await?);
    }
    for imap in &mut connections {
        imap.command("SELECT INBOX").await?;
        imap.idle().await?;
    }
    let name = format!("idle with {} connections in IDLE", args.connections);
    let each = (server.resident_mb()? - before) * 1e3 / args.connections as f64;
    report.add(&name, "resident memory each", each, "KB");
    let began = Instant::now();
    load::send(&server, &[account], 1, 1, 4096).await?;
    for imap in &mut connections {
        imap.heard().await?;
    }
    report.add(&name, "all told of one mail after", began.elapsed().as_secs_f64() * 1e3, "ms");
    Ok(())
}
