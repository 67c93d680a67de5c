//! The official driver against a replica set of three whole members, on real ports, that die and come back.

mod replica_set;

use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::{Acknowledgment, CollectionOptions, WriteConcern};
use mongodb::{Client, Collection};
use replica_set::{Set, is_primary};
use std::time::Duration;
use tokio::time::Instant;

fn code(error: &Error) -> i32 {
    match &*error.kind {
        ErrorKind::Command(error) => error.code,
        other => panic!("not a command's: {other:?}"),
    }
}

/// Of one member, with `w: 1`.
async fn careless(set: &Set, id: usize) -> Collection<Document> {
    let concern = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
    let options = CollectionOptions::builder().write_concern(concern).build();
    set.direct(id).await.database("db").collection_with_options("c", options)
}

#[tokio::test]
async fn a_majority_write_survives_the_primarys_death() {
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

#[tokio::test]
async fn a_write_that_only_an_isolated_primary_has_is_rolled_back() {
    let set = Set::start().await;
    let all = set.client().await.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1 }).await.unwrap();
    let old = set.primary().await;
    set.cut_off(old);
    careless(&set, old).await.insert_one(doc! { "_id": "lost" }).await.unwrap();
    let new = set.primary_of(&set.others(old)).await;
    all.insert_one(doc! { "_id": 2 }).await.unwrap();
    assert_eq!(set.member(old).documents("db.c").len(), 2, "it still has what it took");
    set.cut_off(None);
    set.until(old, "it follows", |member| member.documents("db.c").contains(&doc! { "_id": 2 })).await;
    for id in [old, new] {
        assert_eq!(set.member(id).documents("db.c"), [doc! { "_id": 1 }, doc! { "_id": 2 }]);
    }
    let counts = set.witness.counts();
    assert_eq!((counts.rollbacks, counts.rolled_back_entries), (1, 1), "{counts:?}");
    set.check();
}

#[tokio::test]
async fn a_commit_during_a_step_down_is_of_unknown_outcome_and_settled_by_its_repetition() {
    let set = Set::start().await;
    let client = set.client().await;
    let all = client.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1 }).await.unwrap();
    let old = set.primary().await;
    let direct = set.direct(old).await;
    let there = direct.database("db").collection::<Document>("c");
    let mut waits = direct.start_session().await.unwrap();
    waits.start_transaction().await.unwrap();
    there.insert_one(doc! { "_id": "waits" }).session(&mut waits).await.unwrap();
    let mut open = direct.start_session().await.unwrap();
    open.start_transaction().await.unwrap();
    there.insert_one(doc! { "_id": "open" }).session(&mut open).await.unwrap();

    // It is written, and waits for a majority that is out of reach when the primary gives up.
    set.cut_off(old);
    let commit = tokio::spawn(async move { (waits.commit_transaction().await, waits) });
    let unknown = commit.await.unwrap().0.unwrap_err();
    assert!(unknown.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT), "{unknown:?}");
    assert!(!is_primary(set.member(old)));
    // What was not committed by then can be begun anew.
    let gone = there.insert_one(doc! { "_id": "more" }).session(&mut open).await.unwrap_err();
    assert!(gone.contains_label(TRANSIENT_TRANSACTION_ERROR), "{gone:?}");

    set.primary_of(&set.others(old)).await;
    all.insert_one(doc! { "_id": 2 }).await.unwrap();
    set.cut_off(None);
    set.until(old, "it follows", |member| member.documents("db.c").contains(&doc! { "_id": 2 })).await;
    assert_eq!(set.member(old).documents("db.c"), [doc! { "_id": 1 }, doc! { "_id": 2 }]);
    assert_eq!(set.witness.counts().rolled_back_entries, 1);
    set.check();
}

#[tokio::test]
async fn a_step_down_hands_over_to_one_that_has_everything() {
    let set = Set::start().await;
    let all = set.client().await.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1 }).await.unwrap();
    let old = set.primary().await;
    let admin = set.direct(old).await.database("admin");
    admin.run_command(doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 20 }).await.unwrap();
    let again = admin.run_command(doc! { "replSetStepDown": 60 }).await.unwrap_err();
    assert_eq!(code(&again), 10107);
    let new = set.primary_of(&set.others(old)).await;
    all.insert_one(doc! { "_id": 2 }).await.unwrap();
    assert_eq!(set.member(new).documents("db.c").len(), 2);
    set.check();
}

#[tokio::test]
async fn a_step_down_waits_for_others_to_catch_up_and_writes_fail_meanwhile() {
    let set = Set::start().await;
    let all = set.client().await.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1 }).await.unwrap();
    let old = set.primary().await;
    let others = set.others(old);
    set.starve(&others);
    let careless = careless(&set, old).await;
    careless.insert_one(doc! { "_id": 2 }).await.unwrap();
    let admin = set.direct(old).await.database("admin");
    let command = doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 60 };
    let leaves = tokio::spawn(async move { admin.run_command(command).await });
    set.until(old, "it leaves", |member| !is_primary(member)).await;
    assert!(!leaves.is_finished());
    let refused = careless.insert_one(doc! { "_id": 3 }).await.unwrap_err();
    assert_eq!(code(&refused), 10107);
    set.starve(&[]);
    leaves.await.unwrap().unwrap();
    let new = set.primary_of(&others).await;
    assert_eq!(set.member(new).documents("db.c"), [doc! { "_id": 1 }, doc! { "_id": 2 }]);
    set.check();
}

#[tokio::test]
async fn a_step_down_that_nobody_can_follow_is_refused_and_writes_go_on() {
    let set = Set::start().await;
    let all = set.client().await.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1 }).await.unwrap();
    let old = set.primary().await;
    set.starve(&set.others(old));
    let careless = careless(&set, old).await;
    careless.insert_one(doc! { "_id": 2 }).await.unwrap();
    let admin = set.direct(old).await.database("admin");
    let command = doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 0 };
    assert_eq!(code(&admin.run_command(command).await.unwrap_err()), 262);
    assert!(is_primary(set.member(old)));
    careless.insert_one(doc! { "_id": 3 }).await.unwrap();
    set.check();
}

#[tokio::test]
async fn a_write_that_is_repeated_to_the_next_primary_happens_once() {
    let mut set = Set::start().await;
    let old = set.primary().await;
    let session = Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] };
    let change = doc! { "q": { "_id": 1 }, "u": { "$inc": { "n": 1 } }, "upsert": true };
    let command = doc! {
        "update": "c", "updates": [change], "lsid": { "id": session }, "txnNumber": 1_i64, "$db": "db",
        "writeConcern": { "w": "majority" },
    };
    let first = set.member(old).command(command.clone()).await.unwrap();
    assert_eq!(first.get("n"), Some(&1.into()), "{first}");
    set.kill(old).await;
    let new = set.primary().await;
    let second = set.member(new).command(command).await.unwrap();
    assert_eq!(
        ["n", "upserted"].map(|field| first.get(field)),
        ["n", "upserted"].map(|field| second.get(field))
    );
    assert_eq!(set.member(new).documents("db.c"), [doc! { "_id": 1, "n": 1 }]);
    set.check();
}

#[tokio::test]
async fn whoever_stepped_down_does_not_stand_again_for_as_long_as_it_was_told() {
    let mut set = Set::start().await;
    let all = set.client().await.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1 }).await.unwrap();
    let old = set.primary().await;
    let admin = set.direct(old).await.database("admin");
    let told = Instant::now();
    let command = doc! { "replSetStepDown": 5, "secondaryCatchUpPeriodSecs": 5 };
    admin.run_command(command).await.unwrap();
    let new = set.primary_of(&set.others(old)).await;
    // The third can't win: it lacks an entry that the one who is to stay out has.
    let third = set.others(old).into_iter().find(|id| *id != new).unwrap();
    set.starve(&[third]);
    all.insert_one(doc! { "_id": 2 }).await.unwrap();
    set.until(old, "it has caught up", |member| member.documents("db.c").len() == 2).await;
    set.kill(new).await;
    assert_eq!(set.primary().await, old);
    assert!(told.elapsed() >= Duration::from_secs(5), "{:?}", told.elapsed());
    set.check();
}

#[tokio::test]
async fn the_largest_transaction_reaches_all_and_a_larger_one_is_refused() {
    // So much takes long in one thread: members that wait for less would elect, and end the transaction.
    let set = Set::start_with(|settings| {
        settings.election_timeout = Duration::from_secs(5);
        settings.call_timeout = Duration::from_secs(5);
    })
    .await;
    let client = set.client().await;
    let all = client.database("db").collection::<Document>("c");
    for (size, expected) in [(15_900_000, None), (16_100_000, Some(257))] {
        let outcome = loop {
            let outcome = three_documents(&client, &all, size).await;
            // As MongoDB tells its users to: an election says nothing about the size.
            let is_passing = |error: &Error| error.contains_label(TRANSIENT_TRANSACTION_ERROR);
            if !outcome.as_ref().is_err_and(is_passing) {
                break outcome;
            }
        };
        assert_eq!(outcome.err().map(|error| code(&error)), expected);
    }
    for id in 0..3 {
        set.until(id, "it has all", |member| member.documents("db.c").len() == 3).await;
    }
    set.check();
}

async fn three_documents(client: &Client, all: &Collection<Document>, size: usize) -> Result<(), Error> {
    let mut session = client.start_session().await?;
    session.start_transaction().await?;
    for id in 0..3 {
        let document = doc! { "_id": format!("{size} {id}"), "text": "x".repeat(size) };
        all.insert_one(document).session(&mut session).await?;
    }
    loop {
        match session.commit_transaction().await {
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
            settled => return settled,
        }
    }
}
