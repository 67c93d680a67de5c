//! Building a message from JSON fields.

use crate::http::error::{ApiError, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::{Account, Timestamp};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::text::Text;
use serde::Deserialize;

/// The fields of a message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Draft {
    from: Option<Mailbox>,
    #[serde(default)]
    to: Mailboxes,
    #[serde(default)]
    cc: Mailboxes,
    /// In the envelope only.
    #[serde(default)]
    bcc: Mailboxes,
    reply_to: Option<Mailbox>,
    #[serde(default)]
    subject: String,
    text: Option<String>,
    html: Option<String>,
    in_reply_to: Option<String>,
    #[serde(default)]
    headers: Vec<HeaderField>,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

/// `"bob@x.org"` or `{"name": "Bob", "address": "bob@x.org"}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Mailbox {
    Plain(String),
    Named {
        #[serde(default)]
        name: String,
        address: String,
    },
}

/// One or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Mailboxes {
    Many(Vec<Mailbox>),
    One(Mailbox),
}

impl Default for Mailboxes {
    fn default() -> Self {
        Mailboxes::Many(Vec::new())
    }
}

impl Mailboxes {
    fn list(&self) -> &[Mailbox] {
        match self {
            Mailboxes::Many(list) => list,
            Mailboxes::One(one) => std::slice::from_ref(one),
        }
    }
}

impl Mailbox {
    fn address(&self) -> &str {
        match self {
            Mailbox::Plain(address) | Mailbox::Named { address, .. } => address.trim(),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Mailbox::Named { name, .. } if !name.is_empty() => Some(name),
            _ => None,
        }
    }

    /// For a header field, once nothing in it can end the field.
    fn checked(&self) -> Result<Address<'static>> {
        let (address, name) = (self.address(), self.name());
        let unfit = |c: char| c.is_control() || c.is_whitespace() || "<>,;:\"()".contains(c);
        if gadwall_storage::Address::parse(address).is_err() || address.contains(unfit) {
            return Err(ApiError::input(format!("address {address:?}: not a plain mail address")));
        }
        if name.is_some_and(|n| n.contains(char::is_control)) {
            return Err(ApiError::input(format!("the name of {address}: a control character")));
        }
        Ok(Address::new_address(name.map(str::to_owned), address.to_owned()))
    }
}

#[derive(Debug, Deserialize)]
struct HeaderField {
    key: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attachment {
    #[serde(default)]
    filename: String,
    content_type: Option<String>,
    /// In base64.
    content: String,
    /// A Content-ID without angle brackets: HTML refers to it as `cid:`.
    cid: Option<String>,
}

/// Fields that have a place of their own above, or that would change how the message is read.
const RESERVED: [&str; 12] = [
    "from",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

impl Draft {
    pub fn recipients(&self) -> Vec<String> {
        let all = [&self.to, &self.cc, &self.bcc].into_iter().flat_map(|m| m.list());
        all.map(|m| m.address().to_owned()).collect()
    }

    pub fn sender(&self) -> Option<String> {
        self.from.as_ref().map(|m| m.address().to_owned())
    }

    /// The message's bytes. `message_id` has no angle brackets.
    pub fn build(self, account: &Account, message_id: &str, now: Timestamp) -> Result<Vec<u8>> {
        let own = Mailbox::Named { name: account.name.clone(), address: account.address.to_string() };
        let from = self.from.as_ref().unwrap_or(&own).checked()?;
        let mut builder = MessageBuilder::new()
            .from(from)
            .message_id(message_id.to_owned())
            .date(now.secs())
            .subject(plain("subject", self.subject)?);
        let list = |m: &Mailboxes| m.list().iter().map(Mailbox::checked).collect::<Result<Vec<_>>>();
        let (to, cc) = (list(&self.to)?, list(&self.cc)?);
        list(&self.bcc)?;
        if !to.is_empty() {
            builder = builder.to(Address::new_list(to));
        }
        if !cc.is_empty() {
            builder = builder.cc(Address::new_list(cc));
        }
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.checked()?);
        }
        if let Some(id) = self.in_reply_to {
            let id = plain("inReplyTo", id)?;
            builder = builder.in_reply_to(id.trim().trim_matches(['<', '>']).to_owned());
        }
        for field in self.headers {
            let value = plain("a header's value", field.value)?;
            builder = builder.header(field_name(field.key)?, Text::new(value));
        }
        if let Some(html) = self.html {
            builder = builder.html_body(html);
        }
        if let Some(text) = self.text {
            builder = builder.text_body(text);
        }
        for attachment in self.attachments {
            builder = attach(builder, attachment)?;
        }
        builder.write_to_vec().map_err(|e| ApiError::input(format!("the message can't be built: {e}")))
    }
}

fn attach(builder: MessageBuilder<'static>, attachment: Attachment) -> Result<MessageBuilder<'static>> {
    let bad = |what: &str| ApiError::input(format!("attachment {:?}: {what}", attachment.filename));
    let content = STANDARD.decode(attachment.content.as_bytes()).map_err(|_| bad("content is not base64"))?;
    let kind = attachment.content_type.as_deref().unwrap_or("application/octet-stream");
    let token =
        |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._".contains(&b));
    if !kind.split_once('/').is_some_and(|(a, b)| token(a) && token(b)) {
        return Err(bad("contentType is not a type such as image/png"));
    }
    let name = plain("filename", attachment.filename.clone())?;
    Ok(match attachment.cid {
        Some(cid) if cid.contains(|c: char| !c.is_ascii_graphic() || "<>".contains(c)) => {
            return Err(bad("cid has characters that no Content-ID has"));
        }
        Some(cid) => builder.inline(kind.to_owned(), cid, content),
        None => builder.attachment(kind.to_owned(), name, content),
    })
}

/// A text without line breaks and other control characters: it can't begin a field of its own.
fn plain(what: &str, text: String) -> Result<String> {
    if text.contains(char::is_control) {
        return Err(ApiError::input(format!("{what}: a control character")));
    }
    Ok(text)
}

fn field_name(key: String) -> Result<String> {
    let ok = !key.is_empty()
        && key.len() < 77
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !ok || RESERVED.iter().any(|r| key.eq_ignore_ascii_case(r)) {
        return Err(ApiError::input(format!("header {key:?}: not a field that can be set here")));
    }
    Ok(key)
}
