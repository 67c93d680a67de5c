//! Many cases against one server.

use crate::case::{Case, Login};
use crate::layout::Layout;
use crate::runner::{Target, announced, open, run};
use crate::verdict::Outcome;
use futures_util::stream::{self, StreamExt};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Logs in once, before any case: fills in the target's layout and tells what the server announces. An error is for a
/// person to read: nobody answers, the password is wrong, the server hangs up.
pub async fn preflight(target: &mut Target<'_>) -> Result<Vec<String>, String> {
    let mut talk = open(target, "preflight", Login::Done).await?;
    let announced = announced(&mut talk).await?;
    let list = talk.expect_ok("LIST \"\" \"\"").await?;
    let namespace = match announced.iter().any(|a| a.eq_ignore_ascii_case("NAMESPACE")) {
        true => Some(talk.expect_ok("NAMESPACE").await?),
        false => None,
    };
    target.layout = Layout::read(&list, namespace.as_ref());
    Ok(announced)
}

/// Runs all, up to `jobs` at a time, and calls `seen` with each outcome as it comes; they are returned in the cases' order.
/// Cases that change the INBOX run one after the other.
pub async fn run_all(
    target: &Target<'_>,
    cases: &[Case],
    jobs: usize,
    mut seen: impl FnMut(&Outcome),
) -> Vec<Outcome> {
    let inbox = Mutex::new(());
    let one = |(at, case): (usize, &'_ Case)| {
        let (inbox, case) = (&inbox, case.clone());
        async move {
            let _alone = if case.uses_inbox { Some(inbox.lock().await) } else { None };
            let began = Instant::now();
            let verdict = run(target, &case).await;
            let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            (at, Outcome { id: case.name, clause: case.clause, verdict, ms, known: None })
        }
    };
    let mut running = stream::iter(cases.iter().enumerate()).map(one).buffer_unordered(jobs.max(1));
    let mut outcomes = Vec::with_capacity(cases.len());
    while let Some((at, outcome)) = running.next().await {
        seen(&outcome);
        outcomes.push((at, outcome));
    }
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
