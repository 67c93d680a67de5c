//! The official driver against a replica set of three whole members, on real ports, that die and come back.

mod replica_set;

use bson::{Document, doc};
use replica_set::Set;

#[tokio::test]
async fn three_members_elect_a_primary_and_a_majority_write_survives_its_death() {
    let mut set = Set::start().await;
    let all = set.client().await.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1 }).await.unwrap();
    let old = set.primary().await;
    set.kill(old).await;
    let new = set.primary().await;
    assert_ne!(new, old);
    assert_eq!(set.member(new).documents("db.c"), [doc! { "_id": 1 }]);
    // The same client finds the new one.
    all.insert_one(doc! { "_id": 2 }).await.unwrap();
    set.boot(old).await;
    set.until(old, "it has caught up", |member| member.documents("db.c").len() == 2).await;
    set.check();
}
