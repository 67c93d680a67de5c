//! A session of the driver, with its transaction.

use super::client::Db;
use super::error::{DbError, Kind};
use super::pool::Pool;
use futures_util::future::BoxFuture;
use mongodb::bson::Document;
use mongodb::error::Result as DriverResult;
use mongodb::{ClientSession, Collection};
use std::sync::Arc;
use std::time::Duration;

/// How long a commit that was answered early is kept back.
const EARLY: Duration = Duration::from_millis(200);

pub struct Session {
    pub(super) db: Db,
    /// Whose session it is.
    pub(super) pool: Arc<Pool>,
    /// `None` while a command is under way on its task, and for good once one was late.
    inner: Option<Box<ClientSession>>,
}

impl Session {
    pub(super) fn new(inner: ClientSession, pool: Arc<Pool>, db: Db) -> Self {
        Self { db, pool, inner: Some(Box::new(inner)) }
    }

    pub(super) fn collection(&self, name: &str) -> Collection<Document> {
        self.pool.database.collection(name)
    }

    /// Runs one of the driver's operations on this session.
    pub(super) async fn run<T: Send + 'static>(
        &mut self,
        doing: &'static str,
        operation: impl for<'a> FnOnce(&'a mut ClientSession) -> BoxFuture<'a, DriverResult<T>> + Send + 'static,
    ) -> Result<T, DbError> {
        let mut session = self.inner.take().ok_or_else(|| DbError::lost(doing))?;
        let run = async move {
            let outcome = operation(&mut session).await;
            (outcome, session)
        };
        let (outcome, session) = self.pool.within(doing, run).await?;
        self.inner = Some(session);
        outcome.map_err(|e| DbError::of_driver(doing, &e))
    }

    /// Commits, or commits again after an unknown outcome: the server remembers the transaction's.
    pub async fn commit(&mut self) -> Result<(), DbError> {
        if self.db.mistakes.commits_early {
            return self.commit_later();
        }
        let committed =
            self.run("committing", |s| Box::pin(async move { s.commit_transaction().await })).await;
        // That it has not happened is only known when the server says so.
        committed.map_err(|e| match e.kind {
            Kind::Transient if !e.is_over => e.of_kind(Kind::Unknown),
            _ => e,
        })
    }

    /// Says that it is committed, and tries to later: see `Mistakes::commits_early`.
    fn commit_later(&mut self) -> Result<(), DbError> {
        let mut session = self.inner.take().ok_or_else(|| DbError::lost("committing"))?;
        tokio::spawn(async move {
            tokio::time::sleep(EARLY).await;
            if let Err(error) = session.commit_transaction().await {
                tracing::warn!(%error, "what was acknowledged is lost");
            }
        });
        Ok(())
    }

    /// Ends the transaction without effect. The server does so too, later, if this doesn't get through.
    pub async fn abort(mut self) {
        let aborted = self.run("aborting", |s| Box::pin(async move { s.abort_transaction().await })).await;
        if let Err(error) = aborted {
            tracing::debug!(%error, "a transaction was left to the server to end");
        }
    }

    /// Whether a command was late: the transaction can't be gone on with.
    pub fn is_lost(&self) -> bool {
        self.inner.is_none()
    }
}
