//! The lines the server puts before a message: Return-Path (RFC 5321 §4.4), and Received for mail that came from
//! another server.

use crate::net::TlsInfo;
use crate::smtp::Role;
use crate::time::rfc5322;
use gadwall_storage::Timestamp;
use std::net::IpAddr;

/// What is known when the content begins.
pub struct Trace<'a> {
    pub mail_from: &'a str,
    /// The only recipient; several are not told of each other.
    pub recipient: Option<&'a str>,
    pub helo: &'a str,
    /// Whether the client said EHLO or LHLO.
    pub extended: bool,
    pub utf8: bool,
    pub peer: IpAddr,
    pub tls: Option<&'a TlsInfo>,
    pub hostname: &'a str,
    pub id: String,
    pub now: Timestamp,
}

impl Trace<'_> {
    /// The lines for this door. Submission adds nothing but Return-Path, as Ethereal does.
    pub fn lines(&self, role: &Role) -> String {
        // The grammar let no control character into an address, so it goes in as it was written.
        let return_path = format!("Return-Path: <{}>\r\n", self.mail_from);
        match role {
            Role::Submission { .. } => return_path,
            Role::Exchanger | Role::Lmtp => return_path + &self.received(role),
        }
    }

    fn received(&self, role: &Role) -> String {
        let address = match self.peer.to_canonical() {
            IpAddr::V4(v4) => format!("[{v4}]"),
            IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
        };
        let tls = self.tls.map_or(String::new(), |tls| {
            format!("\r\n\t(using {} with cipher {})", printable(&tls.version), printable(&tls.cipher))
        });
        let recipient = self.recipient.map_or(String::new(), |to| format!("\r\n\tfor <{to}>"));
        format!(
            "Received: from {} ({address}){tls}\r\n\tby {} (Gadwall) with {} id {}{recipient};\r\n\t{}\r\n",
            printable(self.helo),
            self.hostname,
            self.protocol(role),
            self.id,
            rfc5322(self.now),
        )
    }

    /// RFC 3848 §3 and RFC 6531 §3.7.3.
    fn protocol(&self, role: &Role) -> String {
        let base = match (role, self.extended, self.utf8) {
            (Role::Lmtp, _, false) => "LMTP",
            (Role::Lmtp, _, true) => "UTF8LMTP",
            (_, false, _) => return "SMTP".into(),
            (_, true, false) => "ESMTP",
            (_, true, true) => "UTF8SMTP",
        };
        if self.tls.is_some() { format!("{base}S") } else { base.into() }
    }
}

/// A peer's text, made harmless inside a header line, which is ASCII unless the envelope says otherwise.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() && !"()<>;\"\\".contains(c) { c } else { '?' }).collect()
}
