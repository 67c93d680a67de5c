//! A message as its owner sees it, and what the owner does with it.

use super::form::FormBody;
use super::inbox::display_name;
use super::page::{PageError, PageResult};
use super::parts::{Opened, ViewParams, gone};
use super::session::Visitor;
use crate::http::api::Start;
use crate::http::app::{App, Shared};
use crate::http::error::ApiError;
use crate::http::input::Params;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use gadwall_storage::{
    FlagChange, Flags, Mailbox, MailboxRef, Message, Order, StoreError, SystemFlag, UidSet, Which,
};
use serde::Deserialize;

/// The message that the path names, of the account that is logged in.
pub struct Own {
    account: gadwall_storage::Account,
    mailbox: Mailbox,
    message: Message,
}

impl Own {
    fn at(&self) -> MailboxRef {
        MailboxRef { account: self.account.id, mailbox: self.mailbox.id }
    }
}

impl FromRequestParts<Shared> for Own {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> PageResult<Self> {
        let Visitor(account) = Visitor::from_request_parts(parts, app).await?;
        let params = axum::extract::RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|_| gone())?;
        let param = |name: &str| params.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v);
        let absent = |e: ApiError| if e.status == StatusCode::NOT_FOUND { gone() } else { e };
        let mailbox = app.mailbox_named(account.id, param("mailbox")).await.map_err(absent)?;
        let at = MailboxRef { account: account.id, mailbox: mailbox.id };
        let message = app.message_named(at, param("uid")).await.map_err(absent)?;
        Ok(Own { account, mailbox, message })
    }
}

pub async fn show(State(app): State<Shared>, own: Own, Params(params): Params<ViewParams>) -> PageResult {
    let at = own.at();
    let mut message = own.message;
    if !message.flags.has(SystemFlag::Seen) {
        match mark(&app, at, &message, Mark::Seen).await {
            Ok(()) => message.flags.insert(SystemFlag::Seen),
            // What can't be marked can be read all the same.
            Err(e) => tracing::debug!(error = %e, "a message could not be marked as seen"),
        }
    }
    // The list has the newest first.
    let next = app.page(at, Start::After(message.uid), Order::Descending, 1).await?;
    let previous = app.page(at, Start::Before(message.uid), Order::Descending, 1).await?;
    let opened = Opened {
        at,
        newer: previous.messages.first().map(|m| m.uid),
        older: next.messages.first().map(|m| m.uid),
        base: format!("/messages/{}/{}", own.mailbox.id, message.uid),
        message,
        mailbox_name: display_name(&own.mailbox),
        owner: Some(own.account),
    };
    app.message_page(opened, &params).await
}

pub async fn source(State(app): State<Shared>, own: Own) -> PageResult {
    app.source_text(own.at(), &own.message).await
}

pub async fn headers(State(app): State<Shared>, own: Own) -> PageResult {
    app.headers_text(own.at(), &own.message).await
}

pub async fn eml(State(app): State<Shared>, own: Own) -> PageResult {
    Ok(app.eml(own.at(), &own.message).await?)
}

pub async fn html(
    State(app): State<Shared>,
    own: Own,
    Params(params): Params<ViewParams>,
    request: HeaderMap,
) -> PageResult {
    app.html_document(own.at(), &own.message, &params, &request).await
}

pub async fn attachment(
    State(app): State<Shared>,
    own: Own,
    Path((_, _, id)): Path<(String, String, String)>,
) -> PageResult {
    Ok(app.attachment(own.at(), &own.message, &id).await?)
}

/// What a button of the page asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    Seen,
    Unseen,
    Flag,
    Unflag,
    Delete,
}

#[derive(Deserialize)]
pub struct Action {
    action: Mark,
}

pub async fn act(
    State(app): State<Shared>,
    own: Own,
    FormBody(Action { action }): FormBody<Action>,
) -> Result<impl IntoResponse, PageError> {
    mark(&app, own.at(), &own.message, action).await?;
    let list = format!("/messages?mailbox={}", own.mailbox.id);
    Ok(match action {
        Mark::Delete | Mark::Unseen => Redirect::to(&list),
        Mark::Seen | Mark::Flag | Mark::Unflag => {
            Redirect::to(&format!("/messages/{}/{}", own.mailbox.id, own.message.uid))
        }
    })
}

async fn mark(app: &App, at: MailboxRef, message: &Message, mark: Mark) -> Result<(), StoreError> {
    let (store, op, uids) = (&app.services.store, app.services.env.op(), UidSet::single(message.uid));
    let change = match mark {
        Mark::Seen => FlagChange::Add(only(SystemFlag::Seen)),
        Mark::Unseen => FlagChange::Remove(only(SystemFlag::Seen)),
        Mark::Flag => FlagChange::Add(only(SystemFlag::Flagged)),
        Mark::Unflag => FlagChange::Remove(only(SystemFlag::Flagged)),
        Mark::Delete => return store.expunge(op, at, &uids, Which::All).await.map(drop),
    };
    store.set_flags(op, at, &uids, &change, None).await.map(drop)
}

fn only(flag: SystemFlag) -> Flags {
    let mut flags = Flags::new();
    flags.insert(flag);
    flags
}
