//! What the nodes of a cluster share besides the store: hints, counters and look-ups. All may be lost without losing
//! mail.
//!
//! One node alone has them in its process ([`LocalCounters`], [`LocalLookups`](crate::LocalLookups); hints need no bus);
//! a cluster has them in Redis.

use crate::Hint;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::Instant;

/// Carries hints between nodes. What it carries may be lost, doubled or late.
pub trait HintBus: Send + Sync {
    /// Sends to all nodes. Returns at once; drops the hint when it can't be sent.
    fn publish(&self, hint: Hint);

    /// Hints of other nodes, perhaps this one's own as well. After every gap there is a [`Hint::Resync`].
    fn subscribe(&self) -> broadcast::Receiver<Hint>;

    /// Whether hints flow. While they do not, a backend has to look for itself.
    fn is_up(&self) -> bool;
}

/// Counts events under keys, for back-off and rate limits. A counter that can't be reached counts within the node.
#[async_trait]
pub trait Counters: Send + Sync {
    /// Adds one and says how many that makes. The count is forgotten when `window` has passed.
    async fn add(&self, key: &str, window: Window) -> Count;

    /// The count as it stands; none when nothing was counted or all is forgotten.
    async fn count(&self, key: &str) -> Option<Count>;

    async fn forget(&self, key: &str);
}

/// Remembers what was looked up. It may forget anything at any time, and may answer what was put long ago and has been
/// overtaken since: whoever asks has to make sure in the store that what it hears still holds. See docs/adr/0006.
#[async_trait]
pub trait Lookups: Send + Sync {
    async fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Keeps a value for at most so long. What is longer than [`LOOKUP_LIMIT`] bytes, key and value together, is not
    /// kept.
    async fn put(&self, key: &str, value: Vec<u8>, keep: Duration);

    async fn forget(&self, key: &str);
}

/// Longest key and value together, in bytes.
pub const LOOKUP_LIMIT: usize = 1024;

/// When a count is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// So long after its first event: rates.
    AfterFirst(Duration),
    /// So long after its latest: back-off.
    AfterLatest(Duration),
}

impl Window {
    pub fn length(self) -> Duration {
        match self {
            Window::AfterFirst(d) | Window::AfterLatest(d) => d,
        }
    }
}

/// A count, and how long it will be remembered unless more is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub events: u64,
    pub remembered_for: Duration,
}

/// Keys counted at a time; beyond, those that would be forgotten soonest go first.
const CAPACITY: usize = 100_000;

/// Counters of one process.
#[derive(Debug, Default)]
pub struct LocalCounters(Mutex<BTreeMap<String, (u64, Instant)>>);

impl LocalCounters {
    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (u64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Counters for LocalCounters {
    async fn add(&self, key: &str, window: Window) -> Count {
        let now = Instant::now();
        let mut entries = self.entries();
        if entries.len() >= CAPACITY && !entries.contains_key(key) {
            make_room(&mut entries, now);
        }
        let fresh = (0, now + window.length());
        let entry = entries.entry(key.to_owned()).or_insert(fresh);
        if entry.1 <= now {
            *entry = fresh;
        }
        entry.0 = entry.0.saturating_add(1);
        if let Window::AfterLatest(length) = window {
            entry.1 = now + length;
        }
        Count { events: entry.0, remembered_for: entry.1 - now }
    }

    async fn count(&self, key: &str) -> Option<Count> {
        let now = Instant::now();
        let (events, until) = self.entries().get(key).copied().filter(|(_, until)| *until > now)?;
        Some(Count { events, remembered_for: until - now })
    }

    async fn forget(&self, key: &str) {
        self.entries().remove(key);
    }
}

fn make_room(entries: &mut BTreeMap<String, (u64, Instant)>, now: Instant) {
    entries.retain(|_, (_, until)| *until > now);
    if entries.len() < CAPACITY {
        return;
    }
    // A tenth at a time: to look for one would cost a walk per event.
    let mut ends: Vec<Instant> = entries.values().map(|(_, until)| *until).collect();
    let (_, &mut end, _) = ends.select_nth_unstable(CAPACITY / 10);
    entries.retain(|_, (_, until)| *until > end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_forgotten_after_its_first_event_and_a_back_off_after_its_latest() {
        let counters = LocalCounters::default();
        let ten = Duration::from_secs(10);
        for window in [Window::AfterFirst(ten), Window::AfterLatest(ten)] {
            counters.forget("k").await;
            counters.add("k", window).await;
            tokio::time::advance(Duration::from_secs(6)).await;
            assert_eq!(counters.add("k", window).await.events, 2);
            tokio::time::advance(Duration::from_secs(6)).await;
            let left = counters.count("k").await.map(|c| c.events);
            assert_eq!(left, (window == Window::AfterLatest(ten)).then_some(2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_keys_is_bounded() {
        let counters = LocalCounters::default();
        for i in 0..CAPACITY + 10 {
            tokio::time::advance(Duration::from_millis(1)).await;
            counters.add(&i.to_string(), Window::AfterFirst(Duration::from_secs(3600))).await;
        }
        assert!(counters.entries().len() <= CAPACITY);
        assert!(counters.count(&(CAPACITY + 9).to_string()).await.is_some(), "the latest are kept");
        assert!(counters.count("0").await.is_none(), "the oldest went");
    }
}
