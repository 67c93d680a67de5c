//! The message page and what hangs below it, the same for the owner and for the holder of a MSGID.

use super::format;
use super::page::{Frame, PageResult, plain, render};
use super::tree::{self, TreeRow};
use crate::http::app::App;
use crate::http::content::{self, AttachmentView, Shown};
use crate::http::error::ApiError;
use crate::http::html::{self, Remote, TooComplex};
use crate::http::view::{self, AddressView, Summary};
use crate::time::rfc3339;
use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use gadwall_storage::{Account, Delivery, MailboxRef, Message, Uid};
use serde::Deserialize;
use std::sync::Arc;

/// What is open.
pub struct Opened {
    pub at: MailboxRef,
    pub message: Message,
    /// The page's own path: what hangs below it begins so.
    pub base: String,
    /// Present for the owner: who may change it, and from where.
    pub owner: Option<Account>,
    pub mailbox_name: String,
    /// Its neighbours in the list, for the owner.
    pub newer: Option<Uid>,
    pub older: Option<Uid>,
}

#[derive(Deserialize, Default)]
pub struct ViewParams {
    tab: Option<String>,
    remote: Option<String>,
}

impl ViewParams {
    fn remote(&self) -> Remote {
        if self.remote.as_deref() == Some("1") { Remote::Allowed } else { Remote::Blocked }
    }
}

/// One tab: its key, its title, whether it is open.
struct Tab {
    key: &'static str,
    title: String,
    open: bool,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    frame: Frame,
    base: String,
    owner: bool,
    mailbox_id: String,
    mailbox_name: String,
    newer: Option<Uid>,
    older: Option<Uid>,
    summary: Summary,
    subject: String,
    date: String,
    size: String,
    /// For programs and for people.
    expires: Option<(String, String)>,
    tab: &'static str,
    tabs: Vec<Tab>,
    remote_allowed: bool,
    has_remote: bool,
    shown: Shown,
    fields: Vec<(String, String)>,
    tree: Vec<TreeRow>,
    attachments: Vec<AttachmentView>,
    delivery: Option<Arc<Delivery>>,
    received: String,
}

impl MessagePage {
    fn people(&self) -> Vec<(&'static str, &Vec<AddressView>)> {
        let s = &self.summary;
        [("To", &s.to), ("Cc", &s.cc), ("Bcc", &s.bcc), ("Reply to", &s.reply_to)]
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .collect()
    }

    fn size_of(&self, bytes: &u64) -> String {
        format::bytes(*bytes)
    }
}

const TABS: [(&str, &str); 7] = [
    ("html", "HTML"),
    ("text", "Text"),
    ("headers", "Headers"),
    ("source", "Source"),
    ("mime", "MIME tree"),
    ("attachments", "Attachments"),
    ("envelope", "Envelope"),
];

impl App {
    pub async fn message_page(&self, opened: Opened, params: &ViewParams) -> PageResult {
        let Opened { at, message, base, owner, mailbox_name, newer, older } = opened;
        let structure = content::structure(&message);
        let (html, text) = (structure.html(), structure.text());
        let attachments = content::attachments(&structure);
        let first = if html.is_some() { "html" } else { "text" };
        let wanted = params.tab.as_deref().unwrap_or(first);
        let tab = TABS.iter().map(|t| t.0).find(|t| *t == wanted && (*t != "html" || html.is_some()));
        let tab = tab.unwrap_or(first);
        let (mut shown, mut fields, mut has_remote) = (Shown::default(), Vec::new(), false);
        match (tab, html, text) {
            ("html", Some((_, part)), _) => {
                has_remote = html::has_remote(&self.part_text(at, message.uid, part).await?.text);
            }
            ("text", _, Some((_, part))) => shown = self.part_text(at, message.uid, part).await?,
            ("source", ..) => shown = self.source(at, &message).await?,
            ("headers", ..) => fields = self.header_fields(at, &message).await?,
            _ => {}
        }
        let has_html = structure.html().is_some();
        let tabs = TABS.iter().filter(|(key, _)| *key != "html" || has_html);
        let tabs = tabs.map(|&(key, title)| Tab {
            key,
            title: match (key, attachments.len()) {
                ("attachments", n) if n > 0 => format!("{title} ({n})"),
                _ => title.to_owned(),
            },
            open: key == tab,
        });
        let summary = self.summary(at, &message);
        let subject =
            if summary.subject.is_empty() { "(no subject)".into() } else { summary.subject.clone() };
        let delivery = message.delivery.clone();
        Ok(render(&MessagePage {
            frame: Frame::new(subject.clone(), owner.as_ref()),
            base,
            owner: owner.is_some(),
            mailbox_id: at.mailbox.to_string(),
            mailbox_name,
            newer,
            older,
            subject,
            date: format::moment(view::sent_at(&structure).unwrap_or(message.internal_date)),
            size: format::bytes(message.size),
            expires: message.expires_at.map(|t| (rfc3339(t), format::moment(t))),
            tab,
            tabs: tabs.collect(),
            remote_allowed: params.remote() == Remote::Allowed,
            has_remote,
            shown,
            fields,
            tree: if tab == "mime" { tree::rows(&structure) } else { Vec::new() },
            attachments,
            received: format::moment(delivery.as_ref().map_or(message.internal_date, |d| d.received_at)),
            delivery,
            summary,
        }))
    }

    /// The document of the frame that shows the HTML part.
    pub async fn html_document(
        &self,
        at: MailboxRef,
        message: &Message,
        params: &ViewParams,
        request: &HeaderMap,
    ) -> PageResult {
        let structure = content::structure(message);
        let missing = || ApiError::not_found("NoHtml", "this message has no HTML part");
        let (_, part) = structure.html().ok_or_else(missing)?;
        let shown = self.part_text(at, message.uid, part).await?;
        let remote = params.remote();
        // The frame has no origin and so no cookies: its pictures come by the public address.
        let base = format!("/message/{}", self.services.message_ids.sign(at, message.uid));
        let pictures = html::pictures(&structure, &base);
        let _turn = self.rendering.acquire().await;
        let document =
            self.services.env.heavy(move || html::document(&shown.text, &pictures, remote)).await?;
        let document = match document {
            Ok(document) if shown.truncated => {
                document + "<p><i>Cut off here. Download the message to see the rest.</i></p>"
            }
            Ok(document) => document,
            Err(TooComplex) => {
                "<!doctype html><meta charset=\"utf-8\"><p>This HTML is nested too deeply or has too \
                many elements to be shown. Its text and its source are in the other tabs.</p>"
                    .into()
            }
        };
        let mut response = axum::response::Html(document).into_response();
        let policy = HeaderValue::from_str(&frame_policy(request, &base, remote));
        let policy = policy.map_err(|_| ApiError::input("the Host header"))?;
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        Ok(response)
    }

    pub async fn headers_text(&self, at: MailboxRef, message: &Message) -> PageResult {
        let fields = self.header_fields(at, message).await?;
        Ok(plain(fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()))
    }

    pub async fn source_text(&self, at: MailboxRef, message: &Message) -> PageResult {
        let shown = self.source(at, message).await?;
        let note = if shown.truncated { "\n\n[cut off here; message.eml has it all]\n" } else { "" };
        Ok(plain(shown.text + note))
    }
}

/// Nothing runs, nothing is sent, and pictures come from this message only until more is allowed.
fn frame_policy(request: &HeaderMap, base: &str, remote: Remote) -> String {
    let host = request
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .filter(|h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b)));
    // CSP 3 §6.7.2.8: an http source also matches https. "self" of a sandboxed document is not known to all browsers.
    let own = host.map_or("'self'".into(), |h| format!("http://{h}{base}/attachment/"));
    let remote = if remote == Remote::Allowed { " http: https:" } else { "" };
    format!(
        "default-src 'none'; img-src {own} data:{remote}; style-src 'unsafe-inline'; form-action 'none'; \
         base-uri 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
    )
}

/// An error page of a message that is not there (any more).
pub fn gone() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "MessageNotFound",
        "There is no such message. It may have expired or been deleted, or the link is incomplete.",
    )
}
