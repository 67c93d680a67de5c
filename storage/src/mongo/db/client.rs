//! The connection.

use super::error::DbError;
use super::pool::Pools;
use super::session::Session;
use crate::mongo::mistakes::Mistakes;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::error::Result as DriverResult;
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions,
    WriteConcern,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long things may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One command.
    pub command: Duration,
    /// Finding the primary. Shorter than what a caller waits, so that our own retries get their turn.
    pub selection: Duration,
    pub connect: Duration,
    /// How often members are asked how they are: bounds how late an election is noticed.
    pub heartbeat: Duration,
    /// How long the driver's client is kept at least before it is given up for another. What one that was given up has
    /// under way ends only when the kernel gives up its connections, a quarter of an hour later, and until then it goes
    /// on watching the members: so there are some thirty of them at most.
    pub kept: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(8),
            selection: Duration::from_secs(2),
            connect: Duration::from_secs(2),
            heartbeat: Duration::from_millis(500),
            kept: Duration::from_secs(30),
        }
    }
}

/// A database of a replica set.
#[derive(Clone)]
pub struct Db {
    pools: Arc<Pools>,
    pub(super) patience: Duration,
    pub mistakes: Mistakes,
}

impl Db {
    /// Reads the address and starts looking for the replica set. Does not wait until it is found.
    pub async fn connect(
        uri: &str,
        database: &str,
        settings: &Settings,
        mistakes: Mistakes,
    ) -> Result<Self, DbError> {
        // The driver's message may repeat the address, with its password.
        let refused =
            |_| DbError::refused("the MongoDB address can't be read: expected mongodb://HOST:PORT,...");
        let mut options = ClientOptions::parse(uri).await.map_err(refused)?;
        options.app_name = Some("gadwall".into());
        options.connect_timeout = Some(settings.connect);
        options.server_selection_timeout = Some(settings.selection);
        options.heartbeat_freq = Some(settings.heartbeat);
        options.retry_writes = Some(true);
        options.retry_reads = Some(true);
        options.write_concern = Some(durable());
        options.read_concern = Some(ReadConcern::majority());
        options.selection_criteria = Some(primary());
        let pools = Arc::new(Pools::new(options, database, settings)?);
        Ok(Self { pools, patience: settings.command, mistakes })
    }

    /// What the member that is the primary says of itself.
    pub async fn hello(&self) -> Result<Document, DbError> {
        self.run("hello", doc! { "hello": 1 }).await
    }

    /// A command outside of any session.
    pub(super) async fn run(&self, doing: &'static str, command: Document) -> Result<Document, DbError> {
        self.within(doing, async move |database| {
            database.run_command(command).selection_criteria(primary()).await
        })
        .await
    }

    /// Runs one of the driver's operations and waits for it as long as commands may take.
    pub(super) async fn within<T: Send + 'static, F: Future<Output = DriverResult<T>> + Send + 'static>(
        &self,
        doing: &'static str,
        operation: impl FnOnce(Database) -> F,
    ) -> Result<T, DbError> {
        let pool = self.pools.current()?;
        let operation = operation(pool.database.clone());
        pool.within(doing, operation).await?.map_err(|e| DbError::of_driver(doing, &e))
    }

    /// A transaction: its reads all see one moment, and once it is committed, if only to that end, it is known that
    /// what they saw is durable on a majority.
    pub async fn begin(&self) -> Result<Session, DbError> {
        let options = TransactionOptions::builder()
            .read_concern(ReadConcern::snapshot())
            .write_concern(durable())
            .selection_criteria(primary())
            .build();
        let doing = "starting a transaction";
        let pool = self.pools.current()?;
        let client = pool.client.clone();
        // Sends nothing to a server: the first command of the transaction starts it there.
        let start = tokio::spawn(async move {
            let mut session = client.start_session().await?;
            session.start_transaction().with_options(options).await?;
            Ok(session)
        });
        match tokio::time::timeout(self.patience, start).await {
            Ok(Ok(Ok(session))) => Ok(Session::new(session, pool, self.clone())),
            Ok(Ok(Err(error))) => Err(DbError::of_driver(doing, &error)),
            Ok(Err(_)) | Err(_) => Err(DbError::late(doing)),
        }
    }

    /// For tests.
    pub async fn drop_database(&self) -> Result<(), DbError> {
        self.run("dropping the database", doc! { "dropDatabase": 1 }).await.map(|_| ())
    }
}

/// Durable on a majority of the members.
pub(super) fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}
