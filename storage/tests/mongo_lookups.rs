//! What is remembered of look-ups is never believed: the worst memory there is changes no answer.

mod mongodb;

use async_trait::async_trait;
use gadwall_storage::contract::*;
use gadwall_storage::mongo::{MongoOptions, MongoStore, drop_database};
use gadwall_storage::*;
use mongodb::{Tuned, database_name, uri};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps the first value of each key for ever, whatever comes later: every answer is as stale as it can be. What a
/// Redis does that has lost deletions, or got a late value after a newer one, is less.
#[derive(Default)]
struct Stubborn {
    values: Mutex<BTreeMap<String, Vec<u8>>>,
    answered: Mutex<u64>,
}

#[async_trait]
impl Lookups for Stubborn {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let found = self.values.lock().unwrap().get(key).cloned();
        *self.answered.lock().unwrap() += u64::from(found.is_some());
        found
    }

    async fn put(&self, key: &str, value: Vec<u8>, _: Duration) {
        self.values.lock().unwrap().entry(key.to_owned()).or_insert(value);
    }

    async fn forget(&self, _: &str) {}
}

/// Answers everything with what nobody has put.
struct Garbled;

#[async_trait]
impl Lookups for Garbled {
    async fn get(&self, _: &str) -> Option<Vec<u8>> {
        Some(vec![0xff; 3])
    }

    async fn put(&self, _: &str, _: Vec<u8>, _: Duration) {}

    async fn forget(&self, _: &str) {}
}

/// Checks the claims that look accounts up.
fn holds_with(tune: fn(&mut MongoOptions)) {
    let backend = Tuned { uri: uri(), tune };
    let groups = ["directory::", "lifecycle::", "expiry::", "quota::", "isolation::", "restart::"];
    let about = |claim: &Claim| groups.iter().any(|group| claim.name.starts_with(group));
    let claims: Vec<_> = all_claims().iter().filter(|claim| about(claim)).collect();
    assert!(claims.len() > 20, "{}", claims.len());
    for claim in claims {
        println!("{}", claim.name);
        run(&backend, *claim, &[]);
    }
}

#[test]
fn the_contract_holds_with_a_memory_that_never_learns() {
    holds_with(|options| options.lookups = Some(Arc::new(Stubborn::default())));
}

#[test]
fn the_contract_holds_with_a_memory_that_is_garbled() {
    holds_with(|options| options.lookups = Some(Arc::new(Garbled)));
}

#[test]
fn the_contract_holds_with_no_memory() {
    holds_with(|options| options.lookups = None);
}

/// Two nodes that share what they remember.
struct Pair {
    nodes: [MongoStore; 2],
    clock: Arc<ManualClock>,
    entropy: SeededEntropy,
    memory: Arc<Stubborn>,
    database: String,
}

impl Pair {
    async fn new() -> Pair {
        let (clock, memory) = (Arc::new(ManualClock::default()), Arc::new(Stubborn::default()));
        let database = database_name();
        let open = async |seed| {
            let entropy = Arc::new(SeededEntropy::new(seed));
            let options = MongoOptions::new(uri(), &database, clock.clone(), entropy);
            MongoStore::open(MongoOptions { lookups: Some(memory.clone()), ..options }).await.unwrap()
        };
        let nodes = [open(1).await, open(2).await];
        Pair { nodes, clock, entropy: SeededEntropy::new(9), memory, database }
    }

    fn op(&self) -> OpId {
        OpId::mint(&self.entropy)
    }

    async fn account(&self, local: &str, expires_at: Option<Timestamp>) -> AccountId {
        let new = NewAccount {
            id: AccountId::mint(&*self.clock, &self.entropy),
            address: address(&format!("{local}@gadwall.test")),
            name: local.into(),
            credentials: credentials(1),
            quota_bytes: 1000,
            expires_at,
            retention_secs: None,
            mailboxes: vec![],
        };
        self.nodes[0].create_account(self.op(), new).await.unwrap().id
    }

    /// Whose address it is, by both nodes.
    async fn owner(&self, local: &str) -> Option<AccountId> {
        let address = address(&format!("{local}@gadwall.test"));
        let mut found = Vec::new();
        for node in &self.nodes {
            found.push(match node.account_by_address(&address).await {
                Ok(account) => Some(account.id),
                Err(StoreError::NotFound(Subject::Address)) => None,
                Err(other) => panic!("{other}"),
            });
        }
        assert_eq!(found[0], found[1]);
        found[0]
    }

    async fn end(self) {
        assert!(*self.memory.answered.lock().unwrap() > 0, "it was asked");
        drop(self.nodes);
        drop_database(&uri(), &self.database).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_goes_from_account_to_account_is_found_where_it_is() {
    let pair = Pair::new().await;
    let [a, b] = &pair.nodes;
    let (ann, bob) = (pair.account("ann", None).await, pair.account("bob", None).await);
    let alias = address("alias@gadwall.test");
    assert_eq!(pair.owner("alias").await, None);
    a.add_address(pair.op(), ann, &alias).await.unwrap();
    assert_eq!(pair.owner("alias").await, Some(ann), "that there was none is not remembered");
    b.remove_address(pair.op(), ann, &alias).await.unwrap();
    assert_eq!(pair.owner("alias").await, None, "it is gone");
    a.add_address(pair.op(), bob, &alias).await.unwrap();
    assert_eq!(pair.owner("alias").await, Some(bob));
    assert_eq!((pair.owner("ann").await, pair.owner("bob").await), (Some(ann), Some(bob)));
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_an_account_that_went_is_found_at_the_account_that_came_after() {
    let pair = Pair::new().await;
    let end = pair.clock.now().after(Duration::from_secs(60));
    let first = pair.account("ann", Some(end)).await;
    assert_eq!(pair.owner("ann").await, Some(first));
    pair.clock.advance(Duration::from_secs(60));
    assert_eq!(pair.owner("ann").await, None, "it has expired");
    let second = pair.account("ann", None).await;
    assert_eq!(pair.owner("ann").await, Some(second));
    pair.nodes[1].delete_account(pair.op(), second).await.unwrap();
    assert_eq!(pair.owner("ann").await, None, "it was deleted");
    let third = pair.account("ann", None).await;
    assert_eq!(pair.owner("ann").await, Some(third));
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_changed_is_what_the_other_hears_of_an_account_it_remembers() {
    let pair = Pair::new().await;
    let [a, b] = &pair.nodes;
    let ann = pair.account("ann", None).await;
    assert_eq!(pair.owner("ann").await, Some(ann));
    for n in 2..12 {
        let update = AccountUpdate { credentials: Some(credentials(n)), ..AccountUpdate::default() };
        a.update_account(pair.op(), ann, update).await.unwrap();
        let known = b.account_by_address(&address("ann@gadwall.test")).await.unwrap();
        assert_eq!(known.credentials, credentials(n));
    }
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_an_inbox_that_is_remembered_is_refused_once_its_account_went() {
    let pair = Pair::new().await;
    let [a, b] = &pair.nodes;
    let ann = pair.account("ann", None).await;
    let inbox = a.inbox(ann).await.unwrap();
    assert_eq!(inbox, a.mailbox_by_name(ann, &MailboxName::inbox()).await.unwrap().id);
    a.delete_account(pair.op(), ann).await.unwrap();
    let at = MailboxRef { account: ann, mailbox: b.inbox(ann).await.unwrap() };
    let refused = b.append(pair.op(), at, vec![message(b"x")]).await;
    assert_eq!(refused, Err(StoreError::NotFound(Subject::Account)));
    pair.end().await;
}
