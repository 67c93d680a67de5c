//! The connection that commands go over: handed out with a generation number, replaced when it fails.

use super::master::{Connection, Finder};
use super::url::{Endpoint, Servers};
use crate::Entropy;
use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Pause before the next try, and up to as much again: nodes must not all come at once.
const PAUSE: Duration = Duration::from_millis(100);
/// How often Sentinel is asked whether the master is still the one: in a partition an old master may live on beside us.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// A connection, and which one it is: whoever finds it broken says so by number, and does no harm to its successor.
#[derive(Clone)]
pub(super) struct Link {
    pub generation: u64,
    pub endpoint: Endpoint,
    pub connection: Connection,
}

/// The link as it stands, none while there is no master to be reached.
pub(super) struct Links {
    pub finder: Finder,
    pub entropy: Arc<dyn Entropy>,
    current: watch::Sender<Option<Link>>,
}

impl Links {
    pub fn new(finder: Finder, entropy: Arc<dyn Entropy>) -> Self {
        Self { finder, entropy, current: watch::Sender::new(None) }
    }

    pub fn watch(&self) -> watch::Receiver<Option<Link>> {
        self.current.subscribe()
    }

    /// The link of that number is of no use any more.
    pub fn broken(&self, generation: u64) {
        self.current.send_if_modified(|link| {
            let is_it = link.as_ref().is_some_and(|link| link.generation == generation);
            if is_it {
                *link = None;
            }
            is_it
        });
    }

    /// Asks over the link, at most for so long. `None` without a link, and when it fails, which then is replaced.
    pub async fn ask<T, F>(&self, patience: Duration, question: impl FnOnce(Connection) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let link = self.current.borrow().clone()?;
        match timeout(patience, question(link.connection)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(e)) => {
                tracing::debug!(redis = %link.endpoint, error = %e, "Redis refused");
                if is_refusal(&e) {
                    return None;
                }
            }
            Err(_) => tracing::debug!(redis = %link.endpoint, "Redis did not answer in time"),
        }
        self.broken(link.generation);
        None
    }

    /// Keeps a link for ever.
    pub async fn keep(&self) {
        let mut generation = 0;
        let mut was_up = true;
        loop {
            match self.finder.master(None).await {
                Ok(Some((endpoint, connection))) => {
                    tracing::info!(redis = %endpoint, "connected to Redis");
                    was_up = true;
                    generation += 1;
                    self.current.send_replace(Some(Link { generation, endpoint, connection }));
                    self.until_broken(&mut generation).await;
                    tracing::warn!(
                        "lost Redis: limits are per node, and sessions look for changes themselves"
                    );
                }
                Ok(None) => unreachable!("there is no current master to be the same as"),
                // Said once, not ten times a second.
                Err(trouble) if was_up => {
                    was_up = false;
                    tracing::warn!(error = %trouble, "no Redis: trying on");
                }
                Err(trouble) => tracing::debug!(error = %trouble, "still no Redis"),
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    async fn until_broken(&self, generation: &mut u64) {
        let mut links = self.watch();
        loop {
            let broken = links.wait_for(Option::is_none);
            if timeout(ASK_AGAIN, broken).await.is_ok() {
                return;
            }
            let Some(link) = self.current.borrow().clone() else { return };
            if matches!(self.finder.url.servers, Servers::Direct(_)) {
                continue;
            }
            if let Ok(Some((endpoint, connection))) = self.finder.master(Some(&link.endpoint)).await {
                tracing::info!(from = %link.endpoint, to = %endpoint, "Redis has another master");
                *generation += 1;
                self.current.send_replace(Some(Link { generation: *generation, endpoint, connection }));
            }
        }
    }

    /// A pause before the next try.
    pub fn pause(&self) -> Duration {
        self.between(PAUSE, PAUSE * 2)
    }

    /// Some span from `low` to `high`.
    pub fn between(&self, low: Duration, high: Duration) -> Duration {
        let spread = (high - low).as_millis().max(1) as u64;
        low + Duration::from_millis(u64::from_be_bytes(self.entropy.bytes()) % spread)
    }
}

/// Whether the server works and just won't do this: another connection would be told the same.
fn is_refusal(e: &RedisError) -> bool {
    match e.kind() {
        ErrorKind::Server(kind) => matches!(kind, ServerErrorKind::ResponseError | ServerErrorKind::NoPerm),
        ErrorKind::Extension => matches!(e.code(), Some("OOM" | "WRONGTYPE" | "MISCONF")),
        _ => false,
    }
}

impl Connection {
    /// For `query_async`, which wants a connection it may change.
    pub fn channel(&self) -> impl ConnectionLike + use<> {
        self.commands.clone()
    }
}
