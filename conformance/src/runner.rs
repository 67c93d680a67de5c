//! Runs cases against a server.

use crate::case::{Case, Step, matches};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// No answer takes longer, or the case fails.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest literal read, in bytes.
const LITERAL_LIMIT: u64 = 16 << 20;

/// A server and an account on it.
#[derive(Debug, Clone)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// What was wrong, with the transcript.
    Fail(String),
    /// The harness could not get as far as the case: connection, login, set-up.
    HarnessError(String),
}

/// Runs one case on a connection and a mailbox of its own. Never hangs, never panics.
pub async fn run(target: &Target, case: &Case) -> Verdict {
    let mailbox = format!("conformance-{}", case.name);
    let mut talk = match Talk::open(target, &mailbox).await {
        Ok(talk) => talk,
        Err(e) => return Verdict::HarnessError(e),
    };
    for step in &case.steps {
        if let Err(why) = talk.step(step, &mailbox).await {
            return Verdict::Fail(format!("{why} ({})\n{}", case.clause, talk.transcript));
        }
    }
    // Leaves nothing behind; a case may have deleted it already.
    let _ = talk.command(&["CLOSE".into()]).await;
    let _ = talk.command(&[format!("DELETE {mailbox}")]).await;
    Verdict::Pass
}

struct Talk {
    io: BufReader<TcpStream>,
    next_tag: u32,
    transcript: String,
}

/// The untagged responses and the tagged one, literals included in their lines.
struct Answer {
    untagged: Vec<String>,
    tagged: String,
}

impl Talk {
    #[allow(clippy::disallowed_methods)] // A client of other people's servers, outside any simulation.
    async fn open(target: &Target, mailbox: &str) -> Result<Talk, String> {
        let connecting = TcpStream::connect((target.host.as_str(), target.port));
        let stream = tokio::time::timeout(ANSWER, connecting)
            .await
            .map_err(|_| "no connection in time".to_owned())?
            .map_err(|e| format!("cannot connect to {}:{}: {e}", target.host, target.port))?;
        let mut talk = Talk { io: BufReader::new(stream), next_tag: 0, transcript: String::new() };
        let greeting = talk.line().await?;
        if !greeting.starts_with("* OK") {
            return Err(format!("the greeting is not OK: {greeting}"));
        }
        let login = format!("LOGIN {} {}", quoted(&target.user), quoted(&target.password));
        talk.expect_ok(login).await?;
        // Left over from a run that was cut off.
        let _ = talk.command(&[format!("DELETE {mailbox}")]).await;
        talk.expect_ok(format!("CREATE {mailbox}")).await?;
        talk.transcript.clear();
        Ok(talk)
    }

    async fn expect_ok(&mut self, command: String) -> Result<(), String> {
        let answer = self.command(&[command]).await?;
        if answer.tagged.starts_with("OK") { Ok(()) } else { Err(format!("set-up: {}", answer.tagged)) }
    }

    async fn step(&mut self, step: &Step, mailbox: &str) -> Result<(), String> {
        let fill = |text: &String| text.replace("{box}", mailbox).replace("\\r\\n", "\r\n");
        let lines: Vec<String> = step.lines.iter().map(fill).collect();
        let answer = self.command(&lines).await?;
        let begins = format!("{}...", fill(&step.tagged));
        if !matches(&begins, &answer.tagged) {
            return Err(format!("the tagged response should begin with {:?}", fill(&step.tagged)));
        }
        for wanted in step.untagged.iter().map(fill) {
            if !answer.untagged.iter().any(|line| matches(&wanted, line)) {
                return Err(format!("missing: {wanted}"));
            }
        }
        for forbidden in step.forbidden.iter().map(fill) {
            if let Some(line) = answer.untagged.iter().find(|line| matches(&forbidden, line)) {
                return Err(format!("must not come: {line}"));
            }
        }
        Ok(())
    }

    async fn command(&mut self, lines: &[String]) -> Result<Answer, String> {
        self.next_tag += 1;
        let tag = format!("t{} ", self.next_tag);
        let mut lines = lines.iter();
        let first = lines.next().ok_or("an empty command")?;
        self.send(&format!("{tag}{first}\r\n")).await?;
        let mut untagged = Vec::new();
        loop {
            let line = self.line().await?;
            if let Some(tagged) = line.strip_prefix(&tag) {
                return Ok(Answer { untagged, tagged: tagged.to_owned() });
            }
            if line.starts_with('+') {
                let next = lines.next().ok_or("a continuation request nobody answers")?;
                self.send(&format!("{next}\r\n")).await?;
            } else {
                untagged.push(line);
            }
        }
    }

    async fn send(&mut self, text: &str) -> Result<(), String> {
        self.transcript.push_str(&format!("C: {}\n", text.trim_end()));
        let writing = self.io.get_mut().write_all(text.as_bytes());
        tokio::time::timeout(ANSWER, writing)
            .await
            .map_err(|_| "the server takes nothing".to_owned())?
            .map_err(|e| format!("the connection is gone: {e}"))
    }

    /// One response line, its literals in place.
    async fn line(&mut self) -> Result<String, String> {
        let line = tokio::time::timeout(ANSWER, read_response(&mut self.io))
            .await
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|e| format!("the connection is gone: {e}"))?;
        self.transcript.push_str(&format!("S: {line}\n"));
        Ok(line)
    }
}

async fn read_response(io: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut all = Vec::new();
    loop {
        if io.read_until(b'\n', &mut all).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        while all.last().is_some_and(|b| b"\r\n".contains(b)) {
            all.pop();
        }
        let Some(size) = literal_size(&all) else { break };
        io.take(size.min(LITERAL_LIMIT)).read_to_end(&mut all).await?;
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

fn literal_size(line: &[u8]) -> Option<u64> {
    let text = line.strip_suffix(b"}")?;
    let open = text.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&text[open + 1..]).ok()?.parse().ok()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
