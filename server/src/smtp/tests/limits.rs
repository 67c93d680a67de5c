//! What one client may cost: time, commands, recipients.

use super::*;
use std::time::Duration;

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_is_no_command() {
    let world = World::new().await;
    for (role, seconds) in [(SUBMISSION, 60), (Role::Exchanger, 300)] {
        let mut talk = connect(&world, role);
        talk.reply().await;
        let begun = tokio::time::Instant::now();
        for _ in 0..seconds / 20 - 1 {
            pass(20).await;
            talk.send("x").await;
        }
        assert!(talk.reply().await.starts_with("421 4.4.2"));
        assert_eq!(begun.elapsed().as_secs(), seconds);
        talk.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn content_that_trickles_is_given_up_and_not_kept() {
    let world = World::new().await;
    for begin in ["DATA", "BDAT 1000000"] {
        let mut talk = connect(&world, SUBMISSION);
        talk.login().await;
        talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
        talk.expect("RCPT TO:<a@b.org>", "250 ").await;
        talk.send(format!("{begin}\r\n")).await;
        if begin == "DATA" {
            talk.reply().await;
        }
        // Slow, and not too slow: blocks come in time.
        for _ in 0..3 {
            pass(200).await;
            talk.send("x".repeat(20 << 10)).await;
        }
        let begun = tokio::time::Instant::now();
        for _ in 0..14 {
            pass(20).await;
            talk.send("x").await;
        }
        assert!(talk.reply().await.starts_with("421 4.4.2"), "{begin}");
        assert_eq!(begun.elapsed().as_secs(), 300, "{begin}: not a byte, a block resets the clock");
        talk.closed().await;
    }
    assert!(kept(&world).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_never_finished_ends() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.reply().await;
    talk.expect("EHLO c", "250-").await;
    talk.expect("AUTH LOGIN", "334 ").await;
    assert!(talk.reply().await.starts_with("421 4.4.2"));
    talk.closed().await;
}

#[tokio::test]
async fn recipients_beyond_the_limit_are_452_and_the_others_get_their_mail() {
    let world = World::with(Limits { recipients: 3, ..Limits::default() }, 100_000).await;
    let mut talk = connect(&world, SUBMISSION);
    talk.reply().await;
    assert!(talk.expect("EHLO c", "250-").await.contains("LIMITS RCPTMAX=3\r\n"));
    let token = STANDARD.encode("\0ann@example.org\0secret");
    talk.expect(&format!("AUTH PLAIN {token}"), "235 ").await;
    talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
    for i in 0..3 {
        talk.expect(&format!("RCPT TO:<{i}@b.org>"), "250 ").await;
    }
    talk.expect("RCPT TO:<3@b.org>", "452 4.5.3").await;
    talk.expect("DATA", "354 ").await;
    talk.expect("hello\r\n.", "250 Accepted").await;
    assert_eq!(kept(&world).await[0].0.delivery.as_ref().unwrap().recipients.len(), 3);
}

#[tokio::test]
async fn commands_that_lead_nowhere_end_in_time() {
    let world = World::with(Limits { recipients: 10, ..Limits::default() }, 100_000).await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    for _ in 0..600 {
        if talk.say("NOOP").await.starts_with("421 4.7.0") {
            return talk.closed().await;
        }
    }
    panic!("never sent away");
}

#[tokio::test(start_paused = true)]
async fn those_who_guess_have_to_wait() {
    let world = World::with(Limits { bad_commands: 100, ..Limits::default() }, 100_000).await;
    let mut talk = connect(&world, SUBMISSION);
    talk.reply().await;
    talk.expect("EHLO c", "250-").await;
    let guess =
        |password| format!("AUTH PLAIN {}", STANDARD.encode(format!("\0ann@example.org\0{password}")));
    for _ in 0..10 {
        talk.expect(&guess("wrong"), "535 5.7.8").await;
    }
    talk.expect(&guess("secret"), "454 4.7.0").await;
    pass(20).await;
    talk.expect(&guess("secret"), "235 2.7.0").await;
}

#[tokio::test]
async fn a_token_is_refused_as_its_clients_understand() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.reply().await;
    assert!(!talk.expect("EHLO c", "250-").await.contains("XOAUTH2"), "not offered, only refused well");
    let token = STANDARD.encode("user=ann@example.org\x01auth=Bearer abc\x01\x01");
    let challenge = talk.expect(&format!("AUTH XOAUTH2 {token}"), "334 ").await;
    let told = STANDARD.decode(challenge[4..].trim()).unwrap();
    assert!(String::from_utf8(told).unwrap().contains(r#""status":"401""#));
    talk.expect("", "535 5.7.8").await;
    talk.expect("AUTH XOAUTH2", "334").await;
    talk.expect("*", "501 5.7.0").await;
}

#[tokio::test]
async fn a_client_that_goes_on_is_told_of_the_drain_between_messages() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
    talk.expect("RCPT TO:<a@b.org>", "250 ").await;
    talk.send("BDAT 3\r\na\r\n").await;
    assert!(talk.reply().await.starts_with("250 "));
    talk.drain.cancel();
    // The message in chunks is finished, the next one is not begun, though it was sent already.
    talk.send("BDAT 3 LAST\r\nb\r\nMAIL FROM:<a@b.org>\r\nRCPT TO:<a@b.org>\r\nDATA\r\n").await;
    assert!(talk.reply().await.starts_with("250 Accepted"));
    assert!(talk.reply().await.starts_with("421 4.3.2"));
    talk.closed().await;
    assert_eq!(kept(&world).await.len(), 1);
}

#[tokio::test]
async fn an_idle_client_is_told_of_the_drain_at_once() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.drain.cancel();
    assert!(talk.reply().await.starts_with("421 4.3.2"));
    talk.closed().await;
}
