//! ENVELOPE (RFC 3501 §7.4.2).

use super::{nstring, string};
use gadwall_storage::mime::{Envelope, EnvelopeAddress};

pub fn envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    // §7.4.2: an absent or empty Sender or Reply-To is that of From.
    let or_from = |list: &'_ Vec<EnvelopeAddress>| {
        if list.is_empty() { envelope.from.clone() } else { list.clone() }
    };
    out.push(b'(');
    nstring(envelope.date.as_deref(), out);
    out.push(b' ');
    nstring(envelope.subject.as_deref(), out);
    let lists = [
        envelope.from.clone(),
        or_from(&envelope.sender),
        or_from(&envelope.reply_to),
        envelope.to.clone(),
        envelope.cc.clone(),
        envelope.bcc.clone(),
    ];
    for list in &lists {
        out.push(b' ');
        addresses(list, out);
    }
    out.push(b' ');
    nstring(envelope.in_reply_to.as_deref(), out);
    out.push(b' ');
    nstring(envelope.message_id.as_deref(), out);
    out.push(b')');
}

fn addresses(list: &[EnvelopeAddress], out: &mut Vec<u8>) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for entry in list {
        match entry {
            EnvelopeAddress::Mailbox { name, local, domain } => {
                out.push(b'(');
                nstring(name.as_deref(), out);
                out.extend_from_slice(b" NIL ");
                string(local, out);
                out.push(b' ');
                // NIL here would mean a group: an address without a domain has an empty one.
                string(domain, out);
                out.push(b')');
            }
            EnvelopeAddress::GroupStart(name) => {
                out.extend_from_slice(b"(NIL NIL ");
                string(name, out);
                out.extend_from_slice(b" NIL)");
            }
            EnvelopeAddress::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        }
    }
    out.push(b')');
}
