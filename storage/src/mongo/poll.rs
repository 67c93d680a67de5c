//! Hints of other nodes: from the bus, and while there is none or it is down, by looking.

use super::db::{DbError, Find};
use super::doc::{Fields, number};
use super::fail::{Fail, Step};
use super::keys;
use super::schema::*;
use super::store::Shared;
use crate::{AccountId, Hint, HintBus, MailboxId, MailboxRef, ModSeq};
use mongodb::bson::{Bson, doc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

/// How often a node that no bus tells looks for what other nodes have changed. Two seconds are promised: the other one is
/// for the look itself and for what follows.
pub const LOOKS_EVERY: Duration = Duration::from_secs(1);
/// While a bus carries hints, one look of so many is made all the same: a node that dies between its commit and its
/// hint takes the hint along.
const WITH_BUS: u32 = 5;
/// Accounts asked about at once.
const ASKED: usize = 200;

/// Starts what runs as long as the store.
pub fn start(shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![tokio::spawn(look(shared.clone()))];
    if let Some(bus) = &shared.bus {
        tasks.push(tokio::spawn(forward(shared.clone(), bus.clone())));
    }
    tasks
}

async fn forward(shared: Arc<Shared>, bus: Arc<dyn HintBus>) {
    let mut hints = bus.subscribe();
    loop {
        match hints.recv().await {
            Ok(Hint::Resync) if trusts_bus(&shared) => {}
            Ok(hint) => shared.hub.publish(hint),
            Err(RecvError::Lagged(_)) => shared.hub.publish(Hint::Resync),
            Err(RecvError::Closed) => return,
        }
    }
}

/// See `Mistakes::trusts_hints`.
fn trusts_bus(shared: &Shared) -> bool {
    shared.bus.is_some() && shared.db.mistakes.trusts_hints
}

/// What sessions of this node have been told of.
#[derive(Default)]
struct Told {
    accounts: BTreeMap<AccountId, u64>,
    mailboxes: BTreeMap<MailboxRef, ModSeq>,
}

async fn look(shared: Arc<Shared>) {
    let mut told = Told::default();
    for round in 0_u32.. {
        tokio::time::sleep(LOOKS_EVERY).await;
        let has_bus = shared.bus.as_ref().is_some_and(|bus| bus.is_up());
        if has_bus && !round.is_multiple_of(WITH_BUS) || trusts_bus(&shared) {
            continue;
        }
        let listening = shared.hub.accounts();
        let heeds = |id: &AccountId| listening.binary_search(id).is_ok();
        told.accounts.retain(|id, _| heeds(id));
        told.mailboxes.retain(|at, _| heeds(&at.account));
        for accounts in listening.chunks(ASKED) {
            if let Err(Fail::Db(error)) = look_at(&shared, accounts, &mut told).await {
                tracing::debug!(%error, "changes were not looked for");
            }
        }
    }
}

async fn look_at(shared: &Shared, accounts: &[AccountId], told: &mut Told) -> Step<()> {
    let ids: Vec<Bson> = accounts.iter().map(|id| keys::account(*id)).collect();
    let mut mailboxes = BTreeMap::new();
    let filter = doc! { "account": { "$in": ids.clone() } };
    for found in fields(shared, MAILBOXES, filter, doc! { "account": 1, "modseq": 1 }).await? {
        let at = MailboxRef {
            account: AccountId(found.fixed("account")?),
            mailbox: MailboxId(found.fixed("_id")?),
        };
        mailboxes.insert(at, ModSeq::new(found.count("modseq")?).unwrap_or(ModSeq::MIN));
    }
    let filter = doc! { "_id": { "$in": ids } };
    for found in fields(shared, ACCOUNTS, filter, doc! { "revision": 1 }).await? {
        let id = AccountId(found.fixed("_id")?);
        let revision = number(&found, "revision").unwrap_or_default() as u64;
        if told.accounts.insert(id, revision) != Some(revision) {
            shared.hub.publish(Hint::Account { account: id });
        }
    }
    for (at, modseq) in mailboxes {
        if told.mailboxes.insert(at, modseq).unwrap_or(ModSeq::MIN) < modseq {
            shared.hub.publish(Hint::Mailbox { account: at.account, mailbox: at.mailbox, modseq });
        }
    }
    Ok(())
}

async fn fields(
    shared: &Shared,
    collection: &str,
    filter: mongodb::bson::Document,
    fields: mongodb::bson::Document,
) -> Result<Vec<mongodb::bson::Document>, DbError> {
    let find = Find { filter, sort: None, limit: 0, fields: Some(fields) };
    shared.db.find(collection, find).await
}
