//! The driver's client with its pool of connections, and another one when nothing comes back over that.
//!
//! The driver waits without limit for the answer to a handshake, as to a command, and makes two connections to a member
//! at a time at most. So where connections fall silent without being closed (a firewall that forgot them, a partition
//! too short for the member's monitor to notice on a connection of its own), two handshakes are enough to keep a pool
//! from ever making another connection, and every command behind them waits until the kernel gives those up: a quarter
//! of an hour on Linux (tcp(7), `tcp_retries2`), for good where the network never says so.

use super::client::Settings;
use super::error::DbError;
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// A command that is not answered in so many times what callers wait never will be: a primary that reaches no majority
/// steps down long before and says so.
const NEVER: u32 = 4;

/// Makes clients, one after the other.
pub(super) struct Pools {
    options: ClientOptions,
    database: String,
    settings: Settings,
    current: Mutex<Arc<Pool>>,
}

/// A client, until it is given up.
pub(super) struct Pool {
    pub client: Client,
    pub database: Database,
    made: Instant,
    settings: Settings,
    /// How many commands have come to an end, well or not.
    answers: AtomicU64,
    given_up: watch::Sender<bool>,
}

impl Pools {
    pub fn new(options: ClientOptions, database: &str, settings: &Settings) -> Result<Self, DbError> {
        let current = Mutex::new(Arc::new(Pool::new(&options, database, settings)?));
        Ok(Self { options, database: database.to_owned(), settings: settings.clone(), current })
    }

    /// The one in use; a new one when that was given up.
    pub fn current(&self) -> Result<Arc<Pool>, DbError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if *current.given_up.borrow() {
            *current = Arc::new(Pool::new(&self.options, &self.database, &self.settings)?);
        }
        Ok(current.clone())
    }
}

impl Pool {
    fn new(options: &ClientOptions, database: &str, settings: &Settings) -> Result<Self, DbError> {
        let client =
            Client::with_options(options.clone()).map_err(|e| DbError::of_driver("connecting", &e))?;
        Ok(Self {
            database: client.database(database),
            client,
            made: Instant::now(),
            settings: settings.clone(),
            answers: AtomicU64::new(0),
            given_up: watch::Sender::new(false),
        })
    }

    /// Runs an operation on a task of its own and waits for it as long as commands may take. One that is late goes on
    /// there, since the driver must not be dropped in the middle of it, unless its client is given up altogether.
    pub async fn within<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        operation: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, DbError> {
        let before = self.answers.load(Ordering::Relaxed);
        let pool = self.clone();
        let task = tokio::spawn(async move { pool.run(doing, operation).await });
        match tokio::time::timeout(self.settings.command, task).await {
            Ok(Ok(Some(outcome))) => Ok(outcome),
            Ok(_) => Err(DbError::late(doing)),
            Err(_) => {
                if self.answers.load(Ordering::Relaxed) == before {
                    self.give_up(doing);
                }
                Err(DbError::late(doing))
            }
        }
    }

    /// `None` when the client is given up before there is an outcome.
    async fn run<T>(&self, doing: &str, operation: impl Future<Output = T>) -> Option<T> {
        let mut given_up = self.given_up.subscribe();
        let outcome = tokio::select! {
            biased;
            outcome = tokio::time::timeout(self.settings.command * NEVER, operation) => outcome.ok(),
            _ = given_up.wait_for(|given_up| *given_up) => return None,
        };
        match outcome {
            Some(_) => _ = self.answers.fetch_add(1, Ordering::Relaxed),
            None => self.give_up(doing),
        }
        outcome
    }

    fn give_up(&self, doing: &str) {
        if self.made.elapsed() >= self.settings.kept && !self.given_up.send_replace(true) {
            tracing::warn!(doing, "MongoDB does not answer over the connections there are: others are made");
        }
    }
}
