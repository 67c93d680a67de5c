//! Runs a case against a server.

use crate::case::{Action, Body, Case, FIRST, Login, Step};
use crate::layout::Layout;
use crate::pattern::{Variables, fill, unescape};
use crate::talk::{Stream, Talk};
use crate::verdict::Verdict;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

/// No case takes longer, whatever the server does.
const CASE: Duration = Duration::from_secs(60);

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
    /// Begins the names of all mailboxes that cases make.
    pub prefix: String,
    pub layout: Layout,
}

impl<'a> Target<'a> {
    /// With names and delimiter as most servers have them; `suite::preflight` asks the server.
    pub fn new(server: &'a dyn Dial, user: &str, password: &str) -> Self {
        let (user, password) = (user.to_owned(), password.to_owned());
        Target { server, user, password, prefix: "conformance".into(), layout: Layout::default() }
    }

    /// The case's mailbox: short, the same in every run, and made of nothing that any server treats specially.
    fn mailbox(&self, case: &Case) -> String {
        // FNV-1a.
        let hash = case.name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{}{}-{:08x}", self.layout.prefix, self.prefix, hash >> 32)
    }
}

/// Why a case did not pass.
#[derive(Debug)]
pub enum Wrong {
    /// The server did something it must not.
    Server(String),
    /// The harness could not get that far.
    Harness(String),
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Wrong::Server(why)
    }
}

impl From<&str> for Wrong {
    fn from(why: &str) -> Self {
        Wrong::Server(why.to_owned())
    }
}

/// Runs one case on connections and a mailbox of its own. Never hangs, never panics.
pub async fn run(target: &Target<'_>, case: &Case) -> Verdict {
    match tokio::time::timeout(CASE, attempt(target, case)).await {
        Ok(verdict) => verdict,
        Err(_) => {
            Verdict::of_failure(case, format!("not done within {} s ({})", CASE.as_secs(), case.clause))
        }
    }
}

async fn attempt(target: &Target<'_>, case: &Case) -> Verdict {
    let mailbox = target.mailbox(case);
    let mut keeper = match keeper(target, case, &mailbox).await {
        Ok(Ok(keeper)) => keeper,
        Ok(Err(missing)) => return Verdict::Skip(missing),
        Err(e) => return Verdict::HarnessError(e),
    };
    let mut running = Running::new(target, case, &mailbox);
    let ran = match &case.body {
        Body::Steps(steps) => running.steps(steps).await,
        Body::Code(code) => code.run(&mut running).await,
    };
    let verdict = match ran {
        Ok(()) => Verdict::Pass,
        Err(Wrong::Harness(why)) => Verdict::HarnessError(why),
        Err(Wrong::Server(why)) => {
            Verdict::of_failure(case, format!("{why} ({})\n{}", case.clause, running.transcript()))
        }
    };
    drop(running);
    if remove(&mut keeper, &mailbox, target.layout.delimiter).await.is_ok() {
        return verdict;
    }
    // The server may have ended this connection over what the case did to its mailboxes.
    match clean_up(target, &mailbox).await {
        Err(e) if verdict == Verdict::Pass => Verdict::HarnessError(format!("clean-up: {e}")),
        _ => verdict,
    }
}

async fn clean_up(target: &Target<'_>, mailbox: &str) -> Result<(), String> {
    let mut keeper = open(target, "keeper", Login::Done).await?;
    remove(&mut keeper, mailbox, target.layout.delimiter).await
}

/// A logged-in connection beside the case's own, which makes and removes its mailbox; or the capability that is missing.
async fn keeper(target: &Target<'_>, case: &Case, mailbox: &str) -> Result<Result<Talk, String>, String> {
    let mut keeper = open(target, "keeper", Login::Done).await?;
    if let Some(missing) = missing(case, &announced(&mut keeper).await?) {
        return Ok(Err(missing));
    }
    // Left over from a run that was cut off.
    remove(&mut keeper, mailbox, target.layout.delimiter).await?;
    keeper.expect_ok(&format!("CREATE {}", quoted(mailbox))).await?;
    for (name, flags) in &case.mail {
        let message = if name.starts_with('@') {
            name.clone()
        } else {
            format!("From: {name}@example.org\\r\\nSubject: {name}\\r\\n\\r\\nbody of {name}\\r\\n")
        };
        keeper.expect_ok(&format!("APPEND {} ({flags}) {{{{{message}}}}}", quoted(mailbox))).await?;
    }
    Ok(Ok(keeper))
}

/// What the server announces to a connection, in its own spelling.
pub(crate) async fn announced(talk: &mut Talk) -> Result<Vec<String>, String> {
    let answer = talk.expect_ok("CAPABILITY").await?;
    let lines = answer.lines().filter_map(|line| line.get(..13).map(|head| (head, &line[13..])));
    let words = lines
        .filter(|(head, _)| head.eq_ignore_ascii_case("* CAPABILITY "))
        .flat_map(|(_, rest)| rest.split(' '));
    Ok(words.map(str::to_owned).collect())
}

/// The first of what the case needs that is not there.
/// Whether a server that announces `capability` has `name`, which may be what stands before a value (`APPENDLIMIT=35882577`).
pub(crate) fn is_announced_as(capability: &str, name: &str) -> bool {
    let before = capability.split_once('=').map_or(capability, |(before, _)| before);
    capability.eq_ignore_ascii_case(name) || before.eq_ignore_ascii_case(name)
}

fn missing(case: &Case, announced: &[String]) -> Option<String> {
    let has = |name: &str| announced.iter().any(|a| is_announced_as(a, name));
    let fulfilled = |need: &str| match need.strip_prefix('!') {
        Some(name) => !has(name),
        None => need.split('|').any(has),
    };
    case.needs.iter().find(|need| !fulfilled(need)).cloned()
}

/// Removes a case's mailbox and all below and beside it that begin with its name.
async fn remove(keeper: &mut Talk, mailbox: &str, delimiter: char) -> Result<(), String> {
    // Twice, since deleting a mailbox may leave a name with children behind, and subscriptions outlive it.
    for _ in 0..2 {
        let listed = keeper.expect_ok(&format!("LIST \"\" {}", quoted(&format!("{mailbox}*")))).await?;
        let mut names: Vec<(String, bool)> =
            listed.untagged.iter().filter_map(|u| listed_name(&u.response)).collect();
        if names.is_empty() {
            break;
        }
        names.sort_unstable_by_key(|(name, _)| {
            std::cmp::Reverse((name.matches(delimiter).count(), name.clone()))
        });
        for (name, selectable) in names {
            let deleted = keeper.command(&format!("DELETE {name}"), &[]).await?;
            if selectable && !deleted.tagged.starts_with("OK") {
                return Err(format!("DELETE {name}: {}", deleted.tagged));
            }
            keeper.command(&format!("UNSUBSCRIBE {name}"), &[]).await?;
        }
    }
    Ok(())
}

/// A LIST response's name as an argument, and whether it is a mailbox.
fn listed_name(response: &crate::response::Response) -> Option<(String, bool)> {
    use crate::response::{Response, Value};
    let Response::Data { kind, data } = response else { return None };
    let ("LIST", [Value::List(attributes), _, Value::Word(name) | Value::Text(name), ..]) =
        (kind.as_str(), data.as_slice())
    else {
        return None;
    };
    let not = |a: &Value| {
        a.word()
            .is_some_and(|w| w.eq_ignore_ascii_case("\\Noselect") || w.eq_ignore_ascii_case("\\NonExistent"))
    };
    Some((quoted(name), !attributes.iter().any(not)))
}

pub(crate) async fn open(target: &Target<'_>, name: &str, login: Login) -> Result<Talk, String> {
    let stream = target.server.dial().await.map_err(|e| format!("cannot connect: {e}"))?;
    let mut talk = Talk::new(stream, name);
    let greeting = talk.line().await.map_err(|e| format!("no greeting: {e}"))?;
    if !greeting.starts_with("* OK") {
        return Err(format!("the greeting is not OK: {greeting}"));
    }
    if login == Login::Done {
        talk.expect_ok(&format!("LOGIN {} {}", quoted(&target.user), quoted(&target.password)))
            .await
            .map_err(|e| e.replace(&quoted(&target.password), "..."))?;
        talk.transcript.clear();
    }
    Ok(talk)
}

/// A case under way: its connections and what it has captured.
pub struct Running<'a> {
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
            ("rawuser", escaped(&target.user)),
            ("rawpassword", escaped(&target.password)),
            ("plain", base64),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Running { target, login: case.login, talks: BTreeMap::new(), variables }
    }

    /// A session, opened on first use.
    pub async fn session(&mut self, name: &str) -> Result<&mut Talk, Wrong> {
        if !self.talks.contains_key(name) {
            let talk = open(self.target, name, self.login).await.map_err(Wrong::Harness)?;
            self.talks.insert(name.to_owned(), talk);
        }
        self.talks.get_mut(name).ok_or_else(|| Wrong::Harness("no session".into()))
    }

    /// Steps in the text form, for cases in code that begin like others.
    pub async fn script(&mut self, text: &str) -> Result<(), Wrong> {
        let cases =
            crate::case::parse(&format!("== script\nclause: RFC 0 §0\n{text}\n")).map_err(Wrong::Harness)?;
        match cases.first() {
            Some(case) => self.steps(case.steps()).await,
            None => Ok(()),
        }
    }

    /// `text` with the case's variables in place.
    pub fn filled(&self, text: &str) -> String {
        fill(&self.target.layout.localised(text), &self.variables)
    }

    async fn steps(&mut self, steps: &[Step]) -> Result<(), Wrong> {
        for step in steps {
            self.step(step).await?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), Wrong> {
        self.session(&step.session).await?;
        let talk = self.talks.get_mut(&step.session).ok_or("no session")?;
        let (variables, layout) = (&mut self.variables, &self.target.layout);
        let done = match &step.action {
            Action::Command(command) => {
                talk.check(&command.map(|line| layout.localised(line)), variables).await
            }
            Action::Send(text) => talk.send(&unescape(&fill(&layout.localised(text), variables))).await,
            Action::Line(pattern) => talk.expect(&layout.localised(pattern), variables).await,
            Action::Until(pattern) => talk.until(&layout.localised(pattern), variables).await,
            Action::Closed => talk.closed().await,
        };
        done.map_err(Wrong::Server)
    }

    fn transcript(&self) -> String {
        let first = self.talks.get(FIRST).into_iter();
        let others = self.talks.iter().filter(|(name, _)| *name != FIRST).map(|(_, talk)| talk);
        first.chain(others).map(|talk| talk.transcript.as_str()).collect::<Vec<_>>().join("--\n")
    }
}

/// A quoted string (RFC 3501 §9 quoted), in the language of cases.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Text that the language of cases leaves as it is.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\x5c").replace('{', "\\x7b").replace('}', "\\x7d")
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

    #[test]
    fn a_password_is_sent_as_it_is() {
        let sent = unescape(&quoted("a\\n\"{x*3}{{y}}"));
        assert_eq!(String::from_utf8(sent).unwrap(), "\"a\\\\n\\\"{x*3}{{y}}\"");
    }

    #[test]
    fn needs_may_be_alternatives_or_absences() {
        let lacks = |needs: &[&str]| {
            let needs = needs.iter().map(|n| n.to_string()).collect();
            missing(&Case { needs, ..Case::default() }, &["IDLE".into(), "literal+".into()])
        };
        assert_eq!(lacks(&["IDLE", "LITERAL-|LITERAL+", "!MOVE"]), None);
        assert_eq!(lacks(&["IDLE", "MOVE"]), Some("MOVE".into()));
        assert_eq!(lacks(&["!IDLE"]), Some("!IDLE".into()));
    }
}
