//! STARTTLS (RFC 3207), and what may cross the connection before it.

use super::*;

fn connect_from_afar(world: &World, role: Role) -> Talk {
    let (mut conn, talk) = world.connection();
    conn.peer = "192.0.2.1:4000".parse().unwrap();
    tokio::spawn(serve(conn, world.services.clone(), role));
    talk
}

#[tokio::test]
async fn what_was_said_in_clear_does_not_count() {
    let world = World::with_tls().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
    // Sent along by somebody in between: never executed.
    talk.send("STARTTLS\r\nRCPT TO:<evil@b.org>\r\nNOOP\r\n").await;
    assert!(talk.reply().await.starts_with("220 2.0.0"));
    talk.expect("RCPT TO:<a@b.org>", "503 5.5.1 Say MAIL first").await;
    talk.expect("MAIL FROM:<a@b.org>", "503 5.5.1 Say EHLO first").await;
    let offers = talk.expect("EHLO c", "250-").await;
    assert!(!offers.contains("STARTTLS") && offers.contains("AUTH SCRAM-SHA-256 PLAIN LOGIN"), "{offers}");
    talk.expect("MAIL FROM:<a@b.org>", "530 5.7.0").await;
    talk.expect("STARTTLS", "503 5.5.1").await;
    let token = STANDARD.encode("\0ann@example.org\0secret");
    talk.expect(&format!("AUTH PLAIN {token}"), "235 ").await;
    talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
    talk.expect("RCPT TO:<a@b.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    talk.expect("hello\r\n.", "250 Accepted").await;
    assert_eq!(kept(&world).await[0].0.delivery.as_ref().unwrap().tls.as_deref(), Some("TLSv1.3 NULL"));
}

#[tokio::test]
async fn a_password_needs_encryption_from_another_machine() {
    let world = World::with_tls().await;
    let mut talk = connect_from_afar(&world, SUBMISSION);
    talk.reply().await;
    let offers = talk.expect("EHLO c", "250-").await;
    assert!(offers.contains("AUTH SCRAM-SHA-256\r\n") && offers.contains("STARTTLS"), "{offers}");
    let token = STANDARD.encode("\0ann@example.org\0secret");
    talk.expect(&format!("AUTH PLAIN {token}"), "538 5.7.11").await;
    talk.expect("AUTH LOGIN", "538 5.7.11").await;
    talk.expect("STARTTLS", "220 ").await;
    talk.expect("EHLO c", "250-").await;
    talk.expect(&format!("AUTH PLAIN {token}"), "235 ").await;

    let world = World::new().await;
    let mut talk = connect_from_afar(&world, SUBMISSION);
    talk.reply().await;
    talk.expect("EHLO c", "250-").await;
    talk.expect("STARTTLS", "502 5.5.1").await;
    talk.expect(&format!("AUTH PLAIN {token}"), "504 5.5.4 Only SCRAM-SHA-256").await;
}

#[tokio::test]
async fn scram_proves_both_sides_without_encryption() {
    let world = World::new().await;
    for (password, code) in [("secret", "235 2.7.0"), ("wrong", "535 5.7.8")] {
        let mut talk = connect_from_afar(&world, SUBMISSION);
        talk.reply().await;
        talk.expect("EHLO c", "250-").await;
        let bare = "n=ann@example.org,r=fyko+d2lbbFgONRv9qkxdawL";
        let first = STANDARD.encode(format!("n,,{bare}"));
        let reply = talk.expect(&format!("AUTH SCRAM-SHA-256 {first}"), "334 ").await;
        let server_first = String::from_utf8(STANDARD.decode(reply[4..].trim()).unwrap()).unwrap();
        let (message, expected) = crate::auth::tests::scram_client(password, bare, &server_first);
        if password == "secret" {
            let reply = talk.expect(&STANDARD.encode(message), "334 ").await;
            assert_eq!(STANDARD.decode(reply[4..].trim()).unwrap(), expected.as_bytes());
            talk.expect("", code).await;
            talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
        } else {
            talk.expect(&STANDARD.encode(message), code).await;
        }
    }
}

#[tokio::test]
async fn scrams_last_message_wants_an_empty_answer() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.reply().await;
    talk.expect("EHLO c", "250-").await;
    let bare = "n=ann@example.org,r=abc";
    let reply =
        talk.expect(&format!("AUTH SCRAM-SHA-256 {}", STANDARD.encode(format!("n,,{bare}"))), "334 ").await;
    let server_first = String::from_utf8(STANDARD.decode(reply[4..].trim()).unwrap()).unwrap();
    let (message, _) = crate::auth::tests::scram_client("secret", bare, &server_first);
    talk.expect(&STANDARD.encode(message), "334 ").await;
    talk.expect("*", "501 5.7.0").await;
    talk.expect("MAIL FROM:<a@b.org>", "530 5.7.0").await;
}
