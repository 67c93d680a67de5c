//! NOTIFY (RFC 5465): what a case in text can't bring about.

use super::logged_in;
use crate::Limits;
use crate::testing::World;
use gadwall_storage::contract::message;
use std::time::Duration;
use tokio::time::Instant;

/// A message that comes while a command is answered, after the selected mailbox was looked at: what told of it must wake
/// the session, which would else not look before half a minute is over.
#[tokio::test(start_paused = true)]
async fn what_comes_while_a_command_is_answered_is_told_at_once() {
    for others in ["", " (personal (MailboxName))"] {
        let (world, store) = World::tricky(Limits::default(), 100_000_000).await;
        let mut talk = logged_in(&world).await;
        talk.cmd("SELECT INBOX").await;
        talk.cmd(&format!("NOTIFY SET (selected (MessageNew MessageExpunge)){others}")).await;
        *store.comes_after_changes.lock().unwrap() = Some(message(b"Subject: x\r\n\r\n"));
        let begun = Instant::now();
        let noop = talk.cmd("NOOP").await;
        assert!(!noop.contains("EXISTS"), "{noop}");
        assert_eq!(talk.line().await, "* 1 EXISTS\r\n");
        // Virtual time: the next look without a hint is 30 s away.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

/// Who takes messages away wants to know which, also one who wants to know nothing else of the mailbox.
#[tokio::test]
async fn who_takes_messages_away_is_told_which_in_any_case() {
    let world = World::new().await;
    let mut talk = logged_in(&world).await;
    talk.fill(3).await;
    talk.cmd("CREATE to").await;
    talk.cmd("SELECT INBOX").await;
    talk.cmd("NOTIFY NONE").await;
    talk.fill(1).await;
    assert!(!talk.cmd("NOOP").await.contains("EXISTS"));
    talk.cmd("STORE 2 +FLAGS (\\Deleted)").await;
    assert!(talk.cmd("EXPUNGE").await.contains("* 2 EXPUNGE\r\n"));
    assert!(talk.cmd("MOVE 1 to").await.contains("* 1 EXPUNGE\r\n"));
    assert!(!talk.cmd("NOOP").await.contains("EXPUNGE"));
}
