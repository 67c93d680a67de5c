//! What has to be known and changed of a message on standard input before it can be submitted.

use gadwall_storage::mime::{EnvelopeAddress, fields, scan};

/// Line breaks as SMTP wants them: LF alone becomes CRLF.
pub fn with_crlf(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len() + input.len() / 32);
    for (i, &byte) in input.iter().enumerate() {
        if byte == b'\n' && (i == 0 || input[i - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// Addresses in To, Cc and Bcc.
pub fn recipients(message: &[u8]) -> Vec<String> {
    let envelope = &scan(message).envelope;
    [&envelope.to, &envelope.cc, &envelope.bcc].into_iter().flatten().filter_map(address).collect()
}

/// The first address in From.
pub fn sender(message: &[u8]) -> Option<String> {
    scan(message).envelope.from.iter().find_map(address)
}

fn address(entry: &EnvelopeAddress) -> Option<String> {
    match entry {
        EnvelopeAddress::Mailbox { local, domain, .. } => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (local, domain) = (text(local), text(domain));
            Some(if domain.is_empty() { local } else { format!("{local}@{domain}") })
        }
        _ => None,
    }
}

/// Without its Bcc fields: those are for the envelope only (RFC 5322 §3.6.3).
pub fn without_bcc(message: &[u8]) -> Vec<u8> {
    let end = scan(message).root.header.end as usize;
    let mut out = Vec::with_capacity(message.len());
    let mut at = 0;
    for field in fields(&message[..end]) {
        if field.name.eq_ignore_ascii_case(b"Bcc") {
            out.extend_from_slice(&message[at..field.raw.start]);
            at = field.raw.end;
        }
    }
    out.extend_from_slice(&message[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_come_from_the_header_and_bcc_leaves_it() {
        let message = b"From: a@x.org\r\nTo: B <b@x.org>, c@x.org\r\nBcc: d@x.org,\r\n e@x.org\r\nCc: f@x.org\r\n\r\nBcc: no\r\n";
        assert_eq!(recipients(message), ["b@x.org", "c@x.org", "f@x.org", "d@x.org", "e@x.org"]);
        assert_eq!(sender(message).as_deref(), Some("a@x.org"));
        let text = String::from_utf8(without_bcc(message)).unwrap();
        assert!(
            !text.contains("d@x.org") && !text.contains("e@x.org") && text.ends_with("\r\n\r\nBcc: no\r\n")
        );
        assert!(text.contains("Cc: f@x.org"));
    }

    #[test]
    fn lines_end_in_crlf_once() {
        assert_eq!(with_crlf(b"a\nb\r\n\nc"), b"a\r\nb\r\n\r\nc");
    }
}
