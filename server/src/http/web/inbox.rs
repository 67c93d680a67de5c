//! The list of messages, with the rail of mailboxes and the search box.

use super::format;
use super::page::{Frame, PageError, PageResult, render};
use super::session::Visitor;
use crate::http::api::{Start, cursor};
use crate::http::app::{App, Shared};
use crate::http::input::Params;
use crate::http::serve::Drain;
use crate::http::view::Summary;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use gadwall_storage::{Account, Mailbox, MailboxRef, Message, Order, Timestamp, UidSet, Which};
use serde::Deserialize;

/// Rows on a page.
const ROWS: usize = 50;

#[derive(Deserialize)]
pub struct ListParams {
    mailbox: Option<String>,
    q: Option<String>,
    next: Option<String>,
    previous: Option<String>,
}

/// One entry of the rail.
pub struct RailEntry {
    pub id: String,
    pub name: String,
    pub unseen: u64,
    pub current: bool,
}

/// One message of the list.
struct Row {
    href: String,
    who: String,
    /// The first recipient, and how many more there are.
    to: String,
    when: String,
    size: String,
    summary: Summary,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    frame: Frame,
    rail: Vec<RailEntry>,
    mailbox: String,
    mailbox_id: String,
    total: u64,
    counted: String,
    unseen: u64,
    rows: Vec<Row>,
    q: String,
    error: Option<String>,
    next: Option<String>,
    previous: Option<String>,
    used: String,
    quota: String,
    used_percent: u64,
    smtp: String,
    who: String,
}

pub async fn show(
    State(app): State<Shared>,
    Visitor(account): Visitor,
    params: Result<Params<ListParams>, crate::http::error::ApiError>,
) -> PageResult {
    let Params(params) = params?;
    let mailboxes = app.services.store.mailboxes(account.id).await?;
    let current = app.mailbox_named(account.id, params.mailbox.as_deref().unwrap_or("INBOX")).await?;
    let at = MailboxRef { account: account.id, mailbox: current.id };
    let q = params.q.clone().unwrap_or_default();
    let listed = app.list(&account, &mailboxes, at, &params).await;
    let (found, error) = match listed {
        Ok(found) => (found, None),
        // A query that can't be read is told beside the box, with the query left in it.
        Err(e) if e.code == "BadQuery" => (Listed::default(), Some(e.message)),
        Err(e) => return Err(e.into()),
    };
    let now = app.services.env.clock.now();
    let rows = found.messages.iter().map(|(at, m)| row(&app, *at, m, now)).collect();
    let title = match current.unseen {
        0 => format!("{} · {}", display_name(&current), account.address),
        n => format!("({n}) {} · {}", display_name(&current), account.address),
    };
    Ok(render(&InboxPage {
        frame: Frame::new(title, Some(&account)),
        rail: rail(&mailboxes, Some(&current)),
        mailbox: display_name(&current),
        mailbox_id: current.id.to_string(),
        total: current.messages,
        counted: format::plural(current.messages, "message"),
        unseen: current.unseen,
        rows,
        q,
        error,
        next: found.next,
        previous: found.previous,
        used: format::bytes(account.used_bytes),
        quota: format::bytes(account.quota_bytes),
        used_percent: account.used_bytes.saturating_mul(100) / account.quota_bytes.max(1),
        who: account.address.to_string(),
        smtp: format!("{}:{}", app.config.smtp.host, app.config.smtp.port),
    }))
}

/// What people call it.
pub fn display_name(mailbox: &Mailbox) -> String {
    if mailbox.name.is_inbox() { "Inbox".into() } else { mailbox.name.to_string() }
}

/// INBOX first, as everybody looks there first.
pub fn rail(mailboxes: &[Mailbox], current: Option<&Mailbox>) -> Vec<RailEntry> {
    let entry = |m: &Mailbox| RailEntry {
        id: m.id.to_string(),
        name: display_name(m),
        unseen: m.unseen,
        current: current.is_some_and(|c| c.id == m.id),
    };
    let (inbox, others): (Vec<_>, Vec<_>) = mailboxes.iter().partition(|m| m.name.is_inbox());
    inbox.into_iter().chain(others).map(entry).collect()
}

#[derive(Default)]
struct Listed {
    messages: Vec<(MailboxRef, Message)>,
    next: Option<String>,
    previous: Option<String>,
}

impl App {
    async fn list(
        &self,
        account: &Account,
        mailboxes: &[Mailbox],
        at: MailboxRef,
        params: &ListParams,
    ) -> crate::http::error::Result<Listed> {
        let query = self.parse_query(params.q.as_deref().unwrap_or_default())?;
        if query.is_empty() {
            let from = match (&params.next, &params.previous) {
                (Some(next), _) => Start::After(cursor("next", next)?),
                (None, Some(previous)) => Start::Before(cursor("previous", previous)?),
                (None, None) => Start::Edge,
            };
            let page = self.page(at, from, Order::Descending, ROWS).await?;
            return Ok(Listed {
                messages: page.messages.into_iter().map(|m| (at, m)).collect(),
                next: page.next.map(|u| u.to_string()),
                previous: page.previous.map(|u| u.to_string()),
            });
        }
        // In the mailbox at hand when one was chosen, else everywhere.
        let wanted: Vec<Mailbox> =
            mailboxes.iter().filter(|m| params.mailbox.is_none() || m.id == at.mailbox).cloned().collect();
        let from = params.next.as_deref().map(str::parse).transpose()?;
        let found = self.search(account.id, &wanted, &query, from, ROWS).await?;
        Ok(Listed { messages: found.messages, next: found.next.map(|c| c.to_string()), previous: None })
    }
}

fn row(app: &App, at: MailboxRef, message: &Message, now: Timestamp) -> Row {
    let summary = app.summary(at, message);
    let from = summary.from.as_ref();
    let who = from.map(|f| if f.name.is_empty() { f.address.clone() } else { f.name.clone() });
    Row {
        to: recipients(&summary),
        href: format!("/messages/{}/{}", at.mailbox, message.uid),
        who: who.filter(|w| !w.is_empty()).unwrap_or_else(|| "(no sender)".into()),
        when: format::short(message.internal_date, now),
        size: format::bytes(message.size),
        summary,
    }
}

fn recipients(summary: &Summary) -> String {
    let mut all = [&summary.to, &summary.cc, &summary.bcc].into_iter().flatten();
    let Some(first) = all.next() else { return String::new() };
    let name = if first.address.is_empty() { &first.name } else { &first.address };
    match all.count() {
        0 => name.clone(),
        more => format!("{name} +{more}"),
    }
}

/// Deletes all messages of a mailbox.
pub async fn empty(
    State(app): State<Shared>,
    Visitor(account): Visitor,
    Path(mailbox): Path<String>,
) -> Result<impl IntoResponse, PageError> {
    let mailbox = app.mailbox_named(account.id, &mailbox).await?;
    let at = MailboxRef { account: account.id, mailbox: mailbox.id };
    app.services.store.expunge(app.services.env.op(), at, &UidSet::all(), Which::All).await?;
    Ok(Redirect::to(&format!("/messages?mailbox={}", mailbox.id)))
}

/// What happens in the account, for the page's script.
pub async fn events(
    State(app): State<Shared>,
    Visitor(account): Visitor,
    drain: Drain,
    headers: axum::http::HeaderMap,
) -> axum::response::Response {
    crate::http::api::stream(app, account, drain, &headers)
}
