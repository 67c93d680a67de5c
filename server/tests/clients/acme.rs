//! Certificates from a real authority: Debian's pebble, with a name server of the test's own.

use crate::harness::{Gadwall, PATIENCE, run};
use gadwall::acme::{AcmeConfig, Challenge, Shelf, order};
use gadwall::config::{Config, Settings};
use gadwall::net::TokioNet;
use gadwall::{Backend, Env};
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::{Clock, SystemClock, SystemEntropy};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAME: &str = "mail.example.test";

/// An authority that looks for challenges on these ports of this machine.
struct Pebble {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
    http: u16,
    https: u16,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Answers every question for an address with this machine; where it listens. Ends with the test process.
fn name_server() -> u16 {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = socket.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut packet) {
            let _ = socket.send_to(&answer(&packet[..length]), asker);
        }
    });
    port
}

/// RFC 1035 §4.1: the question again, and for A one record.
fn answer(question: &[u8]) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|b| *b == 0).unwrap_or(0) + 5;
    let is_a = question.get(end - 4..end - 2) == Some(&[0, 1]);
    let mut out = question[..2].to_vec();
    out.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    out.extend(&question[12..end]);
    if is_a {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    out
}

impl Pebble {
    /// Issues certificates that are valid for so many seconds.
    fn start(valid_secs: u32) -> Pebble {
        loop {
            if let Some(pebble) = Self::on(valid_secs, [free_port(), free_port(), free_port(), free_port()]) {
                return pebble;
            }
        }
    }

    fn on(valid_secs: u32, [port, management, http, https]: [u16; 4]) -> Option<Pebble> {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("ca.pem"), own.cert.pem()).expect("written");
        std::fs::write(path("key.pem"), own.signing_key.serialize_pem()).expect("written");
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("ca.pem"),
            "privateKey": path("key.pem"),
            "httpPort": http,
            "tlsPort": https,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": valid_secs,
        }});
        std::fs::write(path("pebble.json"), config.to_string()).expect("written");
        let log = std::fs::File::create(path("log")).expect("a log file");
        let child = Command::new("pebble")
            .args(["-strict", "-dnsserver", &format!("127.0.0.1:{}", name_server()), "-config"])
            .arg(path("pebble.json"))
            .env("PEBBLE_VA_NOSLEEP", "1")
            // Each order is challenged, whatever was seen before.
            .env("PEBBLE_AUTHZREUSE", "0")
            // A good client asks again with a new nonce; that pebble tries every twentieth time.
            .env("PEBBLE_WFE_NONCEREJECT", "5")
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("pebble starts; ./test installs it");
        let mut pebble = Pebble { child, dir, port, http, https };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if pebble.child.try_wait().expect("it is a child").is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "pebble does not start: {}", pebble.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(pebble)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The settings that order from it.
    fn args(&self) -> Vec<String> {
        let settings = [
            ("--acme-domains", NAME.to_owned()),
            ("--acme-email", "postmaster@example.test".to_owned()),
            ("--acme-directory", self.directory()),
            ("--acme-ca-root", self.ca().display().to_string()),
            ("--acme-retry", "1s".to_owned()),
            ("--http", self.http.to_string()),
            ("--https", self.https.to_string()),
        ];
        settings.into_iter().flat_map(|(key, value)| [key.to_owned(), value]).collect()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("pebble's log:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Issuer, and beginning and end of validity, of the certificate served on a port.
fn served(port: u16) -> Option<(String, String)> {
    let url = format!("https://{NAME}:{port}/livez");
    let resolve = format!("{NAME}:{port}:127.0.0.1");
    let said = run(Command::new("curl").args(["-skv", "--max-time", "10", "--resolve", &resolve, &url]), b"");
    let field =
        |name: &str| said.err.lines().find_map(|line| Some(line.split_once(name)?.1.trim().to_owned()));
    Some((field("issuer: ")?, format!("{} to {}", field("start date: ")?, field("expire date: ")?)))
}

/// The validity of the first certificate of the authority that is served there, other than `before`.
fn until_served(port: u16, before: Option<&str>, log: impl Fn() -> String) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some((issuer, validity)) = served(port)
            && issuer.contains("Pebble")
            && before != Some(&validity)
        {
            return validity;
        }
        assert!(Instant::now() < deadline, "no certificate: {:?}\n{}", served(port), log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn gadwall(pebble: &Pebble, more: &[&str]) -> Gadwall {
    let args = pebble.args();
    Gadwall::with(&[&args.iter().map(String::as_str).collect::<Vec<_>>()[..], more].concat())
}

#[test]
fn a_certificate_is_ordered_over_http_and_kept() {
    let pebble = Pebble::start(3600);
    let server = gadwall(&pebble, &["--acme-challenge", "http-01", "--imaps", "0"]);
    let validity = until_served(pebble.https, None, || server.log());
    assert_eq!(until_served(server.port("imaps"), None, || server.log()), validity, "one for all listeners");
    let (status, _) = server.http_any("GET", "/.well-known/acme-challenge/x", &[], "");
    assert_eq!(status, 404);
    // Another start finds it: the authority is not asked again.
    let dir = server.terminate().1;
    let args = pebble.args();
    let server = Gadwall::on(dir, &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(until_served(pebble.https, None, || server.log()), validity);
    assert!(!server.log().contains("ordering"), "{}", server.log());
}

#[test]
fn a_certificate_is_ordered_over_tls_alone() {
    let pebble = Pebble::start(3600);
    let server = gadwall(&pebble, &["--acme-challenge", "tls-alpn-01"]);
    until_served(pebble.https, None, || server.log());
    assert!(server.log().contains("a challenge, which was answered"), "{}", server.log());
}

#[test]
fn a_certificate_is_renewed_before_it_ends_without_a_restart() {
    let pebble = Pebble::start(9);
    let server = gadwall(&pebble, &[]);
    let first = until_served(pebble.https, None, || server.log());
    until_served(pebble.https, Some(&first), || server.log());
    assert!(server.log().matches("certificate issued").count() >= 2, "{}", server.log());
}

#[test]
fn a_refusal_is_told_with_its_reason_and_tried_again() {
    let pebble = Pebble::start(3600);
    // The authority looks where nobody answers.
    let args = pebble.args();
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    let http = args.iter().position(|a| *a == "--http").expect("it is there");
    args[http + 1] = "0";
    let server = Gadwall::with(&args);
    let deadline = Instant::now() + PATIENCE;
    while !server.log().contains("failures=2") {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = server.log();
    let told = log.lines().find(|line| line.contains("no certificate")).expect("it is told");
    assert!(told.contains("refused") && told.contains("acme-challenge"), "{told}");
    assert!(log.contains("failures=1 retry_secs=1") && log.contains("failures=2 retry_secs=2"), "{log}");
    assert!(served(pebble.https).is_some(), "TLS works, with a certificate that nobody trusts");
}

/// A node over a store that it shares.
async fn node(pebble: &Pebble, store: &Arc<MemoryStore>, http: u16, https: u16) -> gadwall::run::Running {
    let text = format!(
        "data = \"/nowhere\"\nstore = \"memory\"\nsmtp = \"off\"\nimap = \"off\"\npop3 = \"off\"\nhttp = {http}\n\
         https = {https}\nacme-domains = \"{NAME}\"\nacme-directory = \"{}\"\nacme-ca-root = \"{}\"\nacme-retry = \"1s\"",
        pebble.directory(),
        pebble.ca().display()
    );
    let config = Config::resolve(Settings::from_toml(&text).expect("settings")).expect("a configuration");
    let env = Env::new(Arc::new(SystemClock), Arc::new(SystemEntropy));
    gadwall::run::start(config, Backend::alone(store.clone()), env, &TokioNet).await.expect("it starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_answers_and_all_take_up_what_one_has_ordered() {
    let pebble = Pebble::start(3600);
    let store = Arc::new(MemoryStore::new(Arc::new(SystemClock), Arc::new(SystemEntropy)));
    let shelf = Shelf::new(store.clone());
    // A node that is none of these two has the lease and orders; the authority asks one of these two.
    let lease = shelf.lease("elsewhere", SystemClock.now(), Duration::from_secs(600)).await.unwrap().unwrap();
    let other = free_port();
    let a = node(&pebble, &store, pebble.http, pebble.https).await;
    let b = node(&pebble, &store, 0, other).await;
    let config = AcmeConfig {
        domains: vec![NAME.into()],
        email: None,
        directory: pebble.directory(),
        ca_root: Some(pebble.ca()),
        challenge: Challenge::Http01,
        retry: Duration::from_secs(1),
    };
    for challenge in [Challenge::Http01, Challenge::TlsAlpn01] {
        let issued =
            order(&AcmeConfig { challenge, ..config.clone() }, &shelf, lease).await.expect("it is issued");
        shelf.put_certificate(lease, &issued).await.expect("the lease holds");
    }
    let (one, two) = tokio::task::spawn_blocking(move || {
        let of = |port| until_served(port, None, String::new);
        (of(pebble.https), of(other))
    })
    .await
    .unwrap();
    assert_eq!(one, two);
    a.stop().await.unwrap();
    b.stop().await.unwrap();
}
