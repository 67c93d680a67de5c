//! The collation `i;unicode-casemap` (RFC 5051): texts are equal, and in order, whatever their case.

use unicode_normalization::UnicodeNormalization;

/// What two texts are compared by: each character in title case, then decomposed (RFC 5051 §2). The octets of the result
/// are in the collation's order.
pub fn casemap(text: &str) -> String {
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
}
