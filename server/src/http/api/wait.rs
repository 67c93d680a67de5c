//! Waiting on the server for a message, so that tests need no polling loop.

use crate::http::app::App;
use crate::http::error::{ApiError, Result};
use crate::http::search::Query;
use crate::http::serve::Drain;
use axum::http::StatusCode;
use gadwall_storage::{AccountId, Changes, MailboxId, MailboxRef, Message, MessageQuery, UidSet};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A hint may be lost: look at least this often.
const POLL: Duration = Duration::from_secs(5);
/// Changed messages looked at in one go.
const BATCH: usize = 200;

type Hit = (MailboxRef, Message);

impl App {
    /// The newest message that matches now, or the first that comes to match within `patience`.
    pub async fn wait_for(
        &self,
        account: AccountId,
        mailbox: Option<&str>,
        query: &Query,
        patience: Duration,
        drain: &Drain,
    ) -> Result<Option<Hit>> {
        let deadline = Instant::now() + patience;
        // Listening begins before looking: what comes in between is hinted at.
        let mut hints = self.services.store.hints(account);
        let mut known = BTreeMap::new();
        loop {
            if let Some(hit) = self.look(account, mailbox, query, &mut known, deadline).await? {
                return Ok(Some(hit));
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(None);
            }
            tokio::select! {
                biased;
                () = drain.0.cancelled() => {
                    let message = "the server is stopping, ask again";
                    let e = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", message);
                    return Err(e.after(Duration::from_secs(1)));
                }
                _ = hints.recv() => {}
                () = tokio::time::sleep_until(deadline.min(now + POLL)) => {}
            }
        }
    }

    /// Looks at what changed since `known`, which is brought up to date.
    async fn look(
        &self,
        account: AccountId,
        name: Option<&str>,
        query: &Query,
        known: &mut BTreeMap<MailboxId, u64>,
        deadline: Instant,
    ) -> Result<Option<Hit>> {
        for mailbox in self.chosen(account, name).await? {
            let at = MailboxRef { account, mailbox: mailbox.id };
            let since = known.get(&mailbox.id).copied();
            if since == Some(mailbox.modseq.get()) {
                continue;
            }
            let changes = match since {
                None => Changes::Resync,
                Some(since) => self.services.store.changes_since(at, since).await?,
            };
            let (hit, through) = match changes {
                Changes::Deleted => continue,
                Changes::Resync => {
                    let mut from = None;
                    let hit = loop {
                        let found =
                            self.search(account, std::slice::from_ref(&mailbox), query, from, 1).await?;
                        from = found.next;
                        match found.messages.into_iter().next() {
                            Some(hit) => break Some(hit),
                            None if from.is_none() || Instant::now() >= deadline => break None,
                            None => {}
                        }
                    };
                    (hit, mailbox.modseq.get())
                }
                Changes::Delta(delta) => {
                    let uids: Vec<_> = delta.changed.iter().map(|m| m.uid).collect();
                    (self.first_of(at, query, &uids).await?, delta.through.get())
                }
            };
            if hit.is_some() {
                return Ok(hit);
            }
            known.insert(mailbox.id, through);
        }
        Ok(None)
    }

    async fn first_of(
        &self,
        at: MailboxRef,
        query: &Query,
        uids: &[gadwall_storage::Uid],
    ) -> Result<Option<Hit>> {
        for uids in uids.chunks(BATCH) {
            let mut set = UidSet::new();
            uids.iter().for_each(|uid| set.insert(*uid));
            for message in self.services.store.messages(at, MessageQuery::of(set).with_details()).await? {
                if self.is_match(at, query, &message).await? {
                    return Ok(Some((at, message)));
                }
            }
        }
        Ok(None)
    }
}
