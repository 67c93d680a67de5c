//! What operators are told, of real servers: well when they are, and what is wrong when they are not.

mod mongodb;
// What other tests use of it.
#[allow(dead_code)]
mod redis_servers;

use gadwall_storage::mongo::{MongoCluster, MongoOptions, MongoStore};
use gadwall_storage::operate::{Cluster, Finding, Level, Node, Presence};
use gadwall_storage::redis::{RedisExaminer, TcpDial};
use gadwall_storage::{SystemClock, SystemEntropy, Timestamp};
use redis_servers::{Server, free_port, until};
use std::sync::Arc;

fn options(uri: &str) -> MongoOptions {
    MongoOptions::new(uri, mongodb::database_name(), Arc::new(SystemClock), Arc::new(SystemEntropy))
}

async fn dropped(options: &MongoOptions) {
    gadwall_storage::mongo::drop_database(&options.uri, &options.database).await.expect("the database goes");
}

fn found<'a>(findings: &'a [Finding], what: &str) -> &'a Finding {
    findings.iter().find(|f| f.what == what).unwrap_or_else(|| panic!("no {what} in {findings:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_prepared_once_and_what_was_dropped_is_made_again() {
    let options = options(&mongodb::uri());
    let cluster = MongoCluster::connect(&options).await.expect("the address is one");
    let made = cluster.prepare().await.expect("it is prepared");
    for part in ["collection messages", "index messages.expires", "schema version"] {
        assert!(made.iter().any(|step| step.starts_with(part)), "{part} in {made:?}");
    }
    assert_eq!(cluster.prepare().await.expect("again"), Vec::<String>::new());
    let findings = cluster.examine().await;
    assert!(findings.iter().all(|f| f.level != Level::Fail), "{findings:#?}");
    assert!(found(&findings, "MongoDB write").detail.contains("ms"), "{findings:#?}");

    drop_index(&options, "messages", "expires").await;
    let findings = cluster.examine().await;
    let schema = found(&findings, "MongoDB schema");
    assert!(schema.level == Level::Fail && schema.detail.contains("messages.expires"), "{schema:?}");
    assert!(schema.fix.contains("gadwall cluster init"), "{schema:?}");
    assert_eq!(cluster.prepare().await.expect("mended"), ["index messages.expires"]);
    dropped(&options).await;
}

async fn drop_index(options: &MongoOptions, collection: &str, index: &str) {
    let client = ::mongodb::Client::with_uri_str(&options.uri).await.expect("a client");
    let database = client.database(&options.database);
    database
        .collection::<::mongodb::bson::Document>(collection)
        .drop_index(index)
        .await
        .expect("it was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_leases_are_seen_by_others() {
    use gadwall_storage::Maintenance;
    let options = options(&mongodb::uri());
    let store = MongoStore::open(options.clone()).await.expect("it opens");
    let node = |seen: i64, draining| Node {
        id: store.id(),
        hostname: "a.example".into(),
        version: "1.2.3".into(),
        listeners: vec!["imap 10.0.0.1:10143".into()],
        since: Timestamp(1),
        seen: Timestamp(seen),
        draining,
    };
    store.announce(&node(1000, false)).await.expect("it is kept");
    store.announce(&node(2000, true)).await.expect("it is kept");
    // Takes the lease of clean-up.
    store.sweep().await.expect("it sweeps");
    let cluster = MongoCluster::connect(&options).await.expect("the address is one");
    let status = cluster.status().await.expect("a status");
    assert_eq!(status.nodes, [node(2000, true)]);
    assert!(status.members.iter().any(|m| m.state == "primary"), "{status:?}");
    assert!(status.leases.iter().any(|lease| lease.holder == store.id()), "{status:?}");

    let other = MongoStore::open(options.clone()).await.expect("it opens");
    let later = Node { id: other.id(), ..node(2000 + 3_600_000, false) };
    other.announce(&later).await.expect("it is kept");
    assert_eq!(cluster.status().await.expect("a status").nodes, [later], "the silent one is forgotten");
    other.withdraw().await.expect("it goes");
    assert!(cluster.status().await.expect("a status").nodes.is_empty());
    dropped(&options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_reached_is_said_to_be_without_its_password() {
    let uri = format!("mongodb://me:hunter2@127.0.0.1:{}/?replicaSet=x", free_port());
    let cluster = MongoCluster::connect(&options(&uri)).await.expect("the address is one");
    let findings = cluster.examine().await;
    assert!(findings.len() == 1 && findings[0].level == Level::Fail, "{findings:#?}");
    assert!(findings[0].fix.contains("systemctl status mongod"), "{findings:#?}");
    assert!(!format!("{findings:?}").contains("hunter2"), "{findings:#?}");
    let refused = cluster.status().await.expect_err("nobody is there").to_string();
    assert!(refused.contains("gadwall doctor") && !refused.contains("hunter2"), "{refused}");
}

fn examiner(url: &str) -> RedisExaminer {
    RedisExaminer::new(url.parse().expect("an address"), Arc::new(TcpDial), Arc::new(SystemEntropy))
}

#[tokio::test]
async fn a_redis_is_well_when_a_message_comes_back() {
    let server = Server::redis(&["--requirepass", "hunter2"]).await;
    let findings = examiner(&format!("redis://:hunter2@127.0.0.1:{}", server.port)).examine().await;
    assert!(findings.iter().all(|f| f.level == Level::Ok), "{findings:#?}");
    found(&findings, "Redis channels");

    let wrong = examiner(&format!("redis://:hunter3@127.0.0.1:{}", server.port)).examine().await;
    let redis = found(&wrong, "Redis");
    assert!(redis.level == Level::Fail && redis.fix.contains("passwords"), "{redis:?}");
    assert!(!format!("{wrong:?}").contains("hunter"), "{wrong:#?}");
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_said_to_take_none() {
    let server = Server::redis(&["--min-replicas-to-write", "1"]).await;
    let findings = examiner(&format!("redis://127.0.0.1:{}", server.port)).examine().await;
    let redis = found(&findings, "Redis");
    assert!(redis.level == Level::Fail && redis.fix.contains("INFO replication"), "{redis:?}");
    assert_eq!(found(&findings, "Redis channels").level, Level::Ok, "hints still pass");
}

#[tokio::test]
async fn sentinels_are_asked_each() {
    let master = Server::redis(&[]).await;
    let one = Server::sentinel("mail", master.port).await;
    let nobody = [free_port(), free_port()];
    let url = |ports: &[u16], name: &str| {
        let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{name}", hosts.join(","))
    };
    let findings = until("the Sentinel", async || {
        let findings = examiner(&url(&[one.port], "mail")).examine().await;
        (found(&findings, "Sentinel").level == Level::Ok).then_some(findings)
    })
    .await;
    assert!(found(&findings, "Redis").detail.contains("no replica"), "{findings:#?}");

    let findings = examiner(&url(&[one.port, nobody[0], nobody[1]], "mail")).examine().await;
    let sentinel = found(&findings, "Sentinel");
    assert!(sentinel.level == Level::Fail && sentinel.detail.contains("no majority"), "{sentinel:?}");
    assert_eq!(found(&findings, "Redis channels").level, Level::Ok, "the master is found all the same");

    let findings = examiner(&url(&[one.port], "post")).examine().await;
    assert!(found(&findings, "Sentinel").fix.contains("sentinel monitor"), "{findings:#?}");
    let status = examiner(&url(&[one.port], "mail")).status().await;
    assert_eq!(status.master, Some(format!("127.0.0.1:{}", master.port)));
}
