//! Patterns of responses by structure: `M: * 1 FETCH (UID 3 FLAGS (\Seen) ...)`.
//!
//! A pattern is written like a response. What may come in any order is compared as a set: data items of FETCH and STATUS
//! with their values, flags, attributes of LIST, numbers found by SEARCH, arguments of response codes. `...` as the last
//! item of a list stands for any further items; `*` is any one value; `{=name}` is any one value and captures it. A
//! word or text may hold `...` inside. Quoted strings and literals are the same, and so are a word and a text of the
//! same letters.

use crate::pattern::{Variables, fill, glob};
use crate::response::{Response, Value, values};

/// Whether `response` has the shape; then what was captured. An error is one of the pattern.
pub fn fits(pattern: &str, response: &Response, known: &Variables) -> Result<Option<Variables>, String> {
    for alternative in pattern.split(" || ") {
        let filled = fill(alternative, known);
        let text = filled.strip_prefix("* ").unwrap_or(&filled);
        let wanted =
            values(&text.replace("{=", "<=").replace('}', ">")).map_err(|e| format!("{alternative}: {e}"))?;
        let mut captured = Variables::new();
        if sequence(&wanted, &response.values(), &mut captured, Order::of(response)) {
            return Ok(Some(captured));
        }
    }
    Ok(None)
}

/// How the items of a list stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As written; what a word before a list says about the list is looked at.
    Kept,
    /// Name and value, in any order.
    Pairs,
    /// Anything in any order.
    Set,
}

impl Order {
    fn of(response: &Response) -> Order {
        match response {
            Response::Data { kind, .. } if matches!(kind.as_str(), "SEARCH" | "CAPABILITY" | "ENABLED") => {
                Order::Set
            }
            _ => Order::Kept,
        }
    }

    /// Of the list that stands behind this word.
    fn behind(word: &str) -> Order {
        match word.to_ascii_uppercase().as_str() {
            "FETCH" | "STATUS" | "QUOTA" => Order::Pairs,
            "FLAGS" | "PERMANENTFLAGS" | "LIST" | "LSUB" | "BADCHARSET" => Order::Set,
            _ => Order::Kept,
        }
    }
}

fn is_rest(value: &Value) -> bool {
    value.word() == Some("...")
}

fn sequence(wanted: &[Value], found: &[Value], captured: &mut Variables, order: Order) -> bool {
    match order {
        Order::Kept => in_order(wanted, found, captured),
        Order::Set => any_order(wanted, found, captured, 1),
        Order::Pairs => any_order(wanted, found, captured, 2),
    }
}

fn in_order(wanted: &[Value], found: &[Value], captured: &mut Variables) -> bool {
    let mut before: [&str; 2] = ["", ""];
    for (at, pattern) in wanted.iter().enumerate() {
        if is_rest(pattern) {
            return true;
        }
        let Some(value) = found.get(at) else { return false };
        // `* STATUS name (…)`: the word that counts is the last but one.
        let order =
            before.iter().map(|w| Order::behind(w)).find(|o| *o != Order::Kept).unwrap_or(Order::Kept);
        if !one(pattern, value, captured, order) {
            return false;
        }
        before = [value.word().unwrap_or_default(), before[0]];
    }
    wanted.len() == found.len()
}

/// Items in groups of `size`, whose first is the name.
fn any_order(wanted: &[Value], found: &[Value], captured: &mut Variables, size: usize) -> bool {
    let open = wanted.last().is_some_and(is_rest);
    let wanted = if open { &wanted[..wanted.len() - 1] } else { wanted };
    let mut left: Vec<&[Value]> = found.chunks(size).collect();
    for group in wanted.chunks(size) {
        let fitting = left.iter().position(|candidate| {
            let mut tried = captured.clone();
            let order = group[0].word().map_or(Order::Kept, Order::behind);
            let same = candidate.len() == group.len()
                && one(&group[0], &candidate[0], &mut tried, Order::Kept)
                && group.iter().zip(*candidate).skip(1).all(|(p, v)| one(p, v, &mut tried, order));
            if same {
                *captured = tried;
            }
            same
        });
        match fitting {
            Some(at) => drop(left.remove(at)),
            None => return false,
        }
    }
    open || left.is_empty()
}

fn one(wanted: &Value, value: &Value, captured: &mut Variables, order: Order) -> bool {
    match (wanted, value) {
        (Value::List(items), Value::List(found)) => sequence(items, found, captured, order),
        (Value::List(_), _) => false,
        (Value::Word(word), _) if word == "*" => true,
        (Value::Word(word), _) if word.starts_with("<=") && word.ends_with('>') => {
            let text = match value {
                Value::Text(text) => text.clone(),
                other => other.to_string(),
            };
            captured.insert(word[2..word.len() - 1].to_owned(), text);
            true
        }
        (_, Value::List(_)) => false,
        (Value::Word(text) | Value::Text(text), Value::Word(found) | Value::Text(found)) => {
            // NIL is not "NIL".
            let same_form = matches!(wanted, Value::Word(_)) == matches!(value, Value::Word(_));
            (same_form || !text.eq_ignore_ascii_case("NIL")) && glob(text, found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fit(pattern: &str, line: &str) -> bool {
        fits(pattern, &Response::parse(line.as_bytes()).unwrap(), &Variables::new()).unwrap().is_some()
    }

    #[test]
    fn what_has_no_order_is_compared_without_one() {
        let line = "1 FETCH (FLAGS (\\Seen \\Answered) UID 3)";
        assert!(is_fit("* 1 FETCH (UID 3 FLAGS (\\Answered \\Seen))", line));
        assert!(is_fit("* 1 FETCH (FLAGS (\\Seen ...) ...)", line));
        assert!(!is_fit("* 1 FETCH (FLAGS (\\Seen) ...)", line));
        assert!(!is_fit("* 1 FETCH (UID 3)", line), "an item nobody asked for");
        assert!(is_fit("* SEARCH 2 1", "SEARCH 1 2") && !is_fit("* SEARCH 1", "SEARCH 1 2"));
        assert!(is_fit("* STATUS a (UIDNEXT 1 MESSAGES 0)", "STATUS \"a\" (MESSAGES 0 UIDNEXT 1)"));
        assert!(is_fit("* LIST (\\HasNoChildren ...) * x", "LIST (\\Sent \\HasNoChildren) \"/\" \"x\""));
    }

    #[test]
    fn other_lists_keep_their_order() {
        assert!(!is_fit("* 1 FETCH (BODY (\"a\" \"b\"))", "1 FETCH (BODY (\"b\" \"a\"))"));
        assert!(is_fit("* 1 FETCH (ENVELOPE (NIL \"x\" ...))", "1 FETCH (ENVELOPE (NIL {1}\r\nx NIL))"));
    }

    #[test]
    fn nil_is_no_text() {
        assert!(!is_fit("* 1 FETCH (ENVELOPE (NIL))", "1 FETCH (ENVELOPE (\"NIL\"))"));
        assert!(is_fit("* 1 FETCH (ENVELOPE (NIL))", "1 FETCH (ENVELOPE (nil))"));
    }

    #[test]
    fn values_are_captured() {
        let response = Response::parse(b"1 FETCH (MODSEQ (12) UID 4)").unwrap();
        let captured =
            fits("* 1 FETCH (UID {=uid} MODSEQ ({=modseq}))", &response, &Variables::new()).unwrap().unwrap();
        assert_eq!((captured["uid"].as_str(), captured["modseq"].as_str()), ("4", "12"));
    }
}
