//! The contract, on the sled backend.

use async_trait::async_trait;
use gadwall_storage::contract::{Backend, Instance};
use gadwall_storage::sled::{SledOptions, SledStore};
use gadwall_storage::{Clock, Entropy, MailStore};
use std::sync::Arc;

struct SledBackend;

struct SledInstance {
    directory: tempfile::TempDir,
    options: SledOptions,
    store: Option<Arc<SledStore>>,
}

#[async_trait]
impl Backend for SledBackend {
    async fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Box<dyn Instance> {
        let directory = tempfile::tempdir().unwrap();
        let options = SledOptions { cache_bytes: 8 << 20, ..SledOptions::new(clock, entropy) };
        let store = SledStore::open(directory.path(), options.clone()).unwrap();
        Box::new(SledInstance { directory, options, store: Some(Arc::new(store)) })
    }
}

#[async_trait]
impl Instance for SledInstance {
    fn store(&self) -> Arc<dyn MailStore> {
        self.store.clone().unwrap()
    }

    async fn reopen(&mut self) -> Option<Arc<dyn MailStore>> {
        let store = self.store.take().unwrap();
        assert_eq!(Arc::strong_count(&store), 1, "somebody holds on to the store");
        drop(store);
        let store = SledStore::open(self.directory.path(), self.options.clone()).unwrap();
        self.store = Some(Arc::new(store));
        Some(self.store())
    }
}

gadwall_storage::contract_suite!(SledBackend);
