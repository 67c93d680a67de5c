//! How the suite gets at a backend.

use crate::memory::MemoryStore;
use crate::{Clock, Entropy, MailStore};
use async_trait::async_trait;
use std::sync::Arc;

/// A kind of store.
#[async_trait]
pub trait Backend: Send + Sync {
    /// A store of its own, empty, with this time and this randomness.
    async fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Box<dyn Instance>;
}

/// One store that was opened, with whatever it lives in.
#[async_trait]
pub trait Instance: Send + Sync {
    fn store(&self) -> Arc<dyn MailStore>;

    /// Drops the store without closing it and opens what it has left behind. `None`: nothing survives a restart. The
    /// caller has let go of every `Arc` of the store.
    async fn reopen(&mut self) -> Option<Arc<dyn MailStore>> {
        None
    }
}

/// The memory backend.
pub struct MemoryBackend;

struct MemoryInstance(Arc<MemoryStore>);

#[async_trait]
impl Backend for MemoryBackend {
    async fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Box<dyn Instance> {
        Box::new(MemoryInstance(Arc::new(MemoryStore::new(clock, entropy))))
    }
}

impl Instance for MemoryInstance {
    fn store(&self) -> Arc<dyn MailStore> {
        self.0.clone()
    }
}
