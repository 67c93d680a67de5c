//! Searching, and waiting for a message that matches.

use super::accounts::success;
use super::listing::PAGE_LIMIT;
use crate::http::app::{App, Shared};
use crate::http::error::{ApiError, Result};
use crate::http::input::Params;
use crate::http::place::MailPlace;
use crate::http::serve::Drain;
use axum::Json;
use axum::extract::State;
use gadwall_storage::{AccountId, Mailbox};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait of one request, in seconds: proxies in between have little more patience.
const WAIT_LIMIT_SECS: u64 = 120;
/// When a wait is asked for without saying how long.
const WAIT_DEFAULT_SECS: u64 = 30;

#[derive(Deserialize)]
pub struct SearchParams {
    q: Option<String>,
    /// An id or a name; without it all mailboxes.
    mailbox: Option<String>,
    limit: Option<usize>,
    next: Option<String>,
    /// In seconds.
    wait: Option<u64>,
}

/// What matches now; with `wait`, the first that comes to match.
pub async fn search(
    State(app): State<Shared>,
    place: MailPlace,
    drain: Drain,
    Params(params): Params<SearchParams>,
) -> Result<Json<Value>> {
    let query = app.parse_query(params.q.as_deref().unwrap_or_default())?;
    let account = place.account.id;
    let from = params.next.as_deref().map(str::parse).transpose()?;
    let limit = params.limit.unwrap_or(20).clamp(1, PAGE_LIMIT);
    let mailboxes = app.chosen(account, params.mailbox.as_deref()).await?;
    let mut found = app.search(account, &mailboxes, &query, from, limit).await?;
    if let (true, Some(wait)) = (found.messages.is_empty() && found.next.is_none(), params.wait) {
        let came =
            app.wait_for(account, params.mailbox.as_deref(), &query, patience(Some(wait)), &drain).await?;
        found.messages.extend(came);
    }
    let results: Vec<_> = found.messages.iter().map(|(at, m)| app.summary(*at, m)).collect();
    Ok(Json(json!({
        "success": true,
        "query": params.q.unwrap_or_default(),
        "results": results,
        "nextCursor": found.next.map(|c| c.to_string()),
    })))
}

/// The newest message that matches, whole, as soon as there is one.
pub async fn wait(
    State(app): State<Shared>,
    place: MailPlace,
    drain: Drain,
    Params(params): Params<SearchParams>,
) -> Result<Json<Value>> {
    let query = app.parse_query(params.q.as_deref().unwrap_or_default())?;
    let patience = patience(params.wait);
    match app.wait_for(place.account.id, params.mailbox.as_deref(), &query, patience, &drain).await? {
        Some((at, message)) => Ok(success(app.detail(at, &message).await?)),
        None => {
            let message = format!("no message matched within {} seconds", patience.as_secs());
            Err(ApiError::not_found("NoMatch", message))
        }
    }
}

fn patience(wait: Option<u64>) -> Duration {
    Duration::from_secs(wait.unwrap_or(WAIT_DEFAULT_SECS).min(WAIT_LIMIT_SECS))
}

impl App {
    /// The mailboxes to look into: the named one, or all, INBOX first.
    pub async fn chosen(&self, account: AccountId, name: Option<&str>) -> Result<Vec<Mailbox>> {
        match name {
            Some(name) => Ok(vec![self.mailbox_named(account, name).await?]),
            None => {
                let mut all = self.services.store.mailboxes(account).await?;
                all.sort_by_key(|m| !m.name.is_inbox());
                Ok(all)
            }
        }
    }
}
