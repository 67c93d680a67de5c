//! The connection.

use super::error::DbError;
use super::session::Session;
use crate::mongo::mistakes::Mistakes;
use mongodb::bson::{Document, doc};
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions,
    WriteConcern,
};
use mongodb::{Client, Collection, Database};
use std::future::Future;
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(8),
            selection: Duration::from_secs(2),
            connect: Duration::from_secs(2),
            heartbeat: Duration::from_millis(500),
        }
    }
}

/// A database of a replica set.
#[derive(Clone)]
pub struct Db {
    client: Client,
    pub(super) database: Database,
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
        let client = Client::with_options(options).map_err(|e| DbError::of_driver("connecting", &e))?;
        let database = client.database(database);
        Ok(Self { client, database, patience: settings.command, mistakes })
    }

    /// What the member that is the primary says of itself.
    pub async fn hello(&self) -> Result<Document, DbError> {
        self.run("hello", doc! { "hello": 1 }).await
    }

    /// A command outside of any session.
    pub(super) async fn run(&self, doing: &'static str, command: Document) -> Result<Document, DbError> {
        let database = self.database.clone();
        let run = async move { database.run_command(command).selection_criteria(primary()).await };
        within(self.patience, doing, run).await
    }

    pub(super) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// A transaction: its reads all see one moment, and once it is committed, if only to that end, it is known that
    /// what they saw is durable on a majority.
    pub async fn begin(&self) -> Result<Session, DbError> {
        let options = TransactionOptions::builder()
            .read_concern(ReadConcern::snapshot())
            .write_concern(durable())
            .selection_criteria(primary())
            .build();
        let client = self.client.clone();
        let start = async move {
            let mut session = client.start_session().await?;
            session.start_transaction().with_options(options).await?;
            Ok(session)
        };
        Ok(Session::new(within(self.patience, "starting a transaction", start).await?, self.clone()))
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

/// Runs a driver's operation on a task of its own and waits for it so long.
pub(super) async fn within<T: Send + 'static>(
    patience: Duration,
    doing: &'static str,
    operation: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
) -> Result<T, DbError> {
    match tokio::time::timeout(patience, tokio::spawn(operation)).await {
        Ok(Ok(outcome)) => outcome.map_err(|e| DbError::of_driver(doing, &e)),
        Ok(Err(_)) | Err(_) => Err(DbError::late(doing)),
    }
}
