//! Whatever the database does in the middle of a mutation, it happens exactly once, or not at all with a temporary error.
//!
//! The server's fail points make it fail commands, drop connections, block, and forget to say how a commit went. Each
//! test starts a server of its own, since fail points are the whole server's.

mod mongodb;

use ::mongodb::Client;
use ::mongodb::bson::{Document, doc};
use gadwall_storage::contract::*;
use gadwall_storage::mongo::MongoOptions;
use gadwall_storage::*;
use mongodb::{Server, Tuned, program};
use std::fmt::Debug;
use std::time::Duration;
use tokio::time::Instant;

/// MongoDB's default for `transactionLifetimeLimitSeconds`.
const LIFETIME: Duration = Duration::from_secs(60);

/// What befalls each mutation.
struct Fault {
    client: Client,
    fault: Document,
}

impl Fault {
    async fn set(&self, mode: Document) {
        let mut command = doc! { "configureFailPoint": "failCommand" };
        command.extend(mode);
        self.client.database("admin").run_command(command).await.expect("the server has fail points");
    }

    async fn arm(&self) {
        self.set(self.fault.clone()).await;
    }

    async fn disarm(&self) {
        self.set(doc! { "mode": "off" }).await;
    }
}

/// Runs a mutation while the fault is on. It may fail as temporary, and is tried again then under its id, as a client
/// would; afterwards it is known and is not run again.
async fn once<T: PartialEq + Debug>(w: &World, fault: &Fault, call: impl AsyncFn(OpId) -> Result<T>) -> T {
    let op = w.op();
    fault.arm().await;
    let first = call(op).await;
    fault.disarm().await;
    let answer = match first {
        Err(StoreError::Unavailable { .. }) => call(op).await,
        other => other,
    };
    let answer = answer.expect("nothing is in the way any more");
    assert_eq!(call(op).await.as_ref(), Ok(&answer), "it is known");
    answer
}

/// Every kind of mutation once, each with the fault on, and each counted: twice would show in UIDs, modseqs or bytes.
async fn every_mutation_happens_once(w: &World, fault: &Fault) {
    let store = w.store();
    let new = w.new_account("ann");
    let id = once(w, fault, async |op| store.create_account(op, new.clone()).await).await.id;
    let ann = w.user_of(id).await;
    let at = ann.inbox;
    let update = AccountUpdate { name: Some("Ann".into()), ..AccountUpdate::default() };
    once(w, fault, async |op| store.update_account(op, id, update.clone()).await).await;
    once(w, fault, async |op| store.add_address(op, id, &address("ada@gadwall.test")).await).await;
    once(w, fault, async |op| store.remove_address(op, id, &address("ada@gadwall.test")).await).await;
    let to = once(w, fault, async |op| store.create_mailbox(op, id, &name("a/b"), None).await).await.id;
    once(w, fault, async |op| store.rename_mailbox(op, ann.at(to), &name("c")).await).await;
    once(w, fault, async |op| store.set_subscribed(op, id, &name("c"), Subscribed::Yes).await).await;
    let new = || vec![message(b"12345"), message(&[b'x'; 100_000])];
    let appended = once(w, fault, async |op| store.append(op, at, new()).await).await;
    assert_eq!((appended.uids, appended.modseq.get()), (vec![uid(1), uid(2)], 2));
    let seen = add(&[SystemFlag::Seen]);
    let all = UidSet::all();
    let stored = once(w, fault, async |op| store.set_flags(op, at, &all, &seen, Some(2)).await).await;
    assert_eq!((stored.messages.len(), stored.modseq.get()), (2, 3));
    let copied = once(w, fault, async |op| store.copy(op, at, &all, to).await).await;
    assert_eq!((copied.pairs.len(), copied.modseq.get()), (2, 2));
    let moved = once(w, fault, async |op| store.move_messages(op, at, &uids(&[1]), to).await).await;
    assert_eq!((moved.pairs, moved.modseq.get()), (vec![(uid(1), uid(3))], 3));
    let expunged = once(w, fault, async |op| store.expunge(op, at, &all, Which::All).await).await;
    assert_eq!((expunged.uids, expunged.modseq.get()), (uids(&[2]), 5));
    let target = w.mailbox(ann.at(to)).await;
    assert_eq!((target.messages, target.uidnext, target.bytes), (3, Some(uid(4)), 100_010));
    assert_eq!(w.used(ann).await, 100_010);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.accounts, stats.messages, stats.appended_total), (1, 3, 2));
    w.assert_sound().await;
    once(w, fault, async |op| store.delete_mailbox(op, ann.at(to)).await).await;
    assert_eq!(w.used(ann).await, 0);
    once(w, fault, async |op| store.delete_account(op, id).await).await;
    assert_eq!(store.stats().await.unwrap().accounts, 0);
    w.assert_sound().await;
}

fn server() -> Server {
    Server::start(&program("PY", "secantusd-py"), &["--enable-test-commands"])
}

async fn check_each(tune: fn(&mut MongoOptions), faults: Vec<Document>) {
    let server = server();
    let client = Client::with_uri_str(server.uri()).await.unwrap();
    for fault in faults {
        println!("{fault}");
        let w = World::new(&Tuned { uri: server.uri(), tune }).await;
        every_mutation_happens_once(&w, &Fault { client: client.clone(), fault }).await;
    }
}

fn fails(command: &str, times: i32, data: Document) -> Document {
    let mut all = doc! { "failCommands": [command] };
    all.extend(data);
    doc! { "mode": { "times": times }, "data": all }
}

/// Commands of a transaction, each of which may be the one that fails.
const COMMANDS: [&str; 5] = ["find", "findAndModify", "insert", "update", "commitTransaction"];

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_none_any_more() {
    const NOT_WRITABLE_PRIMARY: i32 = 10107;
    let fault = |command| fails(command, 1, doc! { "errorCode": NOT_WRITABLE_PRIMARY });
    check_each(|_| (), COMMANDS.map(fault).into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_steps_down_more_often_than_the_driver_tries() {
    const PRIMARY_STEPPED_DOWN: i32 = 189;
    let fault = |command| fails(command, 3, doc! { "errorCode": PRIMARY_STEPPED_DOWN });
    check_each(|_| (), ["insert", "commitTransaction"].map(fault).into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks() {
    let fault = |command| fails(command, 2, doc! { "closeConnection": true });
    check_each(|_| (), ["find", "insert", "commitTransaction"].map(fault).into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_write_conflicts() {
    const WRITE_CONFLICT: i32 = 112;
    let conflict = doc! { "errorCode": WRITE_CONFLICT, "errorLabels": ["TransientTransactionError"] };
    let fault = |command| fails(command, 6, conflict.clone());
    check_each(|_| (), ["insert", "commitTransaction"].map(fault).into()).await;
}

/// The commit takes effect, but its reply says that a majority is not known to have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_result() {
    const INTERRUPTED_AT_SHUTDOWN: i32 = 11600;
    const WRITE_CONCERN_TIMEOUT: i32 = 64;
    let fault = |code: i32| {
        let error = doc! { "code": code, "errmsg": "who knows" };
        fails("commitTransaction", 2, doc! { "writeConcernError": error })
    };
    check_each(|_| (), [INTERRUPTED_AT_SHUTDOWN, WRITE_CONCERN_TIMEOUT].map(fault).into()).await;
}

/// The commit goes through long after it was given up and tried again: one of the two has to lose.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_comes_late() {
    let late = doc! { "blockConnection": true, "blockTimeMS": 1500 };
    let quick = |options: &mut MongoOptions| options.timing.command = Duration::from_millis(600);
    check_each(quick, vec![fails("commitTransaction", 1, late)]).await;
}

/// Nothing works for longer than calls are patient: they fail as temporary and leave no trace, and it is said whether
/// that is certain.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_outlasts_all_patience() {
    const SHUTDOWN_IN_PROGRESS: i32 = 91;
    let server = server();
    let client = Client::with_uri_str(server.uri()).await.unwrap();
    let impatient = |options: &mut MongoOptions| options.deadline = Duration::from_millis(800);
    let w = World::new(&Tuned { uri: server.uri(), tune: impatient }).await;
    let ann = w.user("ann").await;
    let before = w.snapshot(ann).await;
    for (command, outcome_may_be_unknown) in
        [("findAndModify", false), ("insert", false), ("commitTransaction", true)]
    {
        let data = doc! { "failCommands": [command], "errorCode": SHUTDOWN_IN_PROGRESS };
        let fault = Fault { client: client.clone(), fault: doc! { "mode": "alwaysOn", "data": data } };
        let op = w.op();
        fault.arm().await;
        let refused = w.store().append(op, ann.inbox, vec![message(b"x")]).await;
        fault.disarm().await;
        match refused {
            Err(StoreError::Unavailable { outcome_unknown, .. }) => {
                assert!(outcome_may_be_unknown || !outcome_unknown, "{command}: no commit was tried");
                assert!(outcome_unknown || !outcome_may_be_unknown, "{command}: a commit was tried");
            }
            other => panic!("{command}: {other:?}"),
        }
        assert_eq!(w.snapshot(ann).await, before, "{command} left no trace");
    }
    // Whose commit was given up in doubt may have left its transaction open: then the mailbox is locked until the
    // database ends it, which takes longer than this store is patient.
    let (op, deadline) = (w.op(), Instant::now() + LIFETIME + Duration::from_secs(30));
    while let Err(error) = w.store().append(op, ann.inbox, vec![message(b"x")]).await {
        assert!(Instant::now() < deadline, "{error}");
    }
    w.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_is_said_so_and_nothing_has_happened() {
    const OUT_OF_DISK_SPACE: i32 = 14031;
    let server = server();
    let client = Client::with_uri_str(server.uri()).await.unwrap();
    let w = World::new(&Tuned { uri: server.uri(), tune: |_| () }).await;
    let ann = w.user("ann").await;
    // Content that stands with its message, and content that is written before.
    for (command, text) in [("insert", vec![b'x'; 10]), ("update", large_text())] {
        let full = doc! { "mode": "alwaysOn", "data": { "failCommands": [command], "errorCode": OUT_OF_DISK_SPACE } };
        let fault = Fault { client: client.clone(), fault: full };
        fault.arm().await;
        let op = w.op();
        let refused = w.store().append(op, ann.inbox, vec![message(&text)]).await;
        assert!(matches!(refused, Err(StoreError::StorageFull(_))), "{command}: {refused:?}");
        assert_eq!(w.mailbox(ann.inbox).await.messages, 0);
        fault.disarm().await;
        assert!(w.store().append(op, ann.inbox, vec![message(&text)]).await.is_ok());
        w.expunge(ann.inbox, &UidSet::all()).await;
    }
    w.assert_sound().await;
}

/// More than stands with a message's record, however well it is compressed.
fn large_text() -> Vec<u8> {
    (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
