//! Sections of a message (RFC 3501 §6.4.5): where they are in its bytes, and how they are named in an answer.

use crate::imap::encode::string;
use crate::imap::types::{Partial, Section, SectionText};
use gadwall_storage::mime::{Content, Structure, fields};
use gadwall_storage::{BodyReader, StoreError, read_range};
use std::ops::Range;

/// Where a section's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A stretch of the message.
    Range(Range<u64>),
    /// Some fields of the header in that stretch.
    Fields(Range<u64>, Fields),
    /// There is no such part.
    Nowhere,
}

/// Which fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    These(Vec<Vec<u8>>),
    AllBut(Vec<Vec<u8>>),
}

pub fn locate(structure: &Structure, section: &Section) -> Place {
    let (header, body) = if section.path.is_empty() {
        match section.text {
            SectionText::All => return Place::Range(0..structure.size),
            SectionText::Mime => return Place::Nowhere,
            _ => (structure.root.header.clone(), structure.root.header.end..structure.size),
        }
    } else {
        let Some(part) = structure.part(&section.path) else { return Place::Nowhere };
        match (&section.text, &part.content) {
            (SectionText::All, _) => return Place::Range(part.body.clone()),
            (SectionText::Mime, _) => return Place::Range(part.header.clone()),
            (_, Content::Message(inner)) => (inner.part.header.clone(), inner.part.header.end..part.body.end),
            // Only a message has a HEADER and a TEXT.
            _ => return Place::Nowhere,
        }
    };
    match &section.text {
        SectionText::Header => Place::Range(header),
        SectionText::HeaderFields(names) => Place::Fields(header, Fields::These(names.clone())),
        SectionText::HeaderFieldsNot(names) => Place::Fields(header, Fields::AllBut(names.clone())),
        SectionText::Text | SectionText::All | SectionText::Mime => Place::Range(body),
    }
}

/// As much of a header as fields are chosen from, in bytes.
const HEADER_LIMIT: u64 = 4 << 20;

/// The chosen fields of the header in that stretch of a message.
pub async fn read_fields(
    body: &mut dyn BodyReader,
    header: &Range<u64>,
    wanted: &Fields,
) -> Result<Vec<u8>, StoreError> {
    let window = header.start..header.end.min(header.start.saturating_add(HEADER_LIMIT));
    Ok(select(&read_range(body, window).await?, wanted))
}

/// The chosen fields of a header block, with the empty line that ends every header (§6.4.5).
fn select(header: &[u8], wanted: &Fields) -> Vec<u8> {
    let listed = |names: &[Vec<u8>], name: &[u8]| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let mut out = Vec::new();
    for field in fields(header) {
        let keep = match wanted {
            Fields::These(names) => listed(names, field.name),
            Fields::AllBut(names) => !listed(names, field.name),
        };
        if keep {
            out.extend_from_slice(&header[field.raw]);
            if !out.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// `BODY[1.HEADER.FIELDS (From)]<0>`
pub fn write_name(section: &Section, partial: Option<Partial>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"BODY[");
    let numbers: Vec<String> = section.path.iter().map(u32::to_string).collect();
    out.extend_from_slice(numbers.join(".").as_bytes());
    if !section.path.is_empty() && section.text != SectionText::All {
        out.push(b'.');
    }
    match &section.text {
        SectionText::All => {}
        SectionText::Header => out.extend_from_slice(b"HEADER"),
        SectionText::Text => out.extend_from_slice(b"TEXT"),
        SectionText::Mime => out.extend_from_slice(b"MIME"),
        SectionText::HeaderFields(names) => write_fields(b"HEADER.FIELDS", names, out),
        SectionText::HeaderFieldsNot(names) => write_fields(b"HEADER.FIELDS.NOT", names, out),
    }
    out.push(b']');
    if let Some(partial) = partial {
        out.extend_from_slice(format!("<{}>", partial.first).as_bytes());
    }
}

fn write_fields(what: &[u8], names: &[Vec<u8>], out: &mut Vec<u8>) {
    out.extend_from_slice(what);
    out.extend_from_slice(b" (");
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        // Field names are atoms nearly always, and clients compare what they sent.
        if !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            out.extend_from_slice(name);
        } else {
            string(name, out);
        }
    }
    out.push(b')');
}

/// The part of `range` that a partial asks for (§6.4.5: what lies beyond the end is not there).
pub fn cut(range: &Range<u64>, partial: Option<Partial>) -> Range<u64> {
    match partial {
        None => range.clone(),
        Some(Partial { first, count }) => {
            let start = range.start.saturating_add(u64::from(first)).min(range.end);
            start..start.saturating_add(u64::from(count.get())).min(range.end)
        }
    }
}
