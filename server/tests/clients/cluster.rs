//! Two nodes on one database: what is done through one is seen through the other, with Redis and without.

use crate::backing::{Redis, mongodb};
use crate::harness::{Account, Gadwall, PATIENCE};
use crate::mail::{Mail, sample};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How late another node may hear of a mail, Redis or not: two seconds are promised. Less than the event stream's own look
/// around, which would hide that nothing was heard.
const HEARD_WITHIN: Duration = Duration::from_secs(2);
/// What the promise leaves for everything but waiting for the next look.
const LEFT: Duration = Duration::from_millis(800);
const _: () =
    assert!(gadwall_storage::mongo::LOOKS_EVERY.as_millis() + LEFT.as_millis() <= HEARD_WITHIN.as_millis());

/// How much longer than asked for this machine sleeps at worst: what it does not give to us is no fault of the nodes.
struct Stalls {
    done: Sender<()>,
    watch: std::thread::JoinHandle<Duration>,
}

impl Stalls {
    fn watch() -> Stalls {
        const STEP: Duration = Duration::from_millis(10);
        let (done, ended) = channel();
        let watch = std::thread::spawn(move || {
            let mut worst = Duration::ZERO;
            loop {
                let began = Instant::now();
                match ended.recv_timeout(STEP) {
                    Err(RecvTimeoutError::Timeout) => worst = worst.max(began.elapsed().saturating_sub(STEP)),
                    _ => return worst,
                }
            }
        });
        Stalls { done, watch }
    }

    fn worst(self) -> Duration {
        drop(self.done);
        self.watch.join().expect("it only sleeps")
    }
}

/// Two nodes and the database they share, which goes with them.
struct Pair {
    a: Gadwall,
    b: Gadwall,
    _database: Database,
}

struct Database {
    uri: String,
    name: String,
}

impl Pair {
    fn start(redis: Option<&Redis>) -> Pair {
        let database = Database { uri: mongodb::uri(), name: mongodb::database_name() };
        let url = redis.map(Redis::url);
        let mut args = vec!["--store", "mongodb", "--mongodb-uri", &database.uri];
        args.extend(["--mongodb-database", &database.name]);
        args.extend(url.iter().flat_map(|url| ["--redis", url]));
        let (a, b) = (Gadwall::with(&args), Gadwall::with(&args));
        if redis.is_some() {
            for node in [&a, &b] {
                until("a connection to Redis", || node.log().contains("connected to Redis"));
            }
        }
        Pair { a, b, _database: database }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        if let Err(e) = runtime.block_on(gadwall_storage::mongo::drop_database(&self.uri, &self.name)) {
            eprintln!("a database was left behind: {e}");
        }
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A connection of which lines are read.
fn dial(server: &Gadwall, door: &str) -> BufReader<TcpStream> {
    let io = TcpStream::connect(("127.0.0.1", server.port(door))).expect("it listens");
    io.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    BufReader::new(io)
}

/// Sends a line, and reads lines up to one that begins so. That one.
fn say(io: &mut BufReader<TcpStream>, line: &str, wanted: &str) -> String {
    io.get_mut().write_all(line.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    while answer.is_empty() || !answer.starts_with(wanted) {
        answer.clear();
        assert_ne!(io.read_line(&mut answer).expect("it is answered"), 0, "{line}: no {wanted}");
    }
    answer
}

/// Tells when each line came that contains the text, on a thread of its own.
fn moments(mut io: BufReader<TcpStream>, text: &'static str) -> Receiver<Instant> {
    let (told, moments) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while io.read_line(&mut line).is_ok_and(|n| n > 0) {
            if line.contains(text) && told.send(Instant::now()).is_err() {
                return;
            }
            line.clear();
        }
    });
    moments
}

fn imap(server: &Gadwall, account: &Account) -> BufReader<TcpStream> {
    let mut io = dial(server, "imap");
    say(&mut io, "", "* OK");
    say(&mut io, &format!("a LOGIN {} {}\r\n", account.user, account.pass), "a OK");
    say(&mut io, "b SELECT INBOX\r\n", "b OK");
    io
}

/// Logs in by POP3: what is answered, and the session.
fn pop3(server: &Gadwall, account: &Account) -> (String, BufReader<TcpStream>) {
    let mut io = dial(server, "pop3");
    say(&mut io, "", "+OK");
    say(&mut io, &format!("USER {}\r\n", account.user), "+OK");
    (say(&mut io, &format!("PASS {}\r\n", account.pass), ""), io)
}

/// Logs in to the pages: the session's `Cookie` header.
fn cookie(server: &Gadwall, account: &Account) -> String {
    let form = format!("user={}&pass={}", account.user.replace('@', "%40"), account.pass);
    let mut io = dial(server, "http");
    let head = format!(
        "POST /login HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    io.get_mut().write_all(head.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    io.read_to_string(&mut answer).expect("it is answered");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
    format!("Cookie: {}", cookie.unwrap_or_else(|| panic!("no cookie in {answer}")))
}

/// Who listens at a node in both ways.
struct Listeners<'a> {
    node: &'a Gadwall,
    cookie: String,
    idle: Receiver<Instant>,
    page: Receiver<Instant>,
}

impl Listeners<'_> {
    fn at<'a>(node: &'a Gadwall, account: &Account) -> Listeners<'a> {
        let mut idle = imap(node, account);
        say(&mut idle, "c IDLE\r\n", "+");
        let cookie = cookie(node, account);
        let mut page = dial(node, "http");
        let request = format!("GET /events HTTP/1.0\r\nHost: 127.0.0.1\r\n{cookie}\r\n\r\n");
        let begun = say(&mut page, &request, "data:");
        assert!(begun.contains("STATE"), "{begun}");
        Listeners { node, cookie, idle: moments(idle, " EXISTS"), page: moments(page, r#""EXISTS""#) }
    }

    /// Sends a mail through another node and waits for both to hear of it.
    fn hear(&self, sender: &Mail, subject: &str) {
        let stalls = Stalls::watch();
        sender.submit([&sample(subject)]);
        let sent = Instant::now();
        let mut delays = Vec::new();
        for (who, heard) in [("IDLE", &self.idle), ("page", &self.page)] {
            let at = heard.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{who}, {subject}: {e}"));
            let after = at.saturating_duration_since(sent);
            println!("{subject}: {who} heard after {} ms", after.as_millis());
            delays.push((who, after));
        }
        let allowed = HEARD_WITHIN + stalls.worst();
        let late: Vec<_> = delays.iter().filter(|(_, after)| *after > allowed).collect();
        assert!(late.is_empty(), "{subject}: {late:?}, {allowed:?} allowed");
        let (status, list) = self.node.http_any("GET", "/messages", &[&self.cookie], "");
        assert!(status == 200 && list.contains(subject), "{status}: {subject} is not in {list}");
    }
}

#[test]
fn a_mail_through_one_node_shows_up_in_idle_and_on_the_page_of_another() {
    let redis = Redis::start();
    let nodes = Pair::start(Some(&redis));
    let account = nodes.a.account();
    let (sender, listeners) = (Mail::of(&nodes.a, &account), Listeners::at(&nodes.b, &account));
    for n in 1..=3 {
        listeners.hear(&sender, &format!("with Redis {n}"));
    }
    redis.kill();
    for n in 1..=3 {
        listeners.hear(&sender, &format!("without Redis {n}"));
    }
}

#[test]
fn nodes_that_never_had_a_redis_hear_of_each_others_mail() {
    let nodes = Pair::start(None);
    let account = nodes.a.account();
    let (sender, listeners) = (Mail::of(&nodes.a, &account), Listeners::at(&nodes.b, &account));
    for n in 1..=3 {
        listeners.hear(&sender, &format!("no Redis {n}"));
    }
}

#[test]
fn an_account_made_on_one_node_is_everybodys() {
    let redis = Redis::start();
    let Pair { a, b, _database } = &Pair::start(Some(&redis));
    let account = a.account();
    Mail::of(a, &account).submit([&sample("by the first")]);
    // Each is a login: SMTP and HTTP, IMAP, POP3.
    let there = Mail::of(b, &account);
    there.submit([&sample("by the second")]);
    assert_eq!(there.summaries("INBOX").len(), 2);
    let mut io = imap(b, &account);
    assert_eq!(say(&mut io, "c SEARCH ALL\r\n", "* SEARCH").trim(), "* SEARCH 1 2");
    let (maildrop, _) = pop3(b, &account);
    assert!(maildrop.contains("+OK maildrop has 2 messages"), "{maildrop}");
    // What one node has signed opens at the other.
    let summary = &Mail::of(a, &account).summaries("INBOX")[0];
    let page = format!("/message/{}", summary["msgid"].as_str().expect("a MSGID"));
    assert!(b.http("GET", &page, "").contains("by the first"));
    let cookie = cookie(a, &account);
    let (status, list) = b.http_any("GET", "/messages", &[&cookie], "");
    assert!(status == 200 && list.contains("by the second"), "{status}: {list}");
    let (status, _) = b.http_any("GET", "/messages", &[&format!("{cookie}x")], "");
    assert_eq!(status, 303, "a cookie that no node made");
}

#[test]
fn a_maildrop_that_is_open_at_one_node_is_in_use_at_the_other() {
    let Pair { a, b, _database } = &Pair::start(None);
    let account = a.account();
    let (opened, mut io) = pop3(a, &account);
    assert!(opened.starts_with("+OK"), "{opened}");
    let (refused, _) = pop3(b, &account);
    assert!(refused.starts_with("-ERR [IN-USE]"), "{refused}");
    // Whoever has left has left everywhere.
    say(&mut io, "QUIT\r\n", "+OK");
    let (opened, io) = pop3(b, &account);
    assert!(opened.starts_with("+OK"), "{opened}");
    assert!(pop3(a, &account).0.starts_with("-ERR [IN-USE]"));
    // One that was cut off is gone once its node has noticed.
    drop(io);
    until("the maildrop to be free", || pop3(a, &account).0.starts_with("+OK"));
}

/// The status of a request with such a password.
fn try_login(server: &Gadwall, account: &Account, pass: &str) -> u16 {
    let login = STANDARD.encode(format!("{}:{pass}", account.user));
    server.http_any("GET", "/users/me", &[&format!("Authorization: Basic {login}")], "").0
}

/// Guesses until a dozen guesses were heard: the next one has to wait for some seconds.
fn guess(server: &Gadwall, account: &Account) {
    let mut failed = 0;
    until("guesses to be heard", || {
        match try_login(server, account, "wrong") {
            401 => failed += 1,
            status => assert_eq!(status, 429),
        }
        failed == 12
    });
}

#[test]
fn who_guesses_at_one_node_has_to_wait_at_the_other() {
    let redis = Redis::start();
    let nodes = Pair::start(Some(&redis));
    let account = nodes.a.account();
    guess(&nodes.a, &account);
    assert_eq!(try_login(&nodes.b, &account, &account.pass), 429);
    until("the wait to be over", || try_login(&nodes.b, &account, &account.pass) == 200);
}

#[test]
fn without_redis_each_node_counts_for_itself() {
    let nodes = Pair::start(None);
    let account = nodes.a.account();
    guess(&nodes.a, &account);
    assert_eq!(try_login(&nodes.a, &account, &account.pass), 429);
    assert_eq!(try_login(&nodes.b, &account, &account.pass), 200);
}
