//! Several nodes on one database.

mod mongodb;

use ::mongodb::bson::doc;
use async_trait::async_trait;
use gadwall_storage::contract::*;
use gadwall_storage::mongo::{MongoOptions, MongoStore, drop_database};
use gadwall_storage::*;
use mongodb::{database_name, uri};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::broadcast;

/// Nodes, each with a randomness of its own, and the clock they share.
struct Cluster {
    nodes: Vec<Arc<MongoStore>>,
    options: MongoOptions,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
}

impl Cluster {
    async fn new(count: u64, change: impl Fn(&mut MongoOptions)) -> Self {
        let clock = Arc::new(ManualClock::default());
        let database = database_name();
        let options = |seed| {
            let entropy = Arc::new(SeededEntropy::new(seed));
            let mut options = MongoOptions::new(uri(), &database, clock.clone(), entropy);
            change(&mut options);
            options
        };
        let mut nodes = Vec::new();
        for seed in 1..=count {
            nodes.push(Arc::new(MongoStore::open(options(seed)).await.unwrap()));
        }
        Cluster { nodes, options: options(0), clock, entropy: Arc::new(SeededEntropy::new(99)) }
    }

    fn op(&self) -> OpId {
        OpId::mint(&*self.entropy)
    }

    fn new_account(&self, local: &str) -> NewAccount {
        NewAccount {
            id: AccountId::mint(&*self.clock, &*self.entropy),
            address: address(&format!("{local}@gadwall.test")),
            name: local.into(),
            credentials: credentials(1),
            quota_bytes: 100_000_000,
            expires_at: None,
            retention_secs: Some(7 * 24 * 3600),
            mailboxes: vec![],
        }
    }

    async fn inbox(&self, local: &str) -> MailboxRef {
        let id = self.nodes[0].create_account(self.op(), self.new_account(local)).await.unwrap().id;
        let inbox = self.nodes[0].mailbox_by_name(id, &MailboxName::inbox()).await.unwrap().id;
        MailboxRef { account: id, mailbox: inbox }
    }

    async fn end(self) {
        assert_eq!(self.nodes[0].audit().await.unwrap(), Vec::<String>::new());
        drop(self.nodes);
        drop_database(&self.options.uri, &self.options.database).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_on_several_nodes_never_show_a_reader_anything_out_of_order() {
    const WRITERS: usize = 4;
    const EACH: usize = 20;
    let cluster = Cluster::new(3, |_| ()).await;
    let at = cluster.inbox("ann").await;
    let total = (cluster.nodes.len() * WRITERS * EACH) as u64;
    let mut tasks = Vec::new();
    for node in &cluster.nodes {
        for _ in 0..WRITERS {
            let (node, entropy) = (node.clone(), cluster.entropy.clone());
            tasks.push(tokio::spawn(async move {
                for _ in 0..EACH {
                    node.append(OpId::mint(&*entropy), at, vec![message(b"x")]).await.unwrap();
                }
            }));
        }
    }
    for node in &cluster.nodes {
        let node = node.clone();
        tasks.push(tokio::spawn(async move {
            let mut client = Client { through: 1, ..Client::default() };
            while (client.messages.len() as u64) < total {
                match node.changes_since(at, client.through).await.unwrap() {
                    // Panics on a UID behind one that was seen, and on a change behind a modseq that was seen.
                    Changes::Delta(delta) => client.apply(&delta),
                    other => panic!("{other:?}"),
                }
                let (mailbox, uids) = node.uids(at).await.unwrap();
                assert_eq!(mailbox.messages, uids.len(), "all of one moment");
                assert!(uids.len() >= client.messages.len() as u64, "what was seen stays");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let (mailbox, uids) = cluster.nodes[0].uids(at).await.unwrap();
    assert_eq!(uids, UidSet::range(uid(1), uid(total as u32)));
    assert!(mailbox.modseq.get() <= total + 1);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_operation_on_two_nodes_at_once_happens_once() {
    let cluster = Cluster::new(2, |_| ()).await;
    let at = cluster.inbox("ann").await;
    for round in 1..=10 {
        let op = cluster.op();
        let one = cluster.nodes[0].append(op, at, vec![message(b"x")]);
        let other = cluster.nodes[1].append(op, at, vec![message(b"x")]);
        let (one, other) = tokio::join!(one, other);
        assert_eq!(one.unwrap(), other.unwrap());
        assert_eq!(cluster.nodes[0].uids(at).await.unwrap().1.len(), round);
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_accounts_made_on_two_nodes_for_one_address_one_is_made() {
    let cluster = Cluster::new(2, |_| ()).await;
    for round in 0..5 {
        let new = || cluster.new_account(&format!("user{round}"));
        let one = cluster.nodes[0].create_account(cluster.op(), new());
        let other = cluster.nodes[1].create_account(cluster.op(), new());
        let (one, other) = tokio::join!(one, other);
        let refused = if one.is_ok() { other } else { one };
        assert_eq!(refused.err(), Some(StoreError::AlreadyExists(Subject::Address)));
    }
    assert_eq!(cluster.nodes[1].stats().await.unwrap().accounts, 5);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_sweep_at_once_expire_each_message_once() {
    let cluster = Cluster::new(2, |_| ()).await;
    let at = cluster.inbox("ann").await;
    let texts = (0..50).map(|_| message(b"x")).collect();
    cluster.nodes[0].append(cluster.op(), at, texts).await.unwrap();
    cluster.clock.advance(7 * DAY);
    let (one, other) = tokio::join!(cluster.nodes[0].sweep(), cluster.nodes[1].sweep());
    assert_eq!(one.unwrap().messages_expired + other.unwrap().messages_expired, 50);
    assert_eq!(cluster.nodes[1].uids(at).await.unwrap().1, UidSet::new());
    cluster.end().await;
}

async fn hears(hints: &mut HintReceiver, of: MailboxRef, modseq: u64) {
    let heard = async {
        loop {
            if let Hint::Mailbox { account, mailbox, modseq: m } = hints.recv().await
                && (account, mailbox, m.get()) == (of.account, of.mailbox, modseq)
            {
                return;
            }
        }
    };
    within(heard, "a hint").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bus_a_node_hears_of_changes_by_looking() {
    let cluster = Cluster::new(2, |_| ()).await;
    let at = cluster.inbox("ann").await;
    let mut hints = cluster.nodes[1].hints(at.account);
    for modseq in 2..=3 {
        cluster.nodes[0].append(cluster.op(), at, vec![message(b"x")]).await.unwrap();
        hears(&mut hints, at, modseq).await;
    }
    let made = cluster.nodes[0].create_mailbox(cluster.op(), at.account, &name("a"), None).await.unwrap();
    let told = async { while hints.recv().await != (Hint::Account { account: at.account }) {} };
    within(told, "a hint").await;
    assert_eq!(cluster.nodes[1].mailboxes(at.account).await.unwrap().last().map(|m| m.id), Some(made.id));
    cluster.end().await;
}

/// A bus that tells every node, until it is switched off.
struct Bus {
    hints: broadcast::Sender<Hint>,
    is_up: AtomicBool,
}

#[async_trait]
impl HintBus for Bus {
    fn publish(&self, hint: Hint) {
        if self.is_up() {
            let _ = self.hints.send(hint);
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }

    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_carries_hints_and_when_it_fails_nodes_look() {
    let bus = Arc::new(Bus { hints: broadcast::channel(64).0, is_up: AtomicBool::new(true) });
    let cluster = Cluster::new(2, |options| options.bus = Some(bus.clone())).await;
    let at = cluster.inbox("ann").await;
    let mut hints = cluster.nodes[1].hints(at.account);
    cluster.nodes[0].append(cluster.op(), at, vec![message(b"x")]).await.unwrap();
    hears(&mut hints, at, 2).await;
    bus.is_up.store(false, Ordering::SeqCst);
    cluster.nodes[0].append(cluster.op(), at, vec![message(b"x")]).await.unwrap();
    hears(&mut hints, at, 3).await;
    cluster.end().await;
}

/// A bus that takes everything and carries nothing, as when a node dies between its commit and its hint.
struct DeafBus(broadcast::Sender<Hint>);

#[async_trait]
impl HintBus for DeafBus {
    fn publish(&self, _: Hint) {}

    fn subscribe(&self) -> broadcast::Receiver<Hint> {
        self.0.subscribe()
    }

    fn is_up(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_that_was_lost_on_a_bus_that_works_is_made_up_for() {
    let bus = Arc::new(DeafBus(broadcast::channel(64).0));
    let cluster = Cluster::new(2, |options| options.bus = Some(bus.clone())).await;
    let at = cluster.inbox("ann").await;
    let mut hints = cluster.nodes[1].hints(at.account);
    cluster.nodes[0].append(cluster.op(), at, vec![message(b"x")]).await.unwrap();
    hears(&mut hints, at, 2).await;
    cluster.nodes[0].append(cluster.op(), at, vec![message(b"x")]).await.unwrap();
    hears(&mut hints, at, 3).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_a_newer_program_has_used_is_refused() {
    let cluster = Cluster::new(1, |_| ()).await;
    let client = ::mongodb::Client::with_uri_str(uri()).await.unwrap();
    let meta = client.database(&cluster.options.database).collection::<::mongodb::bson::Document>("meta");
    meta.update_one(doc! { "_id": "schema" }, doc! { "$set": { "version": 99 } }).await.unwrap();
    let refused = MongoStore::open(cluster.options.clone()).await.err().unwrap().to_string();
    assert!(refused.contains("schema 99") && refused.contains("newer"), "{refused}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_is_said_so_without_its_password() {
    let clock = Arc::new(ManualClock::default());
    let uri = "mongodb://me:secret@127.0.0.1:1/?replicaSet=rs";
    let mut options = MongoOptions::new(uri, "gadwall", clock, Arc::new(SeededEntropy::new(1)));
    options.deadline = Duration::from_millis(100);
    options.timing.selection = Duration::from_millis(200);
    assert!(!format!("{options:?}").contains("secret"));
    let refused = MongoStore::open(options).await.err().unwrap().to_string();
    assert!(refused.contains("127.0.0.1:1") && !refused.contains("secret"), "{refused}");
}

/// A batch that is cut into steps is like one that is not, but for the modseqs; broken off, it goes on under its id.
#[tokio::test(flavor = "multi_thread")]
async fn large_batches_go_in_whole_steps_and_go_on_where_they_were_broken_off() {
    let cluster = Cluster::new(1, |options| options.step = 10).await;
    let (at, store) = (cluster.inbox("ann").await, &cluster.nodes[0]);
    let to = store.create_mailbox(cluster.op(), at.account, &name("a"), None).await.unwrap().id;
    let target = MailboxRef { mailbox: to, ..at };
    store.append(cluster.op(), at, (0..35).map(|_| message(b"12345")).collect()).await.unwrap();
    let all = UidSet::all();
    let quota = |bytes| AccountUpdate { quota_bytes: Some(bytes), ..AccountUpdate::default() };
    // There is room for one step of copies, not for all.
    store.update_account(cluster.op(), at.account, quota(35 * 5 + 60)).await.unwrap();
    let refused = store.copy(cluster.op(), at, &all, to).await;
    assert!(matches!(refused, Err(StoreError::OverQuota { .. })), "{refused:?}");
    assert_eq!(store.mailbox(target).await.unwrap().messages, 0, "none was copied");
    store.update_account(cluster.op(), at.account, quota(1_000_000)).await.unwrap();
    // The same mailbox: what is copied is not copied again.
    let copied = store.copy(cluster.op(), at, &all, at.mailbox).await.unwrap();
    assert_eq!((copied.pairs.len(), copied.pairs[34]), (35, (uid(35), uid(70))));
    let op = cluster.op();
    let seen = add(&[SystemFlag::Seen]);
    let stored = store.set_flags(op, at, &all, &seen, None).await.unwrap();
    assert_eq!((stored.messages.len(), stored.messages.iter().filter(|m| m.changed).count()), (70, 70));
    assert_eq!(store.set_flags(op, at, &all, &seen, None).await.as_ref(), Ok(&stored));
    assert_eq!(
        store.set_flags(op, at, &all, &add(&[SystemFlag::Draft]), None).await,
        Err(StoreError::OperationMismatch)
    );
    // A move whose last step did not come about: the records of the sum and of one step are lost with it.
    let op = cluster.op();
    let moved = store.move_messages(op, at, &all, to).await.unwrap();
    let client = ::mongodb::Client::with_uri_str(uri()).await.unwrap();
    let operations =
        client.database(&cluster.options.database).collection::<::mongodb::bson::Document>("operations");
    let own = ::mongodb::bson::Binary {
        subtype: ::mongodb::bson::spec::BinarySubtype::Generic,
        bytes: op.0.into(),
    };
    assert_eq!(operations.delete_one(doc! { "_id": own }).await.unwrap().deleted_count, 1);
    let before = store.uids(target).await.unwrap();
    assert_eq!(store.move_messages(op, at, &all, to).await.as_ref(), Ok(&moved), "the steps are known");
    assert_eq!(store.uids(target).await.unwrap(), before);
    assert_eq!(moved.pairs.len(), 70);
    let expunged = store.expunge(cluster.op(), target, &all, Which::All).await.unwrap();
    assert_eq!((expunged.uids.len(), store.account(at.account).await.unwrap().used_bytes), (70, 0));
    cluster.end().await;
}

/// A message with content that is stored apart.
fn large(seed: u8) -> Vec<u8> {
    let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed;
    [b"Subject: large\r\n\r\n".to_vec(), (0..200_000).map(noise).collect()].concat()
}

impl Cluster {
    async fn count(&self, collection: &str) -> u64 {
        let client = ::mongodb::Client::with_uri_str(uri()).await.unwrap();
        let database = client.database(&self.options.database);
        let all = database.collection::<::mongodb::bson::Document>(collection);
        all.count_documents(doc! {}).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_space_of_expunged_messages_comes_back() {
    let cluster = Cluster::new(1, |_| ()).await;
    let (at, store) = (cluster.inbox("ann").await, &cluster.nodes[0]);
    store.append(cluster.op(), at, vec![message(&large(1)), message(&large(2))]).await.unwrap();
    store.append(cluster.op(), at, vec![message(&large(2))]).await.unwrap();
    assert_eq!((cluster.count("blobs").await, cluster.count("contents").await), (2, 3));
    store.expunge(cluster.op(), at, &uids(&[1, 2]), Which::All).await.unwrap();
    for _ in 0..2 {
        cluster.clock.advance(2 * HOUR);
        store.sweep().await.unwrap();
    }
    assert_eq!((cluster.count("blobs").await, cluster.count("contents").await), (1, 1), "one is still held");
    let mut body = store.body(at, uid(3)).await.unwrap();
    assert!(read_all(&mut *body).await == large(2));
    store.expunge(cluster.op(), at, &UidSet::all(), Which::All).await.unwrap();
    for _ in 0..2 {
        cluster.clock.advance(2 * HOUR);
        store.sweep().await.unwrap();
    }
    for collection in ["blobs", "chunks", "contents", "garbage"] {
        assert_eq!(cluster.count(collection).await, 0, "{collection}");
    }
    cluster.end().await;
}

/// Whatever is not referred to may be collected at once, also between being stored and being referred to.
#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_collected_while_it_is_stored_again_is_not_lost() {
    let cluster = Cluster::new(2, |options| options.garbage_age = Duration::ZERO).await;
    let mut new = cluster.new_account("ann");
    new.retention_secs = None;
    let id = cluster.nodes[0].create_account(cluster.op(), new).await.unwrap().id;
    let inbox = cluster.nodes[0].mailbox_by_name(id, &MailboxName::inbox()).await.unwrap().id;
    let at = MailboxRef { account: id, mailbox: inbox };
    let node = cluster.nodes[1].clone();
    let sweeper = tokio::spawn(async move {
        loop {
            node.sweep().await.unwrap();
        }
    });
    let text = large(3);
    for _ in 0..60 {
        let store = &cluster.nodes[0];
        let appended = store.append(cluster.op(), at, vec![message(&text)]).await.unwrap();
        let mut body = store.body(at, appended.uids[0]).await.unwrap();
        assert!(read_all(&mut *body).await == text);
        store.expunge(cluster.op(), at, &UidSet::all(), Which::All).await.unwrap();
    }
    sweeper.abort();
    let _ = sweeper.await;
    cluster.nodes[0].append(cluster.op(), at, vec![message(&text)]).await.unwrap();
    cluster.end().await;
}

/// As large a batch as an IMAP client ever sends at once, in one step each.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_are_one_step() {
    let cluster = Cluster::new(1, |_| ()).await;
    let (at, store) = (cluster.inbox("ann").await, &cluster.nodes[0]);
    let to = store.create_mailbox(cluster.op(), at.account, &name("a"), None).await.unwrap().id;
    let all = UidSet::all();
    let started = tokio::time::Instant::now();
    let step = |what: &str| println!("{what}: after {:?}", started.elapsed());
    for _ in 0..10 {
        let thousand = (0..1000).map(|n| message(format!("Subject: {n}\r\n\r\n").as_bytes())).collect();
        store.append(cluster.op(), at, thousand).await.unwrap();
    }
    step("appended");
    let copied = store.copy(cluster.op(), at, &all, to).await.unwrap();
    assert_eq!((copied.pairs.len(), copied.modseq.get()), (10_000, 2));
    step("copied");
    let seen = add(&[SystemFlag::Seen]);
    let stored = store.set_flags(cluster.op(), at, &all, &seen, None).await.unwrap();
    assert_eq!((stored.messages.len(), stored.modseq.get()), (10_000, 12));
    step("flagged");
    let moved = store.move_messages(cluster.op(), at, &all, to).await.unwrap();
    assert_eq!((moved.pairs.len(), moved.modseq.get()), (10_000, 3));
    step("moved");
    let target = MailboxRef { mailbox: to, ..at };
    let expunged = store.expunge(cluster.op(), target, &all, Which::All).await.unwrap();
    assert_eq!((expunged.uids.len(), expunged.modseq.get()), (20_000, 4));
    step("expunged");
    assert_eq!(store.account(at.account).await.unwrap().used_bytes, 0);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_kept_for_all_nodes() {
    let cluster = Cluster::new(2, |_| ()).await;
    documents(cluster.nodes[0].clone()).await;
    let seen = cluster.nodes[1].document("cas").await.unwrap().expect("the other node has written it");
    let next = cluster.nodes[1].replace_document("cas", seen.version, b"three").await.unwrap();
    assert_eq!(next, Some(seen.version + 1));
    assert_eq!(cluster.nodes[0].replace_document("cas", seen.version, b"late").await, Ok(None));
    cluster.end().await;
}
