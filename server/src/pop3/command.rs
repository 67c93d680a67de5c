//! The grammar of commands: a line in, a [`Command`] out. Pure; knows no state and no mail.

/// A command, its arguments parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Capa,
    User(String),
    /// All that follows the space: RFC 1939 §7, a password may hold spaces.
    Pass(Password),
    /// Known, never offered: there is no timestamp in the greeting.
    Apop,
    /// Without a mechanism the client wants to know which there are (older than RFC 5034, still asked).
    Auth(Option<SaslStart>),
    Stls,
    Utf8,
    Stat,
    List(Option<Number>),
    Uidl(Option<Number>),
    Retr(Number),
    Top(Number, u64),
    Dele(Number),
    Rset,
    Noop,
    Quit,
}

/// A message number as the client wrote it: it may be of no message.
pub type Number = u64;

/// RFC 5034 §4: `AUTH mechanism [initial-response]`.
#[derive(Clone, PartialEq, Eq)]
pub struct SaslStart {
    pub mechanism: String,
    /// Base64, as it came; `=` stands for an empty one.
    pub initial_response: Option<String>,
}

impl std::fmt::Debug for SaslStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.mechanism)
    }
}

/// A password, kept out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("...")
    }
}

/// Why a line is no command. The text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("unknown command")]
    Unknown,
    #[error("{0} takes no argument")]
    NoArgument(&'static str),
    #[error("the form is: {0}")]
    Form(&'static str),
    #[error("only UTF-8 is understood")]
    NotUtf8,
}

/// Commands without arguments.
const PLAIN: [(&str, Command); 8] = [
    ("CAPA", Command::Capa),
    ("STLS", Command::Stls),
    ("UTF8", Command::Utf8),
    ("STAT", Command::Stat),
    ("RSET", Command::Rset),
    ("NOOP", Command::Noop),
    ("QUIT", Command::Quit),
    ("APOP", Command::Apop),
];

impl Command {
    /// Parses one line, without its end. RFC 1939 §3: keywords in any case, arguments separated by one space; more
    /// spaces are forgiven, except in a password.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let line = std::str::from_utf8(line).map_err(|_| CommandError::NotUtf8)?;
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let keyword = keyword.to_ascii_uppercase();
        if keyword == "PASS" {
            return match line.len() {
                4 => Err(CommandError::Form("PASS password")),
                _ => Ok(Command::Pass(Password(rest.into()))),
            };
        }
        let rest = rest.trim();
        if let Some((name, command)) = PLAIN.iter().find(|(name, _)| *name == keyword) {
            let free = matches!(command, Command::Apop);
            return if rest.is_empty() || free {
                Ok(command.clone())
            } else {
                Err(CommandError::NoArgument(name))
            };
        }
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        match (keyword.as_str(), &words[..]) {
            ("USER", [_, ..]) => Ok(Command::User(rest.into())),
            ("USER", _) => Err(CommandError::Form("USER login")),
            ("AUTH", _) => auth(&words),
            ("LIST", []) => Ok(Command::List(None)),
            ("LIST", [n]) => number(n, "LIST [message]").map(|n| Command::List(Some(n))),
            ("LIST", _) => Err(CommandError::Form("LIST [message]")),
            ("UIDL", []) => Ok(Command::Uidl(None)),
            ("UIDL", [n]) => number(n, "UIDL [message]").map(|n| Command::Uidl(Some(n))),
            ("UIDL", _) => Err(CommandError::Form("UIDL [message]")),
            ("RETR", [n]) => number(n, "RETR message").map(Command::Retr),
            ("RETR", _) => Err(CommandError::Form("RETR message")),
            ("DELE", [n]) => number(n, "DELE message").map(Command::Dele),
            ("DELE", _) => Err(CommandError::Form("DELE message")),
            ("TOP", [n, lines]) => {
                Ok(Command::Top(number(n, "TOP message lines")?, number(lines, "TOP message lines")?))
            }
            ("TOP", _) => Err(CommandError::Form("TOP message lines")),
            _ => Err(CommandError::Unknown),
        }
    }
}

fn auth(words: &[&str]) -> Result<Command, CommandError> {
    let form = CommandError::Form("AUTH mechanism [initial-response]");
    let (mechanism, initial_response) = match words {
        [] => return Ok(Command::Auth(None)),
        [mechanism] => (*mechanism, None),
        [mechanism, initial] => (*mechanism, Some((*initial).to_owned())),
        _ => return Err(form),
    };
    // RFC 4422 §3.1: at most 20 characters.
    if mechanism.len() > 20 {
        return Err(form);
    }
    Ok(Command::Auth(Some(SaslStart { mechanism: mechanism.into(), initial_response })))
}

/// Digits only: no sign. A number beyond all is as good as the largest.
fn number(word: &str, form: &'static str) -> Result<Number, CommandError> {
    if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) {
        return Err(CommandError::Form(form));
    }
    Ok(word.parse().unwrap_or(Number::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_become_commands() {
        let parse = |line: &str| Command::parse(line.as_bytes());
        assert_eq!(parse("capa"), Ok(Command::Capa));
        assert_eq!(parse("LIST 3 "), Ok(Command::List(Some(3))));
        assert_eq!(parse("top 1 0"), Ok(Command::Top(1, 0)));
        assert_eq!(parse("PASS  a b "), Ok(Command::Pass(Password(" a b ".into()))));
        assert_eq!(parse("PASS "), Ok(Command::Pass(Password(String::new()))));
        assert_eq!(parse("RETR 99999999999999999999999"), Ok(Command::Retr(u64::MAX)));
        let start = SaslStart { mechanism: "PLAIN".into(), initial_response: Some("=".into()) };
        assert_eq!(parse("AUTH PLAIN ="), Ok(Command::Auth(Some(start))));
        assert_eq!(parse("AUTH"), Ok(Command::Auth(None)));
        assert_eq!(parse("APOP x y"), Ok(Command::Apop));
        assert_eq!(parse("STAT 1"), Err(CommandError::NoArgument("STAT")));
        assert_eq!(parse("PASS"), Err(CommandError::Form("PASS password")));
        assert_eq!(parse("USER"), Err(CommandError::Form("USER login")));
        assert_eq!(parse("DELE -1"), Err(CommandError::Form("DELE message")));
        assert_eq!(parse("RETR +1"), Err(CommandError::Form("RETR message")));
        assert_eq!(parse("RETRX 1"), Err(CommandError::Unknown));
        assert_eq!(parse(""), Err(CommandError::Unknown));
        assert_eq!(Command::parse(b"USER \xff"), Err(CommandError::NotUtf8));
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let shown = |line: &str| format!("{:?}", Command::parse(line.as_bytes()));
        assert!(!shown("PASS hush").contains("hush"));
        assert!(!shown("AUTH PLAIN aHVzaA==").contains("aHVzaA"));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Command::parse(&line);
        }

        #[test]
        fn no_arguments_panic(
            verb in prop::sample::select(vec!["LIST", "TOP", "AUTH", "PASS", "RETR", "USER"]),
            tail in "[ 0-9a-z=+é-]{0,30}",
        ) {
            let _ = Command::parse(format!("{verb} {tail}").as_bytes());
            let _ = Command::parse(format!("{verb}{tail}").as_bytes());
        }
    }
}
