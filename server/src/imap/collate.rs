//! Collations (RFC 4790): how SEARCH, SORT and THREAD compare texts. A session chooses one by COMPARATOR (RFC 5255 §4.7).

use unicode_normalization::UnicodeNormalization;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Comparator {
    /// RFC 5051: equal, and in order, whatever the case.
    #[default]
    UnicodeCasemap,
    /// RFC 4790 §9.2: as above, but only of the letters of ASCII.
    AsciiCasemap,
    /// RFC 4790 §9.3.
    Octet,
}

impl Comparator {
    const ALL: [Self; 3] = [Self::UnicodeCasemap, Self::AsciiCasemap, Self::Octet];

    pub fn name(self) -> &'static str {
        match self {
            Self::UnicodeCasemap => "i;unicode-casemap",
            Self::AsciiCasemap => "i;ascii-casemap",
            Self::Octet => "i;octet",
        }
    }

    /// What a text is compared by: texts are equal, ordered, and contain others as the octets of this do.
    pub fn key(self, text: &str) -> String {
        match self {
            Self::UnicodeCasemap => casemap(text),
            Self::AsciiCasemap => text.to_ascii_uppercase(),
            Self::Octet => text.to_owned(),
        }
    }

    /// Those that a client's wish matches (RFC 4790 §4.3): a name, in which `*` stands for anything, or `default`.
    pub fn matching(wish: &str) -> impl Iterator<Item = Self> {
        // An ascending order is the only one there is.
        let wish = wish.strip_suffix('+').unwrap_or(wish);
        let matches = move |comparator: &Self| match wish {
            "default" => *comparator == Self::default(),
            wish => matches(wish, comparator.name()),
        };
        Self::ALL.into_iter().filter(matches)
    }
}

/// Whether each `*` in `pattern` can stand for something that makes it `name`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Each character in title case, then decomposed (RFC 5051 §2).
fn casemap(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    text.chars().map(title).nfkd().collect()
}

/// The simple title case mapping: of those that have one of their own, only digraphs differ from capitals.
fn title(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        c => {
            // One that has no simple mapping stays as it is: ß has only a full one, which is two letters.
            let mut capitals = c.to_uppercase();
            match (capitals.next(), capitals.next()) {
                (Some(capital), None) => capital,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_composition_make_no_difference() {
        for (a, b) in [
            ("Straße", "STRAßE"),
            ("\u{e9}t\u{e9}", "E\u{301}TE\u{301}"),
            ("\u{1c6}", "\u{1c4}"),
            ("ﬁx", "ﬁX"),
            ("λόγος", "ΛΌΓΟΣ"),
        ] {
            assert_eq!(casemap(a), casemap(b), "{a} {b}");
        }
        assert!(casemap("a") < casemap("B") && casemap("b") < casemap("C"));
        assert_ne!(casemap("ß"), casemap("ss"));
    }

    #[test]
    fn wishes_match_names() {
        let names = |wish: &str| Comparator::matching(wish).map(Comparator::name).collect::<Vec<_>>();
        assert_eq!(names("i;octet"), ["i;octet"]);
        assert_eq!(names("default"), ["i;unicode-casemap"]);
        assert_eq!(names("i;*casemap"), ["i;unicode-casemap", "i;ascii-casemap"]);
        assert_eq!(names("*;a*-*map+"), ["i;ascii-casemap"]);
        assert_eq!(names("*"), ["i;unicode-casemap", "i;ascii-casemap", "i;octet"]);
        for none in ["", "cz;*", "i;octe", "i;octet;", "octet", "i;octet-", "i;*x*"] {
            assert!(names(none).is_empty(), "{none}");
        }
    }
}
