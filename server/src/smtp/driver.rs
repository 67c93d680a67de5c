//! Owns the stream: reads, time-outs, TLS upgrade, drain. Decides nothing about mail.

use super::decode::{Decoder, Line};
use super::reply::Reply;
use super::session::{Next, Peer, Session};
use super::{Role, Unstuffer};
use crate::Services;
use crate::auth::Private;
use crate::net::{BoxIo, Conn, Pace, close};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How much is read at a time.
const READ: usize = 32 << 10;

/// Serves one connection until it ends.
pub async fn serve(conn: Conn, services: Arc<Services>, role: Role) {
    let private = if conn.is_private() { Private::Yes } else { Private::No };
    let peer = Peer { address: conn.peer, connection: conn.id, private, tls: conn.tls.clone() };
    let session = Session::new(services.clone(), role, peer);
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
}

struct Driver {
    io: BoxIo,
    decoder: Decoder,
    /// Replies not written yet: those of pipelined commands go out together (RFC 2920 §3.2).
    out: Vec<u8>,
    session: Session,
    services: Arc<Services>,
    drain: CancellationToken,
}

/// Why reading stopped.
enum Stop {
    Drain,
    Idle,
}

impl Driver {
    async fn run(&mut self) -> io::Result<()> {
        self.say(&self.session.greeting());
        let mut next = Next::Command;
        loop {
            next = match next {
                Next::Command | Next::AuthResponse => match self.line(next).await? {
                    Ok(Line::Text(line)) => self.execute(next, &line).await,
                    Ok(Line::TooLong) => {
                        let (reply, next) = self.session.line_too_long();
                        self.say(&reply);
                        next
                    }
                    Err(stop) => return self.stop(&stop).await,
                },
                Next::Data => match self.data().await? {
                    Ok(()) => {
                        let replies = self.session.message_done().await;
                        replies.iter().for_each(|reply| self.say(reply));
                        Next::Command
                    }
                    Err(stop) => return self.stop(&stop).await,
                },
                Next::Chunk { len, last } => match self.chunk(len).await? {
                    Ok(()) => {
                        let (replies, next) = self.session.chunk_done(len, last).await;
                        replies.iter().for_each(|reply| self.say(reply));
                        next
                    }
                    Err(stop) => return self.stop(&stop).await,
                },
                Next::StartTls => self.start_tls().await?,
                Next::Close => return self.close().await,
            };
        }
    }

    async fn execute(&mut self, expected: Next, line: &[u8]) -> Next {
        let (reply, next) = match expected {
            Next::AuthResponse => self.session.auth_response(line).await,
            _ => self.session.line(line).await,
        };
        // A chunk is answered once it is there.
        if !matches!(next, Next::Chunk { .. }) {
            self.say(&reply);
        }
        next
    }

    fn say(&mut self, reply: &Reply) {
        reply.write(&mut self.out);
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let writing = async {
            self.io.write_all(&self.out).await?;
            self.io.flush().await
        };
        timeout(self.services.limits.write_stall, writing).await.map_err(|_| io::ErrorKind::TimedOut)??;
        self.out.clear();
        Ok(())
    }

    async fn close(&mut self) -> io::Result<()> {
        let last_words = std::mem::take(&mut self.out);
        close(&mut self.io, &last_words, self.services.limits.write_stall).await
    }

    /// The next line. Only a whole one resets the clock, so a byte now and then does not. Between messages the server
    /// may drain, however much the client has sent ahead; a message in flight is finished.
    async fn line(&mut self, expected: Next) -> io::Result<Result<Line, Stop>> {
        let interruptible = if expected == Next::Command && !self.session.is_receiving() {
            Interruptible::Yes
        } else {
            Interruptible::No
        };
        let mut deadline = None;
        loop {
            if interruptible == Interruptible::Yes
                && self.session.is_between_messages()
                && self.drain.is_cancelled()
            {
                return Ok(Err(Stop::Drain));
            }
            if let Some(line) = self.decoder.line() {
                return Ok(Ok(line));
            }
            self.flush().await?;
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.patience());
            if let Err(stop) = self.read(interruptible, deadline).await? {
                return Ok(Err(stop));
            }
        }
    }

    fn patience(&self) -> Duration {
        let limits = &self.services.limits;
        if self.session.is_authenticated() {
            limits.smtp_idle
        } else {
            limits.unauthenticated_idle.min(limits.smtp_idle)
        }
    }

    async fn data(&mut self) -> io::Result<Result<(), Stop>> {
        let mut unstuffer = Unstuffer::default();
        self.flush().await?;
        let mut pace = Pace::new(self.services.limits.smtp_idle);
        loop {
            let session = &mut self.session;
            let keep = |bytes: &[u8]| {
                session.content(bytes);
                Ok::<(), Infallible>(())
            };
            let Ok((used, ended)) = unstuffer.push(self.decoder.pending(), keep);
            self.decoder.consume(used);
            if ended {
                return Ok(Ok(()));
            }
            if let Err(stop) = self.read(Interruptible::No, pace.deadline()).await? {
                return Ok(Err(stop));
            }
            pace.received(self.decoder.pending().len());
        }
    }

    async fn chunk(&mut self, len: u64) -> io::Result<Result<(), Stop>> {
        let mut left = len;
        self.flush().await?;
        let mut pace = Pace::new(self.services.limits.smtp_idle);
        while left > 0 {
            let pending = self.decoder.pending();
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(pending.len());
            if take == 0 {
                if let Err(stop) = self.read(Interruptible::No, pace.deadline()).await? {
                    return Ok(Err(stop));
                }
                pace.received(self.decoder.pending().len());
                continue;
            }
            self.session.content(&pending[..take]);
            self.decoder.consume(take);
            left -= take as u64;
        }
        Ok(Ok(()))
    }

    /// Reads more. What was said so far has been sent.
    async fn read(
        &mut self,
        interruptible: Interruptible,
        deadline: Instant,
    ) -> io::Result<Result<(), Stop>> {
        let buffer = self.decoder.buffer();
        buffer.reserve(READ);
        let drained = async {
            match interruptible {
                Interruptible::Yes => self.drain.cancelled().await,
                Interruptible::No => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            read = self.io.read_buf(buffer) => match read? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(Ok(())),
            },
            () = drained => Ok(Err(Stop::Drain)),
            () = sleep_until(deadline) => Ok(Err(Stop::Idle)),
        }
    }

    async fn stop(&mut self, stop: &Stop) -> io::Result<()> {
        self.say(&match stop {
            // RFC 5321 §3.8.
            Stop::Drain => Reply::new(421, "4.3.2", "Shutting down, come back soon"),
            Stop::Idle => Reply::new(421, "4.4.2", "Nothing was said for too long"),
        });
        self.close().await
    }

    async fn start_tls(&mut self) -> io::Result<Next> {
        const HANDSHAKE: Duration = Duration::from_secs(20);
        self.flush().await?;
        // RFC 3207 §4.2: what was sent along with the command was not protected and is forgotten.
        self.decoder.clear();
        let Some(tls) = self.services.tls.clone() else { return Ok(Next::Close) };
        let plain = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let upgraded = timeout(HANDSHAKE, tls.accept(plain)).await;
        let (io, info) = upgraded.map_err(|_| io::ErrorKind::TimedOut)??;
        self.io = io;
        self.session.encrypted(info);
        Ok(Next::Command)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruptible {
    Yes,
    No,
}
