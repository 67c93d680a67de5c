//! `gadwall doctor` and `gadwall cluster` as operators use them.

use crate::backing::{Redis, mongodb};
use crate::harness::{Gadwall, Said, binary, run};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

const OFF: [&str; 6] = ["--imap", "off", "--pop3", "off", "--http", "off"];

fn gadwall(data: &Path, args: &[&str]) -> Said {
    run(Command::new(binary()).args(args).env("GADWALL_DATA", data), b"")
}

/// What was found out about `what`: level, detail, fix.
fn finding(said: &Said, what: &str) -> (String, String, String) {
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    let all = json["findings"].as_array().expect("findings");
    let found = all.iter().find(|f| f["what"] == what).unwrap_or_else(|| panic!("no {what} in {json}"));
    let text = |key: &str| found[key].as_str().expect("a text").to_owned();
    (text("level"), text("detail"), text("fix"))
}

#[test]
fn all_is_well_where_nothing_runs_yet() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let args = ["--smtp", "0", "--max-connections", "100", "doctor"];
    let said = gadwall(&data, &[&OFF[..], &args].concat());
    assert!(said.status.success(), "{said:?}");
    assert!(said.out.lines().all(|line| line.starts_with("ok ")), "{said:?}");
    assert!(!data.exists(), "looking makes nothing");
}

#[test]
fn beside_a_running_server_its_ports_and_its_store_are_well() {
    let server = Gadwall::start();
    let port = server.port("smtp").to_string();
    let data = server.dir().join("data");
    let args = ["--smtp", &port, "--max-connections", "100", "doctor", "--json"];
    let said = gadwall(&data, &[&OFF[..], &args].concat());
    assert!(said.status.success(), "{said:?}");
    let (_, detail, _) = finding(&said, "smtp");
    assert!(detail.contains("served by gadwall"), "{detail}");
    let (_, detail, _) = finding(&said, "store");
    assert!(detail.contains("in use by the server that runs"), "{detail}");
}

#[test]
fn a_server_that_was_killed_does_not_answer_for_who_holds_its_store() {
    let dir = Gadwall::start().kill();
    let data = dir.path().join("data");
    let lock = std::fs::File::options().write(true).open(data.join("lock")).expect("it was made");
    lock.try_lock().expect("nobody holds it");
    let args = ["--smtp", "0", "--max-connections", "100", "doctor", "--json"];
    let said = gadwall(&data, &[&OFF[..], &args].concat());
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    let (level, _, fix) = finding(&said, "store");
    assert!(level == "fail" && fix.contains("fuser"), "{fix}");
}

#[test]
fn what_is_wrong_is_said_with_its_fix_and_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let cert = file.to_str().expect("text");
    let args = ["--smtp", &port, "--tls-cert", cert, "--tls-key", cert, "--max-connections", "2000000000"];
    let said = gadwall(&file, &[&OFF[..], &args, &["doctor", "--json"]].concat());
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert!(said.err.contains("checks failed"), "{said:?}");
    for (what, detail, fix) in [
        ("smtp", "is held by", "stop that one"),
        ("data directory", "no directory", "--data"),
        ("certificate", "file", "tls-cert"),
        ("descriptors", "are allowed", "LimitNOFILE="),
    ] {
        let found = finding(&said, what);
        assert!(found.0 == "fail" && found.1.contains(detail) && found.2.contains(fix), "{found:?}");
    }
}

#[test]
fn a_store_of_one_node_is_no_cluster() {
    let dir = tempfile::tempdir().expect("a directory");
    for args in [["cluster", "init"], ["cluster", "status"]] {
        let said = gadwall(dir.path(), &args);
        assert_eq!(said.status.code(), Some(2), "{said:?}");
        assert!(said.err.contains("store = \"mongodb\""), "{said:?}");
    }
}

/// Settings of nodes on one database of their own.
struct Shared {
    args: Vec<String>,
    dir: tempfile::TempDir,
    _redis: Redis,
}

impl Shared {
    fn new() -> Shared {
        let redis = Redis::start();
        let (uri, database) = (mongodb::uri(), mongodb::database_name());
        let url = redis.url();
        let args =
            ["--store", "mongodb", "--mongodb-uri", &uri, "--mongodb-database", &database, "--redis", &url];
        let args = args.map(str::to_owned).to_vec();
        Shared { args, dir: tempfile::tempdir().expect("a directory"), _redis: redis }
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.args.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    fn ask(&self, args: &[&str]) -> Said {
        let off = ["--smtp", "0", "--max-connections", "100"];
        gadwall(self.dir.path(), &[&self.args(&OFF)[..], &off, args].concat())
    }

    /// What `cluster status --json` says of the nodes, once that is as wanted.
    fn until_nodes(&self, what: &str, wanted: impl Fn(&[serde_json::Value]) -> bool) {
        let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
        loop {
            let said = self.ask(&["cluster", "status", "--json"]).ok();
            let status: serde_json::Value = serde_json::from_str(&said).expect("JSON");
            if wanted(status["nodes"].as_array().expect("nodes")) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "waited too long for {what}: {said}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

#[test]
fn a_cluster_is_prepared_once_and_then_found_well() {
    let shared = Shared::new();
    let said = shared.ask(&["cluster", "init"]).ok();
    assert!(said.contains("made index messages.expires") && said.contains("made secret \"msgid\""), "{said}");
    assert_eq!(shared.ask(&["cluster", "init"]).ok(), "Everything was there already.\n");
    let said = shared.ask(&["doctor", "--json"]);
    assert!(said.status.success(), "{said:?}");
    for what in ["MongoDB", "MongoDB write", "MongoDB schema", "Redis", "Redis channels"] {
        assert_eq!(finding(&said, what).0, "ok", "{said:?}");
    }
    assert!(!format!("{said:?}").contains("hunter2"), "{said:?}");
}

#[test]
fn nodes_are_seen_while_they_serve_and_drain_and_not_when_they_have_left() {
    let shared = Shared::new();
    let a = Gadwall::with(&shared.args(&["--drain-delay", "60s"]));
    let b = Gadwall::with(&shared.args(&[]));
    shared.until_nodes("both nodes", |nodes| {
        let listens = |server: &Gadwall| {
            let imap = format!("imap 127.0.0.1:{}", server.port("imap"));
            nodes.iter().any(|n| n["listeners"].as_array().is_some_and(|l| l.iter().any(|l| *l == imap)))
        };
        nodes.len() == 2 && listens(&a) && listens(&b) && nodes.iter().all(|n| n["draining"] == false)
    });
    let text = shared.ask(&["cluster", "status"]).ok();
    assert!(text.contains("primary") && text.matches("serving, since").count() == 2, "{text}");
    assert!(text.contains("is master") && !text.contains("hunter2"), "{text}");
    a.ask_to_stop();
    shared.until_nodes("one to drain", |nodes| nodes.iter().filter(|n| n["draining"] == true).count() == 1);
    assert!(shared.ask(&["cluster", "status"]).ok().contains("draining"));
    let (status, _dir) = b.terminate();
    assert!(status.success(), "{status}");
    shared.until_nodes("one to have left", |nodes| nodes.len() == 1);
}

#[test]
fn a_database_that_is_away_is_said_to_be_with_the_next_step_and_without_the_password() {
    let dir = tempfile::tempdir().expect("a directory");
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let uri = format!("mongodb://gadwall:hunter2@127.0.0.1:{port}/?replicaSet=gadwall");
    let redis = format!("redis://:hunter2@127.0.0.1:{port}");
    let args = ["--store", "mongodb", "--mongodb-uri", &uri, "--redis", &redis, "--smtp", "0"];
    let doctor = gadwall(dir.path(), &[&OFF[..], &args, &["doctor", "--json"]].concat());
    assert_eq!(doctor.status.code(), Some(1), "{doctor:?}");
    assert!(finding(&doctor, "MongoDB").2.contains("systemctl status mongod"), "{doctor:?}");
    assert!(finding(&doctor, "Redis").2.contains("systemctl status redis-server"), "{doctor:?}");
    let status = gadwall(dir.path(), &[&OFF[..], &args, &["cluster", "status"]].concat());
    assert_eq!(status.status.code(), Some(1), "{status:?}");
    assert!(status.err.contains("gadwall doctor"), "{status:?}");
    assert!(!format!("{doctor:?}{status:?}").contains("hunter2"), "{doctor:?}{status:?}");
}
