//! Pages of a mailbox, at the cost of a page: cursors are UIDs, nothing is counted or skipped.

use crate::http::app::{App, Shared};
use crate::http::error::{ApiError, Result};
use crate::http::input::Params;
use crate::http::place::MailboxPlace;
use axum::Json;
use axum::extract::State;
use gadwall_storage::{MailboxRef, Message, MessageQuery, Order, Uid, UidSet};
use serde::Deserialize;
use serde_json::{Value, json};

/// Most messages on a page.
pub const PAGE_LIMIT: usize = 250;

#[derive(Deserialize)]
pub struct PageParams {
    limit: Option<usize>,
    next: Option<String>,
    previous: Option<String>,
    order: Option<String>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first message, in reading order.
    Edge,
    /// After this UID, in reading order.
    After(Uid),
    /// The page that ends before this UID, in reading order.
    Before(Uid),
}

/// A page with the cursors to its neighbours.
pub struct Page {
    pub messages: Vec<Message>,
    pub next: Option<Uid>,
    pub previous: Option<Uid>,
}

pub async fn list(
    State(app): State<Shared>,
    place: MailboxPlace,
    Params(params): Params<PageParams>,
) -> Result<Json<Value>> {
    let order = match params.order.as_deref() {
        None | Some("desc") => Order::Descending,
        Some("asc") => Order::Ascending,
        Some(other) => return Err(ApiError::input(format!("order {other:?}: asc or desc"))),
    };
    let from = match (params.next.as_deref(), params.previous.as_deref()) {
        (None, None) => Start::Edge,
        (Some(next), None) => Start::After(cursor("next", next)?),
        (None, Some(previous)) => Start::Before(cursor("previous", previous)?),
        (Some(_), Some(_)) => return Err(ApiError::input("give next or previous, not both")),
    };
    let limit = params.limit.unwrap_or(20).clamp(1, PAGE_LIMIT);
    let page = app.page(place.at(), from, order, limit).await?;
    let results: Vec<_> = page.messages.iter().map(|m| app.summary(place.at(), m)).collect();
    Ok(Json(json!({
        "success": true,
        "total": place.mailbox.messages,
        "unseen": place.mailbox.unseen,
        "nextCursor": page.next.map(|u| u.to_string()),
        "previousCursor": page.previous.map(|u| u.to_string()),
        "results": results,
    })))
}

pub fn cursor(name: &str, text: &str) -> Result<Uid> {
    text.parse().ok().and_then(Uid::new).ok_or_else(|| ApiError::input(format!("{name}: not a cursor")))
}

impl App {
    pub async fn page(&self, at: MailboxRef, from: Start, order: Order, limit: usize) -> Result<Page> {
        let backwards = matches!(from, Start::Before(_));
        let reading = if backwards { reversed(order) } else { order };
        let uids = match from {
            Start::Edge => UidSet::all(),
            Start::After(uid) | Start::Before(uid) => beyond(uid, reading),
        };
        let query = MessageQuery { order: reading, ..MessageQuery::of(uids) }.limit(limit + 1).with_details();
        let mut messages = self.services.store.messages(at, query).await?;
        let more = messages.len() > limit;
        messages.truncate(limit);
        if backwards {
            messages.reverse();
        }
        let (first, last) = (messages.first().map(|m| m.uid), messages.last().map(|m| m.uid));
        let (next, previous) = match from {
            Start::Edge => (last.filter(|_| more), None),
            Start::After(_) => (last.filter(|_| more), first),
            Start::Before(_) => (last, first.filter(|_| more)),
        };
        Ok(Page { messages, next, previous })
    }
}

fn reversed(order: Order) -> Order {
    match order {
        Order::Ascending => Order::Descending,
        Order::Descending => Order::Ascending,
    }
}

/// The UIDs that come after `uid` in this order.
fn beyond(uid: Uid, order: Order) -> UidSet {
    match order {
        Order::Ascending => uid.next().map_or_else(UidSet::new, UidSet::from),
        Order::Descending => {
            Uid::new(uid.get() - 1).map_or_else(UidSet::new, |last| UidSet::range(Uid::MIN, last))
        }
    }
}
