//! The operator's view: preparing the database, its state, and the nodes that say that they are there.

use super::db::{Db, DbError, Find, Kind, Update};
use super::doc::{Fields, time};
use super::options::{MongoOptions, without_credentials};
use super::schema::{self, LEASES, META, NODES};
use super::store::{MongoStore, OpenError, unreadable};
use crate::operate::{Cluster, ClusterStatus, Lease, Member, Node, Presence};
use crate::{Clock, Result, StoreError, Timestamp};
use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use std::sync::Arc;
use std::time::Duration;

/// How long a node that says nothing is remembered: long enough to be asked about.
const REMEMBERED: Duration = Duration::from_secs(600);

/// A database of nodes, not opened as a store: this works, too, where that would not.
pub struct MongoCluster {
    pub(super) db: Db,
    pub(super) address: String,
    pub(super) clock: Arc<dyn Clock>,
}

impl MongoCluster {
    /// Does not wait until a server is found.
    pub async fn connect(options: &MongoOptions) -> std::result::Result<Self, OpenError> {
        let address = without_credentials(&options.uri);
        match Db::connect(&options.uri, &options.database, &options.timing, options.mistakes).await {
            Ok(db) => Ok(Self { db, address, clock: options.clock.clone() }),
            Err(e) => Err(OpenError::new(address, e)),
        }
    }

    /// Collections and indexes that are there, and the schema's version.
    async fn inventory(&self) -> std::result::Result<Vec<String>, DbError> {
        let mut all = Vec::new();
        for collection in self.db.collections().await? {
            let indexes = self.db.indexes(&collection).await?;
            all.extend(indexes.iter().filter(|i| *i != "_id_").map(|i| format!("index {collection}.{i}")));
            all.push(format!("collection {collection}"));
        }
        all.extend(self.version().await?.map(|version| format!("schema version {version}")));
        all.sort();
        Ok(all)
    }

    pub(super) async fn version(&self) -> std::result::Result<Option<i64>, DbError> {
        let known = self.db.find_one(META, doc! { "_id": "schema" }).await?;
        Ok(known.and_then(|known| super::doc::number(&known, "version")))
    }

    /// Indexes that should be there, and are not: `collection.index`.
    pub(super) async fn missing_indexes(&self) -> std::result::Result<Vec<String>, DbError> {
        let mut missing = Vec::new();
        for (collection, wanted) in schema::indexes() {
            let there = self.db.indexes(collection).await?;
            let absent = wanted.iter().filter(|index| !there.iter().any(|name| name == index.name));
            missing.extend(absent.map(|index| format!("{collection}.{}", index.name)));
        }
        Ok(missing)
    }

    async fn prepare_all(&self) -> std::result::Result<(), DbError> {
        schema::prepare(&self.db).await?;
        // Of a schema that is complete by its version, indexes may have been dropped by hand.
        for (collection, indexes) in schema::indexes() {
            self.db.create_indexes(collection, &indexes).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Cluster for MongoCluster {
    async fn prepare(&self) -> Result<Vec<String>> {
        let before = self.inventory().await.map_err(unreadable)?;
        self.prepare_all().await.map_err(|e| match e.kind {
            Kind::Refused => StoreError::Corrupt(e.to_string()),
            _ => StoreError::unavailable(e.to_string()),
        })?;
        let after = self.inventory().await.map_err(unreadable)?;
        Ok(after.into_iter().filter(|there| !before.contains(there)).collect())
    }

    async fn status(&self) -> Result<ClusterStatus> {
        let mut status = ClusterStatus::default();
        match self.db.members().await {
            Ok(reply) => status.members = members(&reply),
            Err(e) if e.kind == Kind::Refused => {
                status.notes.push(format!("the members of the replica set are not known: {e}"));
                let hello = self.db.hello().await.map_err(unreadable)?;
                status.members = members_of_hello(&hello);
            }
            Err(e) => return Err(unreachable(&self.address, e)),
        }
        let all = |collection| async move {
            let find = Find { sort: Some(doc! { "_id": 1 }), ..Find::default() };
            self.db.find(collection, find).await
        };
        // Without a primary there is no majority to read from: what is known is said.
        match (all(LEASES).await, all(NODES).await) {
            (Ok(leases), Ok(nodes)) => {
                status.leases = leases.iter().filter_map(lease).collect();
                status.nodes = nodes.iter().filter_map(node).collect();
            }
            (Err(e), _) | (_, Err(e)) => status.notes.push(format!("leases and nodes can't be read: {e}")),
        }
        Ok(status)
    }
}

fn unreachable(address: &str, e: DbError) -> StoreError {
    StoreError::unavailable(format!("{address} is not reached: {e}; gadwall doctor says what to look at"))
}

/// What `replSetGetStatus` says.
pub(super) fn members(reply: &Document) -> Vec<Member> {
    let all: Vec<&Document> =
        reply.get_array("members").into_iter().flatten().filter_map(Bson::as_document).collect();
    let state = |m: &Document| m.get_str("stateStr").unwrap_or("unknown").to_lowercase();
    let written = |m: &Document| m.get_datetime("optimeDate").ok().map(|at| at.timestamp_millis());
    let latest = all.iter().find(|m| state(m) == "primary").and_then(|m| written(m));
    let member = |m: &&Document| {
        let state = state(m);
        let lag = latest.zip(written(m)).map(|(latest, at)| u64::try_from(latest - at).unwrap_or(0));
        Member {
            name: m.get_str("name").unwrap_or("unknown").to_owned(),
            healthy: super::doc::number(m, "health") == Some(1),
            lag_ms: lag.filter(|_| state == "secondary"),
            state,
        }
    };
    all.iter().map(member).collect()
}

/// All that may be known without the right to ask for the status.
fn members_of_hello(hello: &Document) -> Vec<Member> {
    let primary = hello.get_str("primary").or_else(|_| hello.get_str("me")).unwrap_or_default();
    let hosts = hello.get_array("hosts").into_iter().flatten().filter_map(Bson::as_str);
    hosts
        .map(|name| Member {
            name: name.to_owned(),
            state: if name == primary { "primary" } else { "unknown" }.to_owned(),
            healthy: true,
            lag_ms: None,
        })
        .collect()
}

fn lease(document: &Document) -> Option<Lease> {
    Some(Lease {
        name: document.get_str("_id").ok()?.to_owned(),
        holder: document.bytes("holder").map(hex).ok()?,
        until: document.when("until").ok()?,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn node(document: &Document) -> Option<Node> {
    let text = |field: &str| Some(document.get_str(field).ok()?.to_owned());
    let listeners = document.get_array("listeners").into_iter().flatten().filter_map(Bson::as_str);
    Some(Node {
        id: text("_id")?,
        hostname: text("hostname")?,
        version: text("version")?,
        listeners: listeners.map(str::to_owned).collect(),
        since: document.when("since").ok()?,
        seen: document.when("seen").ok()?,
        draining: document.get_bool("draining").ok()?,
    })
}

#[async_trait]
impl Presence for MongoStore {
    fn id(&self) -> String {
        hex(&self.shared.node)
    }

    async fn announce(&self, node: &Node) -> Result<()> {
        let listeners: Vec<Bson> = node.listeners.iter().cloned().map(Bson::String).collect();
        let change = doc! { "$set": {
            "hostname": &node.hostname,
            "version": &node.version,
            "listeners": listeners,
            "since": time(node.since),
            "seen": time(node.seen),
            "draining": node.draining,
        } };
        let update = Update::one(Bson::String(node.id.clone()), change).upsert();
        let db = &self.shared.db;
        db.update(NODES, vec![update]).await.map_err(unreadable)?;
        // Those that were killed can't withdraw.
        let old = Timestamp(node.seen.millis() - REMEMBERED.as_millis() as i64);
        db.delete(NODES, doc! { "seen": { "$lt": time(old) } }).await.map_err(unreadable)?;
        Ok(())
    }

    async fn withdraw(&self) -> Result<()> {
        self.shared.db.delete(NODES, doc! { "_id": self.id() }).await.map_err(unreadable)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::DateTime;

    #[test]
    fn members_are_as_far_behind_as_their_last_write() {
        let member = |name: &str, state: &str, health: f64, at: i64| {
            doc! { "name": name, "stateStr": state, "health": health, "optimeDate": DateTime::from_millis(at) }
        };
        let reply = doc! { "members": [
            member("a:1", "PRIMARY", 1.0, 9000),
            member("b:1", "SECONDARY", 1.0, 7500),
            member("c:1", "(not reachable/healthy)", 0.0, 0),
        ] };
        let members = members(&reply);
        let short: Vec<_> = members.iter().map(|m| (m.state.as_str(), m.healthy, m.lag_ms)).collect();
        assert_eq!(
            short,
            [
                ("primary", true, None),
                ("secondary", true, Some(1500)),
                ("(not reachable/healthy)", false, None)
            ]
        );
    }
}
