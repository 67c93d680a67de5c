//! Searches that take long, and searches that are followed.

use super::{greeted, log_in, selected};
use crate::Limits;
use crate::testing::World;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[tokio::test]
async fn a_long_search_says_how_far_it_is() {
    let limits = Limits { imap_progress: Duration::ZERO, ..Limits::default() };
    let world = World::with(limits, 100_000).await;
    let mut c = selected(&world).await;
    c.fill(3).await;
    let said = c.cmd("SEARCH TEXT m").await;
    for done in ["[INPROGRESS (\"", "\" 1 3)]", "\" 2 3)]"] {
        assert!(said.contains(done), "{said}");
    }
    assert!(!said.contains(" 3 3)"), "{said}");
    assert!(said.find("INPROGRESS") < said.find("* SEARCH"), "{said}");
    for command in ["SORT (SUBJECT) UTF-8 2:3", "THREAD REFERENCES UTF-8 2:3"] {
        let said = c.cmd(command).await;
        assert!(said.contains(" 1 2)] "), "{said}");
    }
    let said = c.cmd("ESEARCH IN (personal) ALL").await;
    assert!(said.contains("\" NIL NIL)] "), "{said}");
    let said = c.cmd("SEARCH RETURN (MIN) UID 1").await;
    assert!(!said.contains("INPROGRESS"), "{said}");
}

#[tokio::test]
async fn so_many_searches_are_kept_up_to_date_and_no_more() {
    let world = World::new().await;
    let mut c = selected(&world).await;
    for i in 0..10 {
        c.send(&format!("x{i} SEARCH RETURN (UPDATE COUNT) LARGER {i}\r\nt NOOP\r\n")).await;
        let said = c.answer().await;
        assert!(said.contains(" COUNT 0\r\n") && said.contains(&format!("x{i} OK")), "{said}");
        assert_eq!(said.contains(&format!("* NO [NOUPDATE \"x{i}\"]")), i >= 8, "{said}");
    }
    assert!(c.cmd("CANCELUPDATE x0 x1").await.starts_with("t OK"));
    c.send("x0 SEARCH RETURN (UPDATE) ALL\r\nt NOOP\r\n").await;
    assert!(!c.answer().await.contains("NOUPDATE"));
    let said = c.append("INBOX", "", "x").await;
    assert_eq!(said.matches("ADDTO (0 1)").count(), 1, "LARGER 0 is followed no more: {said}");
}

#[tokio::test]
async fn a_result_is_brought_up_to_date_once_the_store_can_be_asked() {
    let (world, store) = World::tricky(Limits::default(), 100_000).await;
    let mut c = selected(&world).await;
    assert!(c.cmd("SEARCH RETURN (UPDATE COUNT) BODY hello").await.contains(" COUNT 0\r\n"));
    store.readable.store(0, SeqCst);
    let said = c.append("INBOX", "", "Subject: x\r\n\r\nhello\r\n").await;
    assert!(said.contains("t OK ") && !said.contains("ADDTO"), "{said}");
    assert!(!c.cmd("NOOP").await.contains("ADDTO"), "it can't be told yet");
    store.readable.store(u64::MAX, SeqCst);
    assert!(c.cmd("NOOP").await.contains(" ADDTO (0 1)"));
    assert!(!c.cmd("NOOP").await.contains("ADDTO"), "once");
}

/// RFC 9585 says how far a search is, and what is said must not wait for its client while a place among those that sort is
/// taken.
#[tokio::test]
async fn a_client_that_does_not_listen_keeps_nobody_from_sorting() {
    let limits = Limits { imap_progress: Duration::ZERO, ..Limits::default() };
    let world = World::with(limits, 1_000_000).await;
    let mut one = selected(&world).await;
    one.fill(1).await;
    for _ in 0..8 {
        assert!(one.cmd("COPY 1:* INBOX").await.contains("t OK "));
    }
    let mut deaf = Vec::new();
    for _ in 0..8 {
        let mut talk = log_in(greeted(&world, world.connection_of(4096)).await).await;
        assert!(talk.cmd("SELECT INBOX").await.contains("t OK "));
        talk.send("t SORT (SUBJECT) UTF-8 ALL\r\n").await;
        deaf.push(talk);
    }
    let answer = tokio::time::timeout(Duration::from_secs(60), one.cmd("SORT (REVERSE ARRIVAL) UTF-8 1:3"));
    assert!(answer.await.expect("the others hold no place").contains("t OK Sorted"));
}
