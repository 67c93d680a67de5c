//! Cases as text.
//!
//! ```text
//! == rfc3501-6.1.2-noop-answers-ok
//! clause: RFC 3501 §6.1.2
//! C: NOOP
//! T: OK
//! ```
//!
//! `C:` is a command without its tag; `{box}` is a mailbox of the case's own, which exists and is empty. `C+:`
//! is a line that answers a continuation request. `S:` is an untagged response that must have come by the
//! tagged one, in any order; `!S:` one that must not have; `T:` is how the tagged response begins. `...`
//! matches anything within a line. Compared without case.

/// One behaviour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub name: String,
    pub clause: String,
    pub steps: Vec<Step>,
}

/// One command with what it must bring.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// The command's line, then the lines that answer continuation requests.
    pub lines: Vec<String>,
    pub untagged: Vec<String>,
    pub forbidden: Vec<String>,
    pub tagged: String,
}

/// Parses a file of cases; an error names the line.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l)) {
        let bad = |why: &str| Err(format!("line {number}: {why}: {line}"));
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name: name.trim().into(), clause: String::new(), steps: Vec::new() });
            continue;
        }
        let Some(case) = cases.last_mut() else { return bad("before the first case") };
        let Some((key, value)) = line.split_once(": ") else { return bad("not `key: value`") };
        let value = value.to_owned();
        match (key, case.steps.last_mut()) {
            ("clause", _) => case.clause = value,
            ("C", _) => case.steps.push(Step { lines: vec![value], ..Step::default() }),
            (_, None) => return bad("before the first command"),
            ("C+", Some(step)) => step.lines.push(value),
            ("S", Some(step)) => step.untagged.push(value),
            ("!S", Some(step)) => step.forbidden.push(value),
            ("T", Some(step)) => step.tagged = value,
            _ => return bad("unknown key"),
        }
    }
    for case in &cases {
        if case.clause.is_empty() || case.steps.is_empty() || case.steps.iter().any(|s| s.tagged.is_empty()) {
            return Err(format!("{}: needs a clause, a command, and a T: for each command", case.name));
        }
    }
    Ok(cases)
}

/// Whether a line is as the pattern wants it: `...` stands for anything, the rest is compared without case.
pub(crate) fn matches(pattern: &str, line: &str) -> bool {
    let (pattern, line) = (pattern.to_ascii_lowercase(), line.to_ascii_lowercase());
    let mut pieces = pattern.split("...");
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_within_a_line() {
        assert!(matches("* CAPABILITY ...IMAP4rev1...", "* capability IMAP4REV1 IDLE"));
        assert!(matches("* 1 EXISTS", "* 1 EXISTS"));
        assert!(!matches("* 1 EXISTS", "* 11 EXISTS"));
        assert!(!matches("* 1 EXISTS", "* 1 EXISTS now"));
        assert!(matches("* LIST (...) \"/\" ...", "* LIST (\\HasNoChildren) \"/\" INBOX"));
    }

    #[test]
    fn every_case_that_comes_with_the_suite_parses_and_has_its_own_name() {
        let cases = parse(crate::CASES).unwrap();
        let names: std::collections::BTreeSet<_> = cases.iter().map(|c| &c.name).collect();
        assert_eq!(names.len(), cases.len());
        assert!(cases.iter().all(|c| c.clause.starts_with("RFC ")));
    }

    #[test]
    fn a_case_without_an_expectation_is_refused() {
        assert!(parse("== a\nclause: RFC 1\nC: NOOP\n").unwrap_err().contains("needs"));
        assert!(parse("C: NOOP\n").unwrap_err().contains("line 1"));
    }
}
