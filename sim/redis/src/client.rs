//! One connection to a server: commands in, answers and messages out, in the order in which they came to be.

use crate::command::{Session, execute};
use crate::resp::{Reply, take_command};
use crate::server::Shared;
use crate::state::{ClientId, Outgoing, QUEUE};
use gadwall::net::BoxIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a client may take to read what it is sent.
const WRITE: Duration = Duration::from_secs(60);

pub async fn serve(shared: &Shared, mut io: BoxIo) {
    let (out, outgoing) = mpsc::channel(QUEUE);
    let end = Arc::new(Notify::new());
    let id = shared.state().join(out, end.clone());
    let _leaving = Leaving { shared, id };
    let talk =
        Talk { shared, session: Session::new(id, shared), outgoing, pending: None, buffer: Vec::new() };
    let mut dropped = shared.options.handle.dropped();
    tokio::select! {
        biased;
        () = end.notified() => {}
        () = async {
            while dropped.changed().await.is_ok() {
                if shared.state().is_subscriber(id) {
                    return;
                }
            }
            std::future::pending().await
        } => {}
        ended = talk.on(&mut io) => tracing::trace!(at = %shared.options.address, id, ?ended, "a client left"),
    }
}

/// Takes the client off the books however its task ends.
struct Leaving<'a> {
    shared: &'a Shared,
    id: ClientId,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.shared.state().leave(self.id);
    }
}

struct Talk<'a> {
    shared: &'a Shared,
    session: Session,
    outgoing: mpsc::Receiver<Outgoing>,
    /// What is next to leave, at its time.
    pending: Option<Outgoing>,
    buffer: Vec<u8>,
}

impl Talk<'_> {
    async fn on(mut self, io: &mut BoxIo) -> io::Result<()> {
        loop {
            let due = self.pending.as_ref().map(|next| next.due.unwrap_or_else(Instant::now));
            let read = tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => None,
                next = self.outgoing.recv(), if due.is_none() => {
                    self.pending = next;
                    continue;
                }
                read = io.read_buf(&mut self.buffer) => Some(read?),
            };
            self.shared.options.handle.running().await;
            match (read, self.pending.take()) {
                (None, Some(next)) => timeout(WRITE, io.write_all(&next.bytes)).await??,
                (Some(0), _) => return Ok(()),
                (_, pending) => {
                    self.pending = pending;
                    self.execute()?;
                }
            }
        }
    }

    fn execute(&mut self) -> io::Result<()> {
        loop {
            match take_command(&mut self.buffer) {
                Ok(Some(words)) => execute(self.shared, &mut self.session, &words),
                Ok(None) => return Ok(()),
                Err(_) => {
                    self.shared.options.handle.refuse("a request that is no array of words".into());
                    let reply = Reply::Error("ERR Protocol error".into()).encode();
                    self.shared.state().send(self.session.id, None, reply);
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    }
}
