//! The mail exchanger and LMTP: who is known here, what they are told, and what is put before a message.

use super::*;
use crate::accounts::{AccountDefaults, AccountRequest, create};
use std::time::Duration;

async fn another(world: &World, address: &str, quota_bytes: u64, lifetime: Option<Duration>) -> Account {
    let services = &world.services;
    let request = AccountRequest {
        address: Some(Address::parse(address).unwrap()),
        password: Some("secret".into()),
        quota_bytes: Some(quota_bytes),
        lifetime: Some(lifetime),
        ..AccountRequest::default()
    };
    let (store, env) = (&*services.store, &services.env);
    create(store, env, &AccountDefaults::default(), env.op(), request).await.unwrap().account
}

async fn hello(world: &World, role: Role) -> Talk {
    let hello = if role == Role::Lmtp { "LHLO far.org" } else { "EHLO far.org" };
    let mut talk = connect(world, role);
    talk.reply().await;
    talk.expect(hello, "250-").await;
    talk
}

#[tokio::test]
async fn every_spelling_of_an_address_is_the_same_mailbox() {
    let world = World::new().await;
    let mut talk = hello(&world, Role::Exchanger).await;
    talk.expect("MAIL FROM:<>", "250 ").await;
    for address in ["ann@example.org", "ANN@EXAMPLE.ORG", "ann+a+b@example.org", "\"ann\"@example.org"] {
        talk.expect(&format!("RCPT TO:<{address}>"), "250 2.1.5").await;
    }
    for address in ["\"an n\"@example.org", "+ann@example.org", "ann@example.com", "annx@example.org"] {
        talk.expect(&format!("RCPT TO:<{address}>"), "550 5.1.1").await;
    }
    talk.expect("DATA", "354 ").await;
    talk.expect("Subject: bounce\r\n\r\n\r\n.", "250 2.6.0").await;
    let inbox = kept(&world).await;
    assert_eq!(inbox.len(), 1, "one copy for one account");
    assert!(inbox[0].1.starts_with("Return-Path: <>\r\nReceived: from far.org "));
    assert_eq!(inbox[0].0.delivery.as_ref().unwrap().recipients.len(), 4);
}

/// RFC 5321 §4.5.1.
#[tokio::test]
async fn the_postmaster_needs_no_domain() {
    let world = World::new().await;
    let mut talk = hello(&world, Role::Exchanger).await;
    talk.expect("MAIL FROM:<>", "250 ").await;
    talk.expect("RCPT TO:<Postmaster>", "550 5.1.1").await;
    let id = another(&world, "postmaster@mx.test", 1000, None).await.id;
    talk.expect("RCPT TO:<Postmaster>", "250 2.1.5").await;
    talk.expect("DATA", "354 ").await;
    talk.expect("hello\r\n.", "250 2.6.0").await;
    let inbox = world.services.store.mailbox_by_name(id, &MailboxName::inbox()).await.unwrap();
    assert_eq!(inbox.messages, 1);
}

#[tokio::test]
async fn a_full_mailbox_is_452_for_its_recipient_only() {
    let world = World::new().await;
    another(&world, "full@example.org", 100, None).await;
    for role in [Role::Exchanger, Role::Lmtp] {
        let mut talk = hello(&world, role).await;
        talk.expect("MAIL FROM:<bob@far.org> SIZE=101", "250 ").await;
        talk.expect("RCPT TO:<full@example.org>", "452 4.2.2").await;
        talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
        talk.expect("RSET", "250 ").await;
    }
}

#[tokio::test]
async fn who_said_no_size_is_told_before_anybody_has_a_copy() {
    let world = World::new().await;
    another(&world, "full@example.org", 100, None).await;
    let mut talk = hello(&world, Role::Exchanger).await;
    talk.expect("MAIL FROM:<bob@far.org>", "250 ").await;
    talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
    talk.expect("RCPT TO:<full@example.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    talk.expect(&format!("{}\r\n.", "x".repeat(200)), "452 4.2.2").await;
    assert!(kept(&world).await.is_empty(), "or every new attempt would bring ann another copy");

    let mut talk = hello(&world, Role::Lmtp).await;
    talk.expect("MAIL FROM:<bob@far.org>", "250 ").await;
    talk.expect("RCPT TO:<full@example.org>", "250 ").await;
    talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    talk.expect(&format!("{}\r\n.", "x".repeat(200)), "452 4.2.2").await;
    assert!(talk.reply().await.starts_with("250 2.6.0"), "LMTP has a reply for each");
    assert_eq!(kept(&world).await.len(), 1);
}

#[tokio::test]
async fn an_account_that_expires_meanwhile_does_not_cost_the_others_their_mail() {
    let world = World::new().await;
    another(&world, "brief@example.org", 10_000, Some(Duration::from_secs(60))).await;
    for (others, code) in [(true, "451 4.2.1"), (false, "550 5.2.1")] {
        let mut talk = hello(&world, Role::Exchanger).await;
        talk.expect("MAIL FROM:<bob@far.org>", "250 ").await;
        if others {
            talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
        }
        talk.expect("RCPT TO:<brief@example.org>", "250 ").await;
        talk.expect("DATA", "354 ").await;
        world.clock.advance(Duration::from_secs(61));
        talk.expect("hello\r\n.", code).await;
        talk.expect("MAIL FROM:<bob@far.org>", "250 ").await;
        talk.expect("RCPT TO:<brief@example.org>", "550 5.1.1").await;
        another(&world, "brief@example.org", 10_000, Some(Duration::from_secs(60))).await;
    }
    assert!(kept(&world).await.is_empty());
}

#[tokio::test]
async fn unknown_recipients_do_not_cost_the_known_one_its_mail() {
    for role in [Role::Exchanger, Role::Lmtp] {
        let world = World::with(Limits { bad_commands: 5, ..Limits::default() }, 100_000).await;
        let mut talk = hello(&world, role).await;
        talk.expect("MAIL FROM:<list@far.org>", "250 ").await;
        for i in 0..30 {
            talk.expect(&format!("RCPT TO:<nobody{i}@example.org>"), "550 5.1.1").await;
        }
        talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
        talk.expect("DATA", "354 ").await;
        talk.expect("hello\r\n.", "250 2.6.0").await;
    }
}

#[tokio::test]
async fn no_name_and_no_address_can_begin_a_line_of_the_header() {
    let world = World::new().await;
    let mut talk = connect(&world, Role::Exchanger);
    talk.reply().await;
    talk.expect("EHLO a\rX-Evil: 1", "500 5.5.2").await;
    talk.expect("EHLO (evil);<é>\"\\", "250-").await;
    talk.expect("MAIL FROM:<\"x;y <z>\"@far.org>", "250 ").await;
    talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    talk.expect("\r\nhello\r\n.", "250 ").await;
    let text = &kept(&world).await[0].1;
    let header = text.split("\r\n\r\n").next().unwrap();
    assert!(
        header.starts_with("Return-Path: <\"x;y <z>\"@far.org>\r\nReceived: from ?evil?????"),
        "{header}"
    );
    assert!(header.is_ascii());
    let fields: Vec<&str> = header.split("\r\n").filter(|line| !line.starts_with('\t')).collect();
    assert_eq!(fields.len(), 2, "{header}");
}

#[tokio::test]
async fn received_says_by_which_protocol() {
    for (role, hello, params, with) in [
        (Role::Exchanger, "HELO far.org", "", "with SMTP id"),
        (Role::Exchanger, "EHLO far.org", "", "with ESMTP id"),
        (Role::Exchanger, "EHLO far.org", " SMTPUTF8", "with UTF8SMTP id"),
        (Role::Lmtp, "LHLO far.org", "", "with LMTP id"),
        (Role::Lmtp, "LHLO far.org", " SMTPUTF8", "with UTF8LMTP id"),
    ] {
        let world = World::new().await;
        let mut talk = connect(&world, role);
        talk.reply().await;
        talk.expect(hello, "250").await;
        talk.expect(&format!("MAIL FROM:<bob@far.org>{params}"), "250 ").await;
        talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
        talk.expect("DATA", "354 ").await;
        talk.expect("\r\nhello\r\n.", "250 ").await;
        assert!(kept(&world).await[0].1.contains(with), "{hello}{params}");
    }
}

#[tokio::test]
async fn a_hundred_hops_are_delivered_and_one_more_is_a_loop() {
    let world = World::new().await;
    for (role, hops, start) in
        [(Role::Exchanger, 100, "250 "), (Role::Exchanger, 101, "554 5.4.6"), (Role::Lmtp, 101, "554 5.4.6")]
    {
        let mut talk = hello(&world, role).await;
        talk.expect("MAIL FROM:<bob@far.org>", "250 ").await;
        talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
        talk.expect("DATA", "354 ").await;
        // With the server's own line.
        let hops = "Received: from a by b\r\n".repeat(hops - 1);
        talk.expect(&format!("{hops}\r\nhello\r\n."), start).await;
    }
}

#[tokio::test]
async fn lmtp_says_no_once_for_each_recipient() {
    let world = World::with(Limits { message_bytes: 100, ..Limits::default() }, 100_000).await;
    another(&world, "bob@example.org", 10_000, None).await;
    let mut talk = hello(&world, Role::Lmtp).await;
    talk.expect("MAIL FROM:<x@far.org>", "250 ").await;
    talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
    talk.expect("RCPT TO:<nobody@example.org>", "550 ").await;
    talk.expect("RCPT TO:<bob@example.org>", "250 ").await;
    talk.send(format!("BDAT 101 LAST\r\n{}NOOP\r\n", "x".repeat(101))).await;
    for start in ["552 5.3.4", "552 5.3.4", "250 2.0.0 Ok"] {
        assert!(talk.reply().await.starts_with(start));
    }
    // RFC 2033 §4.2: no recipients, one reply.
    talk.expect("MAIL FROM:<x@far.org>", "250 ").await;
    talk.expect("RCPT TO:<nobody@example.org>", "550 ").await;
    talk.expect("DATA", "503 5.5.1").await;
}
