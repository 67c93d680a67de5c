//! What an operator asks of a backend: whether it is well, and who else works on it. No mail passes here.

use crate::{Result, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// One thing that was looked at. Nothing in it holds credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A few words: `MongoDB`, `certificate`.
    pub what: String,
    pub level: Level,
    /// What was seen.
    pub detail: String,
    /// What to do about it; empty when nothing needs doing.
    pub fix: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// It works, and an operator would want to know.
    Warn,
    Fail,
}

impl Finding {
    pub fn ok(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), level: Level::Ok, detail: detail.into(), fix: String::new() }
    }

    pub fn warn(what: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), level: Level::Warn, detail: detail.into(), fix: fix.into() }
    }

    pub fn fail(what: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), level: Level::Fail, detail: detail.into(), fix: fix.into() }
    }
}

/// A node, as it tells the others of itself every few seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// New with every start.
    pub id: String,
    pub hostname: String,
    pub version: String,
    /// Where it listens: `imaps 10.0.0.1:10993`.
    pub listeners: Vec<String>,
    pub since: Timestamp,
    /// When it said so; by its own clock.
    pub seen: Timestamp,
    pub draining: bool,
}

/// Where nodes tell of themselves. Only backends that several nodes share have it.
#[async_trait]
pub trait Presence: Send + Sync {
    /// What this node is called, in leases too.
    fn id(&self) -> String;

    /// Keeps what a node says, for some minutes after the last time.
    async fn announce(&self, node: &Node) -> Result<()>;

    /// This node has stopped.
    async fn withdraw(&self) -> Result<()>;
}

/// A database that several nodes share, as its operator sees it.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Makes what is missing and says what it did, nothing when all was there. Any number of times, on any node.
    async fn prepare(&self) -> Result<Vec<String>>;

    async fn status(&self) -> Result<ClusterStatus>;
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClusterStatus {
    pub members: Vec<Member>,
    /// How nodes wake each other, if they do.
    pub hints: Option<HintStatus>,
    pub leases: Vec<Lease>,
    pub nodes: Vec<Node>,
    /// What could not be found out, and why.
    pub notes: Vec<String>,
}

/// A member of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    pub name: String,
    /// `primary`, `secondary`, or what else it is.
    pub state: String,
    pub healthy: bool,
    /// How far it is behind the primary, if known.
    pub lag_ms: Option<u64>,
}

/// What carries hints and counters, none of which mail depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HintStatus {
    /// Where it is looked for.
    pub address: String,
    pub master: Option<String>,
    pub replicas: Option<u64>,
    /// Why it is not there; empty when it is.
    pub trouble: String,
}

/// Work that one node does for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lease {
    pub name: String,
    pub holder: String,
    pub until: Timestamp,
}
