//! What a simulated Redis does on order, and the product's client under it.

use crate::redis_servers::{info, until};
use crate::redis_suite::{Cluster as _, Redis, add, down, events, hint, next, node, resync, up};
use crate::simulated::{Cluster, Server, local};
use gadwall_sim_redis::{ConfigFile, PubSubFaults};
use gadwall_storage::{HintBus, ManualClock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

const NONE: PubSubFaults = PubSubFaults { lose: 0, double: 0, reorder: 0, silent: false };

#[tokio::test]
async fn doubled_hints_arrive_twice() {
    let server = Server::start().await;
    let (a, b) = (node(&server.url()), node(&server.url()));
    let mut heard = b.subscribe();
    up(&a).await;
    up(&b).await;
    server.handle().set_faults(PubSubFaults { double: 1000, ..NONE });
    (1..=2).for_each(|n| a.publish(hint(n)));
    for n in [1, 1, 2, 2] {
        assert_eq!(next(&mut heard).await, hint(n));
    }
}

#[tokio::test]
async fn reordered_hints_change_places() {
    let server = Server::start().await;
    let (a, b) = (node(&server.url()), node(&server.url()));
    let mut heard = b.subscribe();
    up(&a).await;
    up(&b).await;
    server.handle().set_faults(PubSubFaults { reorder: 300, ..NONE });
    (1..=100).for_each(|n| a.publish(hint(n)));
    let mut came = Vec::new();
    for _ in 1..=100 {
        came.push(next(&mut heard).await);
    }
    let sent: Vec<_> = (1..=100).map(hint).collect();
    assert_ne!(came, sent);
    assert!(sent.iter().all(|hint| came.contains(hint)), "none is lost");
}

#[tokio::test]
async fn a_subscription_that_went_silent_is_noticed_and_so_is_its_return() {
    for faults in [PubSubFaults { silent: true, ..NONE }, PubSubFaults { lose: 1000, ..NONE }] {
        let server = Server::start().await;
        let bus = node(&server.url());
        up(&bus).await;
        server.handle().set_faults(faults);
        down(&bus).await;
        assert_eq!(add(&bus, "k").await, 1);
        assert_eq!(
            server.say::<u64>("GET gadwall:count:k").await,
            Some(1),
            "commands are answered all along"
        );
        server.handle().heal();
        up(&bus).await;
    }
}

#[tokio::test]
async fn subscribers_that_were_dropped_come_back() {
    let server = Server::start().await;
    let bus = node(&server.url());
    up(&bus).await;
    let mut heard = bus.subscribe();
    server.handle().drop_subscribers();
    resync(&mut heard).await;
    up(&bus).await;
}

#[tokio::test]
async fn what_was_not_copied_is_lost_with_the_master() {
    let mut cluster = Cluster::start("mail").await;
    let bus = node(&cluster.url("mail"));
    up(&bus).await;
    add(&bus, "copied").await;
    until("the copy", async || cluster.replica.say::<u64>("GET gadwall:count:copied").await).await;
    cluster.master.handle().set_replication_lag(Duration::from_secs(3600));
    assert_eq!(add(&bus, "late").await, 1);
    cluster.master.kill();
    down(&bus).await;
    up(&bus).await;
    assert_eq!((events(&bus, "copied").await, events(&bus, "late").await), (Some(1), None));
}

#[tokio::test]
async fn an_old_master_takes_writes_until_sentinel_reaches_it_and_then_loses_them() {
    let mut cluster = Cluster::start("mail").await;
    cluster.master.stop();
    until("the promotion", async || {
        info(&cluster.replica.url(), "role").await.filter(|role| role == "master")
    })
    .await;
    cluster.master.resume();
    assert_eq!(cluster.master.say::<String>("SET old 1").await.as_deref(), Some("OK"), "it still believes");
    until("it to be demoted", async || {
        info(&cluster.master.url(), "master_link_status").await.filter(|status| status == "up")
    })
    .await;
    assert_eq!(cluster.master.say::<Option<u64>>("GET old").await, Some(None), "the new master never had it");
    assert_eq!(cluster.master.say::<String>("SET old 1").await, None, "READONLY");
    // A process that comes back follows the one that it followed last.
    cluster.master.kill();
    cluster.master.restart().await;
    assert_eq!(info(&cluster.master.url(), "role").await.as_deref(), Some("slave"));
}

#[tokio::test]
async fn a_master_that_restarts_before_anybody_notices_empties_its_replica() {
    // Without persistence: <https://redis.io/docs/latest/operate/oss_and_stack/management/replication/>, "Safety of
    // replication when master has persistence turned off".
    let mut master = Server::start().await;
    let port = master.port();
    let replica = Server::but(|options| options.config = ConfigFile::replica_of(local(port))).await;
    let bus = node(&master.url());
    up(&bus).await;
    add(&bus, "k").await;
    let copied = async || replica.say::<Option<u64>>("GET gadwall:count:k").await;
    until("the copy", async || copied().await.flatten()).await;
    master.kill();
    master.restart().await;
    until("the loss to be copied", async || copied().await.filter(Option::is_none)).await;
}

#[tokio::test]
async fn a_count_ends_by_the_clock_that_was_handed_in() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let server = Server::but(|options| options.clock = clock.clone()).await;
    let bus = node(&server.url());
    up(&bus).await;
    assert_eq!((add(&bus, "k").await, add(&bus, "k").await), (1, 2));
    clock.advance(Duration::from_secs(59));
    assert_eq!(events(&bus, "k").await, Some(2));
    clock.advance(Duration::from_secs(1));
    assert_eq!(events(&bus, "k").await, None);
    assert_eq!(add(&bus, "k").await, 1);
}

#[tokio::test]
async fn what_is_not_simulated_is_refused_and_noted() {
    let server = Server::start().await;
    assert_eq!(server.say::<String>("LPUSH k v").await, None);
    assert_eq!(server.say::<String>("EVAL return{1} 1 k").await, None);
    assert_eq!(server.handle().refused(), ["LPUSH k v", "EVAL return{1}"]);
    // It would complain of this itself.
    std::mem::forget(server);
}
