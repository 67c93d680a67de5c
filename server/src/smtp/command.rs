//! The grammar of commands. RFC 5321's syntax is `smtp-proto`'s business; what is added here are parameters as
//! they were written (DSN and the message page show them) and the refusal of those that were not announced.

use smtp_proto::{
    Error, MAIL_BODY_BINARYMIME, MAIL_SMTPUTF8, RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER,
    RCPT_NOTIFY_SUCCESS, Request,
};

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
    /// Empty for the null reverse-path.
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
    BadAddress,
    /// A parameter that was not announced (RFC 5321 §4.1.1.11).
    UnknownParameter(String),
    BadParameter(&'static str),
}

const MAIL_PARAMETERS: [&str; 6] = ["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"];
const RCPT_PARAMETERS: [&str; 2] = ["NOTIFY", "ORCPT"];
const NOTIFY_SOMETIMES: u64 = RCPT_NOTIFY_SUCCESS | RCPT_NOTIFY_FAILURE | RCPT_NOTIFY_DELAY;

impl Command {
    /// Parses one line, without its end.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        if line.len() > 4 && line[..4].eq_ignore_ascii_case(b"AUTH") && line[4] == b' ' {
            return auth(&line[5..]);
        }
        let mut whole = Vec::with_capacity(line.len() + 2);
        whole.extend_from_slice(line.trim_ascii_end());
        whole.extend_from_slice(b"\r\n");
        let request = Request::parse(&mut whole.iter()).map_err(failure)?;
        Ok(match request {
            Request::Helo { host } => Command::Helo(host.trim().into()),
            Request::Ehlo { host } => Command::Ehlo(host.trim().into()),
            Request::Lhlo { host } => Command::Lhlo(host.trim().into()),
            Request::Mail { from } => Command::Mail(Path {
                address: from.address.into_owned(),
                params: parameters(line, &MAIL_PARAMETERS)?,
                size: from.size as u64,
                binary: from.flags & MAIL_BODY_BINARYMIME != 0,
                utf8: from.flags & MAIL_SMTPUTF8 != 0,
            }),
            // RFC 3461 §4.1: NEVER stands by itself.
            Request::Rcpt { to } if to.flags & RCPT_NOTIFY_NEVER != 0 && to.flags & NOTIFY_SOMETIMES != 0 => {
                return Err(CommandError::BadParameter("NOTIFY"));
            }
            Request::Rcpt { to } => Command::Rcpt(Path {
                address: to.address.into_owned(),
                params: parameters(line, &RCPT_PARAMETERS)?,
                ..Path::default()
            }),
            Request::Data => Command::Data,
            Request::Bdat { chunk_size, is_last } => Command::Bdat { len: chunk_size as u64, last: is_last },
            Request::StartTls => Command::StartTls,
            Request::Rset => Command::Rset,
            Request::Noop { .. } => Command::Noop,
            Request::Vrfy { .. } => Command::Vrfy,
            Request::Expn { .. } => Command::Expn,
            Request::Help { .. } => Command::Help,
            Request::Quit => Command::Quit,
            Request::Auth { .. } => return Err(CommandError::Syntax("AUTH mechanism [initial-response]")),
            Request::Etrn { .. } | Request::Atrn { .. } | Request::Burl { .. } => {
                return Err(CommandError::NotImplemented);
            }
        })
    }
}

/// RFC 4954 §4: `AUTH mechanism [initial-response]`; `=` is an empty initial response.
fn auth(rest: &[u8]) -> Result<Command, CommandError> {
    let syntax = CommandError::Syntax("AUTH mechanism [initial-response]");
    let text = std::str::from_utf8(rest).map_err(|_| syntax.clone())?;
    let mut words = text.split_ascii_whitespace();
    let mechanism = words.next().ok_or_else(|| syntax.clone())?;
    let initial_response = words.next().map(str::to_owned);
    if words.next().is_some() || mechanism.len() > 20 {
        return Err(syntax);
    }
    Ok(Command::Auth { mechanism: mechanism.into(), initial_response })
}

/// The parameters after the path, each checked against those that were announced.
fn parameters(line: &[u8], known: &[&str]) -> Result<Vec<Parameter>, CommandError> {
    let Some(end) = end_of_path(line) else { return Ok(Vec::new()) };
    let text = String::from_utf8_lossy(&line[end..]);
    text.split_ascii_whitespace()
        .map(|parameter| {
            let keyword = parameter.split('=').next().unwrap_or_default();
            if known.iter().any(|k| k.eq_ignore_ascii_case(keyword)) {
                Ok(parameter.to_owned())
            } else {
                Err(CommandError::UnknownParameter(keyword.chars().take(64).collect()))
            }
        })
        .collect()
}

/// Where the `>` that closes the path is passed; quoted local parts may hold one of their own.
fn end_of_path(line: &[u8]) -> Option<usize> {
    let start = line.iter().position(|b| *b == b'<')?;
    let (mut quoted, mut escaped) = (false, false);
    for (i, &byte) in line.iter().enumerate().skip(start + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(i + 1),
            _ => {}
        }
    }
    None
}

fn failure(error: Error) -> CommandError {
    match error {
        Error::InvalidSenderAddress | Error::InvalidRecipientAddress => CommandError::BadAddress,
        Error::SyntaxError { syntax } => CommandError::Syntax(syntax),
        Error::InvalidParameter { param } => CommandError::BadParameter(param),
        Error::UnsupportedParameter { param } => {
            CommandError::UnknownParameter(param.chars().take(64).collect())
        }
        _ => CommandError::Unknown,
    }
}
