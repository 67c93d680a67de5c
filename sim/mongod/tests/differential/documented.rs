//! What only several members can show, and so can't be compared with a server that is alone: there MongoDB's documented
//! answers are asserted, of three simulated members and, if whoever runs this permits it, of a real replica set.

use crate::case::*;
use crate::outcome::Outcome;
use crate::replica_set::{Set, is_primary};
use bson::{Document, doc};
use gadwall_sim_mongod::engine::Faulty;
use mongodb::error::{Error, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client, ClientSession, Database};
use std::time::Duration;

/// Step-downs of the replica set that `GADWALL_TEST_MONGODB_URI` names are allowed.
const DISTURB: &str = "GADWALL_TEST_MONGODB_DISTURB";

const TRANSIENT: &[&str] = &["TransientTransactionError"];
const RETRYABLE: &[&str] = &["RetryableWriteError"];

/// What is not as it should be.
#[derive(Default)]
struct Departures(Vec<String>);

impl Departures {
    fn expect(&mut self, what: &str, outcome: Outcome, documented: Outcome) {
        if outcome != documented {
            self.0.push(format!("{what}\n    answered:   {outcome}\n    documented: {documented}"));
        }
    }

    fn hold(&mut self, what: &str, is_so: bool, said: impl std::fmt::Debug) {
        if !is_so {
            self.0.push(format!("{what}: {said:?}"));
        }
    }
}

fn refused(labels: &[&str]) -> Outcome {
    Outcome::error(10107, "NotWritablePrimary", labels)
}

async fn answer(database: &Database, session: &mut ClientSession, command: Document) -> Outcome {
    Outcome::of(database.run_command(command).session(session).await)
}

/// A client of the one member that is the primary, and of one that is not.
async fn roles(options: &ClientOptions) -> (Client, Client) {
    let client = Client::with_options(options.clone()).unwrap();
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await.unwrap();
    let primary = hello.get_str("primary").unwrap();
    let direct = |is_primary: bool| {
        let mut options = options.clone();
        options.hosts.retain(|host| (host.to_string() == primary) == is_primary);
        options.hosts.truncate(1);
        (options.direct_connection, options.repl_set_name) = (Some(true), None);
        Client::with_options(options).unwrap()
    };
    (direct(true), direct(false))
}

/// <https://www.mongodb.com/docs/manual/reference/error-codes/>: NotWritablePrimary; labels as in
/// mongo/db/error_labels.cpp.
async fn of_a_secondary(options: &ClientOptions, found: &mut Departures) {
    let (_, secondary) = roles(options).await;
    let (database, admin) = (secondary.database("gadwall_roles"), secondary.database("admin"));
    let mut session = secondary.start_session().await.unwrap();
    let write = || insert([doc! { "_id": 1 }]);
    let outcome = Outcome::of(database.run_command(write()).await);
    found.expect("a write to a secondary", outcome, refused(&[]));
    let outcome = answer(&database, &mut session, numbered(write(), 1)).await;
    found.expect("a retryable write to a secondary", outcome, refused(RETRYABLE));
    let outcome = answer(&database, &mut session, first(write(), 2)).await;
    found.expect("a transaction on a secondary", outcome, refused(TRANSIENT));
    let outcome = answer(&admin, &mut session, commit(3)).await;
    found.expect("a commit on a secondary", outcome, refused(RETRYABLE));
}

/// Who steps down ends what is open: "TransientTransactionError" for statements, while a commit may have been before.
async fn after_a_step_down(options: &ClientOptions, found: &mut Departures) {
    let (old, _) = roles(options).await;
    let (database, admin) = (old.database("gadwall_roles"), old.database("admin"));
    let client = Client::with_options(options.clone()).unwrap();
    let create = client.database("gadwall_roles").run_command(insert([doc! { "_id": "there" }])).await;
    found.hold("a write before the step-down", create.is_ok(), create);
    let (mut a, mut b) = (old.start_session().await.unwrap(), old.start_session().await.unwrap());
    for (session, id) in [(&mut a, "a"), (&mut b, "b")] {
        session.start_transaction().await.unwrap();
        let begun = answer(&database, session, insert([doc! { "_id": id }])).await;
        found.expect("a statement before the step-down", begun, Outcome::reply(doc! { "n": 1 }));
    }
    // Without a reply in some versions: the connection may be closed.
    let _ = admin.run_command(doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 }).await;
    let outcome = answer(&database, &mut a, insert([doc! { "_id": "late" }])).await;
    found.expect("a statement after a step-down", outcome, refused(TRANSIENT));
    let unknown = b.commit_transaction().await;
    let is_unknown = |e: &Error| e.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT);
    found.hold(
        "a commit after a step-down is of unknown outcome",
        unknown.as_ref().is_err_and(is_unknown),
        &unknown,
    );
    let left = client.database("gadwall_roles").collection::<Document>("c").count_documents(doc! {}).await;
    found.hold("nothing of both is left", left.as_ref().is_ok_and(|n| *n == 1), left);
    client.database("gadwall_roles").drop().await.unwrap();
}

/// <https://www.mongodb.com/docs/manual/reference/write-concern/#wtimeout>
async fn without_a_majority(set: &Set, found: &mut Departures) {
    let old = set.primary().await;
    let database = set.direct(old).await.database("gadwall_majority");
    database.create_collection("c").await.unwrap();
    set.starve(&set.others(old));
    let concern = doc! { "writeConcern": { "w": "majority", "wtimeout": 100 } };
    let outcome = Outcome::of(database.run_command(with(insert([doc! { "_id": 1 }]), concern.clone())).await);
    let error = doc! { "code": 64, "codeName": "WriteConcernFailed", "errInfo": { "wtimeout": true } };
    let documented = Outcome::reply(doc! { "n": 1, "writeConcernError": error });
    found.expect("a majority that is away", outcome, documented);
    let outcome = Outcome::of(
        database.run_command(with(insert([doc! { "_id": 2 }]), doc! { "writeConcern": { "w": 1 } })).await,
    );
    found.expect("w: 1 while it is", outcome, Outcome::reply(doc! { "n": 1 }));

    let mut session = set.direct(old).await.start_session().await.unwrap();
    let patience = Duration::from_millis(100);
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).w_timeout(patience).build();
    session.start_transaction().write_concern(durable).await.unwrap();
    let all = session.client().database("gadwall_majority").collection::<Document>("c");
    all.insert_one(doc! { "_id": 3 }).session(&mut session).await.unwrap();
    let unknown = session.commit_transaction().await;
    let is_unknown = |e: &Error| e.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT);
    found.hold(
        "a commit without a majority is of unknown outcome",
        unknown.as_ref().is_err_and(is_unknown),
        &unknown,
    );
    set.starve(&[]);
    let repeated = session.commit_transaction().await;
    found.hold("and is repeated once there is one", repeated.is_ok(), &repeated);
}

/// Replies of writes whose wait the step-down ends: `setErrorForAll` in mongo/db/repl/replication_coordinator_impl.cpp.
async fn a_wait_that_a_step_down_ends(set: &Set, found: &mut Departures) {
    let old = set.primary().await;
    set.starve(&set.others(old));
    let direct = set.direct(old).await;
    let (database, mut session) = (direct.database("gadwall_wait"), direct.start_session().await.unwrap());
    let command =
        with(numbered(insert([doc! { "_id": 1 }]), 1), doc! { "writeConcern": { "w": "majority" } });
    let waits = tokio::spawn(async move { answer(&database, &mut session, command).await });
    set.until(old, "it is written", |member| member.documents("gadwall_wait.c").len() == 1).await;
    let command = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 0, "force": true };
    direct.database("admin").run_command(command).await.unwrap();
    set.until(old, "it has stepped down", |member| !is_primary(member)).await;
    let error = doc! { "code": 189, "codeName": "PrimarySteppedDown" };
    let labels = vec!["RetryableWriteError"];
    let documented = Outcome::reply(doc! { "n": 1, "writeConcernError": error, "errorLabels": labels });
    found.expect("a wait that a step-down ends", waits.await.unwrap(), documented);
    set.starve(&[]);
}

/// Reads that may not go to a secondary are refused; a driver that is told to talk to one member never asks so.
async fn of_a_read_for_primaries(set: &Set, found: &mut Departures) {
    let primary = set.primary().await;
    let command = doc! { "find": "c", "$db": "db", "$readPreference": { "mode": "primary" } };
    let reply = set.member(set.others(primary)[0]).command(command).await.unwrap();
    found.hold(
        "a read that is for the primary",
        reply.get_i32("code").is_ok_and(|code| code == 13435),
        reply,
    );
}

async fn departures(faulty: Faulty, acknowledge_w1: bool) -> Vec<String> {
    let set = Set::start_with(|settings| settings.faulty.acknowledge_w1 = acknowledge_w1).await;
    (0..3).for_each(|id| set.member(id).with(|engine, _| engine.be(faulty)));
    let mut found = Departures::default();
    set.primary().await;
    let options = ClientOptions::parse(set.uri()).await.unwrap();
    of_a_secondary(&options, &mut found).await;
    of_a_read_for_primaries(&set, &mut found).await;
    without_a_majority(&set, &mut found).await;
    after_a_step_down(&options, &mut found).await;
    a_wait_that_a_step_down_ends(&set, &mut found).await;
    found.0
}

#[tokio::test]
async fn several_members_answer_as_documented() {
    assert_eq!(departures(Faulty::default(), false).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_write_concern_that_is_ignored_is_found() {
    let found = departures(Faulty::default(), true).await.join("\n");
    assert!(found.contains("a majority that is away"), "{found}");
    assert!(found.contains("a commit without a majority is of unknown outcome"), "{found}");
}

#[tokio::test]
async fn labels_and_errors_that_are_kept_back_are_found() {
    let found =
        departures(Faulty { no_write_concern_error: true, ..Faulty::default() }, false).await.join("\n");
    assert!(found.contains("a commit without a majority is of unknown outcome"), "{found}");
    let found = departures(Faulty { no_retryable_label: true, ..Faulty::default() }, false).await.join("\n");
    assert!(found.contains("a commit after a step-down is of unknown outcome"), "{found}");
    assert!(found.contains("a retryable write to a secondary"), "{found}");
    let found = departures(Faulty { no_transient_label: true, ..Faulty::default() }, false).await.join("\n");
    assert!(found.contains("a statement after a step-down"), "{found}");
    let told = Faulty { code_told_as: Some((10107, 13436)), ..Faulty::default() };
    assert!(departures(told, false).await.join("\n").contains("a write to a secondary"));
}

#[tokio::test]
async fn a_real_replica_set_answers_as_documented() {
    if std::env::var_os(DISTURB).is_none() {
        println!("left out: {DISTURB} does not allow step-downs");
        return;
    }
    let options = ClientOptions::parse(crate::servers::uri()).await.unwrap();
    let (primary, _) = roles(&options).await;
    let hello = primary.database("admin").run_command(doc! { "hello": 1 }).await.unwrap();
    assert!(hello.get_array("hosts").unwrap().len() >= 3, "it takes three members");
    let mut found = Departures::default();
    of_a_secondary(&options, &mut found).await;
    after_a_step_down(&options, &mut found).await;
    assert_eq!(found.0, Vec::<String>::new());
}
