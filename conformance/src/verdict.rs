//! What becomes of a case.

use crate::case::Case;
use crate::clauses::Level;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// A MUST is broken: what was wrong, with the transcript.
    Fail(String),
    /// A SHOULD or MAY is not followed.
    ShouldDeviation(String),
    /// The server does not announce what the case needs: this capability.
    Skip(String),
    /// It fails, and the case itself says why that may be its own fault.
    Suspect(String),
    /// The harness could not get as far as the case: connection, login, set-up.
    HarnessError(String),
}

impl Verdict {
    /// As reports write it.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail(_) => "fail",
            Verdict::ShouldDeviation(_) => "should-deviation",
            Verdict::Skip(_) => "skip",
            Verdict::Suspect(_) => "suspect",
            Verdict::HarnessError(_) => "harness-error",
        }
    }

    /// What was wrong or missing; empty for a pass.
    pub fn why(&self) -> &str {
        match self {
            Verdict::Pass => "",
            Verdict::Fail(why)
            | Verdict::ShouldDeviation(why)
            | Verdict::Skip(why)
            | Verdict::Suspect(why)
            | Verdict::HarnessError(why) => why,
        }
    }

    /// What a case that went wrong gets.
    pub(crate) fn of_failure(case: &Case, why: String) -> Verdict {
        match (&case.suspect, case.level) {
            (Some(note), _) => Verdict::Suspect(format!("{note}\n{why}")),
            (None, Level::Must) => Verdict::Fail(why),
            (None, Level::Should | Level::May) => Verdict::ShouldDeviation(why),
        }
    }

    pub(crate) fn deviates(&self) -> bool {
        matches!(self, Verdict::Fail(_) | Verdict::ShouldDeviation(_) | Verdict::Suspect(_))
    }
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The case's name.
    pub id: String,
    pub clause: String,
    pub verdict: Verdict,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// The profile's note, when the profile knows of the deviation.
    pub known: Option<String>,
}

impl Outcome {
    /// Whether this is reason enough for the run to fail. A SHOULD that nobody has noted is not.
    pub fn is_bad(&self) -> bool {
        match self.verdict {
            Verdict::Fail(_) => self.known.is_none(),
            Verdict::HarnessError(_) => true,
            _ => false,
        }
    }
}
