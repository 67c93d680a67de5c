//! Submission as its clients see it, and the content of DATA.

use super::*;
use proptest::prelude::*;

#[tokio::test]
async fn a_submitted_message_is_kept_as_ethereal_keeps_it() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.expect("MAIL FROM:<x@elsewhere.org> BODY=8BITMIME RET=HDRS ENVID=QQ1", "250 2.1.0").await;
    talk.expect("RCPT TO:<one@far.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;One@far.org", "250 2.1.5").await;
    // RFC 3461 §4.1: never and sometimes at once is a mistake that its maker wants to hear of.
    talk.expect("RCPT TO:<two@far.org> NOTIFY=NEVER,DELAY", "501 5.5.4").await;
    talk.expect("RCPT TO:<two@far.org>", "250 2.1.5").await;
    talk.expect("DATA", "354 ").await;
    talk.send("Subject: hi\r\n\r\n..dot\r\nbare\n.\nlf and \r.\r cr\r\n.\r\n").await;
    let reply = talk.reply().await;
    let msgid = reply.strip_prefix("250 Accepted [STATUS=new MSGID=").expect(&reply);
    let msgid = msgid.strip_suffix("]\r\n").expect("nothing after the bracket");
    let inbox = kept(&world).await;
    assert_eq!(inbox.len(), 1, "one copy, whatever the envelope says");
    let (message, text) = &inbox[0];
    assert_eq!(
        text,
        "Return-Path: <x@elsewhere.org>\r\nSubject: hi\r\n\r\n.dot\r\nbare\n.\nlf and \r.\r cr\r\n"
    );
    let (at, uid) = world.services.message_ids.verify(msgid).unwrap();
    assert_eq!((at.account, uid), (world.account.id, message.uid));
    let delivery = message.delivery.as_ref().unwrap();
    assert_eq!(delivery.mail_params, ["BODY=8BITMIME", "RET=HDRS", "ENVID=QQ1"]);
    assert_eq!(delivery.recipients.len(), 2);
    assert_eq!(delivery.recipients[0].params, ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;One@far.org"]);
    assert_eq!(delivery.helo, "client.test");
    assert_eq!(delivery.authenticated_as.as_deref(), Some("ann@example.org"));
    talk.expect("QUIT", "221 2.0.0").await;
    talk.closed().await;
}

#[tokio::test]
async fn pipelined_commands_and_byte_by_byte_ones_are_the_same() {
    let token = STANDARD.encode("\0ann@example.org\0secret");
    let text = format!(
        "EHLO c\r\nAUTH PLAIN {token}\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.org>\r\nDATA\r\nA: b\r\n\r\n.\r\n\
         MAIL FROM:<a@b.org>\r\nRCPT TO:<a@b.org>\r\nBDAT 6\r\nA: b\r\nBDAT 3 LAST\r\n\r\n.QUIT\r\n"
    );
    for step in [1, 7, text.len()] {
        let world = World::new().await;
        let mut talk = connect(&world, SUBMISSION);
        for piece in text.as_bytes().chunks(step) {
            talk.send(piece).await;
            tokio::task::yield_now().await;
        }
        let mut codes = Vec::new();
        for _ in 0..12 {
            codes.push(talk.reply().await[..3].to_owned());
        }
        let expected = ["220", "250", "235", "250", "250", "354", "250", "250", "250", "250", "250", "221"];
        assert_eq!(codes, expected, "in steps of {step}");
        let texts: Vec<String> = kept(&world).await.into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["Return-Path: <>\r\nA: b\r\n\r\n", "Return-Path: <a@b.org>\r\nA: b\r\n\r\n."]);
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_taken() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.reply().await;
    talk.expect("MAIL FROM:<a@b.org>", "503 5.5.1").await;
    talk.expect("EHLO c", "250-").await;
    talk.expect("MAIL FROM:<a@b.org>", "530 5.7.0").await;
    let wrong = STANDARD.encode("\0ann@example.org\0wrong");
    talk.expect(&format!("AUTH PLAIN {wrong}"), "535 5.7.8").await;
    talk.expect("AUTH CRAM-MD5", "504 5.5.4").await;
    talk.expect("AUTH PLAIN !!!", "501 5.5.2").await;
    talk.expect("AUTH LOGIN", "334 VXNlcm5hbWU6").await;
    talk.expect("*", "501 5.7.0").await;
    talk.expect("AUTH LOGIN", "334 VXNlcm5hbWU6").await;
    talk.expect(&STANDARD.encode("ann@example.org"), "334 UGFzc3dvcmQ6").await;
    talk.expect(&STANDARD.encode("secret"), "235 2.7.0").await;
    talk.expect("AUTH LOGIN", "503 5.5.1").await;
    talk.expect("MAIL FROM:<a@b.org>", "250 2.1.0").await;
}

#[tokio::test]
async fn anything_is_accepted_where_that_is_switched_on() {
    let world = World::new().await;
    let role = Role::Submission { accept_anything: Some(world.account.id) };
    for auth in
        [None, Some(STANDARD.encode("\0who@ever.org\0x")), Some(STANDARD.encode("\0ann@example.org\0x"))]
    {
        let mut talk = connect(&world, role.clone());
        talk.reply().await;
        talk.expect("EHLO c", "250-").await;
        if let Some(token) = auth {
            talk.expect(&format!("AUTH PLAIN {token}"), "235 ").await;
        }
        talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
        talk.expect("RCPT TO:<a@b.org>", "250 ").await;
        talk.expect("DATA", "354 ").await;
        talk.expect("hello\r\n.", "250 Accepted [STATUS=new MSGID=").await;
    }
    assert_eq!(kept(&world).await.len(), 3);
}

#[tokio::test]
async fn what_is_too_large_is_skipped_and_the_connection_lives() {
    let world = World::with(Limits { message_bytes: 1000, ..Limits::default() }, 100_000).await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.expect("MAIL FROM:<a@b.org> SIZE=1001", "552 5.3.4").await;
    talk.expect("MAIL FROM:<a@b.org> SIZE=1000", "250 ").await;
    talk.expect("RCPT TO:<a@b.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    let long = "x".repeat(5000);
    talk.expect(&format!("{long}\r\n."), "552 5.3.4").await;
    talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
    talk.expect("RCPT TO:<a@b.org>", "250 ").await;
    talk.send(format!("BDAT 5000\r\n{long}")).await;
    assert!(talk.reply().await.starts_with("552 5.3.4"));
    talk.send(format!("BDAT 10 LAST\r\n{}", &long[..10])).await;
    assert!(talk.reply().await.starts_with("503 "));
    // The limit is that of the content: the line the server adds doesn't count.
    talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
    talk.expect("RCPT TO:<a@b.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    talk.expect(&format!("{}\r\n.", &long[..998]), "250 Accepted").await;
    assert_eq!(kept(&world).await.len(), 1);
}

#[tokio::test]
async fn a_full_mailbox_and_a_deleted_account_have_codes_of_their_own() {
    let world = World::with(Limits::default(), 100).await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.expect("MAIL FROM:<a@b.org> SIZE=101", "552 5.2.2").await;
    talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
    talk.expect("RCPT TO:<a@b.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    talk.expect(&format!("{}\r\n.", "x".repeat(100)), "552 5.2.2").await;
    let op = world.services.env.op();
    world.services.store.delete_account(op, world.account.id).await.unwrap();
    talk.expect("MAIL FROM:<a@b.org>", "550 5.2.1").await;
}

#[tokio::test]
async fn the_exchanger_takes_mail_for_those_it_knows() {
    let world = World::new().await;
    let mut talk = connect(&world, Role::Exchanger);
    assert!(talk.reply().await.starts_with("220 "));
    let extensions = talk.expect("EHLO mail.far.org", "250-").await;
    assert!(!extensions.contains("AUTH"));
    talk.expect("AUTH PLAIN AAAA", "502 ").await;
    talk.expect("MAIL FROM:<bob@far.org>", "250 ").await;
    talk.expect("RCPT TO:<nobody@example.org>", "550 5.1.1").await;
    talk.expect("DATA", "503 5.5.1").await;
    talk.expect("RCPT TO:<Ann+lists@EXAMPLE.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    talk.expect("Subject: hi\r\n\r\nhello\r\n.", "250 2.6.0").await;
    let inbox = kept(&world).await;
    let text = &inbox[0].1;
    assert!(text.starts_with(
        "Return-Path: <bob@far.org>\r\nReceived: from mail.far.org ([127.0.0.1])\r\n\tby mx.test (Gadwall) with ESMTP id "
    ), "{text}");
    assert!(text.contains("for <Ann+lists@EXAMPLE.org>;\r\n\t") && text.ends_with("\r\n\r\nhello\r\n"));
    talk.expect("MAIL FROM:<bob@far.org>", "250 ").await;
    talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    let circle = "Received: from a by b\r\n".repeat(101);
    talk.expect(&format!("{circle}\r\nhello\r\n."), "554 5.4.6").await;
    assert_eq!(kept(&world).await.len(), 1);
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient() {
    let world = World::new().await;
    let mut talk = connect(&world, Role::Lmtp);
    assert!(talk.reply().await.contains("LMTP"));
    talk.expect("EHLO c", "500 ").await;
    talk.expect("LHLO c", "250-").await;
    talk.expect("MAIL FROM:<bob@far.org>", "250 ").await;
    talk.expect("RCPT TO:<ann@example.org>", "250 ").await;
    talk.expect("RCPT TO:<bob@example.org>", "550 ").await;
    talk.expect("RCPT TO:<ann+x@example.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    talk.expect("hello\r\n.", "250 ").await;
    assert!(talk.reply().await.starts_with("250 "));
    assert_eq!(kept(&world).await.len(), 1, "one copy for one account");
}

#[tokio::test]
async fn rubbish_is_answered_and_in_the_end_sent_away() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.expect("WAT", "500 5.5.2").await;
    talk.expect("MAIL FROM:a b", "501 5.5.2").await;
    talk.expect("MAIL FROM:<a@b.org> FOO=1", "555 5.5.4").await;
    talk.expect("MAIL FROM:<a@b.org> SIZE=x", "501 5.5.4").await;
    talk.expect("MAIL FROM:<\u{e9}@b.org>", "553 5.6.7").await;
    talk.expect("MAIL FROM:<\u{e9}@b.org> SMTPUTF8", "250 ").await;
    talk.expect("MAIL FROM:<a@b.org>", "503 ").await;
    talk.expect("RSET", "250 ").await;
    talk.expect("RCPT TO:<a@b.org>", "503 ").await;
    talk.expect(&format!("NOOP {}", "x".repeat(20_000)), "500 5.5.6").await;
    talk.expect("VRFY ann", "252 ").await;
    talk.expect("EXPN staff", "502 ").await;
    talk.expect("BDAT 3\r\nabcNOOP", "503 ").await;
    assert!(talk.reply().await.starts_with("250 "));
    for _ in 0..50 {
        if talk.say("WAT").await.starts_with("421 4.7.0") {
            return talk.closed().await;
        }
    }
    panic!("never sent away");
}

#[tokio::test]
async fn a_draining_server_finishes_the_message_in_flight() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
    talk.expect("RCPT TO:<a@b.org>", "250 ").await;
    talk.expect("DATA", "354 ").await;
    talk.drain.cancel();
    talk.expect("hello\r\n.", "250 Accepted").await;
    assert!(talk.reply().await.starts_with("421 4.3.2"));
    talk.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_sent_away() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.reply().await;
    assert!(talk.reply().await.starts_with("421 4.4.2"));
    talk.closed().await;
}

fn unstuff(input: &[u8], split: usize) -> (Vec<u8>, usize, bool) {
    let (mut out, mut used, mut decoder) = (Vec::new(), 0, Unstuffer::default());
    for piece in input.chunks(split) {
        let push = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok::<(), ()>(())
        };
        let (n, ended) = decoder.push(piece, push).unwrap();
        used += n;
        if ended {
            return (out, used, true);
        }
    }
    (out, used, false)
}

proptest! {
    #[test]
    fn stuffing_and_unstuffing_is_identity(
        content in prop::collection::vec(prop::sample::select(b".\r\nab".to_vec()), 0..60),
        split in 1usize..9,
        rest in prop::collection::vec(any::<u8>(), 0..5),
    ) {
        let mut content = content;
        if !content.is_empty() && !content.ends_with(b"\r\n") {
            content.extend_from_slice(b"\r\n");
        }
        let mut wire = stuff(&content);
        let len = wire.len();
        wire.extend_from_slice(&rest);
        prop_assert_eq!(unstuff(&wire, split), (content, len, true));
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message(
        content in prop::collection::vec(prop::sample::select(b".\r\na".to_vec()), 0..40),
        split in 1usize..9,
    ) {
        let (_, used, ended) = unstuff(&content, split);
        let end = if content.starts_with(b".\r\n") {
            Some(3)
        } else {
            content.windows(5).position(|w| w == b"\r\n.\r\n").map(|i| i + 5)
        };
        prop_assert_eq!(ended.then_some(used), end);
    }

    #[test]
    fn no_line_panics_the_grammar(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::parse(&line);
    }

    #[test]
    fn no_parameters_panic_the_grammar(tail in "[ -~\u{e9}]{0,80}", verb in 0usize..6) {
        let verb = ["MAIL FROM:<", "RCPT TO:<", "MAIL FROM:<a@b> ", "RCPT TO:<a@b> ", "BDAT ", "AUTH "][verb];
        let _ = Command::parse(format!("{verb}{tail}").as_bytes());
    }
}
