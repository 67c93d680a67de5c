//! The command line as scripts use it.

use crate::harness::{Gadwall, Said, binary, run};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

fn gadwall(data: &Path, args: &[&str]) -> Said {
    run(Command::new(binary()).args(args).env("GADWALL_DATA", data), b"")
}

#[test]
fn accounts_are_managed_beside_a_running_server_and_without_one() {
    let server = Gadwall::start();
    let data = server.dir().join("data");
    let made = gadwall(&data, &["account", "create", "ann@example.org", "--lifetime", "never"]).ok();
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(made["user"], "ann@example.org");
    assert_eq!(gadwall(&data, &["account", "list"]).ok(), "ann@example.org\t0\tnever\n");
    let again = gadwall(&data, &["account", "create", "ann@example.org"]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(again.err.contains("address already exists"), "{again:?}");

    let (status, dir) = server.terminate();
    assert!(status.success(), "{status}");
    let data = dir.path().join("data");
    assert_eq!(gadwall(&data, &["account", "list"]).ok(), "ann@example.org\t0\tnever\n");
    gadwall(&data, &["account", "create", "bob@example.org"]).ok();
    gadwall(&data, &["account", "delete", "ann@example.org"]).ok();
    let gone = gadwall(&data, &["account", "delete", "ann@example.org"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(gone.err.contains("there is no account ann@example.org"), "{gone:?}");

    let server = Gadwall::on(dir, &[]);
    assert!(
        gadwall(&server.dir().join("data"), &["account", "list"]).ok().starts_with("bob@example.org\t0\t20")
    );
}

#[test]
fn a_store_that_another_process_holds_is_status_3() {
    let server = Gadwall::start();
    let second =
        gadwall(&server.dir().join("data"), &["--smtp", "0", "--imap", "0", "--pop3", "0", "--http", "0"]);
    assert_eq!(second.status.code(), Some(3), "{second:?}");
    assert!(second.err.contains("in use by another process") && second.err.contains("--data"), "{second:?}");
}

#[test]
fn a_taken_port_is_status_4() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let dir = tempfile::tempdir().expect("a directory");
    let said = gadwall(dir.path(), &["--smtp", &port]);
    assert_eq!(said.status.code(), Some(4), "{said:?}");
    assert!(said.err.contains(&format!("127.0.0.1:{port}")) && said.err.contains("--smtp"), "{said:?}");
}

#[test]
fn wrong_usage_and_configuration_are_status_2() {
    let dir = tempfile::tempdir().expect("a directory");
    for args in [
        &["--no-such-flag"][..],
        &["--smtp", "nonsense"],
        &["--imaps", "0", "config", "check"],
        &["--config", "/no/such/file.toml", "config", "check"],
        &["--log", "gadwall=nonsense"],
    ] {
        let said = gadwall(dir.path(), args);
        assert_eq!(said.status.code(), Some(2), "{args:?}: {said:?}");
        assert!(!said.err.is_empty());
    }
    assert!(gadwall(dir.path(), &["config", "check"]).ok().contains("127.0.0.1:1025"));
}

#[test]
fn readyz_tells_scripts_when_the_server_serves() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let dir = tempfile::tempdir().expect("a directory");
    let said = gadwall(dir.path(), &["readyz", "--address", &nobody.to_string()]);
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    let server = Gadwall::start();
    gadwall(
        dir.path(),
        &["readyz", "--wait", "30s", "--address", &format!("127.0.0.1:{}", server.port("http"))],
    )
    .ok();
}

#[test]
fn sendmail_delivers_what_it_reads() {
    let server = Gadwall::start();
    let account = server.account();
    let mail =
        "From: a@example.org\nTo: b@example.org\nBcc: c@example.org\nSubject: by sendmail\n\n.\nstill here\n";
    let link = server.dir().join("sendmail");
    std::os::unix::fs::symlink(binary(), &link).expect("a link");
    let smtp = format!("127.0.0.1:{}", server.port("smtp"));
    let credentials = ["-u", &account.user, "-p", &account.pass, "-S", &smtp];
    run(Command::new(&link).args(["-t", "-i"]).args(credentials), mail.as_bytes()).ok();
    let (user, pass) = (&account.user, &account.pass);
    let token =
        server.http("POST", "/authenticate", &format!(r#"{{"username":"{user}","password":"{pass}"}}"#));
    let token: serde_json::Value = serde_json::from_str(&token).expect("JSON");
    let token = token["token"].as_str().expect("a token");
    let list = server.http("GET", &format!("/users/me/messages?accessToken={token}"), "");
    assert!(list.contains("by sendmail") && !list.contains("c@example.org"), "{list}");

    let wrong = ["-u", &account.user, "-p", "wrong", "-S", &smtp];
    let said = run(Command::new(&link).args(["-t"]).args(wrong), mail.as_bytes());
    assert_eq!(said.status.code(), Some(69), "{said:?}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(gadwall(dir.path(), &["version"]).ok(), format!("gadwall {}\n", env!("CARGO_PKG_VERSION")));
}

/// The account that takes anything is the operator's, whoever made one of its name before.
#[test]
fn accept_anything_takes_mail_without_credentials_into_an_account_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    gadwall(
        &dir.path().join("data"),
        &["account", "create", "catchall@gadwall.test", "--password", "stolen"],
    )
    .ok();
    let server = Gadwall::on(dir, &["--accept-anything"]);
    let line = |key: &str| {
        let found = server.banner.lines().find_map(|l| l.trim().strip_prefix(key));
        found.unwrap_or_else(|| panic!("no {key} in {}", server.banner)).to_owned()
    };
    let (user, pass) = (line("user "), line("pass "));
    let smtp = format!("127.0.0.1:{}", server.port("smtp"));
    let mail = b"From: a@example.org\nSubject: anything\n\nx\n";
    run(Command::new(binary()).args(["sendmail", "-S", &smtp, "b@example.org"]), mail).ok();
    let authenticate = |pass: &str| {
        let login = serde_json::json!({ "username": user, "password": pass }).to_string();
        server.http_any("POST", "/authenticate", &[], &login)
    };
    assert_eq!(authenticate("stolen").0, 401);
    let (status, answer) = authenticate(&pass);
    assert_eq!(status, 200, "{answer}");
    let token: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let token = token["token"].as_str().expect("a token");
    assert!(server.http("GET", &format!("/users/me/messages?accessToken={token}"), "").contains("anything"));
}
