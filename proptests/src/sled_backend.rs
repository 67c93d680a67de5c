//! The sled backend, each store in a folder of its own that goes with it.

use async_trait::async_trait;
use gadwall_storage::contract::{Backend, Instance};
use gadwall_storage::sled::{SledOptions, SledStore};
use gadwall_storage::{Clock, Entropy, MailStore};
use std::sync::Arc;

pub struct SledBackend;

struct SledInstance {
    directory: tempfile::TempDir,
    options: SledOptions,
    /// `None` only while it is opened again.
    store: Option<Arc<SledStore>>,
}

impl SledInstance {
    fn open(&mut self) {
        let store = SledStore::open(self.directory.path(), self.options.clone());
        self.store = Some(Arc::new(store.expect("a store opens in a folder of its own")));
    }
}

#[async_trait]
impl Backend for SledBackend {
    async fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Box<dyn Instance> {
        let directory = tempfile::tempdir().expect("a folder for the store");
        let options = SledOptions { cache_bytes: 8 << 20, ..SledOptions::new(clock, entropy) };
        let mut instance = SledInstance { directory, options, store: None };
        instance.open();
        Box::new(instance)
    }
}

#[async_trait]
impl Instance for SledInstance {
    fn store(&self) -> Arc<dyn MailStore> {
        self.store.clone().expect("there is a store but while it is opened again")
    }

    async fn reopen(&mut self) -> Option<Arc<dyn MailStore>> {
        let store = self.store.take().expect("nothing else opens it again");
        assert_eq!(Arc::strong_count(&store), 1, "somebody holds on to the store");
        drop(store);
        self.open();
        Some(self.store())
    }
}
