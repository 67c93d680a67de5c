//! The store itself: what its parts share, and how calls get their retries.

use super::db::{Db, DbError, Kind};
use super::fail::Fail;
use super::mistakes::Mistakes;
use super::operations::{Identity, Mutation, decoded};
use super::options::{MongoOptions, without_credentials};
use super::queue::Queues;
use super::schema;
use crate::memory::Limits;
use crate::records::Fingerprint;
use crate::{AccountId, Clock, Entropy, Hint, HintBus, HintHub, Lookups, OpId, Result, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A [`MailStore`](crate::MailStore) in a MongoDB replica set. Any number of them, on any number of machines, may work
/// on one database.
pub struct MongoStore {
    pub(super) shared: Arc<Shared>,
    /// Ends with the store.
    background: Vec<tokio::task::JoinHandle<()>>,
    pub(super) sweeping: tokio::sync::Mutex<()>,
}

/// What calls, queues and background tasks share.
pub struct Shared {
    pub db: Db,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub limits: Limits,
    pub hub: HintHub,
    pub bus: Option<Arc<dyn HintBus>>,
    pub lookups: Option<Arc<dyn Lookups>>,
    pub deadline: Duration,
    pub garbage_age: Duration,
    pub lease: Duration,
    pub step: u64,
    pub queues: Queues,
    /// Tells this node from others.
    pub node: [u8; 16],
    pub closed: AtomicBool,
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {reason}")]
pub struct OpenError {
    address: String,
    reason: String,
}

impl OpenError {
    pub(super) fn new(address: String, reason: impl std::fmt::Display) -> Self {
        Self { address, reason: reason.to_string() }
    }
}

impl MongoStore {
    /// Connects and prepares the database. Waits for a primary as long as calls do.
    pub async fn open(options: MongoOptions) -> Result<Self, OpenError> {
        let address = without_credentials(&options.uri);
        let failed =
            |e: &dyn std::fmt::Display| OpenError { address: address.clone(), reason: e.to_string() };
        let db = Db::connect(&options.uri, &options.database, &options.timing, options.mistakes)
            .await
            .map_err(|e| failed(&e))?;
        let mut patience = Patience::new(options.deadline);
        loop {
            match open_on(&db).await {
                Ok(()) => break,
                Err(e)
                    if matches!(e.kind, Kind::Refused | Kind::Full)
                        || !patience.wait(&*options.entropy).await =>
                {
                    return Err(failed(&e));
                }
                Err(error) => tracing::info!(%error, "still waiting for MongoDB"),
            }
        }
        Ok(Self::start(db, options))
    }

    fn start(db: Db, options: MongoOptions) -> Self {
        let shared = Arc::new(Shared {
            db,
            node: options.entropy.bytes(),
            clock: options.clock,
            entropy: options.entropy,
            limits: options.limits,
            hub: HintHub::default(),
            bus: options.bus,
            lookups: options.lookups,
            deadline: options.deadline,
            garbage_age: options.garbage_age,
            lease: options.lease,
            step: options.step.max(1),
            queues: Queues::default(),
            closed: AtomicBool::new(false),
        });
        let background = super::poll::start(&shared);
        Self { shared, background, sweeping: tokio::sync::Mutex::default() }
    }

    /// Runs a mutation under its operation id, behind those of the same account that came before it.
    pub(super) async fn once<M: Mutation>(
        &self,
        account: AccountId,
        op: OpId,
        print: Result<Fingerprint>,
        mutation: M,
    ) -> Result<M::Outcome> {
        self.mutate(account, Some(Identity { op, print: print? }), mutation).await
    }

    pub(super) async fn mutate<M: Mutation>(
        &self,
        account: AccountId,
        identity: Option<Identity>,
        mutation: M,
    ) -> Result<M::Outcome> {
        self.writable()?;
        let outcome = super::queue::submit(&self.shared, account, identity, Box::new(mutation)).await?;
        decoded(&outcome)
    }

    pub(super) fn writable(&self) -> Result<()> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(StoreError::unavailable("the store is closed"));
        }
        Ok(())
    }
}

async fn open_on(db: &Db) -> Result<(), DbError> {
    let hello = db.hello().await?;
    if !hello.contains_key("setName") && !hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        return Err(DbError::refused(
            "this MongoDB is no replica set, which transactions need: start it with --replSet",
        ));
    }
    schema::prepare(db).await
}

impl Drop for MongoStore {
    fn drop(&mut self) {
        self.background.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Shared {
    /// Tells the sessions of this node and the other nodes.
    pub fn publish(&self, hints: impl IntoIterator<Item = Hint>) {
        for hint in hints {
            self.hub.publish(hint);
            if let Some(bus) = &self.bus {
                bus.publish(hint);
            }
        }
    }

    pub fn patience(&self) -> Patience {
        Patience::new(self.deadline)
    }
}

/// How long a call goes on trying.
pub struct Patience {
    until: Instant,
    pause: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Longest between two tries for what another node has taken, which is for milliseconds each time.
const LONGEST_TURN: Duration = Duration::from_millis(40);

impl Patience {
    pub fn new(deadline: Duration) -> Self {
        Self::until(Instant::now() + deadline)
    }

    pub fn until(until: Instant) -> Self {
        Self { until, pause: FIRST_PAUSE }
    }

    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// As [`Self::wait`], for what others are using. The others ask for it again at once: whoever asked seldom, because
    /// it has asked in vain so often, would get it last.
    pub async fn wait_for_turn(&mut self, entropy: &dyn Entropy) -> bool {
        self.pause = self.pause.min(LONGEST_TURN);
        self.wait(entropy).await
    }

    /// Waits, longer each time and never as long as the next one; `false` once it is over.
    pub async fn wait(&mut self, entropy: &dyn Entropy) -> bool {
        if self.is_over() {
            return false;
        }
        let [random] = entropy.bytes::<1>();
        let jittered = self.pause.mul_f64(0.5 + f64::from(random) / 256.0);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        tokio::time::sleep_until((Instant::now() + jittered).min(self.until)).await;
        true
    }
}

/// What a read that failed means to its caller.
pub fn unreadable(error: DbError) -> StoreError {
    StoreError::unavailable(error.to_string())
}

/// Why another try is worth it, or the caller's answer.
pub fn passing(fail: Fail) -> Result<DbError> {
    match fail {
        Fail::Refused(error) => Err(error),
        Fail::Raced => Err(StoreError::unavailable("content went while it was read")),
        Fail::Db(error) if error.kind == Kind::Refused => Err(unreadable(error)),
        Fail::Db(error) if error.kind == Kind::Full => Err(StoreError::StorageFull(error.to_string())),
        Fail::Db(error) => Ok(error),
    }
}

/// Evaluates a step, again when the database did not answer, for as long as calls are patient.
macro_rules! trying {
    ($shared:expr, $step:expr) => {{
        let mut patience = $shared.patience();
        loop {
            let outcome: $crate::mongo::fail::Step<_> = async { $step }.await;
            match outcome.map_err($crate::mongo::store::passing) {
                Ok(value) => break Ok(value),
                Err(Err(error)) => break Err(error),
                Err(Ok(error)) if !patience.wait(&*$shared.entropy).await => {
                    break Err($crate::mongo::store::unreadable(error));
                }
                Err(Ok(error)) => tracing::debug!(%error, "trying again"),
            }
        }
    }};
}
pub(super) use trying;

/// Evaluates a body that reads with a [`View`](super::view::View) of one moment; again as [`trying`] does, each time on
/// another moment.
macro_rules! reading {
    ($store:expr, |$view:ident| $body:expr) => {{
        let shared = &$store.shared;
        $crate::mongo::store::trying!(shared, {
            let mut transaction = $crate::mongo::view::View::begin(shared).await?;
            let read = async {
                let $view = &mut transaction;
                $body
            };
            let read: $crate::mongo::fail::Step<_> = read.await;
            transaction.finish(read).await
        })
    }};
}
pub(super) use reading;

/// Deletes a database with everything in it. For tests and tools.
pub async fn drop_database(uri: &str, database: &str) -> Result<(), OpenError> {
    let failed = |e: DbError| OpenError { address: without_credentials(uri), reason: e.to_string() };
    let db = Db::connect(uri, database, &super::db::Settings::default(), Mistakes::default())
        .await
        .map_err(failed)?;
    db.drop_database().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_turn_keeps_asking_often() {
        let entropy = SeededEntropy::new(1);
        let began = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(60));
        for _ in 0..100 {
            assert!(patience.wait_for_turn(&entropy).await);
        }
        assert!(began.elapsed() < LONGEST_TURN * 150, "{:?}", began.elapsed());
    }
}
