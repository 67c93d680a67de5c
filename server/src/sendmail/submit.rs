//! The dialogue with the server.

use super::SendmailArgs;
use super::message::{recipients, sender, with_crlf, without_bcc};
use crate::net::{BoxIo, Net};
use crate::smtp::stuff;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// Exit codes as sysexits.h has them: scripts look at these.
const USAGE: u8 = 64;
const DATA: u8 = 65;
const UNAVAILABLE: u8 = 69;
const TEMPORARY: u8 = 75;
const PATIENCE: Duration = Duration::from_secs(120);

/// Longest reply taken, in bytes.
const REPLY_LIMIT: usize = 64 << 10;

/// Why a submission failed: an exit code and what to say.
struct Failure(u8, String);

/// Reads a message from standard input and submits it. Says on standard error what went wrong.
pub async fn run(args: &SendmailArgs, net: &dyn Net) -> ExitCode {
    match submit(args, net).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, text)) => {
            eprintln!("sendmail: {text}");
            ExitCode::from(code)
        }
    }
}

async fn submit(args: &SendmailArgs, net: &dyn Net) -> Result<(), Failure> {
    if let Some(mode) = args.mode.as_deref().filter(|mode| *mode != "m") {
        return Err(Failure(USAGE, format!("-b{mode} is not offered: only messages can be submitted")));
    }
    let mut input = Vec::new();
    // Nothing else runs in this process.
    let read = std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut input);
    read.map_err(|e| Failure(DATA, format!("reading standard input: {e}")))?;
    let mut message = with_crlf(&input);
    let mut to = args.recipients.clone();
    if args.read_recipients {
        to.extend(recipients(&message));
        message = without_bcc(&message);
    }
    if to.is_empty() {
        return Err(Failure(
            USAGE,
            "no recipients: name them, or use -t to take them from the header".into(),
        ));
    }
    let from = args.from.clone().or_else(|| sender(&message)).unwrap_or_default();
    if sender(&message).is_none() && !from.is_empty() {
        let name = args.full_name.as_deref().map(|n| format!("{n} ")).unwrap_or_default();
        let field = format!("From: {name}<{from}>\r\n");
        message.splice(0..0, field.into_bytes());
    }
    let (host, port) = args
        .server
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.trim_matches(['[', ']']), port.parse().ok()?)))
        .ok_or_else(|| Failure(USAGE, format!("{:?} is not HOST:PORT", args.server)))?;
    let io = tokio::time::timeout(PATIENCE, net.dial(host, port))
        .await
        .map_err(|_| Failure(TEMPORARY, format!("no connection to {} in time", args.server)))?
        .map_err(|e| {
            Failure(TEMPORARY, format!("no connection to {}: {e}. Is gadwall running?", args.server))
        })?;
    Dialogue { io: BufReader::new(io) }.run(args, &from, &to, &message).await
}

struct Dialogue {
    io: BufReader<BoxIo>,
}

impl Dialogue {
    async fn run(
        mut self,
        args: &SendmailArgs,
        from: &str,
        to: &[String],
        message: &[u8],
    ) -> Result<(), Failure> {
        self.expect(2).await?;
        let offers = self.say("EHLO localhost", 2).await?;
        if let Some(user) = &args.user {
            // The server knows whether this connection is fit for a password; there is no TLS here.
            let takes_passwords = offers.lines().any(|line| {
                let mut words = line.get(4..).unwrap_or_default().split_ascii_whitespace();
                words.next().is_some_and(|w| w.eq_ignore_ascii_case("AUTH"))
                    && words.any(|w| w.eq_ignore_ascii_case("PLAIN"))
            });
            if !takes_passwords {
                let text =
                    "the server takes no password over this connection, as it is neither local nor encrypted";
                return Err(Failure(UNAVAILABLE, text.into()));
            }
            let token =
                STANDARD.encode(format!("\0{user}\0{}", args.password.as_deref().unwrap_or_default()));
            self.say(&format!("AUTH PLAIN {token}"), 2).await?;
        }
        let clean = |address: &str| address.trim_matches(['<', '>']).replace(['\r', '\n'], "");
        let utf8 = if from.is_ascii() && to.iter().all(|t| t.is_ascii()) { "" } else { " SMTPUTF8" };
        self.say(&format!("MAIL FROM:<{}>{utf8}", clean(from)), 2).await?;
        let notify = args.notify.as_ref().map(|n| format!(" NOTIFY={n}")).unwrap_or_default();
        for address in to {
            self.say(&format!("RCPT TO:<{}>{notify}", clean(address)), 2).await?;
        }
        self.say("DATA", 3).await?;
        self.write(&stuff(message)).await?;
        self.expect(2).await?;
        self.say("QUIT", 2).await?;
        Ok(())
    }

    async fn say(&mut self, line: &str, class: u8) -> Result<String, Failure> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.expect(class).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let writing = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        match tokio::time::timeout(PATIENCE, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Failure(TEMPORARY, format!("the connection broke: {e}"))),
            Err(_) => Err(Failure(TEMPORARY, "the server takes nothing any more".into())),
        }
    }

    /// Reads one reply, all its lines, and wants its code to begin with `class`.
    async fn expect(&mut self, class: u8) -> Result<String, Failure> {
        let reading = async {
            let mut reply = String::new();
            loop {
                let start = reply.len();
                if (&mut self.io).take(4096).read_line(&mut reply).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                if reply.as_bytes().get(start + 3) != Some(&b'-') {
                    return Ok(reply);
                }
                if reply.len() > REPLY_LIMIT {
                    return Err(std::io::Error::other("a reply without end"));
                }
            }
        };
        let reply: Result<String, std::io::Error> = tokio::time::timeout(PATIENCE, reading)
            .await
            .map_err(|_| Failure(TEMPORARY, "the server does not answer".into()))?;
        let reply = reply.map_err(|e| Failure(TEMPORARY, format!("the connection broke: {e}")))?;
        match reply.bytes().next() {
            Some(first) if first == b'0' + class => Ok(reply),
            Some(b'4') => Err(Failure(TEMPORARY, reply.trim_end().into())),
            _ => Err(Failure(UNAVAILABLE, reply.trim_end().into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::{Role, serve};
    use crate::testing::World;
    use clap::Parser;
    use gadwall_storage::MailboxName;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SendmailArgs,
    }

    /// Submits to a server that sees the client at `peer`; what went wrong, and how many messages there are then.
    async fn submitted(peer: &str) -> (Option<String>, u64) {
        let world = World::new().await;
        let (mut conn, talk) = world.connection();
        conn.peer = format!("{peer}:4000").parse().unwrap();
        tokio::spawn(serve(conn, world.services.clone(), Role::Submission { accept_anything: None }));
        let line = Line::parse_from(["sendmail", "-u", "ann@example.org", "-p", "secret"]);
        let dialogue = Dialogue { io: BufReader::new(Box::new(talk.io) as BoxIo) };
        let sent =
            dialogue.run(&line.args, "a@b.org", &["c@d.org".into()], b"Subject: hi\r\n\r\n.\r\n").await;
        let inbox = world.services.store.mailbox_by_name(world.account.id, &MailboxName::inbox()).await;
        (sent.err().map(|failure| failure.1), inbox.unwrap().messages)
    }

    #[tokio::test]
    async fn a_password_is_sent_only_where_the_server_asks_for_one() {
        assert_eq!(submitted("127.0.0.1").await, (None, 1));
        let (failure, messages) = submitted("192.0.2.1").await;
        assert!(failure.unwrap().contains("no password over this connection"));
        assert_eq!(messages, 0);
    }
}
