//! Submitting a message: its bytes as they are, or fields to build it from.

use super::compose::Draft;
use crate::http::app::{App, Shared};
use crate::http::client::Client;
use crate::http::error::{ApiError, Result};
use crate::http::place::{MailPlace, MailboxPlace, Op};
use crate::http::{input, view};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use gadwall_storage::body::{Ingest, Staged};
use gadwall_storage::{
    Account, Delivery, Flags, Mailbox, MailboxRef, NewMessage, OpId, Recipient, StoreError, Uid,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The door that mail came through here.
const VIA: &str = "http";
/// Largest JSON body, in bytes: it is in memory whole. Larger messages are sent as they are.
const JSON_LIMIT: usize = 32 << 20;

pub async fn into_inbox(
    State(app): State<Shared>,
    place: MailPlace,
    client: Client,
    op: Op,
    request: Request,
) -> Result<Json<Value>> {
    let inbox = app.mailbox_named(place.account.id, "INBOX").await?;
    app.submit(&place.account, &inbox, client, op, request).await
}

pub async fn into_mailbox(
    State(app): State<Shared>,
    place: MailboxPlace,
    client: Client,
    op: Op,
    request: Request,
) -> Result<Json<Value>> {
    app.submit(&place.account, &place.mailbox, client, op, request).await
}

/// A message ready to be stored.
struct Ready {
    body: Staged,
    delivery: Delivery,
    /// Of the operation and of what was sent under it.
    print: [u8; 32],
}

/// The digest of an operation and of what was sent under it.
struct Print(Sha256);

impl Print {
    /// `kind`: whether the same bytes are a message or the fields of one.
    fn of(op: OpId, kind: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(op.0);
        digest.update(kind);
        Self(digest)
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// What the sender is told of its message.
struct Stored {
    uid: Uid,
    message_id: String,
    /// Bytes.
    size: u64,
}

impl App {
    async fn submit(
        &self,
        account: &Account,
        mailbox: &Mailbox,
        client: Client,
        op: Op,
        request: Request,
    ) -> Result<Json<Value>> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|t| t.to_str().ok())
            .is_some_and(|t| t.trim_start().to_ascii_lowercase().starts_with("application/json"));
        let ready = if is_json {
            self.compose(account, client, &op, request).await?
        } else {
            self.receive(account, client, &op, request).await?
        };
        let at = MailboxRef { account: account.id, mailbox: mailbox.id };
        let stored = self.store(at, op, ready).await?;
        let msgid = self.services.message_ids.sign(at, stored.uid);
        Ok(Json(json!({
            "success": true,
            "id": stored.uid.get(),
            "mailbox": at.mailbox.to_string(),
            "messageId": stored.message_id,
            "msgid": msgid,
            "url": format!("{}/message/{msgid}", self.config.web),
            "size": stored.size,
        })))
    }

    /// What is told of a message is known before it is stored: once it is, nothing may come to an error, whoever deletes it
    /// in the meantime.
    async fn store(&self, at: MailboxRef, op: Op, ready: Ready) -> Result<Stored> {
        let envelope = &ready.body.structure().envelope;
        let (message_id, size) = (view::text(envelope.message_id.as_deref()), ready.body.size());
        let message = NewMessage {
            body: ready.body,
            flags: Flags::new(),
            internal_date: None,
            delivery: Some(ready.delivery),
            // The time of receipt of a repetition is another one, as are the date and the boundaries of a message that is
            // built again.
            made_from: Some(ready.print),
        };
        let appended = self.services.store.append(op.id, at, vec![message]).await?;
        let uid = appended.uids.first().copied();
        let uid = uid.ok_or_else(|| StoreError::Corrupt("an append without a UID".into()))?;
        Ok(Stored { uid, message_id, size })
    }

    /// Bytes as they are.
    async fn receive(&self, account: &Account, client: Client, op: &Op, request: Request) -> Result<Ready> {
        let mut ingest = Ingest::new(&self.services.spool);
        let mut print = Print::of(op.id, "message");
        let mut body = input::Incoming::new(request);
        while let Some(data) = body.next().await? {
            ingest.write(&data)?;
            print.0.update(&data);
        }
        if ingest.size() == 0 {
            return Err(ApiError::input("the body is empty: send a message (RFC 5322) or JSON"));
        }
        let body = ingest.finish()?;
        let envelope = &body.structure().envelope;
        let addresses = |list: &[_]| view::addresses(list).into_iter().map(|a| a.address);
        let from = addresses(&envelope.from).next();
        let to = [&envelope.to, &envelope.cc, &envelope.bcc].into_iter().flat_map(|list| addresses(list));
        let to = to.take(self.services.limits.recipients).map(recipient).collect();
        let delivery = Delivery {
            mail_from: from.unwrap_or_else(|| account.address.to_string()),
            recipients: to,
            ..self.delivery(account, client)
        };
        Ok(Ready { body, delivery, print: print.finish() })
    }

    /// A message of the fields in a JSON body.
    async fn compose(&self, account: &Account, client: Client, op: &Op, request: Request) -> Result<Ready> {
        let limit = self.services.limits.message_bytes;
        let json = input::limited(request, JSON_LIMIT).await?;
        let draft: Draft =
            serde_json::from_slice(&json).map_err(|e| ApiError::input(format!("the JSON body: {e}")))?;
        let mut print = Print::of(op.id, "fields");
        print.0.update(&json);
        let print = print.finish();
        // The same one when it is built again.
        let unique: String = print[..16].iter().map(|b| format!("{b:02x}")).collect();
        let message_id = format!("{unique}@{}", self.services.hostname);
        let recipients = draft.recipients();
        if recipients.len() > self.services.limits.recipients {
            return Err(ApiError::input(format!("more than {} recipients", self.services.limits.recipients)));
        }
        let from = draft.sender();
        let built = draft.build(account, &message_id, self.services.env.clock.now())?;
        if built.len() as u64 > limit {
            return Err(StoreError::TooLarge { limit_bytes: limit }.into());
        }
        let delivery = Delivery {
            mail_from: from.unwrap_or_else(|| account.address.to_string()),
            recipients: recipients.into_iter().map(recipient).collect(),
            ..self.delivery(account, client)
        };
        Ok(Ready { body: Staged::from_bytes(built), delivery, print })
    }

    fn delivery(&self, account: &Account, client: Client) -> Delivery {
        Delivery {
            via: VIA.into(),
            client_address: client.ip.to_string(),
            authenticated_as: Some(account.address.to_string()),
            received_at: self.services.env.clock.now(),
            ..Delivery::default()
        }
    }
}

fn recipient(address: String) -> Recipient {
    Recipient { address, params: Vec::new() }
}
