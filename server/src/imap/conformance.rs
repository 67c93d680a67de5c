//! The conformance cases, each file against this engine over in-memory pipes.

use super::serve;
use crate::testing::World;
use gadwall_conformance::profile::Profile;
use gadwall_conformance::{Case, Dial, Dialing, FILES, Stream, Target, registry, suite};

/// What this server must announce, and what is known of it.
const PROFILE: &str = include_str!("../../../conformance/profiles/gadwall.toml");

struct InMemory(World);

impl Dial for InMemory {
    fn dial(&self) -> Dialing<'_> {
        let (conn, talk) = self.0.connection();
        tokio::spawn(serve(conn, self.0.services.clone()));
        Box::pin(async move { Ok(Box::new(talk.io) as Box<dyn Stream>) })
    }
}

/// Every case passes, but for what the profile knows. It says what must be announced: a case that is skipped although
/// that is all there fails here, and so does a SHOULD that is not followed.
async fn pass(cases: Vec<Case>) {
    let server = InMemory(World::new().await);
    let mut target = Target::new(&server, "ann@example.org", "secret");
    let announced = suite::preflight(&mut target).await.expect("the account is there");
    let mut outcomes = suite::run_all(&target, &cases, 1, |_| {}).await;
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let mut profile = Profile::parse(PROFILE).expect("it parses");
    profile.deviations.retain(|known| names.contains(&known.case.as_str()));
    profile.judge(&mut outcomes, &announced);
    let wrong = outcomes.iter().filter(|outcome| outcome.is_bad());
    let wrong: Vec<String> =
        wrong.map(|o| format!("{} {}: {}", o.verdict.word(), o.id, o.verdict.why())).collect();
    assert!(wrong.is_empty(), "{} cases fail:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_profile_knows_only_cases_that_are_there() {
    let cases = registry::cases().expect("cases");
    for known in Profile::parse(PROFILE).expect("it parses").deviations {
        assert!(cases.iter().any(|case| case.name == known.case), "{}", known.case);
    }
}

#[tokio::test]
async fn in_code() {
    pass(registry::in_code().expect("cases")).await;
}

macro_rules! files {
    ($($test:ident $file:literal)*) => {
        $(#[tokio::test]
        async fn $test() {
            pass(registry::of_file($file).expect("cases that parse")).await;
        })*

        #[test]
        fn every_file_of_the_suite_is_run() {
            let run = [$($file),*];
            assert!(FILES.iter().all(|(file, _)| run.contains(file)));
        }
    };
}

files! {
    append "append"
    attributes "attributes"
    auth "auth"
    batches "batches"
    binary "binary"
    composing "composing"
    condstore "condstore"
    contexts "contexts"
    esearch "esearch"
    fetch "fetch"
    filters "filters"
    flags "flags"
    fuzzy "fuzzy"
    idle "idle"
    language "language"
    lines "lines"
    list "list"
    list_extended "list-extended"
    literals "literals"
    mailboxes "mailboxes"
    metadata "metadata"
    mime "mime"
    moving "moving"
    multisearch "multisearch"
    notify "notify"
    partial "partial"
    qresync "qresync"
    quota "quota"
    rev2 "rev2"
    rfc3501 "rfc3501"
    search "search"
    searching "searching"
    searchres "searchres"
    sessions "sessions"
    sorting "sorting"
    sync "sync"
    uidonly "uidonly"
    unauthenticate "unauthenticate"
    uidplus_and_move "uidplus-move"
    utf8 "utf8"
}
