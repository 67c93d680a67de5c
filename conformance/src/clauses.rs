//! The clauses that cases are about: `clauses.toml`.

use serde::Deserialize;
use std::collections::BTreeMap;

/// How binding a clause is (RFC 2119). What a grammar or plain prose demands without such a word counts as a MUST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
pub enum Level {
    #[default]
    #[serde(rename = "MUST")]
    Must,
    #[serde(rename = "SHOULD")]
    Should,
    #[serde(rename = "MAY")]
    May,
}

/// A sentence or rule of an RFC.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    pub level: Level,
    /// What it says, in a few words.
    pub says: String,
    /// Numbers of the errata that bear on it.
    #[serde(default)]
    pub errata: Vec<u32>,
    /// Why no case is about it.
    pub waiver: Option<String>,
}

const TEXT: &str = include_str!("../clauses.toml");

/// Every clause by its id: `RFC 3501 §6.4.5 peek`.
pub fn clauses() -> Result<BTreeMap<String, Clause>, String> {
    toml::from_str(TEXT).map_err(|e| format!("clauses.toml: {e}"))
}

/// `RFC 3501 §6.4.5 peek` in its parts: `3501` and `6.4.5`.
pub fn place(clause: &str) -> Option<(&str, &str)> {
    let (rfc, rest) = clause.strip_prefix("RFC ")?.split_once(" §")?;
    Some((rfc, rest.split(' ').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn a_clause_names_rfc_and_section() {
        assert_eq!(place("RFC 3501 §6.4.5 peek"), Some(("3501", "6.4.5")));
        for (id, clause) in clauses().unwrap() {
            assert!(place(&id).is_some(), "{id}");
            assert!(!clause.says.is_empty(), "{id}");
        }
    }

    #[test]
    fn every_must_has_a_case_or_a_waiver() {
        let cases = registry::cases().unwrap();
        let bare = clauses().unwrap().into_iter().filter(|(id, clause)| {
            clause.level == Level::Must && clause.waiver.is_none() && !cases.iter().any(|c| c.clause == *id)
        });
        let bare: Vec<String> = bare.map(|(id, _)| id).collect();
        assert!(bare.is_empty(), "no case is about these:\n{}", bare.join("\n"));
    }

    #[test]
    fn every_case_has_a_clause() {
        let known = clauses().unwrap();
        let mut missing = std::collections::BTreeSet::new();
        for case in registry::cases().unwrap() {
            if !known.contains_key(&case.clause) {
                missing.insert(format!("{:?} = {{ level = \"MUST\", says = \"\" }}", case.clause));
            }
        }
        let lines = missing.into_iter().collect::<Vec<_>>().join("\n");
        assert!(lines.is_empty(), "clauses.toml lacks:\n{lines}");
    }
}
