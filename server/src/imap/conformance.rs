//! The conformance cases, each file against this engine over in-memory pipes.

use super::serve;
use crate::testing::World;
use gadwall_conformance::{Case, Dial, Dialing, FILES, Stream, Target, Verdict, registry, run};

struct InMemory(World);

impl Dial for InMemory {
    fn dial(&self) -> Dialing<'_> {
        let (conn, talk) = self.0.connection();
        tokio::spawn(serve(conn, self.0.services.clone()));
        Box::pin(async move { Ok(Box::new(talk.io) as Box<dyn Stream>) })
    }
}

/// Every case passes. A skipped one is a lost capability, a SHOULD not followed a choice nobody made: failures here.
async fn pass(cases: Vec<Case>) {
    let server = InMemory(World::new().await);
    let target = Target::new(&server, "ann@example.org", "secret");
    let mut wrong = Vec::new();
    for case in cases {
        let verdict = run(&target, &case).await;
        if verdict != Verdict::Pass {
            wrong.push(format!("{} {}: {}", verdict.word(), case.name, verdict.why()));
        }
    }
    assert!(wrong.is_empty(), "{} cases fail:\n{}", wrong.len(), wrong.join("\n"));
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
    auth "auth"
    condstore "condstore"
    fetch "fetch"
    idle "idle"
    list "list"
    literals "literals"
    rfc3501 "rfc3501"
    search "search"
    sync "sync"
    uidplus_and_move "uidplus-move"
}
