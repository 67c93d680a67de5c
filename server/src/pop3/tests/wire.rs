//! How bytes arrive, and what happens when they don't.

use super::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DIALOGUE: &str = "CAPA\r\nUSER ann@example.org\r\nPASS secret\r\nSTAT\r\nLIST\r\nUIDL 1\r\nRETR 2\r\nTOP 3 1\r\n\
     DELE 1\r\nLIST 1\r\nRSET\r\nDELE 2\r\nNOOP\r\nWAT\r\nQUIT\r\n";

async fn everything(talk: &mut Client) -> String {
    let mut all = String::new();
    talk.io.read_to_string(&mut all).await.unwrap();
    all
}

#[tokio::test]
async fn pipelined_and_byte_by_byte_commands_are_answered_alike() {
    let mut answers = Vec::new();
    for piece in [1, 7, 10_000] {
        let world = three().await;
        let mut talk = connect(&world);
        for bytes in DIALOGUE.as_bytes().chunks(piece) {
            talk.send(bytes).await;
            tokio::task::yield_now().await;
        }
        answers.push(everything(&mut talk).await);
        assert_eq!(kept(&world).await, 2);
    }
    assert_eq!(answers[0].matches("+OK").count(), 14);
    assert!(answers[0].ends_with("-ERR unknown command\r\n+OK 1 message deleted, goodbye\r\n"));
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_skipped_whole() {
    let world = World::new().await;
    let mut talk = connect(&world).greeted().await;
    talk.send(format!("USER {}\r\nCAPA", "x".repeat(1 << 20))).await;
    assert!(talk.line().await.starts_with("-ERR that line is too long"));
    talk.lines("").await;
    talk.send("USER \u{e9}@example.org\r\n").await;
    assert!(talk.line().await.starts_with("+OK"));
    talk.send(b"USER \xff\r\n").await;
    assert!(talk.line().await.starts_with("-ERR only UTF-8"));
}

#[tokio::test]
async fn rubbish_is_answered_and_in_the_end_sent_away() {
    let world = World::with(Limits { bad_commands: 3, ..Limits::default() }, 1000).await;
    let mut talk = connect(&world).greeted().await;
    for _ in 0..5 {
        talk.expect("WAT", "-ERR unknown command").await;
        talk.expect("STAT", "-ERR log in first").await;
        talk.lines("CAPA").await;
    }
    talk.expect("\u{0}", "-ERR unknown command").await;
    talk.expect("LIST x", "-ERR the form is: LIST [message]").await;
    talk.expect("NOOP 1", "-ERR too many commands in a row failed, goodbye").await;
    talk.closed().await;
}

#[tokio::test]
async fn messages_that_are_missing_are_nobodys_fault() {
    let world = World::with(Limits { bad_commands: 3, ..Limits::default() }, 1000).await;
    let mut talk = session(&world).await;
    for number in 1..10 {
        talk.expect(&format!("RETR {number}"), "-ERR no such message, the maildrop has 0").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_left_without_a_word_and_without_the_lock() {
    let world = three().await;
    let mut talk = session(&world).await;
    talk.expect("DELE 1", "+OK").await;
    let since = tokio::time::Instant::now();
    talk.closed().await;
    assert_eq!(since.elapsed().as_secs(), 600);
    session(&world).await.expect("STAT", "+OK 3 ").await;
}

#[tokio::test(start_paused = true)]
async fn one_byte_now_and_then_is_no_command() {
    let world = World::new().await;
    let mut talk = connect(&world).greeted().await;
    let since = tokio::time::Instant::now();
    let mut closed = false;
    for _ in 0..20 {
        tokio::time::advance(Duration::from_secs(10)).await;
        tokio::task::yield_now().await;
        closed = talk.io.write_all(b"N").await.is_err();
        if closed {
            break;
        }
    }
    assert!(closed && since.elapsed() < Duration::from_secs(100), "closed after {:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_dropped() {
    let world = World::new().await;
    deliver(&world, "x\r\n".repeat(1_000_000)).await;
    let (conn, mut talk) = world.connection();
    let served = tokio::spawn(serve(conn, world.services.clone()));
    talk.send("USER ann@example.org\r\nPASS secret\r\nRETR 1\r\n").await;
    let since = tokio::time::Instant::now();
    served.await.unwrap();
    assert_eq!(since.elapsed(), world.services.limits.write_stall);
    session(&world).await.expect("STAT", "+OK 1 ").await;
}

#[tokio::test]
async fn a_draining_server_finishes_what_was_asked_and_says_goodbye() {
    let world = three().await;
    let mut talk = session(&world).await;
    talk.expect("DELE 1", "+OK").await;
    talk.send("RETR 3\r\nNOOP\r\n").await;
    talk.drain.cancel();
    assert!(talk.line().await.starts_with("+OK"));
    assert_eq!(talk.rest().await, THREE);
    assert!(talk.line().await.starts_with("+OK"));
    assert!(talk.line().await.starts_with("-ERR [SYS/TEMP] the server shuts down, nothing was deleted"));
    talk.closed().await;
    assert_eq!(kept(&world).await, 3);
}
