//! When things come, and that others don't.

use super::{Doing, case};
use crate::case::Case;
use crate::runner::Running;
use std::time::Duration;
use tokio::time::Instant;

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "rfc2177-3-idle-tells-of-a-message-within-five-seconds",
            "RFC 2177 §3 at once",
            "IDLE",
            idle_latency,
        ),
        case(
            "rfc3501-4.3-a-refused-literal-brings-no-continuation",
            "RFC 3501 §4.3 refused",
            "",
            no_plus_when_refused,
        ),
        case(
            "rfc3501-2.3.1.1-uidvalidity-differs-in-ten-quick-recreations",
            "RFC 3501 §2.3.1.1 unique",
            "",
            recreations,
        ),
        case("rfc3501-6.4.6-flags-of-two-sessions-in-any-order", "RFC 3501 §6.4.6 flags", "", two_writers),
        case(
            "rfc2177-3-idle-is-silent-when-nothing-happens",
            "RFC 2177 §3 continuation",
            "IDLE",
            idle_silence,
        ),
    ]
}

/// IDLE is there to spare a client its polling: what a client hears after minutes it could have polled for.
fn idle_latency<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        running.script("C: SELECT {box}\nT: OK\nR: i IDLE\\r\\n\nL: +...\nC/b: NOOP\nT: OK").await?;
        running.script("C/b: APPEND {box} {{Subject: x\\r\\n\\r\\n}}\nT: OK").await?;
        let stored = Instant::now();
        running.script("U: * 1 EXISTS").await?;
        let took = stored.elapsed();
        running.script("R: DONE\\r\\n\nU: i OK...").await?;
        if took > Duration::from_secs(5) { Err(format!("EXISTS came after {took:?}").into()) } else { Ok(()) }
    })
}

fn idle_silence<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        running.script("C: SELECT {box}\nT: OK\nC: NOOP\nT: OK\nR: i IDLE\\r\\n\nL: +...").await?;
        running.session("a").await?.silence(Duration::from_millis(500)).await?;
        running.script("R: DONE\\r\\n\nU: i OK...").await
    })
}

/// RFC 7888 §4 and RFC 3501 §7.5: what is not wanted is refused in place of the continuation request.
fn no_plus_when_refused<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        let talk = running.session("a").await?;
        talk.send(b"r1 FETCH 1 {4000000000}\r\n").await?;
        let line = talk.line().await?;
        if line.starts_with('+') {
            return Err("four gigabytes are asked for".into());
        }
        // RFC 7888 §4 lets a server end the session over a literal it can't take.
        if line.starts_with("* BYE") {
            return Ok(talk.closed().await?);
        }
        if !line.starts_with("r1 BAD") && !line.starts_with("r1 NO") {
            return Err(format!("a refusal should come, not {line}").into());
        }
        talk.expect_ok("NOOP").await?;
        Ok(())
    })
}

fn recreations<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        let name = running.filled("{box}/again");
        let talk = running.session("a").await?;
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..10 {
            talk.expect_ok(&format!("CREATE {name}")).await?;
            let answer = talk.expect_ok(&format!("STATUS {name} (UIDVALIDITY)")).await?;
            let line = answer.lines().next().unwrap_or_default().to_owned();
            if !seen.insert(line.clone()) {
                return Err(format!("round {round} repeats {line}").into());
            }
            talk.expect_ok(&format!("DELETE {name}")).await?;
        }
        Ok(())
    })
}

/// Twenty changes of two sessions, neither of which knows of the other's: all of them hold.
fn two_writers<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        running.script("C: APPEND {box} {{Subject: x\\r\\n\\r\\n}}\nT: OK\nC: SELECT {box}\nT: OK\nC/b: SELECT {box}\nT: OK").await?;
        for n in 0..10 {
            for name in ["a", "b"] {
                let talk = running.session(name).await?;
                talk.send(format!("w{n} STORE 1 +FLAGS.SILENT (key-{name}{n})\r\n").as_bytes()).await?;
            }
            for name in ["a", "b"] {
                let talk = running.session(name).await?;
                loop {
                    let line = talk.line().await?;
                    if line.starts_with(&format!("w{n} OK")) {
                        break;
                    }
                    if line.starts_with(&format!("w{n} ")) {
                        return Err(format!("STORE should be OK: {line}").into());
                    }
                }
            }
        }
        running.script("C: NOOP\nT: OK").await?;
        let answer = running.session("a").await?.expect_ok("FETCH 1 FLAGS").await?;
        let flags = answer.lines().collect::<String>().to_ascii_lowercase();
        for key in (0..10).flat_map(|n| [format!("key-a{n}"), format!("key-b{n}")]) {
            if !flags.contains(&key) {
                return Err(format!("{key} is lost: {flags}").into());
            }
        }
        Ok(())
    })
}
