//! Collects the beginning of the first readable text while a message is scanned (RFC 8970).

use super::{Part, decode_charset};

/// Bytes kept of a text, before decoding.
const KEEP: usize = 4096;
/// RFC 8970 §3.1.
const CHARACTERS: usize = 200;

/// The first text/plain, else the first text/html, of a message.
#[derive(Debug, Default)]
pub(super) struct Collector {
    plain: Option<(Box<Part>, Vec<u8>)>,
    html: Option<(Box<Part>, Vec<u8>)>,
    active: Active,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Active {
    #[default]
    Nothing,
    Plain,
    Html,
}

impl Collector {
    /// The body of a leaf begins.
    pub fn begin(&mut self, part: &Part) {
        let attached = part.disposition.as_ref().is_some_and(|d| d.kind.eq_ignore_ascii_case("attachment"));
        self.active = Active::Nothing;
        if attached {
            return;
        }
        let slot = if part.content_type.is("text", "plain") {
            self.active = Active::Plain;
            &mut self.plain
        } else if part.content_type.is("text", "html") {
            self.active = Active::Html;
            &mut self.html
        } else {
            return;
        };
        match slot {
            None => *slot = Some((Box::new(part.clone()), Vec::new())),
            Some(_) => self.active = Active::Nothing,
        }
    }

    pub fn pause(&mut self) {
        self.active = Active::Nothing;
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let slot = match self.active {
            Active::Nothing => return,
            Active::Plain => &mut self.plain,
            Active::Html => &mut self.html,
        };
        if let Some((_, kept)) = slot {
            let room = KEEP - kept.len();
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if room <= bytes.len() {
                self.active = Active::Nothing;
            }
        }
    }

    pub fn finish(&mut self) -> String {
        let plain = self.plain.take().map(|(part, bytes)| fold(&decode_charset(&part, cut(&bytes))));
        if let Some(text) = plain.filter(|t| !t.is_empty()) {
            return text;
        }
        let html = self.html.take().map(|(part, bytes)| without_tags(&decode_charset(&part, cut(&bytes))));
        html.map(|t| fold(&t)).unwrap_or_default()
    }
}

/// The boundary line after a short text was collected as well: it is no text. Nor is half a line of base64.
fn cut(bytes: &[u8]) -> &[u8] {
    let mut end = bytes.len();
    if let Some(at) = memchr::memrchr(b'\n', &bytes[..end.saturating_sub(1)])
        && bytes[at + 1..].starts_with(b"--")
    {
        end = at;
    }
    &bytes[..end]
}

/// White space runs as one space, at most [`CHARACTERS`].
fn fold(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        let room = CHARACTERS.saturating_sub(out.chars().count() + 1);
        if room == 0 {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().filter(|c| !c.is_control()).take(room));
    }
    out
}

/// HTML as text, roughly: tags, comments, scripts and styles left out, the commonest entities decoded.
fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        out.push(' ');
        rest = &rest[at..];
        let lower: String = rest.chars().take(8).collect::<String>().to_ascii_lowercase();
        let until = if lower.starts_with("<!--") {
            "-->"
        } else if lower.starts_with("<style") {
            "</style>"
        } else if lower.starts_with("<script") {
            "</script>"
        } else {
            ">"
        };
        let end = rest.to_ascii_lowercase().find(until).map(|i| i + until.len());
        rest = end.map_or("", |end| &rest[end..]);
    }
    out.push_str(rest);
    for (entity, text) in
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        out = out.replace(entity, text);
    }
    out
}
