//! The TRANSACTION and UPDATE states.

use super::*;
use futures_util::FutureExt;
use proptest::prelude::*;
use std::sync::atomic::Ordering::SeqCst;

#[tokio::test]
async fn numbers_stay_after_dele_and_counts_leave_the_deleted_out() {
    let world = three().await;
    let mut talk = session(&world).await;
    let sizes = [ONE.len(), TWO.len(), THREE.len()];
    assert_eq!(talk.say("STAT").await, format!("+OK 3 {}\r\n", sizes.iter().sum::<usize>()));
    let all = format!("1 {}\r\n2 {}\r\n3 {}\r\n", sizes[0], sizes[1], sizes[2]);
    assert_eq!(talk.lines("LIST").await, all);
    talk.expect("DELE 2", "+OK").await;
    assert_eq!(talk.say("STAT").await, format!("+OK 2 {}\r\n", sizes[0] + sizes[2]));
    assert_eq!(talk.lines("LIST").await, format!("1 {}\r\n3 {}\r\n", sizes[0], sizes[2]));
    assert_eq!(talk.say("LIST 3").await, format!("+OK 3 {}\r\n", sizes[2]));
    assert_eq!(talk.lines("UIDL").await.lines().count(), 2);
    for command in ["LIST 2", "UIDL 2", "RETR 2", "TOP 2 1", "DELE 2"] {
        talk.expect(command, "-ERR that message is marked as deleted").await;
    }
    for command in ["LIST 4", "UIDL 0", "RETR 4", "TOP 4 1", "DELE 18446744073709551616"] {
        talk.expect(command, "-ERR no such message, the maildrop has 3").await;
    }
    talk.expect("RSET", "+OK maildrop has 3 messages").await;
    assert_eq!(talk.lines("LIST").await, all);
    talk.expect("NOOP", "+OK").await;
    talk.expect("QUIT", "+OK goodbye").await;
    talk.closed().await;
    assert_eq!(kept(&world).await, 3);
}

#[tokio::test]
async fn quit_deletes_what_is_marked() {
    let world = three().await;
    let mut talk = session(&world).await;
    talk.expect("DELE 1", "+OK").await;
    talk.expect("DELE 3", "+OK").await;
    talk.expect("QUIT", "+OK 2 messages deleted").await;
    talk.closed().await;
    let mut talk = session(&world).await;
    assert_eq!(talk.lines("LIST").await, format!("1 {}\r\n", TWO.len()));
    assert_eq!(talk.message("RETR 1").await, format!("{TWO}\r\n").as_bytes());
}

#[tokio::test]
async fn quit_is_answered_once_the_deletion_is_durable() {
    let (world, store) = tricky().await;
    let mut talk = session(&world).await;
    talk.expect("DELE 1", "+OK").await;
    store.permits.forget_permits(1000);
    talk.send("QUIT\r\n").await;
    store.begun.acquire().await.unwrap().forget();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(talk.line().now_or_never().is_none(), "answered before the store did");
    assert_eq!(kept(&world).await, 3);
    store.permits.add_permits(1);
    assert_eq!(talk.line().await, "+OK 1 message deleted, goodbye\r\n");
    assert_eq!(kept(&world).await, 2);
}

#[tokio::test]
async fn when_the_store_fails_quit_says_so_and_nothing_is_deleted() {
    let (world, store) = tricky().await;
    let mut talk = session(&world).await;
    talk.expect("DELE 1", "+OK").await;
    store.expunge_errors.lock().unwrap().push(StoreError::unavailable("no primary"));
    talk.expect("QUIT", "-ERR [SYS/TEMP] the store is unavailable").await;
    talk.closed().await;
    assert_eq!(kept(&world).await, 3);
    session(&world).await.expect("STAT", "+OK 3 ").await;
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_for_with_the_same_operation() {
    let (world, store) = tricky().await;
    let unknown = || StoreError::Unavailable {
        reason: "connection lost".into(),
        retry_after: None,
        outcome_unknown: true,
    };
    let mut talk = session(&world).await;
    talk.expect("DELE 1", "+OK").await;
    store.expunge_errors.lock().unwrap().push(unknown());
    talk.expect("QUIT", "+OK 1 message deleted").await;
    let asked = store.expunges.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1]);
    assert_eq!(kept(&world).await, 2);
    let mut talk = session(&world).await;
    talk.expect("DELE 1", "+OK").await;
    store.expunge_errors.lock().unwrap().extend([unknown(), unknown()]);
    talk.expect("QUIT", "-ERR [SYS/TEMP] it is not known whether").await;
    talk.closed().await;
}

#[tokio::test]
async fn unique_ids_stay_and_are_never_given_again() {
    let world = three().await;
    let mut talk = session(&world).await;
    let before = talk.lines("UIDL").await;
    let ids: Vec<&str> = before.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert!(
        ids.iter().all(|id| (1..=70).contains(&id.len()) && id.bytes().all(|b| (0x21..=0x7e).contains(&b)))
    );
    assert_eq!(talk.say("UIDL 2").await, format!("+OK 2 {}\r\n", ids[1]));
    talk.expect("DELE 3", "+OK").await;
    talk.expect("QUIT", "+OK").await;
    deliver(&world, THREE).await;
    let mut talk = session(&world).await;
    let after = talk.lines("UIDL").await;
    let now: Vec<&str> = after.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(now[..2], ids[..2]);
    assert_eq!(now.len(), 3);
    assert!(!ids.contains(&now[2]));
}

#[tokio::test]
async fn mail_that_comes_and_goes_meanwhile_does_not_move_numbers() {
    let world = three().await;
    let mut talk = session(&world).await;
    expunge(&world, 2).await;
    deliver(&world, ONE).await;
    talk.expect("STAT", "+OK 3 ").await;
    talk.expect("RETR 2", "-ERR message 2 has expired or was deleted by another client").await;
    talk.expect("RETR 4", "-ERR no such message").await;
    assert_eq!(talk.message("RETR 3").await, THREE.as_bytes());
    talk.expect("DELE 2", "+OK").await;
    talk.expect("DELE 3", "+OK").await;
    talk.expect("QUIT", "+OK").await;
    session(&world).await.expect("STAT", "+OK 2 ").await;
}

#[tokio::test]
async fn messages_of_many_pages_are_all_listed() {
    let world = World::new().await;
    let new = |_| NewMessage {
        body: Staged::from_bytes(ONE),
        flags: Flags::new(),
        internal_date: None,
        delivery: None,
        made_from: None,
    };
    let (at, op) = (inbox(&world).await, world.services.env.op());
    world.services.store.append(op, at, (0..2345).map(new).collect()).await.unwrap();
    let mut talk = session(&world).await;
    talk.expect("STAT", &format!("+OK 2345 {}\r\n", 2345 * ONE.len())).await;
    let list = talk.lines("LIST").await;
    assert_eq!(list.lines().count(), 2345);
    assert!(list.ends_with(&format!("\r\n2345 {}\r\n", ONE.len())));
}

#[tokio::test]
async fn top_sends_the_header_and_so_many_lines() {
    let world = three().await;
    let mut talk = session(&world).await;
    assert_eq!(talk.message("TOP 3 0").await, b"Subject: three\r\n\r\n");
    assert_eq!(talk.message("TOP 3 2").await, b"Subject: three\r\n\r\na\r\nb\r\n");
    assert_eq!(talk.message("TOP 3 99999999999999999999999").await, THREE.as_bytes());
    assert_eq!(talk.message("TOP 2 1").await, b"Subject: two\r\n\r\n.\r\n");
    talk.expect("TOP 3", "-ERR the form is: TOP message lines").await;
    talk.expect("TOP 3 -1", "-ERR the form is: TOP message lines").await;
}

#[tokio::test]
async fn large_messages_come_back_byte_for_byte() {
    let world = World::new().await;
    let mut message = String::from("Subject: large\r\n\r\n");
    for i in 0..40_000 {
        message.push_str(["..\r\n", ".\r\n", "text.\r\n", "bare\n.\n", "\r\r\n"][i % 5]);
        message.push_str(&"x".repeat(i % 71));
    }
    message.push_str("\r\n");
    deliver(&world, &message).await;
    let mut talk = session(&world).await;
    let size = message.len();
    assert_eq!(talk.say("LIST 1").await, format!("+OK 1 {size}\r\n"));
    assert!(talk.message("RETR 1").await == message.as_bytes());
    talk.expect("NOOP", "+OK").await;
}

#[tokio::test]
async fn a_store_that_fails_at_once_is_reported_and_one_that_fails_later_cuts_the_message_off() {
    let (world, store) = tricky().await;
    deliver(&world, format!("Subject: large\r\n\r\n{}", "x\r\n".repeat(100_000))).await;
    let mut talk = session(&world).await;
    store.readable.store(0, SeqCst);
    talk.expect("RETR 4", "-ERR [SYS/TEMP]").await;
    store.readable.store(200_000, SeqCst);
    talk.send("RETR 4\r\nNOOP\r\n").await;
    let mut received = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut talk.io, &mut received).await.unwrap();
    assert!(received.starts_with(b"+OK 300018 octets\r\n"));
    assert!(!received.windows(5).any(|w| w == b"\r\n.\r\n"), "the end was not sent");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_message_comes_back_byte_for_byte(
        text in prop::collection::vec(prop::sample::select(b".\r\n:ab".to_vec()), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let received = runtime.block_on(async {
            let world = World::new().await;
            deliver(&world, &text).await;
            session(&world).await.message("RETR 1").await
        });
        let mut expected = text;
        if !expected.is_empty() && !expected.ends_with(b"\r\n") {
            expected.extend_from_slice(b"\r\n");
        }
        prop_assert_eq!(received, expected);
    }
}
