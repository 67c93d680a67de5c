//! How a store is opened.

use super::db;
use super::mistakes::Mistakes;
use crate::memory::Limits;
use crate::{Clock, Entropy, HintBus, LocalLookups, Lookups};
use std::sync::Arc;
use std::time::Duration;

/// What a [`MongoStore`](super::MongoStore) is opened with.
#[derive(Clone)]
pub struct MongoOptions {
    /// `mongodb://` with the members of a replica set. Holds credentials.
    pub uri: String,
    pub database: String,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub limits: Limits,
    /// How hints reach other nodes. Without one, or while it is down, nodes look for changes once a second.
    pub bus: Option<Arc<dyn HintBus>>,
    /// Remembers what was looked up; without, everything is looked up each time.
    pub lookups: Option<Arc<dyn Lookups>>,
    /// How long a call goes on trying, through elections, before it fails as temporary.
    pub deadline: Duration,
    /// How long content nobody refers to is kept: longer than any call takes from storing content to referring to it.
    pub garbage_age: Duration,
    /// How long a node that collects keeps the others from it, at most: so long nobody does when it dies.
    pub lease: Duration,
    /// UIDs that one transaction changes at most. Ten times the default still stays below the minute a transaction has.
    pub step: u64,
    pub timing: db::Settings,
    pub mistakes: Mistakes,
}

impl MongoOptions {
    pub fn new(
        uri: impl Into<String>,
        database: impl Into<String>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            uri: uri.into(),
            database: database.into(),
            clock,
            entropy,
            limits: Limits::default(),
            bus: None,
            lookups: Some(Arc::new(LocalLookups::default())),
            deadline: Duration::from_secs(20),
            garbage_age: Duration::from_secs(3600),
            lease: Duration::from_secs(60),
            step: 20_000,
            timing: db::Settings::default(),
            mistakes: Mistakes::default(),
        }
    }
}

impl std::fmt::Debug for MongoOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("MongoOptions");
        shown.field("uri", &without_credentials(&self.uri));
        shown.field("database", &self.database).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// The address as it may be shown.
pub fn without_credentials(uri: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("", uri));
    // Options may hold credentials too, and a password may hold an unescaped `/` or `?`.
    let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    let hosts = hosts.split(['/', '?']).next().unwrap_or_default();
    format!("{scheme}://{hosts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        for (uri, shown) in [
            ("mongodb://a:1,b:2/?replicaSet=rs", "mongodb://a:1,b:2"),
            ("mongodb://me:se/c?ret@a:1/db?authMechanismProperties=AWS_SESSION_TOKEN:x", "mongodb://a:1"),
            ("mongodb+srv://me:secret@cluster.example", "mongodb+srv://cluster.example"),
        ] {
            assert_eq!(without_credentials(uri), shown);
        }
    }
}
