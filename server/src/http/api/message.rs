//! One message: whole as JSON, or its bytes.

use super::accounts::success;
use crate::http::app::Shared;
use crate::http::content::{self, Shown};
use crate::http::error::Result;
use crate::http::place::MessagePlace;
use crate::http::view::{self, addresses, text};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use gadwall_storage::mime::Structure;
use gadwall_storage::{MailboxRef, Message};
use serde_json::{Value, json};

pub async fn show(State(app): State<Shared>, place: MessagePlace) -> Result<Json<Value>> {
    Ok(success(app.detail(place.at(), &place.message).await?))
}

impl crate::http::app::App {
    /// A message with its header, texts and attachments.
    pub async fn detail(&self, at: MailboxRef, message: &Message) -> Result<Value> {
        let structure = content::structure(message);
        let e = &structure.envelope;
        let (plain, html) = self.texts(at, message, &structure).await?;
        let fields = self.header_fields(at, message).await?;
        let fields: Vec<Value> = fields.iter().map(|(k, v)| json!({ "key": k, "value": v })).collect();
        let mut value = serde_json::to_value(self.summary(at, message)).unwrap_or_default();
        value["sender"] = json!(addresses(&e.sender).into_iter().next());
        value["inReplyTo"] = text(e.in_reply_to.as_deref()).into();
        value["references"] = text(e.references.as_deref()).into();
        value["contentType"] = content::media_type(&structure.root).into();
        value["headers"] = fields.into();
        value["text"] = plain.as_ref().map(|t| t.text.as_str()).into();
        value["html"] = html.iter().map(|h| h.text.as_str()).collect::<Vec<_>>().into();
        value["truncated"] = [&plain, &html].into_iter().flatten().any(|t| t.truncated).into();
        value["attachments"] = json!(content::attachments(&structure));
        value["envelope"] = json!(message.delivery.as_deref().map(view::delivery));
        value["url"] =
            format!("{}/message/{}", self.config.web, value["msgid"].as_str().unwrap_or("")).into();
        Ok(value)
    }

    async fn texts(
        &self,
        at: MailboxRef,
        message: &Message,
        structure: &Structure,
    ) -> Result<(Option<Shown>, Option<Shown>)> {
        let plain = match structure.text() {
            Some((_, part)) => Some(self.part_text(at, message.uid, part).await?),
            None => None,
        };
        let html = match structure.html() {
            Some((_, part)) => Some(self.part_text(at, message.uid, part).await?),
            None => None,
        };
        Ok((plain, html))
    }
}

pub async fn eml(State(app): State<Shared>, place: MessagePlace) -> Result<Response> {
    app.eml(place.at(), &place.message).await
}

pub async fn headers(State(app): State<Shared>, place: MessagePlace) -> Result<Json<Value>> {
    let fields = app.header_fields(place.at(), &place.message).await?;
    let fields: Vec<Value> = fields.iter().map(|(k, v)| json!({ "key": k, "value": v })).collect();
    Ok(Json(json!({ "success": true, "headers": fields })))
}

pub async fn attachment(
    State(app): State<Shared>,
    place: MessagePlace,
    Path((_, _, _, part)): Path<(String, String, String, String)>,
) -> Result<Response> {
    app.attachment(place.at(), &place.message, &part).await
}
