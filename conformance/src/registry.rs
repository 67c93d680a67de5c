//! All cases: those in text and those in code.

use crate::case::{Case, parse};
use crate::clauses::{Level, clauses};
use crate::{FILES, code};

/// Every case of the suite, in order, with the level of its clause. An error names the file and line.
pub fn cases() -> Result<Vec<Case>, String> {
    let mut all = Vec::new();
    for (file, _) in FILES {
        all.extend(of_file(file)?);
    }
    all.extend(leveled(code::cases())?);
    Ok(all)
}

/// The cases of one file: `rfc3501`.
pub fn of_file(name: &str) -> Result<Vec<Case>, String> {
    let (_, text) = FILES.iter().find(|(file, _)| *file == name).ok_or_else(|| format!("no file {name}"))?;
    leveled(parse(text).map_err(|e| format!("{name}: {e}"))?)
}

/// The cases in code.
pub fn in_code() -> Result<Vec<Case>, String> {
    leveled(code::cases())
}

fn leveled(mut cases: Vec<Case>) -> Result<Vec<Case>, String> {
    let known = clauses()?;
    for case in &mut cases {
        case.level = known.get(&case.clause).map_or(Level::Must, |clause| clause.level);
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clauses::place;
    use std::collections::BTreeSet;

    #[test]
    fn every_case_is_named_after_its_clause() {
        let mut names = BTreeSet::new();
        for case in cases().unwrap() {
            let (rfc, section) = place(&case.clause).unwrap_or_else(|| panic!("{}", case.name));
            assert!(
                case.name.starts_with(&format!("rfc{rfc}-{section}-")),
                "{} is about {}",
                case.name,
                case.clause
            );
            assert!(names.insert(case.name.clone()), "{} twice", case.name);
        }
    }

    #[test]
    fn no_two_cases_do_the_same() {
        let cases = cases().unwrap();
        for (at, case) in cases.iter().enumerate() {
            let steps = case.steps();
            let twin =
                cases[..at].iter().find(|c| !steps.is_empty() && c.steps() == steps && c.mail == case.mail);
            assert!(twin.is_none(), "{} repeats {}", case.name, twin.map_or("", |c| &c.name));
        }
    }
}
