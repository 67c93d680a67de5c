//! Header fields.

use std::ops::Range;

/// Longest value kept, in bytes.
const MAX_VALUE: usize = 64 << 10;

/// One field of a header block, by its place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a [u8],
    /// The field as it stands, folded lines and final line break included.
    pub raw: Range<usize>,
    /// The value as it stands, from after the colon to before the final line break.
    pub value: &'a [u8],
}

/// The fields of a header block, in order. Lines that are no field are skipped.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < header.len() {
            let raw = at..field_end(header, at);
            at = raw.end;
            if let Some(field) = field_at(header, raw) {
                return Some(field);
            }
        }
        None
    })
}

/// Where the line at `at` ends, with the folded lines that follow it.
fn field_end(header: &[u8], mut at: usize) -> usize {
    loop {
        at = memchr::memchr(b'\n', &header[at..]).map_or(header.len(), |n| at + n + 1);
        match header.get(at) {
            // RFC 5322 §2.2.3: a line that begins with white space goes on with the one before, unless it is
            // the empty line.
            Some(b' ' | b'\t') => {}
            _ => return at,
        }
    }
}

fn field_at(header: &[u8], raw: Range<usize>) -> Option<Field<'_>> {
    let text = &header[raw.clone()];
    let colon = memchr::memchr(b':', text)?;
    // RFC 5322 §4.5.8: white space before the colon is obsolete, yet seen.
    let name = text[..colon].trim_ascii_end();
    if name.is_empty() || !name.iter().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let value = &text[colon + 1..];
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    Some(Field { name, raw, value })
}

/// The first field of that name (without case), unfolded and trimmed.
pub fn field(header: &[u8], name: &str) -> Option<Vec<u8>> {
    field_value(header, name)
}

pub(super) fn field_value(header: &[u8], name: &str) -> Option<Vec<u8>> {
    let found = fields(header).find(|f| f.name.eq_ignore_ascii_case(name.as_bytes()))?;
    let mut value = unfold(found.value);
    value.truncate(MAX_VALUE);
    Some(value)
}

/// Line breaks taken out (RFC 5322 §2.2.3), NULs too, the ends trimmed.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let kept: Vec<u8> = value.iter().copied().filter(|b| !b"\r\n\0".contains(b)).collect();
    kept.trim_ascii().to_vec()
}

/// A value unfolded (RFC 5322 §2.2.3), encoded words (RFC 2047) decoded, charset guessed if 8-bit.
pub fn decode_text(value: &[u8]) -> String {
    let value = unfold(value);
    let text = match String::from_utf8(value) {
        Ok(text) => text,
        // Not UTF-8, so most likely a western single-byte charset.
        Err(e) => encoding_rs::WINDOWS_1252.decode(e.as_bytes()).0.into_owned(),
    };
    if !text.contains("=?") {
        return text;
    }
    decode_words(&text)
}

fn decode_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // RFC 2047 §6.2: white space between two encoded words is not shown; neighbours of one charset are joined
    // before decoding, since mailers cut characters in two.
    let mut pending: Option<(String, Vec<u8>)> = None;
    while let Some(at) = rest.find("=?") {
        let between = &rest[..at];
        let Some((charset, bytes, len)) = encoded_word(&rest[at..]) else {
            flush(&mut pending, &mut out);
            out.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
            continue;
        };
        if pending.is_none() || !between.trim().is_empty() {
            flush(&mut pending, &mut out);
            out.push_str(between);
        }
        match &mut pending {
            Some((before, all)) if before.eq_ignore_ascii_case(&charset) => all.extend(bytes),
            _ => {
                flush(&mut pending, &mut out);
                pending = Some((charset, bytes));
            }
        }
        rest = &rest[at + len..];
    }
    flush(&mut pending, &mut out);
    out.push_str(rest);
    out.retain(|c| !c.is_control() || c == '\t');
    out
}

fn flush(pending: &mut Option<(String, Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = pending.take() {
        match super::to_unicode(&charset, &bytes) {
            Some(text) => out.push_str(&text),
            None => out.push_str(&String::from_utf8_lossy(&bytes)),
        }
    }
}

/// `=?charset?encoding?text?=` at the start of `text`: charset, bytes, and how long it is.
fn encoded_word(text: &str) -> Option<(String, Vec<u8>, usize)> {
    let inner = text.strip_prefix("=?")?;
    let (charset, rest) = inner.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let end = rest.find("?=")?;
    let payload = &rest[..end];
    if charset.is_empty() || charset.contains(' ') || payload.contains(['\r', '\n']) {
        return None;
    }
    let bytes = match encoding {
        "b" | "B" => super::decode_base64(payload.as_bytes()),
        "q" | "Q" => super::decode_quoted_printable(payload.replace('_', "=20").as_bytes()),
        _ => return None,
    };
    // RFC 2231 §5: a language may follow the charset.
    let charset = charset.split('*').next().unwrap_or_default().to_owned();
    let len = 2 + (inner.len() - rest.len()) + end + 2;
    Some((charset, bytes, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_with_their_folds() {
        let header = b"A: 1\r\nB : 2\r\n 3\r\nno field\r\nC:\r\n\r\n";
        let found: Vec<_> = fields(header).map(|f| (f.name, f.raw.clone(), f.value)).collect();
        assert_eq!(
            found,
            [
                (&b"A"[..], 0..6, &b" 1"[..]),
                (&b"B"[..], 6..17, &b" 2\r\n 3"[..]),
                (&b"C"[..], 27..31, &b""[..])
            ]
        );
        assert_eq!(field(header, "b"), Some(b"2 3".to_vec()));
        assert_eq!(field(header, "d"), None);
    }

    #[test]
    fn encoded_words_are_decoded_and_joined() {
        for (value, expected) in [
            ("plain", "plain"),
            ("=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus =?ISO-8859-1?B?S/ZsbiE=?=", "Grüße aus Köln!"),
            ("=?utf-8?b?8J+m?= =?utf-8?b?hg==?=", "🦆"),
            ("=?utf-8?q?a_b?=\r\n =?utf-8?q?c?=", "a bc"),
            ("=?unclosed", "=?unclosed"),
            ("=?x?y?z?=", "=?x?y?z?="),
            ("a =?utf-8?q?b?=c", "a bc"),
            ("=?utf-8*en?q?lang?=", "lang"),
        ] {
            assert_eq!(decode_text(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(decode_text(b"caf\xe9"), "café");
    }
}
