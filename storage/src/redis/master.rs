//! Finds the master and connects to it.

use super::dial::{Dial, Stream};
use super::url::{Endpoint, RedisUrl, Servers};
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, Value};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long one step of connecting may take: a stopped process accepts and then says nothing.
const STEP: Duration = Duration::from_secs(1);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{at}: {error}")]
    Dial { at: Endpoint, error: io::Error },
    #[error("{at}: {error}")]
    Redis { at: Endpoint, error: RedisError },
    #[error("{at} does not answer")]
    Silent { at: Endpoint },
    #[error("{at} is not a master")]
    NotMaster { at: Endpoint },
    #[error("{at} knows no master of that name")]
    UnknownMaster { at: Endpoint },
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Task(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection for commands. The task moves its bytes; a request that is never answered must not keep it alive.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub commands: MultiplexedConnection,
    _driver: Arc<Task>,
}

/// Knows the way to the master.
pub(super) struct Finder {
    pub url: RedisUrl,
    pub dial: Arc<dyn Dial>,
}

impl Finder {
    /// Connects to the first server that is a master and not `current`: those of the address, or those that the
    /// Sentinels name. `Ok(None)` when `current` is still the one.
    pub async fn master(
        &self,
        current: Option<&Endpoint>,
    ) -> Result<Option<(Endpoint, Connection)>, Trouble> {
        let mut last = None;
        let candidates = match &self.url.servers {
            Servers::Direct(all) | Servers::Sentinel { sentinels: all, .. } => all,
        };
        for candidate in candidates {
            match self.by(candidate, current).await {
                Ok(found) => return Ok(found),
                Err(trouble) => last = Some(trouble),
            }
        }
        Err(last.expect("an address names at least one server, as its parser sees to"))
    }

    async fn by(
        &self,
        candidate: &Endpoint,
        current: Option<&Endpoint>,
    ) -> Result<Option<(Endpoint, Connection)>, Trouble> {
        let at = match &self.url.servers {
            Servers::Direct(_) => candidate.clone(),
            Servers::Sentinel { master, .. } => self.named_by(candidate, master).await?,
        };
        if current == Some(&at) {
            return Ok(None);
        }
        let connection = self.connect(&at, &self.url.master_info()).await?;
        // A Sentinel that was cut off may name one that was demoted since.
        let role: Vec<Value> = ask(&at, &connection, redis::cmd("ROLE")).await?;
        match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(Some((at, connection))),
            _ => Err(Trouble::NotMaster { at }),
        }
    }

    pub async fn named_by(&self, sentinel: &Endpoint, master: &str) -> Result<Endpoint, Trouble> {
        let connection = self.connect(sentinel, &self.url.sentinel_info()).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(master);
        let answer: Option<(String, u16)> = ask(sentinel, &connection, question).await?;
        let (host, port) = answer.ok_or_else(|| Trouble::UnknownMaster { at: sentinel.clone() })?;
        Ok(Endpoint { host, port })
    }

    async fn connect(&self, at: &Endpoint, info: &RedisConnectionInfo) -> Result<Connection, Trouble> {
        let stream = self.stream(at).await?;
        // The deadline is the caller's, per call.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (commands, driver) =
            step(at, MultiplexedConnection::new_with_config(info, stream, config)).await?;
        Ok(Connection { commands, _driver: Arc::new(Task::spawn(driver)) })
    }

    /// A connection that listens to `channels`.
    pub async fn subscribe(&self, at: &Endpoint, channels: &[String]) -> Result<PubSub, Trouble> {
        let stream = self.stream(at).await?;
        let mut pubsub = step(at, PubSub::new(&self.url.master_info(), stream)).await?;
        step(at, pubsub.subscribe(channels)).await?;
        Ok(pubsub)
    }

    async fn stream(&self, at: &Endpoint) -> Result<Stream, Trouble> {
        match timeout(STEP, self.dial.dial(&at.host, at.port)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(Trouble::Dial { at: at.clone(), error }),
            Err(_) => Err(Trouble::Silent { at: at.clone() }),
        }
    }
}

pub(super) async fn ask<T: redis::FromRedisValue>(
    at: &Endpoint,
    connection: &Connection,
    question: redis::Cmd,
) -> Result<T, Trouble> {
    let mut commands = connection.commands.clone();
    step(at, question.query_async(&mut commands)).await
}

async fn step<T>(at: &Endpoint, asking: impl Future<Output = redis::RedisResult<T>>) -> Result<T, Trouble> {
    match timeout(STEP, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Trouble::Redis { at: at.clone(), error }),
        Err(_) => Err(Trouble::Silent { at: at.clone() }),
    }
}
