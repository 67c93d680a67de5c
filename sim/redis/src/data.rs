//! What a server holds: strings that may expire, by database. Nothing of it outlives the process
//! (deploy/redis/redis.conf: `save ""`).

use gadwall_storage::Timestamp;
use std::collections::BTreeMap;

/// A key of a database.
pub type Key = (i64, Vec<u8>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub value: Vec<u8>,
    pub expires: Option<Timestamp>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Data(BTreeMap<Key, Entry>);

impl Data {
    /// The entry, unless its time is over: it may then still be there, but nobody sees it.
    pub fn get(&self, key: &Key, now: Timestamp) -> Option<&Entry> {
        self.0.get(key).filter(|entry| entry.expires.is_none_or(|at| at > now))
    }

    pub fn set(&mut self, key: Key, entry: Entry) {
        self.0.insert(key, entry);
    }

    pub fn delete(&mut self, key: &Key) -> bool {
        self.0.remove(key).is_some()
    }

    /// PTTL: -2 without the key, -1 without an end.
    pub fn pttl(&self, key: &Key, now: Timestamp) -> i64 {
        match self.get(key, now) {
            None => -2,
            Some(Entry { expires: None, .. }) => -1,
            Some(Entry { expires: Some(at), .. }) => at.millis() - now.millis(),
        }
    }

    /// Removes what has expired, and names it.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Key> {
        let over = |entry: &Entry| entry.expires.is_some_and(|at| at <= now);
        let keys: Vec<Key> = self.0.iter().filter(|(_, e)| over(e)).map(|(key, _)| key.clone()).collect();
        self.0.retain(|_, entry| !over(entry));
        keys
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.0.iter()
    }
}
