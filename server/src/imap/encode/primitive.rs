//! Strings, flags, dates.

use crate::imap::decode::is_atom_char;
use crate::imap::mutf7;
use crate::imap::types::Text;
use crate::time::Civil;
use gadwall_storage::{EmailId, Flags, MailboxId, MailboxName, SystemFlag, Timestamp};

/// Longest quoted string; longer ones go as literals.
const QUOTED_LIMIT: usize = 1000;

/// A quoted string if it can be one, else a literal (RFC 3501 §4.3).
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    let quotable = text.len() <= QUOTED_LIMIT && text.iter().all(|b| (0x20..0x7f).contains(b) || *b == b'\t');
    if !quotable {
        // RFC 3501 §9: a literal holds any octet but NUL.
        let clean: Vec<u8> = text.iter().copied().filter(|b| *b != 0).collect();
        out.extend_from_slice(format!("{{{}}}\r\n", clean.len()).as_bytes());
        out.extend_from_slice(&clean);
        return;
    }
    quoted(text, out);
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// An atom if it can be one.
pub fn astring(text: &[u8], out: &mut Vec<u8>) {
    match !text.is_empty() && text.iter().copied().all(is_atom_char) {
        true => out.extend_from_slice(text),
        false => string(text, out),
    }
}

pub fn nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => string(text, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// As [`nstring`]; what holds a NUL is a literal8 (RFC 3516 §4.4).
pub fn nstring8(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) if text.contains(&0) => {
            out.extend_from_slice(format!("~{{{}}}\r\n", text.len()).as_bytes());
            out.extend_from_slice(text);
        }
        text => nstring(text, out),
    }
}

/// A mailbox name as it travels.
pub fn mailbox(name: &MailboxName, text: Text, out: &mut Vec<u8>) {
    encoded_name(name.as_str(), text, out);
}

/// A name or a part of one.
pub fn encoded_name(name: &str, text: Text, out: &mut Vec<u8>) {
    let wire = mutf7::to_wire(name, text);
    // RFC 9051 §4.3: a quoted string may hold UTF-8, whose characters have no octet that means anything else.
    match text {
        Text::Utf8 if wire.len() <= QUOTED_LIMIT && !wire.contains(char::is_control) => {
            quoted(wire.as_bytes(), out)
        }
        _ => string(wire.as_bytes(), out),
    }
}

/// RFC 8474 §4: begins with a letter, and with another one for every kind of object.
pub fn mailbox_id(id: MailboxId) -> String {
    format!("F{id}")
}

pub fn email_id(id: EmailId) -> String {
    format!("M{id}")
}

pub fn system_flag(flag: SystemFlag) -> &'static str {
    match flag {
        SystemFlag::Seen => "\\Seen",
        SystemFlag::Answered => "\\Answered",
        SystemFlag::Flagged => "\\Flagged",
        SystemFlag::Deleted => "\\Deleted",
        SystemFlag::Draft => "\\Draft",
    }
}

/// Whether a message is `\Recent` to this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recent {
    Yes,
    No,
}

/// `(\Seen keyword)`
pub fn flags(flags: &Flags, recent: Recent, out: &mut Vec<u8>) {
    let mut words: Vec<&str> = flags.system().map(system_flag).collect();
    words.extend(flags.keywords().iter().map(|k| k.as_str()));
    if recent == Recent::Yes {
        words.push("\\Recent");
    }
    out.extend_from_slice(format!("({})", words.join(" ")).as_bytes());
}

/// `" 7-Feb-1994 21:52:25 +0000"`
pub fn date_time(time: Timestamp, out: &mut Vec<u8>) {
    let t = Civil::of(time);
    let text = format!(
        "\"{:2}-{}-{:04} {:02}:{:02}:{:02} +0000\"",
        t.day,
        t.month_name(),
        t.year,
        t.hour,
        t.minute,
        t.second
    );
    out.extend_from_slice(text.as_bytes());
}
