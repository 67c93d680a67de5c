//! Commands cut into pieces at every byte, and many at once.

use super::{Doing, case};
use crate::case::Case;
use crate::runner::Running;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    vec![
        case("rfc3501-4.3-a-literal-is-split-at-every-byte", "RFC 3501 §4.3 literal", "", split_everywhere),
        case("rfc3501-2.2-a-command-comes-byte-by-byte", "RFC 3501 §2.2 lines", "", byte_by_byte),
        case(
            "rfc7888-4-a-non-synchronising-literal-is-split-at-every-byte",
            "RFC 7888 §4 any size",
            "LITERAL+",
            plus_split,
        ),
        case("rfc3501-5.5-fifty-commands-in-one-segment", "RFC 3501 §5.5 pipelining", "", fifty_at_once),
        case(
            "rfc3501-4.3-no-continuation-before-the-line-ends",
            "RFC 3501 §4.3 continuation",
            "",
            no_early_plus,
        ),
        case("rfc3501-6.4.5-every-partial-is-exact", "RFC 3501 §6.4.5 partial", "", every_partial),
        case(
            "rfc3501-5.5-expunges-of-others-never-confuse-pipelined-fetches",
            "RFC 3501 §5.5 ambiguity",
            "",
            pipelined_expunge,
        ),
    ]
}

/// The bytes of `APPEND` with its literal, cut in two at each place; the server sees both halves apart. No two messages
/// are the same, since there are servers that refuse such.
fn split_everywhere<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        let size = message(0).len();
        let head = running.filled(&format!("APPEND {{box}} {{{size}}}\r\n"));
        let talk = running.session("a").await?;
        for cut in 1..size {
            talk.send(format!("s{cut} {head}").as_bytes()).await?;
            let plus = talk.line().await?;
            if !plus.starts_with('+') {
                return Err(format!("a continuation request should come, not {plus}").into());
            }
            let message = message(cut);
            talk.send(&message.as_bytes()[..cut]).await?;
            tokio::task::yield_now().await;
            talk.send(&message.as_bytes()[cut..]).await?;
            talk.send(b"\r\n").await?;
            ok(&talk.line().await?, &format!("s{cut}"))?;
        }
        running.script(&format!("C: SELECT {{box}}\nS: * {} EXISTS\nT: OK", size - 1)).await?;
        let answer = running.session("a").await?.expect_ok("FETCH 1:* BODY.PEEK[]").await?;
        for cut in 1..size {
            let wanted = message(cut);
            if !answer.lines().any(|line| line.contains(&wanted)) {
                return Err(format!("the message cut at {cut} is another now").into());
            }
        }
        Ok(())
    })
}

fn message(number: usize) -> String {
    format!("Subject: split {number:02}\r\n\r\nx")
}

fn byte_by_byte<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        let command = running.filled("b1 STATUS {box} (MESSAGES)\r\n");
        let talk = running.session("a").await?;
        for byte in command.as_bytes().chunks(1) {
            talk.send(byte).await?;
            tokio::task::yield_now().await;
        }
        let status = talk.line().await?;
        if !status.to_ascii_uppercase().starts_with("* STATUS ") {
            return Err(format!("STATUS should come, not {status}").into());
        }
        ok(&talk.line().await?, "b1")
    })
}

fn plus_split<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        let mailbox = running.filled("{box}");
        let command = format!(" STATUS {{{}+}}\r\n{mailbox} (MESSAGES)\r\n", mailbox.len());
        let talk = running.session("a").await?;
        for cut in 1..command.len() {
            talk.send(format!("p{cut}").as_bytes()).await?;
            talk.send(&command.as_bytes()[..cut]).await?;
            tokio::task::yield_now().await;
            talk.send(&command.as_bytes()[cut..]).await?;
            talk.line().await?;
            ok(&talk.line().await?, &format!("p{cut}"))?;
        }
        Ok(())
    })
}

fn fifty_at_once<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        let talk = running.session("a").await?;
        let commands: String = (0..50).map(|n| format!("n{n} NOOP\r\n")).collect();
        talk.send(commands.as_bytes()).await?;
        for n in 0..50 {
            ok(&talk.line().await?, &format!("n{n}"))?;
        }
        Ok(())
    })
}

/// A server that answers `{5}` before the CRLF takes `{5}` inside an unfinished line for a literal.
fn no_early_plus<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        let talk = running.session("a").await?;
        talk.send(b"e1 LIST \"\" {1}").await?;
        talk.silence(Duration::from_millis(300)).await?;
        talk.send(b"\r\n").await?;
        let plus = talk.line().await?;
        if !plus.starts_with('+') {
            return Err(format!("a continuation request should come, not {plus}").into());
        }
        talk.send(b"%\r\n").await?;
        loop {
            let line = talk.line().await?;
            if line.starts_with("e1 ") {
                return ok(&line, "e1");
            }
        }
    })
}

/// Every offset and count of a short message: what is announced is what comes, and it is the right piece.
fn every_partial<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        let message = "Subject: x\r\n\r\n0123456789\r\n";
        running
            .script(
                "C: APPEND {box} {{Subject: x\\r\\n\\r\\n0123456789\\r\\n}}\nT: OK\nC: SELECT {box}\nT: OK",
            )
            .await?;
        let talk = running.session("a").await?;
        for from in 0..=message.len() + 1 {
            for count in [1, 2, 7, message.len() - 1, message.len(), 1000] {
                let answer = talk.expect_ok(&format!("FETCH 1 BODY.PEEK[]<{from}.{count}>")).await?;
                let wanted = message.get(from..(from + count).min(message.len())).unwrap_or("");
                let fits = answer.untagged.iter().any(|u| holds(&u.response, from, wanted));
                if !fits {
                    return Err(format!("<{from}.{count}> should bring {wanted:?} as BODY[]<{from}>").into());
                }
            }
        }
        Ok(())
    })
}

fn holds(response: &crate::response::Response, from: usize, wanted: &str) -> bool {
    use crate::response::{Response, Value};
    let Response::Numbered { kind, data, .. } = response else { return false };
    let Some(Value::List(items)) = data.first() else { return false };
    let name = format!("BODY[]<{from}>");
    let is_it = |pair: &[Value]| match pair {
        [Value::Word(word), Value::Text(text)] => word.eq_ignore_ascii_case(&name) && text == wanted,
        // RFC 3501 §9 nstring: nothing may be NIL too.
        [Value::Word(word), Value::Word(nil)] => {
            word.eq_ignore_ascii_case(&name) && wanted.is_empty() && nil.eq_ignore_ascii_case("NIL")
        }
        _ => false,
    };
    kind == "FETCH" && items.chunks(2).any(is_it)
}

/// Commands by number, sent together while another session expunges: no answer may mean another message.
fn pipelined_expunge<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        for name in ["one", "two", "three"] {
            running.script(&format!("C: APPEND {{box}} {{{{Subject: {name}\\r\\n\\r\\n}}}}\nT: OK")).await?;
        }
        running.script("C: SELECT {box}\nT: OK\nC/b: SELECT {box}\nT: OK\nC/b: STORE 1 +FLAGS.SILENT (\\Deleted)\nT: OK").await?;
        let pipelined = "f1 FETCH 2 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\nf2 FETCH 3 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n";
        running.script("C/b: EXPUNGE\nT: OK").await?;
        let talk = running.session("a").await?;
        talk.send(pipelined.as_bytes()).await?;
        let mut heard = String::new();
        loop {
            let line = talk.line().await?;
            if line.to_ascii_uppercase().ends_with(" EXPUNGE") && !heard.contains("f2 ") {
                return Err("EXPUNGE while commands by number are in progress".into());
            }
            heard.push_str(&line);
            if line.starts_with("f2 ") {
                break;
            }
        }
        let brings = |number: u32, name: &str| {
            let from = heard.find(&format!("* {number} FETCH")).map(|at| &heard[at..]);
            from.and_then(|rest| rest.get(2..)).is_some_and(|rest| {
                rest.split("* ").next().is_some_and(|one| one.contains(&format!("Subject: {name}")))
            })
        };
        if brings(2, "two") && brings(3, "three") { Ok(()) } else { Err("another message was meant".into()) }
    })
}

fn ok(line: &str, tag: &str) -> Result<(), crate::runner::Wrong> {
    match line.starts_with(&format!("{tag} OK")) {
        true => Ok(()),
        false => Err(format!("{tag} OK should come, not {line}").into()),
    }
}
