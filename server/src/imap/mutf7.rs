//! Modified UTF-7, in which mailbox names travel (RFC 3501 §5.1.3).

use super::types::Text;
use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use std::borrow::Cow;

const ENGINE: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// A mailbox name as it came. Neither form takes a name in the other: in UTF-8 `&` is only itself.
pub fn from_wire(name: &[u8], text: Text) -> Result<String, &'static str> {
    match text {
        Text::Ascii => decode(name),
        Text::Utf8 => {
            String::from_utf8(name.to_vec()).map_err(|_| "a mailbox name is UTF-8, and this is not")
        }
    }
}

/// A mailbox name as it goes out.
pub fn to_wire(name: &str, text: Text) -> Cow<'_, str> {
    match text {
        Text::Ascii => Cow::Owned(encode(name)),
        Text::Utf8 => Cow::Borrowed(name),
    }
}

/// Decodes. Only the canonical form is taken: what `encode` gives back must be what came, or one mailbox could be
/// named in several ways.
pub fn decode(name: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(name).ok().filter(|t| t.is_ascii());
    let text = text.ok_or("a mailbox name is modified UTF-7: 8-bit characters have to be encoded")?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, shifted)) = rest.split_once('&') {
        out.push_str(before);
        let (code, after) = shifted.split_once('-').ok_or("modified UTF-7 that does not end")?;
        if code.is_empty() {
            out.push('&');
        } else {
            let bytes = ENGINE.decode(code).map_err(|_| "modified UTF-7 that is not base64")?;
            let units: Vec<u16> =
                bytes.chunks(2).map(|b| u16::from_be_bytes([b[0], *b.get(1).unwrap_or(&0)])).collect();
            if bytes.len() % 2 != 0 {
                return Err("modified UTF-7 of half a character");
            }
            out.push_str(
                &String::from_utf16(&units).map_err(|_| "modified UTF-7 with half a surrogate pair")?,
            );
        }
        rest = after;
    }
    out.push_str(rest);
    if encode(&out) == text { Ok(out) } else { Err("modified UTF-7 that is not canonical") }
}

/// Encodes.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            unshift(&mut shifted, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| shifted.extend_from_slice(&unit.to_be_bytes()));
        }
    }
    unshift(&mut shifted, &mut out);
    out
}

fn unshift(shifted: &mut Vec<u8>, out: &mut String) {
    if !shifted.is_empty() {
        out.push('&');
        ENGINE.encode_string(&*shifted, out);
        out.push('-');
        shifted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rfcs_examples() {
        assert_eq!(
            decode(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").unwrap(),
            "~peter/mail/\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}"
        );
        assert_eq!(encode("R&D \u{1f600}"), "R&-D &2D3eAA-");
        for wrong in
            [&b"&Jjo!"[..], b"&U,BTFw-&ZeVnLIqe-", b"&AGE-", b"&", b"&2D0-", b"\xc3\xa9", b"&U,BTFx-"]
        {
            assert!(decode(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_name_survives(name in "\\PC{0,30}") {
            prop_assert_eq!(decode(encode(&name).as_bytes()).unwrap(), name);
        }

        #[test]
        fn what_decodes_is_canonical(name in "[&+,a-zA-Z0-9/-]{0,16}") {
            if let Ok(text) = decode(name.as_bytes()) {
                prop_assert_eq!(encode(&text), name);
            }
        }
    }
}
