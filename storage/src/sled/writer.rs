//! The one thread that commits.

use super::db::{Db, Durable};
use super::segments::Segments;
use super::tx::Tx;
use crate::memory::Limits;
use crate::{Clock, Entropy, HintHub, Result, StoreError};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use tokio::sync::{RwLock, oneshot};

/// Mutations of one group at most.
const GROUP: usize = 512;
/// A group closes once it has grown to this, in bytes.
const GROUP_BYTES: usize = 4 << 20;
/// Room that has to be left on the disk for what adds to the store, and for what takes away: sled must never find the
/// disk full, since what it does then is not known.
const ROOM_TO_GROW: u64 = 24 << 20;
const ROOM_TO_SHRINK: u64 = 10 << 20;

/// What a mutation asks of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asks {
    pub durable: Durable,
    pub room: Room,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Grows,
    Shrinks,
}

impl Asks {
    pub const GROWS: Asks = Asks { durable: Durable::Yes, room: Room::Grows };
    pub const SHRINKS: Asks = Asks { durable: Durable::Yes, room: Room::Shrinks };
}

/// Answers the one who waits, once the group's fate is known.
type Reply = Box<dyn FnOnce(Result<()>) + Send>;
type Job = Box<dyn FnOnce(&mut Tx) -> Reply + Send>;

enum Message {
    Run(Asks, Job),
    Stop,
}

/// What the tree shows to a reader who looks now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Durable,
    /// What a failed commit may have left: nobody may see it, since it may be gone after the next start.
    Unknown,
}

/// What readers, the writer and the sweep share.
pub struct Shared {
    pub db: Db,
    pub segments: Arc<Segments>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub limits: Limits,
    pub hub: HintHub,
    pub directory: PathBuf,
    /// Readers hold it shared. The writer holds it alone while a batch is applied and not yet durable.
    pub visible: RwLock<Shown>,
    /// Set once nothing may be written any more: the store is closed, or a commit has failed.
    pub closed: AtomicBool,
}

/// The writer's end that mutations are sent to.
pub struct Writer {
    queue: mpsc::Sender<Message>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    pub fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let run = move || run(&shared, &jobs);
        let thread = std::thread::Builder::new().name("gadwall-commit".into()).spawn(run)?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Runs a mutation and answers once it is durable.
    pub async fn mutate<T: Send + 'static>(
        &self,
        asks: Asks,
        mutation: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            let outcome = tx.attempt(mutation);
            Box::new(move |committed| {
                // Whoever asked may have gone away.
                let _ = answer.send(outcome.and_then(|value| committed.map(|()| value)));
            })
        });
        self.queue.send(Message::Run(asks, job)).map_err(|_| closed())?;
        // Stopping waits for every answer, so one that does not come means that the commit thread has panicked.
        answered.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Finishes what has been sent and ends.
    pub fn stop(&mut self) {
        let _ = self.queue.send(Message::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the commit thread has panicked");
        }
    }
}

pub fn closed() -> StoreError {
    StoreError::unavailable("the store is closed")
}

fn panicked() -> StoreError {
    StoreError::Unavailable {
        reason: "the commit thread has panicked".into(),
        retry_after: None,
        outcome_unknown: true,
    }
}

/// However the commit thread ends, nothing is written after it.
struct Closes<'a>(&'a Shared);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
    }
}

fn run(shared: &Shared, jobs: &mpsc::Receiver<Message>) {
    let _closes = Closes(shared);
    while let Ok(first) = jobs.recv() {
        if !group(shared, first, jobs) {
            return;
        }
    }
}

/// Runs what waits as one group. Whether more is to come.
fn group(shared: &Shared, first: Message, jobs: &mpsc::Receiver<Message>) -> bool {
    let mut tx = Tx::new(&shared.db.tree, &shared.segments, &*shared.clock, &*shared.entropy, &shared.limits);
    let mut replies: Vec<Reply> = Vec::new();
    let mut durable = Durable::No;
    let mut free = None;
    let mut next = Some(first);
    let mut goes_on = true;
    while let Some(message) = next {
        match message {
            Message::Stop => {
                goes_on = false;
                break;
            }
            Message::Run(asks, job) => {
                let free = *free.get_or_insert_with(|| free_bytes(&shared.directory));
                match admit(shared, asks, free) {
                    Ok(()) => replies.push(job(&mut tx)),
                    Err(e) => refuse(job, e, shared),
                }
                if asks.durable == Durable::Yes {
                    durable = Durable::Yes;
                }
            }
        }
        let full = replies.len() >= GROUP || tx.size() >= GROUP_BYTES;
        next = if full { None } else { jobs.try_recv().ok() };
    }
    let committed = commit(shared, tx, durable);
    replies.into_iter().for_each(|reply| reply(committed.clone()));
    goes_on
}

/// A mutation that is not run: its answer is the refusal, whatever it would have been.
fn refuse(job: Job, error: StoreError, shared: &Shared) {
    // Run against a group of its own that goes nowhere, so that the one who waits is answered.
    let mut nowhere =
        Tx::new(&shared.db.tree, &shared.segments, &*shared.clock, &*shared.entropy, &shared.limits);
    job(&mut nowhere)(Err(error));
}

fn admit(shared: &Shared, asks: Asks, free: u64) -> Result<()> {
    if shared.closed.load(Ordering::Acquire) {
        return Err(closed());
    }
    let needed = match asks.room {
        Room::Grows => ROOM_TO_GROW,
        Room::Shrinks => ROOM_TO_SHRINK,
    };
    if free < needed {
        return Err(StoreError::StorageFull(format!("{} MiB are left on the disk", free >> 20)));
    }
    Ok(())
}

fn commit(shared: &Shared, mut tx: Tx, durable: Durable) -> Result<()> {
    let dead = std::mem::take(&mut tx.dead_segments);
    if tx.is_empty() {
        delete(shared, dead);
        return Ok(());
    }
    let (batch, hints) = tx.into_batch();
    let committed = match shared.segments.sync() {
        Err(e) => Err(StoreError::io("syncing a segment", &e)),
        Ok(()) => {
            let mut shown = shared.visible.blocking_write();
            *shown = Shown::Unknown;
            let committed = shared.db.commit(batch, durable);
            if committed.is_ok() {
                *shown = Shown::Durable;
            }
            committed
        }
    };
    match &committed {
        Ok(()) => {
            hints.into_iter().for_each(|hint| shared.hub.publish(hint));
            delete(shared, dead);
        }
        Err(error) => {
            // What is on disk now is not known until the store is opened again.
            shared.closed.store(true, Ordering::Release);
            tracing::error!(%error, "a commit failed: nothing is served any more until the next start");
        }
    }
    committed
}

/// Deletes segments that nothing durable refers to. One that stays is found again by the next sweep.
fn delete(shared: &Shared, dead: Vec<u32>) {
    for segment in dead {
        if let Err(error) = shared.segments.delete(segment) {
            tracing::warn!(%error, segment, "a dead segment can't be deleted");
        }
    }
}

/// Free bytes on the store's disk.
#[cfg(unix)]
fn free_bytes(directory: &std::path::Path) -> u64 {
    match rustix::fs::statvfs(directory) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(_) => u64::MAX,
    }
}

#[cfg(not(unix))]
fn free_bytes(_: &std::path::Path) -> u64 {
    u64::MAX
}
