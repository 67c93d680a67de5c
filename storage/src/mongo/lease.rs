//! Work that one node at a time does. Clocks of nodes differ, so a lease only saves double work; what makes it safe is
//! its token, which every transaction of that work checks.

use super::db::{Kind, Update};
use super::doc::{Fields, bin, int, time};
use super::fail::{Fail, Step};
use super::schema::LEASES;
use super::store::Shared;
use super::tx::Tx;
use crate::{StoreError, Timestamp};
use mongodb::bson::{Bson, doc};

/// A lease as it was taken. A later one has a higher token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    name: &'static str,
    token: u64,
}

impl Lease {
    /// `None` while another node has it.
    pub async fn take(shared: &Shared, name: &'static str) -> Step<Option<Lease>> {
        let now = shared.clock.now();
        let free = vec![doc! { "until": { "$lte": time(now) } }, doc! { "holder": bin(shared.node) }];
        let take = Update {
            filter: doc! { "_id": name, "$or": free },
            change: doc! {
                "$set": { "holder": bin(shared.node), "until": time(now.after(shared.lease)) },
                "$inc": { "token": int(1) },
            },
            upsert: true,
            many: false,
        };
        match shared.db.modify(LEASES, take).await {
            Ok(Some(taken)) => Ok(Some(Lease { name, token: taken.count("token")? })),
            Ok(None) => Ok(None),
            // It is there, but not free, and so can't be made.
            Err(e) if e.kind == Kind::Duplicate => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Fails the transaction once another node has the lease.
    pub async fn check(self, tx: &mut Tx<'_>) -> Step<()> {
        if tx.shared.db.mistakes.ignores_fence {
            return Ok(());
        }
        let filter = doc! { "_id": self.name, "token": int(self.token) };
        let change = doc! { "$inc": { "checked": int(1) } };
        let update = Update { filter, change, upsert: false, many: false };
        if tx.session.update(LEASES, vec![update]).await? == 1 {
            return Ok(());
        }
        Err(Fail::Refused(StoreError::unavailable("another node has taken over")))
    }

    pub async fn release(self, shared: &Shared) {
        let mut update =
            Update::one(Bson::String(self.name.into()), doc! { "$set": { "until": time(Timestamp(0)) } });
        update.filter.insert("token", int(self.token));
        if let Err(error) = shared.db.update(LEASES, vec![update]).await {
            tracing::debug!(%error, "a lease runs out by itself");
        }
    }
}
