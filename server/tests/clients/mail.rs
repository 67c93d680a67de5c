//! An account's mail seen from the other side than a client's: put in by SMTP, looked at and changed by the web API.

use crate::harness::{Account, Gadwall, PATIENCE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// The mail of one account.
pub struct Mail<'a> {
    server: &'a Gadwall,
    account: &'a Account,
}

/// Content with things in it that get lost easily: dots, trailing space, no line break where it is expected, UTF-8.
pub fn sample(subject: &str) -> String {
    format!(
        "From: ann@example.org\r\nTo: bob@example.org\r\nSubject: {subject}\r\nMessage-ID: <{}@example.org>\r\n\
         Date: Tue, 3 Mar 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n.\r\n..dots\r\nGrüße ✔ \r\n\r\n{}\r\nFrom the end\r\n",
        subject.replace(' ', "."),
        "x".repeat(900),
    )
}

/// What the server keeps of content that [`Mail::submit`] has sent.
pub fn kept(content: &str) -> String {
    format!("Return-Path: <ann@example.org>\r\n{content}")
}

impl<'a> Mail<'a> {
    pub fn of(server: &'a Gadwall, account: &'a Account) -> Self {
        Self { server, account }
    }

    /// Sends mails whose lines end with CRLF.
    pub fn submit<'m>(&self, mails: impl IntoIterator<Item = &'m String>) {
        let io = TcpStream::connect(("127.0.0.1", self.server.port("smtp"))).expect("smtp listens");
        io.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let mut io = BufReader::new(io);
        let mut say = |text: &str, wanted: &str| {
            io.get_mut().write_all(text.as_bytes()).expect("it is sent");
            let mut line = String::new();
            while line.as_bytes().get(3).is_none_or(|b| *b == b'-') {
                line.clear();
                io.read_line(&mut line).expect("it is answered");
                assert!(line.starts_with(wanted), "{text}: {line}");
            }
        };
        let login = STANDARD.encode(format!("\0{}\0{}", self.account.user, self.account.pass));
        say("", "220");
        say("EHLO test\r\n", "250");
        say(&format!("AUTH PLAIN {login}\r\n"), "235");
        for mail in mails {
            say("MAIL FROM:<ann@example.org> BODY=8BITMIME\r\n", "250");
            say("RCPT TO:<bob@example.org>\r\n", "250");
            say("DATA\r\n", "354");
            let stuffed = format!("\r\n{mail}").replace("\r\n.", "\r\n..");
            say(&format!("{}.\r\n", &stuffed[2..]), "250");
        }
        say("QUIT\r\n", "221");
    }

    /// Every message of a mailbox, whole, the oldest first.
    pub fn all(&self, mailbox: &str) -> Vec<String> {
        let whole = |message: &serde_json::Value| {
            self.api("GET", &format!("/mailboxes/{mailbox}/messages/{}/message.eml", message["id"]), "")
        };
        self.summaries(mailbox).iter().map(whole).collect()
    }

    /// What the lists of the API say of every message, the oldest first.
    pub fn summaries(&self, mailbox: &str) -> Vec<serde_json::Value> {
        let path = format!("/mailboxes/{mailbox}/messages?order=asc&limit=250");
        self.json("GET", &path, "")["results"].as_array().expect("results").clone()
    }

    /// Changes messages, as `{"message":"1:5","seen":true}` does.
    pub fn change(&self, mailbox: &str, change: &serde_json::Value) {
        self.json("PUT", &format!("/mailboxes/{mailbox}/messages"), &change.to_string());
    }

    pub fn delete(&self, mailbox: &str, uid: u32) {
        self.json("DELETE", &format!("/mailboxes/{mailbox}/messages/{uid}"), "");
    }

    fn json(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let answer = self.api(method, path, body);
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    fn api(&self, method: &str, path: &str, body: &str) -> String {
        let login = STANDARD.encode(format!("{}:{}", self.account.user, self.account.pass));
        let headers = [&*format!("Authorization: Basic {login}")];
        let (status, answer) = self.server.http_any(method, &format!("/users/me{path}"), &headers, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }
}
