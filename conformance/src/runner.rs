//! Runs cases against a server.

use crate::case::{Action, Case, FIRST, Login, Step};
use crate::pattern::{Variables, fill, unescape};
use crate::talk::{Stream, Talk};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;

/// A connection that is being made.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// How connections to the server under test are made.
pub trait Dial: Sync {
    fn dial(&self) -> Dialing<'_>;
}

/// A server and an account on it.
pub struct Target<'a> {
    pub server: &'a dyn Dial,
    pub user: String,
    pub password: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// The server does not announce what the case needs: this capability.
    Skip(String),
    /// What was wrong, with the transcript.
    Fail(String),
    /// The harness could not get as far as the case: connection, login, set-up.
    HarnessError(String),
}

/// Runs one case on connections and a mailbox of its own. Never hangs, never panics.
pub async fn run(target: &Target<'_>, case: &Case) -> Verdict {
    let mailbox = format!("c-{}", case.name);
    let mut keeper = match keeper(target, &mailbox).await {
        Ok(keeper) => keeper,
        Err(e) => return Verdict::HarnessError(e),
    };
    match keeper.expect_ok("CAPABILITY").await {
        Err(e) => return Verdict::HarnessError(e),
        Ok(answer) => {
            let announced = answer.untagged.concat().to_ascii_uppercase();
            let lacks = |need: &&String| !announced.split_whitespace().any(|word| word == need.as_str());
            if let Some(missing) = case.needs.iter().find(lacks) {
                return Verdict::Skip(missing.clone());
            }
        }
    }
    let mut running = Running::new(target, case, &mailbox);
    let mut verdict = Verdict::Pass;
    for step in &case.steps {
        if let Err(why) = running.step(step).await {
            verdict = Verdict::Fail(format!("{why} ({})\n{}", case.clause, running.transcript()));
            break;
        }
    }
    drop(running);
    match remove(&mut keeper, &mailbox).await {
        Err(e) if verdict == Verdict::Pass => Verdict::HarnessError(format!("clean-up: {e}")),
        _ => verdict,
    }
}

/// A logged-in connection beside the case's own, which makes and removes its mailbox.
async fn keeper(target: &Target<'_>, mailbox: &str) -> Result<Talk, String> {
    let mut keeper = open(target, "keeper", Login::Done).await?;
    // Left over from a run that was cut off.
    remove(&mut keeper, mailbox).await?;
    keeper.expect_ok(&format!("CREATE {mailbox}")).await?;
    Ok(keeper)
}

/// Removes a case's mailbox and all below and beside it that begin with its name.
async fn remove(keeper: &mut Talk, mailbox: &str) -> Result<(), String> {
    let listed = keeper.expect_ok(&format!("LIST \"\" {mailbox}*")).await?;
    let mut names: Vec<&str> =
        listed.untagged.iter().filter_map(|line| line.rsplit_once(' ')).map(|(_, n)| n).collect();
    names.sort_unstable();
    for name in names.into_iter().rev() {
        keeper.expect_ok(&format!("DELETE {name}")).await?;
        // A name stays subscribed after its mailbox.
        keeper.command(&format!("UNSUBSCRIBE {name}"), &[]).await?;
    }
    Ok(())
}

async fn open(target: &Target<'_>, name: &str, login: Login) -> Result<Talk, String> {
    let stream = target.server.dial().await.map_err(|e| format!("cannot connect: {e}"))?;
    let mut talk = Talk::new(stream, name);
    let greeting = talk.line().await?;
    if !greeting.starts_with("* OK") {
        return Err(format!("the greeting is not OK: {greeting}"));
    }
    if login == Login::Done {
        talk.expect_ok(&format!("LOGIN {} {}", quoted(&target.user), quoted(&target.password))).await?;
        talk.transcript.clear();
    }
    Ok(talk)
}

struct Running<'a> {
    target: &'a Target<'a>,
    login: Login,
    talks: BTreeMap<String, Talk>,
    variables: Variables,
}

impl<'a> Running<'a> {
    fn new(target: &'a Target<'a>, case: &Case, mailbox: &str) -> Self {
        let base64 = base64(format!("\0{}\0{}", target.user, target.password).as_bytes());
        let variables = [
            ("box", mailbox.to_owned()),
            ("user", quoted(&target.user)),
            ("password", quoted(&target.password)),
            ("rawuser", target.user.clone()),
            ("rawpassword", target.password.clone()),
            ("plain", base64),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Running { target, login: case.login, talks: BTreeMap::new(), variables }
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        if !self.talks.contains_key(&step.session) {
            let talk = open(self.target, &step.session, self.login).await?;
            self.talks.insert(step.session.clone(), talk);
        }
        let talk = self.talks.get_mut(&step.session).ok_or("no session")?;
        let variables = &mut self.variables;
        match &step.action {
            Action::Command(command) => talk.check(command, variables).await,
            Action::Send(text) => talk.send(&unescape(&fill(text, variables))).await,
            Action::Line(pattern) => talk.expect(pattern, variables).await,
            Action::Until(pattern) => talk.until(pattern, variables).await,
            Action::Closed => talk.closed().await,
        }
    }

    fn transcript(&self) -> String {
        let first = self.talks.get(FIRST).into_iter();
        let others = self.talks.iter().filter(|(name, _)| *name != FIRST).map(|(_, talk)| talk);
        first.chain(others).map(|talk| talk.transcript.as_str()).collect::<Vec<_>>().join("--\n")
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain([&0, &0]).take(3).fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63] as char;
            text.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
