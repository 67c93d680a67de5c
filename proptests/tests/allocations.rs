//! What the hot paths may allocate: counted, not timed, so that it is the same on every machine. A path that needs more
//! than it did fails here; one that needs a lot less should have its figure lowered.
//!
//! Each figure is of what the engine adds for one more message: a command over many messages less the same over few,
//! divided. The client's end of the pipe reads into one buffer and allocates nothing.

use gadwall::smtp::Role;
use gadwall_proptests::world::World;
use std::future::Future;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const FEW: u64 = 100;
const MANY: u64 = 1100;

/// Says `bytes` and reads until what has come ends with a line that is the last one.
async fn say(pipe: &mut DuplexStream, bytes: &[u8], is_last: impl Fn(&[u8]) -> bool) {
    pipe.write_all(bytes).await.expect("the server listens");
    let (mut buffer, mut tail) = ([0; 8192], Tail::new());
    while !tail.line().is_some_and(&is_last) {
        let length = pipe.read(&mut buffer).await.expect("the server answers");
        assert!(length > 0, "the server has closed");
        tail.push(&buffer[..length]);
    }
}

/// For replies of one line.
fn any(line: &[u8]) -> bool {
    !line.is_empty()
}

fn tagged(line: &[u8]) -> bool {
    line.starts_with(b"a OK")
}

/// The last bytes of many.
struct Tail {
    bytes: [u8; 4096],
}

impl Tail {
    fn new() -> Tail {
        Tail { bytes: [b'\n'; 4096] }
    }

    fn push(&mut self, new: &[u8]) {
        let new = &new[new.len().saturating_sub(self.bytes.len())..];
        self.bytes.rotate_left(new.len());
        let from = self.bytes.len() - new.len();
        self.bytes[from..].copy_from_slice(new);
    }

    /// The last line, once it is whole.
    fn line(&self) -> Option<&[u8]> {
        self.bytes.strip_suffix(b"\r\n")?.rsplit(|b| *b == b'\n').next()
    }
}

fn mail(n: u64) -> String {
    let line = "The quick brown fox jumps over the lazy dog, as it has done every day of this week.\r\n";
    format!(
        "From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: Message {n}\r\n\
         Message-ID: <{n}@example.org>\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}",
        line.repeat(45)
    )
}

async fn imap(world: &World) -> DuplexStream {
    let (conn, mut pipe) = world.connection();
    tokio::spawn(gadwall::imap::serve(conn, world.services.clone()));
    say(&mut pipe, b"", any).await;
    say(&mut pipe, b"a LOGIN ann@example.org secret\r\n", tagged).await;
    pipe
}

async fn append(pipe: &mut DuplexStream, count: std::ops::Range<u64>) {
    for n in count {
        let mail = mail(n);
        let command = format!("a APPEND INBOX {{{}+}}\r\n{mail}\r\n", mail.len());
        say(pipe, command.as_bytes(), tagged).await;
    }
}

async fn deliver(world: &World, count: std::ops::Range<u64>) {
    let (conn, mut pipe) = world.connection();
    tokio::spawn(gadwall::smtp::serve(conn, world.services.clone(), Role::Exchanger));
    say(&mut pipe, b"", any).await;
    say(&mut pipe, b"HELO client.example\r\n", any).await;
    for n in count {
        say(&mut pipe, b"MAIL FROM:<bob@example.net>\r\n", any).await;
        say(&mut pipe, b"RCPT TO:<ann@example.org>\r\n", any).await;
        say(&mut pipe, b"DATA\r\n", any).await;
        say(&mut pipe, format!("{}.\r\n", mail(n)).as_bytes(), any).await;
    }
}

/// Allocations while it runs, on this thread, where everything runs.
fn counted(runtime: &tokio::runtime::Runtime, work: impl Future<Output = ()>) -> u64 {
    allocation_counter::measure(|| runtime.block_on(work)).count_total
}

/// What a command needs for each message of a mailbox.
fn of_each(command: &str) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let runs = [FEW, MANY].map(|messages| {
        let (_world, mut pipe) = runtime.block_on(async {
            let world = World::new().await;
            let mut pipe = imap(&world).await;
            append(&mut pipe, 0..messages).await;
            say(&mut pipe, b"a SELECT INBOX\r\n", tagged).await;
            (world, pipe)
        });
        let line = format!("a {command}\r\n");
        // What is made on first use is not counted.
        runtime.block_on(say(&mut pipe, line.as_bytes(), tagged));
        counted(&runtime, say(&mut pipe, line.as_bytes(), tagged))
    });
    (runs[1] - runs[0]) as f64 / (MANY - FEW) as f64
}

fn check(figures: &[(&str, f64, f64)]) {
    for (what, is, most) in figures {
        println!("{what}: {is:.1} allocations each, {most} at most");
    }
    let over: Vec<_> = figures.iter().filter(|(_, is, most)| is > most).collect();
    assert!(over.is_empty(), "more than they may: {over:?}");
}

#[test]
fn commands_allocate_no_more_for_a_message_than_they_did() {
    check(&[
        ("FETCH FLAGS", of_each("FETCH 1:* (UID FLAGS)"), 9.0),
        ("FETCH ENVELOPE", of_each("FETCH 1:* (UID ENVELOPE)"), 21.0),
        ("FETCH BODYSTRUCTURE", of_each("FETCH 1:* (BODYSTRUCTURE)"), 11.0),
        ("FETCH BODY.PEEK[]", of_each("FETCH 1:* (BODY.PEEK[])"), 7.5),
        ("SEARCH UNSEEN", of_each("SEARCH UNSEEN"), 1.5),
        ("SEARCH SUBJECT", of_each("SEARCH SUBJECT nowhere"), 9.0),
        ("STORE", of_each("STORE 1:* FLAGS (\\Flagged)"), 6.0),
        ("NOOP", of_each("NOOP"), 0.1),
        ("SELECT", of_each("SELECT INBOX"), 0.1),
    ]);
}

#[test]
fn deliveries_allocate_no_more_than_they_did() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let world = runtime.block_on(World::new());
    let mut pipe = runtime.block_on(imap(&world));
    let each = |few: u64, many: u64| (many - few) as f64 / (MANY - FEW) as f64;
    runtime.block_on(append(&mut pipe, 0..10));
    let appended =
        each(counted(&runtime, append(&mut pipe, 0..FEW)), counted(&runtime, append(&mut pipe, 0..MANY)));
    runtime.block_on(deliver(&world, 0..10));
    let delivered =
        each(counted(&runtime, deliver(&world, 0..FEW)), counted(&runtime, deliver(&world, 0..MANY)));
    // Two of them are the test's own, which writes the mail.
    check(&[("APPEND", appended, 140.0), ("SMTP", delivered, 197.0)]);
}
