//! LIST's wildcards (RFC 3501 §6.3.8).

use gadwall_storage::MailboxName;
use unicode_normalization::UnicodeNormalization;

/// Longest pattern looked at, in characters: names end at 512 bytes, and matching takes the product of both lengths.
const PATTERN_LIMIT: usize = 1024;

/// A pattern that is ready to be matched.
pub struct Matcher(Option<Vec<char>>);

impl Matcher {
    /// The pattern, interpreted relative to `reference`.
    pub fn new(reference: &str, pattern: &str) -> Self {
        // Names are NFC, so a pattern in another form has to become that to match.
        let whole: String = [reference, pattern].concat().nfc().collect();
        // RFC 3501 §5.1: INBOX is INBOX in any case, also as the first level.
        let whole = match whole.split_once(MailboxName::DELIMITER) {
            None if whole.eq_ignore_ascii_case("inbox") => "INBOX".into(),
            Some((first, rest)) if first.eq_ignore_ascii_case("inbox") => format!("INBOX/{rest}"),
            _ => whole,
        };
        let mut pattern: Vec<char> = Vec::new();
        for c in whole.chars() {
            // `**` is `*`, and so is `%*` or `*%`.
            match (pattern.last(), c) {
                (Some('*'), '*' | '%') => {}
                (Some('%'), '*') => _ = pattern.pop().map(|_| pattern.push('*')),
                (Some('%'), '%') => {}
                _ => pattern.push(c),
            }
        }
        Matcher((pattern.len() <= PATTERN_LIMIT).then_some(pattern))
    }

    /// Whether `name` matches: one pass over the name, keeping every place in the pattern it may have come to.
    pub fn matches(&self, name: &str) -> bool {
        let Some(pattern) = &self.0 else { return false };
        let mut places = vec![false; pattern.len() + 1];
        places[0] = true;
        skip_wildcards(pattern, &mut places);
        for c in name.chars() {
            let mut next = vec![false; pattern.len() + 1];
            for (i, wanted) in pattern.iter().enumerate().filter(|(i, _)| places[*i]) {
                match wanted {
                    '*' => next[i] = true,
                    '%' if c != MailboxName::DELIMITER => next[i] = true,
                    '%' => {}
                    wanted => next[i + 1] |= *wanted == c,
                }
            }
            skip_wildcards(pattern, &mut next);
            places = next;
        }
        places[pattern.len()]
    }
}

/// A wildcard may match nothing.
fn skip_wildcards(pattern: &[char], places: &mut [bool]) {
    for (i, wanted) in pattern.iter().enumerate() {
        if places[i] && matches!(wanted, '*' | '%') {
            places[i + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_the_rfc_says() {
        for (pattern, name, expected) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a/*", "a/b/c", true),
            ("a*", "a", true),
            ("%/%", "a/b", true),
            ("inbox", "INBOX", true),
            ("Inbox/*", "INBOX/x", true),
            ("i%x", "INBOX", false),
            ("b", "a", false),
            ("", "a", false),
            ("e\u{301}%", "\u{e9}t\u{e9}", true),
            ("%%%%*%%%%*b", "ab", true),
        ] {
            assert_eq!(Matcher::new("", pattern).matches(name), expected, "{pattern} {name}");
        }
        assert!(Matcher::new("a/", "%").matches("a/b"));
        assert!(!Matcher::new("", &"*a".repeat(5000)).matches("a"));
    }
}
