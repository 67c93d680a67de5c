//! The official driver against a member on real ports.

use bson::{Document, doc};
use gadwall::net::{Net, TokioNet};
use gadwall_sim_mongod::{
    Body, Engine, Entry, Log, Member, OpTime, Refusal, Standalone, StepDown, Wait, serve_on,
};
use gadwall_storage::SystemClock;
use mongodb::Client;
use mongodb::error::{TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A set of one whose majority may be out of reach.
struct Cut {
    inner: Standalone,
    is_cut: Arc<AtomicBool>,
}

impl Log for Cut {
    fn primary(&self) -> Option<u64> {
        self.inner.primary()
    }
    fn append(&mut self, body: Body, wall_ms: i64) -> Result<Entry, Refusal> {
        self.inner.append(body, wall_ms)
    }
    fn last(&self) -> OpTime {
        self.inner.last()
    }
    fn committed(&self) -> OpTime {
        self.inner.committed()
    }
    fn durable(&self) -> OpTime {
        self.inner.durable()
    }
    fn settled(&self, wait: &Wait) -> Option<Result<(), Refusal>> {
        if self.is_cut.load(Ordering::SeqCst) { None } else { self.inner.settled(wait) }
    }
    fn hello(&self) -> Document {
        self.inner.hello()
    }
    fn status(&self) -> Document {
        self.inner.status()
    }
    fn step_down(&mut self, how: StepDown) -> Option<Result<(), Refusal>> {
        self.inner.step_down(how)
    }
    fn give_up_step_down(&mut self) {
        self.inner.give_up_step_down();
    }
}

struct Server {
    client: Client,
    member: Arc<Member>,
    is_cut: Arc<AtomicBool>,
}

async fn server() -> Server {
    let listener = TokioNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let is_cut = Arc::new(AtomicBool::new(false));
    let log = Cut { inner: Standalone::new("sim", address.to_string()), is_cut: is_cut.clone() };
    let member = Member::new(Engine::new(60), Box::new(log), Arc::new(SystemClock), None);
    tokio::spawn(serve_on(listener, member.clone()));
    let client = Client::with_uri_str(format!("mongodb://{address}/?replicaSet=sim")).await.unwrap();
    Server { client, member, is_cut }
}

async fn fail(client: &Client, times: i32, data: Document) {
    let command = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
    client.database("admin").run_command(command).await.unwrap();
}

#[tokio::test]
async fn a_write_whose_connection_breaks_is_retried_and_happens_once() {
    let Server { client, .. } = server().await;
    let all = client.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
    fail(&client, 1, doc! { "failCommands": ["findAndModify"], "closeConnection": true }).await;
    let change = doc! { "$inc": { "n": 1 } };
    all.find_one_and_update(doc! { "_id": 1 }, change.clone()).await.unwrap();
    // This time it is done, but the reply says that the primary may go.
    let error = doc! { "code": 91, "errmsg": "going" };
    fail(&client, 1, doc! { "failCommands": ["findAndModify"], "writeConcernError": error }).await;
    all.find_one_and_update(doc! { "_id": 1 }, change).await.unwrap();
    assert_eq!(all.find_one(doc! {}).await.unwrap().unwrap().get_i32("n").unwrap(), 2);
    assert_eq!(all.count_documents(doc! { "n": 2 }).await.unwrap(), 1);
}

#[tokio::test]
async fn a_commit_without_a_majority_is_unknown_until_it_is_repeated() {
    let Server { client, member, is_cut } = server().await;
    let all = client.database("db").collection::<Document>("c");
    client.database("db").create_collection("c").await.unwrap();
    let mut session = client.start_session().await.unwrap();
    let concern = mongodb::options::WriteConcern::builder()
        .w(mongodb::options::Acknowledgment::Majority)
        .w_timeout(Duration::from_millis(50))
        .build();
    session.start_transaction().write_concern(concern).await.unwrap();
    all.insert_one(doc! { "_id": 1 }).session(&mut session).await.unwrap();
    is_cut.store(true, Ordering::SeqCst);
    let unknown = session.commit_transaction().await.unwrap_err();
    assert!(unknown.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT), "{unknown:?}");
    is_cut.store(false, Ordering::SeqCst);
    member.progressed();
    session.commit_transaction().await.unwrap();
    assert_eq!(all.count_documents(doc! {}).await.unwrap(), 1);
}

#[tokio::test]
async fn a_writer_outside_of_transactions_waits_for_the_one_inside() {
    let Server { client, .. } = server().await;
    let all = client.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
    let (mut first, mut second) =
        (client.start_session().await.unwrap(), client.start_session().await.unwrap());
    let change = || doc! { "$inc": { "n": 1 } };
    first.start_transaction().await.unwrap();
    all.update_one(doc! { "_id": 1 }, change()).session(&mut first).await.unwrap();
    second.start_transaction().await.unwrap();
    let conflict = all.update_one(doc! { "_id": 1 }, change()).session(&mut second).await.unwrap_err();
    assert!(conflict.contains_label(TRANSIENT_TRANSACTION_ERROR), "{conflict:?}");
    let outside = {
        let all = all.clone();
        tokio::spawn(async move { all.update_one(doc! { "_id": 1 }, change()).await })
    };
    // Whichever comes first, the commit or the update: both take effect.
    tokio::task::yield_now().await;
    first.commit_transaction().await.unwrap();
    assert_eq!(outside.await.unwrap().unwrap().modified_count, 1);
    assert_eq!(all.find_one(doc! {}).await.unwrap().unwrap().get_i32("n").unwrap(), 2);
}
