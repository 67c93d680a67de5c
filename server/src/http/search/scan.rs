//! Walks mailboxes newest first, within a budget; what is left over can be asked for with a cursor.

use super::query::{Query, Verdict};
use crate::http::app::App;
use crate::http::content;
use crate::http::error::{ApiError, Result};
use axum::http::StatusCode;
use gadwall_storage::{AccountId, Mailbox, MailboxId, MailboxRef, Message, MessageQuery, Uid, UidSet};

/// Messages looked at in one request.
const MESSAGES: usize = 10_000;
/// Messages whose text is read in one request.
const TEXTS: usize = 1000;
/// Messages read at a time.
const BATCH: usize = 200;
/// How much of a message's text is searched, in bytes.
const TEXT_LIMIT: u64 = 128 << 10;

/// The last place a search looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub mailbox: MailboxId,
    pub uid: Uid,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.mailbox, self.uid)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('-').and_then(|(mailbox, uid)| {
            Some(Cursor { mailbox: mailbox.parse().ok()?, uid: Uid::new(uid.parse().ok()?)? })
        });
        parts.ok_or_else(|| ApiError::input("next: not a cursor"))
    }
}

/// What a search found.
pub struct Found {
    pub messages: Vec<(MailboxRef, Message)>,
    /// Where to go on; `None` when everything was looked at.
    pub next: Option<Cursor>,
}

struct Budget {
    messages: usize,
    texts: usize,
}

impl App {
    /// Reads a query of the search language.
    pub fn parse_query(&self, text: &str) -> Result<Query> {
        Query::parse(text).map_err(|e| ApiError::new(StatusCode::BAD_REQUEST, "BadQuery", e))
    }

    /// Messages that match, newest first within each of `mailboxes`, in their order.
    pub async fn search(
        &self,
        account: AccountId,
        mailboxes: &[Mailbox],
        query: &Query,
        from: Option<Cursor>,
        limit: usize,
    ) -> Result<Found> {
        let mut found = Found { messages: Vec::new(), next: None };
        let mut budget = Budget { messages: MESSAGES, texts: TEXTS };
        let skip =
            from.map_or(0, |c| mailboxes.iter().position(|m| m.id == c.mailbox).unwrap_or(mailboxes.len()));
        for mailbox in mailboxes.iter().skip(skip) {
            let at = MailboxRef { account, mailbox: mailbox.id };
            let mut below = from.filter(|c| c.mailbox == mailbox.id).map(|c| c.uid);
            loop {
                let batch = self.batch(at, below, budget.messages.min(BATCH)).await?;
                let Some(last) = batch.last().map(|m| m.uid) else { break };
                for message in batch {
                    let here = Cursor { mailbox: at.mailbox, uid: message.uid };
                    budget.messages -= 1;
                    if self.matches(at, query, &message, &mut budget).await? {
                        found.messages.push((at, message));
                    }
                    if found.messages.len() >= limit || budget.messages == 0 || budget.texts == 0 {
                        found.next = Some(here);
                        return Ok(found);
                    }
                }
                below = Some(last);
            }
        }
        Ok(found)
    }

    async fn batch(&self, at: MailboxRef, below: Option<Uid>, limit: usize) -> Result<Vec<Message>> {
        let uids = match below.map(|uid| Uid::new(uid.get() - 1)) {
            None => UidSet::all(),
            Some(Some(last)) => UidSet::range(Uid::MIN, last),
            Some(None) => return Ok(Vec::new()),
        };
        let query = MessageQuery::of(uids).newest_first().limit(limit).with_details();
        Ok(self.services.store.messages(at, query).await?)
    }

    async fn matches(
        &self,
        at: MailboxRef,
        query: &Query,
        message: &Message,
        budget: &mut Budget,
    ) -> Result<bool> {
        match query.judge(message) {
            Verdict::Yes => Ok(true),
            Verdict::No => Ok(false),
            Verdict::NeedsText => {
                budget.texts -= 1;
                let text = self.searchable_text(at, message).await?;
                Ok(query.matches_text(message, &text))
            }
        }
    }

    /// Whether one message matches.
    pub async fn is_match(&self, at: MailboxRef, query: &Query, message: &Message) -> Result<bool> {
        self.matches(at, query, message, &mut Budget { messages: 1, texts: 1 }).await
    }

    /// The beginning of a message's text in lower case.
    async fn searchable_text(&self, at: MailboxRef, message: &Message) -> Result<String> {
        let structure = content::structure(message);
        let mut text = String::new();
        for (_, part) in [structure.text(), structure.html()].into_iter().flatten() {
            match self.part_text_within(at, message.uid, part, TEXT_LIMIT).await {
                Ok(shown) if part.content_type.is("text", "html") => {
                    text.push_str(&without_tags(&shown.text))
                }
                Ok(shown) => text.push_str(&shown.text),
                // Deleted meanwhile.
                Err(e) if e.status == StatusCode::NOT_FOUND => {}
                Err(e) => return Err(e),
            }
            text.push('\n');
        }
        Ok(text.to_lowercase())
    }
}

/// Roughly what a reader sees of HTML: enough to look for words.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]);
    }
    out.push_str(rest);
    out.replace("&nbsp;", " ").replace("&amp;", "&")
}
