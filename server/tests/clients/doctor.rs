//! `gadwall doctor` and `gadwall cluster` as operators use them.

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
