//! A message for whoever has its MSGID, as Ethereal's message URLs are.

use super::page::{PageError, PageResult};
use super::parts::{Opened, ViewParams, gone};
use crate::http::app::Shared;
use crate::http::error::ApiError;
use crate::http::input::Params;
use axum::extract::{FromRequestParts, Path, RawPathParams, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use gadwall_storage::{MailboxRef, Message, MessageQuery, UidSet};

/// The message that a MSGID opens.
pub struct Held {
    msgid: String,
    at: MailboxRef,
    message: Message,
}

impl FromRequestParts<Shared> for Held {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> PageResult<Self> {
        let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| gone())?;
        let msgid = params.iter().find(|(n, _)| *n == "msgid").map_or("", |(_, v)| v).to_owned();
        let (at, uid) = app.services.message_ids.verify(&msgid).ok_or_else(gone)?;
        let query = MessageQuery::of(UidSet::single(uid)).with_details();
        let found = app.services.store.messages(at, query).await.map_err(|e| {
            let e = ApiError::from(e);
            if e.status == StatusCode::NOT_FOUND { gone() } else { e }
        });
        let message = found?.pop().ok_or_else(gone)?;
        Ok(Held { msgid, at, message })
    }
}

pub async fn show(State(app): State<Shared>, held: Held, Params(params): Params<ViewParams>) -> PageResult {
    let opened = Opened {
        at: held.at,
        message: held.message,
        base: format!("/message/{}", held.msgid),
        owner: None,
        newer: None,
        older: None,
        mailbox_name: String::new(),
    };
    app.message_page(opened, &params).await
}

pub async fn source(State(app): State<Shared>, held: Held) -> PageResult {
    app.source_text(held.at, &held.message).await
}

pub async fn headers(State(app): State<Shared>, held: Held) -> PageResult {
    app.headers_text(held.at, &held.message).await
}

pub async fn eml(State(app): State<Shared>, held: Held) -> PageResult {
    Ok(app.eml(held.at, &held.message).await?)
}

pub async fn html(
    State(app): State<Shared>,
    held: Held,
    Params(params): Params<ViewParams>,
    request: HeaderMap,
) -> PageResult {
    app.html_document(held.at, &held.message, &params, &request).await
}

pub async fn attachment(
    State(app): State<Shared>,
    held: Held,
    Path((_, id)): Path<(String, String)>,
) -> PageResult {
    Ok(app.attachment(held.at, &held.message, &id).await?)
}
