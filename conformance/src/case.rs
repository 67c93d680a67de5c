//! Cases as text.
//!
//! ```text
//! == fetch-body-sets-seen
//! clause: RFC 3501 §6.4.5
//! C: APPEND {box} {{Subject: x\r\n\r\nhello}}
//! T: OK
//! C: SELECT {box}
//! S: * 1 EXISTS
//! T: OK [READ-WRITE]
//! ```
//!
//! Before the first step:
//!
//! | key | meaning |
//! |---|---|
//! | `clause:` | what the case is about: an entry of `clauses.toml`, whose level says how grave a failure is |
//! | `needs:` | capabilities without which it is skipped; `A|B` is either, `!A` its absence |
//! | `login: no` | the case logs in itself |
//! | `mail:` | messages that stand in the mailbox before: `x` is one with the subject x and the text "body of x", `@name` one of `fixtures/`, either with flags behind it: `x(\Seen \Flagged)` |
//! | `uses: INBOX` | it changes what all cases share, so it runs beside no other that does |
//! | `suspect:` | why a failure may be the case's own: no reference passes it |
//!
//! `{box}` is a mailbox of the case's own, which exists and is empty but for `mail:`; names below it are written with a
//! slash, whatever the server's delimiter is.
//!
//! Steps, each on the session named after a slash (`C/b:`; `a` when none is), which is opened and logged in on first use:
//!
//! | key | meaning |
//! |---|---|
//! | `C:` | a command without its tag; what follows it up to the next step says what it must bring |
//! | `C+:` | a line that answers a continuation request of that command |
//! | `S:` | an untagged response that must have come by the tagged one, in any order |
//! | `O:` | as `S:`, and later than the `O:` before it |
//! | `!S:` | an untagged response that must not have come |
//! | `M:`, `!M:` | as `S:` and `!S:`, compared by structure: see `shape.rs` |
//! | `T:` | how the tagged response begins |
//! | `!T:` | how it must not begin |
//! | `A:` | a status response that must have come, untagged or tagged, without `*` or tag |
//! | `R:` | bytes, sent as they are |
//! | `L:` | the next line must be this |
//! | `U:` | lines are read up to this one |
//! | `E:` | the server closes the connection |
//!
//! In what is sent, `{{text}}` is a synchronising literal, `{{+text}}` a non-synchronising one, `{{~text}}` a literal8,
//! `{{@name}}` a fixture, `{x*100}` a hundred `x`, and `\r`, `\n`, `\t`, `\0`, `\xHH` stand for bytes. In patterns `...` matches anything, `{=name}` anything that is
//! put in place of `{name}` from then on, ` || ` stands between alternatives; case does not count.

use crate::clauses::Level;
use crate::code::Code;

/// The session of a step that names none.
pub const FIRST: &str = "a";

/// One behaviour.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Case {
    pub name: String,
    /// Its clause's id, and what `clauses.toml` says of it.
    pub clause: String,
    pub level: Level,
    /// Capabilities.
    pub needs: Vec<String>,
    pub login: Login,
    /// What is in the mailbox before: messages and their flags.
    pub mail: Vec<(String, String)>,
    pub uses_inbox: bool,
    /// Why a failure may be the case's own.
    pub suspect: Option<String>,
    pub body: Body,
}

/// What a case does.
#[derive(Debug, Clone)]
pub enum Body {
    Steps(Vec<Step>),
    Code(Code),
}

impl Default for Body {
    fn default() -> Self {
        Body::Steps(Vec::new())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        matches!((self, other), (Body::Steps(a), Body::Steps(b)) if a == b)
    }
}

impl Eq for Body {}

/// Whether sessions are logged in when the case begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Login {
    #[default]
    Done,
    No,
}

/// Something a session does or sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub session: String,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Command(Box<Command>),
    Send(String),
    Line(String),
    Until(String),
    Closed,
}

/// One command with what it must bring.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    pub text: String,
    /// Lines that answer continuation requests.
    pub answers: Vec<String>,
    pub untagged: Vec<String>,
    pub ordered: Vec<String>,
    pub forbidden: Vec<String>,
    pub shapes: Vec<String>,
    pub forbidden_shapes: Vec<String>,
    pub tagged: String,
    pub forbidden_tagged: Vec<String>,
    pub anywhere: Vec<String>,
}

impl Command {
    /// Each line of it put through `change`.
    pub(crate) fn map(&self, change: impl Fn(&str) -> String) -> Command {
        let all = |lines: &[String]| lines.iter().map(|line| change(line)).collect();
        Command {
            text: change(&self.text),
            answers: all(&self.answers),
            untagged: all(&self.untagged),
            ordered: all(&self.ordered),
            forbidden: all(&self.forbidden),
            shapes: all(&self.shapes),
            forbidden_shapes: all(&self.forbidden_shapes),
            tagged: change(&self.tagged),
            forbidden_tagged: all(&self.forbidden_tagged),
            anywhere: all(&self.anywhere),
        }
    }
}

/// Parses a file of cases; an error names the line.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l)) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let added = match (line.strip_prefix("== "), cases.last_mut()) {
            (Some(name), _) => {
                cases.push(Case { name: name.trim().into(), ..Case::default() });
                Ok(())
            }
            (None, Some(case)) => case.add(line),
            (None, None) => Err("before the first case"),
        };
        added.map_err(|why| format!("line {number}: {why}: {line}"))?;
    }
    for case in &cases {
        let is_whole = |step: &Step| !matches!(&step.action, Action::Command(c) if c.tagged.is_empty());
        let steps = case.steps();
        if case.clause.is_empty() || steps.is_empty() || !steps.iter().all(is_whole) {
            return Err(format!("{}: needs a clause, a step, and a T: for each command", case.name));
        }
    }
    Ok(cases)
}

impl Case {
    /// Those of a case in text.
    pub fn steps(&self) -> &[Step] {
        if let Body::Steps(steps) = &self.body { steps } else { &[] }
    }

    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        let (key, value) = line.split_once(':').ok_or("not `key: value`")?;
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        let (key, session) = key.split_once('/').unwrap_or((key, FIRST));
        let mut step = |action| match &mut self.body {
            Body::Steps(steps) => {
                steps.push(Step { session: session.into(), action });
                Ok(())
            }
            Body::Code(_) => Err("code has no steps"),
        };
        match key {
            "clause" => self.clause = value,
            "needs" => self.needs = value.split_whitespace().map(str::to_ascii_uppercase).collect(),
            "login" if value == "no" => self.login = Login::No,
            "mail" => self.mail = mail(&value),
            "uses" if value == "INBOX" => self.uses_inbox = true,
            "suspect" => self.suspect = Some(value),
            "C" => return step(Action::Command(Box::new(Command { text: value, ..Command::default() }))),
            "R" => return step(Action::Send(value)),
            "L" => return step(Action::Line(value)),
            "U" => return step(Action::Until(value)),
            "E" => return step(Action::Closed),
            _ => return self.expect(key, value),
        }
        Ok(())
    }

    fn expect(&mut self, key: &str, value: String) -> Result<(), &'static str> {
        let Body::Steps(steps) = &mut self.body else { return Err("code has no steps") };
        let Some(Step { action: Action::Command(command), .. }) = steps.last_mut() else {
            return Err("follows no command");
        };
        match key {
            "C+" => command.answers.push(value),
            "S" => command.untagged.push(value),
            "O" => command.ordered.push(value),
            "!S" => command.forbidden.push(value),
            "M" => command.shapes.push(value),
            "!M" => command.forbidden_shapes.push(value),
            "!T" => command.forbidden_tagged.push(value),
            "A" => command.anywhere.push(value),
            "T" if command.tagged.is_empty() => command.tagged = value,
            "T" => return Err("a second T: for one command"),
            _ => return Err("unknown key"),
        }
        Ok(())
    }
}

/// `x y(\Seen \Deleted) @nested`
fn mail(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let end = rest.find([' ', '(']).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let mut flags = String::new();
        if let Some((inside, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            (flags, rest) = (inside.to_owned(), after);
        }
        found.push((name, flags));
        rest = rest.trim_start_matches([' ', '(']);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_has_names_and_flags() {
        let pair = |name: &str, flags: &str| (name.to_owned(), flags.to_owned());
        assert_eq!(mail("x y(\\Seen one) @z"), [pair("x", ""), pair("y", "\\Seen one"), pair("@z", "")]);
    }

    #[test]
    fn a_step_names_its_session_and_its_expectations() {
        let cases = parse("== a\nclause: RFC 1\nneeds: Move\nC/b: NOOP\nO: * 1\nT: OK\nE/c:\n").unwrap();
        assert_eq!(cases[0].needs, ["MOVE"]);
        let expected = Command {
            text: "NOOP".into(),
            ordered: vec!["* 1".into()],
            tagged: "OK".into(),
            ..Command::default()
        };
        assert_eq!(
            cases[0].steps()[0],
            Step { session: "b".into(), action: Action::Command(Box::new(expected)) }
        );
        assert_eq!(cases[0].steps()[1], Step { session: "c".into(), action: Action::Closed });
    }

    #[test]
    fn a_case_without_an_expectation_is_refused() {
        assert!(parse("== a\nclause: RFC 1\nC: NOOP\n").unwrap_err().contains("needs"));
        assert!(parse("C: NOOP\n").unwrap_err().contains("line 1"));
        assert!(parse("== a\nclause: RFC 1\nS: * 1\n").unwrap_err().contains("line 3"));
        assert!(parse("== a\nclause: RFC 1\nC: NOOP\nT: OK\nT: NO\n").unwrap_err().contains("line 5"));
    }
}
