//! Whole dialogues over an in-memory pipe and the memory store.

mod ends;
mod notify;
mod resync;
mod searching;

use super::serve;
use crate::Limits;
use crate::net::Conn;
use crate::testing::{Talk, World};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;

async fn connect(world: &World) -> Talk {
    greeted(world, world.connection()).await
}

async fn greeted(world: &World, (conn, mut talk): (Conn, Talk)) -> Talk {
    tokio::spawn(serve(conn, world.services.clone()));
    let greeting = talk.line().await;
    assert!(greeting.starts_with("* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR"), "{greeting}");
    talk
}

async fn logged_in(world: &World) -> Talk {
    log_in(connect(world).await).await
}

async fn log_in(mut talk: Talk) -> Talk {
    let answer = talk.cmd("LOGIN ann@example.org secret").await;
    assert!(answer.starts_with("t OK [CAPABILITY IMAP4rev1"), "{answer}");
    talk
}

async fn selected(world: &World) -> Talk {
    let mut talk = logged_in(world).await;
    assert!(talk.cmd("SELECT INBOX").await.contains("t OK [READ-WRITE]"));
    talk
}

impl Talk {
    /// A command and everything up to its tagged answer.
    async fn cmd(&mut self, command: &str) -> String {
        self.send(format!("t {command}\r\n")).await;
        self.answer().await
    }

    async fn answer(&mut self) -> String {
        let mut answer = String::new();
        loop {
            let line = self.line().await;
            answer.push_str(&line);
            if line.starts_with("t ") {
                return answer;
            }
        }
    }

    async fn append(&mut self, mailbox: &str, options: &str, message: &str) -> String {
        self.send(format!("t APPEND {mailbox}{options} {{{}}}\r\n", message.len())).await;
        let line = self.line().await;
        if !line.starts_with("+ ") {
            return line;
        }
        self.send(format!("{message}\r\n")).await;
        self.answer().await
    }

    async fn fill(&mut self, count: usize) {
        for i in 1..=count {
            let answer = self.append("INBOX", "", &format!("Subject: m{i}\r\n\r\nbody {i}\r\n")).await;
            assert!(answer.contains("[APPENDUID "), "{answer}");
        }
    }
}

#[tokio::test]
async fn login_is_needed_and_is_checked() {
    let world = World::new().await;
    let mut talk = connect(&world).await;
    assert!(talk.cmd("SELECT INBOX").await.starts_with("t BAD"));
    assert!(talk.cmd("LOGIN ann@example.org wrong").await.starts_with("t NO [AUTHENTICATIONFAILED]"));
    let token = STANDARD.encode("\0ann@example.org\0secret");
    talk.send("t AUTHENTICATE PLAIN\r\n").await;
    assert_eq!(talk.line().await, "+ \r\n");
    assert!(talk.cmd2("*").await.starts_with("t BAD"));
    assert!(talk.cmd(&format!("AUTHENTICATE PLAIN {token}")).await.starts_with("t OK [CAPABILITY"));
    assert!(talk.cmd("LOGIN ann@example.org secret").await.starts_with("t BAD"));
    let out = talk.cmd("LOGOUT").await;
    assert!(out.starts_with("* BYE") && out.ends_with("t OK Bye\r\n"));
    talk.closed().await;
}

impl Talk {
    /// A line that is no command, and the answer to it.
    async fn cmd2(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n")).await;
        self.answer().await
    }
}

#[tokio::test]
async fn select_describes_the_mailbox() {
    let world = World::new().await;
    let mut talk = logged_in(&world).await;
    talk.append("INBOX", " (\\Seen)", "Subject: a\r\n\r\n").await;
    talk.append("INBOX", " ($Forwarded)", "Subject: b\r\n\r\n").await;
    let text = talk.cmd("SELECT inbox").await;
    for part in [
        "* 2 EXISTS",
        "* 2 RECENT",
        "[UNSEEN 2]",
        "[UIDVALIDITY ",
        "[UIDNEXT 3]",
        "[HIGHESTMODSEQ 3]",
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)",
        "\\*)]",
        "t OK [READ-WRITE]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = talk.cmd("EXAMINE INBOX").await;
    assert!(
        text.contains("* 0 RECENT") && text.contains("[PERMANENTFLAGS ()]") && text.contains("[READ-ONLY]")
    );
    assert!(talk.cmd("STORE 1 +FLAGS (\\Deleted)").await.starts_with("t NO"));
    assert!(talk.cmd("SELECT nothing").await.ends_with("t NO [NONEXISTENT] There is no such mailbox\r\n"));
    assert!(talk.cmd("FETCH 1 FLAGS").await.starts_with("t BAD"), "a failed SELECT deselects");
    assert!(talk.cmd("SELECT \"\"").await.starts_with("t NO [CANNOT]"));
}

#[tokio::test]
async fn recent_reaches_one_session_only() {
    let world = World::new().await;
    let mut first = selected(&world).await;
    first.fill(1).await;
    assert!(first.cmd("FETCH 1 FLAGS").await.contains("FLAGS (\\Recent)"));
    let mut second = selected(&world).await;
    assert!(second.cmd("FETCH 1 FLAGS").await.contains("FLAGS ()"));
    assert!(second.cmd("SEARCH RECENT").await.starts_with("* SEARCH\r\n"));
}

#[tokio::test]
async fn fetch_gives_every_item() {
    let world = World::new().await;
    let mut talk = selected(&world).await;
    let message = "From: Ann <ann@example.org>\r\nSubject: hi\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\n\r\nhello\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n";
    let answer = talk.append("INBOX", " (\\Flagged) \" 7-Feb-1994 21:52:25 -0800\"", message).await;
    assert!(answer.contains("* 1 EXISTS\r\n") && answer.contains("t OK [APPENDUID "), "{answer}");
    let text = talk.cmd("FETCH 1 FULL").await;
    assert!(text.starts_with(
        "* 1 FETCH (FLAGS (\\Flagged \\Recent) INTERNALDATE \" 8-Feb-1994 05:52:25 +0000\" RFC822.SIZE "
    ));
    assert!(text.contains("ENVELOPE (NIL \"hi\" ((\"Ann\" NIL \"ann\" \"example.org\"))"));
    assert!(text.contains("BODY ((\"TEXT\" \"PLAIN\""));
    let text = talk
        .cmd("UID FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.MIME] BODY.PEEK[3] BODY.PEEK[HEADER.FIELDS (Subject)])")
        .await;
    assert_eq!(
        text,
        "* 1 FETCH (UID 1 BODY[1] {5}\r\nhello BODY[2.MIME] {27}\r\nContent-Type: text/html\r\n\r\n BODY[3] NIL \
         BODY[HEADER.FIELDS (Subject)] {15}\r\nSubject: hi\r\n\r\n)\r\nt OK Fetched\r\n"
    );
    let text = talk.cmd("FETCH 1 (BODY.PEEK[]<0.5> BODY.PEEK[TEXT]<10000.5> RFC822.SIZE)").await;
    assert!(text.starts_with(&format!(
        "* 1 FETCH (BODY[]<0> {{5}}\r\nFrom: BODY[TEXT]<10000> {{0}}\r\n RFC822.SIZE {})",
        message.len()
    )));
    assert!(!talk.cmd("FETCH 1 FLAGS").await.contains("\\Seen"));
    let text = talk.cmd("FETCH 1 BODY[]").await;
    assert!(
        text.contains(message) && text.contains("* 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent))"),
        "{text}"
    );
    assert!(talk.cmd("FETCH 2 FLAGS").await.starts_with("t BAD"));
    assert_eq!(talk.cmd("UID FETCH 99 FLAGS").await, "t OK Fetched\r\n");
    assert!(talk.cmd("UID FETCH 99:* FLAGS").await.starts_with("* 1 FETCH (UID 1 FLAGS"));
}

#[tokio::test]
async fn changes_of_another_session_come_when_they_may() {
    let world = World::new().await;
    let mut a = selected(&world).await;
    a.fill(4).await;
    let mut b = selected(&world).await;
    let answer = b.cmd("STORE 1,3 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(answer, "t OK Stored\r\n");
    assert_eq!(b.cmd("EXPUNGE").await, "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\nt OK Expunged\r\n");
    b.append("INBOX", "", "Subject: new\r\n\r\n").await;
    // Not while a FETCH by number is answered; the newcomer may be told of.
    let text = a.cmd("FETCH 1:2 UID").await;
    assert_eq!(
        text,
        "* 2 FETCH (UID 2)\r\n* 5 EXISTS\r\n* 4 RECENT\r\nt OK [EXPUNGEISSUED] Some messages are gone\r\n"
    );
    assert_eq!(a.cmd("FETCH 4 UID").await, "* 4 FETCH (UID 4)\r\nt OK Fetched\r\n");
    assert_eq!(a.cmd("NOOP").await, "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\nt OK Done\r\n");
    assert_eq!(a.cmd("UID SEARCH ALL").await, "* SEARCH 2 4 5\r\nt OK Searched\r\n");
    b.cmd("STORE 1 FLAGS (\\Answered x)").await;
    let text = a.cmd("NOOP").await;
    assert!(text.starts_with("* FLAGS (") && text.contains(" x)\r\n* OK [PERMANENTFLAGS ("), "{text}");
    assert!(text.ends_with("* 1 FETCH (FLAGS (\\Answered x \\Recent))\r\nt OK Done\r\n"), "{text}");
}

#[tokio::test]
async fn idle_sees_expunge_from_another_session() {
    let world = World::new().await;
    let mut a = selected(&world).await;
    a.fill(2).await;
    a.send("t IDLE\r\n").await;
    assert_eq!(a.line().await, "+ Idling\r\n");
    let mut b = selected(&world).await;
    b.cmd("STORE 1 +FLAGS (\\Deleted)").await;
    assert_eq!(a.line().await, "* 1 FETCH (FLAGS (\\Deleted \\Recent))\r\n");
    b.cmd("EXPUNGE").await;
    assert_eq!(a.line().await, "* 1 EXPUNGE\r\n");
    b.append("INBOX", "", "Subject: new\r\n\r\n").await;
    assert_eq!(a.line().await, "* 2 EXISTS\r\n");
    assert!(a.line().await.ends_with(" RECENT\r\n"));
    a.send("DONE\r\nt NOOP\r\n").await;
    assert_eq!(a.line().await, "t OK Idle no more\r\n");
    assert_eq!(a.answer().await, "t OK Done\r\n");
    a.send("t IDLE\r\nDONE\r\n").await;
    assert_eq!(a.answer().await, "+ Idling\r\nt OK Idle no more\r\n");
}

#[tokio::test]
async fn copy_and_move_tell_where_to() {
    let world = World::new().await;
    let mut talk = selected(&world).await;
    talk.fill(3).await;
    assert!(talk.cmd("COPY 1 nowhere").await.starts_with("t NO [TRYCREATE]"));
    let text = talk.cmd("COPY 1,3 Archive").await;
    assert!(text.starts_with("t OK [COPYUID ") && text.contains(" 1,3 1:2] "), "{text}");
    let text = talk.cmd("UID MOVE 2:3 Archive").await;
    assert!(
        text.starts_with("* OK [COPYUID ")
            && text.contains(" 2:3 3:4] Moved\r\n* 3 EXPUNGE\r\n* 2 EXPUNGE\r\n"),
        "{text}"
    );
    assert!(talk.cmd("UID COPY 77 Archive").await.starts_with("t OK Nothing"));
    assert!(
        talk.cmd("STATUS Archive (MESSAGES UIDNEXT UNSEEN)")
            .await
            .contains("Archive\" (MESSAGES 4 UIDNEXT 5 UNSEEN 4)")
    );
}

#[tokio::test]
async fn mailboxes_are_made_renamed_listed_and_deleted() {
    let world = World::new().await;
    let mut talk = selected(&world).await;
    assert!(talk.cmd("CREATE a/b/c").await.starts_with("t OK"));
    assert!(talk.cmd("CREATE a").await.starts_with("t NO [ALREADYEXISTS]"));
    assert!(talk.cmd("CREATE InBox").await.starts_with("t NO"));
    assert_eq!(talk.cmd("LIST \"\" a%").await, "* LIST (\\HasChildren) \"/\" \"a\"\r\nt OK Listed\r\n");
    assert!(talk.cmd("LIST a/ *").await.contains("* LIST (\\HasNoChildren) \"/\" \"a/b/c\""));
    assert_eq!(talk.cmd("LIST \"\" \"\"").await, "* LIST (\\Noselect) \"/\" \"\"\r\nt OK Listed\r\n");
    assert!(talk.cmd("LIST \"\" %").await.contains("(\\HasNoChildren \\Sent) \"/\" \"Sent\""));
    assert!(talk.cmd("DELETE a").await.starts_with("t NO [HASCHILDREN]"));
    assert!(talk.cmd("RENAME a/b x/y").await.starts_with("t OK"));
    assert!(talk.cmd("LIST \"\" x/*").await.contains("\"x/y/c\""));
    assert!(talk.cmd("SUBSCRIBE x/y/c").await.starts_with("t OK"));
    assert!(talk.cmd("LSUB \"\" x/%").await.contains("* LSUB (\\Noselect) \"/\" \"x/y\""));
    assert!(talk.cmd("UNSUBSCRIBE x/y/c").await.starts_with("t OK"));
    assert!(talk.cmd("DELETE x/y/c").await.starts_with("t OK"));
    assert!(talk.cmd("DELETE INBOX").await.starts_with("t NO [CANNOT]"));
    talk.fill(2).await;
    assert_eq!(
        talk.cmd("RENAME INBOX old").await,
        "* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nt OK Messages of INBOX moved\r\n"
    );
    assert!(talk.cmd("STATUS old (MESSAGES)").await.contains("MESSAGES 2"));
    assert!(talk.cmd("CREATE &Jjo-").await.starts_with("t OK"));
    assert!(talk.cmd("LIST \"\" &Jjo-").await.contains("\"&Jjo-\""));
    assert!(talk.cmd("CREATE \"&AGE-\"").await.starts_with("t NO [CANNOT]"));
    assert!(talk.cmd("NAMESPACE").await.starts_with("* NAMESPACE ((\"\" \"/\")) NIL NIL"));
}

#[tokio::test]
async fn search_looks_at_flags_dates_headers_and_texts() {
    let world = World::new().await;
    let mut talk = selected(&world).await;
    let date = "\" 7-Feb-1994 21:52:25 -0800\"";
    talk.append("INBOX", &format!(" (\\Seen x) {date}"), "From: bob@x.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsch=C3=B6n\r\n").await;
    talk.append(
        "INBOX",
        "",
        "From: eve@y.org\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8gV29ybGQ=\r\n",
    )
    .await;
    for (keys, expected) in [
        ("ALL", " 1 2"),
        ("SEEN", " 1"),
        ("UNSEEN", " 2"),
        ("KEYWORD X", " 1"),
        ("UNKEYWORD x", " 2"),
        ("FROM BOB", " 1"),
        ("NOT FROM bob", " 2"),
        ("OR FROM bob FROM eve", " 1 2"),
        ("1 SEEN", " 1"),
        ("*", " 2"),
        ("UID 2:*", " 2"),
        ("BEFORE 9-Feb-1994", " 1"),
        ("ON 8-Feb-1994", " 1"),
        ("SENTON 7-Feb-1994", " 1"),
        ("SINCE 1-Jan-2000", " 2"),
        ("SMALLER 100", " 2"),
        ("BODY world", " 2"),
        ("TEXT eve", " 2"),
        ("BODY eve", ""),
        ("CHARSET UTF-8 SUBJECT {6+}\r\ngr\u{fc}\u{df}", " 1"),
        ("CHARSET utf-8 BODY {6+}\r\nsch\u{f6}n", " 1"),
        ("HEADER Date \"\"", " 1"),
        ("HEADER X-None \"\"", ""),
        ("9", ""),
        ("OLDER 86400", " 1"),
        ("YOUNGER 3600", " 2"),
        ("(SEEN FROM bob) UNDELETED", " 1"),
        ("NEW", " 2"),
        ("OLD", ""),
    ] {
        let got = talk.cmd(&format!("SEARCH {keys}")).await;
        assert_eq!(got, format!("* SEARCH{expected}\r\nt OK Searched\r\n"), "{keys}");
    }
    for key in ["TEXT x", "ALL", "NOT SEEN"] {
        let text = talk.cmd(&format!("SEARCH CHARSET klingon {key}")).await;
        assert!(text.starts_with("t NO [BADCHARSET (US-ASCII UTF-8"), "{text}");
    }
    assert!(talk.cmd("SEARCH MODSEQ 3").await.starts_with("* SEARCH 2 (MODSEQ 3)"));
}

#[tokio::test]
async fn condstore_decides_inside_the_store() {
    let world = World::new().await;
    let mut talk = logged_in(&world).await;
    talk.fill(3).await;
    assert!(talk.cmd("ENABLE CONDSTORE").await.starts_with("* ENABLED CONDSTORE\r\n"));
    assert!(talk.cmd("SELECT INBOX (CONDSTORE)").await.contains("[HIGHESTMODSEQ 4]"));
    assert_eq!(
        talk.cmd("STORE 2 +FLAGS (\\Draft)").await,
        "* 2 FETCH (UID 2 FLAGS (\\Draft \\Recent) MODSEQ (5))\r\nt OK Stored\r\n"
    );
    let text = talk.cmd("STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Answered)").await;
    assert_eq!(
        text,
        "* 1 FETCH (UID 1 MODSEQ (6))\r\n* 3 FETCH (UID 3 MODSEQ (6))\r\nt OK [MODIFIED 2] Some have changed since and were left alone\r\n"
    );
    let text = talk.cmd("UID STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)").await;
    assert!(text.contains("t OK [MODIFIED 1]"), "{text}");
    assert_eq!(talk.cmd("FETCH 1:* (FLAGS) (CHANGEDSINCE 5)").await.matches("MODSEQ (6)").count(), 2);
    assert!(talk.cmd("STATUS INBOX (HIGHESTMODSEQ)").await.contains("HIGHESTMODSEQ 6"));
}

/// RFC 3501 §6.4.6: silence is about one's own change, not about that of another session.
#[tokio::test]
async fn a_silent_store_does_not_hide_what_others_did() {
    let world = World::new().await;
    let (mut a, mut b) = (selected(&world).await, selected(&world).await);
    a.fill(1).await;
    b.cmd("NOOP").await;
    assert_eq!(a.cmd("STORE 1 +FLAGS.SILENT (\\Seen)").await, "t OK Stored\r\n");
    b.cmd("STORE 1 +FLAGS (\\Flagged)").await;
    let text = a.cmd("STORE 1 +FLAGS.SILENT (\\Answered)").await;
    let told = "* 1 FETCH (FLAGS (\\Answered \\Flagged \\Seen \\Recent))\r\nt OK Stored\r\n";
    assert_eq!(text, told);
}

#[tokio::test]
async fn close_expunges_silently_and_unselect_does_not() {
    let world = World::new().await;
    let mut talk = selected(&world).await;
    talk.fill(2).await;
    talk.cmd("STORE 1 +FLAGS (\\Deleted)").await;
    assert_eq!(talk.cmd("UNSELECT").await, "t OK Mailbox closed\r\n");
    assert!(talk.cmd("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 2"));
    talk.cmd("SELECT INBOX").await;
    assert!(talk.cmd("UID EXPUNGE 2").await.starts_with("t OK"), "not deleted, not expunged");
    assert_eq!(talk.cmd("CLOSE").await, "t OK Mailbox closed\r\n");
    assert!(talk.cmd("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 1"));
}

#[tokio::test]
async fn every_octet_of_a_message_comes_back() {
    let world = World::new().await;
    let mut talk = logged_in(&world).await;
    let message = "Subject: a\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b\r\n";
    talk.send(format!("t APPEND INBOX ~{{{}+}}\r\n{message}\r\n", message.len())).await;
    assert!(talk.answer().await.contains("[APPENDUID"));
    talk.cmd("SELECT INBOX").await;
    let whole = format!("(BODY[] {{{}}}\r\n{message})\r\n", message.len());
    let answer = talk.cmd("FETCH 1 (BODY.PEEK[])").await;
    assert!(answer.contains(&whole), "{answer:?}");
    // Who can't take a NUL in a literal asks for BINARY, and is told by the literal8.
    let answer = talk.cmd("FETCH 1 (BINARY.PEEK[1])").await;
    assert!(answer.contains("(BINARY[1] ~{5}\r\na\0b\r\n)\r\n"), "{answer:?}");
}

#[tokio::test]
async fn several_messages_are_appended_in_one_step() {
    let world = World::new().await;
    let mut talk = selected(&world).await;
    talk.send("t APPEND INBOX (\\Seen) {3+}\r\na\r\n {3+}\r\nb\r\n\r\n").await;
    let text = talk.answer().await;
    assert!(text.starts_with("* 2 EXISTS\r\n") && text.contains(" 1:2] Appended"), "{text}");
}

#[tokio::test]
async fn an_append_that_cannot_be_is_refused_before_it_is_sent() {
    let world = World::with(Limits { message_bytes: 1000, ..Limits::default() }, 1500).await;
    let mut talk = selected(&world).await;
    assert!(talk.append("nowhere", "", "x").await.starts_with("t NO [TRYCREATE]"));
    assert!(talk.append("INBOX", "", &"x".repeat(1001)).await.starts_with("t NO [TOOBIG]"));
    assert!(talk.append("INBOX", "", &"x".repeat(1000)).await.contains("[APPENDUID"));
    assert!(talk.append("INBOX", "", &"x".repeat(501)).await.starts_with("t NO [OVERQUOTA]"));
    // Sent without asking: swallowed, and the connection lives.
    talk.send("t APPEND nowhere {10+}\r\nt NOOP\r\nab\r\n").await;
    assert!(talk.answer().await.starts_with("t NO [TRYCREATE]"));
    assert_eq!(talk.cmd("NOOP").await, "t OK Done\r\n");
    assert!(talk.cmd("COPY 1 Archive").await.starts_with("t NO [OVERQUOTA]"));
}

/// docs/imap.md lists what is announced, and nothing else as announced.
#[tokio::test]
async fn the_list_of_extensions_is_true() {
    let text = include_str!("../../../docs/imap.md");
    let announced = text.split("## ").find(|part| part.starts_with("Announced")).expect("a section");
    let rows = announced.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let listed: BTreeSet<&str> = first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let mut told = BTreeSet::new();
    for world in [World::new().await, World::with_tls().await] {
        let (conn, mut talk) = world.connection();
        tokio::spawn(serve(conn, world.services.clone()));
        let greeting = talk.line().await;
        talk.cmd("LOGIN ann@example.org secret").await;
        let after = talk.cmd("CAPABILITY").await;
        let list = greeting
            .split(['[', ']'])
            .nth(1)
            .unwrap()
            .split(' ')
            .chain(after.lines().next().unwrap().split(' '));
        told.extend(list.map(|name| match name.split_once('=') {
            // The value is a setting.
            Some((name @ "APPENDLIMIT", _)) => format!("{name}=n"),
            _ => name.to_owned(),
        }));
    }
    ["*", "CAPABILITY"].iter().for_each(|word| _ = told.remove(*word));
    // Only where the connection is neither encrypted nor of this machine.
    told.insert("LOGINDISABLED".into());
    assert_eq!(told.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed);
}
