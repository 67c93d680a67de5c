//! The small languages inside a case's lines: patterns of responses, and what is sent.

use crate::fixtures::fixture;
use std::collections::BTreeMap;

/// What `{name}` stands for.
pub type Variables = BTreeMap<String, String>;

/// `text` with `{name}` replaced where the name is known.
pub fn fill(text: &str, variables: &Variables) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Whether `line` is what `pattern` wants; then what it captured.
pub fn matches(pattern: &str, line: &str, variables: &Variables) -> Option<Variables> {
    pattern.split(" || ").find_map(|alternative| {
        let pattern = String::from_utf8_lossy(&unescape(&fill(alternative, variables))).into_owned();
        let mut captured = Variables::new();
        (rest_matches(&tokens(&pattern), line, &mut captured) == Fit::Yes).then_some(captured)
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Text(&'a str),
    Any,
    Capture(&'a str),
}

fn tokens(pattern: &str) -> Vec<Token<'_>> {
    let (mut found, mut rest) = (Vec::new(), pattern);
    while !rest.is_empty() {
        let special = [rest.find("..."), rest.find("{=")].into_iter().flatten().min();
        let at = special.unwrap_or(rest.len());
        if at > 0 {
            found.push(Token::Text(&rest[..at]));
        }
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("...") {
            found.push(Token::Any);
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix("{=").and_then(|r| r.split_once('}')) {
            found.push(Token::Capture(name));
            rest = after;
        } else if !rest.is_empty() {
            found.push(Token::Text(rest));
            rest = "";
        }
    }
    found
}

/// Whether all of `text` is what `pattern` wants, whose `...` stands for anything.
pub fn glob(pattern: &str, text: &str) -> bool {
    rest_matches(&tokens(pattern), text, &mut Variables::new()) == Fit::Yes
}

#[derive(Debug, PartialEq, Eq)]
enum Fit {
    Yes,
    /// Not from here, perhaps from further on.
    No,
    /// Nor from anywhere further on.
    Never,
}

fn rest_matches(tokens: &[Token<'_>], line: &str, captured: &mut Variables) -> Fit {
    match tokens.split_first() {
        None if line.is_empty() => Fit::Yes,
        None => Fit::No,
        Some((Token::Text(text), rest)) => {
            match line.get(..text.len()).filter(|head| head.eq_ignore_ascii_case(text)) {
                Some(_) => rest_matches(rest, &line[text.len()..], captured),
                None => Fit::No,
            }
        }
        Some((Token::Any, [])) => Fit::Yes,
        Some((token, rest)) => {
            for end in line.char_indices().map(|(i, _)| i).chain([line.len()]) {
                match rest_matches(rest, &line[end..], captured) {
                    Fit::No => continue,
                    // What an earlier wildcard leaves to a later one, it can only leave less of.
                    Fit::Never => return Fit::Never,
                    Fit::Yes => {
                        if let Token::Capture(name) = token {
                            captured.insert((*name).into(), line[..end].into());
                        }
                        return Fit::Yes;
                    }
                }
            }
            Fit::Never
        }
    }
}

/// What a command sends, in the pieces between which the server has to say `+`.
pub fn pieces(text: &str) -> Vec<Vec<u8>> {
    let (mut done, mut piece, mut rest) = (Vec::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((literal, after)) = after.split_once("}}") else { break };
        piece.extend(unescape(before));
        let (literal, binary) = literal.strip_prefix('~').map_or((literal, ""), |literal| (literal, "~"));
        let (literal, plus) = literal.strip_prefix('+').map_or((literal, ""), |literal| (literal, "+"));
        let literal = literal.strip_prefix('@').and_then(fixture).unwrap_or_else(|| unescape(literal));
        piece.extend(format!("{binary}{{{}{plus}}}\r\n", literal.len()).into_bytes());
        if plus.is_empty() {
            done.push(std::mem::take(&mut piece));
        }
        piece.extend(literal);
        rest = after;
    }
    piece.extend(unescape(rest));
    piece.extend(b"\r\n");
    done.push(piece);
    done
}

/// Escapes and repetitions undone.
pub fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        if let Some((bytes, after)) = escape(rest).or_else(|| repetition(rest)) {
            out.extend(bytes);
            rest = after;
        } else {
            out.extend(c.to_string().into_bytes());
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// `\r`, `\n`, `\t`, `\0`, `\xHH`; any other backslash is one.
fn escape(text: &str) -> Option<(Vec<u8>, &str)> {
    let text = text.strip_prefix('\\')?;
    for (name, byte) in [("r", b'\r'), ("n", b'\n'), ("t", b'\t'), ("0", 0)] {
        if let Some(after) = text.strip_prefix(name) {
            return Some((vec![byte], after));
        }
    }
    let hex = text.strip_prefix('x')?.get(..2)?;
    Some((vec![u8::from_str_radix(hex, 16).ok()?], &text[3..]))
}

/// `{text*count}`
fn repetition(text: &str) -> Option<(Vec<u8>, &str)> {
    let (inside, after) = text.strip_prefix('{')?.split_once('}')?;
    let (what, count) = inside.rsplit_once('*')?;
    Some((unescape(&what.repeat(count.parse().ok()?)), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, line: &str) -> bool {
        matches(pattern, line, &Variables::new()).is_some()
    }

    #[test]
    fn patterns_match_within_a_line() {
        assert!(is_match("* CAPABILITY ...IMAP4rev1...", "* capability IMAP4REV1 IDLE"));
        assert!(is_match("* 1 EXISTS", "* 1 EXISTS"));
        assert!(!is_match("* 1 EXISTS", "* 11 EXISTS"));
        assert!(!is_match("* 1 EXISTS", "* 1 EXISTS now"));
        assert!(is_match("* LIST (...) \"/\" ...", "* LIST (\\HasNoChildren) \"/\" INBOX"));
        assert!(is_match("a...b...b", "axbyb"), "an early b must not be the last one");
        assert!(is_match("NO... || BAD...", "BAD x") && !is_match("NO... || BAD...", "OK"));
        assert!(is_match("{3}\\r\\nabc", "{3}\r\nabc"));
        assert!(is_match("...ab...c", "aabxc") && !is_match("...ab...c", "abxd"));
    }

    #[test]
    fn many_wildcards_over_a_long_line_take_no_time() {
        assert!(!is_match(&"...a".repeat(20), &format!("{}b", "a".repeat(10_000))));
    }

    #[test]
    fn what_is_captured_is_filled_in() {
        let captured =
            matches("* OK [UIDNEXT {=next}]...", "* OK [UIDNEXT 17] x", &Variables::new()).unwrap();
        assert_eq!(fill("UID FETCH {next} {12}", &captured), "UID FETCH 17 {12}");
        assert!(matches("{next}", "17", &captured).is_some());
    }

    #[test]
    fn literals_are_announced_and_wait_for_leave() {
        assert_eq!(pieces("LOGIN {{ann}} {{+\\x00b}}"), [&b"LOGIN {3}\r\n"[..], b"ann {2+}\r\n\0b\r\n"]);
        assert_eq!(pieces("STORE 1 FLAGS (\\Seen) {ab*2}"), [b"STORE 1 FLAGS (\\Seen) abab\r\n"]);
    }
}
