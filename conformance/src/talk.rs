//! One connection of a case.

use crate::case::Command;
use crate::model::Model;
use crate::pattern::{Variables, fill, matches, pieces, unescape};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// No answer takes longer, or the case fails.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest literal read, in bytes.
const LITERAL_LIMIT: u64 = 16 << 20;

/// A connection's stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) struct Talk {
    io: BufReader<Box<dyn Stream>>,
    name: String,
    next_tag: u32,
    model: Model,
    pub transcript: String,
}

/// The untagged responses and the tagged one, literals in place.
pub(crate) struct Answer {
    pub untagged: Vec<String>,
    pub tagged: String,
}

impl Talk {
    pub fn new(io: Box<dyn Stream>, name: &str) -> Self {
        let (model, transcript) = (Model::default(), String::new());
        Talk { io: BufReader::new(io), name: name.into(), next_tag: 0, model, transcript }
    }

    /// A command of the case, and whether it brought what it must.
    pub async fn check(&mut self, command: &Command, variables: &mut Variables) -> Result<(), String> {
        let text = fill(&command.text, variables);
        let answers: Vec<String> = command.answers.iter().map(|a| fill(a, variables)).collect();
        let answer = self.command(&text, &answers).await?;
        let begins: Vec<String> = command.tagged.split(" || ").map(|t| format!("{t}...")).collect();
        let captured = matches(&begins.join(" || "), &answer.tagged, variables)
            .ok_or_else(|| format!("the tagged response should begin with {:?}", command.tagged))?;
        variables.extend(captured);
        for wanted in &command.untagged {
            let found = answer.untagged.iter().find_map(|line| matches(wanted, line, variables));
            variables.extend(found.ok_or_else(|| format!("missing: {wanted}"))?);
        }
        let mut lines = answer.untagged.iter();
        for wanted in &command.ordered {
            let found = lines.find_map(|line| matches(wanted, line, variables));
            variables.extend(found.ok_or_else(|| format!("missing in this order: {wanted}"))?);
        }
        for forbidden in &command.forbidden {
            if let Some(line) =
                answer.untagged.iter().find(|line| matches(forbidden, line, variables).is_some())
            {
                return Err(format!("must not come: {line}"));
            }
        }
        Ok(())
    }

    /// Sends a command, its literals as the server gives leave, and reads up to its tagged response.
    pub async fn command(&mut self, text: &str, answers: &[String]) -> Result<Answer, String> {
        self.next_tag += 1;
        let tag = format!("{}{} ", self.name, self.next_tag);
        let answers = answers.iter().map(|line| [unescape(line), b"\r\n".to_vec()].concat());
        let mut pieces = pieces(text).into_iter().chain(answers);
        let first = pieces.next().unwrap_or_default();
        self.model.begins(text);
        self.send(&[tag.as_bytes(), &first].concat()).await?;
        let mut untagged = Vec::new();
        loop {
            let line = self.line().await?;
            if let Some(tagged) = line.strip_prefix(&tag) {
                self.model.ends(text, tagged)?;
                return Ok(Answer { untagged, tagged: tagged.to_owned() });
            }
            if line.starts_with('+') {
                let next = pieces.next().ok_or("a continuation request nobody answers")?;
                self.send(&next).await?;
            } else {
                self.model.untagged(&line).map_err(|why| format!("{why}: {line}"))?;
                untagged.push(line);
            }
        }
    }

    pub async fn expect_ok(&mut self, command: &str) -> Result<Answer, String> {
        let answer = self.command(command, &[]).await?;
        if answer.tagged.starts_with("OK") {
            Ok(answer)
        } else {
            Err(format!("{command}: {}", answer.tagged))
        }
    }

    /// The next line is that.
    pub async fn expect(&mut self, pattern: &str, variables: &mut Variables) -> Result<(), String> {
        let line = self.modelled().await?;
        variables.extend(matches(pattern, &line, variables).ok_or_else(|| format!("expected {pattern}"))?);
        Ok(())
    }

    /// Some line is that, sooner or later.
    pub async fn until(&mut self, pattern: &str, variables: &mut Variables) -> Result<(), String> {
        loop {
            let line = self.modelled().await.map_err(|e| format!("waiting for {pattern}: {e}"))?;
            if let Some(captured) = matches(pattern, &line, variables) {
                variables.extend(captured);
                return Ok(());
            }
        }
    }

    async fn modelled(&mut self) -> Result<String, String> {
        let line = self.line().await?;
        if line.starts_with("* ") {
            self.model.untagged(&line).map_err(|why| format!("{why}: {line}"))?;
        }
        Ok(line)
    }

    /// The server closes the connection, whatever it says before that.
    pub async fn closed(&mut self) -> Result<(), String> {
        let mut rest = Vec::new();
        let reading = tokio::time::timeout(ANSWER, self.io.read_to_end(&mut rest));
        match reading.await {
            Err(_) => Err("the server does not close".into()),
            Ok(_) => {
                self.note("S:", &String::from_utf8_lossy(&rest));
                Ok(())
            }
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.note("C:", &String::from_utf8_lossy(bytes));
        let writing = async {
            self.io.get_mut().write_all(bytes).await?;
            self.io.get_mut().flush().await
        };
        tokio::time::timeout(ANSWER, writing)
            .await
            .map_err(|_| "the server takes nothing".to_owned())?
            .map_err(|e| format!("the connection is gone: {e}"))
    }

    /// One response line, its literals in place.
    pub async fn line(&mut self) -> Result<String, String> {
        let line = tokio::time::timeout(ANSWER, read_response(&mut self.io))
            .await
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|e| format!("the connection is gone: {e}"))?;
        self.note("S:", &line);
        Ok(line)
    }

    fn note(&mut self, who: &str, what: &str) {
        let shown: String = what.trim_end().chars().take(2000).collect();
        self.transcript.push_str(&format!("{} {who} {shown}\n", self.name));
    }
}

async fn read_response(io: &mut BufReader<Box<dyn Stream>>) -> std::io::Result<String> {
    let mut all = Vec::new();
    loop {
        if io.read_until(b'\n', &mut all).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(size) = literal_size(&all) else { break };
        let before = all.len();
        io.take(size.min(LITERAL_LIMIT)).read_to_end(&mut all).await?;
        if (all.len() - before) as u64 != size {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let line = all.strip_suffix(b"\r\n").ok_or(std::io::ErrorKind::InvalidData)?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// The size that a line ending in `{n}` announces.
fn literal_size(line: &[u8]) -> Option<u64> {
    let text = line.strip_suffix(b"}\r\n")?;
    let open = text.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&text[open + 1..]).ok()?.parse().ok()
}
