//! The smallest clients that can make load: SMTP, IMAP, HTTP.

use crate::server::Account;
use base64::Engine;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

async fn dial(port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(BufReader::with_capacity(64 << 10, stream))
}

fn unexpected(reply: &str) -> io::Error {
    io::Error::other(format!("unexpected reply: {}", reply.trim_end()))
}

/// An SMTP connection that has logged in, or one that speaks LMTP and need not.
pub struct Smtp {
    io: BufReader<TcpStream>,
    line: String,
    /// All up to the message.
    envelope: String,
}

impl Smtp {
    pub async fn login(port: u16, account: &Account) -> io::Result<Smtp> {
        let mut smtp = Smtp::greeted(port, "b@example.org").await?;
        smtp.say("EHLO bench.example\r\n", "250").await?;
        let token = format!("\0{}\0{}", account.user, account.pass);
        let token = base64::engine::general_purpose::STANDARD.encode(token);
        smtp.say(&format!("AUTH PLAIN {token}\r\n"), "235").await?;
        Ok(smtp)
    }

    /// RFC 2033: it delivers to this user.
    pub async fn lmtp(port: u16, to: &Account) -> io::Result<Smtp> {
        let mut lmtp = Smtp::greeted(port, &to.user).await?;
        lmtp.say("LHLO bench.example\r\n", "250").await?;
        Ok(lmtp)
    }

    async fn greeted(port: u16, to: &str) -> io::Result<Smtp> {
        let envelope = format!("MAIL FROM:<a@example.org>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
        let mut smtp = Smtp { io: dial(port).await?, line: String::new(), envelope };
        smtp.reply("220").await?;
        Ok(smtp)
    }

    /// Sends one message, dot-stuffed already and ended with CRLF, as a pipelining client does.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.io.get_mut().write_all(self.envelope.as_bytes()).await?;
        self.reply("250").await?;
        self.reply("250").await?;
        self.reply("354").await?;
        self.io.get_mut().write_all(message).await?;
        self.say(".\r\n", "250").await
    }

    async fn say(&mut self, text: &str, expect: &str) -> io::Result<()> {
        self.io.get_mut().write_all(text.as_bytes()).await?;
        self.reply(expect).await
    }

    async fn reply(&mut self, expect: &str) -> io::Result<()> {
        loop {
            self.line.clear();
            if self.io.read_line(&mut self.line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        if self.line.starts_with(expect) { Ok(()) } else { Err(unexpected(&self.line)) }
    }
}

/// A logged-in IMAP connection.
pub struct Imap {
    io: BufReader<TcpStream>,
    line: Vec<u8>,
}

impl Imap {
    pub async fn login(port: u16, account: &Account) -> io::Result<Imap> {
        let mut imap = Imap { io: dial(port).await?, line: Vec::new() };
        imap.read_line().await?;
        imap.command(&format!("LOGIN {} {}", account.user, account.pass)).await?;
        Ok(imap)
    }

    /// Runs a command to its tagged OK; how many bytes came.
    pub async fn command(&mut self, command: &str) -> io::Result<u64> {
        self.count(command).await.map(|(_, bytes)| bytes)
    }

    /// The same, and how many untagged responses came before.
    pub async fn count(&mut self, command: &str) -> io::Result<(usize, u64)> {
        self.io.get_mut().write_all(format!("t {command}\r\n").as_bytes()).await?;
        let (mut responses, mut bytes) = (0, 0);
        loop {
            bytes += self.read_line().await? as u64;
            if self.line.starts_with(b"t ") {
                let ok = self.line.starts_with(b"t OK");
                let failed = || unexpected(&String::from_utf8_lossy(&self.line));
                return if ok { Ok((responses, bytes)) } else { Err(failed()) };
            }
            responses += usize::from(self.line.starts_with(b"* "));
            bytes += self.skip_literal().await?;
        }
    }

    /// Starts IDLE and waits until the server has said that it listens.
    pub async fn idle(&mut self) -> io::Result<()> {
        self.io.get_mut().write_all(b"i IDLE\r\n").await?;
        while !self.line.starts_with(b"+") {
            self.read_line().await?;
        }
        Ok(())
    }

    /// Waits for one untagged response.
    pub async fn heard(&mut self) -> io::Result<()> {
        self.read_line().await.map(|_| ())
    }

    /// Waits for a response that has this in it.
    pub async fn heard_of(&mut self, what: &str) -> io::Result<()> {
        loop {
            self.read_line().await?;
            if String::from_utf8_lossy(&self.line).contains(what) {
                return Ok(());
            }
        }
    }

    async fn read_line(&mut self) -> io::Result<usize> {
        self.line.clear();
        match self.io.read_until(b'\n', &mut self.line).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => Ok(n),
        }
    }

    async fn skip_literal(&mut self) -> io::Result<u64> {
        let Some(text) = self.line.strip_suffix(b"}\r\n") else { return Ok(0) };
        let open = text.iter().rposition(|b| *b == b'{');
        let size = open.and_then(|at| std::str::from_utf8(&text[at + 1..]).ok()?.parse::<u64>().ok());
        let Some(size) = size else { return Ok(0) };
        tokio::io::copy(&mut (&mut self.io).take(size), &mut tokio::io::sink()).await
    }
}

/// Posts JSON; the answer's body.
pub async fn http_post(port: u16, path: &str, body: &str) -> io::Result<Vec<u8>> {
    let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    http("POST", port, path, &head, body).await
}

/// A reader of the web pages and of the API, who has logged in once.
pub struct Reader {
    port: u16,
    /// What every request carries.
    head: String,
}

impl Reader {
    /// Logs in to the API and gets a token.
    pub async fn api(port: u16, account: &Account) -> io::Result<Reader> {
        let login = serde_json::json!({ "username": account.user, "password": account.pass });
        let answer = http_post(port, "/authenticate", &login.to_string()).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        let token = answer["token"].as_str().ok_or_else(|| unexpected(&answer.to_string()))?;
        Ok(Reader { port, head: format!("Authorization: Bearer {token}\r\n") })
    }

    /// Logs in to the pages and gets a cookie.
    pub async fn pages(port: u16, account: &Account) -> io::Result<Reader> {
        let form = format!("user={}&pass={}", account.user.replace('@', "%40"), account.pass);
        let head =
            format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", form.len());
        let answer = request("POST", port, "/login", &head, &form).await?;
        let text = String::from_utf8_lossy(&answer);
        let cookie = text.lines().find_map(|l| l.strip_prefix("set-cookie: ")?.split(';').next());
        let cookie = cookie.ok_or_else(|| unexpected(&text))?;
        Ok(Reader { port, head: format!("Cookie: {cookie}\r\n") })
    }

    pub async fn get(&self, path: &str) -> io::Result<Vec<u8>> {
        http("GET", self.port, path, &self.head, "").await
    }
}

async fn request(method: &str, port: u16, path: &str, head: &str, body: &str) -> io::Result<Vec<u8>> {
    let mut io = dial(port).await?;
    let request = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\n{head}\r\n{body}");
    io.get_mut().write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    io.read_to_end(&mut answer).await?;
    Ok(answer)
}

async fn http(method: &str, port: u16, path: &str, head: &str, body: &str) -> io::Result<Vec<u8>> {
    let mut answer = request(method, port, path, head, body).await?;
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
    let ok = answer.get(9..12) == Some(b"200");
    match split {
        Some(at) if ok => Ok(answer.split_off(at)),
        _ => Err(unexpected(&String::from_utf8_lossy(&answer[..answer.len().min(300)]))),
    }
}
