//! Leases on maildrops, for nodes that share a store: who has one open, and until when. They stand in a fixed number of
//! small documents, so that nothing is left behind by accounts that go.

use crate::Env;
use gadwall_storage::{AccountId, Documents, StoreError, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a lease holds unless it is renewed: so long a maildrop stays taken after its node died.
const LENGTH: Duration = Duration::from_secs(60);
/// How often it is renewed. Two renewals may fail, and clocks of nodes differ by some seconds.
const RENEW: Duration = Duration::from_secs(20);
/// How long giving one back is waited for: without a database it runs out by itself.
const FAREWELL: Duration = Duration::from_secs(2);
/// Writes tried against those of other sessions, of which one succeeds each time.
const ATTEMPTS: usize = 100;

/// The leases in one document.
type Leases = BTreeMap<String, Term>;

#[derive(Serialize, Deserialize)]
struct Term {
    by: String,
    until: Timestamp,
}

/// Gives leases.
#[derive(Clone)]
pub(super) struct Leaser {
    documents: Arc<dyn Documents>,
    env: Env,
}

/// A lease that renews itself until it is ended or dropped.
#[derive(Debug)]
pub(super) struct Lease {
    over: CancellationToken,
    keeping: JoinHandle<()>,
}

impl Lease {
    /// Gives it back, and waits a while until that is so.
    pub async fn end(mut self) {
        self.over.cancel();
        let _ = tokio::time::timeout(FAREWELL, &mut self.keeping).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

impl Leaser {
    pub fn new(documents: Arc<dyn Documents>, env: Env) -> Self {
        Self { documents, env }
    }

    /// `None` when a session on another node has it.
    pub async fn take(&self, account: AccountId) -> Result<Option<Lease>, StoreError> {
        let by: String = self.env.entropy.bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let taken = self.change(account, |leases, until| {
            let is_free = !leases.contains_key(&account.to_string());
            if is_free {
                leases.insert(account.to_string(), Term { by: by.clone(), until });
            }
            is_free
        });
        if !taken.await? {
            return Ok(None);
        }
        let over = CancellationToken::new();
        let keeping = tokio::spawn(self.clone().keep(account, by, over.clone()));
        Ok(Some(Lease { over, keeping }))
    }

    async fn keep(self, account: AccountId, by: String, over: CancellationToken) {
        while tokio::time::timeout(RENEW, over.cancelled()).await.is_err() {
            match self.renew(account, &by).await {
                Ok(true) => {}
                // It had run out while the store was away. Nothing is lost by two sessions: what one deletes is missing
                // when the other retrieves it, and deleting it twice deletes it once.
                Ok(false) => return tracing::warn!(%account, "another session has opened the same maildrop"),
                Err(error) => tracing::debug!(%error, "the lease on a maildrop was not renewed"),
            }
        }
        let ours = |leases: &Leases| leases.get(&account.to_string()).is_some_and(|term| term.by == by);
        let given_back =
            self.change(account, |leases, _| ours(leases) && leases.remove(&account.to_string()).is_some());
        if let Err(error) = given_back.await {
            tracing::debug!(%error, "the lease on a maildrop was left to run out");
        }
    }

    /// False when somebody else has it by now.
    async fn renew(&self, account: AccountId, by: &str) -> Result<bool, StoreError> {
        let renewed = self.change(account, |leases, until| {
            let term = leases.entry(account.to_string()).or_insert_with(|| Term { by: by.to_owned(), until });
            term.until = if term.by == by { until } else { term.until };
            term.by == by
        });
        renewed.await
    }

    /// Changes the leases beside which the account's stands, those that have run out taken away. `change` is told how
    /// long a lease given now holds, and says whether it has changed anything: that is answered.
    async fn change(
        &self,
        account: AccountId,
        change: impl Fn(&mut Leases, Timestamp) -> bool,
    ) -> Result<bool, StoreError> {
        let name = format!("pop3/maildrops/{:02x}", account.0[account.0.len() - 1]);
        for _ in 0..ATTEMPTS {
            let known = self.documents.document(&name).await?;
            let version = known.as_ref().map_or(0, |document| document.version);
            let mut leases = known.map_or(Ok(Leases::new()), |document| decode(&document.bytes))?;
            let now = self.env.clock.now();
            leases.retain(|_, term| term.until > now);
            if !change(&mut leases, now.after(LENGTH)) {
                return Ok(false);
            }
            let bytes = serde_json::to_vec(&leases).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            if self.documents.replace_document(&name, version, &bytes).await?.is_some() {
                return Ok(true);
            }
        }
        Err(StoreError::unavailable("too many POP3 sessions begin at once"))
    }
}

impl std::fmt::Debug for Leaser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaser").finish_non_exhaustive()
    }
}

fn decode(bytes: &[u8]) -> Result<Leases, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Corrupt(format!("leases on maildrops: {e}")))
}

#[cfg(test)]
mod tests {
    use crate::pop3::Maildrops;
    use crate::testing::World;
    use gadwall_storage::memory::MemoryStore;
    use gadwall_storage::{AccountId, SeededEntropy};
    use std::sync::Arc;
    use std::time::Duration;

    const ANN: AccountId = AccountId([7; 12]);

    async fn two_nodes() -> (Arc<Maildrops>, Arc<Maildrops>, World) {
        let world = World::new().await;
        let store = MemoryStore::new(world.clock.clone(), Arc::new(SeededEntropy::new(1)));
        let documents = Arc::new(store);
        let node = || Arc::new(Maildrops::shared(documents.clone(), world.services.env.clone()));
        (node(), node(), world)
    }

    #[tokio::test(start_paused = true)]
    async fn a_maildrop_is_taken_on_every_node_until_it_is_given_back() {
        let (a, b, _world) = two_nodes().await;
        let lock = a.lock(ANN).await.unwrap().unwrap();
        assert!(b.lock(ANN).await.unwrap().is_none());
        // Beside it in the same document.
        let mut other = ANN;
        other.0[0] = 1;
        let others = b.lock(other).await.unwrap().unwrap();
        lock.release().await;
        let lock = b.lock(ANN).await.unwrap().unwrap();
        assert!(a.lock(ANN).await.unwrap().is_none());
        assert!(a.lock(other).await.unwrap().is_none());
        others.release().await;
        lock.release().await;
        a.lock(ANN).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_taken_while_the_session_lives_and_not_for_ever_when_the_node_dies() {
        let (a, b, world) = two_nodes().await;
        let lock = a.lock(ANN).await.unwrap().unwrap();
        for _ in 0..30 {
            world.clock.advance(Duration::from_secs(10));
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert!(b.lock(ANN).await.unwrap().is_none());
        }
        // Without time for the node to renew it: dead.
        world.clock.advance(Duration::from_secs(30));
        assert!(b.lock(ANN).await.unwrap().is_none());
        world.clock.advance(Duration::from_secs(31));
        let taken = b.lock(ANN).await.unwrap().unwrap();
        // Should it come back, it leaves what is no longer its own.
        lock.release().await;
        assert!(a.lock(ANN).await.unwrap().is_none());
        taken.release().await;
    }
}
