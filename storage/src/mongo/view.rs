//! Reading records of one moment: the same for readers and for mutations.

use super::db::{DbError, Find, Session};
use super::doc::Fields;
use super::fail::{Fail, Step};
use super::keys;
use super::records::{AccountRecord, BodyRecord, ContentRecord, content_of, mailbox_of, row_of};
use super::schema::*;
use super::store::Shared;
use crate::records::{MailboxRecord, RowRecord};
use crate::*;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stretch of UIDs shorter than this is asked for by its members.
const SHORT: u32 = 32;
/// `_id`s in one question.
const ASKED: usize = 1000;

/// A transaction, as what is looked at.
pub struct View<'a> {
    pub shared: &'a Shared,
    pub session: Session,
    pub now: Timestamp,
}

impl<'a> View<'a> {
    pub async fn begin(shared: &'a Shared) -> Result<Self, DbError> {
        Ok(Self { session: shared.db.begin().await?, shared, now: shared.clock.now() })
    }

    /// Ends a transaction that has only read. What was read counts once that is done: only then is it known to be
    /// durable on a majority, and that it was no deposed primary that answered.
    pub async fn finish<T>(mut self, read: Step<T>) -> Step<T> {
        let is_believed = self.shared.db.mistakes.reads_stale;
        if is_believed || matches!(read, Err(Fail::Db(_) | Fail::Raced)) {
            self.session.abort().await;
            return read;
        }
        self.session.commit().await?;
        read
    }

    pub async fn get(&mut self, collection: &str, id: Bson) -> Step<Option<Document>> {
        Ok(self.session.find_one(collection, doc! { "_id": id }).await?)
    }

    /// Documents in the order of `_id`, all or the first few.
    pub async fn scan(&mut self, collection: &str, filter: Document, limit: usize) -> Step<Vec<Document>> {
        let find = Find { filter, sort: Some(keys::by_id()), limit, fields: None };
        Ok(self.session.find(collection, find).await?)
    }

    /// As [`Self::scan`], `_id`s only.
    pub async fn ids(&mut self, collection: &str, filter: Document, limit: usize) -> Step<Vec<Document>> {
        let fields = Some(doc! { "_id": 1 });
        let find = Find { filter, sort: Some(keys::by_id()), limit, fields };
        Ok(self.session.find(collection, find).await?)
    }

    pub async fn any_account(&mut self, id: AccountId) -> Step<Option<AccountRecord>> {
        let found = self.get(ACCOUNTS, keys::account(id)).await?;
        found.as_ref().map(AccountRecord::from_document).transpose()
    }

    /// An account that has not expired.
    pub async fn account(&mut self, id: AccountId) -> Step<AccountRecord> {
        let found = self.any_account(id).await?.filter(|a| !expired(&a.account, self.now));
        Ok(found.ok_or(StoreError::NotFound(Subject::Account))?)
    }

    pub async fn any_mailbox(&mut self, id: MailboxId) -> Step<Option<MailboxRecord>> {
        let found = self.get(MAILBOXES, keys::mailbox(id)).await?;
        Ok(found.as_ref().map(mailbox_of).transpose()?.map(|(_, record)| record))
    }

    /// A mailbox of an account that has not expired.
    pub async fn mailbox(&mut self, at: MailboxRef) -> Step<MailboxRecord> {
        self.account(at.account).await?;
        let found = self.any_mailbox(at.mailbox).await?.filter(|m| m.account == at.account);
        Ok(found.ok_or(StoreError::NotFound(Subject::Mailbox))?)
    }

    pub async fn mailbox_by_name(
        &mut self,
        account: AccountId,
        name: &MailboxName,
    ) -> Step<Option<(MailboxId, MailboxRecord)>> {
        let filter = doc! { "account": keys::account(account), "name": name.as_str() };
        self.session.find_one(MAILBOXES, filter).await?.as_ref().map(mailbox_of).transpose()
    }

    /// Mailboxes of an account, sorted by name: all, or those below one.
    pub async fn mailboxes(
        &mut self,
        account: AccountId,
        below: Option<&MailboxName>,
        limit: usize,
    ) -> Step<Vec<(MailboxId, MailboxRecord)>> {
        let mut filter = doc! { "account": keys::account(account) };
        if let Some(name) = below {
            // `/` is followed by `0`.
            filter.insert("name", doc! { "$gt": format!("{name}/"), "$lt": format!("{name}0") });
        }
        let sort = Some(doc! { "account": 1, "name": 1 });
        let find = Find { filter, sort, limit, fields: None };
        let found = self.session.find(MAILBOXES, find).await?;
        let mut all = found.iter().map(mailbox_of).collect::<Step<Vec<_>>>()?;
        all.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        Ok(all)
    }

    pub async fn is_subscribed(&mut self, account: AccountId, name: &MailboxName) -> Step<bool> {
        Ok(self.get(SUBSCRIPTIONS, keys::subscription(account, name)).await?.is_some())
    }

    pub async fn described(&mut self, id: MailboxId, record: &MailboxRecord) -> Step<Mailbox> {
        let subscribed = self.is_subscribed(record.account, &record.name).await?;
        Ok(record.shown(id, subscribed))
    }

    /// Documents of those messages among `uids` that exist, ascending.
    async fn row_documents(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        fields: Option<&Document>,
    ) -> Step<Vec<Document>> {
        let mut filters = Vec::new();
        let mut singles: Vec<Bson> = Vec::new();
        for range in uids.ranges() {
            if range.end() - range.start() >= SHORT {
                filters.push(keys::rows(mailbox, range));
            } else {
                singles.extend(range.map(|uid| keys::row(mailbox, uid)));
            }
        }
        filters.extend(singles.chunks(ASKED).map(|ids| doc! { "_id": { "$in": ids.to_vec() } }));
        let several = filters.len() > 1;
        let mut found = Vec::new();
        for filter in filters {
            let find = Find { filter, sort: Some(keys::by_id()), limit: 0, fields: fields.cloned() };
            found.extend(self.session.find(MESSAGES, find).await?);
        }
        if several {
            found.sort_by_cached_key(|d| d.bytes("_id").map(<[u8]>::to_vec).unwrap_or_default());
        }
        Ok(found)
    }

    /// Those of `uids` that exist, ascending.
    pub async fn rows(&mut self, mailbox: MailboxId, uids: &UidSet) -> Step<Vec<(Uid, RowRecord)>> {
        self.row_documents(mailbox, uids, None).await?.iter().map(row_of).collect()
    }

    /// As [`Self::rows`], their UIDs only.
    pub async fn existing(&mut self, mailbox: MailboxId, uids: &UidSet) -> Step<UidSet> {
        let found = self.row_documents(mailbox, uids, Some(&doc! { "_id": 1 })).await?;
        found.iter().map(|d| Ok(keys::row_of(d)?.1)).collect()
    }

    /// The first or last of `uids` that exist.
    pub async fn some_rows(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        order: Order,
        limit: usize,
    ) -> Step<Vec<(Uid, RowRecord)>> {
        if limit as u64 >= uids.len() {
            let mut all = self.rows(mailbox, uids).await?;
            if order == Order::Descending {
                all.reverse();
            }
            return Ok(all);
        }
        let ranges: Vec<_> = match order {
            Order::Ascending => uids.ranges().collect(),
            Order::Descending => uids.ranges().rev().collect(),
        };
        let direction = if order == Order::Ascending { 1 } else { -1 };
        let mut found: Vec<(Uid, RowRecord)> = Vec::new();
        for range in ranges {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            let sort = Some(doc! { "_id": direction });
            let find = Find { filter: keys::rows(mailbox, range), sort, limit: left, fields: None };
            let documents = self.session.find(MESSAGES, find).await?;
            found.extend(documents.iter().map(row_of).collect::<Step<Vec<_>>>()?);
        }
        Ok(found)
    }

    /// What is shown of messages, by their contents.
    pub async fn contents(&mut self, ids: &[EmailId]) -> Step<BTreeMap<EmailId, Arc<ContentRecord>>> {
        let mut found = BTreeMap::new();
        for ids in ids.chunks(ASKED) {
            let firsts: Vec<Bson> = ids.iter().map(|id| keys::content(*id, 0)).collect();
            let fields = Some(doc! { "pieces": 1, "value": 1 });
            let find = Find { filter: doc! { "_id": { "$in": firsts } }, sort: None, limit: 0, fields };
            for first in self.session.find(CONTENTS, find).await? {
                let id = keys::content_of(&first)?;
                let documents = match first.count("pieces")? {
                    1 => vec![first],
                    _ => self.scan(CONTENTS, keys::contents(id), 0).await?,
                };
                found.insert(id, Arc::new(content_of(&documents)?));
            }
        }
        Ok(found)
    }

    /// What bytes are made of, by their contents.
    pub async fn bodies(&mut self, ids: &[EmailId]) -> Step<BTreeMap<EmailId, BodyRecord>> {
        let mut found = BTreeMap::new();
        for ids in ids.chunks(ASKED) {
            let firsts: Vec<Bson> = ids.iter().map(|id| keys::content(*id, 0)).collect();
            let filter = doc! { "_id": { "$in": firsts } };
            let find = Find { filter, sort: None, limit: 0, fields: Some(BodyRecord::fields()) };
            for first in self.session.find(CONTENTS, find).await? {
                found.insert(keys::content_of(&first)?, BodyRecord::from_document(&first)?);
            }
        }
        Ok(found)
    }
}

pub fn expired(account: &Account, now: Timestamp) -> bool {
    account.expires_at.is_some_and(|at| at <= now)
}
