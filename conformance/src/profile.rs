//! What is known of one server: `profiles/NAME.toml`.
//!
//! ```toml
//! server = "Dovecot 2.3.19"
//! announces = ["IMAP4rev1", "IDLE"]        # without which the run fails
//! strict = true                            # what deviates from a SHOULD must be listed too
//!
//! [[deviation]]
//! case = "rfc3501-9-fetch-of-nothing"
//! clause = "RFC 3501 §9 fetch-att"
//! note = "takes a partial of no bytes"
//! ```

use crate::verdict::{Outcome, Verdict};
use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub server: String,
    /// Capabilities after login.
    #[serde(default)]
    pub announces: Vec<String>,
    /// Whether a SHOULD that is not followed has to be listed as well.
    #[serde(default)]
    pub strict: bool,
    #[serde(default, rename = "deviation")]
    pub deviations: Vec<Deviation>,
}

/// A case that this server is known not to pass.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    pub case: String,
    pub clause: String,
    pub note: String,
    /// Passes now and then: depends on timing.
    #[serde(default)]
    pub sometimes: bool,
}

impl Profile {
    pub fn parse(text: &str) -> Result<Profile, String> {
        toml::from_str(text).map_err(|e| e.to_string())
    }

    /// Marks what is known in the outcomes of a run, and adds what the profile demands and misses: capabilities, and
    /// deviations that are none any more.
    pub fn judge(&self, outcomes: &mut Vec<Outcome>, announced: &[String]) {
        let mut more = Vec::new();
        for outcome in &mut *outcomes {
            let known = self.deviations.iter().find(|d| d.case == outcome.id);
            match known {
                Some(known) if known.clause != outcome.clause => {
                    more.push(wrong(known, &format!("the case is about {}", outcome.clause)));
                }
                Some(known) if outcome.verdict.deviates() => outcome.known = Some(known.note.clone()),
                Some(known) if outcome.verdict == Verdict::Pass && !known.sometimes => {
                    more.push(wrong(known, "the case passes: take it out of the profile"));
                }
                Some(_) => {}
                None => {
                    if self.strict
                        && let Verdict::ShouldDeviation(why) | Verdict::Suspect(why) = &outcome.verdict
                    {
                        outcome.verdict = Verdict::Fail(format!("not in the profile: {why}"));
                    }
                }
            }
        }
        for capability in &self.announces {
            if !announced.iter().any(|a| crate::runner::is_announced_as(a, capability)) {
                let why = format!("{capability} is not announced, which the profile demands");
                more.push(outcome(format!("profile-announces-{capability}"), Verdict::Fail(why)));
            }
        }
        outcomes.extend(more);
    }
}

fn wrong(known: &Deviation, why: &str) -> Outcome {
    outcome(format!("profile-deviation-{}", known.case), Verdict::Fail(why.to_owned()))
}

fn outcome(id: String, verdict: Verdict) -> Outcome {
    Outcome { id, clause: "profile".into(), verdict, ms: 0, known: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "server = 'x'\nstrict = true\nannounces = ['IDLE', 'MOVE']\n[[deviation]]\ncase = 'a'\nclause = 'RFC 1 §1'\nnote = 'n'\n";

    fn judged(id: &str, verdict: Verdict) -> Vec<Outcome> {
        let mut all =
            vec![Outcome { id: id.into(), clause: "RFC 1 §1".into(), verdict, ms: 0, known: None }];
        Profile::parse(TEXT).unwrap().judge(&mut all, &["idle".into(), "MOVE".into()]);
        all
    }

    #[test]
    fn what_is_known_is_no_failure_and_what_is_not_known_is() {
        let bad = |all: Vec<Outcome>| all.iter().filter(|o| o.is_bad()).count();
        assert_eq!(bad(judged("a", Verdict::Fail("x".into()))), 0);
        assert_eq!(bad(judged("a", Verdict::Pass)), 1, "a stale entry");
        assert_eq!(bad(judged("b", Verdict::Fail("x".into()))), 1);
        assert_eq!(bad(judged("b", Verdict::ShouldDeviation("x".into()))), 1, "strict");
        assert_eq!(bad(judged("b", Verdict::Pass)), 0);
    }

    #[test]
    fn a_lost_capability_fails() {
        let mut all = Vec::new();
        Profile::parse(TEXT).unwrap().judge(&mut all, &["IDLE".into()]);
        assert_eq!(all[0].id, "profile-announces-MOVE");
        assert!(all[0].is_bad());
    }
}
