//! The drill in short: real processes, killed, drained and starved while real clients use them. `deploy/drill` by itself
//! does it for as long as one likes.

use crate::harness::{Said, binary};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the drill to its end. It has deadlines of its own for everything it waits for, and its processes end with it.
fn drill(args: &[&str]) -> (Said, Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(root.join("deploy/drill"))
        .arg("--json")
        .args(args)
        .env("GADWALL_BINARY", binary())
        .stdin(Stdio::null())
        .output()
        .expect("deploy/drill starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said { status: output.status, out: text(&output.stdout), err: text(&output.stderr) };
    let ledger = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("no ledger: {e}\n{said:?}"));
    (said, ledger)
}

fn number(ledger: &Value, key: &str) -> u64 {
    ledger[key].as_u64().unwrap_or_else(|| panic!("no {key} in {ledger}"))
}

fn clean(args: &[&str]) -> Value {
    let (said, ledger) = drill(args);
    assert!(said.status.success(), "{}\n{:#}\n{}", said.status, ledger["findings"], said.err);
    for (key, value) in [("lost", 0), ("doubled", 0), ("present", number(&ledger, "acknowledged"))] {
        assert_eq!(number(&ledger, key), value, "{key}");
    }
    println!("{ledger:#}");
    ledger
}

/// How many kinds of faults there were.
fn kinds(ledger: &Value) -> usize {
    let mut kinds: Vec<_> =
        ledger["faults"].as_array().expect("faults").iter().map(|fault| &fault["fault"]).collect();
    kinds.sort_by_key(|kind| kind.as_str());
    kinds.dedup();
    kinds.len()
}

#[test]
fn drill_loses_nothing() {
    let ledger = clean(&["--seconds", "30"]);
    assert_eq!(kinds(&ledger), 11, "each at least once");
    assert!(number(&ledger, "acknowledged") > 50, "somebody has sent mail meanwhile");
    assert!(number(&ledger, "hints") > 50, "somebody was idle meanwhile");
}

/// The same on a set of three members that elect: the official driver lives through it, and nobody's mail is lost.
#[test]
fn drill_loses_nothing_through_elections() {
    let ledger = clean(&["--seconds", "30", "--database", "simulated"]);
    assert_eq!(kinds(&ledger), 12, "each at least once");
    assert!(number(&ledger, "acknowledged") > 50, "somebody has sent mail meanwhile");
}

/// The control: what acknowledges too early is found out.
#[test]
fn drill_unsafe_is_caught() {
    let faults = "kill-when-acknowledged,kill-in-append,database";
    let (said, ledger) = drill(&["--seconds", "20", "--unsafe", "--faults", faults]);
    assert_eq!(said.status.code(), Some(1), "{ledger:#}");
    assert!(number(&ledger, "lost") > 0, "{ledger:#}");
}

/// Promise 3 while two nodes write to one mailbox as fast as they can.
#[test]
fn drill_of_two_nodes_sees_uids_in_order() {
    let ledger = clean(&["--seconds", "15", "--order"]);
    assert!(number(&ledger, "looks") > 20, "somebody looked meanwhile: {ledger:#}");
}

/// The ledger's own tests: that it finds what it is there to find.
#[test]
fn drill_ledger_finds_losses_copies_and_disorder() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/drill.d/test_ledger.py");
    let output = Command::new("python3").args(["-E", "-B"]).arg(tests).output().expect("python3 starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("\nOK"), "{said}");
}
