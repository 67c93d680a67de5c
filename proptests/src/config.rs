//! How much a property test tries.

use proptest::test_runner::{Config, FileFailurePersistence};

/// proptest's own number, when nothing else is said.
const USUAL_CASES: u32 = 256;

/// `cases` tries. `PROPTEST_CASES=2560` makes that ten times as many, and so on; what fails is kept beside the test, in
/// a file that is tried first from then on.
pub fn config(cases: u32) -> Config {
    let asked = Config::default();
    let cases = u64::from(cases) * u64::from(asked.cases) / u64::from(USUAL_CASES);
    Config {
        cases: u32::try_from(cases).unwrap_or(u32::MAX).max(1),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..asked
    }
}
