//! Behind a real HAProxy: the client's address comes through, in both versions of the PROXY protocol, and health checks
//! that are for nobody are answered.

use crate::harness::{Gadwall, PATIENCE, run};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A client of its own address: the whole of 127/8 is this machine, and HAProxy tells which of it connected.
const CLIENT: &str = "127.0.0.9";

struct HaProxy {
    child: Child,
    ports: Vec<u16>,
    dir: tempfile::TempDir,
}

impl HaProxy {
    /// Balances each of `doors` (of `server`) with the given way to send headers, on ports of its own.
    fn start(server: &Gadwall, doors: &[(&str, &str)]) -> HaProxy {
        loop {
            let dir = tempfile::tempdir().expect("a scratch directory");
            let ports: Vec<u16> = doors.iter().map(|_| free_port()).collect();
            let file = dir.path().join("haproxy.cfg");
            std::fs::write(&file, config(server, doors, &ports, dir.path()))
                .expect("the configuration is written");
            let log = std::fs::File::create(dir.path().join("log")).expect("a log file");
            let child = Command::new("haproxy")
                .arg("-db")
                .arg("-f")
                .arg(&file)
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("haproxy starts; ./test installs it");
            let mut haproxy = HaProxy { child, ports, dir };
            if haproxy.is_up() {
                return haproxy;
            }
        }
    }

    /// False when it ended, because somebody else has taken a port.
    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.child.try_wait().expect("it is a child").is_some() {
                assert!(self.log().contains("cannot bind"), "{}", self.log());
                return false;
            }
            let stats = self.dir.path().join("stats").exists();
            if stats && self.ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
                return true;
            }
            assert!(Instant::now() < deadline, "haproxy does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the latest health check of the first server came out so.
    fn until_checked(&self, outcome: &str) {
        let deadline = Instant::now() + PATIENCE;
        let (status, code) = outcome.split_once('/').unwrap_or((outcome, "200"));
        loop {
            let mut socket = UnixStream::connect(self.dir.path().join("stats")).expect("the stats socket");
            socket.write_all(b"show stat\n").expect("asked");
            let mut table = String::new();
            socket.read_to_string(&mut table).expect("answered");
            if table.lines().any(|line| line.contains(",a,") && line.contains(&format!(",{status},{code},")))
            {
                return;
            }
            assert!(Instant::now() < deadline, "no check came out as {outcome}:\n{table}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("HAProxy's log:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

fn config(server: &Gadwall, doors: &[(&str, &str)], ports: &[u16], dir: &Path) -> String {
    let stats = dir.join("stats");
    let stats = stats.display();
    let mut text = format!(
        "global\n  maxconn 200\n  stats socket {stats} level user\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  \
                    timeout server 60s\n  option redispatch\n  retries 3\n"
    );
    let http = server.port("http");
    for (i, ((door, header), port)) in doors.iter().zip(ports).enumerate() {
        // A check is for nobody: HAProxy says LOCAL in version 2, UNKNOWN in version 1.
        let _ = write!(
            text,
            "listen {door}{i}\n  bind 127.0.0.1:{port}\n  option httpchk GET /readyz\n  \
             default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions\n  \
             server a 127.0.0.1:{} {header} check port {http} check-send-proxy\n",
            server.port(door)
        );
    }
    text
}

/// Talks to a port through HAProxy, as `run` runs a program.
fn curl(args: &[&str]) -> String {
    let patience = PATIENCE.as_secs().to_string();
    run(Command::new("curl").args(["-sS", "--max-time", &patience, "--interface", CLIENT]).args(args), b"")
        .ok()
}

const VERSIONS: [&str; 2] = ["send-proxy", "send-proxy-v2"];

/// As HAProxy connects from 127.0.0.1.
fn behind(args: &[&str]) -> Gadwall {
    Gadwall::with(&[&["--proxy-from", "127.0.0.1"], args].concat())
}

#[test]
fn the_address_of_the_client_comes_through_on_every_protocol() {
    let server = behind(&["--log", "gadwall=debug"]);
    let account = server.account();
    for version in VERSIONS {
        let proxy = HaProxy::start(
            &server,
            &[("smtp", version), ("imap", version), ("pop3", version), ("http", version)],
        );
        let [smtp, imap, pop3, http] = proxy.ports[..] else { panic!("four ports") };
        let login = format!("{}:{}", account.user, account.pass);
        let mail = proxy.dir.path().join("mail");
        std::fs::write(&mail, format!("Subject: by {version}\r\n\r\nx\r\n")).expect("a mail");
        let mail = mail.display().to_string();
        let sender = ["--mail-from", "a@x.org", "--mail-rcpt", "b@x.org", "-u", &login, "-T", &mail];
        curl(&[&[&format!("smtp://127.0.0.1:{smtp}") as &str][..], &sender].concat());
        let found = curl(&["-u", &login, &format!("imap://127.0.0.1:{imap}/INBOX;MAILINDEX=*")]);
        assert!(found.contains(&format!("by {version}")), "{found}");
        assert!(!curl(&["-u", &login, &format!("pop3://127.0.0.1:{pop3}/")]).is_empty());
        assert!(curl(&[&format!("http://127.0.0.1:{http}/livez")]).contains("live"));
        let log = server.log();
        for door in ["smtp", "imap", "pop3", "http"] {
            let of_client = format!("peer={CLIENT}:");
            let is_named =
                |line: &str| line.contains(&format!("door=\"{door}\"")) && line.contains(&of_client);
            assert!(log.lines().any(is_named), "{door} by {version}:\n{log}");
        }
    }
}

#[test]
fn health_checks_keep_a_node_in_and_a_stopping_one_is_left() {
    let server = behind(&["--drain-delay", "60s"]);
    for version in VERSIONS {
        let proxy = HaProxy::start(&server, &[("http", version)]);
        let url = format!("http://127.0.0.1:{}/livez", proxy.ports[0]);
        proxy.until_checked("L7OK");
        assert!(curl(&[&url]).contains("live"), "{}", proxy.log());
    }
    let proxy = HaProxy::start(&server, &[("http", VERSIONS[1])]);
    let url = format!("http://127.0.0.1:{}/livez", proxy.ports[0]);
    assert!(curl(&[&url]).contains("live"));
    server.ask_to_stop();
    let deadline = Instant::now() + PATIENCE;
    proxy.until_checked("L7STS/503");
    while run(Command::new("curl").args(["-sS", "--max-time", "5", &url]), b"").status.success() {
        assert!(Instant::now() < deadline, "HAProxy still sends clients to a node that leaves");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(server.http("GET", "/livez", "").contains("live"), "it was left before it closed its listeners");
}

#[test]
fn who_comes_past_the_balancer_is_refused() {
    let server = behind(&[]);
    let mut io = TcpStream::connect(("127.0.0.1", server.port("imap"))).expect("it listens");
    io.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    io.write_all(b"a NOOP\r\n").expect("it is sent");
    let mut said = String::new();
    let _ = io.read_to_string(&mut said);
    assert_eq!(said, "");
    // From elsewhere a header is as unwelcome as it is necessary from there.
    let elsewhere = Gadwall::with(&["--proxy-from", "192.0.2.1"]);
    let mut io = TcpStream::connect(("127.0.0.1", elsewhere.port("imap"))).expect("it listens");
    io.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    io.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 5 143\r\na NOOP\r\n").expect("it is sent");
    let mut said = Vec::new();
    let _ = io.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    assert!(said.lines().count() <= 1 && !said.contains("a OK"), "at most the greeting: {said}");
}

#[test]
fn the_command_line_reaches_a_server_that_expects_balancers_here() {
    let server = behind(&[]);
    let http = server.port("http").to_string();
    let data = server.dir().join("data");
    let gadwall = |args: &[&str]| {
        let mut command = Command::new(crate::harness::binary());
        command.env("GADWALL_DATA", &data).env("GADWALL_HTTP", &http).env("GADWALL_PROXY_FROM", "127.0.0.1");
        run(command.args(args), b"")
    };
    gadwall(&["readyz", "--wait"]).ok();
    assert!(gadwall(&["account", "create", "ann@example.org"]).ok().contains("ann@example.org"));
}
