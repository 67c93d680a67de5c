//! What a keeper of [`Documents`] promises.

use crate::{DOCUMENT_LIMIT, Documents, StoreError};
use std::sync::Arc;

/// Checks all of it on an empty keeper. Panics when a promise is broken.
pub async fn documents(keeper: Arc<dyn Documents>) {
    a_document_is_what_was_written_last(&*keeper).await;
    only_who_knows_the_version_may_write(&*keeper).await;
    of_many_who_write_at_once_one_wins(keeper.clone()).await;
    a_document_has_a_limit(&*keeper).await;
}

async fn a_document_is_what_was_written_last(keeper: &dyn Documents) {
    assert_eq!(keeper.document("a").await, Ok(None));
    let first = keeper.replace_document("a", 0, b"one").await.unwrap().expect("there was none");
    assert!(first > 0);
    let second = keeper.replace_document("a", first, b"").await.unwrap().expect("the version was right");
    assert!(second > first, "versions grow: they fence off who comes too late");
    let found = keeper.document("a").await.unwrap().expect("it was written");
    assert_eq!((found.version, found.bytes), (second, Vec::new()));
    assert_eq!(keeper.document("b").await, Ok(None), "a name of its own");
}

async fn only_who_knows_the_version_may_write(keeper: &dyn Documents) {
    let first = keeper.replace_document("cas", 0, b"one").await.unwrap().expect("there was none");
    for wrong in [0, first + 1, u64::MAX] {
        assert_eq!(keeper.replace_document("cas", wrong, b"two").await, Ok(None), "{wrong}");
    }
    assert_eq!(keeper.replace_document("none", 7, b"two").await, Ok(None));
    assert_eq!(keeper.document("cas").await.unwrap().map(|d| d.bytes), Some(b"one".to_vec()));
    assert_eq!(keeper.document("none").await, Ok(None));
}

async fn of_many_who_write_at_once_one_wins(keeper: Arc<dyn Documents>) {
    for _ in 0..20 {
        let now = keeper.document("race").await.unwrap().map_or(0, |d| d.version);
        let writers = (0..8u8).map(|n| {
            let keeper = keeper.clone();
            tokio::spawn(async move { (n, keeper.replace_document("race", now, &[n]).await.unwrap()) })
        });
        let mut winners = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            if let (n, Some(version)) = writer.await.unwrap() {
                winners.push((n, version));
            }
        }
        let [(n, version)] = winners[..] else { panic!("{winners:?}") };
        let found = keeper.document("race").await.unwrap().expect("one was written");
        assert_eq!((found.version, found.bytes), (version, vec![n]));
    }
}

async fn a_document_has_a_limit(keeper: &dyn Documents) {
    let most = vec![7; DOCUMENT_LIMIT];
    keeper.replace_document("large", 0, &most).await.unwrap().expect("so much is allowed");
    assert_eq!(keeper.document("large").await.unwrap().map(|d| d.bytes), Some(most));
    let more = keeper.replace_document("large", 1, &vec![7; DOCUMENT_LIMIT + 1]).await;
    assert!(matches!(more, Err(StoreError::LimitReached(_))), "{more:?}");
}
