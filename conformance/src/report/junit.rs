//! JUnit's XML, as build servers read it.

use crate::verdict::{Outcome, Verdict};
use std::fmt::Write;

pub fn junit(outcomes: &[Outcome]) -> String {
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|o| is(o)).count();
    let errors = count(|o| matches!(o.verdict, Verdict::HarnessError(_)));
    let failures = count(Outcome::is_bad) - errors;
    let skipped = outcomes.iter().filter(|o| is_skipped(o)).count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuite name=\"imap-conformance\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">",
        outcomes.len()
    );
    for outcome in outcomes {
        let (name, class) = (escaped(&outcome.id), escaped(&outcome.clause));
        let seconds = outcome.ms as f64 / 1000.0;
        let _ = write!(xml, "  <testcase name=\"{name}\" classname=\"{class}\" time=\"{seconds:.3}\"");
        let (why, word) = (escaped(outcome.verdict.why()), outcome.verdict.word());
        let _ = match &outcome.verdict {
            Verdict::HarnessError(_) => writeln!(xml, "><error type=\"{word}\">{why}</error></testcase>"),
            _ if outcome.is_bad() => writeln!(xml, "><failure type=\"{word}\">{why}</failure></testcase>"),
            _ if is_skipped(outcome) => {
                let note = outcome.known.as_deref().map_or_else(|| why.clone(), escaped);
                writeln!(xml, "><skipped message=\"{word}: {}\"/></testcase>", note.replace('\n', " "))
            }
            _ => writeln!(xml, "/>"),
        };
    }
    xml.push_str("</testsuite>\n");
    xml
}

/// JUnit knows only pass, failure, error and skipped: what is neither passed nor bad is the last.
fn is_skipped(outcome: &Outcome) -> bool {
    outcome.verdict != Verdict::Pass && !outcome.is_bad()
}

/// XML 1.0 §2.2, §2.4: characters that can't be there at all are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_counted_and_escaped() {
        let outcome =
            |verdict| Outcome { id: "a".into(), clause: "c".into(), verdict, ms: 1500, known: None };
        let xml = junit(&[
            outcome(Verdict::Pass),
            outcome(Verdict::Fail("<\0&>".into())),
            outcome(Verdict::HarnessError("x".into())),
            outcome(Verdict::Skip("MOVE".into())),
        ]);
        assert!(xml.contains("tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("<failure type=\"fail\">&lt;&amp;&gt;</failure>"), "{xml}");
        assert!(xml.contains("time=\"1.500\"/>"), "{xml}");
        assert!(xml.contains("<skipped message=\"skip: MOVE\"/>"), "{xml}");
    }
}
