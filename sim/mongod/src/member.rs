//! A member on a network: connections, the order of commands, and what replies wait for.

use crate::engine::{Answer, Engine, Pending, Turn, Unsettled};
use crate::log::Log;
use crate::oplog::OpTime;
use crate::wire::{self, WireError};
use async_trait::async_trait;
use bson::Document;
use gadwall::net::{BoxIo, Net};
use gadwall_storage::Clock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// A connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(1800);
/// A reply that isn't taken for so long ends the connection.
const SEND: Duration = Duration::from_secs(60);
/// How often a command that is blocked is tried again, if nothing is heard before: transactions may run out of time.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a command stays blocked at most: longer than a transaction lives.
const BLOCKED: Duration = Duration::from_secs(90);

/// What other members ask: commands whose names begin with `_repl`.
#[async_trait]
pub trait Internal: Send + Sync {
    async fn internal(&self, command: Document) -> Document;

    /// Hears of what drivers are answered.
    fn answered(&self, _command: &Document, _answer: &Document) {}
}

/// A member: its engine and its log, used by one command at a time.
pub struct Member {
    state: Mutex<State>,
    progress: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    internal: Option<Arc<dyn Internal>>,
}

struct State {
    engine: Engine,
    log: Box<dyn Log>,
}

/// What waiters wait for a change of.
#[derive(PartialEq)]
struct Standing(Option<u64>, OpTime, OpTime, OpTime);

impl Standing {
    fn of(log: &dyn Log) -> Self {
        Standing(log.primary(), log.last(), log.committed(), log.durable())
    }
}

impl Member {
    pub fn new(
        engine: Engine,
        log: Box<dyn Log>,
        clock: Arc<dyn Clock>,
        internal: Option<Arc<dyn Internal>>,
    ) -> Arc<Self> {
        let state = Mutex::new(State { engine, log });
        Arc::new(Member { state, progress: watch::Sender::new(0), clock, internal })
    }

    /// Works on both halves, and wakes whoever waits for what has changed. Not to be called from within.
    pub fn with<T>(&self, work: impl FnOnce(&mut Engine, &mut dyn Log) -> T) -> T {
        let (done, changed) = {
            let mut state = self.lock();
            let State { engine, log } = &mut *state;
            let before = Standing::of(&**log);
            let done = work(engine, &mut **log);
            engine.committed(log.committed());
            (done, before != Standing::of(&**log))
        };
        if changed {
            self.progressed();
        }
        done
    }

    /// The log has changed by itself: its commit point, what is durable, or its role.
    pub fn progressed(&self) {
        self.progress.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// What `replSetGetStatus` would say.
    pub fn status(&self) -> Document {
        self.lock().log.status()
    }

    /// The documents of a collection as they are here after the last entry, in the order of `_id`.
    pub fn documents(&self, ns: &str) -> Vec<Document> {
        self.lock().engine.documents(ns)
    }

    /// All collections with their documents, as [`Member::documents`] has them.
    pub fn everything(&self) -> BTreeMap<String, Vec<Document>> {
        self.lock().engine.everything()
    }

    /// Changes with all that waiters wait for.
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock can be left half done by a panic and then be gone on with safely.
        self.state.lock().expect("the member has panicked before")
    }

    /// Runs a command and waits until it can be answered. `None`: the connection is to be closed instead.
    pub async fn command(&self, command: Document) -> Option<Document> {
        let name = command.keys().next().cloned().unwrap_or_default();
        if let Some(internal) = self.internal.as_ref().filter(|_| name.starts_with("_repl")) {
            return Some(internal.internal(command).await);
        }
        let fault = self.with(|engine, _| engine.fault(&command));
        if let Some(delay) = fault.delay {
            sleep(delay).await;
        }
        if fault.hang_up {
            return None;
        }
        if let Some(refusal) = &fault.refusal {
            return Some(Answer::refused(refusal.clone(), &command).faulty(&fault).finish(Ok(())));
        }
        let answer = self.run(&command).await.faulty(&fault);
        let settled = match answer.wait.clone() {
            Some(pending) => self.settled(pending).await,
            None => Ok(()),
        };
        let answer = answer.finish(settled);
        if let Some(internal) = &self.internal {
            internal.answered(&command, &answer);
        }
        Some(answer)
    }

    async fn run(&self, command: &Document) -> Answer {
        let mut progress = self.progress();
        let deadline = Instant::now() + patience(command).unwrap_or(BLOCKED);
        loop {
            progress.borrow_and_update();
            let now_ms = self.clock.now().millis();
            let (turn, freed) = self.with(|engine, log| {
                let before = engine.holds();
                let turn = engine.run(command, log, now_ms);
                (turn, engine.holds() < before)
            });
            if freed {
                self.progressed();
            }
            if let Turn::Done(answer) = turn {
                return *answer;
            }
            if Instant::now() >= deadline {
                if command.contains_key("replSetStepDown") {
                    self.with(|_, log| log.give_up_step_down());
                }
                return Answer::refused(Answer::too_late(), command);
            }
            // Either way it is tried again.
            let _ = timeout_at(deadline.min(Instant::now() + AGAIN), progress.changed()).await;
        }
    }

    async fn settled(&self, pending: Pending) -> Result<(), Unsettled> {
        let mut progress = self.progress();
        let deadline = pending.timeout_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        loop {
            progress.borrow_and_update();
            if let Some(settled) = self.with(|_, log| log.settled(&pending.wait)) {
                return settled.map_err(Unsettled::Refused);
            }
            let Some(deadline) = deadline else {
                let _ = progress.changed().await;
                continue;
            };
            if timeout_at(deadline, progress.changed()).await.is_err() {
                return Err(Unsettled::TimedOut);
            }
        }
    }
}

/// `maxTimeMS`.
fn patience(command: &Document) -> Option<Duration> {
    let ms = command.get_i64("maxTimeMS").or(command.get_i32("maxTimeMS").map(i64::from)).ok()?;
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

/// Serves until it is dropped, which closes all connections.
pub async fn serve(net: &dyn Net, addr: SocketAddr, member: Arc<Member>) -> std::io::Result<()> {
    serve_on(net.bind(addr).await?, member).await
}

/// As [`serve`], on a listener that is there already.
pub async fn serve_on(
    mut listener: Box<dyn gadwall::net::Listener>,
    member: Arc<Member>,
) -> std::io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::warn!(%error, "a connection ended badly");
                }
            }
            accepted = listener.accept() => {
                let (io, peer) = accepted?;
                connections.spawn(connection(io, peer, member.clone()));
            }
        }
    }
}

async fn connection(mut io: BoxIo, peer: SocketAddr, member: Arc<Member>) {
    match talk(&mut io, &member).await {
        Ok(()) => tracing::trace!(%peer, "closed"),
        Err(error) => tracing::debug!(%peer, %error, "closed"),
    }
}

async fn talk(io: &mut BoxIo, member: &Member) -> Result<(), WireError> {
    for id in 1_i32.. {
        let Ok(request) = timeout(IDLE, wire::read(io)).await else { return Ok(()) };
        let Some(mut request) = request? else { return Ok(()) };
        let Some(reply) = member.command(std::mem::take(&mut request.command)).await else { return Ok(()) };
        if request.silent {
            continue;
        }
        let message = request.reply(&reply, id)?;
        let send = async {
            io.write_all(&message).await?;
            io.flush().await
        };
        timeout(SEND, send).await.map_err(std::io::Error::from)??;
    }
    Ok(())
}
