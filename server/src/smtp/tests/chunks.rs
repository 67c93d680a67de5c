//! BDAT (RFC 3030), alone and where it is misused, and messages nobody may split.

use super::*;

async fn ready(limit: u64) -> (World, Talk) {
    let world = World::with(Limits { message_bytes: limit, ..Limits::default() }, 1_000_000).await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    (world, talk)
}

impl Talk {
    async fn envelope(&mut self) {
        self.expect("MAIL FROM:<a@b.org>", "250 ").await;
        self.expect("RCPT TO:<a@b.org>", "250 ").await;
    }

    async fn chunk(&mut self, content: &str, last: &str, start: &str) {
        self.send(format!("BDAT {}{last}\r\n{content}", content.len())).await;
        let reply = self.reply().await;
        assert!(reply.starts_with(start), "{reply:?} is not {start:?}");
    }
}

#[tokio::test]
async fn chunks_are_one_message_and_their_bytes_are_not_looked_at() {
    let (world, mut talk) = ready(100_000).await;
    talk.expect("MAIL FROM:<a@b.org> BODY=BINARYMIME", "250 ").await;
    talk.expect("RCPT TO:<a@b.org>", "250 ").await;
    talk.expect("DATA", "503 5.5.1").await;
    talk.chunk("A: b\r\n\r\n..\r\n.\r\n", "", "250 2.0.0 15 octets").await;
    talk.chunk("", "", "250 2.0.0 0 octets").await;
    talk.expect("DATA", "503 5.5.1").await;
    talk.expect("RCPT TO:<c@d.org>", "503 5.5.1").await;
    talk.expect("MAIL FROM:<c@d.org>", "503 5.5.1").await;
    talk.chunk("no line end", "", "250 ").await;
    talk.chunk("", " last", "250 Accepted [").await;
    assert_eq!(kept(&world).await[0].1, "Return-Path: <a@b.org>\r\nA: b\r\n\r\n..\r\n.\r\nno line end");
}

#[tokio::test]
async fn an_empty_message_is_a_message() {
    let (world, mut talk) = ready(100_000).await;
    talk.envelope().await;
    talk.chunk("", " LAST", "250 Accepted [").await;
    talk.envelope().await;
    talk.expect("DATA", "354 ").await;
    talk.expect(".", "250 Accepted [").await;
    let texts: Vec<String> = kept(&world).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["Return-Path: <a@b.org>\r\n", "Return-Path: <a@b.org>\r\n"]);
}

#[tokio::test]
async fn chunks_of_no_message_are_skipped_and_answered() {
    let (world, mut talk) = ready(100_000).await;
    talk.chunk("NOOP\r\n", "", "503 5.5.1").await;
    talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
    talk.expect("RCPT TO:<a b>", "501 ").await;
    // Pipelined behind the recipient that failed: all of it is swallowed, none of it is a command.
    talk.send("BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n").await;
    for start in ["503 5.5.1", "503 5.5.1", "250 2.0.0"] {
        assert!(talk.reply().await.starts_with(start));
    }
    assert!(kept(&world).await.is_empty());
}

#[tokio::test]
async fn a_chunk_beyond_the_limit_ends_the_message_and_not_the_connection() {
    let (world, mut talk) = ready(100).await;
    talk.envelope().await;
    talk.chunk(&"x".repeat(60), "", "250 ").await;
    talk.chunk(&"x".repeat(60), "", "552 5.3.4").await;
    talk.chunk(&"x".repeat(60), " LAST", "503 5.5.1").await;
    talk.envelope().await;
    talk.chunk(&"x".repeat(101), " LAST", "552 5.3.4").await;
    talk.envelope().await;
    talk.chunk(&"x".repeat(100), " LAST", "250 Accepted").await;
    assert_eq!(kept(&world).await.len(), 1);
}

#[tokio::test]
async fn a_chunk_without_a_size_ends_the_connection() {
    for line in ["BDAT", "BDAT x", "BDAT -1", "BDAT 5 LASTLY", "BDAT 5 LAST x", "BDAT 999999999999999999999"]
    {
        let (_world, mut talk) = ready(100_000).await;
        talk.envelope().await;
        talk.send(format!("{line}\r\nRSET\r\n")).await;
        assert!(talk.reply().await.starts_with("501 5.5.4"), "{line}");
        talk.closed().await;
    }
}

#[tokio::test]
async fn rset_between_chunks_forgets_them() {
    let (world, mut talk) = ready(100_000).await;
    talk.envelope().await;
    talk.chunk("Subject: gone\r\n", "", "250 ").await;
    talk.expect("RSET", "250 ").await;
    talk.chunk("x", " LAST", "503 ").await;
    assert!(kept(&world).await.is_empty());
}

#[tokio::test]
async fn empty_chunks_do_not_keep_a_connection() {
    let world = World::with(Limits { bad_commands: 5, recipients: 10, ..Limits::default() }, 1_000_000).await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.send("BDAT 0\r\n".repeat(5)).await;
    for _ in 0..4 {
        assert!(talk.reply().await.starts_with("503 "));
    }
    assert!(talk.reply().await.starts_with("421 4.7.0"), "chunks of no message are bad commands");
    talk.closed().await;

    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    talk.envelope().await;
    for _ in 0..600 {
        talk.send("BDAT 0\r\n").await;
        let reply = talk.reply().await;
        if reply.starts_with("421 4.7.0") {
            return talk.closed().await;
        }
        assert!(reply.starts_with("250 "), "{reply}");
    }
    panic!("never sent away");
}

/// The ends of content that differ between servers, each with what would be a second message behind it. All is one
/// message, kept byte for byte ("SMTP smuggling").
#[tokio::test]
async fn no_sequence_but_crlf_dot_crlf_splits_a_message() {
    let smuggled = "MAIL FROM:<x@evil.org>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\n";
    for end in
        ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\n.\r", "\r\n.\r", "\r\n.\0\r\n", "\r\n\0.\r\n"]
    {
        let (world, mut talk) = ready(100_000).await;
        talk.envelope().await;
        talk.expect("DATA", "354 ").await;
        talk.send(format!("Subject: one{end}{smuggled}\r\n.\r\nNOOP\r\n")).await;
        assert!(talk.reply().await.starts_with("250 Accepted"), "{end:?}");
        assert_eq!(talk.reply().await, "250 2.0.0 Ok\r\n", "{end:?}: one message, then NOOP");
        let inbox = kept(&world).await;
        assert_eq!(inbox.len(), 1, "{end:?}");
        // The one dot that starts a line after CRLF is stuffing, and goes.
        let content = format!("Subject: one{end}{smuggled}").replace("\r\n.", "\r\n");
        assert_eq!(inbox[0].1, format!("Return-Path: <a@b.org>\r\n{content}\r\n"), "{end:?}");
    }
}
