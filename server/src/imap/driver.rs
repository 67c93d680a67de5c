//! Owns the stream: reads, time-outs, TLS upgrade, IDLE, drain. Decides nothing about mail.

use super::compress::deflate;
use super::decode::Event;
use super::encode::Status;
use super::session::{Appending, AuthNext, Fail, Peer, Session};
use super::types::{AppendPiece, Command, Tag, Tagged};
use super::view::Expunges;
use super::wire::Wire;
use crate::Services;
use crate::auth::Private;
use crate::net::Conn;
use gadwall_storage::HintReceiver;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// While IDLE: how often the store is looked at even without a hint, since a hint may get lost.
const POLL: Duration = Duration::from_secs(30);
/// While IDLE: how often something is said, so that a dead connection is found out and middle-boxes stay awake.
const STILL_HERE: Duration = Duration::from_secs(120);
const HANDSHAKE: Duration = Duration::from_secs(20);
/// A client has logged in within this time, whatever it says meanwhile.
const LOGIN_PHASE: Duration = Duration::from_secs(180);

/// Serves one connection until it ends.
pub async fn serve(conn: Conn, services: Arc<Services>) {
    let private = if conn.is_private() { Private::Yes } else { Private::No };
    let peer = Peer { address: conn.peer, private, tls: conn.tls.clone() };
    let mut driver = Driver {
        wire: Wire::new(conn.io, &services.limits),
        session: Session::new(services.clone(), peer),
        services,
        drain: conn.drain,
        log_in_by: Instant::now() + LOGIN_PHASE,
        appending: None,
        bad: 0,
    };
    let ended = match driver.run().await {
        Ok(()) => driver.wire.close().await,
        Err(Fail::Io(e)) => Err(e),
        Err(Fail::Bye(status) | Fail::Status(status)) => driver.bye(&status).await,
    };
    if let Err(e) = ended {
        tracing::debug!(error = %e, "connection ended");
    }
}

struct Driver {
    wire: Wire,
    session: Session,
    services: Arc<Services>,
    drain: CancellationToken,
    log_in_by: Instant,
    appending: Option<Appending>,
    /// Commands in a row that were wrong.
    bad: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Go,
    Close,
}

impl Driver {
    async fn run(&mut self) -> Result<(), Fail> {
        self.wire.status(None, &self.session.greeting());
        loop {
            while let Some(event) = self.wire.decoder.event() {
                if self.handle(event).await? == Flow::Close {
                    self.wire.flush().await?;
                    return Ok(());
                }
                self.wire.relieve().await?;
            }
            self.wire.flush().await?;
            self.read().await?;
        }
    }

    /// Waits for more. Between commands the server may drain; a command in flight is finished.
    async fn read(&mut self) -> Result<(), Fail> {
        let limits = &self.services.limits;
        let patience = match self.session.account() {
            Some(_) => limits.imap_idle,
            // RFC 9051 §5.4 lets a server be short with those who have not logged in.
            None => limits.unauthenticated_idle.min(self.log_in_by.saturating_duration_since(Instant::now())),
        };
        let between = self.wire.decoder.is_idle() && self.appending.is_none();
        let drained = async {
            match between {
                true => self.drain.cancelled().await,
                false => std::future::pending().await,
            }
        };
        let until = Instant::now() + patience;
        tokio::pin!(drained);
        loop {
            let noticed = async {
                match between {
                    // RFC 5465 §3.1.
                    true => self.session.noticed().await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                filled = self.wire.fill() => return Ok(filled?),
                () = &mut drained => return Err(draining()),
                () = tokio::time::sleep_until(until) => {
                    return Err(Fail::Bye(Status::bye("Nothing was said for too long")));
                }
                () = noticed => {}
            }
            self.session.tell_noticed(&mut self.wire).await?;
            self.wire.flush().await?;
        }
    }

    async fn bye(&mut self, status: &Status) -> io::Result<()> {
        let bye = Status { kind: super::encode::Kind::Bye, ..status.clone() };
        self.wire.status(None, &bye);
        self.wire.flush().await?;
        self.wire.close().await
    }

    async fn handle(&mut self, event: Event) -> Result<Flow, Fail> {
        match event {
            Event::Command(tagged) => return self.command(tagged).await,
            Event::ContinueLiteral => self.wire.continuation("Go on"),
            Event::Append { tag, pieces, size, needs_continue } => {
                return self.append(tag, (pieces, size), needs_continue).await;
            }
            Event::MessageData(bytes) => {
                if let Some(appending) = &mut self.appending {
                    appending.data(&bytes);
                }
            }
            // The message may go on.
            Event::MessageEnd => {}
            // Nobody asked for a line.
            Event::Line(_) => {}
            Event::Bad { tag, reason } => {
                self.appending = None;
                self.wire.status(tag.as_ref(), &Status::bad(sentence(&reason)));
                return self.count(Judgement::Bad);
            }
            Event::Fatal { reason } => return Err(Fail::Bye(Status::bye(sentence(&reason)))),
        }
        Ok(Flow::Go)
    }

    fn count(&mut self, judgement: Judgement) -> Result<Flow, Fail> {
        self.bad = if judgement == Judgement::Bad { self.bad + 1 } else { 0 };
        if self.bad >= self.services.limits.bad_commands {
            return Err(Fail::Bye(Status::bye("Too many commands that are none")));
        }
        Ok(Flow::Go)
    }

    async fn command(&mut self, tagged: Tagged) -> Result<Flow, Fail> {
        let Tagged { tag, command } = tagged;
        match command {
            Command::Logout => {
                self.wire.status(None, &Status::bye("Logging out"));
                self.wire.status(Some(&tag), &Status::ok("Bye"));
                Ok(Flow::Close)
            }
            Command::StartTls => self.start_tls(&tag).await,
            Command::Authenticate { mechanism, initial } => {
                self.authenticate(&tag, &mechanism, initial.as_deref()).await
            }
            Command::Idle => self.idle(&tag).await,
            Command::Compress => self.compress(&tag).await,
            Command::Unauthenticate => self.unauthenticate(&tag).await,
            Command::Append(pieces) => {
                let so_far = self.appending.take();
                let status = self.session.append_ends(&tag, so_far, pieces, &mut self.wire).await?;
                self.count(Judgement::of(&status))
            }
            command => {
                let status = self.session.execute(Tagged { tag, command }, &mut self.wire).await?;
                self.trust();
                self.count(Judgement::of(&status))
            }
        }
    }

    /// Who has logged in may send larger literals.
    fn trust(&mut self) {
        if self.session.account().is_some() {
            self.wire.decoder.allow_literals(self.services.limits.literal_bytes);
        }
    }

    /// RFC 3501 §6.2.1.
    async fn start_tls(&mut self, tag: &Tag) -> Result<Flow, Fail> {
        let Some(tls) = self.services.tls.clone().filter(|_| self.session.can_start_tls()) else {
            self.wire.status(Some(tag), &Status::bad("STARTTLS is not offered now"));
            return self.count(Judgement::Bad);
        };
        if self.session.account().is_some() {
            self.wire.status(Some(tag), &Status::bad("Logged in already"));
            return self.count(Judgement::Bad);
        }
        self.wire.status(Some(tag), &Status::ok("Begin TLS negotiation now"));
        self.wire.flush().await?;
        // What was sent along with the command was not protected and is forgotten.
        self.wire.decoder.clear();
        let plain = std::mem::replace(&mut self.wire.io, Box::new(tokio::io::empty()));
        let upgraded = timeout(HANDSHAKE, tls.accept(plain)).await;
        let (io, info) = upgraded.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.wire.io = io;
        self.session.encrypted(info);
        Ok(Flow::Go)
    }

    /// RFC 4978 §3.
    async fn compress(&mut self, tag: &Tag) -> Result<Flow, Fail> {
        if let Err(status) = self.session.can_compress() {
            self.wire.status(Some(tag), &status);
            return self.count(Judgement::of(&status));
        }
        self.wire.status(Some(tag), &Status::ok("DEFLATE active"));
        self.wire.flush().await?;
        let plain = std::mem::replace(&mut self.wire.io, Box::new(tokio::io::empty()));
        self.wire.io = deflate(plain);
        self.session.compressed();
        Ok(Flow::Go)
    }

    /// RFC 8437 §3.
    async fn unauthenticate(&mut self, tag: &Tag) -> Result<Flow, Fail> {
        if let Err(status) = self.session.unauthenticate() {
            self.wire.status(Some(tag), &status);
            return self.count(Judgement::Bad);
        }
        self.wire.start_over(&self.services.limits);
        self.log_in_by = Instant::now() + LOGIN_PHASE;
        self.wire.status(Some(tag), &Status::ok("Nobody is logged in now"));
        Ok(Flow::Go)
    }

    async fn authenticate(
        &mut self,
        tag: &Tag,
        mechanism: &str,
        initial: Option<&[u8]>,
    ) -> Result<Flow, Fail> {
        let mut next = self.session.authenticate(mechanism, initial).await;
        loop {
            match next {
                AuthNext::Done(status) => {
                    self.trust();
                    self.wire.status(Some(tag), &status);
                    return self.count(Judgement::of(&status));
                }
                AuthNext::Challenge(text) => {
                    self.wire.continuation(&text);
                    match self.answer().await? {
                        Ok(line) => next = self.session.auth_line(&line).await,
                        Err(fatal) => return Err(fatal),
                    }
                }
            }
        }
    }

    /// The line that answers a continuation request.
    async fn answer(&mut self) -> Result<Result<bytes::Bytes, Fail>, Fail> {
        self.wire.decoder.expect_line();
        loop {
            match self.wire.decoder.event() {
                Some(Event::Line(line)) => return Ok(Ok(line)),
                Some(Event::Fatal { reason }) => return Ok(Err(Fail::Bye(Status::bye(sentence(&reason))))),
                Some(_) => {}
                None => {
                    self.wire.flush().await?;
                    self.read().await?;
                }
            }
        }
    }

    async fn append(
        &mut self,
        tag: Tag,
        (pieces, size): (Vec<AppendPiece>, u64),
        needs_continue: bool,
    ) -> Result<Flow, Fail> {
        let so_far = self.appending.take();
        match self.session.append_goes_on(so_far, pieces, size).await {
            Ok(appending) => {
                self.appending = Some(appending);
                self.wire.decoder.accept_message();
                if needs_continue {
                    self.wire.continuation("Send the message");
                }
                Ok(Flow::Go)
            }
            Err(Fail::Status(status)) => {
                self.wire.decoder.refuse_message();
                self.session.tell(&mut self.wire, Expunges::Allowed).await?;
                self.wire.status(Some(&tag), &status);
                self.count(Judgement::of(&status))
            }
            Err(fail) => Err(fail),
        }
    }

    /// RFC 2177.
    async fn idle(&mut self, tag: &Tag) -> Result<Flow, Fail> {
        let Some(account) = self.session.account() else {
            self.wire.status(Some(tag), &Status::bad("Log in first"));
            return self.count(Judgement::Bad);
        };
        // Before the look at the store: what happens in between makes a hint.
        let mut hints = self.services.store.hints(account);
        self.wire.continuation("Idling");
        self.wire.decoder.expect_line();
        let line = self.until_line(&mut hints).await?;
        self.session.tell(&mut self.wire, Expunges::Allowed).await?;
        if line.eq_ignore_ascii_case(b"DONE") {
            self.wire.status(Some(tag), &Status::ok("Idle no more"));
            return self.count(Judgement::Fine);
        }
        self.wire.status(Some(tag), &Status::bad("IDLE ends with DONE"));
        self.count(Judgement::Bad)
    }

    /// Tells of changes as they come, until the client says something.
    async fn until_line(&mut self, hints: &mut HintReceiver) -> Result<bytes::Bytes, Fail> {
        let end = Instant::now() + self.services.limits.imap_idle;
        let mut still_here = Instant::now() + STILL_HERE;
        loop {
            match self.wire.decoder.event() {
                Some(Event::Line(line)) => return Ok(line),
                Some(Event::Fatal { reason }) => return Err(Fail::Bye(Status::bye(sentence(&reason)))),
                _ => {}
            }
            self.session.tell(&mut self.wire, Expunges::Allowed).await?;
            self.wire.flush().await?;
            tokio::select! {
                biased;
                filled = self.wire.fill() => filled?,
                _ = hints.recv() => {}
                () = self.drain.cancelled() => return Err(draining()),
                () = tokio::time::sleep_until(end) => {
                    return Err(Fail::Bye(Status::bye("Idle for too long: say IDLE again every 29 minutes")));
                }
                () = tokio::time::sleep_until(still_here) => {
                    still_here += STILL_HERE;
                    self.wire.status(None, &Status::ok("Still here"));
                }
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Fine,
    Bad,
}

impl Judgement {
    fn of(status: &Status) -> Self {
        if status.kind == super::encode::Kind::Bad { Judgement::Bad } else { Judgement::Fine }
    }
}

fn draining() -> Fail {
    Fail::Bye(Status::bye("The server is shutting down, come back soon"))
}

/// A reason as a text of its own.
fn sentence(reason: &str) -> String {
    let mut chars = reason.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}
