use super::*;
use crate::imap::types::*;
use gadwall_storage::{Flags, SystemFlag, Timestamp};

fn limits() -> Limits {
    Limits { line_bytes: 1000, literal_bytes: 100, swallow_bytes: 10_000 }
}

/// All events of `input`, fed in pieces; messages are taken, their data joined.
fn events(input: &[u8], step: usize) -> Vec<Event> {
    let mut decoder = Decoder::new(limits());
    let mut events: Vec<Event> = Vec::new();
    for piece in input.chunks(step) {
        decoder.feed(piece);
        while let Some(event) = decoder.event() {
            if let Event::Append { .. } = event {
                decoder.accept_message();
            }
            if let (Some(Event::MessageData(last)), Event::MessageData(more)) = (events.last_mut(), &event) {
                *last = [&last[..], more].concat().into();
                continue;
            }
            events.push(event);
        }
    }
    events
}

fn one(line: &str) -> Command {
    match &events(format!("a {line}\r\n").as_bytes(), 1000)[..] {
        [Event::Command(tagged)] => tagged.command.clone(),
        other => panic!("{line}: {other:?}"),
    }
}

fn bad(line: &str) -> String {
    match &events(format!("a {line}\r\n").as_bytes(), 1000)[..] {
        [Event::Bad { tag, reason }] if tag.as_ref().is_some_and(|t| t.as_str() == "a") => reason.clone(),
        other => panic!("{line}: {other:?}"),
    }
}

fn name(text: &str) -> MailboxArg {
    MailboxArg::of(text.into())
}

#[test]
fn any_split_gives_the_same_events() {
    let input = b"a LOGIN {3+}\r\nann \"pass \\\"word\"\r\n\r\nb SELECT {5}\r\nINBOX\r\nc APPEND x (\\Seen) {10}\r\n0123456789\r\n\
        d UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Subject {4+}\r\nFrom)]<0.5>)\r\ne XYZZY {3+}\r\na\r\n {2+}\r\nbb\r\nf NOOP\r\n";
    let whole = events(input, input.len());
    assert_eq!(whole.len(), 10, "{whole:#?}");
    for step in 1..20 {
        assert_eq!(events(input, step), whole, "in steps of {step}");
    }
}

#[test]
fn commands_are_typed() {
    assert_eq!(one("login ann \"\""), Command::Login { user: b"ann".to_vec(), password: vec![] });
    assert_eq!(
        one("SELECT inbox (CONDSTORE)"),
        Command::Select {
            mailbox: name("inbox"),
            params: SelectParams { condstore: true, qresync: None },
            mode: SelectMode::ReadWrite
        }
    );
    assert!(matches!(one("SELECT \"\""), Command::Select { mailbox: MailboxArg::Invalid { .. }, .. }));
    assert_eq!(
        one("CREATE \"Entw&APw-rfe\" (USE (\\Drafts))"),
        Command::Create {
            mailbox: name("Entw\u{fc}rfe"),
            special_use: vec![Some(gadwall_storage::SpecialUse::Drafts)],
        }
    );
    let Command::Store { by: By::Uid, change, unchanged_since: Some(5), .. } =
        one("UID STORE 1:3,* (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen $Junk)")
    else {
        panic!()
    };
    assert!(change.silent);
    assert!(matches!(one("STORE 1 FLAGS \\Seen \\Deleted"), Command::Store { .. }));
    assert!(matches!(one("FETCH 1 ALL"), Command::Fetch { items, .. } if items.len() == 4));
    let Command::Fetch { items, modifiers, .. } =
        one("FETCH 2,4:7 (UID BODY[1.2.MIME] BODY[TEXT]<5.10> BODY[] RFC822.HEADER) (CHANGEDSINCE 0)")
    else {
        panic!()
    };
    assert_eq!(modifiers.changed_since, Some(0));
    assert_eq!(
        items[1],
        FetchItem::Section {
            section: Section { path: vec![1, 2], text: SectionText::Mime },
            peek: false,
            partial: None
        }
    );
    let Command::Search(search) = one("SEARCH CHARSET utf-8 OR (SEEN NEW) NOT FROM {3+}\r\nann 1:5") else {
        panic!()
    };
    assert_eq!(search.charset.as_deref(), Some("UTF-8"));
    assert!(matches!(search.key, SearchKey::And(keys) if keys.len() == 2));
    assert!(
        matches!(one("LIST (SPECIAL-USE) \"\" (% *) RETURN (CHILDREN STATUS (MESSAGES))"), Command::List(l) if l.patterns.len() == 2)
    );
    assert_eq!(one("EXPUNGE"), Command::Expunge { uids: None });
    assert!(matches!(one("UID EXPUNGE 1"), Command::Expunge { uids: Some(_) }));
    assert!(matches!(one("ID (\"name\" \"x\" \"os\" NIL)"), Command::Id(Some(pairs)) if pairs.len() == 2));
    assert_eq!(
        one("AUTHENTICATE plain ="),
        Command::Authenticate { mechanism: "PLAIN".into(), initial: Some(vec![]) }
    );
}

#[test]
fn what_is_wrong_is_bad_and_the_next_command_is_read() {
    for line in [
        "",
        "FETCH",
        "FETCH 0 FLAGS",
        "FETCH 1 FLAGS)",
        "FETCH 1 (FLAGS",
        "FETCH 1 ()",
        "FETCH 1 BODY[MIME]",
        "FETCH 1 BODY[1.]",
        "FETCH 1 BODY[]<1.0>",
        "NOOP x",
        "STORE 1 FLAGS (\\Recent)",
        "STORE 1 ~FLAGS \\Seen",
        "SEARCH SINCE 31-Feb-2020",
        "SEARCH",
        "SELECT a b",
        "LOGIN a",
        "LOGIN a \"b",
        "UID NOOP",
        "APPEND x y",
        "SEARCH CHARSET utf-8",
        "FETCH 1:2:3 FLAGS",
        "FETCH 4294967296 FLAGS",
        "LIST \"\"",
        "AUTHENTICATE PLAIN !",
        "AUTHENTICATE PLAIN ",
    ] {
        bad(line);
    }
    let deep = format!("SEARCH {}ALL{}", "(".repeat(100), ")".repeat(100));
    bad(&deep);
    assert!(matches!(
        &events(b"NOOP\r\na NOOP\r\n", 3)[..],
        [Event::Bad { tag: None, .. }, Event::Command(_)]
    ));
}

#[test]
fn a_refused_literal_is_swallowed_or_never_sent() {
    // Too large and synchronising: no continuation, and the next line is a command.
    let got = events(b"a LOGIN {1000}\r\nb NOOP\r\n", 5);
    assert!(matches!(&got[..], [Event::Bad { .. }, Event::Command(_)]), "{got:?}");
    // Non-synchronising: skipped with the rest of its command.
    let input = format!("a LOGIN {{200+}}\r\n{} {{5+}}\r\nb NOO\r\nc NOOP\r\n", "x".repeat(200));
    let got = events(input.as_bytes(), 7);
    assert!(matches!(&got[..], [Event::Bad { .. }, Event::Command(_)]), "{got:?}");
    for fatal in ["a LOGIN {10001+}\r\n", "a LOGIN {99999999999999999999+}\r\n"] {
        assert!(matches!(&events(fatal.as_bytes(), 50)[..], [Event::Fatal { .. }]));
    }
    assert!(matches!(&events(&[b'x'; 2000], 50)[..], [Event::Fatal { .. }]));
}

#[test]
fn an_append_streams_its_message() {
    let input = b"a APPEND {4+}\r\nSent (\\Seen x) \" 7-Feb-1994 21:52:25 -0800\" {5}\r\nhello\r\nb NOOP\r\n";
    let got = events(input, 3);
    let Event::Append { pieces, size: 5, needs_continue: true, .. } = &got[0] else { panic!("{got:?}") };
    let [AppendPiece::To { mailbox, replaces: None }, AppendPiece::Message { flags, date }] = &pieces[..]
    else {
        panic!("{pieces:?}")
    };
    assert_eq!((mailbox, *date), (&name("Sent"), Some(Timestamp::from_secs(760_686_745))));
    assert!(flags.has(SystemFlag::Seen));
    assert_eq!(got[1], Event::MessageData("hello".into()));
    assert_eq!(got[2], Event::MessageEnd);
    assert!(matches!(&got[3], Event::Command(Tagged { command: Command::Append(_), .. })));
    assert!(matches!(&got[4], Event::Command(_)));
}

#[test]
fn several_messages_can_be_appended_at_once() {
    let got = events(b"a APPEND x {1+}\r\n1 (\\Seen) {0+}\r\n {1+}\r\n3\r\n", 4);
    let appends = got.iter().filter(|e| matches!(e, Event::Append { .. })).count();
    assert_eq!(appends, 3, "{got:?}");
    assert!(matches!(got.last(), Some(Event::Command(Tagged { command: Command::Append(_), .. }))));
}

#[test]
fn a_message_is_made_of_parts() {
    let input = b"a UID REPLACE 7 {3+}\r\nBox CATENATE (URL /x/;UID=1 TEXT {2+}\r\nhi URL {9+}\r\n/y/;UID=2 TEXT ~{1+}\r\n!)\r\n";
    let got = events(input, 3);
    let Event::Append { pieces, size: 2, .. } = &got[0] else { panic!("{got:?}") };
    assert!(
        matches!(&pieces[0], AppendPiece::To { replaces: Some((By::Uid, SeqNum::Number(n))), .. } if n.get() == 7)
    );
    assert_eq!(pieces[2], AppendPiece::Url(b"/x/;UID=1".to_vec()));
    let Event::Append { pieces, size: 1, .. } = &got[3] else { panic!("{got:?}") };
    assert_eq!(pieces[..], [AppendPiece::Url(b"/y/;UID=2".to_vec())]);
    assert!(
        matches!(&got[6], Event::Command(Tagged { command: Command::Append(last), .. }) if last.is_empty())
    );
    assert_eq!(got.len(), 7);
}

#[test]
fn parts_that_are_none_are_bad() {
    for input in [
        "a APPEND x CATENATE ()",
        "a APPEND x CATENATE (URL)",
        "a APPEND x CATENATE (URL /y/;UID=1",
        "a APPEND x CATENATE (TEXT abc)",
        "a APPEND x CATENATE (FILE abc)",
        "a APPEND x CATENATE",
        "a APPEND x UTF8 (~{1+}\r\nx)",
        "a APPEND x CATENATE (TEXT {1+}\r\nx",
        "a REPLACE 1 x {1+}\r\nx {1+}\r\nx",
        "a REPLACE 0 x {1+}\r\nx",
        "a REPLACE 1,2 x {1+}\r\nx",
        "a UID REPLACE x {1+}\r\nx",
        "a APPEND x",
        "a APPEND x (\\Seen)",
    ] {
        let got = events(format!("{input}\r\n").as_bytes(), 4);
        assert!(matches!(got.last(), Some(Event::Bad { tag: Some(_), .. })), "{input}: {got:?}");
    }
}

#[test]
fn a_bad_append_does_not_run_its_message_as_a_command() {
    let got = events(b"a APPEND x \"31-Feb-2020 00:00:00 +0000\" {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", 5);
    assert!(matches!(&got[..], [Event::Bad { .. }, Event::Command(t)] if t.tag.as_str() == "c"), "{got:?}");
    let got = events(b"a APPEND x {1+}\r\nm y\r\nc NOOP\r\n", 5);
    assert!(matches!(&got[got.len() - 2..], [Event::Bad { .. }, Event::Command(_)]), "{got:?}");
}

#[test]
fn a_refused_message_is_swallowed_or_never_sent() {
    for (input, needed) in [
        (&b"a APPEND x {8}\r\nc NOOP\r\n"[..], true),
        (b"a APPEND x {8+}\r\nb NOOP\r\n {1+}\r\nx\r\nc NOOP\r\n", false),
    ] {
        let mut decoder = Decoder::new(limits());
        decoder.feed(input);
        assert!(
            matches!(decoder.event(), Some(Event::Append { needs_continue, .. }) if needs_continue == needed)
        );
        assert_eq!(decoder.event(), None, "the session has to decide");
        decoder.refuse_message();
        assert!(matches!(decoder.event(), Some(Event::Command(t)) if t.tag.as_str() == "c"));
        assert_eq!(decoder.event(), None);
    }
}

#[test]
fn an_answer_is_a_line_of_its_own() {
    let mut decoder = Decoder::new(limits());
    decoder.feed(b"a IDLE\r\n");
    assert!(matches!(decoder.event(), Some(Event::Command(_))));
    decoder.expect_line();
    decoder.feed(b"DONE {5}\r\nb NOOP\r\n");
    assert_eq!(decoder.event(), Some(Event::Line("DONE {5}".into())));
    assert!(matches!(decoder.event(), Some(Event::Command(_))));
}

#[test]
fn an_answer_has_the_limit_of_a_line_however_it_comes() {
    let line = format!("{}\r\n", "x".repeat(1000));
    for step in [1, 7, line.len()] {
        let mut decoder = Decoder::new(limits());
        decoder.expect_line();
        let mut got = Vec::new();
        for piece in line.as_bytes().chunks(step) {
            decoder.feed(piece);
            got.extend(decoder.event());
        }
        assert!(matches!(&got[..], [Event::Fatal { .. }]), "in steps of {step}: {got:?}");
    }
}

#[test]
fn flags_without_any_are_none() {
    let Command::Store { change, .. } = one("STORE 1 FLAGS ()") else { panic!() };
    assert_eq!(change.flags, gadwall_storage::FlagChange::Replace(Flags::new()));
}
