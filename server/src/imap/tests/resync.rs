//! Clients that were here before (QRESYNC, RFC 7162 §3.2): what a case in text can't bring about.

use super::logged_in;
use crate::testing::World;
use crate::{Env, Limits};
use gadwall_storage::memory::{self, MemoryStore};
use gadwall_storage::{ManualClock, SeededEntropy, Uid, UidSet};
use std::sync::Arc;
use std::time::Duration;

/// What a response code of SELECT says.
fn told<'a>(answer: &'a str, code: &str) -> &'a str {
    let rest = answer.split(&format!("[{code} ")).nth(1).unwrap_or_else(|| panic!("no {code} in {answer}"));
    rest.split(']').next().unwrap()
}

/// A message that came after what the client knows, and goes while SELECT is answered: between the list of what there is
/// and the journal.
#[tokio::test]
async fn a_message_that_goes_while_select_is_answered_is_not_counted() {
    let (world, store) = World::tricky(Limits::default(), 100_000_000).await;
    let mut talk = logged_in(&world).await;
    talk.fill(1).await;
    talk.cmd("ENABLE QRESYNC").await;
    let select = talk.cmd("SELECT INBOX").await;
    let (validity, modseq) = (told(&select, "UIDVALIDITY"), told(&select, "HIGHESTMODSEQ"));
    talk.cmd("UNSELECT").await;
    talk.fill(2).await;
    *store.goes_before_changes.lock().unwrap() = Some(UidSet::single(Uid::new(2).unwrap()));
    let again = talk.cmd(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).await;
    assert!(again.contains("* 2 EXISTS\r\n"), "{again}");
    assert!(again.contains("* 2 FETCH (UID 3 "), "{again}");
    assert_eq!(again.matches(" FETCH (").count(), 1, "{again}");
    // Where it stands then is where it is told to stand.
    let status = talk.cmd("STATUS INBOX (HIGHESTMODSEQ)").await;
    assert!(status.contains(&format!("HIGHESTMODSEQ {})", told(&again, "HIGHESTMODSEQ"))), "{again}{status}");
    let noop = talk.cmd("NOOP").await;
    assert!(!noop.contains("VANISHED"), "{noop}");
}

#[tokio::test]
async fn a_client_that_resynchronises_is_told_where_a_move_has_left_it() {
    let world = World::new().await;
    let mut talk = logged_in(&world).await;
    talk.cmd("CREATE to").await;
    talk.fill(2).await;
    talk.cmd("ENABLE QRESYNC").await;
    talk.cmd("SELECT INBOX").await;
    // RFC 6851 §4.4.
    let moved = talk.cmd("MOVE 1 to").await;
    assert!(moved.contains("* VANISHED 1\r\n"), "{moved}");
    let highest = told(&moved, "HIGHESTMODSEQ");
    let status = talk.cmd("STATUS INBOX (HIGHESTMODSEQ)").await;
    assert!(status.contains(&format!("HIGHESTMODSEQ {highest})")), "{moved}{status}");
}

/// RFC 7162 §3.2.10: it is counted until it is told of without EARLIER, and it is told of once.
#[tokio::test]
async fn what_the_client_still_counts_did_not_vanish_earlier() {
    let world = World::new().await;
    let (mut talk, mut other) = (logged_in(&world).await, logged_in(&world).await);
    talk.fill(2).await;
    talk.cmd("ENABLE QRESYNC").await;
    talk.cmd("SELECT INBOX").await;
    other.cmd("SELECT INBOX").await;
    other.cmd("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.cmd("EXPUNGE").await;
    let fetched = talk.cmd("UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)").await;
    assert!(!fetched.contains("EARLIER"), "{fetched}");
    assert!(fetched.contains("* VANISHED 1\r\n"), "{fetched}");
    let again = talk.cmd("UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)").await;
    assert!(again.starts_with("* VANISHED (EARLIER) 1\r\n"), "{again}");
}

/// The journal of a mailbox does not reach back to what a client knows: it is told of all that is not there.
#[tokio::test]
async fn a_client_that_was_away_too_long_is_told_of_everything_that_is_gone() {
    let clock = Arc::new(ManualClock::default());
    let env = Env::inline(clock.clone(), Arc::new(SeededEntropy::new(1)));
    let short = memory::Limits { journal_retention: Duration::from_secs(60), ..memory::Limits::default() };
    let store = Arc::new(MemoryStore::with_limits(env.clock.clone(), env.entropy.clone(), short));
    let world = World::over(store, env, clock, Limits::default(), 100_000_000).await;
    let mut talk = logged_in(&world).await;
    talk.fill(5).await;
    talk.cmd("ENABLE QRESYNC").await;
    let select = talk.cmd("SELECT INBOX").await;
    let validity = told(&select, "UIDVALIDITY");
    talk.cmd("STORE 2:3,5 +FLAGS.SILENT (\\Deleted)").await;
    talk.cmd("EXPUNGE").await;
    world.clock.advance(Duration::from_secs(3600));
    world.services.store.sweep().await.unwrap();
    let again = talk.cmd(&format!("SELECT INBOX (QRESYNC ({validity} 5))")).await;
    assert!(again.contains("* VANISHED (EARLIER) 2:3,5\r\n"), "{again}");
    assert!(!again.contains("FETCH"), "{again}");
    let known = talk.cmd(&format!("SELECT INBOX (QRESYNC ({validity} 3 3:5 (1:2 1,4)))")).await;
    assert!(known.contains("* VANISHED (EARLIER) 5\r\n* 2 FETCH (UID 4 "), "{known}");
    let fetched = talk.cmd("UID FETCH 1:3,7:9 FLAGS (CHANGEDSINCE 1 VANISHED)").await;
    assert!(fetched.starts_with("* VANISHED (EARLIER) 2:3\r\n* 1 FETCH ("), "{fetched}");
}
