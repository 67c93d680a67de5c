//! Mailboxes of an account.

use super::accounts::success;
use crate::http::app::Shared;
use crate::http::error::{ApiError, Result};
use crate::http::input::JsonBody;
use crate::http::place::{MailPlace, MailboxPlace, Op};
use crate::http::view;
use axum::Json;
use axum::extract::State;
use gadwall_storage::{MailboxName, Subscribed};
use serde::Deserialize;
use serde_json::{Value, json};

pub async fn list(State(app): State<Shared>, place: MailPlace) -> Result<Json<Value>> {
    let mailboxes = app.services.store.mailboxes(place.account.id).await?;
    let results: Vec<Value> = mailboxes.iter().map(view::mailbox).collect();
    Ok(Json(json!({ "success": true, "results": results })))
}

pub async fn show(place: MailboxPlace) -> Json<Value> {
    success(view::mailbox(&place.mailbox))
}

#[derive(Deserialize)]
pub struct NewMailbox {
    path: String,
}

pub async fn create(
    State(app): State<Shared>,
    place: MailPlace,
    op: Op,
    JsonBody(new): JsonBody<NewMailbox>,
) -> Result<Json<Value>> {
    let name = name(&new.path)?;
    let mailbox = app.services.store.create_mailbox(op.id, place.account.id, &name, None).await?;
    Ok(success(view::mailbox(&mailbox)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxUpdate {
    path: Option<String>,
    subscribed: Option<bool>,
}

pub async fn update(
    State(app): State<Shared>,
    place: MailboxPlace,
    op: Op,
    JsonBody(wanted): JsonBody<MailboxUpdate>,
) -> Result<Json<Value>> {
    let (store, at, mut known) = (&app.services.store, place.at(), place.mailbox);
    match (wanted.path, wanted.subscribed) {
        (Some(path), None) => {
            let to = name(&path)?;
            store.rename_mailbox(op.id, at, &to).await?;
            known.name = to;
        }
        (None, Some(subscribed)) => {
            let wanted = if subscribed { Subscribed::Yes } else { Subscribed::No };
            store.set_subscribed(op.id, at.account, &known.name, wanted).await?;
            known.subscribed = subscribed;
        }
        // One request is one step of the store.
        _ => return Err(ApiError::input("give either path or subscribed")),
    }
    // It is done: where it can't be looked at any more, what is known of it is told.
    Ok(success(view::mailbox(&store.mailbox(at).await.unwrap_or(known))))
}

pub async fn delete(State(app): State<Shared>, place: MailboxPlace, op: Op) -> Result<Json<Value>> {
    app.services.store.delete_mailbox(op.id, place.at()).await?;
    Ok(Json(json!({ "success": true })))
}

fn name(path: &str) -> Result<MailboxName> {
    MailboxName::parse(path).map_err(|e| ApiError::input(format!("path {path:?}: {e}")))
}
