//! The conformance cases, each file against this engine over in-memory pipes.

use super::serve;
use crate::testing::World;
use gadwall_conformance::{Dial, Dialing, FILES, Stream, Target, Verdict, parse, run};

struct InMemory(World);

impl Dial for InMemory {
    fn dial(&self) -> Dialing<'_> {
        let (conn, talk) = self.0.connection();
        tokio::spawn(serve(conn, self.0.services.clone()));
        Box::pin(async move { Ok(Box::new(talk.io) as Box<dyn Stream>) })
    }
}

/// Every case of the file passes. A skipped one is a lost capability: a failure here.
async fn all_pass(file: &str) {
    let server = InMemory(World::new().await);
    let target = Target { server: &server, user: "ann@example.org".into(), password: "secret".into() };
    let (_, text) = FILES.iter().find(|(name, _)| *name == file).expect("a file of the suite");
    let mut wrong = Vec::new();
    for case in parse(text).expect("cases that parse") {
        match run(&target, &case).await {
            Verdict::Pass => {}
            Verdict::Skip(capability) => wrong.push(format!("{}: {capability} is not announced", case.name)),
            Verdict::Fail(why) | Verdict::HarnessError(why) => wrong.push(format!("{}: {why}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{} cases fail:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! files {
    ($($test:ident $file:literal)*) => {
        $(#[tokio::test]
        async fn $test() {
            all_pass($file).await;
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
