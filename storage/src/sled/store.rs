//! The store itself.

use super::db::Db;
use super::open::SledOptions;
use super::operations::{Fingerprint, once};
use super::segments::Segments;
use super::tx::Tx;
use super::writer::{Asks, Shared, Shown, Writer, closed};
use crate::{HintHub, OpId, Result, StoreError, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{RwLock, RwLockReadGuard};

/// A [`MailStore`](crate::MailStore) in a directory of this machine.
pub struct SledStore {
    pub(super) shared: Arc<Shared>,
    /// `None` once closed, or when no thread could be had.
    pub(super) writer: tokio::sync::RwLock<Option<Writer>>,
    /// Where the sweep goes on looking for journals to trim, and when it last began.
    pub(super) trimming: Mutex<super::maintenance::Trimming>,
    lock: Mutex<Option<File>>,
}

/// What readers look at: holding it, nothing that is not durable can be seen.
pub struct Reader<'a> {
    pub tree: &'a ::sled::Tree,
    pub now: Timestamp,
    pub shared: &'a Shared,
    _visible: RwLockReadGuard<'a, Shown>,
}

impl SledStore {
    pub(super) fn start(
        db: Db,
        segments: Segments,
        directory: &Path,
        options: SledOptions,
        lock: File,
    ) -> Self {
        let shared = Arc::new(Shared {
            db,
            segments: Arc::new(segments),
            clock: options.clock,
            entropy: options.entropy,
            limits: options.limits,
            hub: HintHub::default(),
            directory: directory.to_owned(),
            visible: RwLock::new(Shown::Durable),
            closed: AtomicBool::new(false),
        });
        let writer = match Writer::start(shared.clone()) {
            Ok(writer) => Some(writer),
            Err(error) => {
                tracing::error!(%error, "the commit thread can't be started");
                None
            }
        };
        Self { shared, writer: RwLock::new(writer), trimming: Mutex::default(), lock: Mutex::new(Some(lock)) }
    }

    pub(super) async fn read(&self) -> Result<Reader<'_>> {
        let visible = self.shared.visible.read().await;
        if *visible == Shown::Unknown {
            return Err(StoreError::unavailable(
                "a write has failed; what is on disk is read at the next start",
            ));
        }
        Ok(Reader {
            tree: &self.shared.db.tree,
            now: self.shared.clock.now(),
            shared: &self.shared,
            _visible: visible,
        })
    }

    /// A mutation under an operation id.
    pub(super) async fn once<T: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        asks: Asks,
        op: OpId,
        print: Result<Fingerprint>,
        mutation: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let print = print?;
        self.mutate(asks, move |tx| once(tx, op, print, mutation)).await
    }

    pub(super) async fn mutate<T: Send + 'static>(
        &self,
        asks: Asks,
        mutation: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let writer = self.writer.read().await;
        writer.as_ref().ok_or_else(closed)?.mutate(asks, mutation).await
    }

    pub(super) fn writable(&self) -> Result<()> {
        if self.shared.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }

    /// Finishes what is in flight; mutations afterwards are refused. Another process may open the store then, as far as
    /// our own lock goes.
    pub(super) async fn shut(&self) {
        let writer = self.writer.write().await.take();
        if let Some(mut writer) = writer {
            let stopped = tokio::task::spawn_blocking(move || writer.stop()).await;
            if let Err(error) = stopped {
                tracing::error!(%error, "the commit thread can't be waited for");
            }
        }
        self.shared.closed.store(true, Ordering::Release);
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.get_mut() {
            writer.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Directory, Maintenance, SystemClock, SystemEntropy};

    /// A commit that fails after sled has taken the batch in: what it left is neither acknowledged nor shown.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_failed_commit_left_is_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let options = || SledOptions::new(Arc::new(SystemClock), Arc::new(SystemEntropy));
        let store = SledStore::open(directory.path(), options()).unwrap();
        let secret = store.secret("before", [1; 32]).await.unwrap();
        store.shared.db.fail_syncs.store(true, Ordering::Relaxed);
        let lost = store.secret("lost", [2; 32]).await.unwrap_err();
        assert!(matches!(lost, StoreError::Unavailable { outcome_unknown: true, .. }), "{lost}");
        assert!(
            store.secret("lost", [3; 32]).await.unwrap_err().is_temporary(),
            "what may be gone is not told"
        );
        assert!(store.stats().await.unwrap_err().is_temporary());
        assert!(store.ready().await.is_err(), "a balancer sends nobody here any more");
        drop(store);
        let store = SledStore::open(directory.path(), options()).unwrap();
        assert_eq!(store.secret("before", [4; 32]).await.unwrap(), secret);
    }
}
