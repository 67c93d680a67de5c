//! The grammar of commands (RFC 5321 §4.1): a line in, a [`Command`] out. Pure; knows no state and no mail.
//! Paths and their parameters are `path`'s business.

use super::path::{self, Side};

/// A command, as far as this server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Helo(String),
    Ehlo(String),
    Lhlo(String),
    Mail(Path),
    Rcpt(Path),
    Data,
    /// RFC 3030.
    Bdat {
        len: u64,
        last: bool,
    },
    Auth {
        mechanism: String,
        /// Base64, as it came.
        initial_response: Option<String>,
    },
    StartTls,
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    Quit,
}

/// What MAIL and RCPT name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    /// As written, quotes included; empty for the null reverse-path, `postmaster` for RFC 5321 §4.1.1.3's.
    pub address: String,
    pub params: Vec<Parameter>,
    /// SIZE (RFC 1870), 0 when not given.
    pub size: u64,
    /// BODY=BINARYMIME (RFC 3030).
    pub binary: bool,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
}

/// One ESMTP parameter as written: `RET=HDRS`.
pub type Parameter = String;

/// Why a line is no command. Each has a reply of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    Unknown,
    /// Known, and not offered: ETRN, BURL and the like.
    NotImplemented,
    /// The right form.
    Syntax(&'static str),
    /// BDAT without a size: nobody knows how much of what follows is content.
    BadChunk,
    /// MAIL names what is no address.
    BadSender,
    /// RCPT names what is no address.
    BadAddress,
    /// A parameter that was not announced (RFC 5321 §4.1.1.11).
    UnknownParameter(String),
    BadParameter(&'static str),
}

/// Longest name taken from HELO and the like, in octets (RFC 5321 §4.5.3.1.2).
const NAME_LIMIT: usize = 255;

impl Command {
    /// Parses one line, without its end.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let line = line.trim_ascii_end();
        // RFC 5321 §2.3.8: CR is for ends of lines only. What else does not belong into any command is refused as well,
        // before it can get into a header or a log.
        if line.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
            return Err(CommandError::Unknown);
        }
        let end = line.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(line.len());
        let (verb, rest) = line.split_at(end);
        let rest = rest.trim_ascii_start();
        match verb.to_ascii_uppercase().as_slice() {
            b"HELO" => name(rest, "HELO domain").map(Command::Helo),
            b"EHLO" => name(rest, "EHLO domain").map(Command::Ehlo),
            b"LHLO" => name(rest, "LHLO domain").map(Command::Lhlo),
            b"MAIL" => path::parse(rest, Side::From).map(Command::Mail),
            b"RCPT" => path::parse(rest, Side::To).map(Command::Rcpt),
            b"DATA" => alone(rest, Command::Data, "DATA"),
            b"BDAT" => chunk(rest),
            b"AUTH" => auth(rest),
            // RFC 3207 §4: no parameters.
            b"STARTTLS" => alone(rest, Command::StartTls, "STARTTLS"),
            b"RSET" => alone(rest, Command::Rset, "RSET"),
            b"QUIT" => alone(rest, Command::Quit, "QUIT"),
            b"NOOP" => Ok(Command::Noop),
            b"HELP" => Ok(Command::Help),
            b"VRFY" if rest.is_empty() => Err(CommandError::Syntax("VRFY string")),
            b"VRFY" => Ok(Command::Vrfy),
            b"EXPN" if rest.is_empty() => Err(CommandError::Syntax("EXPN string")),
            b"EXPN" => Ok(Command::Expn),
            b"ETRN" | b"ATRN" | b"BURL" | b"TURN" | b"SEND" | b"SOML" | b"SAML" => {
                Err(CommandError::NotImplemented)
            }
            _ => Err(CommandError::Unknown),
        }
    }
}

/// RFC 5321 §4.1.1: what takes no argument is refused with one.
fn alone(rest: &[u8], command: Command, form: &'static str) -> Result<Command, CommandError> {
    if rest.is_empty() { Ok(command) } else { Err(CommandError::Syntax(form)) }
}

/// Clients say all kinds of things instead of a domain: one word of text is taken.
fn name(rest: &[u8], form: &'static str) -> Result<String, CommandError> {
    let word = std::str::from_utf8(rest).ok().and_then(|rest| rest.split_ascii_whitespace().next());
    let word = word.filter(|word| word.len() <= NAME_LIMIT).ok_or(CommandError::Syntax(form))?;
    Ok(word.to_owned())
}

/// RFC 3030 §2: `BDAT size [LAST]`.
fn chunk(rest: &[u8]) -> Result<Command, CommandError> {
    let mut words = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let len = words.next().and_then(path::number).ok_or(CommandError::BadChunk)?;
    match (words.next(), words.next()) {
        (None, _) => Ok(Command::Bdat { len, last: false }),
        (Some(last), None) if last.eq_ignore_ascii_case(b"LAST") => Ok(Command::Bdat { len, last: true }),
        _ => Err(CommandError::BadChunk),
    }
}

/// RFC 4954 §4: `AUTH mechanism [initial-response]`; `=` is an empty initial response.
fn auth(rest: &[u8]) -> Result<Command, CommandError> {
    let syntax = CommandError::Syntax("AUTH mechanism [initial-response]");
    let text = std::str::from_utf8(rest).map_err(|_| syntax.clone())?;
    let mut words = text.split_ascii_whitespace();
    let mechanism = words.next().ok_or_else(|| syntax.clone())?;
    let initial_response = words.next().map(str::to_owned);
    // RFC 4422 §3.1: at most 20 characters.
    if words.next().is_some() || mechanism.len() > 20 {
        return Err(syntax);
    }
    Ok(Command::Auth { mechanism: mechanism.into(), initial_response })
}
