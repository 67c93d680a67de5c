//! LANGUAGE and COMPARATOR (RFC 5255): the language of texts, and how texts are compared.

use super::{Outcome, Session};
use crate::imap::collate::Comparator;
use crate::imap::encode::{Code, Status, Untagged};
use crate::imap::wire::Wire;

/// What the server speaks. The default is English as well, but says only that it is a language anybody may be spoken to in
/// (RFC 2277 §4.5).
const ENGLISH: &str = "EN";
const DEFAULT: &str = "i-default";

impl Session {
    /// RFC 5255 §3.2.
    pub(super) fn language(&mut self, ranges: &[Vec<u8>], wire: &mut Wire) -> Outcome {
        if ranges.is_empty() {
            wire.untagged(&Untagged::Language(&[ENGLISH, DEFAULT]));
            return Ok(Status::ok("These languages are spoken"));
        }
        match ranges.iter().find_map(|range| spoken(range)) {
            Some(language) => {
                wire.untagged(&Untagged::Language(&[language]));
                Ok(Status::ok("Now speaking English"))
            }
            None => Err(Status::no("Not spoken here: LANGUAGE alone lists what is").into()),
        }
    }

    /// RFC 5255 §4.7.
    pub(super) fn comparator(&mut self, wishes: &[Vec<u8>], wire: &mut Wire) -> Outcome {
        self.authenticated()?;
        let mut matching: Vec<Comparator> = Vec::new();
        for wish in wishes {
            let wish = String::from_utf8_lossy(wish);
            for comparator in Comparator::matching(&wish) {
                if !matching.contains(&comparator) {
                    matching.push(comparator);
                }
            }
        }
        match matching.first() {
            Some(first) => self.comparator = *first,
            None if wishes.is_empty() => {}
            None => {
                let status = Status::no(
                    "No such comparator: i;unicode-casemap, i;ascii-casemap and i;octet are known",
                );
                return Err(status.code(Code::BadComparator).into());
            }
        }
        let matching: Vec<&str> = matching.into_iter().map(Comparator::name).collect();
        wire.untagged(&Untagged::Comparator { active: self.comparator.name(), matching: &matching });
        Ok(Status::ok("So texts are compared"))
    }
}

/// The language that a range asks for (RFC 4647 §3.4: with its subtags taken off one by one).
fn spoken(range: &[u8]) -> Option<&'static str> {
    let range = std::str::from_utf8(range).ok()?.to_ascii_lowercase();
    match range.as_str() {
        "i-default" | "default" => Some(DEFAULT),
        range if range == "*" || range == "en" || range.starts_with("en-") => Some(ENGLISH),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtags_do_not_matter() {
        for (range, expected) in [
            ("EN", Some("EN")),
            ("en-CA", Some("EN")),
            ("*", Some("EN")),
            ("I-Default", Some("i-default")),
            ("default", Some("i-default")),
            ("eng", None),
            ("fr", None),
            ("", None),
        ] {
            assert_eq!(spoken(range.as_bytes()), expected, "{range}");
        }
        assert_eq!(spoken(b"\xff"), None);
    }
}
