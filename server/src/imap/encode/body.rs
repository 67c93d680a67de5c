//! BODY and BODYSTRUCTURE (RFC 3501 §7.4.2).

use super::{envelope, nstring, string};
use gadwall_storage::mime::{Content, Disposition, Part};

/// Whether extension data are wanted: BODYSTRUCTURE has them, BODY not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extensions {
    Yes,
    No,
}

pub fn body_structure(part: &Part, extensions: Extensions, out: &mut Vec<u8>) {
    out.push(b'(');
    match &part.content {
        Content::Multipart(parts) => multipart(part, parts, extensions, out),
        Content::Message(_) | Content::Leaf => single(part, extensions, out),
    }
    out.push(b')');
}

fn multipart(part: &Part, parts: &[Part], extensions: Extensions, out: &mut Vec<u8>) {
    parts.iter().for_each(|child| body_structure(child, extensions, out));
    if parts.is_empty() {
        // §9: at least one body. Clients have crashed on none.
        out.extend_from_slice(b"(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 0 0");
        if extensions == Extensions::Yes {
            out.extend_from_slice(b" NIL NIL NIL NIL");
        }
        out.push(b')');
    }
    out.push(b' ');
    capitals(&part.content_type.subtype, out);
    if extensions == Extensions::Yes {
        out.push(b' ');
        params(&part.content_type.params, out);
        common_extensions(part, out);
    }
}

fn single(part: &Part, extensions: Extensions, out: &mut Vec<u8>) {
    if part.content_type.is("multipart", "*") {
        // RFC 3501 §7.4.2: a multipart has its parts where others have their type. One too deep to be looked into is
        // opaque; RFC 2046 §4 treats what is not understood as this.
        out.extend_from_slice(b"\"APPLICATION\" \"OCTET-STREAM\" ");
    } else {
        capitals(&part.content_type.type_, out);
        out.push(b' ');
        capitals(&part.content_type.subtype, out);
        out.push(b' ');
    }
    params(&part.content_type.params, out);
    out.push(b' ');
    nstring(part.id.as_deref(), out);
    out.push(b' ');
    nstring(part.description.as_deref(), out);
    out.push(b' ');
    capitals(&part.encoding, out);
    out.extend_from_slice(format!(" {}", part.body.end - part.body.start).as_bytes());
    match &part.content {
        Content::Message(embedded) => {
            out.push(b' ');
            envelope(&embedded.envelope, out);
            out.push(b' ');
            body_structure(&embedded.part, extensions, out);
            out.extend_from_slice(format!(" {}", part.lines).as_bytes());
        }
        _ if part.content_type.is("text", "*") => {
            out.extend_from_slice(format!(" {}", part.lines).as_bytes())
        }
        // §9: body-type-msg can't be told from another by its form, so it needs its fields, even if the inner message
        // can't be looked into.
        _ if part.content_type.is("message", "rfc822") => {
            out.extend_from_slice(b" (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
            out.extend_from_slice(b" (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0");
            if extensions == Extensions::Yes {
                out.extend_from_slice(b" NIL NIL NIL NIL");
            }
            out.extend_from_slice(format!(") {}", part.lines).as_bytes());
        }
        _ => {}
    }
    if extensions == Extensions::Yes {
        out.push(b' ');
        nstring(part.md5.as_deref(), out);
        common_extensions(part, out);
    }
}

/// Disposition, language, location.
fn common_extensions(part: &Part, out: &mut Vec<u8>) {
    out.push(b' ');
    match &part.disposition {
        None => out.extend_from_slice(b"NIL"),
        Some(Disposition { kind, params: values }) => {
            out.push(b'(');
            string(kind.as_bytes(), out);
            out.push(b' ');
            params(values, out);
            out.push(b')');
        }
    }
    out.push(b' ');
    match &part.language[..] {
        [] => out.extend_from_slice(b"NIL"),
        [one] => string(one.as_bytes(), out),
        several => {
            out.push(b'(');
            for (i, language) in several.iter().enumerate() {
                if i > 0 {
                    out.push(b' ');
                }
                string(language.as_bytes(), out);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    nstring(part.location.as_deref(), out);
}

fn params(params: &[(String, Vec<u8>)], out: &mut Vec<u8>) {
    if params.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for (i, (name, value)) in params.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        capitals(name, out);
        out.push(b' ');
        string(value, out);
    }
    out.push(b')');
}

fn capitals(word: &str, out: &mut Vec<u8>) {
    string(word.to_ascii_uppercase().as_bytes(), out);
}
