//! What is kept between nodes and between runs, each under a name of its own, and the lease under which it is written.

use super::AcmeConfig;
use super::order::AcmeError;
use gadwall_storage::{Documents, StoreError, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

const ACCOUNT: &str = "acme/account";
const ANSWERS: &str = "acme/answers";
const CERTIFICATE: &str = "acme/certificate";
const ATTEMPTS: &str = "acme/attempts";
const LEASE: &str = "acme/lease";

/// The documents, as what they mean.
#[derive(Clone)]
pub struct Shelf(Arc<dyn Documents>);

/// The right to order until a moment. Its number grows with each that is given: what was written under a higher one is
/// never written over, so that a node that slept through its lease does no harm when it wakes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub fence: u64,
}

/// The answer to one challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub domain: String,
    /// `token.thumbprint` (RFC 8555 §8.1).
    pub key_authorization: String,
}

impl Answer {
    pub fn token(&self) -> &str {
        self.key_authorization.split('.').next().unwrap_or_default()
    }
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    pub directory: String,
    pub domains: Vec<String>,
    pub chain_pem: String,
    pub key_pem: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Issued {
    pub fn is_for(&self, config: &AcmeConfig) -> bool {
        self.directory == config.directory && self.domains == config.domains
    }

    /// With a third of its life left: 30 days of 90, as Let's Encrypt advises.
    pub fn renew_at(&self) -> Timestamp {
        let life = self.not_after.0.saturating_sub(self.not_before.0).max(0);
        Timestamp(self.not_after.0 - life / 3)
    }
}

/// Failures in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    pub directory: String,
    pub domains: Vec<String>,
    pub failures: u32,
    pub next: Timestamp,
    pub why: String,
}

/// An account at an authority.
#[derive(Serialize, Deserialize)]
pub(super) struct KnownAccount {
    pub directory: String,
    pub email: Option<String>,
    pub credentials: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct Fenced<T> {
    fence: u64,
    value: T,
}

#[derive(Serialize, Deserialize)]
struct Held {
    by: String,
    until: Timestamp,
}

impl Shelf {
    pub fn new(documents: Arc<dyn Documents>) -> Self {
        Self(documents)
    }

    pub(super) async fn account(&self) -> Result<Option<KnownAccount>, StoreError> {
        self.get(ACCOUNT).await
    }

    pub(super) async fn put_account(&self, lease: Lease, account: &KnownAccount) -> Result<(), AcmeError> {
        self.put(ACCOUNT, lease, account).await
    }

    pub async fn answers(&self) -> Result<Vec<Answer>, StoreError> {
        Ok(self.get(ANSWERS).await?.unwrap_or_default())
    }

    pub async fn put_answers(&self, lease: Lease, answers: &[Answer]) -> Result<(), AcmeError> {
        self.put(ANSWERS, lease, &answers).await
    }

    pub async fn certificate(&self) -> Result<Option<Issued>, StoreError> {
        self.get(CERTIFICATE).await
    }

    pub async fn put_certificate(&self, lease: Lease, issued: &Issued) -> Result<(), AcmeError> {
        self.put(CERTIFICATE, lease, issued).await
    }

    pub async fn attempts(&self) -> Result<Option<Attempts>, StoreError> {
        self.get(ATTEMPTS).await
    }

    pub async fn put_attempts(&self, lease: Lease, attempts: &Attempts) -> Result<(), AcmeError> {
        self.put(ATTEMPTS, lease, attempts).await
    }

    /// Takes the lease for so long, unless somebody else has it.
    pub async fn lease(
        &self,
        holder: &str,
        now: Timestamp,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let known = self.0.document(LEASE).await?;
        let version = known.as_ref().map_or(0, |d| d.version);
        if let Some(document) = known {
            let held: Held = decode(&document.bytes)?;
            if held.until > now && held.by != holder {
                return Ok(None);
            }
        }
        let bytes = encode(&Held { by: holder.to_owned(), until: now.after(length) })?;
        let fence = self.0.replace_document(LEASE, version, &bytes).await?;
        Ok(fence.map(|fence| Lease { fence }))
    }

    /// Gives the lease back, if it is still this one.
    pub async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        let bytes = encode(&Held { by: String::new(), until: Timestamp(0) })?;
        self.0.replace_document(LEASE, lease.fence, &bytes).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(document) = self.0.document(name).await? else { return Ok(None) };
        decode::<Fenced<T>>(&document.bytes).map(|fenced| Some(fenced.value))
    }

    async fn put<T: Serialize>(&self, name: &str, lease: Lease, value: &T) -> Result<(), AcmeError> {
        let bytes = encode(&Fenced { fence: lease.fence, value })?;
        loop {
            let known = self.0.document(name).await?;
            let version = known.as_ref().map_or(0, |d| d.version);
            if let Some(document) = known {
                let there: Fenced<serde::de::IgnoredAny> = decode(&document.bytes)?;
                if there.fence > lease.fence {
                    return Err(AcmeError::Superseded);
                }
            }
            // Only holders of a lease write, and there are few of them: this ends.
            if self.0.replace_document(name, version, &bytes).await?.is_some() {
                return Ok(());
            }
        }
    }
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|e| StoreError::Corrupt(format!("a document can't be written: {e}")))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Corrupt(format!("a document can't be read: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;
    use gadwall_storage::memory::MemoryStore;
    use gadwall_storage::{Clock, SeededEntropy};

    const LENGTH: Duration = Duration::from_secs(600);

    async fn shelf() -> (Shelf, World) {
        let world = World::new().await;
        let store = MemoryStore::new(world.clock.clone(), Arc::new(SeededEntropy::new(1)));
        (Shelf::new(Arc::new(store)), world)
    }

    fn attempts(failures: u32) -> Attempts {
        let (directory, domains, why) = (String::new(), Vec::new(), String::new());
        Attempts { directory, domains, failures, next: Timestamp(0), why }
    }

    #[tokio::test]
    async fn one_has_the_lease_until_it_is_given_back_or_over() {
        let (shelf, world) = shelf().await;
        let take = async |who| shelf.lease(who, world.clock.now(), LENGTH).await.unwrap();
        let first = take("a").await.expect("nobody had it");
        assert_eq!(take("b").await, None);
        shelf.release(first).await.unwrap();
        let second = take("b").await.expect("it was given back");
        assert!(second.fence > first.fence);
        shelf.release(first).await.unwrap();
        assert_eq!(take("a").await, None, "what was given back is not given back again");
        world.clock.advance(LENGTH);
        assert!(take("a").await.expect("it was over").fence > second.fence);
    }

    #[tokio::test]
    async fn who_slept_through_a_lease_writes_nothing_any_more() {
        let (shelf, world) = shelf().await;
        let old = shelf.lease("a", world.clock.now(), LENGTH).await.unwrap().unwrap();
        shelf.put_attempts(old, &attempts(1)).await.unwrap();
        world.clock.advance(LENGTH);
        let new = shelf.lease("b", world.clock.now(), LENGTH).await.unwrap().unwrap();
        shelf.put_attempts(old, &attempts(2)).await.unwrap();
        shelf.put_attempts(new, &attempts(3)).await.unwrap();
        let late = shelf.put_attempts(old, &attempts(4)).await;
        assert!(matches!(late, Err(AcmeError::Superseded)), "{late:?}");
        assert_eq!(shelf.attempts().await.unwrap(), Some(attempts(3)));
    }

    #[test]
    fn a_certificate_is_renewed_with_a_third_of_its_life_left() {
        let day = 86_400_000;
        let issued = Issued {
            directory: String::new(),
            domains: Vec::new(),
            chain_pem: String::new(),
            key_pem: String::new(),
            not_before: Timestamp(0),
            not_after: Timestamp(90 * day),
        };
        assert_eq!(issued.renew_at(), Timestamp(60 * day));
    }
}
