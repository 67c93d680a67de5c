//! SIGTERM: what is in flight is finished and acknowledged, who idles is sent away, and the process ends well.

use crate::harness::{Gadwall, PATIENCE};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A client that speaks lines.
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn connect(server: &Gadwall, door: &str) -> Lines {
        let io = TcpStream::connect(("127.0.0.1", server.port(door))).expect("it listens");
        io.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        Lines(BufReader::new(io))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("it is sent");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).expect("a line in time") > 0, "the connection ended");
        line
    }

    /// The next line that begins so; those before it are passed over.
    fn until(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(start) {
                return line;
            }
        }
    }

    fn ended(&mut self) {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).expect("the connection ends");
        assert_eq!(rest, "");
    }
}

fn imap(server: &Gadwall, user: &str, pass: &str) -> Lines {
    let mut imap = Lines::connect(server, "imap");
    imap.line();
    imap.send(&format!("a LOGIN {user} {pass}\r\nb SELECT INBOX\r\n"));
    imap.until("b OK");
    imap
}

#[test]
fn a_stop_finishes_an_append_and_sends_idle_sessions_away() {
    let server = Gadwall::start();
    let account = server.account();
    let (user, pass) = (&account.user, &account.pass);
    let idle = imap(&server, user, pass);
    let mut idling = imap(&server, user, pass);
    idling.send("c IDLE\r\n");
    idling.until("+");
    let mut appending = imap(&server, user, pass);
    let message = "Subject: in flight\r\n\r\nhalf now, half later\r\n";
    appending.send(&format!("c APPEND INBOX {{{}}}\r\n", message.len()));
    appending.until("+");
    let (now, later) = message.split_at(30);
    appending.send(now);

    server.ask_to_stop();
    for mut session in [idle, idling] {
        session.until("* BYE");
        session.ended();
    }
    // The sessions leave after the listeners have closed.
    let imap_port = ("127.0.0.1", server.port("imap"));
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(imap_port).is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
        std::thread::sleep(Duration::from_millis(10));
    }
    appending.send(&format!("{later}\r\n"));
    appending.until("c OK");
    appending.until("* BYE");
    appending.ended();

    let (status, dir) = server.stopped();
    assert!(status.success(), "{status}");
    let server = Gadwall::on(dir, &[]);
    let mut after = imap(&server, user, pass);
    after.send("c FETCH 1 BODY[TEXT]\r\n");
    after.until("half now, half later");
}

#[test]
fn readiness_fails_while_mail_is_still_taken() {
    let server = Gadwall::with(&["--drain-delay", "30s"]);
    let (status, _) = server.http_any("GET", "/readyz", &[], "");
    assert_eq!(status, 200);
    server.ask_to_stop();
    let deadline = Instant::now() + PATIENCE;
    while server.http_any("GET", "/readyz", &[], "").0 != 503 {
        assert!(Instant::now() < deadline, "it is still ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.http_any("GET", "/livez", &[], "").0, 200);
    let mut smtp = Lines::connect(&server, "smtp");
    assert!(smtp.line().starts_with("220 "));
    // Asked a second time it does not wait.
    server.ask_to_stop();
    let began = Instant::now();
    assert!(server.stopped().0.success());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
