//! The protocols by hand, so that it is certain what was acknowledged when a connection breaks.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Long for one answer, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

fn connect(port: u16) -> io::Result<TcpStream> {
    let io = TcpStream::connect(("127.0.0.1", port))?;
    io.set_read_timeout(Some(PATIENCE))?;
    io.set_nodelay(true)?;
    Ok(io)
}

/// Lines out, lines in.
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ if line.ends_with('\n') => Ok(line.trim_end().to_owned()),
            _ => Err(Error::new(ErrorKind::UnexpectedEof, line)),
        }
    }
}

/// A refusal is a failure of the test: only a connection that breaks is expected here.
fn expect(line: String, wanted: &str) -> String {
    assert!(line.starts_with(wanted), "{wanted:?} was expected: {line}");
    line
}

pub struct Smtp(Lines);

impl Smtp {
    pub fn login(port: u16, user: &str, pass: &str) -> io::Result<Self> {
        use base64::Engine;
        let mut smtp = Self(Lines(BufReader::new(connect(port)?)));
        smtp.answer("220")?;
        smtp.command("EHLO crash.example", "250")?;
        let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{pass}"));
        smtp.command(&format!("AUTH PLAIN {plain}"), "235")?;
        Ok(smtp)
    }

    fn command(&mut self, line: &str, wanted: &str) -> io::Result<()> {
        self.0.send(format!("{line}\r\n").as_bytes())?;
        self.answer(wanted)
    }

    fn answer(&mut self, wanted: &str) -> io::Result<()> {
        loop {
            let line = expect(self.0.line()?, wanted);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }

    /// `Ok` once it is acknowledged. No line of the mail begins with a dot.
    pub fn submit(&mut self, mail: &[u8]) -> io::Result<()> {
        self.command("MAIL FROM:<a@example.org>", "250")?;
        self.command("RCPT TO:<b@example.org>", "250")?;
        self.command("DATA", "354")?;
        self.0.send(mail)?;
        self.command(".", "250")
    }
}

pub struct Imap {
    lines: Lines,
    tag: u32,
}

impl Imap {
    pub fn login(port: u16, user: &str, pass: &str) -> io::Result<Self> {
        let mut imap = Self { lines: Lines(BufReader::new(connect(port)?)), tag: 0 };
        expect(imap.lines.line()?, "* OK");
        imap.command(&format!("LOGIN {user} {pass}"))?;
        Ok(imap)
    }

    /// Everything it answered, the tagged OK last.
    pub fn command(&mut self, command: &str) -> io::Result<Vec<String>> {
        self.tag += 1;
        self.lines.send(format!("{} {command}\r\n", self.tag).as_bytes())?;
        self.answers()
    }

    fn answers(&mut self) -> io::Result<Vec<String>> {
        let mut all = Vec::new();
        loop {
            let line = self.lines.line()?;
            let is_last = line.starts_with(&format!("{} ", self.tag));
            if is_last {
                expect(line.clone(), &format!("{} OK", self.tag));
            }
            all.push(line);
            if is_last {
                return Ok(all);
            }
        }
    }

    pub fn append(&mut self, mailbox: &str, message: &[u8]) -> io::Result<Vec<String>> {
        self.tag += 1;
        self.lines.send(format!("{} APPEND {mailbox} {{{}}}\r\n", self.tag, message.len()).as_bytes())?;
        expect(self.lines.line()?, "+");
        self.lines.send(message)?;
        self.lines.send(b"\r\n")?;
        self.answers()
    }
}

/// One request: status and body, once the whole answer is there.
pub fn http(port: u16, method: &str, path: &str, body: &str) -> io::Result<(u16, serde_json::Value)> {
    let mut io = connect(port)?;
    let head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n");
    io.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    let mut answer = String::new();
    io.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let status = head.get(9..12).and_then(|s| s.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    let body = serde_json::from_str(body).map_err(|e| Error::new(ErrorKind::UnexpectedEof, e))?;
    Ok((status, body))
}
