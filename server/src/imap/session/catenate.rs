//! Messages made of others: what URLs in an APPEND stand for (RFC 4469 §3).

use super::append::Appending;
use super::section::{self, Place};
use super::{Fail, Session};
use crate::imap::decode::message_url;
use crate::imap::encode::{Code, Status};
use crate::imap::types::MessageUrl;
use gadwall_storage::{MailboxRef, MessageQuery, StoreError, UidSet};
use std::ops::Range;

/// Bytes copied at a time.
const PIECE: u64 = 64 << 10;

impl Session {
    /// Adds what `url` names to the message that is being made.
    pub(super) async fn catenate(&mut self, url: &[u8], to: &mut Appending) -> Result<(), Fail> {
        let selected = match &self.selected {
            // A relative URL is relative to where the selected mailbox is now (RFC 4469 §3).
            Some(selected) if !url.starts_with(b"/") => {
                Some(self.services.store.mailbox(selected.at).await?.name)
            }
            _ => None,
        };
        let bad = || bad_url(url);
        let parsed = message_url(url, selected.as_ref().map(|name| name.as_str())).ok_or_else(bad)?;
        match self.add_named(&parsed, to).await {
            Err(Found::Nothing) => Err(bad()),
            Err(Found::Fail(fail)) => Err(fail),
            Ok(()) => Ok(()),
        }
    }

    async fn add_named(&mut self, url: &MessageUrl, to: &mut Appending) -> Result<(), Found> {
        let account = self.authenticated().map_err(Found::Fail)?;
        let store = self.services.store.clone();
        let at = match &url.mailbox {
            Some(mailbox) => {
                let name = mailbox.name().ok_or(Found::Nothing)?;
                let found = store.mailbox_by_name(account, name).await?;
                if url.uidvalidity.is_some_and(|n| n != found.uidvalidity.0.get()) {
                    return Err(Found::Nothing);
                }
                MailboxRef { account, mailbox: found.id }
            }
            None => self.selected.as_ref().ok_or(Found::Nothing)?.at,
        };
        let query = MessageQuery::of(UidSet::single(url.uid)).with_details();
        let message = store.messages(at, query).await?.pop().ok_or(Found::Nothing)?;
        let structure = message.structure.ok_or(Found::Nothing)?;
        let place = section::locate(&structure, &url.section);
        let mut body = store.body(at, url.uid).await?;
        match place {
            Place::Nowhere => Err(Found::Nothing),
            Place::Fields(header, fields) => {
                let chosen = section::read_fields(&mut *body, &header, &fields).await?;
                let range = some_of(0..chosen.len() as u64, url.partial);
                let chosen = &chosen[range.start as usize..range.end as usize];
                to.admit(chosen.len() as u64).map_err(Found::Fail)?;
                to.data(chosen);
                Ok(())
            }
            Place::Range(range) => {
                let range = some_of(range, url.partial);
                to.admit(range.end - range.start).map_err(Found::Fail)?;
                let mut at = range.start;
                while at < range.end {
                    let piece = body.read_at(at, (range.end - at).min(PIECE) as usize).await?;
                    if piece.is_empty() {
                        return Err(StoreError::Corrupt("a body ends before its size".into()).into());
                    }
                    at += piece.len() as u64;
                    to.data(&piece);
                }
                Ok(())
            }
        }
    }
}

/// Why a URL could not be followed.
enum Found {
    Nothing,
    Fail(Fail),
}

impl From<StoreError> for Found {
    fn from(error: StoreError) -> Self {
        use gadwall_storage::Subject::{Mailbox, Message};
        match error {
            StoreError::NotFound(Mailbox | Message) => Found::Nothing,
            e => Found::Fail(e.into()),
        }
    }
}

/// RFC 5550 §3.1: what lies beyond the end is not there.
fn some_of(range: Range<u64>, partial: Option<(u64, Option<u64>)>) -> Range<u64> {
    let Some((first, count)) = partial else { return range };
    let start = range.start.saturating_add(first).min(range.end);
    let end = count.map_or(range.end, |count| start.saturating_add(count).min(range.end));
    start..end
}

/// RFC 4469 §4.1.
fn bad_url(url: &[u8]) -> Fail {
    let text = "That URL names no message here, or no part of one: /mailbox/;UID=n/;SECTION=s";
    Status::no(text).code(Code::BadUrl(url.to_vec())).into()
}
