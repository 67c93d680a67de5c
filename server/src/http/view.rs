//! Accounts, mailboxes and messages as the API shows them.

use super::app::App;
use crate::time::rfc3339;
use gadwall_storage::mime::{EnvelopeAddress, Structure, decode_text, scan};
use gadwall_storage::{Account, Delivery, Mailbox, MailboxRef, Message, SpecialUse, SystemFlag, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

/// A mail address with its display name, both decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddressView {
    pub name: String,
    pub address: String,
}

/// An account, without its secrets.
pub fn account(a: &Account) -> Value {
    json!({
        "id": a.id.to_string(),
        "address": a.address.as_str(),
        "username": a.address.as_str(),
        "name": a.name,
        "created": rfc3339(a.created_at),
        "expires": a.expires_at.map(rfc3339),
        "retentionSecs": a.retention_secs,
        "quota": a.quota_bytes,
        "used": a.used_bytes,
    })
}

pub fn mailbox(m: &Mailbox) -> Value {
    json!({
        "id": m.id.to_string(),
        "path": m.name.as_str(),
        "name": m.name.leaf(),
        "specialUse": m.special_use.map(special_use),
        "total": m.messages,
        "unseen": m.unseen,
        "size": m.bytes,
        "uidValidity": m.uidvalidity.0.get(),
        "uidNext": m.uidnext.map(|u| u.get()),
        "modifyIndex": m.modseq.get(),
        "subscribed": m.subscribed,
    })
}

/// RFC 6154 §2.
pub fn special_use(role: SpecialUse) -> &'static str {
    match role {
        SpecialUse::Archive => "\\Archive",
        SpecialUse::Drafts => "\\Drafts",
        SpecialUse::Junk => "\\Junk",
        SpecialUse::Sent => "\\Sent",
        SpecialUse::Trash => "\\Trash",
    }
}

/// A message as lists show it. `message` was read with details.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The UID.
    pub id: u32,
    pub mailbox: String,
    pub from: Option<AddressView>,
    pub to: Vec<AddressView>,
    pub cc: Vec<AddressView>,
    pub bcc: Vec<AddressView>,
    pub reply_to: Vec<AddressView>,
    pub subject: String,
    /// What the Date field says; when it says nothing readable, when the message came.
    pub date: String,
    /// When the message came (RFC 3501 §2.3.3).
    pub idate: String,
    pub intro: String,
    pub seen: bool,
    pub flagged: bool,
    pub answered: bool,
    pub deleted: bool,
    pub draft: bool,
    pub keywords: Vec<String>,
    /// Whether there are any.
    pub attachments: bool,
    pub size: u64,
    pub message_id: String,
    /// Opens the message on the public page `/message/{msgid}`.
    pub msgid: String,
    pub expires: Option<String>,
    pub modseq: u64,
}

impl App {
    pub fn summary(&self, at: MailboxRef, m: &Message) -> Summary {
        let structure = m.structure.clone().unwrap_or_else(|| std::sync::Arc::new(scan(b"")));
        let structure = &*structure;
        let e = &structure.envelope;
        let has = |flag| m.flags.has(flag);
        Summary {
            id: m.uid.get(),
            mailbox: at.mailbox.to_string(),
            from: addresses(&e.from).into_iter().next(),
            to: addresses(&e.to),
            cc: addresses(&e.cc),
            bcc: addresses(&e.bcc),
            reply_to: addresses(&e.reply_to),
            subject: text(e.subject.as_deref()),
            date: rfc3339(sent_at(structure).unwrap_or(m.internal_date)),
            idate: rfc3339(m.internal_date),
            intro: structure.preview.clone(),
            seen: has(SystemFlag::Seen),
            flagged: has(SystemFlag::Flagged),
            answered: has(SystemFlag::Answered),
            deleted: has(SystemFlag::Deleted),
            draft: has(SystemFlag::Draft),
            keywords: m.flags.keywords().iter().map(|k| k.as_str().to_owned()).collect(),
            attachments: !structure.attachments().is_empty(),
            size: m.size,
            message_id: text(e.message_id.as_deref()),
            msgid: self.services.message_ids.sign(at, m.uid),
            expires: m.expires_at.map(rfc3339),
            modseq: m.modseq.get(),
        }
    }
}

/// How a message was submitted.
pub fn delivery(d: &Delivery) -> Value {
    json!({
        "via": d.via,
        "mailFrom": d.mail_from,
        "mailParams": d.mail_params,
        "rcptTo": d.recipients.iter()
            .map(|r| json!({ "address": r.address, "params": r.params }))
            .collect::<Vec<_>>(),
        "clientAddress": d.client_address,
        "helo": d.helo,
        "tls": d.tls,
        "authenticatedAs": d.authenticated_as,
        "received": rfc3339(d.received_at),
    })
}

/// A header value, decoded; empty when it is not there.
pub fn text(value: Option<&[u8]>) -> String {
    value.map(decode_text).unwrap_or_default()
}

/// Addresses with groups opened.
pub fn addresses(list: &[EnvelopeAddress]) -> Vec<AddressView> {
    list.iter()
        .filter_map(|a| match a {
            EnvelopeAddress::Mailbox { name, local, domain } => {
                let (local, domain) = (String::from_utf8_lossy(local), String::from_utf8_lossy(domain));
                let address =
                    if domain.is_empty() { local.into_owned() } else { format!("{local}@{domain}") };
                Some(AddressView { name: text(name.as_deref()), address })
            }
            EnvelopeAddress::GroupStart(_) | EnvelopeAddress::GroupEnd => None,
        })
        .collect()
}

/// What the Date field says, if it says a date.
pub fn sent_at(structure: &Structure) -> Option<Timestamp> {
    let date = String::from_utf8_lossy(structure.envelope.date.as_deref()?).into_owned();
    let parsed = mail_parser::DateTime::parse_rfc822(&date)?;
    parsed.is_valid().then(|| Timestamp::from_secs(parsed.to_timestamp()))
}
