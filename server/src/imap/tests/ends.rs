//! How sessions and selections end that the client did not end.

use super::{connect, selected};
use crate::testing::World;
use std::time::Duration;

#[tokio::test]
async fn a_mailbox_deleted_elsewhere_is_deselected() {
    let world = World::new().await;
    let mut a = selected(&world).await;
    a.cmd("CREATE x").await;
    a.cmd("SELECT x").await;
    let mut b = selected(&world).await;
    b.cmd("DELETE x").await;
    assert!(a.cmd("NOOP").await.starts_with("* OK [CLOSED]"));
    assert!(a.cmd("FETCH 1 FLAGS").await.starts_with("t BAD"));
}

#[tokio::test]
async fn an_expired_account_is_told_so_and_sent_away() {
    let world = World::new().await;
    let mut talk = selected(&world).await;
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    talk.send("t NOOP\r\n").await;
    assert!(talk.line().await.starts_with("* BYE [EXPIRED]"));
    talk.closed().await;
}

#[tokio::test]
async fn rubbish_is_bad_and_in_the_end_sent_away() {
    let world = World::new().await;
    let mut talk = connect(&world).await;
    talk.send("\r\n* NOOP\r\n").await;
    assert!(talk.line().await.starts_with("* BAD "));
    talk.send("t WAT\r\n".repeat(100)).await;
    loop {
        let line = talk.line().await;
        if line.starts_with("* BYE") {
            return talk.closed().await;
        }
        assert!(line.starts_with("t BAD"), "{line}");
    }
}

#[tokio::test]
async fn a_draining_server_says_bye_to_the_idle() {
    let world = World::new().await;
    let (mut a, mut b) = (selected(&world).await, selected(&world).await);
    b.send("t IDLE\r\n").await;
    b.line().await;
    for talk in [&mut a, &mut b] {
        talk.drain.cancel();
        assert!(talk.line().await.starts_with("* BYE "));
        talk.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_sent_away_but_an_idling_one_hears_something() {
    let world = World::new().await;
    let mut silent = connect(&world).await;
    assert!(silent.line().await.starts_with("* BYE"));
    let mut idling = selected(&world).await;
    idling.send("t IDLE\r\n").await;
    idling.line().await;
    assert!(idling.line().await.starts_with("* OK Still here"));
}
