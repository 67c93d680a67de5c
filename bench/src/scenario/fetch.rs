//! IMAP FETCH of a whole mailbox.

use crate::client::Imap;
use crate::load;
use crate::report::Report;
use crate::server::Place;
use std::io;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    /// Messages in the mailbox
    #[arg(long, default_value_t = 10_000)]
    pub messages: usize,
    /// Bytes of each
    #[arg(long, default_value_t = 4096)]
    pub size: usize,
}

impl Default for Args {
    fn default() -> Self {
        Args { messages: 10_000, size: 4096 }
    }
}

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> io::Result<()> {
    let server = place.start().await?;
    let account = server.account().await?;
    load::send(&server, std::slice::from_ref(&account), 10, args.messages, args.size).await?;
    let mut imap = Imap::login(server.port("imap"), &account).await?;
    let name = format!("fetch {} messages of {} B", args.messages, args.size);

    let began = Instant::now();
    imap.command("SELECT INBOX").await?;
    report.add(&name, "SELECT", began.elapsed().as_secs_f64() * 1e3, "ms");
    for (what, items) in [
        ("FETCH FLAGS", "(UID FLAGS)"),
        ("FETCH ENVELOPE", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
        ("FETCH BODYSTRUCTURE", "(UID BODYSTRUCTURE)"),
        ("FETCH BODY.PEEK[]", "(UID BODY.PEEK[])"),
    ] {
        let began = Instant::now();
        let bytes = imap.command(&format!("FETCH 1:* {items}")).await?;
        let took = began.elapsed().as_secs_f64();
        report.add(&name, what, args.messages as f64 / took, "messages/s");
        if what.contains("BODY.PEEK") {
            report.add(&name, what, bytes as f64 / took / 1e6, "MB/s");
        }
    }
    for (what, command) in [
        ("SEARCH SUBJECT", "SEARCH SUBJECT \"number 77\""),
        ("SEARCH BODY", "SEARCH BODY \"nowhere to be found\""),
        ("STORE +FLAGS 1,000", "STORE 1:1000 +FLAGS.SILENT (\\Seen)"),
    ] {
        let began = Instant::now();
        imap.command(command).await?;
        report.add(&name, what, began.elapsed().as_secs_f64() * 1e3, "ms");
    }
    Ok(())
}
