//! One line a case.

use crate::verdict::{Outcome, Verdict};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    verdict: String,
    clause: String,
    ms: u64,
    /// What was wrong, or the missing capability.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    why: String,
    /// The profile's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known: Option<String>,
}

pub fn to_line(outcome: &Outcome) -> String {
    let line = Line {
        id: outcome.id.clone(),
        verdict: outcome.verdict.word().into(),
        clause: outcome.clause.clone(),
        ms: outcome.ms,
        why: outcome.verdict.why().into(),
        known: outcome.known.clone(),
    };
    serde_json::to_string(&line).expect("strings and numbers are always JSON")
}

/// The outcomes of a file of such lines; an error names the line.
pub fn from_lines(text: &str) -> Result<Vec<Outcome>, String> {
    let parsed = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(at, line)| {
        let line: Line = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", at + 1))?;
        let verdict = match line.verdict.as_str() {
            "pass" => Verdict::Pass,
            "fail" => Verdict::Fail(line.why),
            "should-deviation" => Verdict::ShouldDeviation(line.why),
            "skip" => Verdict::Skip(line.why),
            "suspect" => Verdict::Suspect(line.why),
            "harness-error" => Verdict::HarnessError(line.why),
            other => return Err(format!("line {}: no verdict: {other}", at + 1)),
        };
        Ok(Outcome { id: line.id, clause: line.clause, verdict, ms: line.ms, known: line.known })
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_as_it_went() {
        for verdict in [
            Verdict::Pass,
            Verdict::Fail("a\n\"b\"".into()),
            Verdict::ShouldDeviation("x".into()),
            Verdict::Skip("MOVE".into()),
            Verdict::Suspect("x".into()),
            Verdict::HarnessError("x".into()),
        ] {
            let known = Some("note".to_owned());
            let outcome = Outcome { id: "i".into(), clause: "RFC 1 §2".into(), verdict, ms: 3, known };
            let line = to_line(&outcome);
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(from_lines(&line).unwrap(), [outcome]);
        }
        assert!(from_lines("{}\n").unwrap_err().starts_with("line 1"));
    }
}
