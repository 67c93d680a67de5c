//! Mutations: what all have in common, and the record of those that have happened.

use super::doc::{Fields, bin, time};
use super::fail::Step;
use super::growth::Growth;
use super::keys;
use super::schema::OPERATIONS;
use super::store::Shared;
use super::tx::Tx;
use crate::records::{Fingerprint, decode, encode};
use crate::*;
use async_trait::async_trait;
use mongodb::bson::{Bson, doc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// One change of the store. It may be run several times, each time in a transaction of its own, until one commits.
#[async_trait]
pub trait Mutation: Send + Sync + 'static {
    type Outcome: Serialize + DeserializeOwned + Send;

    /// Refuses before it writes anything.
    async fn run(&self, tx: &mut Tx<'_>) -> Step<Self::Outcome>;

    /// The documents whose writers have to wait for each other.
    fn locks(&self) -> Locks;

    /// Whether it may share a transaction with others: it neither reads what it or others write there, accounts and
    /// mailboxes excepted, nor is it long.
    fn joins_group(&self) -> bool {
        false
    }

    /// About how much it writes, in bytes.
    fn weight(&self) -> usize {
        0
    }

    /// Writes content again that has been collected since.
    async fn renew(&self, _: &Shared) -> Step<()> {
        Ok(())
    }
}

/// What a mutation takes first.
#[derive(Debug, Clone, Default)]
pub struct Locks {
    pub mailboxes: Vec<MailboxId>,
    pub account: Option<AccountId>,
    /// What it is going to add to the first of the mailboxes and to the account, unless it is refused.
    pub mailbox_growth: Growth,
    pub account_growth: Growth,
}

/// A mutation whose outcome is bytes.
#[async_trait]
pub trait Erased: Send + Sync {
    async fn run(&self, tx: &mut Tx<'_>) -> Step<Vec<u8>>;
    async fn renew(&self, shared: &Shared) -> Step<()>;
    fn locks(&self) -> Locks;
    fn joins_group(&self) -> bool;
    fn weight(&self) -> usize;
}

#[async_trait]
impl<M: Mutation> Erased for M {
    async fn run(&self, tx: &mut Tx<'_>) -> Step<Vec<u8>> {
        Ok(encode(&Mutation::run(self, tx).await?)?)
    }

    async fn renew(&self, shared: &Shared) -> Step<()> {
        Mutation::renew(self, shared).await
    }

    fn locks(&self) -> Locks {
        Mutation::locks(self)
    }

    fn joins_group(&self) -> bool {
        Mutation::joins_group(self)
    }

    fn weight(&self) -> usize {
        Mutation::weight(self)
    }
}

/// Under which id a mutation runs, and a digest of what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub op: OpId,
    pub print: Fingerprint,
}

/// What is recorded of the operations a group is about.
///
/// It is looked up only when somebody is going to be refused, and by whoever tries a second time. Otherwise the record
/// that an operation inserts is enough: the server takes only one of an `_id`, so that a transaction of an operation that
/// has happened before can't be committed, whatever it has found.
#[derive(Default)]
pub struct Records {
    known: BTreeMap<OpId, ([u8; 32], Vec<u8>)>,
    pub are_looked_up: bool,
}

impl Records {
    pub async fn look_up(&mut self, tx: &mut Tx<'_>, ops: impl Iterator<Item = OpId>) -> Step<()> {
        self.are_looked_up = true;
        if tx.shared.db.mistakes.forgets_operations {
            return Ok(());
        }
        let ids: Vec<Bson> = ops.map(keys::operation).collect();
        if ids.is_empty() {
            return Ok(());
        }
        for found in tx.scan(OPERATIONS, doc! { "_id": { "$in": ids } }, 0).await? {
            let record = (found.fixed("print")?, found.bytes("outcome")?.to_vec());
            self.known.insert(OpId(found.fixed("_id")?), record);
        }
        Ok(())
    }

    /// What was answered, if it was.
    pub fn answer(&self, identity: &Identity) -> Option<Result<Vec<u8>>> {
        let (print, outcome) = self.known.get(&identity.op)?;
        Some(if *print == identity.print.0 {
            Ok(outcome.clone())
        } else {
            Err(StoreError::OperationMismatch)
        })
    }

    pub fn add(&mut self, tx: &mut Tx<'_>, identity: &Identity, outcome: &[u8]) {
        if tx.shared.db.mistakes.forgets_operations {
            return;
        }
        let document = doc! {
            "_id": keys::operation(identity.op),
            "at": time(tx.now),
            "print": bin(identity.print.0),
            "outcome": bin(outcome),
        };
        tx.insert(OPERATIONS, document);
        self.known.insert(identity.op, (identity.print.0, outcome.to_vec()));
    }
}

pub fn decoded<T: DeserializeOwned>(outcome: &[u8]) -> Result<T> {
    decode(outcome)
}
