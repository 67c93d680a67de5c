//! Look-ups that one process remembers.

use crate::{LOOKUP_LIMIT, Lookups};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Entries at most, which bounds them to some 20 MB; those of a mail server are a tenth of the limit each.
const CAPACITY: usize = 20_000;

/// Look-ups of one process.
#[derive(Debug, Default)]
pub struct LocalLookups(Mutex<BTreeMap<String, (Vec<u8>, Instant)>>);

impl LocalLookups {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, (Vec<u8>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Lookups for LocalLookups {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let entries = self.entries();
        let (value, until) = entries.get(key)?;
        (*until > Instant::now()).then(|| value.clone())
    }

    async fn put(&self, key: &str, value: Vec<u8>, keep: Duration) {
        if key.len() + value.len() > LOOKUP_LIMIT {
            return;
        }
        let now = Instant::now();
        let mut entries = self.entries();
        if entries.len() >= CAPACITY && !entries.contains_key(key) {
            entries.retain(|_, (_, until)| *until > now);
            if entries.len() >= CAPACITY {
                // Which of them go does not matter much: each is one look-up. All at once costs least to find.
                entries.clear();
            }
        }
        entries.insert(key.to_owned(), (value, now + keep));
    }

    async fn forget(&self, key: &str) {
        self.entries().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn what_was_put_is_known_until_its_time_is_over_or_it_is_forgotten() {
        let known = LocalLookups::default();
        known.put("a", b"1".to_vec(), KEEP).await;
        known.put("b", b"2".to_vec(), KEEP).await;
        assert_eq!(known.get("a").await, Some(b"1".to_vec()));
        known.forget("a").await;
        assert_eq!(known.get("a").await, None);
        tokio::time::advance(KEEP - Duration::from_millis(1)).await;
        assert_eq!(known.get("b").await, Some(b"2".to_vec()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(known.get("b").await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn neither_many_nor_long_entries_take_more_than_their_room() {
        let known = LocalLookups::default();
        for i in 0..CAPACITY + 10 {
            known.put(&i.to_string(), b"x".to_vec(), KEEP).await;
        }
        assert!(known.entries().len() <= CAPACITY);
        assert_eq!(known.get(&(CAPACITY + 9).to_string()).await, Some(b"x".to_vec()), "the latest are there");
        known.put("long", vec![0; LOOKUP_LIMIT], KEEP).await;
        assert_eq!(known.get("long").await, None);
    }
}
