//! Transfer encodings and charsets.

use super::Part;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Takes what mailers leave out or get wrong: padding and stray last bits.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// `body` (the bytes of a leaf) with its transfer encoding undone; an unknown encoding leaves it as it is.
/// Damaged input gives what can be decoded.
pub fn decode_transfer(part: &Part, body: &[u8]) -> Vec<u8> {
    match part.encoding.to_ascii_lowercase().as_str() {
        "base64" => decode_base64(body),
        "quoted-printable" => decode_quoted_printable(body),
        _ => body.to_vec(),
    }
}

/// `body` (the bytes of a text leaf) as Unicode: transfer encoding and charset undone.
pub fn decode_charset(part: &Part, body: &[u8]) -> String {
    let bytes = decode_transfer(part, body);
    let charset = part.content_type.param("charset").map(String::from_utf8_lossy).unwrap_or_default();
    match to_unicode(charset.trim(), &bytes) {
        Some(text) => text,
        None => match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => encoding_rs::WINDOWS_1252.decode(e.as_bytes()).0.into_owned(),
        },
    }
}

/// `text` in the charset of that name as Unicode; `None` if the charset is not known.
pub fn to_unicode(charset: &str, text: &[u8]) -> Option<String> {
    // A text that says US-ASCII or nothing and is UTF-8 all the same is taken at its bytes.
    if ["us-ascii", "ascii", "utf-8", "utf8"].iter().any(|c| charset.eq_ignore_ascii_case(c)) {
        return Some(match std::str::from_utf8(text) {
            Ok(text) => text.to_owned(),
            Err(_) if charset.len() > 5 => encoding_rs::WINDOWS_1252.decode(text).0.into_owned(),
            Err(_) => String::from_utf8_lossy(text).into_owned(),
        });
    }
    if let Some(encoding) = encoding_rs::Encoding::for_label(charset.as_bytes()) {
        return Some(encoding.decode_without_bom_handling(text).0.into_owned());
    }
    // What the web's list of encodings lacks, UTF-7 above all.
    let decode = mail_parser::decoders::charsets::map::charset_decoder(charset.as_bytes())?;
    Some(decode(text))
}

/// Base64 with everything that is no digit passed over; decoding ends at the padding.
pub(super) fn decode_base64(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .take_while(|b| *b != b'=')
        .filter(|b| b.is_ascii_alphanumeric() || *b == b'+' || *b == b'/')
        .collect();
    // A single left-over digit holds no byte.
    let whole = if digits.len() % 4 == 1 { &digits[..digits.len() - 1] } else { &digits[..] };
    TOLERANT.decode(whole).unwrap_or_default()
}

/// RFC 2045 §6.7; what is no valid escape stays as it is, white space at line ends goes.
pub(super) fn decode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let digit = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16)).map(|d| d as u8);
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|b| *b == b'\n') {
        let content = line.trim_ascii_end();
        let line_break: &[u8] = if line.ends_with(b"\r\n") {
            b"\r\n"
        } else if line.ends_with(b"\n") {
            b"\n"
        } else {
            b""
        };
        let (content, soft) = match content.strip_suffix(b"=") {
            Some(content) => (content, true),
            None => (content, false),
        };
        let mut i = 0;
        while i < content.len() {
            match (content[i], digit(content.get(i + 1)), digit(content.get(i + 2))) {
                (b'=', Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    i += 3;
                }
                (b, _, _) => {
                    out.push(b);
                    i += 1;
                }
            }
        }
        if !soft {
            out.extend_from_slice(line_break);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_is_tolerant() {
        for (text, expected) in [
            ("sch=C3=B6n=\r\n er  \r\nend", "schön er\r\nend"),
            ("a=3", "a=3"),
            ("a=zz", "a=zz"),
            ("a=", "a"),
            ("", ""),
            ("x=3d\n", "x=\n"),
        ] {
            assert_eq!(
                String::from_utf8(decode_quoted_printable(text.as_bytes())).unwrap(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn base64_is_tolerant() {
        for (text, expected) in [
            ("SGVs\r\nbG8=", "Hello"),
            ("SGVsbG8", "Hello"),
            ("SGVs!bG8=garbage", "Hello"),
            ("S", ""),
            ("", ""),
        ] {
            assert_eq!(decode_base64(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn charsets_are_known_by_many_names() {
        assert_eq!(to_unicode("ISO-8859-1", b"\xfc").as_deref(), Some("ü"));
        assert_eq!(to_unicode("utf-8", "ü".as_bytes()).as_deref(), Some("ü"));
        assert_eq!(to_unicode("koi8-r", b"\xd0").as_deref(), Some("п"));
        assert_eq!(to_unicode("utf-7", b"+APw-").as_deref(), Some("ü"));
        assert_eq!(to_unicode("no-such", b"x"), None);
    }
}
