//! Owns the stream: reads, writes, time-outs, TLS upgrade, drain. Decides nothing about mail.

use super::decode::{COMMAND_LIMIT, Decoder, Line, SASL_LIMIT};
use super::reply::{Code, Reply, Retrieved};
use super::session::{Encrypted, Next, Session};
use super::stuff::{Stuffer, Wants};
use crate::Services;
use crate::auth::Private;
use crate::net::{BoxIo, Conn};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How much is read from the client at a time.
const READ: usize = 4 << 10;
/// How much of a message is read from the store at a time.
const PIECE: usize = 64 << 10;
/// What waits to be sent is sent once there is so much of it.
const ENOUGH: usize = 64 << 10;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// Serves one connection until it ends.
pub async fn serve(conn: Conn, services: Arc<Services>) {
    let private = if conn.is_private() { Private::Yes } else { Private::No };
    let encrypted = if conn.tls.is_some() { Encrypted::Yes } else { Encrypted::No };
    let session = Session::new(services.clone(), conn.peer.ip(), private, encrypted);
    let mut driver = Driver {
        io: conn.io,
        decoder: Decoder::default(),
        out: Vec::new(),
        session,
        services,
        drain: conn.drain,
    };
    if let Err(e) = driver.run().await {
        tracing::debug!(error = %e, "connection ended");
    }
    driver.session.end().await;
}

struct Driver {
    io: BoxIo,
    decoder: Decoder,
    /// Responses not sent yet: those to pipelined commands go out together (RFC 2449 §6.6).
    out: Vec<u8>,
    session: Session,
    services: Arc<Services>,
    drain: CancellationToken,
}

/// What came instead of a line.
enum Stop {
    Drain,
    Idle,
}

impl Driver {
    async fn run(&mut self) -> io::Result<()> {
        self.session.greeting().write(&mut self.out);
        let mut next = Next::Command;
        loop {
            next = match next {
                Next::Command => self.turn(COMMAND_LIMIT, Next::Command).await?,
                Next::SaslResponse => self.turn(SASL_LIMIT, Next::SaslResponse).await?,
                Next::StartTls => self.start_tls().await?,
                Next::Close => {
                    self.flush().await?;
                    return timeout(self.services.limits.write_stall, self.io.shutdown()).await?;
                }
            };
        }
    }

    /// One line and the response to it.
    async fn turn(&mut self, limit: usize, expected: Next) -> io::Result<Next> {
        let (reply, next) = match self.line(limit).await? {
            Ok(Line::Text(line)) if expected == Next::SaslResponse => self.session.sasl_response(&line).await,
            Ok(Line::Text(line)) => self.session.line(&line).await,
            Ok(Line::TooLong) => self.session.line_too_long(),
            Err(Stop::Drain) => {
                let goodbye = "the server shuts down, nothing was deleted, come back soon";
                (Reply::Err(Some(Code::SysTemp), goodbye.into()), Next::Close)
            }
            // RFC 1939 §3: closed without a word, and nothing deleted.
            Err(Stop::Idle) => return Ok(Next::Close),
        };
        reply.write(&mut self.out);
        if let Reply::Message(message) = reply {
            self.message(message).await?;
        }
        if self.out.len() >= ENOUGH {
            self.flush().await?;
        }
        Ok(next)
    }

    /// Sends a message in pieces. When the store fails on the way the connection is cut: the end was not sent, so the
    /// client knows that it has not got all of it.
    async fn message(&mut self, mut message: Retrieved) -> io::Result<()> {
        let mut stuffer = Stuffer::new(message.extent);
        let mut wants = stuffer.push(&message.start, &mut self.out);
        let mut at = message.start.len() as u64;
        drop(std::mem::take(&mut message.start));
        while wants == Wants::More && at < message.body.size() {
            if self.out.len() >= ENOUGH {
                self.flush().await?;
            }
            let piece = message.body.read_at(at, PIECE).await.map_err(|e| {
                tracing::warn!(error = %e, "a message could not be read to its end");
                io::Error::other(e)
            })?;
            if piece.is_empty() {
                return Err(io::Error::other("a body ends before its size"));
            }
            at += piece.len() as u64;
            wants = stuffer.push(&piece, &mut self.out);
        }
        stuffer.finish(&mut self.out);
        Ok(())
    }

    /// The next line. Whatever was answered before is sent while the client is waited for.
    async fn line(&mut self, limit: usize) -> io::Result<Result<Line, Stop>> {
        let mut deadline = None;
        loop {
            if let Some(line) = self.decoder.line(limit) {
                return Ok(Ok(line));
            }
            self.flush().await?;
            // RFC 1939 §3: only a command resets the timer, so one byte now and then does not.
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.patience());
            let buffer = self.decoder.buffer();
            buffer.reserve(READ);
            tokio::select! {
                biased;
                read = self.io.read_buf(buffer) => if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                },
                () = self.drain.cancelled() => return Ok(Err(Stop::Drain)),
                () = sleep_until(deadline) => return Ok(Err(Stop::Idle)),
            }
        }
    }

    fn patience(&self) -> Duration {
        let limits = &self.services.limits;
        if self.session.is_authenticated() {
            limits.pop3_idle
        } else {
            limits.unauthenticated_idle.min(limits.pop3_idle)
        }
    }

    /// Sends what waits. A slow client has time, as long as it takes something now and then.
    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let stall = self.services.limits.write_stall;
        let mut at = 0;
        while at < self.out.len() {
            match timeout(stall, self.io.write(&self.out[at..])).await?? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => at += written,
            }
        }
        timeout(stall, self.io.flush()).await??;
        self.out.clear();
        // A long listing is not kept for a session that idles.
        self.out.shrink_to(2 * ENOUGH);
        Ok(())
    }

    async fn start_tls(&mut self) -> io::Result<Next> {
        self.flush().await?;
        // RFC 2595 §4: what was sent along with the command was not protected and is forgotten.
        self.decoder.clear();
        let Some(tls) = self.services.tls.clone() else { return Ok(Next::Close) };
        let plain = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let (io, info) = timeout(HANDSHAKE, tls.accept(plain)).await??;
        tracing::debug!(version = %info.version, cipher = %info.cipher, "encrypted");
        self.io = io;
        self.session.encrypted();
        Ok(Next::Command)
    }
}
