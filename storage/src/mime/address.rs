//! Address lists (RFC 5322 §3.4, the obsolete forms of §4.4 included), tolerant of what mailers send.

use super::EnvelopeAddress;

/// Addresses of one field that are kept.
const MAX_ADDRESSES: usize = 5000;

/// Reads a field's value. Encoded words stay as they are; what is no address is left out.
pub(super) fn list(value: &[u8]) -> Vec<EnvelopeAddress> {
    let mut reader = Reader { rest: value, found: Vec::new(), in_group: false };
    while !reader.rest.is_empty() && reader.found.len() < MAX_ADDRESSES {
        reader.one();
    }
    if reader.in_group {
        reader.found.push(EnvelopeAddress::GroupEnd);
    }
    reader.found
}

struct Reader<'a> {
    rest: &'a [u8],
    found: Vec<EnvelopeAddress>,
    in_group: bool,
}

/// A stretch of an address.
enum Piece {
    Word(Vec<u8>),
    Quoted(Vec<u8>),
    /// `.` or `@`
    Mark(u8),
}

impl Reader<'_> {
    /// Reads one address, or the beginning or end of a group, with its separator.
    fn one(&mut self) {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut comment = None;
        while let Some((&b, rest)) = self.rest.split_first() {
            match b {
                b',' => {
                    self.rest = rest;
                    break;
                }
                b';' => {
                    self.rest = rest;
                    self.bare(pieces, comment);
                    if std::mem::take(&mut self.in_group) {
                        self.found.push(EnvelopeAddress::GroupEnd);
                    }
                    return;
                }
                b':' if !self.in_group && !pieces.is_empty() => {
                    self.rest = rest;
                    self.in_group = true;
                    return self.found.push(EnvelopeAddress::GroupStart(phrase(&pieces).unwrap_or_default()));
                }
                b'<' => {
                    self.rest = rest;
                    let (local, domain) = self.angle();
                    let name = phrase(&pieces).or(comment);
                    self.found.push(EnvelopeAddress::Mailbox { name, local, domain });
                    return self.skip_to_separator();
                }
                b'(' => comment = self.comment().or(comment),
                b'"' => pieces.push(Piece::Quoted(self.quoted())),
                b'.' | b'@' => {
                    self.rest = rest;
                    pieces.push(Piece::Mark(b));
                }
                _ if b.is_ascii_whitespace() || b == b':' || b == b'>' || b == b')' => self.rest = rest,
                _ => pieces.push(Piece::Word(self.word())),
            }
        }
        self.bare(pieces, comment);
    }

    /// An address without angle brackets; its name may stand in a comment behind it.
    fn bare(&mut self, pieces: Vec<Piece>, comment: Option<Vec<u8>>) {
        if pieces.is_empty() {
            return;
        }
        let (local, domain) = addr_spec(&pieces);
        self.found.push(EnvelopeAddress::Mailbox { name: comment, local, domain });
    }

    /// What stands between `<` and `>`; a source route before `:` is dropped (RFC 5322 §4.4).
    fn angle(&mut self) -> (Vec<u8>, Vec<u8>) {
        let mut pieces = Vec::new();
        while let Some((&b, rest)) = self.rest.split_first() {
            match b {
                b'>' => {
                    self.rest = rest;
                    break;
                }
                b':' => {
                    self.rest = rest;
                    pieces.clear();
                }
                b'(' => {
                    self.comment();
                }
                b'"' => pieces.push(Piece::Quoted(self.quoted())),
                b'.' | b'@' => {
                    self.rest = rest;
                    pieces.push(Piece::Mark(b));
                }
                _ if b.is_ascii_whitespace() || b",;<)".contains(&b) => self.rest = rest,
                _ => pieces.push(Piece::Word(self.word())),
            }
        }
        addr_spec(&pieces)
    }

    fn skip_to_separator(&mut self) {
        while let Some((&b, rest)) = self.rest.split_first() {
            match b {
                b',' => return self.rest = rest,
                b';' => return,
                b'(' => {
                    self.comment();
                }
                b'"' => {
                    self.quoted();
                }
                _ => self.rest = rest,
            }
        }
    }

    /// At `(`: the comment's text, nested ones included.
    fn comment(&mut self) -> Option<Vec<u8>> {
        let (mut depth, mut out) = (0usize, Vec::new());
        while let Some((&b, rest)) = self.rest.split_first() {
            self.rest = rest;
            match b {
                b'(' => {
                    depth += 1;
                    if depth == 1 {
                        continue;
                    }
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    if let Some((&escaped, rest)) = rest.split_first() {
                        self.rest = rest;
                        out.push(escaped);
                        continue;
                    }
                }
                _ => {}
            }
            out.push(b);
        }
        let text = out.trim_ascii().to_vec();
        (!text.is_empty()).then_some(text)
    }

    /// At `"`: the string's content, unescaped.
    fn quoted(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.rest = &self.rest[1..];
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
        out
    }

    fn word(&mut self) -> Vec<u8> {
        // A domain literal may hold anything up to its bracket.
        let literal = self.rest.starts_with(b"[");
        let end = self.rest.iter().position(|b| {
            if literal { *b == b']' } else { b.is_ascii_whitespace() || b"()<>@,;:\".".contains(b) }
        });
        let end = match end {
            Some(at) if literal => at + 1,
            Some(at) => at.max(1),
            None => self.rest.len(),
        };
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_vec()
    }
}

/// Words before `<` as a display name.
fn phrase(pieces: &[Piece]) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    let mut glue = true;
    for piece in pieces {
        match piece {
            Piece::Word(text) | Piece::Quoted(text) => {
                if !glue {
                    out.push(b' ');
                }
                out.extend_from_slice(text);
                glue = false;
            }
            Piece::Mark(b) => {
                out.push(*b);
                // `J. Doe` has its space, `a@b` has none.
                glue = *b == b'@';
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Local part and domain; without an `@` all is local part.
fn addr_spec(pieces: &[Piece]) -> (Vec<u8>, Vec<u8>) {
    let at = pieces.iter().rposition(|p| matches!(p, Piece::Mark(b'@')));
    let join = |pieces: &[Piece]| {
        let mut out = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Word(text) | Piece::Quoted(text) => out.extend_from_slice(text),
                Piece::Mark(b) => out.push(*b),
            }
        }
        out
    };
    match at {
        Some(at) => (join(&pieces[..at]), join(&pieces[at + 1..])),
        None => (join(pieces), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> Vec<String> {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        list(value.as_bytes())
            .iter()
            .map(|a| match a {
                EnvelopeAddress::Mailbox { name: Some(n), local, domain } => {
                    format!("{}<{}@{}>", text(n), text(local), text(domain))
                }
                EnvelopeAddress::Mailbox { name: None, local, domain } => {
                    format!("{}@{}", text(local), text(domain))
                }
                EnvelopeAddress::GroupStart(n) => format!("{}:", text(n)),
                EnvelopeAddress::GroupEnd => ";".into(),
            })
            .collect()
    }

    #[test]
    fn addresses_of_every_form() {
        for (value, expected) in [
            ("a@b.example", vec!["a@b.example"]),
            ("A B <a@b>, c@d", vec!["A B<a@b>", "c@d"]),
            ("\"Quoted, \\\"Name\\\"\" <a@b>", vec!["Quoted, \"Name\"<a@b>"]),
            ("a@b (Name in (nested) comment)", vec!["Name in (nested) comment<a@b>"]),
            ("Group: a@b, C <c@d>; e@f", vec!["Group:", "a@b", "C<c@d>", ";", "e@f"]),
            ("undisclosed-recipients:;", vec!["undisclosed-recipients:", ";"]),
            ("J. R. Doe <j@d>", vec!["J. R. Doe<j@d>"]),
            ("<@route.example,@two:a@b>", vec!["a@b"]),
            ("\"odd local\"@b", vec!["odd local@b"]),
            ("a@[192.0.2.1]", vec!["a@[192.0.2.1]"]),
            ("=?utf-8?q?J=C3=B6rg?= <j@d>", vec!["=?utf-8?q?J=C3=B6rg?=<j@d>"]),
            ("nobody", vec!["nobody@"]),
            (", ,a@b,,", vec!["a@b"]),
            ("<>", vec!["@"]),
            ("Open: a@b", vec!["Open:", "a@b", ";"]),
            ("", vec![]),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
    }

    #[test]
    fn rubbish_ends() {
        for value in ["<", "\"", "(", "((((", "\\", "@", "::::", ";;;;", "a<b<c<d", "[", "\"\\"] {
            list(value.as_bytes());
        }
    }
}
