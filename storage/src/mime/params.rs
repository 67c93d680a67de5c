//! Content-Type, Content-Disposition and their kin (RFC 2045 §5.1, RFC 2183, RFC 2231).

use super::{ContentType, Disposition, to_unicode};
use std::collections::BTreeMap;

/// Parameters of one field that are kept.
const MAX_PARAMS: usize = 100;
/// Longest value kept, in bytes.
const MAX_VALUE: usize = 16 << 10;

/// Reads tokens, quoted strings and comments.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(value: &'a [u8]) -> Self {
        Cursor { rest: value }
    }

    /// Passes over white space and comments, nested ones included.
    pub fn skip_space(&mut self) {
        let mut depth = 0usize;
        while let Some((&b, rest)) = self.rest.split_first() {
            match b {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => {
                    self.rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                _ if depth > 0 || b.is_ascii_whitespace() => {}
                _ => return,
            }
            self.rest = rest;
        }
    }

    pub fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.rest.split_first() {
            Some((&b, rest)) if b == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        self.skip_space();
        let end = self.rest.iter().position(|b| is_special(*b)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A quoted string's content, unescaped; an unended one goes to the end.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        if !self.eat(b'"') {
            return None;
        }
        let mut out = Vec::new();
        while let Some((&b, rest)) = self.rest.split_first() {
            self.rest = rest;
            match b {
                b'"' => break,
                b'\\' => {
                    if let Some((&escaped, rest)) = rest.split_first() {
                        self.rest = rest;
                        out.push(escaped);
                    }
                }
                _ => out.push(b),
            }
        }
        Some(out)
    }

    /// A value as mailers write it: quoted, or everything up to the next `;`, spaces inside included.
    fn value(&mut self) -> Vec<u8> {
        if let Some(quoted) = self.quoted() {
            return quoted;
        }
        let end = self.rest.iter().position(|b| *b == b';').unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        let comment = value.windows(2).position(|w| w == b" (").unwrap_or(value.len());
        value[..comment].trim_ascii().to_vec()
    }
}

fn is_special(b: u8) -> bool {
    b.is_ascii_whitespace() || b.is_ascii_control() || b"()<>@,;:\\\"/[]?=".contains(&b)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `None` if it is no type at all: then the default of RFC 2045 §5.2 applies.
pub(super) fn content_type(value: &[u8]) -> Option<ContentType> {
    let mut cursor = Cursor::new(value);
    let type_ = cursor.token()?;
    if !cursor.eat(b'/') {
        return None;
    }
    let subtype = cursor.token()?;
    Some(ContentType { type_: text(type_), subtype: text(subtype), params: parameters(&mut cursor) })
}

pub(super) fn disposition(value: &[u8]) -> Option<Disposition> {
    let mut cursor = Cursor::new(value);
    let kind = text(cursor.token()?);
    Some(Disposition { kind, params: parameters(&mut cursor) })
}

/// The first token of a value.
pub(super) fn token(value: &[u8]) -> Option<String> {
    Cursor::new(value).token().map(text)
}

/// Content-Language: tags separated by commas (RFC 3282).
pub(super) fn language(value: &[u8]) -> Vec<String> {
    let tags = value.split(|b| *b == b',').filter_map(token);
    tags.take(MAX_PARAMS).collect()
}

/// One parameter's pieces by number (RFC 2231 §3), each with whether it is percent-encoded (§4).
type Pieces = BTreeMap<u32, (bool, Vec<u8>)>;

fn parameters(cursor: &mut Cursor<'_>) -> Vec<(String, Vec<u8>)> {
    let mut plain: Vec<(String, Vec<u8>)> = Vec::new();
    let mut extended: Vec<(String, Pieces)> = Vec::new();
    while plain.len() + extended.len() < MAX_PARAMS {
        cursor.skip_space();
        if cursor.rest.is_empty() {
            break;
        }
        if !cursor.eat(b';') {
            // Rubbish between parameters: on to the next one.
            let next = cursor.rest.iter().position(|b| *b == b';').unwrap_or(cursor.rest.len());
            cursor.rest = &cursor.rest[next..];
            continue;
        }
        let Some(name) = cursor.token().map(text) else { continue };
        if !cursor.eat(b'=') {
            continue;
        }
        let mut value = cursor.value();
        value.truncate(MAX_VALUE);
        match extended_name(&name) {
            None => {
                if !plain.iter().any(|(n, _)| n.eq_ignore_ascii_case(&name)) {
                    plain.push((name, value));
                }
            }
            Some((base, number, encoded)) => {
                let at = extended.iter().position(|(n, _)| n.eq_ignore_ascii_case(base));
                let at = at.unwrap_or_else(|| {
                    extended.push((base.to_owned(), Pieces::new()));
                    extended.len() - 1
                });
                extended[at].1.entry(number).or_insert((encoded, value));
            }
        }
    }
    for (name, pieces) in extended {
        let value = join(pieces);
        // RFC 2231's form is the better one of the two.
        plain.retain(|(n, _)| !n.eq_ignore_ascii_case(&name));
        plain.push((name, value));
    }
    plain
}

/// `filename*`, `filename*0`, `filename*0*` as name, number and whether it is encoded.
fn extended_name(name: &str) -> Option<(&str, u32, bool)> {
    let (base, rest) = name.split_once('*')?;
    let (number, encoded) = match rest.strip_suffix('*') {
        Some(number) => (number, true),
        None => (rest, rest.is_empty()),
    };
    let number = if number.is_empty() { 0 } else { number.parse().ok()? };
    (!base.is_empty()).then_some((base, number, encoded))
}

fn join(pieces: Pieces) -> Vec<u8> {
    let mut charset = String::new();
    let mut out = Vec::new();
    for (number, (encoded, value)) in pieces {
        if !encoded {
            out.extend_from_slice(&value);
            continue;
        }
        let mut value = value.as_slice();
        if number == 0 {
            let mut parts = value.splitn(3, |b| *b == b'\'');
            if let (Some(name), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                charset = text(name);
                value = rest;
            }
        }
        out.extend(percent_decode(value));
    }
    out.truncate(MAX_VALUE);
    match to_unicode(&charset, &out) {
        Some(unicode) => unicode.into_bytes(),
        None => out,
    }
}

fn percent_decode(value: &[u8]) -> Vec<u8> {
    let digit = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16)).map(|d| d as u8);
    let (mut out, mut i) = (Vec::with_capacity(value.len()), 0);
    while i < value.len() {
        match (value[i], digit(value.get(i + 1)), digit(value.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                i += 3;
            }
            (b, _, _) => {
                out.push(b);
                i += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params_of(value: &str) -> Vec<(String, String)> {
        let ct = content_type(value.as_bytes()).unwrap();
        ct.params.into_iter().map(|(n, v)| (n, String::from_utf8(v).unwrap())).collect()
    }

    #[test]
    fn parameters_are_read_as_mailers_write_them() {
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(params_of("text/plain; charset=utf-8 (comment)"), [pair("charset", "utf-8")]);
        assert_eq!(params_of(r#"a/b; n="q\"d;x"; rubbish; m=z"#), [pair("n", "q\"d;x"), pair("m", "z")]);
        assert_eq!(params_of("a/b; name=two words.txt"), [pair("name", "two words.txt")]);
        assert_eq!(params_of("a/b; x=1; X=2"), [pair("x", "1")]);
        assert_eq!(
            params_of("a/b; name*0*=utf-8''Gr%C3%BC; name*1=\"n.txt\"; name=g.txt"),
            [pair("name", "Grün.txt")]
        );
        assert_eq!(params_of("a/b; name*=iso-8859-1'de'%FC"), [pair("name", "ü")]);
    }

    #[test]
    fn what_is_no_type_is_none() {
        for bad in ["", "text", "/plain", "text/", ";charset=x", "(comment)"] {
            assert_eq!(content_type(bad.as_bytes()), None, "{bad}");
        }
    }
}
