//! SMTP content and sessions, and POP3's multi-line responses: what is sent is what is kept, wherever the bytes are cut.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall::smtp::{Command, Decoder, Line, Role, Unstuffer, stuff};
use gadwall_proptests::imap::split;
use gadwall_proptests::{config, mime::any_message, world::World};
use proptest::prelude::*;
use proptest::sample::select;
use std::convert::Infallible;

/// Content that is about dots and line ends.
fn content() -> BoxedStrategy<Vec<u8>> {
    let tricky = select(vec![
        ".", "..", "\r\n", "\n", "\r", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r\n", "a",
        "\0", "\r\r\n",
    ]);
    prop_oneof![
        4 => prop::collection::vec(tricky, 0..20).prop_map(|p| p.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..100),
        1 => any_message(),
    ]
    .boxed()
}

/// Content with the end a client gives it: RFC 5321 §4.1.1.4, the CRLF of `CRLF.CRLF` is the last line's.
fn ended(mut content: Vec<u8>) -> Vec<u8> {
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        content.extend_from_slice(b"\r\n");
    }
    content
}

fn pieces<'a>(input: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut all) = (input, Vec::new());
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at((*lengths.next().unwrap_or(&1)).min(rest.len()));
        all.push(piece);
        rest = tail;
    }
    all
}

/// The content, and how many bytes it took; `None` if it does not end.
fn unstuff(input: &[u8], lengths: &[usize]) -> (Vec<u8>, Option<usize>) {
    let (mut unstuffer, mut out, mut used) = (Unstuffer::default(), Vec::new(), 0);
    for piece in pieces(input, lengths) {
        let keep = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        };
        let Ok((len, ended)) = unstuffer.push(piece, keep);
        used += len;
        if ended {
            return (out, Some(used));
        }
        assert_eq!(len, piece.len(), "what is not the end is content");
    }
    (out, None)
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn unstuffing_undoes_stuffing(content in content(), rest in content(), lengths in split()) {
        let mut wire = stuff(&content);
        let len = wire.len();
        wire.extend_from_slice(&rest);
        prop_assert_eq!(unstuff(&wire, &lengths), (ended(content), Some(len)));
    }

    /// Smuggling: only CRLF.CRLF ends a message, so nothing a client did not mean as an end is one.
    #[test]
    fn only_a_whole_dot_line_ends_a_message(wire in content(), lengths in split()) {
        let at_start = wire.starts_with(b".\r\n").then_some(3);
        let end = at_start.or_else(|| wire.windows(5).position(|w| w == b"\r\n.\r\n").map(|at| at + 5));
        let (content, used) = unstuff(&wire, &lengths);
        prop_assert_eq!(used, end);
        prop_assert_eq!(unstuff(&wire, &[usize::MAX]).1, end);
        if end.is_some() {
            // A client that sends it again sends what was received.
            prop_assert_eq!(unstuff(&stuff(&content), &[1]).0, content);
        }
    }

    #[test]
    fn no_line_makes_the_command_parser_panic(
        verb in select(vec!["", "MAIL FROM:", "RCPT TO:", "AUTH ", "BDAT ", "EHLO ", "VRFY ", "NOOP", "LHLO "]),
        rest in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[<>@a.\":;=\\\\ 0-9A-Z+-]{0,40}".prop_map(String::into_bytes),
            "<[a-z\"@.]{0,12}>( (SIZE|BODY|RET|ENVID|NOTIFY|ORCPT|SMTPUTF8|AUTH)=?[A-Z0-9;+<>,]{0,24}){0,3}"
                .prop_map(String::into_bytes),
        ],
    ) {
        let line = [verb.as_bytes(), &rest].concat();
        let parsed = Command::parse(&line);
        if let (Ok(Command::Mail(path) | Command::Rcpt(path)), Ok(text)) = (&parsed, std::str::from_utf8(&line)) {
            prop_assert!(path.params.iter().all(|p| text.contains(p.as_str())), "{:?} in {}", path, text);
        }
    }

    #[test]
    fn lines_do_not_depend_on_the_split(
        lines in prop::collection::vec(prop_oneof![
            9 => "[a-z\r]{0,12}", 1 => (12_280usize..12_300).prop_map(|n| "x".repeat(n)),
        ], 0..5),
        ending in select(vec!["\r\n", "\n"]), lengths in split(),
    ) {
        let input = lines.iter().map(|l| l.clone() + ending).collect::<String>();
        let read = |lengths: &[usize]| {
            let (mut decoder, mut lines) = (Decoder::default(), Vec::new());
            for piece in pieces(input.as_bytes(), lengths) {
                decoder.buffer().extend_from_slice(piece);
                lines.extend(std::iter::from_fn(|| decoder.line()));
                assert!(decoder.pending().len() <= 12_288 + 1, "more is kept than the longest line");
            }
            lines
        };
        let whole = read(&[usize::MAX]);
        prop_assert_eq!(whole.len(), lines.len());
        for (read, sent) in whole.iter().zip(&lines) {
            let text = sent.strip_suffix('\r').filter(|_| ending == "\n").unwrap_or(sent);
            let too_long = sent.len() + ending.len() > 12_288;
            let expected = if too_long { Line::TooLong } else { Line::Text(text.into()) };
            prop_assert!(*read == expected, "{} bytes", sent.len());
        }
        let lengths: Vec<usize> = lengths.iter().map(|n| n.saturating_mul(50)).collect();
        prop_assert_eq!(read(&lengths), whole);
    }
}

/// A transaction as a client sends it, pipelined; what it has to be kept as.
#[derive(Debug, Clone)]
enum Transaction {
    Data(Vec<u8>),
    /// RFC 3030, in chunks of these lengths.
    Bdat(Vec<u8>, Vec<usize>),
    Rubbish(&'static str),
}

fn transactions() -> BoxedStrategy<Vec<Transaction>> {
    let rubbish = vec!["DATA", "WAT", "RCPT TO:<x@y>", "RSET", "MAIL FROM:<a@b", "NOOP", "VRFY x", "EXPN"];
    let one = prop_oneof![
        3 => content().prop_map(Transaction::Data),
        3 => (content(), prop::collection::vec(0usize..30, 1..4)).prop_map(|(c, l)| Transaction::Bdat(c, l)),
        1 => select(rubbish).prop_map(Transaction::Rubbish),
    ];
    prop::collection::vec(one, 1..4).boxed()
}

/// All a client says, and the messages it sends with it.
fn conversation(transactions: &[Transaction]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let token = STANDARD.encode("\0ann@example.org\0secret");
    let mut said = format!("EHLO c\r\nAUTH PLAIN {token}\r\n").into_bytes();
    let mut kept = Vec::new();
    for transaction in transactions {
        if let Transaction::Rubbish(line) = transaction {
            said.extend_from_slice(format!("{line}\r\n").as_bytes());
            continue;
        }
        said.extend_from_slice(b"RSET\r\nMAIL FROM:<a@b.org> BODY=BINARYMIME\r\nRCPT TO:<c@d.org>\r\n");
        match transaction {
            // RFC 3030 §3: what is binary goes by BDAT alone.
            Transaction::Data(content) => {
                said.truncate(said.len() - b" BODY=BINARYMIME\r\nRCPT TO:<c@d.org>\r\n".len());
                said.extend_from_slice(b"\r\nRCPT TO:<c@d.org>\r\nDATA\r\n");
                said.extend_from_slice(&stuff(content));
                kept.push(ended(content.clone()));
            }
            Transaction::Bdat(content, lengths) => {
                let mut rest = &content[..];
                for len in lengths {
                    let (chunk, tail) = rest.split_at((*len).min(rest.len()));
                    said.extend_from_slice(format!("BDAT {}\r\n", chunk.len()).as_bytes());
                    said.extend_from_slice(chunk);
                    rest = tail;
                }
                said.extend_from_slice(format!("BDAT {} LAST\r\n", rest.len()).as_bytes());
                said.extend_from_slice(rest);
                kept.push(content.clone());
            }
            Transaction::Rubbish(_) => {}
        }
    }
    said.extend_from_slice(b"QUIT\r\n");
    (said, kept)
}

/// A reply without what is random in it.
fn normal(replies: &[u8]) -> String {
    let text = String::from_utf8_lossy(replies).into_owned();
    let lines = text.split_inclusive("\r\n").map(|line| match line.split_once("MSGID=") {
        Some((before, _)) => format!("{before}MSGID=…]\r\n"),
        None => line.to_owned(),
    });
    lines.collect()
}

async fn session(said: &[u8], lengths: &[usize]) -> (String, Vec<Vec<u8>>) {
    let world = World::new().await;
    let role = Role::Submission { accept_anything: None };
    let services = world.services.clone();
    let replies =
        world.converse(pieces(said, lengths), |conn| gadwall::smtp::serve(conn, services, role)).await;
    let kept = world.inbox().await;
    (normal(&replies), kept)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 500, ..config(100) })]

    /// A whole session: the same replies and the same mail, wherever the stream is cut.
    #[test]
    fn a_session_does_not_depend_on_the_split(transactions in transactions(), lengths in split()) {
        let (said, sent) = conversation(&transactions);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (whole, split) =
            runtime.block_on(async { (session(&said, &[usize::MAX]).await, session(&said, &lengths).await) });
        prop_assert_eq!(&split.0, &whole.0);
        prop_assert!(whole.0.lines().last().is_some_and(|l| l.starts_with("221 ")), "{}", whole.0);
        prop_assert_eq!(&split.1, &whole.1);
        let with_path: Vec<Vec<u8>> =
            sent.into_iter().map(|m| [b"Return-Path: <a@b.org>\r\n", &m[..]].concat()).collect();
        prop_assert_eq!(&whole.1, &with_path, "{}", whole.0);
    }

    /// Nobody knows where the content of a BDAT without a size ends: what follows is never run, wherever it is cut.
    #[test]
    fn nothing_after_a_chunk_without_a_size_is_run(
        transactions in transactions(),
        malformed in select(vec!["BDAT x", "BDAT", "BDAT -1", "BDAT 5 WAT"]),
        lengths in split(),
    ) {
        let (mut said, sent) = conversation(&transactions);
        prop_assert!(said.ends_with(b"QUIT\r\n"));
        said.truncate(said.len() - b"QUIT\r\n".len());
        said.extend_from_slice(format!("{malformed}\r\nNOOP\r\nQUIT\r\n").as_bytes());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (whole, split) =
            runtime.block_on(async { (session(&said, &[usize::MAX]).await, session(&said, &lengths).await) });
        prop_assert_eq!(&split.0, &whole.0);
        prop_assert!(whole.0.lines().last().is_some_and(|l| l.starts_with("501 ")), "{}", whole.0);
        prop_assert_eq!(&split.1, &whole.1);
        prop_assert_eq!(whole.1.len(), sent.len());
    }
}
