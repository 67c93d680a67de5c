//! One connection of a case.

use crate::case::Command;
use crate::model::Model;
use crate::pattern::{Variables, fill, matches, pieces, unescape};
use crate::response::Response;
use crate::shape::fits;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// No answer takes longer, or the case fails.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest response read, literals included, in bytes.
const RESPONSE_LIMIT: u64 = 16 << 20;
/// Longest transcript kept, in bytes.
const TRANSCRIPT_LIMIT: usize = 1 << 20;

/// A connection's stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection under the eyes of the client model.
pub struct Talk {
    io: BufReader<Box<dyn Stream>>,
    name: String,
    next_tag: u32,
    model: Model,
    pub(crate) transcript: String,
}

/// An untagged response: as text, and understood.
#[derive(Debug, Clone)]
pub struct Untagged {
    pub text: String,
    pub response: Response,
}

/// The untagged responses and the tagged one, literals in place.
#[derive(Debug)]
pub struct Answer {
    pub untagged: Vec<Untagged>,
    /// Without its tag.
    pub tagged: String,
}

impl Answer {
    /// The texts of the untagged responses.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.untagged.iter().map(|u| u.text.as_str())
    }
}

impl Talk {
    /// `name` is what the tags of its commands begin with.
    pub fn new(io: Box<dyn Stream>, name: &str) -> Self {
        let (model, transcript) = (Model::default(), String::new());
        Talk { io: BufReader::new(io), name: name.into(), next_tag: 0, model, transcript }
    }

    /// What was said, as far as it is kept.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// A command of the case, and whether it brought what it must.
    pub(crate) async fn check(&mut self, command: &Command, variables: &mut Variables) -> Result<(), String> {
        let text = fill(&command.text, variables);
        let answers: Vec<String> = command.answers.iter().map(|a| fill(a, variables)).collect();
        let answer = self.command(&text, &answers).await?;
        let begins: Vec<String> = command.tagged.split(" || ").map(|t| format!("{t}...")).collect();
        let captured = matches(&begins.join(" || "), &answer.tagged, variables)
            .ok_or_else(|| format!("the tagged response should begin with {:?}", command.tagged))?;
        variables.extend(captured);
        for forbidden in &command.forbidden_tagged {
            if matches(&format!("{forbidden}..."), &answer.tagged, variables).is_some() {
                return Err(format!("the tagged response must not begin with {forbidden:?}"));
            }
        }
        for wanted in &command.anywhere {
            let untagged = answer.lines().filter_map(|line| line.strip_prefix("* "));
            let found =
                untagged.chain([answer.tagged.as_str()]).find_map(|line| matches(wanted, line, variables));
            variables.extend(found.ok_or_else(|| format!("missing, untagged or tagged: {wanted}"))?);
        }
        for wanted in &command.untagged {
            let found = answer.lines().find_map(|line| matches(wanted, line, variables));
            variables.extend(found.ok_or_else(|| format!("missing: {wanted}"))?);
        }
        let mut lines = answer.lines();
        for wanted in &command.ordered {
            let found = lines.find_map(|line| matches(wanted, line, variables));
            variables.extend(found.ok_or_else(|| format!("missing in this order: {wanted}"))?);
        }
        for wanted in &command.shapes {
            let found = shaped(wanted, &answer, variables)?.ok_or_else(|| format!("missing: {wanted}"))?;
            variables.extend(found.1);
        }
        for forbidden in &command.forbidden {
            if let Some(line) = answer.lines().find(|line| matches(forbidden, line, variables).is_some()) {
                return Err(format!("must not come: {line}"));
            }
        }
        for forbidden in &command.forbidden_shapes {
            if let Some((line, _)) = shaped(forbidden, &answer, variables)? {
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
        self.answer(&tag, pieces).await
    }

    async fn answer(
        &mut self,
        tag: &str,
        mut pieces: impl Iterator<Item = Vec<u8>>,
    ) -> Result<Answer, String> {
        let mut untagged = Vec::new();
        loop {
            let raw = self.raw_line().await?;
            let line = String::from_utf8_lossy(&raw).into_owned();
            if let Some(tagged) = raw.strip_prefix(tag.as_bytes()) {
                let response = Response::parse(tagged).map_err(|why| format!("{why}: {line}"))?;
                self.model.ends(&response).map_err(|why| format!("{why}: {line}"))?;
                return Ok(Answer { untagged, tagged: String::from_utf8_lossy(tagged).into_owned() });
            }
            if line.starts_with('+') {
                let next = pieces.next().ok_or("a continuation request nobody answers")?;
                self.send(&next).await?;
            } else {
                let response = self.modelled(&raw, &line)?;
                untagged.push(Untagged { text: line, response });
            }
        }
    }

    fn modelled(&mut self, raw: &[u8], line: &str) -> Result<Response, String> {
        let rest = raw
            .strip_prefix(b"* ")
            .ok_or_else(|| format!("neither tagged, nor untagged, nor a continuation request: {line}"))?;
        let response = Response::parse(rest).map_err(|why| format!("{why}: {line}"))?;
        self.model.untagged(&response).map_err(|why| format!("{why}: {line}"))?;
        Ok(response)
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
    pub(crate) async fn expect(&mut self, pattern: &str, variables: &mut Variables) -> Result<(), String> {
        let line = self.line().await?;
        variables.extend(matches(pattern, &line, variables).ok_or_else(|| format!("expected {pattern}"))?);
        Ok(())
    }

    /// Some line is that, sooner or later.
    pub(crate) async fn until(&mut self, pattern: &str, variables: &mut Variables) -> Result<(), String> {
        loop {
            let line = self.line().await.map_err(|e| format!("waiting for {pattern}: {e}"))?;
            if let Some(captured) = matches(pattern, &line, variables) {
                variables.extend(captured);
                return Ok(());
            }
        }
    }

    /// The server closes the connection, whatever it says before that.
    pub async fn closed(&mut self) -> Result<(), String> {
        let mut rest = Vec::new();
        let mut io = (&mut self.io).take(RESPONSE_LIMIT);
        let reading = io.read_to_end(&mut rest);
        match tokio::time::timeout(ANSWER, reading).await {
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

    /// One response line, its literals in place; the model has seen it if it is untagged.
    pub async fn line(&mut self) -> Result<String, String> {
        let raw = self.raw_line().await?;
        let line = String::from_utf8_lossy(&raw).into_owned();
        if raw.starts_with(b"* ") {
            self.modelled(&raw, &line)?;
        }
        Ok(line)
    }

    /// Nothing comes for this long.
    pub async fn silence(&mut self, patience: Duration) -> Result<(), String> {
        match tokio::time::timeout(patience, self.io.fill_buf()).await {
            Err(_) => Ok(()),
            Ok(Ok([])) => Err("the server closed the connection".into()),
            Ok(Ok(said)) => Err(format!("must not come: {}", String::from_utf8_lossy(said))),
            Ok(Err(e)) => Err(format!("the connection is gone: {e}")),
        }
    }

    async fn raw_line(&mut self) -> Result<Vec<u8>, String> {
        let raw = tokio::time::timeout(ANSWER, read_response(&mut self.io))
            .await
            .map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))?
            .map_err(|e| format!("the connection is gone: {e}"))?;
        self.note("S:", &String::from_utf8_lossy(&raw));
        Ok(raw)
    }

    fn note(&mut self, who: &str, what: &str) {
        if self.transcript.len() < TRANSCRIPT_LIMIT {
            let shown: String = what.trim_end().chars().take(2000).collect();
            self.transcript.push_str(&format!("{} {who} {shown}\n", self.name));
        }
    }
}

fn shaped(wanted: &str, answer: &Answer, known: &Variables) -> Result<Option<(String, Variables)>, String> {
    for line in &answer.untagged {
        if let Some(captured) = fits(wanted, &line.response, known)? {
            return Ok(Some((line.text.clone(), captured)));
        }
    }
    Ok(None)
}

/// One line with its literals, without its CRLF.
async fn read_response(io: &mut BufReader<Box<dyn Stream>>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let room = RESPONSE_LIMIT.saturating_sub(all.len() as u64);
        if io.take(room).read_until(b'\n', &mut all).await? == 0 || !all.ends_with(b"\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(size) = literal_size(&all) else { break };
        let before = all.len();
        io.take(size.min(RESPONSE_LIMIT)).read_to_end(&mut all).await?;
        if (all.len() - before) as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let line = all.strip_suffix(b"\r\n").ok_or_else(|| io::Error::other("a line that ends without CR"))?;
    Ok(line.to_vec())
}

/// The size that a line ending in `{n}` announces.
fn literal_size(line: &[u8]) -> Option<u64> {
    let text = line.strip_suffix(b"}\r\n")?;
    let open = text.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&text[open + 1..]).ok()?.parse().ok()
}
