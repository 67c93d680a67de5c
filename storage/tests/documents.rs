//! The promises of `Documents`, on the backends that keep some.

use gadwall_storage::contract::documents;
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::sled::{SledOptions, SledStore};
use gadwall_storage::{Documents, Maintenance, SystemClock, SystemEntropy};
use std::sync::Arc;

#[tokio::test]
async fn memory_keeps_documents() {
    documents(Arc::new(MemoryStore::new(Arc::new(SystemClock), Arc::new(SystemEntropy)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_keeps_documents_and_still_has_them_when_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let options = SledOptions::new(Arc::new(SystemClock), Arc::new(SystemEntropy));
        Arc::new(SledStore::open(dir.path(), SledOptions { cache_bytes: 8 << 20, ..options }).unwrap())
    };
    let store = open();
    documents(store.clone()).await;
    let before = store.document("cas").await.unwrap();
    assert!(before.is_some());
    store.close().await.unwrap();
    assert!(store.replace_document("cas", 1, b"late").await.unwrap_err().is_temporary());
    drop(store);
    let store = open();
    assert_eq!(store.document("cas").await.unwrap(), before);
    assert_eq!(store.audit().await.unwrap(), Vec::<String>::new());
}
